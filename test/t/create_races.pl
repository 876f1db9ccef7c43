# Copyright (c) 2026, the racefree developers

# Many clients ask for the same rows at the same time, through
# get_or_create() and update_or_create(): with and without a unique index,
# next to writers that use plain INSERTs, at all isolation levels, with
# creators that roll back, through a partition and its root.
#
# All clients walk through the same keys, so that they meet at every one of
# them.  Each writes down the answer it got in the transaction it got it in.
#
# RACEFREE_CLIENTS (16) and RACEFREE_CALLS (400 for each client) set the size.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = $ENV{RACEFREE_CLIENTS} || 16;
my $calls = $ENV{RACEFREE_CALLS} || 400;

my $node = PostgreSQL::Test::Cluster->new('races');
$node->init;
# Whatever waits too long is an error, and so is a deadlock: find it soon.
$node->append_conf(
	'postgresql.conf', qq(
max_connections = @{[ $clients + 20 ]}
log_statement = none
log_line_prefix = '%m [%p] %q%a %e '
deadlock_timeout = 20ms
statement_timeout = 60s
));
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION racefree');

my $log_offset = 0;

# The errors that were logged since the last call, but for those that
# PostgreSQL asks to answer with a retry.
sub logged_errors
{
	my $log = slurp_file($node->logfile, $log_offset);
	$log_offset += length $log;
	return join "\n",
	  grep { /\b(?:ERROR|FATAL|PANIC):/ && !/ 40001 / } split /\n/, $log;
}

# Run the scripts with all clients at once.  Nothing may fail; or, where so
# many tries are allowed, it must succeed in the end.
sub race
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($scenario, $scripts, $times, $tries) = @_;
	my $prefix = $scenario =~ s/\W+/_/gr;
	my %files = map { ("$prefix-$_" => $scripts->{$_}) } keys %$scripts;

	$node->pgbench(
		"-n -c $clients -j 2 -t " . ($times || $calls),
		0,
		[qr/^number of failed transactions: 0 /m],
		[qr/^$/],
		"$scenario: no client sees an error:",
		\%files,
		'-D' => 'n=1',
		'--max-tries' => $tries || 1);
	is(logged_errors(), '', "$scenario: the server logs no error");
	return;
}

sub holds
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $expected, $name) = @_;

	is($node->safe_psql('postgres', $query), $expected, $name);
	return;
}

# What must hold after each scenario in which clients wrote down answers.
sub answers_agree
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($scenario, $table, $column) = @_;

	holds(
		"SELECT count(*) FROM (SELECT FROM $table GROUP BY $column
							   HAVING count(*) > 1) AS d",
		0, "$scenario: no key has two rows");
	holds(
		"SELECT count(*) FROM (SELECT FROM answer GROUP BY n
							   HAVING count(DISTINCT id) > 1) AS d",
		0, "$scenario: all callers of a key got the same row");
	holds(
		"SELECT count(*) FROM answer
		 WHERE NOT EXISTS (SELECT FROM $table AS t WHERE t.id = answer.id)",
		0, "$scenario: every row that was returned is there");
	holds(
		"SELECT count(*) FROM (SELECT FROM answer GROUP BY n
							   HAVING count(*) FILTER (WHERE created) > 1) AS d",
		0, "$scenario: at most one caller of a key is told that it created");
	no_lock_left($scenario);
	return;
}

sub no_lock_left
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($scenario) = @_;

	holds("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
		0, "$scenario: no key lock is left");
	return;
}

# The table of the thread: nothing says that str is unique.
sub new_table
{
	my ($index) = @_;

	$node->safe_psql(
		'postgres', qq(
DROP TABLE IF EXISTS test, answer;
CREATE TABLE test (id serial PRIMARY KEY, str varchar(100), note text);
CREATE TABLE answer (n integer, id integer, created boolean);
) . ($index || ''));
	return;
}

# A call for the current key, with the answer written down.
sub ask
{
	my ($call) = @_;
	$call ||= q[get_or_create(NULL::test, '{"str": "key :n"}', '{"note": "x"}')];
	return
	  "INSERT INTO answer SELECT :n, (object).id, created FROM $call;\n";
}

# A script that goes on to the next key when it is done (and not if it has to
# be retried).
sub walk
{
	return join('', @_) . "\\set n :n + 1\n";
}

# ---------------------------------------------------------------------------
# No unique index: the lock on the key is all there is.

new_table();
race('no index', { call => walk(ask()) });
answers_agree('no index', 'test', 'str');
holds('SELECT count(*) FROM test', $calls, 'no index: one row for each key');
holds('SELECT count(*) FROM answer WHERE created',
	$calls, 'no index: one creation for each key');

