# Copyright (c) 2026, the racefree developers

# A session's memory does not grow with the calls it makes, nor with the
# tables and the column sets that it meets: what all memory contexts hold
# after half of the work is what they hold after all of it.
#
# RACEFREE_MEMORY_CALLS (200000) sets the number of calls that find their row,
# and of all else in proportion.  It may be a million or more.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $calls = $ENV{RACEFREE_MEMORY_CALLS} || 200_000;

# Growth allowed in the second half.  The smallest thing that could leak takes
# 16 bytes a call, which is more.
my $slack = 64 * 1024;

my $node = PostgreSQL::Test::Cluster->new('memory');
$node->init;
$node->append_conf('postgresql.conf', 'log_statement = none
autovacuum = off
synchronous_commit = off');
$node->start;

# Each kind of work is a procedure that does so many pieces of it.
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION racefree;

CREATE FUNCTION memory(ignored text[] DEFAULT '{}')
	RETURNS bigint LANGUAGE sql VOLATILE AS
$$
SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts
WHERE name <> ALL (ignored)
$$;

CREATE TABLE test (id serial, str varchar(100) UNIQUE, note text);
CREATE TABLE bare (str text, note text);
CREATE INDEX ON bare (str);
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO account SELECT i, 1000000 FROM generate_series(1, 10) AS i;
CREATE TABLE audited (id integer PRIMARY KEY, balance bigint);
INSERT INTO audited SELECT * FROM account;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing AFTER UPDATE ON audited
	FOR EACH ROW EXECUTE FUNCTION nothing();

-- One statement, many calls: the table is no longer than ten rows.
CREATE PROCEDURE hits(n integer) LANGUAGE plpgsql AS
$$
BEGIN
	PERFORM count((g.object).id)
	FROM generate_series(1, n) AS i,
		LATERAL get_or_create(NULL::test,
							  jsonb_build_object('str', i % 10), '{"note": "x"}') AS g;
END
$$;

-- One transaction each: every call locks a key, and every other one fails.
CREATE PROCEDURE misses(n integer) LANGUAGE plpgsql AS
$$
BEGIN
	FOR i IN 1..n LOOP
		BEGIN
			PERFORM get_or_create(NULL::test,
								  jsonb_build_object('str', 'miss ' || i));
			PERFORM get_or_create(NULL::bare,
								  jsonb_build_object('str', 'miss ' || i));
			IF i % 2 = 0 THEN
				RAISE SQLSTATE 'ZZ001';
			END IF;
		EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
			NULL;
		END;
		COMMIT;
		IF i % 1000 = 0 THEN
			DELETE FROM test WHERE str LIKE 'miss%';
			DELETE FROM bare;
			COMMIT;
		END IF;
	END LOOP;
END
$$;

CREATE PROCEDURE updates(n integer) LANGUAGE plpgsql AS
$$
BEGIN
	FOR i IN 1..n LOOP
		PERFORM update_or_create(NULL::test,
								 jsonb_build_object('str', i % 10),
								 jsonb_build_object('note', repeat('x', 100)));
		IF i % 100 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END
$$;

CREATE PROCEDURE transfers(n integer) LANGUAGE plpgsql AS
$$
BEGIN
	FOR i IN 1..n LOOP
		PERFORM transfer(NULL::account, 1 + i % 10, 1 + (i + 1) % 10, 0.01);
		PERFORM transfer(NULL::audited, 1 + i % 10, 1 + (i + 1) % 10, 1);
		IF i % 100 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END
$$;

-- Calls that fail: no row, no funds, no such column.
CREATE PROCEDURE failures(n integer) LANGUAGE plpgsql AS
$$
BEGIN
	FOR i IN 1..n LOOP
		BEGIN
			IF i % 3 = 0 THEN
				PERFORM transfer(NULL::account, 0, i, 1);
			ELSIF i % 3 = 1 THEN
				PERFORM transfer(NULL::account, 1, 2, 1e9);
			ELSE
				PERFORM get_or_create(NULL::test, '{"str": "x", "y": 1}');
			END IF;
			RAISE 'this must not be reached';
		EXCEPTION WHEN SQLSTATE 'RF001' OR SQLSTATE 'RF002' OR undefined_column THEN
			NULL;
		END;
		IF i % 100 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END
$$;

-- Lines that cannot be converted, all in one transaction, as an import does
-- that logs them and goes on.  The domain's CHECK calls us inside of a call.
CREATE TABLE checked (id integer, n integer);
CREATE FUNCTION is_known(value integer) RETURNS boolean LANGUAGE plpgsql AS
$$
BEGIN
	PERFORM get_or_create(NULL::checked, jsonb_build_object('id', 1));
	RETURN value > 0;
END
$$;
CREATE DOMAIN known AS integer CHECK (is_known(VALUE));
CREATE TABLE entry (id integer PRIMARY KEY, names varchar(10)[], part known);
CREATE PROCEDURE bad_lines(n integer) LANGUAGE plpgsql AS
$$
BEGIN
	FOR i IN 1..n LOOP
		BEGIN
			IF i % 4 = 0 THEN
				PERFORM get_or_create(NULL::entry, '{"id": "x"}');
			ELSIF i % 4 = 1 THEN
				PERFORM update_or_create(NULL::entry, '{"id": 1}', '{"names": 1}');
			ELSIF i % 4 = 2 THEN
				PERFORM get_or_create_many(NULL::entry, '[{"id": 1, "part": 0}]', '{id}');
			ELSE
				PERFORM lock_keys('{"entry": [{"id": 1}, {"id": "x"}]}');
			END IF;
			RAISE 'this must not be reached';
		EXCEPTION WHEN data_exception OR check_violation THEN
			NULL;
		END;
	END LOOP;
END
$$;

-- Values for columns of the journal's own, another set of them in each call; the
-- domain's CHECK and the DEFAULT call us inside of a call.
CREATE TABLE booked (from_id integer, to_id integer, amount numeric, a integer, b text DEFAULT 'b', c integer[],
	d known, e integer DEFAULT is_known(1)::integer, f numeric, g date, h text);
CREATE PROCEDURE own_columns(n integer) LANGUAGE plpgsql AS
$$
DECLARE
	own jsonb;
BEGIN
	FOR i IN 1..n LOOP
		own := (SELECT jsonb_object_agg(key, value)
				FROM jsonb_each('{"a": 1, "b": "x", "c": [1, 2], "d": 1, "e": 2, "f": 1.5, "g": "2026-01-01", "h": null}')
				WHERE (i % 255 + 1) & (1 << (ascii(key) - ascii('a'))) <> 0);
		PERFORM transfer(NULL::account, 1, 2, 0.01, journal => 'booked', columns => own);
		PERFORM transfer_many(NULL::account, '{1,1,1}', '{2,2,2}', '{0.01,0.01,0.01}', journal => 'booked',
			columns => jsonb_build_array(own, NULL, '{"b": "y"}'::jsonb));
		BEGIN
			PERFORM transfer_many(NULL::account, '{1,1}', '{2,2}', '{0.01,0.01}', journal => 'booked',
				columns => jsonb_build_array(own, CASE WHEN i % 2 = 0 THEN '{"d": 0}'::jsonb ELSE '{"a": "x"}' END));
			RAISE 'this must not be reached';
		EXCEPTION WHEN data_exception OR check_violation THEN
			NULL;
		END;
		ROLLBACK;
	END LOOP;
END
$$;

-- A new temporary table each time, every other one gone with its transaction.
CREATE PROCEDURE temporary_tables(n integer) LANGUAGE plpgsql AS
$$
BEGIN
	FOR i IN 1..n LOOP
		CREATE TEMPORARY TABLE scratch (id integer PRIMARY KEY, str text,
										balance integer DEFAULT 10);
		EXECUTE 'SELECT get_or_create(NULL::scratch, ''{"id": 1}'')';
		EXECUTE 'SELECT update_or_create(NULL::scratch, ''{"id": 2}'')';
		EXECUTE 'SELECT transfer(NULL::scratch, 1, 2, 5)';
		IF i % 2 = 0 THEN
			ROLLBACK;
		ELSE
			DROP TABLE scratch;
			COMMIT;
		END IF;
	END LOOP;
END
$$;

-- The same table, altered each time.
CREATE TABLE altered (id integer PRIMARY KEY, str text);
CREATE PROCEDURE alterations(n integer) LANGUAGE plpgsql AS
$$
BEGIN
	FOR i IN 1..n LOOP
		ALTER TABLE altered RENAME str TO other;
		EXECUTE 'SELECT get_or_create(NULL::altered, ''{"id": 1}'', ''{"other": "x"}'')';
		COMMIT;
		ALTER TABLE altered RENAME other TO str;
		EXECUTE 'SELECT update_or_create(NULL::altered, ''{"id": 1}'', ''{"str": "x"}'')';
		COMMIT;
	END LOOP;
END
$$;

-- A table with 16 columns, and another set of them in each of 1024 calls.
DO $$
BEGIN
	EXECUTE 'CREATE TABLE wide (' ||
		(SELECT string_agg(format('c%s integer', i), ', ')
		 FROM generate_series(0, 15) AS i) || ')';
END
$$;
CREATE PROCEDURE column_sets(n integer) LANGUAGE plpgsql AS
$$
BEGIN
	FOR i IN 1..n LOOP
		PERFORM get_or_create(NULL::wide,
			(SELECT jsonb_object_agg('c' || c, CASE WHEN c % 3 > 0 THEN 1 END)
			 FROM generate_series(0, 15) AS c
			 WHERE (i % 1024 + 1) * 63 & (1 << c) <> 0));
		ROLLBACK;
	END LOOP;
END
$$;
));

