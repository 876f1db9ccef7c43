# Copyright (c) 2026, the racefree developers

# Behind a pooler in transaction mode many clients share few server sessions,
# and each transaction may run in another one.  Key locks end with their
# transaction, so they bother nobody who gets the session next; what a session
# remembers of tables and plans serves every client; and who lost the pooler,
# or was lost by it, asks again with the same request id.
#
# Needs PgBouncer on PATH; statements that clients prepare need 1.21 or later.
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

my $version = qx(pgbouncer --version);
my ($major, $minor) = $version =~ /PgBouncer (\d+)\.(\d+)/;
my $can_prepare = $major > 1 || $minor >= 21;
note($version);

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
CREATE TABLE purse (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO purse SELECT i, 100 FROM generate_series(1, 10) AS i;
SELECT create_journal('journal', NULL::purse, request_id_type => 'text');
CREATE TABLE payment (n integer, entry text, replayed boolean);
));

# ---------------------------------------------------------------------------
# A pooler listens on a socket in a folder of its own.

my @running;

sub start_pooler
{
	my (%settings) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir_short();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $pooler = {
		folder => $folder,
		port => $port,
		connstr => "host=$folder port=$port dbname=postgres"
	};

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
@{[ join "\n", map { "$_ = $settings{$_}" } sort keys %settings ]}
INI
	restart_pooler($pooler);
	return $pooler;
}

sub restart_pooler
{
	my ($pooler) = @_;
	my $folder = $pooler->{folder};
	my ($out, $err) = ('', '');

	$pooler->{run} = IPC::Run::start(
		[ 'pgbouncer', "$folder/pgbouncer.ini" ],
		'>', \$out, '2>', \$err, IPC::Run::timeout(10 * $timeout));
	push @running, $pooler;
	for (1 .. 10 * $timeout)
	{
		return
		  if IPC::Run::run(
			[ 'psql', '-XAtq', '-d', $pooler->{connstr}, '-c', 'SELECT 1' ],
			'>', \my $answer, '2>', \my $complaint);
		die "pgbouncer does not start: $out$err"
		  unless $pooler->{run}->pumpable;
		usleep(100_000);
	}
	die "pgbouncer does not answer: $out$err";
}

sub stop_pooler
{
	my ($pooler, $signal) = @_;

	$pooler->{run}->signal($signal || 'INT');
	# Killed is a status, too.
	eval { $pooler->{run}->finish };
	@running = grep { $_ != $pooler } @running;
	unlink "$pooler->{folder}/.s.PGSQL.$pooler->{port}" if $signal;
	return;
}

# Whatever happens, the poolers do not outlive the test.
END
{
	$_->{run}->kill_kill for @running;
}

sub holds
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $expected, $name) = @_;

	is($node->safe_psql('postgres', $query), $expected, $name);
	return;
}

sub pooled
{
	my ($pooler, $query) = @_;
	return $node->safe_psql('postgres', $query,
		connstr => $pooler->{connstr});
}

# A client that stays.
sub client_of
{
	my ($pooler) = @_;
	return $node->background_psql('postgres',
		extra_params => [ '-d', $pooler->{connstr} ]);
}

# ---------------------------------------------------------------------------
# Load

my $ask =
  "INSERT INTO answer SELECT :n, (object).id, created, pg_backend_pid()"
  . q( FROM get_or_create(NULL::test, '{"str": "key :n"}'));
my $choose = <<'SQL';
\set payer random(1, 10)
\set payee 1 + (:payer - 1 + random(1, 9)) % 10
SQL
# Clients that come by the same number ask for the same.
my $pay = <<'SQL';
\set payer 1 + :n % 10
\set payee 1 + (:n + 1) % 10
INSERT INTO payment SELECT :n, entry->>'id', replayed FROM transfer(NULL::purse, :payer, :payee, 0.25, '-Infinity', journal => 'journal', request_id => 'request :n');
\set n :n + 1
SQL

