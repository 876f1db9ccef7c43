# Copyright (c) 2026, the racefree developers

# Key locks over Citus, without a unique index: many clients on three nodes ask
# for the same keys, also while shards are moved; a commit in two phases gets
# stuck; a transaction ends, or goes back to a savepoint; roles that may do little
# ask, and under row security.
#
# Needs Citus among the server's extensions.  RACEFREE_CALLS (40) sets the size.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use Citus qw(start_citus on_coordinator gives refused fails start_psql at_once);

my $calls = $ENV{RACEFREE_CALLS} || 40;
my ($coordinator, @workers) = my @nodes = start_citus();

# ---------------------------------------------------------------------------
# Tables of each kind, none with a unique index.  The values of an enum have other
# hashes on each node.

on_coordinator(
	"CREATE TYPE mood AS ENUM ('glad', 'sad')",
	'CREATE TABLE hashed (k integer, v text)',
	'CREATE TABLE texts (t text, day timestamptz, j jsonb, m mood, f float8, v text)',
	'CREATE TABLE parts (k integer, p integer, v text) PARTITION BY RANGE (p)',
	'CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (10)',
	'CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (10) TO (20)',
	'CREATE TABLE single (k integer, m mood, v text)',
	'CREATE TABLE local (k integer, m mood, v text)',
	"SELECT create_distributed_table('hashed', 'k')",
	"SELECT create_distributed_table('texts', 't', colocate_with => 'none')",
	"SELECT create_distributed_table('parts', 'k')",
	"SELECT create_distributed_table('single', NULL)",
	"SELECT citus_add_local_table_to_metadata('local')");

# The key of a table that a number stands for, and what a new row has besides.
my %key = (
	hashed => sub { qq({"k": $_[0]}) },
	texts => sub {
		qq({"t": "it's \\u00e9 $_[0]", "day": "2026-01-02 03:04:05.678+01", )
		  . qq("j": {"a": [$_[0]]}, "m": "sad", "f": 0.1, "v": null});
	},
	parts => sub { qq({"k": $_[0]}) },
	single => sub { qq({"k": $_[0], "m": "sad"}) },
	local => sub { qq({"k": $_[0], "m": "glad"}) });
my %defaults = map { $_ => $_ eq 'parts' ? '{"p": 3}' : '{}' } keys %key;

# A call for each number, of the same keys in each script.
sub calls
{
	my ($function, $table, @numbers) = @_;

	return map {
		"SELECT created FROM $function(NULL::$table, '"
		  . ($key{$table}->($_) =~ s/'/''/gr)
		  . "', '$defaults{$table}');\n"
	} @numbers;
}

# Each key was created by one of the calls, and has one row.
sub created_once
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($table, $name, @results) = @_;
	my $created = () = join('', map { $_->{out} } @results) =~ /^t$/mg;

	is(join('', map { $_->{err} } @results), '', "$name: no errors");
	is( "$created|" . $coordinator->safe_psql('postgres', "SELECT count(*) FROM $table"),
		"$calls|$calls", "$name: one row of $table for each key");
	return;
}

for my $table (sort keys %key)
{
	my @scripts = (join '', calls('get_or_create', $table, 1 .. $calls)) x 6;

	created_once($table, 'six clients on three nodes', at_once(@scripts));
	on_coordinator("TRUNCATE $table");
	@scripts = map {
		my $number = 0;
		my $settings = $_ % 2 ? 'SET TimeZone = \'Asia/Kathmandu\';' : '';
		"$settings SET citus.select_opens_transaction_block = off;\n" . join '', map {
			"BEGIN;\n" . ($number++ % 3 ? '' : "SAVEPOINT s;\n") . "${_}COMMIT;\n"
		} calls('update_or_create', $table, 1 .. $calls)
	} 1 .. 6;
	created_once($table, 'in blocks, and with other settings', at_once(@scripts));
}

# A new key in each call, so that each takes a lock, in one session: plans are
# made for any value then.
for my $node (@nodes)
{
	for my $table ('hashed', 'texts')
	{
		my $first = 1_000_000 + 100 * $node->port;
		my $out = $node->safe_psql('postgres',
			join '', calls('get_or_create', $table, $first .. $first + 11));

		is($out, join("\n", ('t') x 12), $node->name . ": a session creates rows of $table");
	}
}

