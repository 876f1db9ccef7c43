# Copyright (c) 2026, the racefree developers

# Early lock release, and what is told of commits that are not durable yet.
#
# In the first part, a synchronous standby that does not exist keeps each commit
# waiting: with early release its locks are gone by then, without it they are
# not.  A writer that is to wait for the locks gives up after a moment: that is
# how the test tells.
#
# In the second part, what the server writes to WAL is held up, so that a commit
# is visible and on no disk; see hold_wal.c.  Whoever would answer from it must
# wait, and if the server is killed meanwhile, nobody was told of what is gone.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use FindBin;
use lib $FindBin::RealBin;
use HoldWal;
use Server qw(kill_server);
use Session qw(give quit result start_session);

my $timeout = $PostgreSQL::Test::Utils::timeout_default;
my $node;
my $tables = q(
DROP TABLE IF EXISTS account, journal, test, dropped, pot, pot_journal, pot_journal_holds, sole, guarded;
CREATE TABLE dropped ();
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2), note text);
INSERT INTO account SELECT i, 100 FROM generate_series(1, 6) AS i;
CREATE TABLE test (id serial, str text);
SELECT create_journal('journal', NULL::account, request_id_type => 'text',
					  foreign_keys => false);
SELECT (to_account).id FROM transfer(NULL::account, 6, 5, 1,
	journal => 'journal', request_id => 'first');
GRANT SELECT (id, balance, note), UPDATE ON account TO clerk;
CREATE TABLE pot (id integer PRIMARY KEY, balance numeric(12,2), held numeric(12,2) DEFAULT 0);
INSERT INTO pot VALUES (1, 100), (2, 100);
SELECT create_journal('pot_journal', NULL::pot, held_column => 'held', foreign_keys => false);
SELECT entry_id FROM hold_transfer(NULL::pot, 1, 2, 10, 'pot_journal');
CREATE TABLE sole (str text UNIQUE);
CREATE TABLE guarded (str text);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('str');
);
my $set_up = qq(
CREATE EXTENSION racefree;
CREATE ROLE clerk;
CREATE TABLE busy (n integer);
CREATE TABLE late (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
$tables);

# ---------------------------------------------------------------------------
# Sessions

# Start a session that runs the statements, one after the other.  It ends with
# them, unless it is to stay.
sub start
{
	return start_session($node, @_);
}

# What a session of that name waits for, by pg_stat_activity.
sub waits_for
{
	my ($name) = @_;

	return $node->safe_psql('postgres',
		"SELECT wait_event FROM pg_stat_activity
		 WHERE application_name = '$name' AND state = 'active'") // '';
}

# Wait until the session has answered, or waits for this.  True if it waits.
sub waits
{
	my ($session, $event) = @_;
	my $patience = 50 * $timeout;

	while ($patience-- > 0)
	{
		$session->{run}->pump_nb;
		return 0 if $session->{out} =~ /done\n\z/;
		return 1 if waits_for($session->{name}) =~ /^$event/i;
		usleep(20_000);
	}
	die "session $session->{name} neither answers nor waits for $event";
}

# core notes how far WAL must be flushed for the commits of 32 transactions
# together.  Go on to others, so that what was flushed counts as flushed.
sub skip_transactions
{
	$node->safe_psql('postgres',
		join ';', ('INSERT INTO busy VALUES (0)') x 64);
	return;
}

# ---------------------------------------------------------------------------
# Part one: a standby that is waited for in vain

$node = PostgreSQL::Test::Cluster->new('standby_waits');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
wal_level = replica
max_wal_senders = 2
max_prepared_transactions = 5
synchronous_standby_names = nobody
synchronous_commit = local
log_statement = none
statement_timeout = 60s
autovacuum = off
));
$node->start;
$node->safe_psql('postgres', $set_up);

# Another transaction that writes, without which nothing is released early.
my $other;

sub start_other
{
	$other = start('other', 'BEGIN', 'INSERT INTO busy VALUES (1)');
	result($other);
	return;
}

start_other();

# Let a session commit, and test whether another one can have account 1 while the
# session waits for the standby.
sub released_while_waiting
{
	my ($session, $early, $what) = @_;
	my $patience = $early ? '10s' : '200ms';

	if (!waits($session, 'SyncRep'))
	{
		fail("$what: the commit waits");
		return;
	}
	is( $node->psql('postgres',
			"SET lock_timeout = '$patience'; UPDATE account SET note = 'had' WHERE id = 1",
			stderr => \my $error) == 0,
		$early ? 1 : '',
		"$what: " . ($early ? 'early' : 'not early'));
	return;
}

