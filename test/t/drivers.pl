# Copyright (c) 2026, the racefree developers

# Drivers send parameters without a type, and text for a value; the server
# has to find out what they are.  pgbench's extended and prepared modes do
# just that with every variable.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('drivers');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
log_statement = none
statement_timeout = 60s
));
$node->start;
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;
CREATE TABLE test (id serial, str varchar(100), note text, seen integer);
CREATE TABLE account (id bigint PRIMARY KEY, balance numeric(12,2));
INSERT INTO account VALUES (1, 100), (10, 100);
CREATE TABLE by_uuid (id uuid PRIMARY KEY, balance money);
INSERT INTO by_uuid VALUES
	('00000000-0000-0000-0000-00000000000a', 100),
	('00000000-0000-0000-0000-00000000000b', 100);
CREATE TABLE by_name (name text PRIMARY KEY, funds smallint);
INSERT INTO by_name VALUES ('Ann', 100), ('Bob', 100);
));

for my $mode ('extended', 'prepared')
{
	$node->safe_psql('postgres', 'TRUNCATE test');
	$node->pgbench(
		"-n -c 2 -t 10 -M $mode",
		0,
		[qr/^number of transactions actually processed: 20\/20$/m],
		[qr/^$/],
		"$mode: untyped parameters are understood:",
		{
			"001_$mode" => <<'SQL' },
SELECT (object).id AS first FROM get_or_create(NULL::test, :key) \gset
SELECT (object).id AS second FROM get_or_create(NULL::test, :key, :defaults) \gset
SELECT (object).id AS third FROM update_or_create(NULL::test, :key, :defaults) \gset
SELECT (object).id AS fourth FROM update_or_create(NULL::test, :key, :defaults, :create) \gset
\if :first = :second and :second = :third and :third = :fourth
SELECT (from_account).balance FROM transfer(NULL::account, :one, :ten, :amount);
SELECT (from_account).balance FROM transfer(NULL::account, :ten, :one, :amount, :floor);
SELECT (from_account).balance FROM transfer(NULL::account, :ten, :one, :amount, min_balance => :floor, id_column => :id, balance_column => :balance);
SELECT (from_account).balance FROM transfer(NULL::by_uuid, :a, :b, :amount);
SELECT (from_account).funds FROM transfer(NULL::by_name, :ann, :bob, :one, balance_column => :funds);
\else
SELECT different_rows;
\endif
SQL
		'-D' => 'key={"str": "x"}',
		'-D' => q(defaults={"note": "it's \\"quoted\\""}),
		'-D' => 'create={"note": null, "seen": 0}',
		'-D' => 'one=1',
		'-D' => 'ten=10',
		'-D' => 'amount=0.25',
		'-D' => 'floor=-5.5',
		'-D' => 'id=id',
		'-D' => 'balance=balance',
		'-D' => 'a=00000000-0000-0000-0000-00000000000a',
		'-D' => 'b=00000000-0000-0000-0000-00000000000b',
		'-D' => 'ann=Ann',
		'-D' => 'bob=Bob',
		'-D' => 'funds=funds');
	is( $node->safe_psql(
			'postgres', 'SELECT str, note, seen FROM test'),
		"x|it's \"quoted\"|",
		"$mode: one row, with the values as they were sent");
}

# 40 rounds: one to ten, and back, and back again.
is( $node->safe_psql(
		'postgres', 'SELECT string_agg(balance::text, \' \' ORDER BY id) FROM account'
	),
	'110.00 90.00',
	'numbers sent as text move between bigint ids');
is( $node->safe_psql(
		'postgres', 'SELECT string_agg(balance::numeric::text, \' \' ORDER BY id) FROM by_uuid'
	),
	'90.00 110.00',
	'uuids');
is( $node->safe_psql(
		'postgres', 'SELECT string_agg(funds::text, \' \' ORDER BY name) FROM by_name'
	),
	'60 140',
	'names');
is(join("\n", grep { /(?:ERROR|FATAL|PANIC):/ }
		  split /\n/, slurp_file($node->logfile)),
	'', 'the server logs no error');
$node->stop;

done_testing();
