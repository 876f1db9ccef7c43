-- Copyright (c) 2026, the racefree developers
--
-- The public contract of get_or_create_many, update_or_create_many, the lock
-- functions and the key guard.
--
-- Runs on any server that has the extensions racefree and pgtap available,
-- and leaves nothing behind:
--
--		psql -X -q -A -t -d DATABASE -f test/pgtap/upsert_many.sql

\set ON_ERROR_STOP 1
-- One result a line, also where a row has several.
\pset format unaligned
\pset fieldsep '\n'
\pset tuples_only on
\pset pager off
SET client_min_messages = warning;

BEGIN;

CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS racefree;

-- The extensions may be in any schemas; the tables are in a new one.
CREATE SCHEMA "racefree batches";
SELECT quote_ident(n.nspname) AS racefree, n.nspname AS racefree_name
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'racefree' \gset
SELECT quote_ident(n.nspname) AS pgtap
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SET LOCAL search_path = "racefree batches", :racefree, :pgtap;

SELECT plan(66);

-- ---------------------------------------------------------------------------
-- The functions and the view

CREATE TEMPORARY TABLE contract (name text, types text, arguments text);
INSERT INTO contract VALUES
('get_or_create_many', 'anyelement,jsonb,name[]',
 'target anyelement, rows jsonb, key name[],'
 ' OUT ordinality bigint, OUT object anyelement, OUT created boolean'),
('update_or_create_many', 'anyelement,jsonb,name[]',
 'target anyelement, rows jsonb, key name[],'
 ' OUT ordinality bigint, OUT object anyelement, OUT created boolean'),
('lock_keys', 'jsonb', 'keys jsonb'),
('lock_keys_here', 'jsonb', 'keys jsonb'),
('lock_rows', 'anyelement,anycompatiblearray,text,text,name',
 'target anyelement, ids anycompatiblearray,'
 ' mode text DEFAULT ''no key update''::text,'
 ' wait text DEFAULT ''wait''::text, id_column name DEFAULT NULL::name'),
('key_guard', '', '');

CREATE TEMPORARY VIEW function AS
SELECT c.*, p.*
FROM contract AS c
	LEFT JOIN pg_proc AS p
		ON p.oid = to_regprocedure(format('%I.%s(%s)', :'racefree_name',
										  c.name, c.types));

SELECT is(pg_get_function_arguments(oid), arguments,
		  name || '() has these arguments, defaults and results')
FROM function;
SELECT is(provolatile::text, 'v', name || '() is volatile') FROM function;
SELECT is(proparallel::text, 'u', name || '() is parallel unsafe') FROM function;
SELECT ok(NOT proisstrict, name || '() answers to NULL itself') FROM function;
SELECT ok(NOT prosecdef, name || '() runs with the caller''s privileges')
FROM function;
SELECT isnt(obj_description(oid, 'pg_proc'), NULL, name || '() has a comment')
FROM function;
SELECT columns_are(:'racefree_name', 'racefree_locks',
				   ARRAY['relation', 'key_hash', 'mode', 'granted', 'pid',
						 'waiting_since', 'blocking_pids']);
SELECT ok(has_table_privilege('public', :'racefree' || '.racefree_locks',
							  'SELECT'),
		  'everybody may read racefree_locks');

-- ---------------------------------------------------------------------------
-- Batches

CREATE TABLE thing (id serial PRIMARY KEY, str text, n integer DEFAULT 7);

SELECT results_eq(
	$$SELECT ordinality, (object).str, (object).n, created
	  FROM get_or_create_many(NULL::thing,
		'[{"str": "a"}, {"str": "b", "n": 1}, {"str": "a", "n": 2}, {"str": null}]',
		'{str}')$$,
	$$VALUES (1::bigint, 'a', 7, true), (2, 'b', 1, true), (3, 'a', 7, false),
		(4, NULL, 7, true)$$,
	'get_or_create_many: a result for each row, the first of a key creates');
SELECT results_eq(
	$$SELECT ordinality, (object).str, (object).n, created
	  FROM update_or_create_many(NULL::thing,
		'[{"str": "b", "n": 2}, {"str": "c"}, {"str": "b", "n": 3}, {"str": "a"}]',
		'{str}')$$,
	$$VALUES (1::bigint, 'b', 3, false), (2, 'c', 7, true), (3, 'b', 3, false),
		(4, 'a', 7, false)$$,
	'update_or_create_many: the last of a key wins');