# Of the numbers that other loads do not have.
sub load
{
	my ($pooler, $name, $protocol) = @_;
	my $first = 1 + 1_000_000 * $node->safe_psql('postgres',
		'SELECT coalesce(max(n), 0) / 1000000 + 1 FROM answer');
	my ($call, $payment) = ($ask, $pay);
	# While pgbench prepares a statement for one client, it does not listen to
	# the others of the thread, which may hold all the sessions.
	my $threads = $protocol eq 'prepared' ? $clients : 2;

	# In the other protocols, pgbench makes every :n a parameter.
	if ($protocol ne 'simple')
	{
		$call =~
		  s/'\{.*\}'/jsonb_build_object('str', 'key ' || CAST(:n AS integer))/;
		$payment =~ s/'request :n'/'request ' || CAST(:n AS integer)/;
	}
	$node->pgbench(
		"-n -c $clients -j $threads -t $calls -M $protocol",
		0,
		[qr/^number of failed transactions: 0 /m],
		[qr/^$/],
		"$name, $protocol protocol: no client sees an error:",
		{
			"$name-$protocol-single\@2" => "$call;\n\\set n :n + 1\n",
			"$name-$protocol-several\@2" =>
			  "BEGIN;\n$call;\n\\sleep 1 ms\n$call;\nCOMMIT;\n\\set n :n + 1\n",
			"$name-$protocol-rollback\@1" =>
			  "BEGIN;\n$call;\n\\sleep 1 ms\nROLLBACK;\n\\set n :n + 1\n",
			"$name-$protocol-transfer\@3" => $choose
			  . "SELECT (to_account).balance FROM transfer(NULL::account, :payer, :payee, 0.25, '-Infinity');\n",
			"$name-$protocol-pay\@3" => $payment
		},
		'-D' => "n=$first",
		$pooler->{connstr});
	holds("SELECT count(DISTINCT str) > $calls / 10 FROM test
		   JOIN answer USING (id) WHERE n >= $first",
		't', "$name, $protocol: keys were created");
	holds("SELECT count(DISTINCT pid) BETWEEN 2 AND $sessions FROM answer WHERE n >= $first",
		't', "$name, $protocol: all of this ran in no more than $sessions sessions")
	  unless $name eq 'reset';
	return;
}

my $pooler = start_pooler();
load($pooler, 'plain', $_) for 'simple', 'extended';
holds("SELECT count(*) >= 1 FROM pg_stat_activity
	   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
	't', 'the sessions are still open');
holds("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
	0, 'but hold no key lock');
stop_pooler($pooler);

# A session loses all that it remembers, plans and settings, with each
# transaction.
my $reset = start_pooler(
	server_reset_query => 'DISCARD ALL',
	server_reset_query_always => 1);
load($reset, 'reset', $_) for 'simple', 'extended';
stop_pooler($reset);

SKIP:
{
	skip "PgBouncer $major.$minor does not know prepared statements", 1
	  unless $can_prepare;
	my $preparing = start_pooler(max_prepared_statements => 100);
	load($preparing, 'preparing', $_) for 'prepared', 'extended';
	stop_pooler($preparing);
}

holds('SELECT count(*) - count(DISTINCT str) FROM test',
	0, 'no key has two rows');
holds(
	'SELECT count(*) FROM (SELECT FROM answer GROUP BY n
						   HAVING count(DISTINCT id) > 1
						   OR count(*) FILTER (WHERE created) > 1) AS d',
	0, 'all callers of a key got the same row, and one created it');
holds('SELECT sum(balance) FROM account', '1000.00',
	'no money is lost or made');
holds(
	'SELECT count(*) FROM (SELECT FROM payment GROUP BY n
						   HAVING count(DISTINCT entry) <> 1
						   OR count(*) FILTER (WHERE NOT replayed) <> 1) AS d',
	0, 'all callers of a request got the same entry, and one booked it');
holds('SELECT bool_or(replayed) FROM payment', 't', 'requests were asked for twice');
holds(
	'SELECT count(DISTINCT n) = (SELECT count(*) FROM journal) FROM payment',
	't', 'every request is booked, and none twice');
holds('SELECT count(*) FROM verify_journal(\'journal\', NULL::purse, opening => 100)',
	0, 'the journal explains the balances');

is(join("\n", grep { /(?:ERROR|FATAL|PANIC):/ }
		  split /\n/, slurp_file($node->logfile)),
	'', 'the server logs no error');

# ---------------------------------------------------------------------------
# Two clients that take turns with two sessions.

$pooler = start_pooler(default_pool_size => 2);
my ($one, $two) = map { client_of($pooler) } 1 .. 2;
my $pid = 'SELECT pg_backend_pid()';

my $before = $one->query_safe($pid);
is($two->query_safe("BEGIN; $pid"), $before, 'a client gets the session that another had');
$two->query_safe(q(SELECT created FROM get_or_create(NULL::test, '{"str": "swap"}')));
isnt($one->query_safe($pid), $before, 'which gets another one');
is($one->query_safe(q(SELECT created FROM get_or_create(NULL::test, '{"str": "other"}'))),
	't', 'and creates a row while the first holds a key');