# Where a unique index decides, no other node is asked for a lock.
on_coordinator('CREATE TABLE indexed (k integer PRIMARY KEY, v text)', "SELECT create_distributed_table('indexed', 'k')");
for my $table ('hashed', 'indexed')
{
	my $sent = '';

	$coordinator->psql('postgres', join('', 'SET citus.log_remote_commands = on; SET client_min_messages = notice;',
			map { "SELECT get_or_create(NULL::$table, '{\"k\": $_}');" } 2_000_000 .. 2_000_009),
		stderr => \$sent);
	my $locks = () = $sent =~ /issuing .*lock_keys_here/g;
	cmp_ok($locks, $table eq 'indexed' ? '==' : '>=', $table eq 'indexed' ? 0 : 10,
		"lock queries for keys of $table");
}

# ---------------------------------------------------------------------------
# Shards are moved and split meanwhile.  Who does so waits for those who have locked
# a key.

# Move a shard to the other worker.
sub move
{
	my ($shard) = @_;

	my $names = join ', ', map { "('127.0.0.1', " . $_->port . ')' } @workers;

	return "SELECT citus_move_shard_placement(shardid, nodename, nodeport, name, port, 'block_writes')
		FROM citus_shards, (VALUES $names) AS w(name, port) WHERE shardid = $shard AND nodeport <> port;\n";
}

# Split a shard in two, one on each worker.
sub split_shard
{
	my ($shard) = @_;
	my $nodes = join ', ', map { '(SELECT nodeid FROM pg_dist_node WHERE nodeport = ' . $_->port . ')' } @workers;

	return "SELECT citus_split_shard_by_split_points(shardid,
		ARRAY[((shardminvalue::bigint + shardmaxvalue::bigint) / 2)::text], ARRAY[$nodes], 'block_writes')
		FROM pg_dist_shard WHERE shardid = $shard;\n";
}

# The shard of the key with that number.
sub shard_of
{
	my ($table, $number) = @_;

	return $coordinator->safe_psql('postgres',
		"SELECT get_shard_id_for_distribution_column('$table', $number)");
}

sub owner_of
{
	my ($shard) = @_;
	my $port = $coordinator->safe_psql('postgres', "SELECT nodeport FROM citus_shards WHERE shardid = $shard");

	return (grep { $_->port == $port } @nodes)[0];
}

on_coordinator('TRUNCATE hashed', 'TRUNCATE single');
my %shards = map { shard_of('hashed', $_) => 1 } 1 .. 20;
my @moved = sort keys %shards;
my $single = $coordinator->safe_psql('postgres', "SELECT shardid FROM citus_shards WHERE table_name = 'single'::regclass");
for my $table ('hashed', 'single')
{
	my $moves = $table eq 'single' ? move($single) x 4 : join '', map { move($_), split_shard($_) } @moved[ 0 .. 2 ];
	my @scripts = (join '', calls('get_or_create', $table, 1 .. $calls)) x 5;
	my ($moved, @results) = at_once($moves, @scripts);

	is($moved->{err}, '', "shards of $table are moved, and split");
	created_once($table, 'while shards are moved', @results);
}

# A session that has locked a key, and has written nothing yet.
sub session_with
{
	my ($node, @statements) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$session->query_until(qr/begun/, join('', map { "$_;\n" } 'BEGIN', @statements) . "\\echo begun\n");
	return $session;
}

# Wait until a query gives true.
sub wait_until
{
	my ($node, $query, $what) = @_;

	$node->poll_query_until('postgres', $query) or die "no $what";
	return;
}

