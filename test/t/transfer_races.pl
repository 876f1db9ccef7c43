# Copyright (c) 2026, the racefree developers

# Many clients move money at random among a few accounts, in both directions,
# while others add up the balances again and again: money is neither lost nor
# made, and nobody deadlocks.  On a plain table, on one with triggers, on
# a partitioned one of which some transfers name the partition, at all
# isolation levels, next to foreign keys.
#
# RACEFREE_CLIENTS (16) and RACEFREE_CALLS (400 for each client) set the size.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = $ENV{RACEFREE_CLIENTS} || 16;
my $calls = $ENV{RACEFREE_CALLS} || 400;

my $node = PostgreSQL::Test::Cluster->new('transfers');
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

# pay() is what an application would write: refusal is an answer.  audit()
# reads the accounts one after the other, so that only a snapshot which holds
# for all of them gives the right sum.
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;

CREATE FUNCTION pay(from_id integer, to_id integer, amount numeric)
	RETURNS boolean LANGUAGE plpgsql AS
$$
BEGIN
	PERFORM transfer(NULL::account, from_id, to_id, amount);
	RETURN true;
EXCEPTION WHEN SQLSTATE 'RF001' THEN
	RETURN false;
END
$$;

CREATE FUNCTION audit() RETURNS void LANGUAGE plpgsql AS
$$
DECLARE
	total numeric := 0;
	one numeric;
BEGIN
	IF current_setting('transaction_isolation') <> 'repeatable read' THEN
		RAISE 'the audit needs one snapshot';
	END IF;
	FOR i IN 1..10 LOOP
		SELECT balance INTO STRICT one FROM account WHERE id = i;
		total := total + one;
	END LOOP;
	IF total <> 1000 THEN
		RAISE 'the balances add up to %', total;
	END IF;
END
$$;
));

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

my $audit = "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT audit();\nCOMMIT;\n";

# Run the scripts with all clients at once, and audits between them.  Nothing
# may fail; or, where so many tries are allowed, it must succeed in the end.
sub race
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($scenario, $scripts, $tries) = @_;
	my $prefix = $scenario =~ s/\W+/_/gr;
	my %files = map { ("$prefix-$_" => $scripts->{$_}) } keys %$scripts;

	$node->pgbench(
		"-n -c $clients -j 2 -t $calls",
		0,
		[qr/^number of failed transactions: 0 /m],
		[qr/^$/],
		"$scenario: no client sees an error, no audit another sum:",
		{ %files, "$prefix-audit\@2" => $audit },
		'--max-tries' => $tries || 1);
	is( $node->safe_psql(
			'postgres', 'SELECT sum(balance), min(balance) >= 0 FROM account'),
		'1000.00|t',
		"$scenario: the sum is the same, and no account is overdrawn");
	is(logged_errors(), '', "$scenario: the server logs no error");
	return;
}

sub new_accounts
{
	my ($definition) = @_;

	$node->safe_psql(
		'postgres', "DROP TABLE IF EXISTS account CASCADE;
$definition
INSERT INTO account (id, balance) SELECT i, 100 FROM generate_series(1, 10) AS i;"
	);
	return;
}

# Two different accounts, in either order, and an amount with cents.
my $choose = <<'SQL';
\set payer random(1, 10)
\set payee 1 + (:payer - 1 + random(1, 9)) % 10
\set cents random(1, 6000)
SQL
my $pay = "SELECT pay(:payer, :payee, :cents / 100.0);\n";

# Without a floor nothing is refused.  But this client changes its mind.
my $regret = <<'SQL';
BEGIN;
SELECT (from_account).balance FROM transfer(NULL::account, :payer, :payee, :cents / 100.0, min_balance => '-Infinity');
ROLLBACK;
SQL

# ---------------------------------------------------------------------------

new_accounts(
	'CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));');
race('plain table',
	{ 'pay@6' => $choose . $pay, 'regret@1' => $choose . $regret });

# ---------------------------------------------------------------------------
# Every level: a transaction whose snapshot is too old is told to retry.

race(
	'mixed levels',
	{
		map {
			(     ($_ =~ s/ /_/gr) . '@3' => $choose
				. "BEGIN ISOLATION LEVEL $_;\n"
				. $pay
				. "COMMIT;\n")
		} ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
	},
	1000);

# ---------------------------------------------------------------------------
# A transfer takes no lock that a new row which refers to the accounts would
# have to wait for, so their order does not matter: neither where the transfer
# is two UPDATEs nor where it locks the rows first.
#
# The amounts are so small that no transfer is refused.  An UPDATE that is
# rolled back on a row that others hold in FOR KEY SHARE can trip core ("new
# multixact has more than one updating member"), without any help of ours.

