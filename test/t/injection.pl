# Copyright (c) 2026, the racefree developers

# Races that take a session between two steps of one call: between look and
# lock, lock and look, look and INSERT, one account and the other, commit
# record and release of locks.  A session is held there, by an injection point,
# while others call for the same key, request or accounts, write without
# racefree, or change the table.  Then it goes on, and all must have come to the
# same result.
#
# And sessions that are terminated there: nothing is left of what they did, and
# no lock.
#
# Needs a server that was built with --enable-injection-points, PostgreSQL 17 or
# later, and its module injection_points: "make check-assert" has both.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use FindBin;
use lib $FindBin::RealBin;
use Server qw(wait_for_server);

my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
my ($options) = run_command([ 'pg_config', '--configure' ]);
plan skip_all => 'the server has no injection points'
  if $options !~ /--enable-injection-points|-Dinjection_points=true/;
plan skip_all => 'the module injection_points is not installed'
  if !-e "$sharedir/extension/injection_points.control";

my $timeout = $PostgreSQL::Test::Utils::timeout_default;
my @levels = ('READ COMMITTED', 'REPEATABLE READ');

my $node = PostgreSQL::Test::Cluster->new('injection');
$node->init;
$node->append_conf(
	'postgresql.conf', qq(
shared_preload_libraries = 'injection_points'
restart_after_crash = on
log_statement = none
deadlock_timeout = 20ms
statement_timeout = 60s
autovacuum = off
# Who asks for it waits in vain for a standby, after his commit record.
wal_level = replica
max_wal_senders = 2
synchronous_standby_names = nobody
synchronous_commit = local
));
$node->start;

# "plain" accounts take two UPDATEs.  The trigger makes racefree lock the
# accounts first, and store them then.
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION injection_points;
CREATE EXTENSION racefree;

CREATE TABLE loose (id serial, str text, n integer);
CREATE TABLE keyed (id serial, str text UNIQUE, n integer);
CREATE TABLE watched (id serial, str text UNIQUE, n integer);
CREATE TABLE guarded (id serial, str text, n integer);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('str');

CREATE TABLE plain (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO plain SELECT i, 100 FROM generate_series(1, 3) AS i;
CREATE TABLE audited (LIKE plain INCLUDING ALL);
INSERT INTO audited SELECT * FROM plain;
SELECT create_journal('plain_journal', NULL::plain, request_id_type => 'text',
					  foreign_keys => false);
SELECT create_journal('audited_journal', NULL::audited,
					  request_id_type => 'text', foreign_keys => false);
-- So that each scenario can begin with an empty journal.
ALTER TABLE plain_journal DISABLE TRIGGER USER;
ALTER TABLE audited_journal DISABLE TRIGGER USER;

CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN RETURN new; END';
CREATE TRIGGER pass BEFORE UPDATE ON watched
	FOR EACH ROW EXECUTE FUNCTION pass();
CREATE TRIGGER pass BEFORE UPDATE ON audited
	FOR EACH ROW EXECUTE FUNCTION pass();
));

# ---------------------------------------------------------------------------
# Sessions

my @tables = qw(loose keyed watched guarded);

# One that stays, to look and to let others go on.
my ($orders, $answers) = ('', '');
my $control = start_control();

sub start_control
{
	return IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \$orders, '>&', \$answers, IPC::Run::timeout(10 * $timeout));
}

sub ask
{
	my ($query) = @_;

	$answers = '';
	$orders .= "$query;\n\\echo that is all\n";
	$control->pump until $answers =~ s/that is all\n\z//;
	die "$query: $answers" if $answers =~ /ERROR/;
	chomp $answers;
	return $answers;
}

# Start a session that runs the statements.
sub start
{
	my ($name, $sql) = @_;
	my $session = { name => $name, in => "$sql\n;\n\\q\n", out => '' };

	$session->{run} = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d',
			$node->connstr('postgres') . " application_name=$name"
		],
		'<', \$session->{in}, '>&', \$session->{out},
		IPC::Run::timeout($timeout));
	return $session;
}