# ---------------------------------------------------------------------------
# Keys that are equal but are not written alike share one lock.

$node->safe_psql(
	'postgres', q(
CREATE TABLE price (id serial, amount numeric, code char(8), kind text);
DROP TABLE answer;
CREATE TABLE answer (n integer, id integer, created boolean);
));
race(
	'equal keys',
	{
		map {
			my ($amount, $code) = @$_;
			my $key =
			  qq('{"amount": :n.$amount, "code": "$code", "kind": null}');
			("spelling-$amount" =>
				  walk(ask("get_or_create(NULL::price, $key)")))
		} ([ '5', 'c' ], [ '50', 'c ' ], [ '500', 'c   ' ])
	});
answers_agree('equal keys', 'price', 'amount');
holds('SELECT count(*) FROM price', $calls, 'equal keys: one row for each key');

# ---------------------------------------------------------------------------
# A few keys, NULL and the empty string among them, deleted all the time.

new_table();
my $any_key = <<'SQL';
\set k random(0, 3)
SELECT created FROM get_or_create(NULL::test, jsonb_build_object('str', (ARRAY[NULL, '', 'a', 'A'])[:k + 1]));
SQL
race(
	'few keys',
	{
		'call@9' => $any_key,
		'delete@1' => <<'SQL' });
\set k random(0, 3)
DELETE FROM test WHERE str IS NOT DISTINCT FROM (ARRAY[NULL, '', 'a', 'A'])[:k + 1];
SQL
race('few keys again', { call => $any_key }, 20);
holds('SELECT count(*) FROM test', 4,
	'few keys: one row each, NULL and the empty string told apart');

# ---------------------------------------------------------------------------
# The empty key: the table holds one row.

$node->safe_psql('postgres',
	'CREATE TABLE settings (id serial, theme text DEFAULT \'light\')');
race(
	'empty key',
	{
		'call@19' => "SELECT created FROM get_or_create(NULL::settings, '{}');\n",
		'delete@1' => "DELETE FROM settings;\n"
	});
race('empty key again',
	{ call => "SELECT created FROM get_or_create(NULL::settings, '{}');\n" }, 1);
holds('SELECT count(*) FROM settings', 1, 'empty key: one row');

# ---------------------------------------------------------------------------
# Writers that do not call us: a unique index is the judge.

my $raw = "INSERT INTO test (str) VALUES ('key :n') ON CONFLICT DO NOTHING;\n";

new_table('CREATE UNIQUE INDEX ON test (str)');
race(
	'raw writers',
	{
		'call@4' => walk(ask()),
		'raw@2' => walk($raw),
		'slow@1' => walk("BEGIN;\n", $raw, "\\sleep 1 ms\nCOMMIT;\n"),
		'undecided@1' => walk("BEGIN;\n", $raw, "\\sleep 1 ms\nROLLBACK;\n")
	});
answers_agree('raw writers', 'test', 'str');

# The same with several indexes, one of them over an expression, so that the
# INSERT cannot name the one it means.
new_table(
	'CREATE UNIQUE INDEX ON test (str); CREATE UNIQUE INDEX ON test (lower(str))'
);
race(
	'several indexes',
	{
		'call@2' => walk(ask()),
		'raw@1' => walk($raw)
	});
answers_agree('several indexes', 'test', 'str');

# ---------------------------------------------------------------------------
# All isolation levels at once.  A transaction whose snapshot is too old to
# see the row must be told to retry, and succeeds then.

for my $index ('', 'CREATE UNIQUE INDEX ON test (str)')
{
	my $scenario = 'mixed levels, ' . ($index ? 'index' : 'no index');

	new_table($index);
	race(
		$scenario,
		{
			map {
				# A first statement fixes the snapshot before the call.
				(
					($_ =~ s/ /_/gr) => walk(
						"BEGIN ISOLATION LEVEL $_;\n",
						"SELECT count(*) FROM answer WHERE n = :n;\n",
						ask(),
						"COMMIT;\n"))
			} ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
		},
		int($calls / 2),
		1000);
	answers_agree($scenario, 'test', 'str');
	holds(
		'SELECT count(*) FROM test',
		int($calls / 2),
		"$scenario: one row for each key");
}

# ---------------------------------------------------------------------------
# Creators that change their mind: in a savepoint, or altogether.

