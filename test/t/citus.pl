# Copyright (c) 2026, the racefree developers

# Tables that Citus manages: what each function does with each kind of table, on
# the coordinator and on a worker; that what cannot be promised is refused before
# anything is written; and that what is not refused is kept when three nodes ask
# for the same at once.
#
# Needs Citus among the server's extensions.  RACEFREE_CALLS (60) sets the size.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Test::More;

use Citus qw(start_citus on_coordinator gives refused fails start_psql at_once);

my $calls = $ENV{RACEFREE_CALLS} || 60;
my ($coordinator, @workers) = my @nodes = start_citus();

# ---------------------------------------------------------------------------
# Tables of each kind.

on_coordinator(
	'CREATE TABLE by_key (k integer, v text, UNIQUE (k))',
	'CREATE TABLE by_key_bare (k integer, v text)',
	'CREATE TABLE by_other (d integer, k integer, v text, UNIQUE (d, k))',
	'CREATE TABLE everywhere (k integer UNIQUE, v text)',
	'CREATE TABLE everywhere_bare (k integer, v text)',
	'CREATE TABLE one_node (k integer UNIQUE, v text)',
	'CREATE TABLE one_node_bare (k integer, v text)',
	'CREATE TABLE here (k integer UNIQUE, v text)',
	'CREATE TABLE here_bare (k integer, v text)',
	'CREATE TABLE plain (k integer, v text)',
	"SELECT create_distributed_table('by_key', 'k')",
	"SELECT create_distributed_table('by_key_bare', 'k')",
	"SELECT create_distributed_table('by_other', 'd')",
	"SELECT create_reference_table('everywhere')",
	"SELECT create_reference_table('everywhere_bare')",
	"SELECT create_distributed_table('one_node', NULL)",
	"SELECT create_distributed_table('one_node_bare', NULL)",
	"SELECT citus_add_local_table_to_metadata('here')",
	"SELECT citus_add_local_table_to_metadata('here_bare')");

my $not_unique = qr/cannot keep the key unique in table/;

for my $node ($coordinator, $workers[0])
{
	my $k = $node == $coordinator ? 1 : 2;
	my $key = qq('{"k": $k}');

	for my $table ('by_key', 'everywhere', 'one_node', 'here')
	{
		gives($node, "SELECT get_or_create(NULL::$table, $key, '{\"v\": \"a\"}')",
			qq[("($k,a)",t)], "get_or_create creates a row of $table");
		gives($node, "SELECT get_or_create(NULL::$table, $key, '{\"v\": \"b\"}')",
			qq[("($k,a)",f)], "get_or_create finds a row of $table");
		gives($node, "SELECT update_or_create(NULL::$table, $key, '{\"v\": \"c\"}')",
			qq[("($k,c)",f)], "update_or_create updates a row of $table");
		gives($node, "SELECT update_or_create(NULL::$table, $key, '{}')",
			qq[("($k,c)",f)], "update_or_create locks a row of $table");
	}
	for my $table ('everywhere_bare', 'by_other')
	{
		refused($node, "SELECT get_or_create(NULL::$table, $key)", $not_unique,
			"get_or_create does not create a row of $table");
		refused($node, "SELECT update_or_create(NULL::$table, $key, '{\"v\": \"a\"}')",
			$not_unique, "update_or_create does not create a row of $table");
	}
	for my $table ('by_key', 'by_key_bare', 'one_node', 'one_node_bare', 'here', 'here_bare')
	{
		gives($node, "SELECT lock_keys('{\"$table\": [{\"k\": 1}, {\"k\": 2}]}')", '',
			"lock_keys locks keys of $table");
	}
	for my $table ('by_other', 'everywhere')
	{
		refused($node, "SELECT lock_keys('{\"$table\": [{\"k\": 1}]}')",
			'cannot lock keys of table', "lock_keys refuses $table");
	}
}
refused($coordinator, q(SELECT get_or_create(NULL::by_key_bare, '{"k": null}')), $not_unique,
	'get_or_create does not create a row without a value in the distribution column');

# A row that is there is found in any table.
is($coordinator->safe_psql('postgres', 'SELECT count(*) FROM everywhere_bare'), 0,
	'what was refused has written nothing');
on_coordinator(map { "INSERT INTO $_ (k, v) VALUES (7, 'there')" }
	'by_key_bare', 'everywhere_bare', 'one_node_bare');