# End the wait of a session's commit, as a user would.
sub cancel
{
	my ($session) = @_;

	$node->safe_psql('postgres',
		"SELECT pg_cancel_backend(pid) FROM pg_stat_activity
		 WHERE application_name = '$session->{name}'");
	return result($session);
}

my $on = 'SET racefree.early_lock_release = on';
my $wait = 'SET synchronous_commit = on';
my $pay = 'SELECT (from_account).id FROM transfer(NULL::account, 1, 2, 1)';
my $write = "UPDATE account SET note = 'x' WHERE id = 1";
my $replay =
  "SELECT replayed FROM transfer(NULL::account, 6, 5, 1, journal => 'journal', request_id => 'first')";
my $void =
  "SELECT replayed FROM pot_journal AS j, void_transfer(NULL::pot, 'pot_journal', j.id) WHERE j.kind = 'hold'";

# [ what is done, statements, whether locks are gone before the wait ends ]
my @commits = (
	[ 'a transfer', [ $on, $wait, $pay ], 1 ],
	[ 'a transfer, by default', [ $wait, $pay ], 0 ],
	[
		'a transfer in a transaction',
		[ $on, $wait, 'BEGIN', $pay, $write, 'COMMIT' ],
		1
	],
	[
		'a batch',
		[
			$on, $wait,
			'SELECT status FROM transfer_many(NULL::account, ARRAY[1], ARRAY[2], ARRAY[1])'
		],
		1
	],
	[
		'a reversal',
		[
			$on,
			"SELECT replayed FROM transfer(NULL::account, 1, 2, 1, journal => 'journal', request_id => 'to be reversed')",
			$wait,
			"SELECT replayed FROM journal, reverse_transfer(NULL::account, 'journal', id) WHERE request_id = 'to be reversed'"
		],
		1
	],
	[
		'a hold and another write',
		[
			$on, $wait, 'BEGIN', $write,
			"SELECT replayed FROM hold_transfer(NULL::pot, 1, 2, 1, 'pot_journal')",
			'COMMIT'
		],
		1
	],
	[
		'what lets go of a hold, and another write',
		[ $on, $wait, 'BEGIN', $write, $void, 'COMMIT' ], 1
	],
	[
		'a replay and another write',
		[ $on, $wait, 'BEGIN', $write, $replay, 'COMMIT' ], 0
	],
	[
		'a transfer and a notification',
		[ $on, $wait, 'BEGIN', $pay, 'NOTIFY paid', 'COMMIT' ], 1
	],
	[
		'a transfer in a transaction that another one is chained to',
		[ $on, $wait, 'BEGIN', $pay, 'COMMIT AND CHAIN', 'ROLLBACK' ], 1
	],
	[
		'another write in a transaction that is chained to one',
		[
			$on, $wait, 'BEGIN', 'SET LOCAL synchronous_commit = local', $pay,
			'COMMIT AND CHAIN', $write, 'COMMIT'
		],
		0
	],
	[
		'another write',
		[ $on, $wait, $write ], 0
	],
	[
		'a refused transfer and another write',
		[
			$on, $wait, 'BEGIN',
			$write,
			'SAVEPOINT s', 'SET LOCAL synchronous_commit = local',
			'SELECT transfer(NULL::account, 3, 4, 1000000)',
			'ROLLBACK TO s', 'COMMIT'
		],
		0
	],
	[
		'a transfer that was rolled back to a savepoint',
		[
			$on, $wait, 'BEGIN',
			$write,
			'SAVEPOINT s', $pay, 'SAVEPOINT t', $pay, 'ROLLBACK TO s', 'COMMIT'
		],
		0
	],
	[
		'a transfer under a savepoint',
		[
			$on, $wait, 'BEGIN', 'SAVEPOINT s', 'SAVEPOINT t', $pay,
			'RELEASE t', 'SAVEPOINT u', 'ROLLBACK TO u', 'COMMIT'
		],
		1
	],
	[
		'a transfer before a savepoint that was rolled back',
		[ $on, $wait, 'BEGIN', $pay, 'SAVEPOINT s', $pay, 'ROLLBACK TO s', 'COMMIT' ],
		1
	],
	[
		'a transfer at REPEATABLE READ',
		[ $on, $wait, 'BEGIN ISOLATION LEVEL REPEATABLE READ', $pay, 'COMMIT' ],
		1
	],
	[
		'a transfer at SERIALIZABLE',
		[ $on, $wait, 'BEGIN ISOLATION LEVEL SERIALIZABLE', $pay, 'COMMIT' ], 1
	],
	[
		'with the setting switched on for the transaction',
		[ $wait, 'BEGIN', $pay, 'SET LOCAL racefree.early_lock_release = on', 'COMMIT' ],
		1
	],
	[
		'with the setting switched off for the transaction',
		[
			$on, $wait, 'BEGIN', $pay,
			'SET LOCAL racefree.early_lock_release = off', 'COMMIT'
		],
		0
	],
	[
		'with synchronous_commit set for the transaction',
		[ $on, 'BEGIN', $pay, 'SET LOCAL synchronous_commit = remote_write', 'COMMIT' ],
		1
	],
	[
		'with a wait until standbys have applied the commit',
		[ $on, 'SET synchronous_commit = remote_apply', $pay ], 0
	],
	[
		'a procedure that commits',
		[
			$on, $wait,
			"DO \$\$BEGIN PERFORM transfer(NULL::account, 1, 2, 1); COMMIT; END\$\$"
		],
		1
	],
	[
		'another write of a procedure that has committed',
		[
			$on,
			"DO \$\$BEGIN PERFORM transfer(NULL::account, 1, 2, 1); COMMIT; SET LOCAL synchronous_commit = on; UPDATE account SET note = 'x' WHERE id = 1; END\$\$"
		],
		0
	],
	[
		'a transfer beside a parallel query',
		[
			$on,
			"SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')",
			$wait, 'BEGIN', 'SELECT count(*) FROM busy', $pay,
			'SELECT count(*) FROM busy', 'COMMIT'
		],
		1
	],
	[
		'a transfer after one that was prepared',
		[
			$on, $wait, 'BEGIN',
			'SELECT (to_account).id FROM transfer(NULL::account, 5, 6, 1)',
			'SET LOCAL synchronous_commit = local',
			"PREPARE TRANSACTION 'prepared'", $pay
		],
		1
	],
	[
		'another write after a transfer that was prepared',
		[
			$on, $wait, 'BEGIN',
			'SELECT (to_account).id FROM transfer(NULL::account, 5, 6, 1)',
			'SET LOCAL synchronous_commit = local',
			"PREPARE TRANSACTION 'prepared'",
			$write
		],
		0
	],
	[
		'what drops a table, too',
		[
			$on, $wait, 'BEGIN', $pay, 'DROP TABLE dropped', 'COMMIT'
		],
		1
	]);

for my $commit (@commits)
{
	my ($what, $statements, $early) = @$commit;
	my $session = start('committer', @$statements);

	released_while_waiting($session, $early, $what);
	like(cancel($session), qr/WARNING:  01000/,
		"$what: the commit's wait ends as core's does");
	give($session, 'SHOW synchronous_commit');
	is( result($session),
		(grep { /remote_apply$/ } @$statements) ? 'remote_apply'
		: (grep { $_ eq $wait } @$statements) ? 'on'
		: 'local',
		"$what: synchronous_commit is as it was");
	quit($session);
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'prepared'")
	  if grep { /PREPARE/ } @$statements;
}

# Alone
quit($other);
{
	my $session = start('committer', $on, $wait, $pay);

	released_while_waiting($session, 0, 'alone');
	cancel($session);
	quit($session);
}

# Somebody who waits to lock the account, and has written nothing.
{
	my $session = start('committer', $on, 'BEGIN', $pay);
	my $locker;

	result($session);
	$locker = start('locker',
		'SELECT note FROM account WHERE id = 1 FOR UPDATE');
	ok(waits($locker, 'transactionid'), 'a session waits to lock the account');
	give($session, 'SET LOCAL synchronous_commit = on', 'COMMIT');
	ok(waits($session, 'SyncRep'), 'the commit waits for the standby');
	is(result($locker), 'had', 'and the account is free');
	cancel($session);
	quit($locker);
	quit($session);
}
start_other();

# An error after the commit has begun: synchronous_commit is what it was, and
# the next commit waits, with its locks.
{
	my $read = 'SELECT count(*) FROM account';
	my $level = 'BEGIN ISOLATION LEVEL SERIALIZABLE';
	my $first = start('committer', $on, $wait, $level, $read, $pay);
	my $second = start('rival', $level, $read,
		'SELECT (to_account).id FROM transfer(NULL::account, 3, 4, 1)');

	result($first);
	result($second);
	give($second, 'COMMIT');
	is(result($second), '', 'the rival commits first');
	give($first, 'COMMIT');
	like(result($first), qr/40001/, 'the other transaction fails at its end');
	give($first, 'SHOW synchronous_commit');
	is(result($first), 'on', 'synchronous_commit is as it was after a failure');
	give($first, $write);
	released_while_waiting($first, 0, 'the next commit');
	cancel($first);
	quit($first);
	quit($second);
}

# A deferred constraint
{
	my $session = start(
		'committer', $on, $wait, 'BEGIN', $pay,
		'INSERT INTO late VALUES (1), (1)', 'COMMIT');

	like(result($session), qr/23505/, 'a deferred constraint fails');
	give($session, 'SHOW synchronous_commit');
	is(result($session), 'on', 'synchronous_commit is as it was, too');
	quit($session);
}

# What writes no WAL waits for nothing.
{
	$node->safe_psql('postgres',
		'CREATE UNLOGGED TABLE unlogged AS SELECT id, balance FROM account; ALTER TABLE unlogged SET UNLOGGED, ADD PRIMARY KEY (id)'
	);
	my $session = start('committer', $on, $wait,
		'SELECT (from_account).id FROM transfer(NULL::unlogged, 1, 2, 1)');

	ok(!waits($session, 'SyncRep'), 'unlogged accounts wait for no standby');
	is(result($session), '1', 'unlogged accounts: the transfer is made');
	quit($session);
}

# The setting of a database, in a session that has not loaded the module yet.
$node->safe_psql('postgres',
	'ALTER DATABASE postgres SET racefree.early_lock_release = on');
{
	my $session = start('committer', $wait, $pay);

	released_while_waiting($session, 1, "a database's setting");
	cancel($session);
	quit($session);
}
$node->safe_psql('postgres',
	'ALTER DATABASE postgres RESET racefree.early_lock_release');

# The server's, while a session is under way.
{
	my $session = start('committer', $pay, $wait);

	result($session);
	$node->append_conf('postgresql.conf', 'racefree.early_lock_release = on');
	$node->reload;
	give($session, 'SELECT pg_sleep(0.2)');
	result($session);
	give($session, $pay);
	released_while_waiting($session, 1, "the server's setting");
	cancel($session);
	quit($session);
	$node->append_conf('postgresql.conf', 'racefree.early_lock_release = off');
	$node->reload;
}

# Termination while the commit waits: it has been made.
{
	my $session = start('committer', $on, $wait,
		"SELECT replayed FROM transfer(NULL::account, 1, 2, 1, journal => 'journal', request_id => 'terminated')"
	);

	released_while_waiting($session, 1, 'one that will be terminated');
	$node->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		 WHERE application_name = 'committer'");
	eval { $session->{run}->finish };
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM journal WHERE request_id = 'terminated'"),
		1,
		'its commit stays');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM racefree_locks'),
		0, 'no lock stays');
}