# Start one that stops at the first of these points, and wait until it is there.
sub hold
{
	my ($level, $sql, @points) = @_;
	my $attach = join ' ',
	  map { "PERFORM injection_points_attach('$_', 'wait');" }
	  grep { $_ ne 'SyncRep' } @points;
	my $session = start('held', <<"SQL");
DO \$\$BEGIN PERFORM injection_points_set_local(); $attach END\$\$;
BEGIN ISOLATION LEVEL $level;
$sql;
COMMIT
SQL

	return wait_at($session, $points[0]) ? $session : undef;
}

sub is_over
{
	my ($session) = @_;

	$session->{run}->pump_nb if $session->{run}->pumpable;
	return !$session->{run}->pumpable;
}

# Wait until the held session is at the point; false if it never gets there.
sub wait_at
{
	my ($session, $point) = @_;

	until (
		ask("SELECT count(*) FROM pg_stat_activity
			 WHERE application_name = 'held' AND wait_event = '$point'"))
	{
		return 0 if is_over($session);
		usleep(5_000);
	}
	return 1;
}

# Let the held session go on.
sub wake
{
	my ($point) = @_;

	if ($point eq 'SyncRep')
	{
		ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity
			 WHERE application_name = 'held'");
		return;
	}
	ask("SELECT injection_points_detach('$point')");
	ask("SELECT injection_points_wakeup('$point')");
	return;
}

# Wait until the session is done or waits for a lock: true if it waits.
sub waits
{
	my ($session) = @_;

	until (is_over($session))
	{
		return 1
		  if ask("SELECT count(*) FROM pg_stat_activity AS a
				  WHERE application_name = '$session->{name}'
					AND wait_event_type = 'Lock'
					AND cardinality(pg_blocking_pids(pid)) > 0");
		usleep(5_000);
	}
	return 0;
}

# What the session printed, in one line.
sub answer
{
	my ($session) = @_;

	$session->{run}->finish;
	my $out = $session->{out};
	$out =~ s/^WARNING:.*\n//mg;
	$out =~ s/^ERROR:\s+//mg;
	$out =~ s/\s+$//;
	$out =~ s/\n/,/g;
	return $out;
}

# ---------------------------------------------------------------------------
# Scenarios

# Everything as it was.  A session that ends detaches the points that it has
# attached by their names, even if another session has attached them since: so
# wait until it is gone.
sub reset_tables
{
	usleep(5_000)
	  while ask("SELECT count(*) FROM pg_stat_activity
				 WHERE application_name IN ('held', 'failed')");
	ask("TRUNCATE " . join(', ', @tables, 'plain_journal', 'audited_journal')
		  . " RESTART IDENTITY;
		UPDATE plain SET balance = 100; UPDATE audited SET balance = 100;
		INSERT INTO plain VALUES (1, 100), (2, 100), (3, 100) ON CONFLICT DO NOTHING;
		INSERT INTO audited VALUES (1, 100), (2, 100), (3, 100) ON CONFLICT DO NOTHING");
	return;
}

# Points of racefree's, and of core's: where a session waits for a standby, its
# commit record is written, and nobody sees the transaction yet; at the end of
# the invalidations all see it, and its locks are there still.
sub full_name
{
	my ($point) = @_;

	return $point =~ /^(?:SyncRep|transaction-end-process-inval)$/
	  ? $point
	  : "racefree-$point";
}

# A session runs "held", and stops at the points among the steps, one after the
# other.  The other steps are what a session does meanwhile, or, as a reference
# to a string, what is done before.  The result says in
# one line what became of all of them: whether one waited, what it printed, or
# its SQLSTATE; and what "after" finds.  The results expected are one for READ
# COMMITTED and one for REPEATABLE READ, or one for both.
sub race
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($title, $held, $steps, $after, @expected) = @_;
	my @first = map { $$_ } grep { ref eq 'SCALAR' } @$steps;
	my @between = grep { ref ne 'SCALAR' } @$steps;
	my @points = map { full_name($_) } grep { !ref } @between;

	for my $l (0 .. $#levels)
	{
		my $level = $levels[$l];
		my (@others, @result, $at);

		reset_tables();
		ask($_) for @first;
		my $session = hold($level, $held, @points);
		for my $step (@between)
		{
			last unless $session;
			if (!ref $step)
			{
				wake($at) if defined $at;
				last unless !defined $at || wait_at($session, full_name($step));
				$at = full_name($step);
				next;
			}
			my $other = start('other' . @others,
				"BEGIN ISOLATION LEVEL $level; $step->[0]; COMMIT");
			$other->{waits} = waits($other);
			push @others, $other;
		}
		if (!$session)
		{
			fail("$title, $level: held");
			next;
		}
		wake($at) unless is_over($session);
		push @result, 'held ' . answer($session);
		push @result,
		  'other ' . ($_->{waits} ? 'waits ' : '') . answer($_)
		  for @others;
		push @result, 'then ' . ask($after) =~ s/\n/,/gr;
		is(join('; ', @result), $expected[$l] // $expected[0],
			"$title, $level");
	}
	return;
}

# ---------------------------------------------------------------------------
# Keys: whoever calls for one key gets one row.

sub upsert_call
{
	my ($function, $table, $n) = @_;

	return $function =~ /_many$/
	  ? qq(SELECT string_agg(created::text, ' ' ORDER BY ordinality) FROM $function(NULL::$table, '[{"str": "a", "n": $n}]', '{str}'))
	  : qq(SELECT created::text FROM $function(NULL::$table, '{"str": "a"}', '{"n": $n}'));
}

for my $function (
	qw(get_or_create update_or_create get_or_create_many update_or_create_many))
{
	my $prefix = $function =~ /_many$/ ? 'upsert-many' : 'upsert';
	my $sets = $function =~ /^update/;

	for my $table ('loose', 'keyed', 'guarded')
	{
		my $held = upsert_call($function, $table, 1);
		my $rows = "SELECT string_agg(n::text, ' ' ORDER BY id) FROM $table";
		my $n = $sets ? 2 : 1;

		# The other one comes first, and its row is found under the lock.
		$n = $sets ? 1 : 2;
		race(
			"$table: same key while $function() has looked",
			$held,
			[ "$prefix-looked", [ upsert_call($function, $table, 2) ] ],
			$rows,
			"held false; other true; then $n",
			'held 40001; other true; then 2');
		$n = $sets ? 2 : 1;
		for my $point (qw(locked missing inserted))
		{
			race(
				"$table: same key while $function() is at $point",
				$held,
				[ "$prefix-$point", [ upsert_call($function, $table, 2) ] ],
				$rows,
				"held true; other waits false; then $n",
				'held true; other waits 40001; then 1');
		}
	}

	# Single calls and batches wait for each other.
	my $other =
	  $function =~ s/_many$//r . ($function =~ /_many$/ ? '' : '_many');
	race(
		"same key by $other() while $function() is to insert",
		upsert_call($function, 'loose', 1),
		[ "$prefix-missing", [ upsert_call($other, 'loose', 2) ] ],
		"SELECT count(*) FROM loose",
		'held true; other waits false; then 1',
		'held true; other waits 40001; then 1');

	# Writers that take no lock: a unique index, or the guard, stops the second.
	my $raw = [q(INSERT INTO keyed (str, n) VALUES ('a', 7))];
	my $raw_guarded = [q(INSERT INTO guarded (str, n) VALUES ('a', 7))];
	my $n = $sets ? 1 : 7;
	for my $point (qw(looked locked missing))
	{
		race(
			"plain INSERT while $function() is at $point",
			upsert_call($function, 'keyed', 1),
			[ "$prefix-$point", $raw ],
			'SELECT count(*), sum(n) FROM keyed',
			"held false; other ; then 1|$n",
			'held 40001; other ; then 1|7');
		next if $point eq 'looked';
		race(
			"plain INSERT, with a guard, while $function() is at $point",
			upsert_call($function, 'guarded', 1),
			[ "$prefix-$point", $raw_guarded ],
			'SELECT count(*), sum(n) FROM guarded',
			'held true; other waits 23505; then 1|1',
			'held true; other waits 40001; then 1|1');
	}
	race(
		"plain INSERT while $function() has inserted",
		upsert_call($function, 'keyed', 1),
		[ "$prefix-inserted", $raw ],
		'SELECT count(*), sum(n) FROM keyed',
		'held true; other waits 23505; then 1|1');

	# Tables that change.
	race(
		"CREATE UNIQUE INDEX while $function() has locked the key",
		upsert_call($function, 'loose', 1),
		[
			"$prefix-locked",
			['CREATE UNIQUE INDEX loose_key ON loose (str)'],
			[q(INSERT INTO loose (str, n) VALUES ('a', 7))]
		],
		'SELECT count(*) FROM loose; DROP INDEX loose_key',
		'held false; other ; other ; then 1',
		'held 40001; other ; other ; then 1') if !$sets;
	race(
		"CREATE UNIQUE INDEX while $function() is to insert",
		upsert_call($function, 'loose', 1),
		[
			"$prefix-missing",
			['CREATE UNIQUE INDEX loose_key ON loose (str)'],
			[q(INSERT INTO loose (str, n) VALUES ('a', 7))]
		],
		'SELECT count(*) FROM loose; DROP INDEX loose_key',
		'held true; other waits ; other waits 23505; then 1');
	for my $point (qw(looked locked missing inserted))
	{
		race(
			"ALTER TABLE while $function() is at $point",
			upsert_call($function, 'loose', 1),
			[ "$prefix-$point", ['ALTER TABLE loose RENAME str TO other'] ],
			'SELECT count(other) FROM loose; ALTER TABLE loose RENAME other TO str',
			'held true; other waits ; then 1');
		ask('DROP TABLE IF EXISTS doomed; CREATE TABLE doomed (str text, n integer)');
		race(
			"DROP TABLE while $function() is at $point",
			upsert_call($function, 'doomed', 1),
			[ "$prefix-$point", ['DROP TABLE doomed'] ],
			q(SELECT to_regclass('doomed') IS NULL; CREATE TABLE doomed (str text, n integer)),
			'held true; other waits ; then t');
	}
}

# The row that an INSERT yielded to is gone when we look for it.
my $insert_keyed = [q(INSERT INTO keyed (str, n) VALUES ('a', 7))];
race(
	'the row is deleted that get_or_create() has yielded to',
	upsert_call('get_or_create', 'keyed', 1),
	[
		'upsert-missing', $insert_keyed,
		'upsert-yielded', [q(DELETE FROM keyed WHERE str = 'a')]
	],
	'SELECT count(*), sum(n) FROM keyed',
	'held true; other ; other ; then 1|1',
	'held 40001; other ; then 1|7');

# The row that is to be updated is gone, or has another key, or is another one,
# when it is to be locked.
for my $case (
	[ 'deleted', 'DELETE FROM watched', 'true', '1|1' ],
	[ 'renamed', q(UPDATE watched SET str = 'b'), 'true', '2|1' ],
	[
		'replaced',
		q(DELETE FROM watched; INSERT INTO watched (str, n) VALUES ('a', 8)),
		'false',
		'1|1'
	])
{
	my ($how, $sql, $created, $then) = @$case;

	for my $many ('', '_many')
	{
		my $prefix = $many ? 'upsert-many' : 'upsert';

		race(
			"the row is $how that update_or_create$many() has found",
			upsert_call("update_or_create$many", 'watched', 1),
			[
				\q(INSERT INTO watched (str, n) VALUES ('a', 0)),
				"$prefix-found",
				[$sql]
			],
			q(SELECT count(*), sum(n) FILTER (WHERE str = 'a') FROM watched),
			"held $created; other ; then $then",
			'held 40001; other ; then '
			  . { deleted => '0|', renamed => '1|', replaced => '1|8' }->{$how});
	}
}

# Batches that name the same keys in opposite orders, and other keys.
my $batch = q(SELECT string_agg(created::text, ' ' ORDER BY ordinality) FROM %s(NULL::loose, '[{"str": "%s"}, {"str": "%s"}]', '{str}'));
for my $function (qw(get_or_create_many update_or_create_many))
{
	for my $point (qw(locked missing inserted))
	{
		race(
			"opposite batches of $function() at $point",
			sprintf($batch, $function, 'a', 'b'),
			[
				"upsert-many-$point",
				[ sprintf($batch, $function, 'b', 'a') ],
				[ sprintf($batch, $function, 'c', 'd') ]
			],
			'SELECT count(*) FROM loose',
			# Its row order needs a primary key: without, updates take turns.
			$function =~ /^get/
			? (
				'held true true; other waits false false; other true true; then 4',
				'held true true; other waits 40001; other true true; then 4')
			: (
				'held true true; other waits false false; other waits true true; then 4',
				'held true true; other waits 40001; other waits true true; then 4'));
	}
}

# One of them has locked its first key only: the other one waits for the same key.
race(
	'opposite batches, one of two keys locked',
	sprintf($batch, 'get_or_create_many', 'a', 'b'),
	[ 'key-locked', [ sprintf($batch, 'get_or_create_many', 'b', 'a') ] ],
	'SELECT count(*) FROM loose',
	'held true true; other waits false false; then 2',
	'held true true; other waits 40001; then 2');

# The guard of a plain INSERT.
for my $case (
	[ 'fired', 'held 23505; other true; then 1|2',
		'held 40001; other true; then 1|2' ],
	map {
		[ $_, 'held ; other waits false; then 1|7',
			'held ; other waits 40001; then 1|7' ]
	} qw(locked checked))
{
	my ($point, @expected) = @$case;

	race(
		"get_or_create() while the guard of an INSERT is at $point",
		q(INSERT INTO guarded (str, n) VALUES ('a', 7)),
		[ "guard-$point", [ upsert_call('get_or_create', 'guarded', 2) ] ],
		'SELECT count(*), sum(n) FROM guarded',
		@expected);
	race(
		"plain INSERT while the guard of an INSERT is at $point",
		q(INSERT INTO guarded (str, n) VALUES ('a', 7)),
		[ "guard-$point", [q(INSERT INTO guarded (str, n) VALUES ('a', 2))] ],
		'SELECT count(*), sum(n) FROM guarded',
		map { s/other true/other /r }
		  map { s/waits false/waits 23505/r } @expected);
}

# ---------------------------------------------------------------------------
# Money: none is lost or made, no account is overdrawn, a request is booked once.

# A transfer, alone or as a batch of one.  It prints whether it was replayed.
sub transfer_call
{
	my ($kind, $from, $to, $amount, $request) = @_;
	my $table = $kind eq 'plain' ? 'plain' : 'audited';
	my $journal =
	  $request ? ", journal => '${table}_journal'" : '';

	return
	  "SELECT CASE status WHEN 'ok' THEN 'done' ELSE status END FROM transfer_many(NULL::$table, ARRAY[$from], ARRAY[$to], ARRAY[$amount]::numeric[]"
	  . ($request ? ", ARRAY['$request']$journal)" : ')')
	  if $kind eq 'batch';
	return
	  "SELECT CASE WHEN replayed THEN 'replayed' ELSE 'done' END FROM transfer(NULL::$table, $from, $to, $amount"
	  . ($request ? "$journal, request_id => '$request')" : ')');
}

sub reversal_call
{
	my ($kind, $entry) = @_;
	my $table = $kind eq 'plain' ? 'plain' : 'audited';

	return
	  "SELECT CASE status WHEN 'ok' THEN 'done' ELSE status END FROM transfer_many(NULL::$table, ARRAY[NULL]::integer[], ARRAY[NULL]::integer[], ARRAY[NULL]::numeric[], journal => '${table}_journal', entry_ids => ARRAY[$entry]::bigint[])"
	  if $kind eq 'batch';
	return
	  "SELECT 'done' FROM reverse_transfer(NULL::$table, '${table}_journal', $entry)";
}

# What each way to make a transfer goes through, once the request is claimed.
my %points_of = (
	plain => [qw(accounts-half-stored accounts-stored transfer-booked)],
	audited => [
		qw(accounts-locked accounts-half-stored accounts-stored transfer-booked)
	],
	batch => [qw(accounts-locked accounts-stored transfer-booked)]);

for my $kind (qw(plain audited batch))
{
	my $table = $kind eq 'plain' ? 'plain' : 'audited';
	my $balances =
	  "SELECT string_agg(trunc(balance)::text, ' ' ORDER BY id) FROM $table";
	my $booked = "$balances; SELECT count(*) FROM ${table}_journal";
	my $pay = transfer_call($kind, 1, 2, 100);
	my $back = [ transfer_call($kind, 2, 1, 30) ];
	my $spend = [ transfer_call($kind, 1, 3, 60) ];
	my $once = transfer_call($kind, 1, 2, 10, 'r');
	my $again = [$once];
	my $differs = [ transfer_call($kind, 1, 2, 11, 'r') ];
	my $raw = [
		"INSERT INTO ${table}_journal (request_id, from_id, to_id, amount, from_balance, to_balance) VALUES ('r', 1, 2, 11, 0, 0)"
	];

	# Nothing is locked yet: who comes first, wins.
	race("$kind: the opposite transfer, nothing locked",
		$pay, [ 'request-claimed', $back ], $balances,
		'held done; other done; then 30 170 100',
		'held 40001; other done; then 130 70 100');
	race("$kind: the money is spent, nothing locked",
		$pay, [ 'request-claimed', $spend ], $balances,
		'held RF001; other done; then 40 100 160',
		'held 40001; other done; then 40 100 160');
	race("$kind: the payee is deleted, nothing locked",
		$pay, [ 'request-claimed', ["DELETE FROM $table WHERE id = 2"] ],
		$balances,
		'held RF002; other ; then 100 100',
		'held 40001; other ; then 100 100');
	race("$kind: plain UPDATE, nothing locked",
		$pay,
		[ 'request-claimed',
			["UPDATE $table SET balance = balance + 1 WHERE id = 1"] ],
		$balances,
		'held done; other ; then 1 200 100',
		'held 40001; other ; then 101 100 100');

	# The request is not locked yet, and is booked meanwhile.
	race("$kind: same request, which is not locked yet",
		$once, [ 'request-looked', $again ], $booked,
		'held replayed; other done; then 90 110 100,1',
		'held 40001; other done; then 90 110 100,1');
	race("$kind: another transfer with that request, which is not locked yet",
		$once, [ 'request-looked', $differs ], $booked,
		'held RF003; other done; then 89 111 100,1',
		'held 40001; other done; then 89 111 100,1');

	for my $point (@{ $points_of{$kind} })
	{
		race("$kind: the opposite transfer at $point",
			$pay, [ $point, $back ], $balances,
			'held done; other waits done; then 30 170 100',
			'held done; other waits 40001; then 0 200 100');
		race("$kind: the same money is to be spent at $point",
			$pay, [ $point, $spend ], $balances,
			'held done; other waits RF001; then 0 200 100',
			'held done; other waits 40001; then 0 200 100');
		race("$kind: plain UPDATE at $point",
			$pay,
			[ $point, ["UPDATE $table SET balance = balance + 1 WHERE id = 1"] ],
			$balances,
			'held done; other waits ; then 1 200 100',
			'held done; other waits 40001; then 0 200 100');
		race("$kind: ALTER TABLE at $point",
			$pay, [ $point, ["ALTER TABLE $table ALTER balance SET NOT NULL"] ],
			"$balances; ALTER TABLE $table ALTER balance DROP NOT NULL",
			'held done; other waits ; then 0 200 100');

		# Of two accounts, the second is not locked with the first one's UPDATE.
		my $late = $kind eq 'plain' && $point eq 'accounts-half-stored';
		race("$kind: the payee is deleted at $point",
			$pay, [ $point, ["DELETE FROM $table WHERE id = 2"] ], $balances,
			$late
			? (
				'held RF002; other ; then 100 100',
				'held 40001; other ; then 100 100')
			: (
				'held done; other waits ; then 0 100',
				'held done; other waits 40001; then 0 200 100'));
	}
	for my $point ('request-locked', 'request-claimed', @{ $points_of{$kind} })
	{
		race("$kind: same request at $point",
			$once, [ $point, $again ], $booked,
			'held done; other waits replayed; then 90 110 100,1',
			'held done; other waits 40001; then 90 110 100,1');
		race("$kind: another transfer with that request at $point",
			$once, [ $point, $differs ], $booked,
			'held done; other waits RF003; then 90 110 100,1',
			'held done; other waits 40001; then 90 110 100,1');
		race("$kind: ALTER TABLE of the journal at $point",
			$once, [ $point, ["ALTER TABLE ${table}_journal ADD COLUMN x integer"] ],
			"$booked; ALTER TABLE ${table}_journal DROP COLUMN x",
			'held done; other waits ; then 90 110 100,1');
		race("$kind: plain INSERT of that request at $point",
			$once, [ $point, $raw ], $booked,
			$point eq 'transfer-booked'
			? 'held done; other waits 23505; then 90 110 100,1'
			: $point eq 'request-locked' ? (
				'held RF003; other ; then 100 100 100,1',
				'held 40001; other ; then 100 100 100,1')
			: 'held 23505; other ; then 100 100 100,1');
	}

	# An entry is reversed once.
	my $reverse = reversal_call($kind, 1);
	my $first = \"DO \$\$BEGIN PERFORM FROM (@{[ transfer_call($kind, 2, 1, 10, 'first') ]}) AS t; END\$\$";
	race("$kind: same reversal, which is not locked yet",
		$reverse, [ $first, 'request-looked', [$reverse] ], $booked,
		'held RF006; other done; then 100 100 100,2');
	for my $point ('request-locked', 'request-claimed', @{ $points_of{$kind} })
	{
		race("$kind: same reversal at $point",
			$reverse, [ $first, $point, [$reverse] ], $booked,
			'held done; other waits RF006; then 100 100 100,2');
	}
}

# ---------------------------------------------------------------------------
# Commit record and release of locks

my $get = upsert_call('get_or_create', 'keyed', 1);
my $get_other = [ upsert_call('get_or_create', 'keyed', 2) ];
my $update_other = [ upsert_call('update_or_create', 'keyed', 2) ];
my $rows = 'SELECT count(*), sum(n) FROM keyed';

race(
	'same key while a commit is written, and not visible',
	'SET LOCAL synchronous_commit = on; '
	  . upsert_call('get_or_create', 'loose', 1),
	[
		'SyncRep',
		['SELECT count(*) FROM loose'],
		[ upsert_call('get_or_create', 'loose', 2) ]
	],
	'SELECT count(*), sum(n) FROM loose',
	'held true; other 0; other waits false; then 1|1',
	'held true; other 0; other waits 40001; then 1|1');
race(
	'plain INSERT while a commit is written, and not visible',
	"SET LOCAL synchronous_commit = on; $get",
	[ 'SyncRep', $insert_keyed ],
	$rows,
	'held true; other waits 23505; then 1|1');
for my $kind (qw(plain audited batch))
{
	my $table = $kind eq 'plain' ? 'plain' : 'audited';
	my $call = transfer_call($kind, 1, 2, 60, 'r');

	race(
		"$kind: same request while a commit is written, and not visible",
		"SET LOCAL synchronous_commit = on; $call",
		[ 'SyncRep', [$call] ],
		"SELECT count(*) FROM ${table}_journal",
		'held done; other waits replayed; then 1',
		'held done; other waits 40001; then 1');
	race(
		"$kind: same money while a commit is written, and not visible",
		"SET LOCAL synchronous_commit = on; $call",
		[ 'SyncRep', [ transfer_call($kind, 1, 3, 60) ] ],
		"SELECT trunc(sum(balance)), trunc(min(balance)) FROM $table",
		'held done; other waits RF001; then 300|40',
		'held done; other waits 40001; then 300|40');
}

# Such a transaction has changed a catalog; the point is PostgreSQL 18's.
if ($node->safe_psql('postgres', 'SHOW server_version_num') >= 180000)
{
	my $catalog = "COMMENT ON EXTENSION racefree IS 'x'";
	my $end = 'transaction-end-process-inval';

	race(
		'same key while a commit is visible, and its locks are held',
		"$catalog; $get", [ $end, $get_other, $update_other, $insert_keyed ],
		$rows,
		'held true; other false; other false; other 23505; then 1|2');
	race(
		'same key in a batch while a commit is visible, and its locks are held',
		"$catalog; $get",
		[
			$end,
			[ upsert_call('get_or_create_many', 'keyed', 2) ],
			[ upsert_call('update_or_create_many', 'keyed', 2) ],
		],
		$rows,
		'held true; other false; other waits false; then 1|2');
	for my $kind (qw(plain audited batch))
	{
		my $table = $kind eq 'plain' ? 'plain' : 'audited';
		my $waits = $kind eq 'batch' ? 'waits ' : '';
		my $call = transfer_call($kind, 1, 2, 60, 'r');

		race(
			"$kind: same request while a commit is visible, and its locks are held",
			"$catalog; $call",
			[
				$end, [$call],
				[ transfer_call($kind, 1, 2, 61, 'r') ],
				[ transfer_call($kind, 1, 3, 60) ]
			],
			"SELECT count(*) FROM ${table}_journal",
			"held done; other ${waits}replayed; other ${waits}RF003; other RF001; then 1"
		);
	}
}

# ---------------------------------------------------------------------------
# Who is terminated, or gets an error, leaves nothing behind.

my @stops;
for my $function (
	qw(get_or_create update_or_create get_or_create_many update_or_create_many))
{
	push @stops,
	  map {
		{
			point => ($function =~ /many/ ? 'upsert-many' : 'upsert') . "-$_",
			by => "$function()",
			held => upsert_call($function, 'loose', 1),
			other => upsert_call($function, 'loose', 2),
			result => 'true',
			after => 'SELECT string_agg(n::text, \' \') FROM loose',
			left => '2',
		}
	  } qw(looked locked missing inserted);
}
push @stops,
  map {
	{
		point => "guard-$_",
		by => 'a plain INSERT',
		held => q(INSERT INTO guarded (str, n) VALUES ('a', 1)),
		other => q(INSERT INTO guarded (str, n) VALUES ('a', 2)),
		result => '',
		after => 'SELECT string_agg(n::text, \' \') FROM guarded',
		left => '2',
	}
  } qw(fired locked checked);
for my $kind (qw(plain audited batch))
{
	my $table = $kind eq 'plain' ? 'plain' : 'audited';

	push @stops, map {
		{
			point => $_,
			by => "a transfer ($kind)",
			held => transfer_call($kind, 1, 2, 10, 'r'),
			other => transfer_call($kind, 1, 2, 10, 'r'),
			result => 'done',
			after =>
			  "SELECT string_agg(trunc(balance)::text, ' ' ORDER BY id) FROM $table; SELECT count(*) FROM ${table}_journal",
			left => '90 110 100,1',
		}
	} qw(request-looked request-locked request-claimed), @{ $points_of{$kind} };
}

my $no_locks = "SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
	WHERE a.application_name <> '' AND a.pid <> pg_backend_pid() AND l.locktype = 'advisory'";

for my $stop (@stops)
{
	my $point = "racefree-$stop->{point}";
	my $waits = $point =~ /looked|fired/ ? '' : 'waits ';

	# Another one waits for the session that is terminated.
	reset_tables();
	my $session = hold('READ COMMITTED', $stop->{held}, $point);
	if (!$session)
	{
		fail("$stop->{by} is held at $point");
		next;
	}
	my $other = start('other', $stop->{other});
	$other->{waits} = waits($other);
	ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		 WHERE application_name = 'held'");
	$session->{run}->finish;
	is( join('; ',
			($other->{waits} ? 'waits ' : '') . answer($other),
			ask($stop->{after}) =~ s/\n/,/gr,
			ask($no_locks)),
		"$waits$stop->{result}; $stop->{left}; 0",
		"$stop->{by} is terminated at $point");

	# After an error there, and ROLLBACK TO, no lock is left in the transaction.
	reset_tables();
	my $failed = start('failed', <<"SQL");
DO \$\$BEGIN
	PERFORM injection_points_set_local();
	PERFORM injection_points_attach('$point', 'error');
END\$\$;
BEGIN;
SAVEPOINT s;
$stop->{held};
ROLLBACK TO s;
SELECT count(*) FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'advisory';
DO \$\$BEGIN PERFORM injection_points_detach('$point'); END\$\$;
$stop->{other};
COMMIT
SQL
	is( join('; ', answer($failed), ask($stop->{after}) =~ s/\n/,/gr),
		join(',', 'XX000', 0, length $stop->{result} ? $stop->{result} : ())
		  . "; $stop->{left}",
		"$stop->{by} fails at $point");
}

# A process that is killed between one account and the other takes the server
# down.
reset_tables();
my $call = transfer_call('plain', 1, 2, 10, 'r');
my $balances = "SELECT string_agg(trunc(balance)::text, ' ' ORDER BY id),
	(SELECT count(*) FROM plain_journal) FROM plain";
my $session =
  hold('READ COMMITTED', $call, 'racefree-accounts-half-stored');
ok($session, 'a transfer is held between two accounts');
kill 'KILL',
  ask("SELECT pid FROM pg_stat_activity WHERE application_name = 'held'");
$session->{run}->finish;
$control->finish;
wait_for_server($node);
$control = start_control();
is(ask($balances), '100 100 100|0', 'it is killed: nothing was moved');
is(answer(start('other', $call)), 'done', 'it is killed: its request is booked then');
is(ask($balances), '90 110 100|1', 'it is killed: once');

is( join("\n",
		grep { /PANIC|TRAP|deadlock/ } split /\n/,
		slurp_file($node->logfile)),
	'',
	'no deadlock in all of this');

$orders = "\\q\n";
$control->finish;
$node->stop;

done_testing();
