# Copyright (c) 2026, the racefree developers

# Who waits where for a hot row.  Sessions that have met one take turns, of which
# there are four.  So of many sessions no more than four wait for the row itself,
# and the others for advisory locks, which they give back however they end.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib $FindBin::RealBin;
use Session qw(give quit result start_session);

my $nturns = 4;
my $nsessions = 14;

my $node = PostgreSQL::Test::Cluster->new('turns');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
autovacuum = off
max_prepared_transactions = 2
log_statement = none
statement_timeout = 60s
));
$node->start;
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;
CREATE ROLE clerk;
CREATE TABLE account (id bigint PRIMARY KEY, balance numeric NOT NULL);
INSERT INTO account SELECT i, 1000 FROM generate_series(1, 40) AS i;
CREATE TABLE hidden (LIKE account INCLUDING ALL);
INSERT INTO hidden TABLE account;
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON hidden USING (true);
GRANT ALL ON hidden TO clerk;
CREATE TABLE booked (LIKE account INCLUDING ALL);
INSERT INTO booked TABLE account;
SELECT create_journal('entry', NULL::booked);
CREATE TABLE audited (LIKE account INCLUDING ALL);
INSERT INTO audited TABLE account;
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER audit BEFORE UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION audit();
));

# ---------------------------------------------------------------------------
# Sessions

sub start
{
	my ($name) = @_;
	my $session = start_session($node, $name, 'SELECT pg_backend_pid()');

	$session->{pid} = result($session);
	return $session;
}

sub run_in
{
	give(@_);
	return result($_[0]);
}

my $holder = start('holder');
my @sessions = map { start("payer$_") } 1 .. $nsessions;

sub pids
{
	return join ', ', map { $_->{pid} } @_;
}

sub all_wait
{
	my (@those) = @_;
	my $waiting = sprintf
	  'SELECT count(DISTINCT pid) = %d FROM pg_locks WHERE NOT granted AND pid IN (%s)',
	  scalar @those, pids(@those);

	$node->poll_query_until('postgres', $waiting) or die 'not all sessions wait';
	return;
}

# Hold the hot account, and give each session a statement that waits for it.
sub meet
{
	my ($table, $statement, @those) = @_;

	run_in($holder, 'BEGIN', "UPDATE $table SET balance = balance WHERE id = 20");
	give($those[$_], $statement->($_)) for 0 .. $#those;
	all_wait(@those);
	return;
}

# Let go of it, and return what the sessions have said.
sub part
{
	my (@those) = @_;

	run_in($holder, 'COMMIT');
	return map { result($_) } @those;
}

# Where the sessions wait: in turn if only some wait for the row, and all others
# for turns; "as ever" if all wait for the row.
sub waiting
{
	my (@those) = @_;
	my $query = sprintf q(
SELECT count(*) FILTER (WHERE locktype IN ('transactionid', 'tuple')),
	count(*) FILTER (WHERE locktype = 'advisory' AND objsubid = 21063)
FROM pg_locks WHERE NOT granted AND pid IN (%s)), pids(@those);
	my ($for_row, $for_turn) = split /\|/, $node->safe_psql('postgres', $query);

	return 'as ever' if $for_row == @those && $for_turn == 0;
	return 'in turn' if $for_row >= 1 && $for_row <= $nturns && $for_row + $for_turn == @those;
	return "$for_row for the row, $for_turn for turns";
}

# Half of the payers come before the hot account, and half after it.
sub pay
{
	my ($table, @more) = @_;
	my $arguments = join ', ', '1', @more;

	return sub {
		my $payer = $_[0] % 2 ? 21 + $_[0] : 1 + $_[0];

		return "SELECT (from_account).id FROM transfer(NULL::$table, $payer, 20, $arguments)";
	};
}

my $payers = join ' ', map { $_ % 2 ? 21 + $_ : 1 + $_ } 0 .. $nsessions - 1;

# ---------------------------------------------------------------------------
# Who takes turns

meet('account', pay('account'), @sessions);
is(waiting(@sessions), 'as ever', 'who has met no hot account waits for the row');
is(join(' ', part(@sessions)), $payers, 'all transfers were made');

meet('account', pay('account'), @sessions);
is(waiting(@sessions), 'in turn', 'who has met one takes turns');
is(join(' ', part(@sessions)), $payers, 'all transfers were made');

meet('account', pay('account', 'min_balance => NULL', 'must_match => NULL', 'up_to => true'), @sessions);
is(waiting(@sessions), 'in turn', 'where rows are locked before they are updated, too');
is(join(' ', part(@sessions)), $payers, 'all transfers were made');