on_coordinator(q(INSERT INTO by_other VALUES (1, 7, 'there')));
for my $table ('by_key_bare', 'everywhere_bare', 'one_node_bare')
{
	gives($workers[1], qq(SELECT get_or_create(NULL::$table, '{"k": 7}')), '("(7,there)",f)',
		"get_or_create finds a row of $table");
}
gives($coordinator, q(SELECT update_or_create(NULL::by_other, '{"k": 7}', '{"v": "set"}')),
	'("(1,7,set)",f)', 'update_or_create finds a row without the distribution column');
refused($coordinator, q(SELECT update_or_create(NULL::by_other, '{"k": 7}', '{}')),
	'cannot lock a row of table "by_other" without its column "d"',
	'update_or_create does not lock a row without the distribution column');
gives($coordinator, q(SELECT update_or_create(NULL::by_other, '{"k": 7, "d": 1}', '{}')),
	'("(1,7,set)",f)', 'update_or_create locks a row with it');
gives($workers[0], q(SELECT get_or_create(NULL::by_other, '{"k": 7, "d": 2}')), '("(2,7,)",t)',
	'get_or_create creates a row with it');

# ---------------------------------------------------------------------------
# What a session knows of a table follows what Citus makes of it.

my $session = $coordinator->background_psql('postgres', on_error_stop => 0);
sub in_session
{
	my ($query) = @_;
	my $out = $session->query_until(qr/done/, "$query;\n\\echo done\n");

	$out =~ s/\s*done\s*\z//;
	return $out;
}

is(in_session(q(SELECT created FROM get_or_create(NULL::plain, '{"k": 1}'))), 't',
	'a plain table is no matter of Citus');
in_session(q(SELECT create_distributed_table('plain', 'k')));
is(in_session(q(SELECT created FROM get_or_create(NULL::plain, '{"v": "2"}'))), '',
	'once it is distributed, a key is kept unique in a shard only');
in_session(q(SELECT undistribute_table('plain')));
is(in_session(q(SELECT created FROM get_or_create(NULL::plain, '{"v": "2"}'))), 't',
	'and anywhere when it is a plain table again');
$session->quit;

# ---------------------------------------------------------------------------
# Three nodes ask for the same keys at once.

for my $table ('by_key', 'everywhere', 'one_node', 'here')
{
	my $script = join '',
	  map { qq(SELECT created FROM get_or_create(NULL::$table, '{"k": $_}');\n) } 100 .. 99 + $calls;
	my @results = at_once(($script) x 3);
	my $created = () = join('', map { $_->{out} } @results) =~ /^t$/mg;

	is(join('', map { $_->{err} } @results), '', "three nodes get rows of $table without errors");
	is($created, $calls, "each row of $table was created by one of them");
	is( $coordinator->safe_psql(
			'postgres', "SELECT count(*), count(DISTINCT k) FROM $table WHERE k >= 100"),
		"$calls|$calls", "there is one row of $table for each key");
}
for my $table ('everywhere_bare')
{
	at_once((qq(SELECT get_or_create(NULL::$table, '{"k": 1}');\n)) x 3);
	is($coordinator->safe_psql('postgres', "SELECT count(*) < 2 FROM $table WHERE k = 1"),
		't', "there is no second row of $table");
}

# At REPEATABLE READ, other nodes show what they showed before the lock.
for my $table ('by_key', 'by_key_bare')
{
	my $repeatable = $coordinator->background_psql('postgres', on_error_stop => 0);

	$repeatable->query_until(qr/looked/, qq(
\\set VERBOSITY sqlstate
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM $table WHERE k = 50;
\\echo looked
));
	$coordinator->psql('postgres', qq(SELECT get_or_create(NULL::$table, '{"k": 50}')));
	$repeatable->query_until(qr/done/, qq(
SELECT created FROM get_or_create(NULL::$table, '{"k": 50}');
COMMIT;
\\echo done
));
	$repeatable->quit;
	is($coordinator->safe_psql('postgres', "SELECT count(*) FROM $table WHERE k = 50"), 1,
		"REPEATABLE READ makes no second row of $table");
}

# A row of a transaction that was prepared, and whose COMMIT PREPARED got lost, is
# not visible until Citus recovers the transaction.  Who asks for it waits.
my ($shard, $port) = split /\|/, $coordinator->safe_psql('postgres', q(
SELECT shard_name, nodeport FROM citus_shards
	WHERE shardid = get_shard_id_for_distribution_column('by_key', 70)));
