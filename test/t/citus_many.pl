# Copyright (c) 2026, the racefree developers

# Batches on tables that Citus manages: that get_or_create_many,
# update_or_create_many, transfer_many and lock_rows give on each kind of table
# what they give on a plain one, from the coordinator and from a worker; and, with
# clients of three nodes at once, that each row is created once, each request
# booked once, and nobody waits in a circle.
#
# Needs Citus among the server's extensions.  RACEFREE_CALLS (60) sets the size.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Test::More;
use Citus qw(start_citus on_coordinator gives refused start_psql at_once);

my $calls = $ENV{RACEFREE_CALLS} || 60;
my @nodes = start_citus();
my ($coordinator, @workers) = @nodes;

# How tables of each kind are made; those that are called "plain" are not.
my %make = (
	hashed => "SELECT create_distributed_table('%s', '%s')",
	copied => "SELECT create_reference_table('%s')",
	single => "SELECT create_distributed_table('%s', NULL, colocate_with => 'none')",
	local => "SELECT citus_add_local_table_to_metadata('%s')");
my @kinds = sort keys %make;

# Make a table of a kind: NAME_KIND, from a definition of columns.
sub make
{
	my ($name, $kind, $column, $definition) = @_;

	on_coordinator("CREATE TABLE ${name}_$kind ($definition)",
		$make{$kind} ? sprintf($make{$kind}, "${name}_$kind", $column) : ());
	return;
}

# Run a script on a node, for tables of a kind; return what it writes, where
# names of tables are as they are in the script: TABLE_.
sub run_on
{
	my ($node, $kind, $script) = @_;
	my ($status, $out, $err);

	$script =~ s/(\w)_\b/$1_$kind/g;
	($status, $out, $err) =
	  $node->psql('postgres', "\\set VERBOSITY sqlstate\n$script", on_error_stop => 0);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$out =~ s/_$kind(_\d+)?/_/g;
	# Names of shards, and of their constraints.
	$out =~ s/_\d{6,}//g;
	return "$out\n$err";
}

# Clear tables of all kinds.
sub clear
{
	my ($name, @kinds) = @_;

	on_coordinator(map { "DELETE FROM ${name}_$_" } @kinds);
	return;
}

# ---------------------------------------------------------------------------
# Rows by key.

on_coordinator("CREATE TYPE mood AS ENUM ('sad', 'ok')", 'CREATE TYPE pair AS (a integer, b text)',
	'CREATE DOMAIN positive AS integer CHECK (value > 0)');
for my $kind ('plain', @kinds)
{
	make('page', $kind, 'site', q(site integer, path text, hits positive DEFAULT 1, title varchar(8) DEFAULT 'new',
		tags text[], m mood, p pair, u numeric(6,2), x integer, y integer, z integer, j jsonb, PRIMARY KEY (site, path)));
	# No primary key, so rows are locked in the order of their keys.
	make('bare', $kind, 'k', 'k integer UNIQUE, v text');
	# No unique index, so keys are locked where the rows are.
	make('free', $kind, 'k', 'k integer, v text') if $kind ne 'copied';
	# Values that no array can carry.
	make('odd', $kind, 'k', 'k integer[] UNIQUE, v text') if $kind ne 'single';
	make('odd', $kind, 'k', 'k pair UNIQUE, v text') if $kind eq 'single';
}