$two->query_safe('COMMIT');
is($one->query_safe(q(SELECT created FROM get_or_create(NULL::test, '{"str": "swap"}'))),
	'f', 'finds the row that was created in the other session');
holds("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
	0, 'no session keeps a key');

# What one session makes of the table, the other has to notice.
$one->query_safe("BEGIN; $pid");
my $more = q(SELECT (object).more FROM update_or_create(NULL::test, '{"str": "swap"}', '{"more": "x"}'));
$one->query_safe('ALTER TABLE test ADD COLUMN more text; COMMIT');
my $held = $one->query_safe("BEGIN; $pid");
isnt($two->query_safe($pid), $held, 'both sessions are in use');
is($two->query_safe($more), 'x', 'one of them uses the new column');
$one->query_safe('COMMIT');
$held = $two->query_safe("BEGIN; $pid");
is($one->query_safe($more), 'x', 'and so does the other');
$two->query_safe('COMMIT');
$_->quit for $one, $two;
stop_pooler($pooler);

# ---------------------------------------------------------------------------
# Two clients with settings of their own share one session.

$pooler = start_pooler(default_pool_size => 1);
$node->safe_psql('postgres', 'CREATE TABLE dated (day date, n serial)');
($one, $two) = map { client_of($pooler) } 1 .. 2;
$one->query_safe(q(SET datestyle = 'ISO, MDY'));
$two->query_safe(q(SET datestyle = 'ISO, DMY'));
is($one->query_safe($pid), $two->query_safe($pid), 'clients share a session');
for my $created ('t', 'f', 'f')
{
	my $day = q(SELECT (object).day, created FROM get_or_create(NULL::dated, '{"day": "01/02/2024"}'));

	is($one->query_safe($day), "2024-01-02|$created", 'a value is read by the settings of one client');
	is($two->query_safe($day), "2024-02-01|$created", 'and by those of the other');
}

# A call changes none, however it ends.
my $settings = q(SELECT string_agg(name || '=' || setting, ' ' ORDER BY name)
	FROM pg_settings WHERE source = 'session' OR setting IS DISTINCT FROM reset_val);
my @statements = (
	q(SELECT get_or_create(NULL::test, '{"str": "swap"}')),
	q(SELECT get_or_create(NULL::test, '{"no column": 1}')),
	q(SELECT update_or_create(NULL::test, '{"str": "swap"}', '{"id": 0}')),
	q(SELECT transfer(NULL::purse, 1, 2, 1, '-Infinity', journal => 'journal', request_id => 'kept')),
	q(SELECT transfer(NULL::purse, 1, 2, 1e7, journal => 'journal')),
	q(SELECT transfer(NULL::purse, 1, 99, 1, journal => 'journal')),
	q(SELECT transfer_many(NULL::purse, '{1,2}'::int[], '{2,1}'::int[], '{1,1e7}', journal => 'journal')),
	q(SELECT get_or_create_many(NULL::test, '[{"str": "swap"}, {"str": "new"}]', '{str}')),
	q(SELECT get_or_create_many(NULL::test, '[{"str": "swap", "id": "x"}]', '{str}')),
	q(SELECT create_journal('journal', NULL::account)),
	q(SELECT create_journal('another', NULL::account)),
	q(SELECT count(*) FROM verify_journal('journal', NULL::purse)));
my $found = pooled($pooler, $settings);
my $failed = 0;
for my $statement (@statements)
{
	$failed++ if $node->psql('postgres', $statement, connstr => $pooler->{connstr}) != 0;
	is(pooled($pooler, $settings), $found, "settings stay: $statement");
}
is($failed, 6, 'some of these calls fail');

# Names are resolved by the transaction's own search path.
$node->safe_psql('postgres', 'CREATE SCHEMA aside; CREATE TABLE aside.test (id serial, str text)');
is( pooled($pooler, q(
BEGIN; SET LOCAL search_path = aside, public;
SELECT created FROM get_or_create(NULL::test, '{"str": "swap"}');
COMMIT;
SELECT created FROM get_or_create(NULL::test, '{"str": "swap"}');
)),
	"t\nf", 'SET LOCAL search_path holds for one transaction');

# What a client discards is the session's, and so the other's.
for my $discard ('ALL', 'PLANS', 'TEMP', 'SEQUENCES')
{
	$one->query_safe("DISCARD $discard");
	is( $two->query_safe(q(SELECT replayed FROM transfer(NULL::purse, 1, 2, 1, journal => 'journal', request_id => 'kept'))),
		't', "DISCARD $discard: a request is a replay");
	is($two->query_safe($more), 'x', "DISCARD $discard: a row is found");
}
$_->quit for $one, $two;
stop_pooler($pooler);