# ---------------------------------------------------------------------------
# What is told of it

# [ what is told, the writer's statements, what another session asks then, what it
# is told, what it waits for if it asks before the writer commits ]
my $empty =
  "SELECT replayed FROM transfer(NULL::account, 3, 4, 100, journal => 'journal', request_id => 'held')";
my $create = q(SELECT created FROM get_or_create(NULL::test, '{"str": "held"}'));
my $reverse =
  "SELECT replayed FROM journal, reverse_transfer(NULL::account, 'journal', id) WHERE request_id = 'first'";
my @answers = (
	[ 'a replay', [$empty], $empty, qr/^t$/ ],
	[
		'a request that differs',
		[$empty],
		"SELECT transfer(NULL::account, 3, 4, 99, journal => 'journal', request_id => 'held')",
		qr/RF003/
	],
	[
		'a replay in a batch',
		[$empty],
		"SELECT status FROM transfer_many(NULL::account, ARRAY[3], ARRAY[4], ARRAY[100], ARRAY['held'], journal => 'journal')",
		qr/^replayed$/
	],
	[
		'a refusal',
		[$empty],
		'SELECT transfer(NULL::account, 3, 5, 1)',
		qr/RF001/
	],
	[
		'a refusal by a limit',
		[$empty],
		'SELECT transfer(NULL::account, 5, 4, 1, max_balance => 150)',
		qr/RF004/
	],
	[
		'a refusal in a batch',
		[$empty],
		"SELECT status FROM transfer_many(NULL::account, ARRAY[3], ARRAY[5], ARRAY[1], on_error => 'report')",
		qr/^insufficient_funds$/
	],
	[
		'a refusal in a batch of which a part is made',
		[$empty],
		"BEGIN;\nSELECT status FROM transfer_many(NULL::account, ARRAY[3, 5], ARRAY[5, 6], ARRAY[1, 1], on_error => 'report')",
		qr/^insufficient_funds\nok$/
	],
	[
		'a refusal by a transaction that drops a table, too',
		[ 'BEGIN', $empty, 'DROP TABLE dropped', 'COMMIT' ],
		'SELECT transfer(NULL::account, 3, 5, 1)',
		qr/RF001/
	],
	[
		'a refusal after another transfer of its batch',
		[
			"SELECT replayed FROM transfer(NULL::account, 4, 3, 100, journal => 'journal', request_id => 'held')"
		],
		'SELECT transfer_many(NULL::account, ARRAY[3, 5], ARRAY[5, 6], ARRAY[150, 500])',
		qr/RF001/
	],
	[
		'the same, reported',
		[
			"SELECT replayed FROM transfer(NULL::account, 4, 3, 100, journal => 'journal', request_id => 'held')"
		],
		"BEGIN;\nSELECT status FROM transfer_many(NULL::account, ARRAY[3, 5], ARRAY[5, 6], ARRAY[150, 500], on_error => 'report')",
		qr/^ok\ninsufficient_funds$/
	],
	[
		'a refusal to a role that may read columns only',
		[$empty],
		"SET ROLE clerk;\nSELECT transfer(NULL::account, 3, 5, 1)",
		qr/RF001/
	],
	[
		'a batch that is refused as a whole',
		[$empty],
		'SELECT transfer_many(NULL::account, ARRAY[3], ARRAY[5], ARRAY[1])',
		qr/RF001/
	],
	[
		'a refusal by what was reversed',
		[$reverse],
		"SELECT replayed FROM journal, reverse_transfer(NULL::account, 'journal', id) WHERE request_id = 'first'",
		qr/RF006/
	],
	[
		'an account that is gone',
		[ 'BEGIN', $pay, 'DELETE FROM account WHERE id = 5', 'COMMIT' ],
		'SELECT transfer(NULL::account, 5, 6, 1)',
		qr/RF002/
	],
	[
		'a row that was found when its key was locked',
		[ 'BEGIN', $create, $pay, 'COMMIT' ],
		$create, qr/^f$/, 'advisory'
	],
	[
		'rows that were found when their keys were locked',
		[ 'BEGIN', $create, $pay, 'COMMIT' ],
		q(SELECT created FROM get_or_create_many(NULL::test, '[{"str": "held"}]', '{str}')),
		qr/^f$/, 'advisory'
	],
	[
		'a row that was found when it had been inserted by hand',
		[ 'BEGIN', "INSERT INTO sole VALUES ('held')", $pay, 'COMMIT' ],
		q(SELECT created FROM get_or_create(NULL::sole, '{"str": "held"}')),
		qr/^f$/, 'transactionid'
	],
	[
		'a row that a key_guard has found',
		[ 'BEGIN', "INSERT INTO guarded VALUES ('held')", $pay, 'COMMIT' ],
		"INSERT INTO guarded VALUES ('held')",
		qr/23505/, 'advisory'
	],
	[
		'a hold that is settled',
		[ 'BEGIN', $void, $pay, 'COMMIT' ],
		$void, qr/RF010/
	],
	[
		'a hold that is there, and no funds',
		[
			'BEGIN',
			"SELECT replayed FROM hold_transfer(NULL::pot, 1, 2, 80, 'pot_journal')",
			$pay, 'COMMIT'
		],
		"SELECT replayed FROM hold_transfer(NULL::pot, 1, 2, 80, 'pot_journal')",
		qr/RF001/
	]);