SELECT is_empty($$SELECT * FROM get_or_create_many(NULL::thing, '[]', '{str}')$$,
				'an empty batch has no results');
SELECT throws_ok($$SELECT * FROM get_or_create_many(NULL::thing, NULL, '{str}')$$,
				 '22004');
SELECT throws_ok($$SELECT * FROM get_or_create_many(NULL::thing, '[]', NULL)$$,
				 '22004');
SELECT throws_ok($$SELECT * FROM get_or_create_many(NULL::thing, '{}', '{str}')$$,
				 '22023');
SELECT throws_ok($$SELECT * FROM get_or_create_many(NULL::thing, '[{"n": 1}]', '{str}')$$,
				 '22023');
SELECT throws_ok($$SELECT * FROM get_or_create_many(NULL::thing, '[]', '{strs}')$$,
				 '42703');
SELECT throws_ok($$SELECT * FROM get_or_create_many(NULL::thing, '[]', '{str,str}')$$,
				 '42701');
INSERT INTO thing (str) VALUES ('twice'), ('twice');
SELECT throws_ok($$SELECT * FROM get_or_create_many(NULL::thing, '[{"str": "z"}, {"str": "twice"}]', '{str}')$$,
				 '21000');
SELECT throws_ok($$SELECT * FROM update_or_create_many(NULL::thing, '[{"str": "twice", "n": 1}]', '{str}')$$,
				 '21000');

-- ---------------------------------------------------------------------------
-- Locks

SELECT lives_ok($$SELECT lock_keys('{"thing": [{"str": "x"}, {"str": "y"}]}')$$,
				'lock_keys takes keys of rows that are not there');
SELECT set_has(
	$$SELECT relation, key_hash IS NULL, mode, granted FROM racefree_locks
	  WHERE pid = pg_backend_pid()$$,
	$$VALUES ('thing'::regclass, true, 'RowExclusiveLock', true),
		('thing'::regclass, false, 'ExclusiveLock', true)$$,
	'racefree_locks shows them');
SELECT throws_ok($$SELECT lock_keys(NULL)$$, '22004');
SELECT throws_ok($$SELECT lock_keys('[]')$$, '22023');
SELECT throws_ok($$SELECT lock_keys('{"no_such_table": []}')$$, '42P01');
SELECT throws_ok($$SELECT lock_keys('{"thing": [{"strs": 1}]}')$$, '42703');

SELECT results_eq(
	$$SELECT id FROM lock_rows(NULL::thing, ARRAY[3, 99, 1, 3])$$,
	$$VALUES (3), (1), (3)$$,
	'lock_rows: in the order of the ids, without those that do not exist');
SELECT results_eq(
	$$SELECT id FROM lock_rows(NULL::thing, '{2,1}', 'key share', 'nowait')$$,
	$$VALUES (2), (1)$$,
	'lock_rows: ids as text, another strength, no waiting');
SELECT throws_ok($$SELECT lock_rows(NULL::thing, NULL::int[])$$, '22004');
SELECT throws_ok($$SELECT lock_rows(NULL::thing, ARRAY[1, NULL])$$, '22004');
SELECT throws_ok($$SELECT lock_rows(NULL::thing, ARRAY[1], 'exclusive')$$, '22023');
SELECT throws_ok($$SELECT lock_rows(NULL::thing, ARRAY[1], wait => 'never')$$, '22023');
SELECT throws_ok($$SELECT lock_rows(NULL::thing, ARRAY['twice'], id_column => 'str')$$,
				 '21000');

-- ---------------------------------------------------------------------------
-- The guard

CREATE TABLE guarded (region text, email text) PARTITION BY LIST (region);
CREATE TABLE guarded_a PARTITION OF guarded FOR VALUES IN ('a');
CREATE TABLE guarded_b PARTITION OF guarded FOR VALUES IN ('b');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('email');
INSERT INTO guarded VALUES ('a', 'x'), ('a', 'y');
SELECT throws_ok($$INSERT INTO guarded VALUES ('b', 'x')$$, '23505');
SELECT throws_ok($$UPDATE guarded SET email = 'x' WHERE email = 'y'$$, '23505');
SELECT lives_ok($$UPDATE guarded SET region = 'b' WHERE email = 'y'$$,
				'a row may move to another partition');
SELECT results_eq(
	$$SELECT (object).region, created
	  FROM get_or_create(NULL::guarded, '{"email": "y"}', '{"region": "a"}')$$,
	$$VALUES ('b', false)$$,
	'get_or_create finds it there');

SELECT * FROM finish();
ROLLBACK;