my $upserts = q[
SELECT * FROM get_or_create_many(NULL::page_, '[]', '{site, path}');
SELECT * FROM get_or_create_many(NULL::page_, '[{"site": 3, "path": "/", "title": "a"}, {"site": 1, "path": "/"},
	{"site": 3, "path": "/", "title": "b"}, {"site": 2, "path": "/x", "hits": 7, "tags": ["p", null], "m": "ok"}]', '{site, path}');
SELECT * FROM get_or_create_many(NULL::page_, '[{"site": 2, "path": "/x"}, {"site": 9, "path": "/", "p": {"a": 1, "b": "q"}},
	{"site": 1, "path": "/"}]', '{path, site}');
SELECT * FROM update_or_create_many(NULL::page_, '[{"site": 1, "path": "/", "title": "set"}, {"site": 7, "path": "/", "u": 1.234},
	{"site": 3, "path": "/", "hits": 9, "tags": ["q"]}, {"site": 2, "path": "/x"}, {"site": 1, "path": "/", "hits": 5}]', '{site, path}');
SELECT * FROM update_or_create_many(NULL::page_, '[{"site": 1, "path": "/", "m": "sad"}, {"site": 3, "path": "/", "m": null},
	{"site": 7, "path": "/", "p": {"a": 2, "b": null}}]', '{site, path}');
SELECT * FROM update_or_create_many(NULL::page_, '[{"site": 3, "path": "/"}, {"site": 1, "path": "/"}]', '{site, path}');
-- More sets of columns than UPDATEs.
SELECT * FROM update_or_create_many(NULL::page_, (SELECT jsonb_agg(jsonb_build_object('site', i, 'path', '/many') ||
	(CASE i WHEN 1 THEN '{}' WHEN 2 THEN '{"x": 2}' WHEN 3 THEN '{"y": 3}' WHEN 4 THEN '{"x": 4, "y": 4}' WHEN 5 THEN '{"z": 5}'
	WHEN 6 THEN '{"x": 6, "z": 6}' WHEN 7 THEN '{"y": 7, "z": 7}' WHEN 8 THEN '{"x": 8, "y": 8, "z": 8}' WHEN 9 THEN '{"hits": 9}'
	WHEN 10 THEN '{"title": "ten"}' WHEN 11 THEN '{"hits": 11, "title": "eleven"}' ELSE '{"u": 12}' END)::jsonb) FROM generate_series(1, 12) AS i),
	'{site, path}');
SELECT * FROM update_or_create_many(NULL::page_, (SELECT jsonb_agg(jsonb_build_object('site', i, 'path', '/many') ||
	(CASE i WHEN 1 THEN '{}' WHEN 2 THEN '{"x": 3}' WHEN 3 THEN '{"y": 4}' WHEN 4 THEN '{"x": 5, "y": 5}' WHEN 5 THEN '{"z": 6}'
	WHEN 6 THEN '{"x": 7, "z": 7}' WHEN 7 THEN '{"y": 8, "z": 8}' WHEN 8 THEN '{"x": 9, "y": 9, "z": 9}' WHEN 9 THEN '{"hits": 10}'
	WHEN 10 THEN '{"title": "x"}' WHEN 11 THEN '{"hits": 12, "title": "xi"}' ELSE '{"u": 13}' END)::jsonb) FROM generate_series(1, 12) AS i),
	'{site, path}');
-- Refused by the table, which is then as it was.
SELECT * FROM get_or_create_many(NULL::page_, '[{"site": 20, "path": "/"}, {"site": 21, "path": "/", "hits": -1}]', '{site, path}');
SELECT * FROM update_or_create_many(NULL::page_, '[{"site": 1, "path": "/", "hits": 1}, {"site": 20, "path": "/", "title": "far too long"}]', '{site, path}');
SELECT * FROM update_or_create_many(NULL::page_, '[{"site": 20, "path": "/"}, {"site": 1, "path": "/", "nothing": 1}]', '{site, path}');
BEGIN;
SELECT created FROM get_or_create_many(NULL::page_, '[{"site": 30, "path": "/"}, {"site": 1, "path": "/"}]', '{site, path}');
SAVEPOINT s;
SELECT created FROM get_or_create_many(NULL::page_, '[{"site": 31, "path": "/"}, {"site": 30, "path": "/"}]', '{site, path}');
ROLLBACK TO s;
SELECT created FROM get_or_create_many(NULL::page_, '[{"site": 31, "path": "/"}, {"site": 30, "path": "/"}]', '{site, path}');
COMMIT;
-- The same statements again and again, so that their plans are made for all values.
SELECT n, sum(created::integer), count(*), count(DISTINCT object) FROM generate_series(1, 9) AS n,
	get_or_create_many(NULL::page_, (SELECT jsonb_agg(jsonb_build_object('site', i, 'path', n)) FROM generate_series(100, 110) AS i), '{site, path}')
	GROUP BY n ORDER BY n;
SELECT n, sum(created::integer), sum((object).x), count(*) FROM generate_series(1, 9) AS n,
	update_or_create_many(NULL::page_, (SELECT jsonb_agg(jsonb_build_object('site', i, 'path', n, 'x', n * i)) FROM generate_series(105, 115) AS i), '{site, path}')
	GROUP BY n ORDER BY n;
SELECT * FROM page_ ORDER BY site, path COLLATE "C";
SELECT * FROM get_or_create_many(NULL::bare_, '[{"k": 3}, {"k": 1, "v": "one"}]', '{k}');
SELECT * FROM update_or_create_many(NULL::bare_, '[{"k": 3, "v": "x"}, {"k": 2, "v": "y"}, {"k": 1}]', '{k}');
SELECT * FROM lock_rows(NULL::bare_, ARRAY[3, 1, 9, 3], id_column => 'k');
SELECT * FROM lock_rows(NULL::bare_, ARRAY[3, 1]::bigint[], mode => 'key share', wait => 'nowait', id_column => 'k');
SELECT * FROM lock_rows(NULL::bare_, '{}'::integer[], id_column => 'k');
];
my $expected = run_on($coordinator, 'plain', $upserts);
my $lines = () = $expected =~ /\n/g;
cmp_ok($lines, '>', 200, 'there is much to compare');
unlike($expected, qr{ERROR:  (?!23514|22001|42703)}, 'and nothing unexpected in it') or diag($expected);
for my $node ($coordinator, $workers[0])
{
	for my $kind (@kinds)
	{
		is(run_on($node, $kind, $upserts), $expected, $node->name . ": batches of rows give the same on a $kind table");
	}
	clear('page', @kinds);
	clear('bare', @kinds);
}