for my $index ('', 'CREATE UNIQUE INDEX ON test (str)')
{
	my $scenario = 'rollbacks, ' . ($index ? 'index' : 'no index');

	new_table($index);
	race(
		$scenario,
		{
			'commit@2' => walk(ask()),
			'rollback@1' => walk("BEGIN;\n", ask(), "ROLLBACK;\n"),
			'savepoint@1' => walk(
				"BEGIN;\nSAVEPOINT s;\n", ask(),
				"ROLLBACK TO s;\n", ask(),
				"COMMIT;\n"),
			'regret@1' => walk(
				"BEGIN;\nSAVEPOINT s;\n", ask(),
				"ROLLBACK TO s;\nCOMMIT;\n"),
			'release@1' => walk(
				"BEGIN;\nSAVEPOINT s;\n", ask(),
				"RELEASE s;\n", ask(),
				"COMMIT;\n")
		});
	answers_agree($scenario, 'test', 'str');
}

# ---------------------------------------------------------------------------
# A partition, whose columns are in another order, and its root.

for my $index ('', 'CREATE UNIQUE INDEX ON place (zone, name)')
{
	my $scenario = 'partitions, ' . ($index ? 'index' : 'no index');
	my $key = q('{"zone": 1, "name": "key :n"}');

	$node->safe_psql(
		'postgres', qq(
DROP TABLE IF EXISTS place, answer;
CREATE TABLE place (zone integer, name text, id bigint
					DEFAULT floor(random() * 9e15)::bigint)
	PARTITION BY LIST (zone);
CREATE TABLE place_1 (id bigint DEFAULT floor(random() * 9e15)::bigint,
					  gone integer, name text, zone integer);
ALTER TABLE place_1 DROP COLUMN gone;
ALTER TABLE place ATTACH PARTITION place_1 FOR VALUES IN (1);
CREATE TABLE place_2 PARTITION OF place FOR VALUES IN (2);
CREATE TABLE answer (n integer, id bigint, created boolean);
$index;
));
	race(
		$scenario,
		{
			root => walk(ask("get_or_create(NULL::place, $key)")),
			partition => walk(ask("get_or_create(NULL::place_1, $key)")),
			update => walk(ask("update_or_create(NULL::place, $key)"))
		});
	answers_agree($scenario, 'place', 'name');
	holds('SELECT count(*) FROM place_1',
		$calls, "$scenario: one row for each key, in its partition");
}

# ---------------------------------------------------------------------------
# update_or_create() returns a locked row: what is computed from it is safe to
# write, for the creator of the row and for all others.

for my $index ('', 'CREATE UNIQUE INDEX ON counter (name)')
{
	my $scenario = 'counters, ' . ($index ? 'index' : 'no index');

	$node->safe_psql(
		'postgres', qq(
DROP TABLE IF EXISTS counter;
CREATE TABLE counter (name text, hits integer);
$index;
));
	# Each client counts every key once, and the key 0 every time.
	race(
		$scenario,
		{
			map {
				my ($name, $key) = @$_;
				("count-$name" => walk(<<"SQL"))
BEGIN;
SELECT (object).hits + 1 AS hits FROM update_or_create(NULL::counter, '{"name": "$key"}', '{}', '{"hits": 0}') \\gset
SELECT (object).hits FROM update_or_create(NULL::counter, '{"name": "$key"}', '{"hits": :hits}');
COMMIT;
SQL
			} ([ 'walk@4', 'key :n' ], [ 'fixed@1', 'fixed' ])
		});
	holds('SELECT sum(hits) FROM counter',
		$clients * $calls, "$scenario: no update is lost");
	holds('SELECT count(*) - count(DISTINCT name) FROM counter',
		0, "$scenario: no key has two rows");
	no_lock_left($scenario);
}

# The loser of a creation race applies its update to the winner's row.
$node->safe_psql(
	'postgres', q(
CREATE TABLE visit (id serial, name text, seen integer);
CREATE TABLE visit_log (name text, seen integer);
CREATE FUNCTION log_visit() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO visit_log VALUES (new.name, new.seen); RETURN NULL; END$$;
CREATE TRIGGER log_visit AFTER INSERT OR UPDATE ON visit
	FOR EACH ROW EXECUTE FUNCTION log_visit();
));
race(
	'losers update',
	{
		call => walk(<<'SQL')
SELECT created FROM update_or_create(NULL::visit, '{"name": "key :n"}', '{"seen": :client_id}');
SQL
	});
holds('SELECT count(*) FROM visit', $calls,
	'losers update: one row for each key');
holds(
	'SELECT count(*) FROM (SELECT name FROM visit_log GROUP BY name
	 HAVING count(DISTINCT seen) = ' . $clients . ') AS v',
	$calls,
	'losers update: every caller\'s value was set, the losers\' too');

# ---------------------------------------------------------------------------

holds("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'",
	0, 'no deadlock in all of this');
$node->stop;

done_testing();