# Half of the work, measure, the other half, measure: in one session, and
# if asked in one transaction.  What is done first fills the caches.
sub stays_within
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($procedure, $n, $name, $ignored, $begin) = @_;
	my $half = int($n / 2);
	my $memory = $ignored ? "memory('$ignored')" : 'memory()';
	my $result = $node->safe_psql(
		'postgres', ($begin // '') . qq(
CALL $procedure($half / 8);
CALL $procedure($half);
SELECT $memory AS half \\gset
CALL $procedure($half);
SELECT $memory - :half, :half;
));
	my ($growth, $base) = split /\|/, $result;

	note("$procedure: $base bytes, $growth more after $half more");
	cmp_ok($growth, '<=', $slack, $name);
	return;
}

stays_within('hits', $calls,
	'memory does not grow with calls that find their row');
stays_within('misses', int($calls / 20),
	'memory does not grow with calls that create theirs, or roll back');
stays_within('updates', int($calls / 10),
	'memory does not grow with updates');
stays_within('transfers', int($calls / 10),
	'memory does not grow with transfers');
stays_within('own_columns', 512 + int($calls / 100),
	'memory does not grow with sets of columns of a journal');
stays_within('failures', int($calls / 20),
	'memory does not grow with calls that fail');
stays_within('bad_lines', int($calls / 10),
	'memory does not grow with lines that cannot be converted',
	undef, 'BEGIN;');