my $odd = q[
SELECT created FROM get_or_create_many(NULL::odd_, '[{"k": K1, "v": "a"}, {"k": K2}]', '{k}');
SELECT object, created FROM update_or_create_many(NULL::odd_, '[{"k": K2, "v": "b"}, {"k": K3}, {"k": K1, "v": "c"}, {"k": K2}]', '{k}');
];
for my $kind (@kinds)
{
	my @keys = $kind eq 'single' ? ('{"a": 1, "b": "x"}', '{"a": 1}', '{"b": "("}') : ('[1, 2]', '[]', '[2, null]');
	my $script = $odd =~ s/K(\d)/$keys[$1 - 1]/gr;
	my $got = run_on($coordinator, $kind, $script);

	is($got =~ s/[^\n]*,(\w*)\)"?\|/$1|/gr, "t\nt\nb|f\n|t\nc|f\nb|f\n", "values that no array can carry are keys of a $kind table");
}

# ---------------------------------------------------------------------------
# Transfers.

for my $kind ('plain', @kinds, 'by_request')
{
	my $hashed = $kind eq 'by_request';

	make('account', $kind, 'id', q(id integer PRIMARY KEY, balance numeric(12,2) NOT NULL CHECK (balance < 5000), currency text DEFAULT 'EUR'));
	on_coordinator("SELECT create_distributed_table('account_$kind', 'id')") if $hashed;
	on_coordinator("SELECT create_journal('entry_$kind', NULL::account_$kind, request_id_type => 'text', foreign_keys => false"
		. ($hashed ? ", distribute_by => 'request_id')" : ')'));
}
my @columns = qw(ordinality status amount from_balance from_available to_balance detail);
my $show = 'SELECT ' . join(', ', @columns) . ', entry_id IS NOT NULL FROM';
my $transfers = q[
SHOW transfer_many(NULL::account_, ARRAY[1, 2, 3, 4, 5, 1, 7], ARRAY[2, 3, 1, 5, 6, 99, 8], ARRAY[10, 20, 5, 500, 1, 1, 9999],
	request_ids => '{a, b, c, d, e, f, g}', chains => ARRAY[1, 1, null, 2, 2, null, null], on_error => 'report', journal => 'entry_');
SHOW transfer_many(NULL::account_, ARRAY[1, 2, 3], ARRAY[2, 3, 1], ARRAY[10, 20, 6], request_ids => '{a, b, c}', on_error => 'report', journal => 'entry_');
SHOW transfer_many(NULL::account_, ARRAY[1, 2], ARRAY[2, 3], ARRAY[10, 20], request_ids => '{a, b}', journal => 'entry_');
SHOW transfer_many(NULL::account_, ARRAY[1, 2, 3], ARRAY[2, 3, 1], ARRAY[10, 20, 6], request_ids => '{h, b, c}', journal => 'entry_');
SHOW transfer_many(NULL::account_, ARRAY[1, 2, 3], ARRAY[2, 3, 1], ARRAY[10, 20, 6], request_ids => '{h, i, j}', journal => 'entry_',
	details => '[{"a": 1}, null, {"b": 2}]');
-- Within one batch: twice the same request, and another one under its name.
SHOW transfer_many(NULL::account_, ARRAY[1, 1, 1], ARRAY[2, 2, 2], ARRAY[1, 1, 2], request_ids => '{k, k, k}', on_error => 'report', journal => 'entry_');
-- A CHECK of the table refuses the third.
SHOW transfer_many(NULL::account_, ARRAY[1, 1, 3], ARRAY[2, 9, 1], ARRAY[1, 20, 4990], min_balance => -100000, on_error => 'report');
SHOW transfer_many(NULL::account_, ARRAY[1, 1, 3], ARRAY[2, 9, 1], ARRAY[1, 20, 4990], min_balance => -100000);
SHOW transfer_many(NULL::account_, ARRAY[1, 1, 3], ARRAY[2, 9, 1], ARRAY[1, 20, 4990]);
SHOW transfer_many(NULL::account_, ARRAY[1, 4], ARRAY[2, 5], ARRAY[1, 9999], up_to => true, on_error => 'report');
UPDATE account_ SET currency = 'USD' WHERE id = 6;
SHOW transfer_many(NULL::account_, ARRAY[1, 5, 3], ARRAY[2, 6, 3], ARRAY[1, 1, 1], must_match => '{currency}', max_balance => 160, on_error => 'report');
SHOW transfer_many(NULL::account_, ARRAY[1], ARRAY[99], ARRAY[1]);
SHOW transfer_many(NULL::account_, '{}'::integer[], '{}'::integer[], '{}');
BEGIN;
SHOW transfer_many(NULL::account_, ARRAY[8, 10], ARRAY[9, 7], ARRAY[1, 2], request_ids => '{l, m}', journal => 'entry_');
SHOW transfer_many(NULL::account_, ARRAY[8, 10], ARRAY[9, 7], ARRAY[1, 2], request_ids => '{l, n}', journal => 'entry_');
ROLLBACK;
SELECT n, string_agg(status, ',' ORDER BY ordinality) FROM generate_series(1, 9) AS n,
	transfer_many(NULL::account_, ARRAY[11, 12, 13], ARRAY[12, 13, 11], ARRAY[n, n, n]) GROUP BY n ORDER BY n;
SELECT id, balance FROM account_ ORDER BY id;
SELECT request_id, from_id, to_id, amount, from_balance, to_balance, details, first_value(request_id) OVER (PARTITION BY chain_id ORDER BY id)
	FROM entry_ ORDER BY id;
];
$transfers =~ s/SHOW/$show/g;
sub fill
{
	my (@kinds) = @_;

	clear('account', @kinds);
	on_coordinator(map { "INSERT INTO account_$_ SELECT i, 100 FROM generate_series(1, 20) AS i" } @kinds);
	return;
}
fill('plain', @kinds, 'by_request');
$expected = run_on($coordinator, 'plain', $transfers);
unlike($expected, qr{ERROR:  (?!23514|RF)}, 'nothing unexpected in it') or diag($expected);
for my $kind (@kinds, 'by_request')
{
	is(run_on($coordinator, $kind, $transfers), $expected, "coordinator: batches of transfers give the same in $kind accounts");
}

