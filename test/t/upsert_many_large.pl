# Copyright (c) 2026, the racefree developers

# A hundred thousand rows in one call, with settings as a server comes: the
# lock table is large enough, memory is bounded and given back, all of it.
#
# RACEFREE_LARGE_ROWS (100000) sets the size.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $ENV{RACEFREE_LARGE_ROWS} || 100_000;

# What a session may take at most while it runs a call: a few values a row, in
# input, sorted and as the result.  And what it may keep afterwards.
my $peak_per_row = 2048;
my $peak_base = 16 * 1024 * 1024;
my $kept = 256 * 1024;
# What one more call may keep: nothing, but caches round up.
my $slack = 64 * 1024;

my $node = PostgreSQL::Test::Cluster->new('large');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
log_statement = none
synchronous_commit = off
autovacuum = off
max_wal_size = 1GB
shared_buffers = 16MB
));
$node->start;

is( $node->safe_psql(
		'postgres',
		"SELECT setting = boot_val FROM pg_settings WHERE name = 'max_locks_per_transaction'"),
	't', 'the lock table has its default size');

$node->safe_psql(
	'postgres', qq(
CREATE EXTENSION racefree;
CREATE FUNCTION memory() RETURNS bigint LANGUAGE sql VOLATILE AS
	'SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts';
CREATE TABLE plain (id serial PRIMARY KEY, name text, note text);
CREATE INDEX ON plain (name);
CREATE TABLE keyed (id serial PRIMARY KEY, name text UNIQUE, note text);
CREATE TABLE split (id serial, name text, note text,
					zone integer NOT NULL DEFAULT floor(random() * 4))
	PARTITION BY HASH (zone);
CREATE TABLE split_0 PARTITION OF split FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE split_1 PARTITION OF split FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX ON split (name);

-- Input is prepared, so that it is not in the session's peak.
CREATE TABLE input (kind text, rows jsonb);
CREATE FUNCTION input(wanted text) RETURNS jsonb LANGUAGE sql STABLE AS
	'SELECT rows FROM input WHERE kind = wanted';
INSERT INTO input
	SELECT kind, jsonb_agg(jsonb_build_object('name', kind || ' ' || i,
											  'note', 'note ' || i)
						   ORDER BY random())
	FROM generate_series(1, $rows) AS i, unnest('{a,b,c}'::text[]) AS kind
	GROUP BY kind;
));

# From the kernel, in bytes; undef where it does not tell.
sub process_memory
{
	my ($pid, $field) = @_;

	open(my $status, '<', "/proc/$pid/status") or return;
	while (my $line = <$status>)
	{
		return $1 * 1024 if $line =~ /^$field:\s+(\d+) kB/;
	}
	return;
}

for my $table ('plain', 'keyed', 'split')
{
	for my $function ('get_or_create_many', 'update_or_create_many')
	{
		my $name = "$function(), $table";
		my $session = $node->background_psql('postgres');
		my $pid = $session->query('SELECT pg_backend_pid()');
		my $call = sub {
			my ($input) = @_;
			return $session->query(
				"SELECT count(*), count(*) FILTER (WHERE created),
						count(DISTINCT (object).id)
				 FROM $function(NULL::$table, input('$input'), '{name}')");
		};
		my $memory = sub { return $session->query('SELECT memory()') };

		$node->safe_psql('postgres', "TRUNCATE $table");
		# What is done first fills the caches.
		$session->query(
			"SELECT count(*) FROM $function(NULL::$table, '[{\"name\": \"x\"}]', '{name}')"
		);
		$session->query('SELECT count(rows->0) FROM input');
		my $before = $memory->();
		my $peak_before = process_memory($pid, 'VmHWM');

		is($call->('a'), "$rows|$rows|$rows", "$name: all are created");
		my $after = $memory->();
		my $peak = process_memory($pid, 'VmHWM');
		note("$name: $before bytes before, $after after");
		cmp_ok($after - $before, '<=', $kept, "$name: memory is given back");

	  SKIP:
		{
			skip "the peak of a process's memory is not known", 1
			  unless defined $peak_before;
			# It keeps what is freed for a while, so as to find who still uses it.
			skip "the peak is the address sanitizer's", 1
			  if $ENV{ASAN_OPTIONS};
			note(sprintf "$name: at its peak, %.0f bytes a row",
				($peak - $peak_before) / $rows);
			cmp_ok(
				$peak - $peak_before,
				'<=',
				$peak_base + $peak_per_row * $rows,
				"$name: memory is bounded");
		}

		is($call->('a'), "$rows|0|$rows", "$name: all are found");
		is($call->('b'), "$rows|$rows|$rows", "$name: others are created");
		my $settled = $memory->();
		is($call->('c'), "$rows|$rows|$rows", "$name: and others again");
		is($call->('c'), "$rows|0|$rows", "$name: all are found again");
		cmp_ok($memory->() - $settled,
			'<=', $slack, "$name: memory does not grow with calls");
		$session->quit;
	}
}

# In one transaction, next to a single call that waits for none of it.
is( $node->safe_psql(
		'postgres', q(
TRUNCATE plain;
BEGIN;
SELECT created FROM get_or_create(NULL::plain, '{"name": "a 1"}');
SELECT count(*) FILTER (WHERE created)
FROM get_or_create_many(NULL::plain, input('a'), '{name}');
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
SELECT created FROM get_or_create(NULL::plain, '{"name": "b 1"}');
SELECT lock_keys(jsonb_build_object('plain',
	(SELECT jsonb_agg(jsonb_build_object('name', r->'name'))
	 FROM jsonb_array_elements(input('c')) AS r)));
ROLLBACK;
)),
	"t\n" . ($rows - 1) . "\n3\nt\n",
	'one transaction: the table\'s keys are locked as a whole');

is(join("\n", grep { /(?:ERROR|FATAL|PANIC):/ }
		  split /\n/, slurp_file($node->logfile)),
	'', 'the server logs no error');
$node->stop;

done_testing();