stays_within('column_sets', 2048 * (1 + int($calls / 200_000)),
	'memory does not grow with the sets of columns');
stays_within('alterations', int($calls / 200),
	'memory does not grow with changes to the table');

# Core never forgets a row type that it has looked at, so that its own caches
# are left out.  Ours forget dropped tables 256 at a time: do multiples of it.
stays_within(
	'temporary_tables',
	512 * (1 + int($calls / 200_000)),
	'memory does not grow with tables that come and go',
	'{CacheMemoryContext, Type information cache, Record information cache}');

# In the middle of a statement: what a call needs is given back by the next.
# Each row is changed once, since core remembers rows that a transaction
# changes again.
my $n = 2 * int($calls / 20);
$node->safe_psql(
	'postgres', qq(
CREATE TABLE many (id integer PRIMARY KEY, balance bigint);
INSERT INTO many SELECT i, 10 FROM generate_series(1, 4 * $n) AS i;
));
for my $call (
	q[get_or_create(NULL::many, jsonb_build_object('id', i))],
	q[update_or_create(NULL::many, jsonb_build_object('id', i), '{"balance": 9}')],
	qq[transfer(NULL::many, 2 * $n + i, 3 * $n + i, 1)])
{
	my ($function) = $call =~ /^(\w+)/;
	my ($half, $full) = split /\|/, $node->safe_psql(
		'postgres', qq(
SELECT max(m) FILTER (WHERE i = $n / 2), max(m) FILTER (WHERE i = $n)
FROM (SELECT i, CASE WHEN i IN ($n / 2, $n) THEN memory() END AS m, called
	  FROM generate_series(1, $n) AS i, LATERAL $call AS called) AS c
WHERE called IS NOT NULL;
));
	note("$function: $half bytes, then $full");
	cmp_ok($full - $half, '<=', $slack,
		"$function() in one statement: memory does not grow with the rows");
}

is(join("\n", grep { /(?:ERROR|FATAL|PANIC):/ }
		  split /\n/, slurp_file($node->logfile)),
	'', 'the server logs no error');
$node->stop;

done_testing();
