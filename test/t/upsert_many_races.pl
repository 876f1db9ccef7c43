# Copyright (c) 2026, the racefree developers

# Many clients run batches with overlapping keys in random order, next to
# single calls and plain INSERTs: nobody deadlocks, nobody sees an error, no
# key gets two rows.  The same for transactions that declare their locks with
# lock_keys() and lock_rows(), and after a backend is killed.
#
# The keys come from a window that moves on with each transaction, so that
# there are always some to create, and all clients move alike.
#
# RACEFREE_BATCH_CLIENTS (8), RACEFREE_BATCHES (200 for each client),
# RACEFREE_BATCH_ROWS (100) and RACEFREE_BATCH_KEYS (500) set the size,
# RACEFREE_BATCH_CRASHES (2) the number of crashes.

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

my $clients = $ENV{RACEFREE_BATCH_CLIENTS} || 8;
my $batches = $ENV{RACEFREE_BATCHES} || 200;
my $rows = $ENV{RACEFREE_BATCH_ROWS} || 100;
my $keys = $ENV{RACEFREE_BATCH_KEYS} || 500;
my $crashes = $ENV{RACEFREE_BATCH_CRASHES} || 2;
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

# How far the window moves with each transaction.
my $step = 1 + int($keys / 25);

my $node = PostgreSQL::Test::Cluster->new('batches');
$node->init;
# Whatever waits too long is an error, and so is a deadlock: find it soon.
$node->append_conf(
	'postgresql.conf', qq(
max_connections = @{[ $clients + 20 ]}
restart_after_crash = on
log_statement = none
log_line_prefix = '%m [%p] %q%a %e '
synchronous_commit = off
deadlock_timeout = 20ms
statement_timeout = 60s
));
$node->start;

# So many random rows with the names of keys from the window, some of them
# more than once, each with these data.
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;
CREATE FUNCTION batch(first integer, keys integer, size integer, data jsonb)
	RETURNS jsonb LANGUAGE sql VOLATILE AS
$$
SELECT jsonb_agg(data || jsonb_build_object(
	'name', 'key ' || first + floor(random() * keys)::integer))
FROM generate_series(1, size)
$$;
));

my $log_offset = 0;

# The errors that were logged since the last call.
sub logged_errors
{
	my $log = slurp_file($node->logfile, $log_offset);
	$log_offset += length $log;
	return join "\n", grep { /\b(?:ERROR|FATAL|PANIC):/ } split /\n/, $log;
}

sub holds
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $expected, $name) = @_;

	is($node->safe_psql('postgres', $query), $expected, $name);
	return;
}

# Run the scripts, by their weights, with all clients at once: nothing fails.
sub race
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($scenario, $scripts, $times) = @_;
	my $prefix = $scenario =~ s/\W+/_/gr;
	my %files = map { ("$prefix-$_" => $scripts->{$_}) } keys %$scripts;

	$node->pgbench(
		"-n -c $clients -j 2 -t $times",
		0,
		[qr/^number of failed transactions: 0 /m],
		[qr/^$/],
		"$scenario: no client sees an error",
		\%files,
		'-D' => 'n=1');
	is(logged_errors(), '', "$scenario: the server logs no error");
	holds("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'",
		0, "$scenario: no deadlock");
	holds("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
		0, "$scenario: no key lock is left");
	return;
}

# A script that moves the window when it is done.  "k" is a key of it.
sub script
{
	return "\\set first :n * $step\n"
	  . "\\set k :first + random(0, @{[ $keys - 1 ]})\n"
	  . join('', @_)
	  . "\\set n :n + 1\n";
}

# A call with its answers written down.
sub ask
{
	my ($call) = @_;
	return
	  "INSERT INTO answer SELECT (object).name, (object).id, created FROM $call;\n";
}

sub many
{
	my ($function, $size, $window, $data) = @_;
	return ask("$function(NULL::item, batch(:first, $window, $size, '$data'), '{name}')"
	);
}

sub single
{
	my ($function) = @_;
	return ask(
		qq[$function(NULL::item, '{"name": "key :k"}', '{"note": "single"}')]);
}

# Nobody got an answer that was not so.
sub answers_agree
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($scenario) = @_;

	holds(
		'SELECT count(*) FROM (SELECT FROM item GROUP BY name
							   HAVING count(*) > 1) AS d',
		0, "$scenario: no key has two rows");
	holds(
		'SELECT count(*) FROM (SELECT FROM answer GROUP BY name
							   HAVING count(DISTINCT id) > 1) AS d',
		0, "$scenario: all callers of a key got the same row");
	holds(
		'SELECT count(*) FROM answer AS a
		 WHERE NOT EXISTS (SELECT FROM item AS i
						   WHERE (i.id, i.name) = (a.id, a.name))',
		0,
		"$scenario: every row that was returned is there");
	holds(
		'SELECT count(*) FROM (SELECT FROM answer GROUP BY name
							   HAVING count(*) FILTER (WHERE created) > 1) AS d',
		0, "$scenario: at most one caller of a key is told that it created");
	return;
}