# Tables as if nothing had been, for long.
sub forget
{
	$node->safe_psql('postgres', "SET client_min_messages = warning; $tables");
	skip_transactions();
	return;
}

# Prepare a writer and another session, which is going to ask.  The function that
# is returned lets them: it returns true if the other session must wait for this.
sub ask_while_held
{
	my ($answer, $writer_settings, $reader_settings, $event) = @_;
	my ($what, $write, $question, $told, $awaits) = @$answer;
	my @statements = @$write;
	my ($writer, $reader, $last_xid);

	forget();
	$node->safe_psql('postgres', 'CHECKPOINT');
	$last_xid = $node->safe_psql('postgres',
		'SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1');
	$writer = start('writer', @$writer_settings);
	$reader = start('reader', @$reader_settings);
	result($writer);
	result($reader);
	if ($awaits)
	{
		my $commit = pop @statements;

		give($writer, @statements);
		result($writer);
		give($reader, $question);
		waits($reader, $awaits) or die "the reader did not wait: $reader->{out}";
		@statements = ($commit);
	}
	return ($writer, $reader, sub {
		give($writer, @statements);
		# Its changes can be seen.
		$node->poll_query_until('postgres',
			"SELECT count(*) > 0 FROM account WHERE xmin::text::bigint > $last_xid
			 UNION ALL SELECT true FROM account HAVING count(*) = 5 ORDER BY 1 DESC LIMIT 1")
		  or die 'the changes of the writer are not seen';
		give($reader, $question) if !$awaits;
		return waits($reader, $event);
	});
}

# The standby is waited for, also by the reader.
for my $answer (@answers)
{
	my ($writer, $reader, $go) =
	  ask_while_held($answer, [ $on, $wait ], [$wait], 'SyncRep');

	ok($go->(), "$answer->[0] is not told before the standby has it");
	like(cancel($reader), qr/57014/, "$answer->[0]: nor if the wait is canceled");
	cancel($writer);
	quit($reader);
	quit($writer);
}

quit($other);
$node->stop;

# ---------------------------------------------------------------------------
# Part two: nothing is written to WAL

my $missing = HoldWal::missing();
if ($missing)
{
  SKIP: { skip "WAL cannot be held up: $missing", 1; }
	done_testing();
	exit 0;
}

$node = PostgreSQL::Test::Cluster->new('wal_held');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
log_statement = none
statement_timeout = 60s
autovacuum = off
restart_after_crash = off
));
HoldWal::start($node);
$node->safe_psql('postgres', $set_up);