# ---------------------------------------------------------------------------
# A connection is cut when a request was booked and not answered.

my $cut = 0;
$pooler = start_pooler();

# psql sends all of it in one message, which is answered when it is done.
sub start_unanswered
{
	my ($call) = @_;
	my $run = IPC::Run::start(
		[
			'psql', '-XAtq', '-d', $pooler->{connstr}, '-c',
			"BEGIN; $call; COMMIT; SELECT pg_sleep(600)"
		],
		'>', \my $out, '2>', \my $err, IPC::Run::timeout($timeout));

	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
	  or die 'the call does not come to an end';
	return $run;
}

# Returns when the backend is gone, too: it had been told to sleep.
sub forget
{
	my ($run) = @_;

	eval { $run->kill_kill };
	$node->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid, 180000) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
	return;
}

my %cuts = (
	'client killed' => sub { $_[0]->signal('KILL') },
	'pooler killed' => sub {
		stop_pooler($pooler, 'KILL');
		restart_pooler($pooler);
	},
	'server session killed' => sub {
		$node->safe_psql('postgres',
			"SELECT pg_terminate_backend(pid, 180000) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
	});
my $options = "journal => 'journal', min_balance => '-Infinity'";

for my $how (sort keys %cuts)
{
	$cut++;
	my @requests = (
		[ 'transfer', "SELECT replayed, entry->>'id' FROM transfer(NULL::purse, 1, 2, 5, request_id => 'cut $cut', $options)" ],
		[ 'transfer_many', "SELECT status = 'replayed', entry_id FROM transfer_many(NULL::purse, '{3,4}'::int[], '{4,5}'::int[], '{1,2}', '{\"cut $cut a\",\"cut $cut b\"}', $options)" ],
		[ 'reverse_transfer', "SELECT replayed, entry->>'id' FROM reverse_transfer(NULL::purse, entry_id => (SELECT id FROM journal WHERE request_id = 'cut $cut'), request_id => 'cut $cut back', $options)" ]);

	for my $request (@requests)
	{
		my ($function, $call) = @$request;
		my $last = 'SELECT coalesce(max(id), 0) FROM journal';
		my $start = $node->safe_psql('postgres', $last);
		my $run = start_unanswered($call);
		my $entries = $node->safe_psql('postgres',
			"SELECT 't', id FROM journal WHERE id > $start ORDER BY id");

		isnt($entries, '', "$how: $function is booked");
		$cuts{$how}->($run);
		is(pooled($pooler, $call), $entries,
			"$how: $function is asked for again through the pooler, and is a replay");
		holds("SELECT max(id) FROM journal", $entries =~ /(\d+)\z/ ? $1 : '',
			"$how: $function is not booked again");
		forget($run);
	}
}

# And while it waits: before it is booked, or after.
for my $how (sort keys %cuts)
{
	$cut++;
	my $call = "SELECT replayed FROM transfer(NULL::purse, 1, 2, 5, request_id => 'cut $cut', $options)";
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('BEGIN; SELECT FROM purse WHERE id = 1 FOR UPDATE');
	my $run = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $pooler->{connstr}, '-c', $call ],
		'>', \my $out, '2>', \my $err, IPC::Run::timeout($timeout));
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
	  or die 'the call does not wait';

	if ($how eq 'server session killed')
	{
		$node->safe_psql('postgres',
			"SELECT pg_terminate_backend(pid, 180000) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
	}
	else
	{
		$cuts{$how}->($run);
	}
	my $again = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $pooler->{connstr}, '-c', $call ],
		'>', \my $answer, '2>', \my $complaint, IPC::Run::timeout($timeout));
	$node->poll_query_until('postgres',
		"SELECT count(*) >= 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query_start >
			(SELECT query_start FROM pg_stat_activity WHERE state = 'idle in transaction')")
	  or die 'the call does not wait again';
	$holder->query_safe('COMMIT');
	$holder->quit;
	$again->finish;
	like($answer, qr/^[tf]$/, "$how while it waits: asked for again, there is an answer");
	is(pooled($pooler, $call), 't', "$how while it waits: then it is a replay");
	holds("SELECT count(*) FROM journal WHERE request_id = 'cut $cut'", 1,
		"$how while it waits: it is booked once");
	eval { $run->kill_kill };
}

holds("SELECT count(*) FROM verify_journal('journal', NULL::purse, opening => 100)",
	0, 'the journal explains the balances');
holds("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
	0, 'no key lock is left');
stop_pooler($pooler);
$node->stop;

done_testing();
