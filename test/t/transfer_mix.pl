# Copyright (c) 2026, the racefree developers

# Single transfers, batches small and large, reversals, lock_rows() and
# foreign key checks of others, all between the same few accounts and partly
# with the same requests: nobody deadlocks, no request is booked twice, and
# verify_journal() finds no break at any moment.  Once more, some are refused by
# a CHECK, for which batches are attempted many times.
#
# RACEFREE_MIX_CLIENTS (12) and RACEFREE_MIX_CALLS (150 for each client) set
# the size.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = $ENV{RACEFREE_MIX_CLIENTS} || 12;
my $calls = $ENV{RACEFREE_MIX_CALLS} || 150;
my $accounts = 20;
my $requests = 10 * $clients * $calls;

my $node = PostgreSQL::Test::Cluster->new('mix');
$node->init;
$node->append_conf(
	'postgresql.conf', qq(
max_connections = @{[ $clients + 20 ]}
synchronous_commit = off
deadlock_timeout = 20ms
statement_timeout = 60s
));
$node->start;

# "try" runs a call and tells how it ended, if that is one of the outcomes that
# are racefree's own; any other is an error.  A request of the same number asks
# for the same transfer, or for another one.
$node->safe_psql(
	'postgres', qq(
CREATE EXTENSION racefree;
CREATE FUNCTION try(call text) RETURNS text LANGUAGE plpgsql AS
\$\$
BEGIN
	EXECUTE call;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE LIKE 'RF%' OR SQLSTATE = '23514' THEN
		RETURN SQLSTATE;
	END IF;
	RAISE;
END
\$\$;
CREATE TABLE outcome (call text, status text);
CREATE FUNCTION request(n integer) RETURNS text LANGUAGE sql
	RETURN CASE WHEN n % 4 > 0 THEN 'r' || n END;
CREATE FUNCTION payer(n integer) RETURNS integer LANGUAGE sql
	RETURN 1 + n % $accounts;
CREATE FUNCTION payee(n integer) RETURNS integer LANGUAGE sql
	RETURN 1 + (n + 1 + n % 7 + (random() < 0.05)::integer) % $accounts;
CREATE FUNCTION batch(size integer) RETURNS void LANGUAGE plpgsql AS
\$\$
DECLARE
	n integer[] := ARRAY(SELECT floor(random() * $requests) FROM generate_series(1, size));
BEGIN
	INSERT INTO outcome
	SELECT 'batch', t.status
	FROM transfer_many(NULL::account,
		ARRAY(SELECT payer(i) FROM unnest(n) AS i),
		ARRAY(SELECT payee(i) FROM unnest(n) AS i),
		ARRAY(SELECT 1 + i % 40 FROM unnest(n) AS i)::numeric[],
		ARRAY(SELECT request(i) FROM unnest(n) AS i),
		ARRAY(SELECT nullif(i % 9, 0) FROM unnest(n) AS i),
		'report', 'journal') AS t;
END
\$\$;
));

my $single = qq(
\\set n random(0, $requests)
INSERT INTO outcome SELECT 'single', try(format('SELECT transfer(NULL::account, payer(%1\$s), payee(%1\$s), 1 + %1\$s % 40, journal => ''journal'', request_id => request(%1\$s))', :n));
);
$single =~ s/% 40/%% 40/;
my %scripts = (
	'single@6' => $single,
	'small@3' => "SELECT batch(20);\n",
	# Past the number of keys that are locked one by one.
	'large@1' => "SELECT batch(800);\n",
	'reversal@3' => qq(
\\set n random(1, $clients * $calls)
INSERT INTO outcome SELECT 'reversal', try(format('SELECT reverse_transfer(NULL::account, ''journal'', %s, 1, ''back %s'', min_balance => ''-Infinity'')', :n, :n / 2));
),
	'lock@1' => qq(
BEGIN;
SELECT count(*) FROM lock_rows(NULL::account, ARRAY(SELECT 1 + floor(random() * $accounts) FROM generate_series(1, 5))::integer[]);
COMMIT;
),
	'reference@1' => qq(
\\set n random(1, $accounts)
INSERT INTO reference VALUES (:n), ($accounts + 1 - :n);
),
	# Divides by zero where something does not add up.
	'verify@1' => qq(
SELECT 1 / (count(*) = 0)::integer FROM verify_journal('journal', NULL::account, opening => 200);
));

sub holds
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($query, $expected, $name) = @_;

	is($node->safe_psql('postgres', $query), $expected, $name);
	return;
}

# Race on a journal of create_journal(), on one that refuses some, and on one
# without any index.
my $create =
  "SELECT create_journal('journal', NULL::account, request_id_type => 'text')";
for my $journal ($create,
	"$create; ALTER TABLE journal ADD CHECK (amount <> 13 OR to_id <> 16)",
	'CREATE TABLE journal (id serial, request_id text, from_id integer, to_id integer,
		amount numeric, from_balance numeric, to_balance numeric, reverses integer)')
{
	my $refuses = $journal =~ /CHECK/;
	my $kind =
	    $refuses ? 'refusals'
	  : $journal =~ /create_journal/ ? 'indexes'
	  : 'no index';
	my %files = map { ($kind =~ s/ /_/r . "-$_" => $scripts{$_}) } keys %scripts;

	$node->safe_psql(
		'postgres', qq(
DROP TABLE IF EXISTS journal, reference, account;
TRUNCATE outcome;
CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL);
INSERT INTO account SELECT i, 200 FROM generate_series(1, $accounts) i;
CREATE TABLE reference (account integer NOT NULL REFERENCES account);
$journal;
));
	$node->pgbench(
		"-n -c $clients -j 2 -t $calls",
		0,
		[qr/^number of failed transactions: 0 /m],
		[qr/^$/],
		"$kind: no client sees an error",
		\%files);
	holds("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'",
		0, "$kind: no deadlock");
	holds("SELECT count(*) FROM verify_journal('journal', NULL::account, opening => 200)",
		0, "$kind: it all adds up");
	holds('SELECT sum(balance) FROM account', 200 * $accounts,
		"$kind: the sum is the same");
	holds('SELECT count(request_id) - count(DISTINCT request_id) FROM journal',
		0, "$kind: no request was booked twice");
	# The race was one.
	holds(
		q(SELECT string_agg(DISTINCT what, ', ' ORDER BY what)
		  FROM outcome, concat(call, ' ', status COLLATE "C") AS what
		  WHERE (call, status) IN (('batch', 'ok'), ('batch', 'replayed'), ('batch', 'insufficient_funds'),
								   ('batch', 'chain_failed'), ('batch', 'request_mismatch'),
								   ('batch', 'refused'),
								   ('single', 'ok'), ('single', 'RF001'), ('reversal', 'ok'))),
		'batch chain_failed, batch insufficient_funds, batch ok, '
		  . ($refuses ? 'batch refused, ' : '')
		  . 'batch replayed, batch request_mismatch, reversal ok, single RF001, single ok',
		"$kind: there were all kinds of outcomes");
}

$node->stop;

done_testing();