# [ what is told, the writer's settings ]
my %writers = (
	'early lock release' => [$on],
	'an asynchronous commit' => ['SET synchronous_commit = off']);

# core flushes the commit of what removes files before anybody can see it.
@answers = grep { $_->[0] !~ /drops a table/ } @answers;

start_other();
for my $writer_is (sort keys %writers)
{
	for my $answer (@answers)
	{
		my ($what, undef, undef, $told) = @$answer;
		my ($writer, $reader, $go) =
		  ask_while_held($answer, $writers{$writer_is}, [], 'WAL_?Write');

		HoldWal::hold();
		ok($go->(), "$writer_is: $what is not told before it is on disk");
		HoldWal::release();
		like(result($reader), $told, "$writer_is: $what is told then");
		result($writer);
		quit($_) for $writer, $reader;
	}
}

# What was flushed long ago is told while WAL is held up.
forget();
$node->safe_psql('postgres', $empty);
skip_transactions();
$node->safe_psql('postgres', 'CHECKPOINT');
HoldWal::hold();
for my $answer (grep { $_->[0] =~ /^a refusal( by a limit)?$/ } @answers)
{
	my ($what, undef, $question, $told) = @$answer;
	my $reader = start('reader', $question);

	ok(!waits($reader, 'WAL_?Write'), "$what: what is on disk is told at once");
	like($reader->{out}, $told, "$what: and is the same");
	result($reader);
	quit($reader);
}
HoldWal::release();
quit($other);

# A crash.
for my $answer (grep { $_->[0] =~ /^a (replay|refusal|row)/ } @answers)
{
	my ($what) = @$answer;
	my ($writer, $reader, $go);

	start_other();
	($writer, $reader, $go) = ask_while_held($answer, [$on], [], 'WAL_?Write');
	HoldWal::hold();
	$go->();
	kill_server($node);
	eval { $_->{run}->finish } for $writer, $reader, $other;
	unlike($_->{out}, qr/^(t|f|ok|replayed|insufficient_funds)$|RF0/m,
		"crash, $what: the $_->{name} was told nothing")
	  for $reader, $writer;
	HoldWal::start($node);
	is( $node->safe_psql('postgres',
			"SELECT (SELECT count(*) FROM journal WHERE request_id = 'held') +
			 (SELECT count(*) FROM test WHERE str = 'held')"),
		0,
		"crash, $what: it was not made");
	is($node->safe_psql('postgres', 'SELECT sum(balance) FROM account'),
		'600.00', "crash, $what: no money is lost");
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM verify_journal('journal', NULL::account, opening => 100)"),
		0,
		"crash, $what: the journal is right");
}

$node->stop;
done_testing();