# Reversals, where the journal is at home.
my $reversals = q[
SHOW transfer_many(NULL::account_, ARRAY[null, null]::integer[], ARRAY[null, null]::integer[], ARRAY[null, 3],
	entry_ids => (SELECT array_agg(id ORDER BY id) FROM entry_ WHERE request_id IN ('a', 'b')), request_ids => '{r, s}', on_error => 'report', journal => 'entry_');
SHOW transfer_many(NULL::account_, ARRAY[null, null]::integer[], ARRAY[null, null]::integer[], ARRAY[null, 3],
	entry_ids => (SELECT array_agg(id ORDER BY id) FROM entry_ WHERE request_id IN ('a', 'b')), request_ids => '{t, u}', on_error => 'report', journal => 'entry_');
];
# The ids are looked up first: no query over a distributed table calls us.
sub reversals_of
{
	my ($kind) = @_;
	my $ids = $coordinator->safe_psql('postgres', "SELECT array_agg(id ORDER BY id) FROM entry_$kind WHERE request_id IN ('a', 'b')");

	return $reversals =~ s/\(SELECT array_agg.*?\)\)/'$ids'/gr =~ s/SHOW/$show/gr;
}
$expected = run_on($coordinator, 'plain', reversals_of('plain'));
like($expected, qr/ok.*ok.*over_reversed/s, 'reversals are made, and not too many');
is(run_on($coordinator, $_, reversals_of($_)), $expected, "batches of reversals give the same in $_ accounts")
  for ('hashed', 'copied', 'local');

