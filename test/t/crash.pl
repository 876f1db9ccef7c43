# Copyright (c) 2026, the racefree developers

# Crashes in the middle of load: a backend is killed (kill -9), the server is
# stopped at once.  After recovery no money is lost or made, no key has two
# rows, no key lock is left over, and the functions work again.  And keys
# whose holders go away, or stay although the server went away.
#
# RACEFREE_CLIENTS (16) and RACEFREE_CRASHES (3 of each kind) set the size.

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

my $clients = $ENV{RACEFREE_CLIENTS} || 16;
my $crashes = $ENV{RACEFREE_CRASHES} || 3;
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf(
	'postgresql.conf', qq(
max_connections = @{[ $clients + 20 ]}
max_prepared_transactions = 5
restart_after_crash = on
log_statement = none
deadlock_timeout = 20ms
statement_timeout = 60s
));
$node->start;

$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;
CREATE TABLE test (id serial, str varchar(100));
CREATE TABLE answer (n integer, id integer);
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO account SELECT i, 100 FROM generate_series(1, 10) AS i;
CREATE TABLE audited (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO audited SELECT * FROM account;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing AFTER UPDATE ON audited
	FOR EACH ROW EXECUTE FUNCTION nothing();
));

# The clients' scripts.  Several statements each, so that there is a middle.
my $choose = <<'SQL';
\set payer random(1, 10)
\set payee 1 + (:payer - 1 + random(1, 9)) % 10
SQL
my %scripts = (
	ask => <<'SQL',
BEGIN;
INSERT INTO answer SELECT :n, (object).id FROM get_or_create(NULL::test, '{"str": "key :n"}');
COMMIT;
\set n :n + 1
SQL
	pay => $choose . <<'SQL',
SELECT (to_account).balance FROM transfer(NULL::account, :payer, :payee, 1.01, '-Infinity');
SQL
	pay_audited => $choose . <<'SQL');
BEGIN;
SELECT (to_account).balance FROM transfer(NULL::audited, :payer, :payee, 1.01, '-Infinity');
\sleep 1 ms
COMMIT;
SQL

my @files;
for my $name (sort keys %scripts)
{
	my $file = $node->basedir . "/$name.pgbench";
	append_to_file($file, $scripts{$name});
	push @files, '-f', $file;
}

my $round = 0;

# Start the load, and return when it is well under way.
sub start_load
{
	my ($out, $err) = ('', '');
	my $first = 1 + 1000000 * $round++;
	my $load = IPC::Run::start(
		[
			'pgbench', '-n', '-c', $clients, '-j', 2, '-T', $timeout, '-D',
			"n=$first", @files, $node->connstr('postgres')
		],
		'>', \$out, '2>', \$err, IPC::Run::timeout($timeout));

	until ($node->safe_psql('postgres',
			"SELECT count(*) > 100 FROM answer WHERE n >= $first") eq 't')
	{
		$load->pump_nb;
		die "the load does not get going: $err" unless $load->pumpable;
		usleep(50_000);
	}
	usleep(int(rand(300_000)));
	return ($load, \$err);
}

# The clients were cut off, which is all that may have happened to them.
sub finish_load
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($when, $load, $err) = @_;

	$load->finish;
	unlike($$err, qr/ERROR|PANIC/, "$when: clients lost no more than the connection");
	return;
}

sub holds
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $expected, $name) = @_;

	is($node->safe_psql('postgres', $query), $expected, $name);
	return;
}

sub all_is_well
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($when) = @_;

	holds(
		'SELECT (SELECT sum(balance) FROM account),
				(SELECT sum(balance) FROM audited)',
		'1000.00|1000.00', "$when: no money lost or made");
	holds(
		'SELECT count(*) FROM (SELECT FROM test GROUP BY str
							   HAVING count(*) > 1) AS d',
		0, "$when: no key has two rows");
	holds(
		'SELECT count(*) FROM answer
		 WHERE NOT EXISTS (SELECT FROM test WHERE test.id = answer.id)',
		0, "$when: every row that was returned is there");
	holds("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
		0, "$when: no key lock is left");
	holds(
		qq(
SELECT created FROM get_or_create(NULL::test, '{"str": "after $when"}');
SELECT created FROM get_or_create(NULL::test, '{"str": "after $when"}');
SELECT created FROM update_or_create(NULL::test, '{"str": "after $when"}');
SELECT count(*) FROM transfer(NULL::account, 1, 2, 0.01, '-Infinity');
), "t\nf\nf\n1", "$when: the functions work");
	return;
}

# ---------------------------------------------------------------------------

for my $i (1 .. $crashes)
{
	my $when = "backend killed ($i)";
	my @load = start_load();
	my $victim = $node->safe_psql(
		'postgres', q(
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY state = 'active' DESC, random() LIMIT 1;
));

	is(kill('KILL', $victim), 1, "$when: it was there");
	finish_load($when, @load);
	wait_for_server($node);
	all_is_well($when);
}

for my $i (1 .. $crashes)
{
	my $when = "immediate stop ($i)";
	my @load = start_load();

	$node->stop('immediate');
	finish_load($when, @load);
	$node->start;
	all_is_well($when);
}

is(join("\n", grep { /ERROR:|PANIC:/ } split /\n/, slurp_file($node->logfile)),
	'', 'the server logs no error but the crashes');

# ---------------------------------------------------------------------------
# A holder of a key goes away while another waits.

sub start_waiter
{
	my ($key) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start(
		[
			'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
			qq(SELECT created FROM get_or_create(NULL::test, '{"str": "$key"}'))
		],
		'>', \$out, '2>&1', IPC::Run::timeout($timeout));

	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_locks
		 WHERE locktype = 'advisory' AND NOT granted")
	  or die 'nobody waits for the key';
	return ($run, \$out);
}

my $holder = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $holder->query('SELECT pg_backend_pid()');
$holder->query(
	q(BEGIN; SELECT created FROM get_or_create(NULL::test, '{"str": "held"}')));
my ($waiter, $answer) = start_waiter('held');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$waiter->finish;
is($$answer, "t\n", 'holder terminated: the one that waited creates the row');
$holder->quit;
holds(q(SELECT count(*) FROM test WHERE str = 'held'),
	1, 'holder terminated: one row');

# A prepared transaction outlives the server, and so does its lock.
$node->safe_psql(
	'postgres', q(
BEGIN;
SELECT created FROM get_or_create(NULL::test, '{"str": "prepared"}');
PREPARE TRANSACTION 'holder';
));
$node->stop('immediate');
$node->start;
($waiter, $answer) = start_waiter('prepared');
$node->safe_psql('postgres', "COMMIT PREPARED 'holder'");
$waiter->finish;
is($$answer, "f\n",
	'prepared transaction: its key is still locked after a crash');
holds(q(SELECT count(*) FROM test WHERE str = 'prepared'),
	1, 'prepared transaction: one row');
all_is_well('at last');

$node->stop;

done_testing();