my $holder = session_with($workers[0], q(SELECT lock_keys('{"hashed": [{"k": 901}]}')));
my $mover = { out => '', err => '' };
my $moving = start_psql($coordinator, $mover, '-c', move(shard_of('hashed', 901)));
wait_until($workers[0], q(SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'),
	'move that waits');
$holder->query_until(qr/done/, q(SELECT get_or_create(NULL::hashed, '{"k": 901}');
COMMIT;
\echo done
));
$holder->quit;
$moving->finish;
is($mover->{err}, '', 'a move waits for who has locked a key');
gives($workers[1], q(SELECT created FROM get_or_create(NULL::hashed, '{"k": 901}')), 'f',
	'and takes along the row that was created');

# ---------------------------------------------------------------------------
# Locks last as long as what they protect.

# Ask a node for a key, while another session has it; return what was written when
# that session has ended as it is told to.
sub ask_meanwhile
{
	my ($node, $session, $end, $query) = @_;
	my $result = { out => '', err => '' };
	my $run = start_psql($node, $result, '-c', $query);

	for my $n (0 .. 200)
	{
		last if grep {
			$_->safe_psql('postgres', 'SELECT count(*) FROM racefree_locks WHERE NOT granted')
		} @nodes;
		$result->{no_wait} = 1 if $n == 200;
		usleep(50_000);
	}
	$session->query_until(qr/done/, "$end;\n\\echo done\n");
	$session->quit;
	$run->finish;
	return ($result->{no_wait} ? 'did not wait: ' : '') . $result->{out} . $result->{err};
}

for my $table ('hashed', 'single', 'local', 'parts')
{
	my ($query) = calls('get_or_create', $table, 950);
	my $lock = "SELECT lock_keys('{\"$table\": [" . $key{$table}->(950) . ']}\')';

	for my $node (@nodes)
	{
		is( ask_meanwhile($node, session_with($workers[0], $lock), 'ROLLBACK', "BEGIN; $query ROLLBACK"),
			"t\n", $node->name . ": waits for who has locked a key of $table on another node");
	}
	is( ask_meanwhile($workers[1], session_with($coordinator, $query), 'COMMIT', $query),
		"f\n", "who waits for a key of $table gets the row");
}

# A key of a partition is one of the whole table.
is( ask_meanwhile($workers[1], session_with($workers[0], q(SELECT lock_keys('{"parts_0": [{"k": 951}]}'))),
		'COMMIT', calls('get_or_create', 'parts', 951)),
	"t\n", 'who asks for a key waits for who has locked it in a partition');

# The connection on which a key was locked is lost, and with it the lock: then
# nothing is written.
my $lost = 952;
my ($from) = grep { $_ != owner_of(shard_of('hashed', $lost)) } @workers;
my $losing = session_with($from, qq(SELECT lock_keys('{"hashed": [{"k": $lost}]}')));
owner_of(shard_of('hashed', $lost))->safe_psql('postgres',
	'SELECT pg_terminate_backend(pid) FROM racefree_locks WHERE key_hash IS NOT NULL');
like($losing->query_until(qr/done/, "INSERT INTO hashed VALUES ($lost);\n\\echo :SQLSTATE\nCOMMIT;\n\\echo done\n"),
	qr/^(?:08|57P01)/m, 'a lock that is lost with its connection ends the transaction');
$losing->quit;
gives($coordinator, "SELECT count(*) FROM hashed WHERE k = $lost", '0', 'which has written nothing');

# Gone with the savepoint, and not before.
my $savepoint = session_with($workers[0], 'SAVEPOINT s', q(SELECT lock_keys('{"hashed": [{"k": 960}]}')),
	'ROLLBACK TO s');
gives($workers[1], q(SET lock_timeout = '20s'; SELECT created FROM get_or_create(NULL::hashed, '{"k": 960}')), 't',
	'a rollback to a savepoint releases the keys locked after it');
$savepoint->quit;

# Prepared on the node that has the shard, by hand, as Citus does when it commits
# in two phases: the COMMIT PREPARED gets lost.
for my $number (970 .. 972)
{
	my $shard = shard_of('hashed', $number);
	my $owner = owner_of($shard);
	my $asked = { out => '', err => '' };
	my $waiting;

	$owner->safe_psql('postgres', qq(SET citus.enable_manual_changes_to_shards = on;
BEGIN;
SELECT lock_keys_here('{"hashed": [{"k": $number}]}');
INSERT INTO hashed_$shard VALUES ($number, 'prepared');
PREPARE TRANSACTION 'stuck'));
	$waiting = start_psql($nodes[ $number - 970 ], $asked, '-c',
		qq(SELECT created, (object).v FROM get_or_create(NULL::hashed, '{"k": $number}')));
	wait_until($owner, 'SELECT count(*) > 0 FROM racefree_locks WHERE NOT granted', 'call that waits');
	$owner->safe_psql('postgres', "COMMIT PREPARED 'stuck'");
	$waiting->finish;
	is($asked->{out} . $asked->{err}, "f|prepared\n",
		$nodes[ $number - 970 ]->name . ': a key stays locked until the commit that was lost');
}

# Nobody takes keys in another order, whatever table he names first.
my @orders = (
	q({"hashed": [{"k": 1}, {"k": 2}, {"k": 3}, {"k": 4}, {"k": 5}], "single": [{"k": 1, "m": "sad"}], "local": [{"k": 1, "m": "sad"}]}),
	q({"local": [{"k": 1, "m": "sad"}], "single": [{"k": 1, "m": "sad"}], "hashed": [{"k": 5}, {"k": 4}, {"k": 3}, {"k": 2}, {"k": 1}]}));
my @locking = at_once(map { "SELECT lock_keys('$orders[$_ % 2]');\n" x (1 + $calls / 4) } 1 .. 6);
is(join('', map { $_->{err} } @locking), '', 'calls of lock_keys on three nodes do not deadlock');

# Who takes them in two calls may deadlock, and Citus sees it.
my $one = session_with($workers[0], q(SELECT lock_keys('{"hashed": [{"k": 1}]}')));
my $crossed = { out => '', err => '' };
my $crossing = start_psql($workers[1], $crossed,
	map { ('-c', $_) } 'BEGIN', q(SELECT lock_keys('{"hashed": [{"k": 2}]}')),
	q(SELECT lock_keys('{"hashed": [{"k": 1}]}')), '\echo :SQLSTATE', 'ROLLBACK');
wait_until(owner_of(shard_of('hashed', 1)), 'SELECT count(*) > 0 FROM racefree_locks WHERE NOT granted', 'call that waits');
my $states = $one->query_until(qr/done/, q(SELECT lock_keys('{"hashed": [{"k": 2}]}');
\echo :SQLSTATE
ROLLBACK;
\echo done
)) . '+';
$one->quit;
$crossing->finish;
# PostgreSQL may see it, too, and choose the other one.
like("$states$crossed->{out}", qr/\b40P01\b/, 'a deadlock over nodes is resolved');

# ---------------------------------------------------------------------------
# Isolation levels whose snapshots are older than the lock.

for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	for my $node (@nodes)
	{
		refused($node, qq(SET default_transaction_isolation = '$level'; SELECT get_or_create(NULL::hashed, '{"k": 990}')),
			"cannot keep the key unique in table \"hashed\", which Citus distributes, at isolation level $level",
			"get_or_create is refused at $level");
	}
	refused($workers[0], qq(BEGIN ISOLATION LEVEL $level; SELECT update_or_create(NULL::single, '{"k": 990}', '{}')),
		'cannot keep the key unique', "update_or_create in a block is refused at $level");
	refused($workers[0], qq(BEGIN ISOLATION LEVEL $level; SELECT get_or_create(NULL::local, '{"k": 990}')),
		'cannot keep the key unique', "a table of the coordinator's is no exception elsewhere at $level");
	gives($coordinator, qq(BEGIN ISOLATION LEVEL $level; SELECT created FROM get_or_create(NULL::local, '{"k": 990}'); ROLLBACK),
		't', "but is on the coordinator at $level");
	gives($workers[0], qq(BEGIN ISOLATION LEVEL $level; SELECT created FROM get_or_create(NULL::hashed, '{"k": 950}'); ROLLBACK),
		'f', "a row is found at $level");
}