# From a worker, with journals that are new.
for my $kind (@kinds, 'by_request')
{
	on_coordinator("DROP TABLE entry_$kind",
		"SELECT create_journal('entry_$kind', NULL::account_$kind, request_id_type => 'text', foreign_keys => false"
		  . ($kind eq 'by_request' ? ", distribute_by => 'request_id')" : ')'),
		"UPDATE account_$kind SET currency = 'EUR'");
}
on_coordinator('DROP TABLE entry_plain', "SELECT create_journal('entry_plain', NULL::account_plain, request_id_type => 'text')",
	"UPDATE account_plain SET currency = 'EUR'");
on_coordinator("SET session_replication_role = replica; DELETE FROM account_plain");
fill('plain', @kinds, 'by_request');
$expected = run_on($coordinator, 'plain', $transfers);
for my $kind (@kinds, 'by_request')
{
	is(run_on($workers[1], $kind, $transfers), $expected, "worker_2: batches of transfers give the same in $kind accounts");
}

# Afterwards a transaction may go on as after single transfers.
on_coordinator('CREATE TABLE currency (name text PRIMARY KEY)', "SELECT create_reference_table('currency')",
	"INSERT INTO currency VALUES ('EUR'), ('USD')",
	'ALTER TABLE account_hashed ADD CONSTRAINT fk FOREIGN KEY (currency) REFERENCES currency (name)');
gives($coordinator, q(BEGIN;
SELECT count(*) FROM transfer_many(NULL::account_hashed, ARRAY[1, 2, 3, 4, 5, 6, 7, 8], ARRAY[11, 12, 13, 14, 15, 16, 17, 18], array_fill(1.0, ARRAY[8]), min_balance => -1000);
INSERT INTO currency VALUES ('GBP');
COMMIT), '8', 'a batch, and then a reference table that the accounts refer to');

# ---------------------------------------------------------------------------
# What is refused.

on_coordinator('CREATE TABLE loose_copied (k integer, v text)', "SELECT create_reference_table('loose_copied')",
	'CREATE TABLE loose (k integer, v text)', "SELECT create_distributed_table('loose', 'k')", "INSERT INTO loose VALUES (1, 'a')",
	'CREATE TABLE by_other (d integer, k integer, v text, UNIQUE (d, k))', "SELECT create_distributed_table('by_other', 'd')",
	"INSERT INTO by_other VALUES (1, 1, 'a')",
	'CREATE TABLE tenants (tenant integer, id integer, balance numeric, PRIMARY KEY (tenant, id))', "SELECT create_distributed_table('tenants', 'id')",
	'INSERT INTO tenants VALUES (1, 1, 100), (1, 2, 100)');