# The scripts that all tables can stand, nine of ten calls being batches.
my %calls = (
	'get_many@4' =>
	  script(many('get_or_create_many', $rows, $keys, '{"note": "get"}')),
	'update_many@4' => script(
		many('update_or_create_many', $rows, $keys, '{"note": "update"}')),
	'get@1' => script(single('get_or_create')),
	'update@1' => script(single('update_or_create')));
my $transactions = int($batches * 10 / 8);

my %tables = (
	'unique index' => q(
CREATE TABLE item (id serial PRIMARY KEY, name text UNIQUE, note text);
),
	'no index' => q(
CREATE TABLE item (id serial, name text, note text);
),
	# A name may be in any partition.
	'partitions' => q(
CREATE TABLE item (id serial, name text, note text,
				   zone integer NOT NULL DEFAULT floor(random() * 3))
	PARTITION BY LIST (zone);
CREATE TABLE item_0 PARTITION OF item FOR VALUES IN (0);
CREATE TABLE item_1 (zone integer NOT NULL, note text, id integer NOT NULL, name text);
ALTER TABLE item ATTACH PARTITION item_1 FOR VALUES IN (1);
CREATE TABLE item_2 PARTITION OF item FOR VALUES IN (2);
CREATE INDEX ON item (name);
));

sub new_table
{
	my ($table) = @_;

	$node->safe_psql(
		'postgres', qq(
DROP TABLE IF EXISTS item, answer;
CREATE TABLE answer (name text, id integer, created boolean);
$tables{$table}
));
	return;
}

# ---------------------------------------------------------------------------
# Batches and single calls.  Where there is a unique index, INSERTs take part
# that know nothing of us.

for my $table (sort keys %tables)
{
	my $scenario = "batches, $table";
	my %raw = $table eq 'unique index' ? ('raw@1' => script(<<'SQL')) : ();
INSERT INTO item (name) VALUES ('key :k') ON CONFLICT DO NOTHING;
SQL

	new_table($table);
	race($scenario, { %calls, %raw }, $transactions);
	answers_agree($scenario);
}

# Each of the batch's rows counts: the last one wins, and all see it.
holds(
	q(
SELECT count(*), count(DISTINCT object), max((object).note)
FROM update_or_create_many(NULL::item,
	(SELECT jsonb_agg(jsonb_build_object('name', 'again', 'note', i) ORDER BY i)
	 FROM generate_series(1, 9) AS i), '{name}')
), '9|1|9', 'batches, partitions: one key nine times');

# ---------------------------------------------------------------------------
# Batches that lock the whole key space, because they have more keys than a
# batch locks one by one, next to some that do not.

for my $table ('no index', 'unique index')
{
	my $scenario = "large batches, $table";

	new_table($table);
	race(
		$scenario,
		{
			%calls,
			'large_get@1' => script(
				many('get_or_create_many', 2500, 2000, '{"note": "large"}')),
			'large_update@1' => script(
				many('update_or_create_many', 2500, 2000, '{"note": "large"}'))
		},
		int($transactions / 8));
	answers_agree($scenario);
}

# ---------------------------------------------------------------------------
# Rows are deleted, one by one, while batches find, lock and create them.

for my $table ('no index', 'unique index')
{
	my $scenario = "deletes, $table";
	my $few = '{"note": "few"}';

	new_table($table);
	race(
		$scenario,
		{
			'get_many@2' => <<"SQL",
SELECT count(object) FROM get_or_create_many(NULL::item, batch(1, 40, 20, '$few'), '{name}');
SQL
			'update_many@2' => <<"SQL",
SELECT count(object) FROM update_or_create_many(NULL::item, batch(1, 40, 20, '$few'), '{name}');
SQL
			'update@1' => <<'SQL',
\set k random(1, 40)
SELECT created FROM update_or_create(NULL::item, '{"name": "key :k"}', '{"note": "single"}');
SQL
			'delete@4' => <<'SQL'
\set k random(1, 40)
DELETE FROM item WHERE name = 'key :k';
SQL
		},
		$batches);
	holds('SELECT count(*) - count(DISTINCT name) FROM item',
		0, "$scenario: no key has two rows");
}

# ---------------------------------------------------------------------------
# Several tables in one transaction, in either order: declared first, they do
# not deadlock.

$node->safe_psql(
	'postgres', q(
CREATE TABLE member (id serial, name text);
CREATE TABLE profile (id serial, name text, city text);
));

my $member = q[SELECT created FROM get_or_create(NULL::member, '{"name": "key :k"}');
];
my $profile = q[SELECT created FROM get_or_create(NULL::profile, '{"name": "key :k"}');
];
my $other = q[SELECT created FROM get_or_create(NULL::profile, '{"name": "key :l"}');
];
my $choose = '\set l :first + random(0, 9)
\set k :first + random(0, 9)
';