# ---------------------------------------------------------------------------
# Roles.

on_coordinator(
	'CREATE ROLE clerk LOGIN', 'CREATE ROLE reader LOGIN', 'CREATE ROLE tenant LOGIN',
	'GRANT SELECT, INSERT ON hashed, single, local TO clerk',
	'GRANT SELECT ON hashed, single, local TO reader',
	'CREATE TABLE owned (k integer, owner text DEFAULT current_user)',
	"SELECT create_distributed_table('owned', 'k')",
	'GRANT SELECT, INSERT ON owned TO tenant, clerk',
	'ALTER TABLE owned ENABLE ROW LEVEL SECURITY',
	'CREATE POLICY own ON owned USING (owner = current_user)');
for my $node (@nodes)
{
	my $n = $node->port;

	for my $table ('hashed', 'single', 'local')
	{
		gives($node, qq(SET ROLE clerk; SELECT created FROM get_or_create(NULL::$table, '{"k": $n}')),
			't', "SELECT and INSERT are enough to create a row of $table");
		gives($node, qq(SET ROLE clerk; SELECT lock_keys('{"$table": [{"k": $n}]}')),
			'', "and to lock a key of $table");
		fails($node, qq(SET ROLE reader; SELECT get_or_create(NULL::$table, '{"k": -1}')),
			'42501', "SELECT is not enough to create a row of $table");
		for my $function ('lock_keys', 'lock_keys_here')
		{
			fails($node, qq(SET ROLE reader; SELECT $function('{"$table": [{"k": $n}]}')),
				'42501', "nor for $function");
		}
	}
	gives($node, qq(SET ROLE tenant; SELECT created FROM get_or_create(NULL::owned, '{"k": $n, "owner": "tenant"}')),
		't', 'row security lets a row be created');
	gives($node, qq(SET ROLE tenant; SELECT created FROM get_or_create(NULL::owned, '{"k": $n, "owner": "tenant"}')),
		'f', 'and found');
	gives($node, qq(SET ROLE clerk; SELECT created FROM get_or_create(NULL::owned, '{"k": $n, "owner": "clerk"}')),
		't', 'another role has rows of its own');
	fails($node, qq(SET ROLE clerk; SELECT get_or_create(NULL::owned, '{"k": $n, "owner": "tenant"}')),
		'42501', 'and cannot have those of others');
}
my $owned = join '', map { qq(SET ROLE tenant; SELECT created FROM get_or_create(NULL::owned, '{"k": $_, "owner": "tenant"}');\n) }
  1 .. $calls;