for my $node ($coordinator, $workers[0])
{
	my $not_unique = 'cannot keep the key unique in table';

	gives($node, q(SELECT * FROM get_or_create_many(NULL::loose, '[{"k": 1}]', '{k}')), '1|(1,a)|f', 'a row that is there is found');
	gives($node, q(SELECT * FROM update_or_create_many(NULL::loose, '[{"k": 1, "v": "a"}]', '{k}')), '1|(1,a)|f', 'and updated');
	refused($node, q(BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM get_or_create_many(NULL::loose, '[{"k": 1}, {"k": 2}]', '{k}')), $not_unique,
		'get_or_create_many creates no row at REPEATABLE READ without a unique index');
	refused($node, q(BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM update_or_create_many(NULL::loose, '[{"k": 1, "v": "b"}, {"k": 2}]', '{k}')), $not_unique,
		'nor does update_or_create_many');
	refused($node, q(SELECT * FROM get_or_create_many(NULL::by_other, '[{"k": 1}, {"k": 2}]', '{k}')), $not_unique,
		'nor are rows created without the distribution column');
	refused($node, q(SELECT * FROM get_or_create_many(NULL::loose_copied, '[{"k": 1}]', '{k}')), $not_unique,
		'nor those of a reference table');
	refused($node, q(SELECT * FROM update_or_create_many(NULL::by_other, '[{"k": 1, "v": "b"}]', '{k}')),
		'cannot lock a row of table "by_other" without its column "d"', 'rows without a primary key are locked by the distribution column');
	refused($node, q(SELECT * FROM lock_rows(NULL::by_other, ARRAY[1, 2], id_column => 'k')), 'cannot lock rows of table "by_other" in order',
		'and so are rows by their ids');
	refused($node, q(SELECT * FROM lock_rows(NULL::tenants, ARRAY[1, 2], id_column => 'id')), 'cannot lock rows of table "tenants" in order',
		'which the primary key begins with');
	refused($node, q(SELECT * FROM transfer_many(NULL::tenants, ARRAY[1], ARRAY[2], ARRAY[1.0], id_column => 'id')),
		'cannot be locked in the order of their primary key', 'transfers lock accounts in that order');
	refused($node, q(SELECT * FROM transfer_many(NULL::account_by_request, ARRAY[1, 2], ARRAY[2, 3], ARRAY[1, 1], request_ids => '{no, null}', journal => 'entry_by_request')),
		'a transfer without a request cannot be booked', 'a journal by request_id wants all requests');
	refused($node, q(SELECT * FROM transfer_many(NULL::account_by_request, ARRAY[1, 2], ARRAY[2, 3], ARRAY[1, 1], request_ids => '{no, null}', journal => 'entry_by_request', on_error => 'report')),
		'a transfer without a request cannot be booked', 'also where failures are reported');
}
gives($coordinator, "SELECT * FROM loose", '1|a', 'what was refused has written nothing');
gives($coordinator, "SELECT count(*) FROM entry_by_request WHERE request_id = 'no'", '0', 'and booked nothing');

# ---------------------------------------------------------------------------
# At REPEATABLE READ, a row that the transaction does not see yet.

for my $call (q(get_or_create_many(NULL::bare_TABLE, '[{"k": 50}, {"k": 51}]', '{k}')),
	q(update_or_create_many(NULL::bare_TABLE, '[{"k": 50, "v": "b"}, {"k": 51, "v": "b"}]', '{k}')))
{
	for my $kind (@kinds)
	{
		my $session = $coordinator->background_psql('postgres', on_error_stop => 0);
		my $query = $call =~ s/TABLE/$kind/r;

		clear('bare', $kind);
		$session->query_until(qr/looked/, qq(
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM bare_$kind WHERE k = 50;
\\echo looked
));
		on_coordinator("INSERT INTO bare_$kind VALUES (50, 'a')");
		like($session->query_until(qr/done/, qq(
SELECT 'given' FROM $query;
\\echo :SQLSTATE done
COMMIT;
)), qr/^40001 done/, "at REPEATABLE READ, a newer row of a $kind table is a serialization failure");
		$session->quit;
		gives($coordinator, "SELECT * FROM bare_$kind", '50|a', 'and no row is made or set');
	}
}

# ---------------------------------------------------------------------------
# Nine clients on three nodes.

# The numbers from 1, in an order of the client's own.
sub shuffled
{
	my ($n, $client) = @_;

	return sort { ($a * 7919 * ($client + 3)) % 1009 <=> ($b * 7919 * ($client + 3)) % 1009 || $a <=> $b } 1 .. $n;
}

my $size = 20;
for my $table ((map { "bare_$_" } @kinds), 'free_hashed', 'free_single', 'free_local')
{
	my @scripts;

	for my $client (0 .. 8)
	{
		my $script = "\\set VERBOSITY sqlstate\n";

		for my $round (1 .. $calls / 2)
		{
			my $rows = join ', ', map { sprintf '{"k": %d, "v": "%d"}', 1000 * $round + $_, $client } (shuffled($size, $client + $round))[ 0 .. $size - 5 ];

			my $function = $round % 3 ? 'update_or_create_many' : 'get_or_create_many';

			$script .= "SELECT created FROM $function(NULL::$table, '[$rows]', '{k}');\n";
		}
		push @scripts, $script;
	}
	my @results = at_once(@scripts);
	my $created = () = join('', map { $_->{out} } @results) =~ /^t$/mg;
	my $n = $size * int($calls / 2);

	is(join('', map { $_->{err} } @results), '', "nine clients get and set rows of $table without errors");
	is($created, $n, 'each row was created by one of them');
	gives($coordinator, "SELECT count(*), count(DISTINCT k) FROM $table WHERE k > 1000", "$n|$n", "there is one row for each key of $table");
}