race(
	'lock_keys',
	{
		'forth' => script($choose, <<"SQL"),
BEGIN;
SELECT lock_keys('{"member": [{"name": "key :k"}], "profile": [{"name": "key :k"}, {"name": "key :l"}]}');
$member$profile${other}COMMIT;
SQL
		'back' => script($choose, <<"SQL"),
BEGIN;
SELECT lock_keys('{"profile": [{"name": "key :l"}, {"name": "key :k"}], "member": [{"name": "key :k"}]}');
$other$profile${member}COMMIT;
SQL
		'many' => script(<<"SQL"),
SELECT count(*) FROM get_or_create_many(NULL::profile, batch(:first, 10, 10, '{}'), '{name}');
SQL
		'one' => script($choose, $member, $other)
	},
	$batches);
for my $table ('member', 'profile')
{
	holds("SELECT count(*) - count(DISTINCT name) FROM $table",
		0, "lock_keys: no duplicate in \"$table\"");
}

# ---------------------------------------------------------------------------
# Transactions of several transfers: with all their rows locked first, they do
# not deadlock with each other, nor with transfers that stand alone.

$node->safe_psql(
	'postgres', q(
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO account SELECT i, 1000 FROM generate_series(1, 20) AS i;
));

my $choose_accounts = join '',
  map { "\\set $_ random(1, 20)\n" } ('a', 'b', 'c', 'd');

race(
	'lock_rows',
	{
		'locked@2' => $choose_accounts . <<'SQL',
BEGIN;
SELECT count(*) FROM lock_rows(NULL::account, ARRAY[:a, :b, :c, :d]);
SELECT (transfer(NULL::account, f, t, 1.01, '-Infinity')).to_account
FROM (VALUES (:d, :a), (:b, :c), (:c, :a), (:a, :b), (:d, :c)) AS v (f, t)
WHERE f <> t;
COMMIT;
SQL
		'alone@2' => $choose_accounts . <<'SQL',
SELECT (to_account).balance FROM transfer(NULL::account, :a, 1 + :a % 20, 1.01, '-Infinity');
SQL
		'skip@1' => $choose_accounts . <<'SQL',
BEGIN;
SELECT count(*) FROM lock_rows(NULL::account, ARRAY[:d, :c, :b, :a, 21], 'update', 'skip locked');
UPDATE account SET balance = balance WHERE id IN (SELECT id FROM lock_rows(NULL::account, ARRAY[:a], wait => 'skip locked'));
COMMIT;
SQL
		'share@1' => $choose_accounts . <<'SQL'
SELECT count(*) FROM lock_rows(NULL::account, ARRAY[:d, :c, :b, :a], 'share');
SQL
	},
	$batches);
holds('SELECT sum(balance) FROM account',
	'20000.00', 'lock_rows: no money lost or made');

# ---------------------------------------------------------------------------
# A backend is killed in the middle of it: every batch is there as a whole, or
# not at all.

$tables{crash} = q(
CREATE TABLE item (id serial, name text, note text);
CREATE INDEX ON item (name);
CREATE TABLE done (note text, items integer);
);
new_table('crash');

# Each batch has keys of its own and some that all have.
my $file = $node->basedir . '/crash.pgbench';
append_to_file($file, script(<<"SQL"));
\\set number random(1, 1000000000000)
BEGIN;
SELECT count(*) FROM get_or_create_many(NULL::item, (SELECT jsonb_agg(jsonb_build_object('name', 'own :number ' || i, 'note', ':number')) FROM generate_series(1, $rows) AS i), '{name}');
SELECT count(*) FROM update_or_create_many(NULL::item, batch(:first, $keys, $rows, '{}'), '{name}');
INSERT INTO done VALUES (':number', $rows);
COMMIT;
SQL

for my $i (1 .. $crashes)
{
	my $when = "backend killed ($i)";
	my $err = '';
	my $load = IPC::Run::start(
		[
			'pgbench', '-n', '-c', $clients, '-j', 2, '-T', $timeout, '-D',
			'n=' . (1 + 1000 * $i),
			'-f', $file, $node->connstr('postgres')
		],
		'>', '/dev/null', '2>', \$err, IPC::Run::timeout($timeout));

	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM done');
	until ($node->safe_psql('postgres', 'SELECT count(*) FROM done') >
		$before + 2 * $clients)
	{
		$load->pump_nb;
		die "the load does not get going: $err" unless $load->pumpable;
		usleep(50_000);
	}
	my $victim = $node->safe_psql(
		'postgres', q(
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY query ~ '_many' AND state = 'active' DESC, random() LIMIT 1;
));
	is(kill('KILL', $victim), 1, "$when: it was there");
	$load->finish;
	unlike($err, qr/ERROR|PANIC/,
		"$when: clients lost no more than the connection");
	wait_for_server($node);

	holds(
		'SELECT count(*) FROM (SELECT FROM item GROUP BY name
							   HAVING count(*) > 1) AS d',
		0, "$when: no key has two rows");
	holds(
		q(SELECT count(*) FROM (SELECT note, count(*) AS items FROM item
								WHERE name LIKE 'own %' GROUP BY note) AS i
		  FULL JOIN done USING (note, items)
		  WHERE i.note IS NULL OR done.note IS NULL),
		0, "$when: batches are whole");
	holds("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
		0, "$when: no key lock is left");
}
logged_errors();
new_table('no index');
race('batches after the crashes', \%calls, 5);
answers_agree('batches after the crashes');

$node->stop;

done_testing();