my ($owner) = grep { $_->port == $port } @nodes;

$owner->safe_psql('postgres', "SET citus.enable_manual_changes_to_shards = on;
BEGIN; INSERT INTO $shard VALUES (70, 'prepared'); PREPARE TRANSACTION 'stuck'");
my $asked = { out => '', err => '' };
my $waiting = start_psql($coordinator, $asked, '-c',
	q(SELECT created, (object).v FROM get_or_create(NULL::by_key, '{"k": 70}')));
$owner->poll_query_until('postgres', 'SELECT count(*) > 0 FROM pg_locks WHERE NOT granted')
  or die 'get_or_create does not wait';
$owner->safe_psql('postgres', "COMMIT PREPARED 'stuck'");
$waiting->finish;
is($asked->{out} . $asked->{err}, "f|prepared\n", 'who asks for a row that was prepared waits, and gets it');

# ---------------------------------------------------------------------------
# key_guard() on shards.

on_coordinator(
	"SET citus.enable_unsafe_triggers = on;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON by_key_bare FOR EACH ROW EXECUTE FUNCTION key_guard('k')",
	'CREATE TABLE guarded_other (d integer, k integer)',
	"SELECT create_distributed_table('guarded_other', 'd')",
	"SET citus.enable_unsafe_triggers = on;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded_other FOR EACH ROW EXECUTE FUNCTION key_guard('k')");
my ($status, $out, $err) = $workers[0]->psql('postgres', '
\set VERBOSITY sqlstate
INSERT INTO by_key_bare VALUES (7)');
like($err, qr/23505/, 'key_guard keeps a key unique that has the distribution column');
refused($coordinator, 'INSERT INTO guarded_other VALUES (1, 1)',
	'trigger "guard.*" cannot guard a key over all shards', 'key_guard refuses another key');

# ---------------------------------------------------------------------------
# Accounts of each kind.

my %distribute = (
	hashed => "create_distributed_table('hashed', 'id')",
	copied => "create_reference_table('copied')",
	single => "create_distributed_table('single', NULL)",
	local => "citus_add_local_table_to_metadata('local')",
	tenants => "create_distributed_table('tenants', 'tenant')");

on_coordinator(
	(   map {
			(   "CREATE TABLE $_ (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL, held numeric(12,2) NOT NULL DEFAULT 0)",
				"SELECT $distribute{$_}",
				"INSERT INTO $_ SELECT i, 100 FROM generate_series(1, 20) AS i")
		} 'hashed', 'copied', 'single', 'local'),
	'CREATE TABLE tenants (tenant integer, id integer, balance numeric, PRIMARY KEY (tenant, id))',
	"SELECT $distribute{tenants}",
	'INSERT INTO tenants VALUES (1, 1, 100), (1, 2, 100)');

for my $node ($coordinator, $workers[0])
{
	my $balance = $node == $coordinator ? 99 : 98;

	for my $accounts ('hashed', 'copied', 'single', 'local')
	{
		gives($node,
			"SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::$accounts, 1, 2, 1)",
			"$balance.00|" . (200 - $balance) . '.00', "transfer between accounts of $accounts");
	}
	refused($node, q(SELECT transfer(NULL::tenants, 1, 2, 1, id_column => 'id')),
		'cannot be found by their ids alone', 'transfer refuses accounts that are distributed otherwise');
	for my $accounts ('hashed', 'copied', 'single', 'local')
	{
		gives($node, "SELECT id FROM lock_rows(NULL::$accounts, ARRAY[2, 1])", "2\n1",
			"lock_rows locks rows of $accounts");
	}
}

# ---------------------------------------------------------------------------
# Journals.

refused($coordinator, "SELECT create_journal('x', NULL::hashed)", 'cannot have foreign keys to accounts',
	'create_journal makes no foreign keys to hashed');
for my $accounts ('single', 'local')
{
	refused($coordinator, "SELECT create_journal('x', NULL::$accounts, held_column => 'held')",
		'nothing can be held in table', "create_journal makes no holds beside $accounts");
	refused($coordinator, "SELECT create_journal('x', NULL::$accounts, guarded => true)",
		'cannot be guarded', "create_journal does not guard $accounts");
	refused($coordinator, "SELECT create_journal('x', NULL::$accounts, partition_by => 'RANGE (id)')",
		'cannot partition a journal', "create_journal makes no partitions beside $accounts");
}
is($coordinator->safe_psql('postgres', "SELECT to_regclass('x') IS NULL"), 't', 'what was refused is not there');

on_coordinator(
	"SELECT create_journal('hashed_journal', NULL::hashed, request_id_type => 'text', foreign_keys => false)",
	map { "SELECT create_journal('${_}_journal', NULL::$_, request_id_type => 'text')" } 'copied', 'single', 'local');
is( $coordinator->safe_psql('postgres', q(
SELECT logicalrelid, partmethod, (colocationid = (SELECT colocationid FROM pg_dist_partition
	WHERE logicalrelid = 'single'::regclass))::text FROM pg_dist_partition
	WHERE logicalrelid::text LIKE '%journal' ORDER BY logicalrelid::text)), join("\n",
		'copied_journal|n|false', 'hashed_journal|n|false', 'local_journal|n|false', 'single_journal|n|true'),
	'journals are where they belong');
is( $coordinator->safe_psql('postgres', q(
SELECT conrelid::regclass, count(*) FROM pg_constraint
	WHERE contype = 'f' AND conrelid::regclass::text LIKE '%journal' GROUP BY 1 ORDER BY conrelid::regclass::text COLLATE "C")), join("\n",
		'copied_journal|4', 'local_journal|4', 'single_journal|4'), 'and have foreign keys where they can');

for my $accounts ('hashed', 'copied', 'single', 'local')
{
	my $pay = "SELECT replayed FROM transfer(NULL::$accounts, 1, 2, 1, journal => '${accounts}_journal'";

	gives($coordinator, "$pay, request_id => 'first')", 'f', "a request is booked beside $accounts");
	gives($coordinator, "$pay, request_id => 'first')", 't', "and replayed beside $accounts");
	gives($coordinator, "$pay)", 'f', "a transfer without request is booked beside $accounts");
	gives($workers[0], "$pay, request_id => 'second')", 'f', "a worker books a request beside $accounts");
	gives($workers[1], "$pay, request_id => 'first')", 't', "another one replays the first beside $accounts");
	gives($workers[0],
		"SELECT amount FROM reverse_transfer(NULL::$accounts, '${accounts}_journal', 1, 0.25)",
		'0.25', "a worker reverses beside $accounts");
	gives($coordinator,
		"SELECT amount FROM reverse_transfer(NULL::$accounts, '${accounts}_journal', 1)",
		'0.75', "the coordinator reverses beside $accounts what is left");
	fails($workers[1], "SELECT reverse_transfer(NULL::$accounts, '${accounts}_journal', 1)",
		'RF006', "and another worker finds nothing left beside $accounts");
	for my $change ("UPDATE ${accounts}_journal SET amount = 2", "DELETE FROM ${accounts}_journal",
		"TRUNCATE ${accounts}_journal")
	{
		($status, $out, $err) = $coordinator->psql('postgres', "\\set VERBOSITY sqlstate\n$change");
		like($err, qr/55000/, "$change is refused");
	}
}

# A journal that Citus does not know, beside accounts that it does, and the
# other way round.
on_coordinator(
	'CREATE TABLE purse (id integer PRIMARY KEY, balance numeric NOT NULL)',
	'INSERT INTO purse VALUES (1, 100), (2, 100)',
	"SELECT create_journal('purse_journal', NULL::purse, request_id_type => 'text')",
	'CREATE TABLE far_journal (request_id text UNIQUE, from_id integer, to_id integer, amount numeric)',
	"SELECT create_distributed_table('far_journal', 'request_id')");
my $to_plain = "SELECT transfer(NULL::%s, 1, 2, 1, journal => 'plain_journal', request_id => 'r')";
on_coordinator('CREATE TABLE plain_journal (request_id text UNIQUE, from_id integer, to_id integer, amount numeric)');
for my $accounts ('hashed', 'copied', 'single')
{
	refused($coordinator, sprintf($to_plain, $accounts), 'are not committed as one',
		"no entry in a plain journal beside $accounts");
}
gives($coordinator, "SELECT replayed FROM transfer(NULL::purse, 1, 2, 1, journal => 'purse_journal', request_id => 'r')",
	'f', 'plain accounts and their journal are no matter of Citus');
refused($coordinator, "SELECT transfer(NULL::purse, 1, 2, 1, journal => 'far_journal', request_id => 'r')",
	'are not committed as one', 'no entry in a distributed journal beside plain accounts');
on_coordinator("SELECT citus_add_local_table_to_metadata('plain_journal')");
gives($coordinator, sprintf($to_plain =~ s/SELECT/SELECT replayed FROM/r, 'hashed'), 'f',
	'the hint helps');

# The entry has a part in the commit of the accounts.  Both are on one worker,
# and other nodes only count if Citus knows of the journal.
my ($from, $to) = split /\|/, $coordinator->safe_psql('postgres', q(
SELECT min(id), max(id) FROM (SELECT id, nodeport FROM hashed, pg_dist_placement
	JOIN pg_dist_node USING (groupid) WHERE shardid = get_shard_id_for_distribution_column('hashed', id)) AS x
	GROUP BY nodeport HAVING count(*) > 1 LIMIT 1));
($status, $out, $err) = $coordinator->psql('postgres', qq(
SET citus.log_remote_commands = on;
SET client_min_messages = notice;
SELECT transfer(NULL::hashed, $from, $to, 1, journal => 'hashed_journal', request_id => 'third')));
like($err, qr/PREPARE TRANSACTION/, 'accounts and entry are committed in two phases');

# So are accounts of two nodes if the block has read another shard of the second:
# Citus would not see that by itself.
my ($read, $payer, $payee) = split /\|/, $coordinator->safe_psql('postgres', q(
WITH place AS MATERIALIZED (SELECT id, shardid, nodeport FROM hashed, pg_dist_placement
	JOIN pg_dist_node USING (groupid) WHERE shardid = get_shard_id_for_distribution_column('hashed', id))
SELECT r.id, a.id, b.id FROM place AS r, place AS a, place AS b
	WHERE r.nodeport = b.nodeport AND r.shardid <> b.shardid AND a.nodeport <> b.nodeport AND a.id < b.id LIMIT 1));
($status, $out, $err) = $coordinator->psql('postgres', qq(
SET citus.log_remote_commands = on;
SET client_min_messages = notice;
BEGIN;
SELECT FROM hashed WHERE id = $read;
SELECT transfer(NULL::hashed, $payer, $payee, 1);
COMMIT));
like($err, qr/PREPARE TRANSACTION/, 'accounts of a node that was read before are committed in two phases');

# By request_id, for all nodes.
refused($coordinator, "SELECT create_journal('x', NULL::hashed, foreign_keys => false, distribute_by => 'id')",
	'cannot be distributed by column "id"', 'create_journal distributes by request_id only');
refused($coordinator, "SELECT create_journal('x', NULL::copied, distribute_by => 'request_id')",
	'cannot have foreign keys to accounts', 'and without foreign keys');
on_coordinator(
	"SELECT create_journal('by_request', NULL::hashed, request_id_type => 'text', foreign_keys => false, distribute_by => 'request_id')",
	'CREATE TABLE by_id (id bigint PRIMARY KEY, request_id text, from_id integer, to_id integer, amount numeric)',
	"SELECT create_distributed_table('by_id', 'id')");
for my $node ($coordinator, $workers[0])
{
	refused($node, "SELECT transfer(NULL::hashed, 1, 2, 1, journal => 'by_request')",
		'a transfer without a request cannot be booked', 'a journal by request_id wants requests');
	refused($node, "SELECT transfer(NULL::hashed, 1, 2, 1, journal => 'by_id', request_id => 'r')",
		$not_unique, 'request ids must be unique in all of a journal');
	($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nDELETE FROM by_request");
	like($err, qr/55000/, 'a journal by request_id is guarded') if $node->safe_psql('postgres', 'SELECT count(*) FROM by_request');
	refused($node, "SELECT reverse_transfer(NULL::hashed, 'by_request', 1)",
		'cannot be reversed', 'no reversals in a journal by request_id');
}
on_coordinator('CREATE TABLE before AS SELECT * FROM hashed');
for my $journal ('by_request', 'hashed_journal')
{
	my $script = join '',
	  map { "SELECT replayed FROM transfer(NULL::hashed, 3, 4, 0.01, journal => '$journal', request_id => 'same $_');\n" }
	  1 .. $calls;

	my @results = at_once(("\\set VERBOSITY sqlstate\n$script") x 3);
	is(join('', map { $_->{err} } @results), '', "three nodes make the same requests in $journal without errors");
	is( $coordinator->safe_psql('postgres', "SELECT count(*), count(DISTINCT request_id) FROM $journal WHERE request_id LIKE 'same%'"),
		"$calls|$calls", "three nodes book each request once in $journal");
	gives($_, "SELECT replayed FROM transfer(NULL::hashed, 3, 4, 0.01, journal => '$journal', request_id => 'same 1')",
		't', "and replay it from $journal") for @nodes;
}
is( $coordinator->safe_psql('postgres',
		"SELECT hashed.balance - before.balance FROM hashed JOIN before USING (id) WHERE id = 4"),
	sprintf('%.2f', 2 * $calls / 100), 'the money was moved once for each');
is($coordinator->safe_psql('postgres', 'SELECT sum(balance) FROM hashed'), '2000.00',
	'no money was made or lost');

# ---------------------------------------------------------------------------
# Entries that several nodes have numbered, each from a range of its own.

on_coordinator(
	'CREATE TABLE numbered (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL)',
	"SELECT create_distributed_table('numbered', 'id')",
	'INSERT INTO numbered SELECT i, 100 FROM generate_series(1, 4) AS i',
	'CREATE TABLE numbered_entry (id bigserial, request_id text PRIMARY KEY, from_id integer, to_id integer,
		amount numeric(12,2), from_balance numeric(12,2), to_balance numeric(12,2), created_at timestamptz DEFAULT clock_timestamp())',
	"SELECT create_distributed_table('numbered_entry', 'request_id')");
my $requests = 0;

# Pay on nodes, one after the other.
sub pay_on
{
	my ($from, $to, @on) = @_;

	$nodes[$_]->safe_psql('postgres', "SELECT transfer(NULL::numbered, $from, $to, 10,
		journal => 'numbered_entry', request_id => '@{[ ++$requests ]}')") for @on;
	return;
}

# What is found, with the opening balance that is given.
sub found
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($opening, $expected, $name) = @_;

	gives($_, "SELECT account_id, problem, expected, found
		FROM verify_journal('numbered_entry', NULL::numbered, opening => $opening) ORDER BY 1, 2, 4",
		$expected, "verify_journal: $name") for $coordinator, $workers[1];
	return;
}

# The last entry is not the one with the greatest id.
pay_on(1, 2, 2, 0, 1, 0);
pay_on(2, 1, 1, 2);
found(100, '', 'ids are in no order');
# These accounts have again what they had.
pay_on(3, 4, 2, 1);
pay_on(4, 3, 0, 1);
found($_, '', 'ids are in no order, and a history that ends where it began') for 'NULL', 100;
is($coordinator->safe_psql('postgres', 'SELECT count(DISTINCT id >> 48) FROM numbered_entry'), 3,
	'three nodes have numbered the entries');
found(90, join("\n", map { "$_|opening_differs|90|100.00" } 1 .. 4), 'another opening');

# What is wrong is found.
on_coordinator('UPDATE numbered SET balance = balance + 1 WHERE id IN (1, 3)');
found('NULL', "1|balance_differs|80.00|81.00\n3|balance_differs||101.00", 'balances that were changed');
found(100, "1|balance_differs|80.00|81.00\n3|balance_differs|100|101.00", 'balances that were changed, with the opening');
on_coordinator('UPDATE numbered SET balance = balance - 1 WHERE id IN (1, 3)',
	"UPDATE numbered_entry SET to_balance = 109 WHERE request_id = '1'");
found(100, "2|balance_gap||109.00\n2|opening_differs|100|110.00", 'an entry that was changed');
on_coordinator("UPDATE numbered_entry SET to_balance = NULL WHERE request_id = '1'");
found(100, "2|balance_gap||\n2|opening_differs|100|110.00", 'an entry without a balance');
on_coordinator("UPDATE numbered_entry SET to_balance = 110 WHERE request_id = '1'",
	"DELETE FROM numbered_entry WHERE request_id = '2'");
found(100, "1|balance_gap||70.00\n2|balance_gap||130.00", 'an entry that is missing');
on_coordinator('DELETE FROM numbered WHERE id = 4');
found(100, "1|balance_gap||70.00\n2|balance_gap||130.00\n4|account_missing|100|", 'an account that is missing');

done_testing();