# Rows that are there are locked in one order, however they are asked for, by
# update_or_create_many, lock_rows and transfers.
for my $kind ('hashed', 'single', 'local')
{
	my @scripts;

	fill($kind);
	for my $client (0 .. 8)
	{
		my $script = "\\set VERBOSITY sqlstate\n";

		for my $round (1 .. $calls / 3)
		{
			my @ids = shuffled(20, $client + $round);
			my @from = @ids[ 0 .. 7 ];
			my @to = @ids[ 8 .. 15 ];
			my $rows = join ', ', map { sprintf '{"id": %d, "currency": "EUR"}', $_ } @ids[ 3 .. 12 ];

			$script .= sprintf("SELECT count(*) FROM transfer_many(NULL::account_$kind, ARRAY[%s], ARRAY[%s], array_fill(0.01, ARRAY[8]), min_balance => -1000);\n",
				join(',', @from), join(',', @to));
			$script .= "SELECT count(*) FROM transfer(NULL::account_$kind, $ids[$_], $ids[$_ + 1], 0.01, min_balance => -1000);\n" for 0 .. 2;
			$script .= "SELECT count(*) FROM update_or_create_many(NULL::account_$kind, '[$rows]', '{id}');\n";
			$script .= sprintf("SELECT count(*) FROM lock_rows(NULL::account_$kind, ARRAY[%s]);\n", join(',', @ids[ 5 .. 14 ]));
		}
		push @scripts, $script;
	}
	my @results = at_once(@scripts);

	is(join('', map { $_->{err} } @results), '', "nobody waits in a circle for $kind accounts");
	gives($coordinator, "SELECT count(*), sum(balance) FROM account_$kind", '20|2000.00', "no money of $kind accounts was made or lost");
}

# The same batches from three nodes, again and again: requests are locked where the
# journal is, so who loses gets the replay.
for my $journal ('hashed', 'by_request', 'copied', 'single')
{
	my @scripts;

	fill($journal);
	for my $client (0 .. 8)
	{
		my $script = "\\set VERBOSITY sqlstate\n";

		for my $round (1 .. $calls / 12)
		{
			my @order = map { $_ - 1 } shuffled(10, 0);
			my $batch = sprintf "transfer_many(NULL::account_$journal, ARRAY[%s], ARRAY[%s], array_fill(1.0, ARRAY[10]), request_ids => '{%s}', journal => 'entry_$journal'",
			  join(',', map { $_ % 10 + 1 } @order), join(',', map { $_ % 10 + 11 } @order), join(',', map { "same $round $_" } @order);

			$script .= $client % 2
			  ? "SELECT status FROM $batch, on_error => 'report');\n"
			  : "SELECT status FROM $batch);\n" x 2;
		}
		push @scripts, $script;
	}
	my @results = at_once(@scripts);
	my $errors = join '', map { $_->{err} } @results;
	my $statuses = join '', map { $_->{out} } @results;
	my $n = 10 * int($calls / 12);
	my $made = () = $statuses =~ /^ok$/mg;

	# Citus takes sessions of the coordinator that wait for requests for one, and
	# so may see a circle where there is none.
	$errors =~ s/^.*ERROR:  40P01\n//mg;
	is($errors, '', "batches repeated from three nodes in $journal accounts end well, or ask again");
	$statuses =~ s/^(ok|replayed)\n//mg;
	is($statuses, '', 'all are made or replayed');
	is($made, $n, 'each transfer once');
	gives($coordinator, "SELECT count(*), count(DISTINCT request_id) FROM entry_$journal WHERE request_id LIKE 'same%'", "$n|$n",
		"each request is booked once beside $journal accounts");
	gives($coordinator, "SELECT sum(balance), sum(balance) FILTER (WHERE id > 10) FROM account_$journal",
		sprintf('2000.00|%d.00', 1000 + $n), "and moved once");
}

done_testing();
