# Copyright (c) 2026, the racefree developers

# Behind a pooler in transaction mode many clients share few server sessions,
# and each transaction may run in another one.  Key locks end with their
# transaction, so they bother nobody who gets the session next.
#
# Needs PgBouncer on PATH.
#
# RACEFREE_CLIENTS (16) and RACEFREE_CALLS (200 for each client) set the size.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

plan skip_all => 'PgBouncer is not on PATH'
  unless grep { -x "$_/pgbouncer" } split /:/, $ENV{PATH};
plan skip_all => 'PgBouncer does not run as root' if $> == 0;

my $clients = $ENV{RACEFREE_CLIENTS} || 16;
my $calls = $ENV{RACEFREE_CALLS} || 200;
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

# So few sessions for all clients.
my $sessions = 4;

my $node = PostgreSQL::Test::Cluster->new('pooled');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
log_statement = none
deadlock_timeout = 20ms
statement_timeout = 60s
));
$node->start;
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;
CREATE TABLE test (id serial, str varchar(100));
CREATE TABLE answer (n integer, id integer, created boolean, pid integer);
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO account SELECT i, 100 FROM generate_series(1, 10) AS i;
));

# ---------------------------------------------------------------------------
# The pooler listens on a socket in a folder of its own.

my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$folder/pgbouncer.ini", <<"INI");
[databases]
postgres = host=@{[ $node->host ]} port=@{[ $node->port ]} user=@{[ scalar getpwuid $> ]}

[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $folder
auth_type = any
pool_mode = transaction
default_pool_size = $sessions
max_client_conn = @{[ $clients + 10 ]}
INI

my ($out, $err) = ('', '');
my $pooler = IPC::Run::start(
	[ 'pgbouncer', "$folder/pgbouncer.ini" ],
	'>', \$out, '2>', \$err, IPC::Run::timeout($timeout));
my $pooled = "host=$folder port=$port dbname=postgres";

for (1 .. 100)
{
	last if -S "$folder/.s.PGSQL.$port";
	die "pgbouncer does not start: $out$err" unless $pooler->pumpable;
	usleep(100_000);
}

# Whatever happens, the pooler does not outlive the test.
END
{
	$pooler->kill_kill if $pooler;
}

# ---------------------------------------------------------------------------

sub holds
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $expected, $name) = @_;

	is($node->safe_psql('postgres', $query), $expected, $name);
	return;
}

my $ask =
  "INSERT INTO answer SELECT :n, (object).id, created, pg_backend_pid()"
  . q( FROM get_or_create(NULL::test, '{"str": "key :n"}'));
my $choose = <<'SQL';
\set payer random(1, 10)
\set payee 1 + (:payer - 1 + random(1, 9)) % 10
SQL

for my $protocol ('simple', 'extended')
{
	# In the extended protocol, pgbench makes every :n a parameter.
	my $call = $protocol eq 'simple' ? $ask : $ask =~ s/'\{.*\}'/jsonb_build_object('str', 'key ' || CAST(:n AS integer))/r;

	$node->pgbench(
		"-n -c $clients -j 2 -t $calls -M $protocol",
		0,
		[qr/^number of failed transactions: 0 /m],
		[qr/^$/],
		"$protocol protocol through the pooler: no client sees an error:",
		{
			"$protocol-single\@2" => "$call;\n\\set n :n + 1\n",
			"$protocol-several\@2" =>
			  "BEGIN;\n$call;\n\\sleep 1 ms\n$call;\nCOMMIT;\n\\set n :n + 1\n",
			"$protocol-rollback\@1" =>
			  "BEGIN;\n$call;\n\\sleep 1 ms\nROLLBACK;\n\\set n :n + 1\n",
			"$protocol-transfer\@3" => $choose
			  . "SELECT (to_account).balance FROM transfer(NULL::account, :payer, :payee, 0.25, NULL);\n"
		},
		'-D' => $protocol eq 'simple' ? 'n=1' : 'n=1000001',
		$pooled);
}

holds('SELECT count(*) > 100 FROM test', 't', 'keys were created');
holds('SELECT count(*) - count(DISTINCT str) FROM test',
	0, 'no key has two rows');
holds(
	'SELECT count(*) FROM (SELECT FROM answer GROUP BY n
						   HAVING count(DISTINCT id) > 1
						   OR count(*) FILTER (WHERE created) > 1) AS d',
	0, 'all callers of a key got the same row, and one created it');
holds('SELECT sum(balance) FROM account', '1000.00',
	'no money is lost or made');
holds("SELECT count(DISTINCT pid) BETWEEN 2 AND $sessions FROM answer",
	't', "all of this ran in no more than $sessions sessions");
holds("SELECT count(*) >= 1 FROM pg_stat_activity
	   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
	't', 'the sessions are still open');
holds("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
	0, 'but hold no key lock');
is(join("\n", grep { /(?:ERROR|FATAL|PANIC):/ }
		  split /\n/, slurp_file($node->logfile)),
	'', 'the server logs no error');

$pooler->signal('INT');
$pooler->finish;
undef $pooler;
$node->stop;

done_testing();