my $coin = "\\set cents random(1, 9)\n";
my %with_payment = (
	'before@4' => $choose . $coin . <<SQL,
BEGIN;
INSERT INTO payment (payee, payer, amount) VALUES (:payee, :payer, :cents / 100.0);
${pay}COMMIT;
SQL
	'after@4' => $choose . $coin . <<SQL);
BEGIN;
${pay}INSERT INTO payment (payee, payer, amount) VALUES (:payee, :payer, :cents / 100.0);
COMMIT;
SQL

for my $way ('short way', 'careful way')
{
	new_accounts(
		'CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));'
	);
	$node->safe_psql(
		'postgres', q(
DROP TABLE IF EXISTS payment;
CREATE TABLE payment (
	payee integer REFERENCES account,
	payer integer REFERENCES account,
	amount numeric);
));
	$node->safe_psql(
		'postgres', q(
CREATE OR REPLACE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing AFTER UPDATE ON account
	FOR EACH ROW EXECUTE FUNCTION nothing();
)) if $way eq 'careful way';
	race("foreign keys, $way", \%with_payment);
}

# ---------------------------------------------------------------------------
# Triggers, which have their say in each change.

new_accounts(
	q(
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2),
					  changes integer NOT NULL DEFAULT 0);
CREATE TABLE history (id integer, change numeric);
CREATE FUNCTION count_changes() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN new.changes := old.changes + 1; RETURN new; END$$;
CREATE FUNCTION write_history() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
	INSERT INTO history VALUES (new.id, new.balance - old.balance);
	RETURN NULL;
END
$$;
CREATE TRIGGER count_changes BEFORE UPDATE ON account
	FOR EACH ROW EXECUTE FUNCTION count_changes();
CREATE TRIGGER write_history AFTER UPDATE ON account
	FOR EACH ROW EXECUTE FUNCTION write_history();
));
race('triggers', { 'pay@8' => $choose . $pay });
is( $node->safe_psql(
		'postgres', q(
SELECT (SELECT sum(change) FROM history),
	(SELECT sum(changes) FROM account) = (SELECT count(*) FROM history),
	bool_and(balance = 100 + (SELECT coalesce(sum(change), 0) FROM history
							  WHERE history.id = account.id))
FROM account;
)),
	'0.00|t|t',
	'triggers: each fired once for each change that was made');

# Now they come and go, so that the short way and the careful way meet.
race(
	'triggers on and off',
	{
		'pay@50' => $choose . $pay,
		'on@1' => "ALTER TABLE account ENABLE TRIGGER USER;\n",
		'off@1' => "ALTER TABLE account DISABLE TRIGGER USER;\n"
	});

# ---------------------------------------------------------------------------
# Transfers that name the partition take the short way, those that name the
# root the careful one.

new_accounts(
	q(
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2))
	PARTITION BY RANGE (id);
CREATE TABLE account_low PARTITION OF account FOR VALUES FROM (1) TO (6);
CREATE TABLE account_high PARTITION OF account FOR VALUES FROM (6) TO (11);
CREATE FUNCTION pay_low(from_id integer, to_id integer, amount numeric)
	RETURNS boolean LANGUAGE plpgsql AS
$$
BEGIN
	PERFORM transfer(NULL::account_low, from_id, to_id, amount);
	RETURN true;
EXCEPTION WHEN SQLSTATE 'RF001' THEN
	RETURN false;
END
$$;
));
race(
	'partitions',
	{
		'root@5' => $choose . $pay,
		'partition@3' => <<'SQL' });
\set payer random(1, 5)
\set payee 1 + (:payer - 1 + random(1, 4)) % 5
\set cents random(1, 6000)
SELECT pay_low(:payer, :payee, :cents / 100.0);
SQL

# ---------------------------------------------------------------------------
# Ids of another type have another order; any will do if all agree on it.

new_accounts('CREATE TABLE account (id integer UNIQUE, balance numeric(14,2),
	name text PRIMARY KEY GENERATED ALWAYS AS (md5(id::text)) STORED);');
$node->safe_psql(
	'postgres', q(
CREATE OR REPLACE FUNCTION pay(from_id integer, to_id integer, amount numeric)
	RETURNS boolean LANGUAGE plpgsql AS
$$
BEGIN
	PERFORM transfer(NULL::account, md5(from_id::text), md5(to_id::text),
					 amount);
	RETURN true;
EXCEPTION WHEN SQLSTATE 'RF001' THEN
	RETURN false;
END
$$;
));
race('text ids', { 'pay@8' => $choose . $pay });

# ---------------------------------------------------------------------------

is( $node->safe_psql(
		'postgres',
		"SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'"),
	0,
	'no deadlock in all of this');
unlike(slurp_file($node->logfile), qr/deadlock/, 'nor does the log know one');
$node->stop;

done_testing();