at_once(($owned) x 6);
is($coordinator->safe_psql('postgres', "SELECT count(*) FROM owned WHERE k <= $calls"), $calls,
	'one row for each key under row security');
is($coordinator->safe_psql('postgres', q(SELECT lock_keys_here('{"hashed": [{"k": 1}]}'))), '0',
	'lock_keys_here tells the node');

# ---------------------------------------------------------------------------
# Requests and reversals.

on_coordinator(
	(   map {
			(   "CREATE TABLE ${_}_account (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL)",
				{   far => "SELECT create_distributed_table('far_account', 'id')",
					one => "SELECT create_distributed_table('one_account', NULL)",
					near => "SELECT citus_add_local_table_to_metadata('near_account')"
				}->{$_},
				"INSERT INTO ${_}_account VALUES (1, 1000), (2, 1000)")
		} 'far', 'one', 'near'),
	"SELECT create_journal('far_journal', NULL::far_account, request_id_type => 'text', foreign_keys => false)",
	"SELECT create_journal('by_request', NULL::far_account, request_id_type => 'text', foreign_keys => false, distribute_by => 'request_id')",
	"SELECT create_journal('one_journal', NULL::one_account, request_id_type => 'text')",
	"SELECT create_journal('near_journal', NULL::near_account, request_id_type => 'text')",
	'CREATE TABLE loose_journal (id bigint, request_id text, from_id integer, to_id integer, amount numeric)',
	"SELECT create_distributed_table('loose_journal', 'request_id')");
my %accounts = (far_journal => 'far', by_request => 'far', loose_journal => 'far', one_journal => 'one', near_journal => 'near');
for my $journal (sort keys %accounts)
{
	my $script = join '', map {
		"SELECT replayed FROM transfer(NULL::$accounts{$journal}_account, 1, 2, 0.01, journal => '$journal', request_id => 'r$_');\n"
	} 1 .. $calls;
	my @results = at_once(($script) x 6);
	my $booked = () = join('', map { $_->{out} } @results) =~ /^f$/mg;

	is(join('', map { $_->{err} } @results), '', "six clients make the same requests in $journal without errors");
	is("$booked|" . $coordinator->safe_psql('postgres', "SELECT count(*) FROM $journal"),
		"$calls|$calls", "each request is booked once in $journal, and replayed to the others");
}
for my $journal ('far_journal', 'one_journal', 'near_journal')
{
	my $accounts = "$accounts{$journal}_account";
	my $entry = $coordinator->safe_psql('postgres',
		"SELECT entry_id FROM transfer(NULL::$accounts, 1, 2, 1, journal => '$journal', request_id => 'large')");
	my @results = at_once(("\\set VERBOSITY sqlstate\nSELECT amount FROM reverse_transfer(NULL::$accounts, '$journal', $entry, 0.30)") x 6);

	is(join('', sort map { ($_->{out} . $_->{err}) =~ s/.*ERROR:  //r } @results), "0.30\n" x 3 . "RF006\n" x 3,
		"six clients reverse no more of an entry of $journal than it moved");
	is( $coordinator->safe_psql('postgres', "SELECT sum(amount) FROM $journal WHERE reverses = $entry"),
		'0.90', "and $journal has what they were told");
}
refused($workers[0], "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT reverse_transfer(NULL::one_account, 'one_journal', 1)",
	'cannot be reversed at this isolation level', 'no reversal at REPEATABLE READ');

is( $coordinator->safe_psql('postgres', 'SELECT sum(balance) FROM far_account'), '2000.00',
	'no money was made or lost');
wait_until($_, 'SELECT count(*) = 0 FROM racefree_locks', 'end of all locks') for @nodes;
is($_->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), '0', $_->name . ': nothing is left prepared')
  for @nodes;
$coordinator->stop;

done_testing();