meet('booked', pay('booked', "journal => 'entry'", 'request_id => gen_random_uuid()'), @sessions);
is(waiting(@sessions), 'in turn', 'with a journal, too');
is(join(' ', part(@sessions)), $payers, 'all transfers were made');

meet('audited', pay('audited'), @sessions);
is(waiting(@sessions), 'in turn', 'with triggers, too');
is(join(' ', part(@sessions)), $payers, 'all transfers were made');

run_in($_, 'SET ROLE clerk') for @sessions;
meet('hidden', pay('hidden'), @sessions);
is(waiting(@sessions), 'as ever', 'not where policies could run code');
is(join(' ', part(@sessions)), $payers, 'all transfers were made');
run_in($_, 'RESET ROLE') for @sessions;

my @few = @sessions[ 0 .. 5 ];

my $pay_and_roll_back = sub { return pay('account')->(@_) . '; ROLLBACK' };

run_in($_, 'BEGIN', 'CREATE TEMP TABLE mine (n integer)') for @few;
meet('account', $pay_and_roll_back, @few);
is(waiting(@few), 'as ever', 'not in transactions that may have locked rows');
part(@few);

run_in($_, 'BEGIN ISOLATION LEVEL REPEATABLE READ') for @few;
meet('account', $pay_and_roll_back, @few);
is(waiting(@few), 'as ever', 'not where who waits fails in the end');
part(@few);

my $set = sub {
	return "SELECT (object).id FROM update_or_create(NULL::account, '{\"id\": 20}', '{\"balance\": 1000}')";
};
meet('account', $set, @sessions);
is(waiting(@sessions), 'in turn', 'update_or_create takes turns, too');
is(join(' ', part(@sessions)), join(' ', (20) x $nsessions), 'all have set the row');

meet('audited', sub { return $set->() =~ s/account/audited/r }, @few);
is(waiting(@few), 'as ever', 'not where a trigger could run code');
part(@few);

# Who waits for another row holds no turn at the hot one.
my @others = @sessions[ 6 .. $nsessions - 1 ];

meet('account', pay('account'), @sessions);
part(@sessions);
run_in($holder, 'BEGIN', 'UPDATE account SET balance = balance WHERE id = 1');
give($_, 'SELECT (from_account).id FROM transfer(NULL::account, 1, 20, 1)') for @few;
all_wait(@few);
is(run_in($_, pay('account')->(1)), '22', 'the hot row is free for others') for @others;
is(waiting(@few), 'in turn', 'while some wait for a row of their own');
part(@few);

# ---------------------------------------------------------------------------
# How turns end

my $held = sprintf
  "SELECT count(*) FROM pg_locks WHERE objsubid = 21063 AND pid IN (%s)", pids(@sessions);

run_in($_, 'BEGIN', 'SAVEPOINT s') for @sessions;
meet('account', pay('account'), @sessions);
is(waiting(@sessions), 'in turn', 'turns are taken in a block');
$node->safe_psql('postgres',
	sprintf 'SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted AND pid IN (%s)', pids(@sessions));
is(join(' ', part(@sessions)), join(' ', ('ERROR:  57014') x $nsessions), 'waits are canceled');
run_in($_, 'ROLLBACK TO s') for @sessions;
is($node->safe_psql('postgres', $held), '0', 'a savepoint gives turns back');
run_in($_, 'COMMIT') for @sessions;

# In a block, a turn is over when the row is locked, not with the transaction.
my $session = $sessions[0];

for my $statement (pay('account')->(0), pay('account', 'up_to => true')->(0), pay('audited')->(0), $set->(),
	q(DO 'BEGIN PERFORM transfer(NULL::account, 1, 20, 1e6); EXCEPTION WHEN OTHERS THEN END'))
{
	meet('account', pay('account'), $session);
	part($session);
	run_in($session, 'BEGIN', $statement);
	is($node->safe_psql('postgres', $held), '0', "who has the row has no turn: $statement");
	is(run_in($session, "PREPARE TRANSACTION 'x'", "ROLLBACK PREPARED 'x'"), '', 'and can prepare the transaction');
}

for my $table ('booked', 'hidden')
{
	is($node->safe_psql('postgres', "SELECT sum(balance) FROM $table"), '40000', "the money of $table");
}
is($node->safe_psql('postgres', "SELECT count(*) FROM verify_journal('entry', NULL::booked, opening => 1000)"), '0', 'the journal is right');

quit($_) for $holder, @sessions;
$node->stop;
done_testing();
