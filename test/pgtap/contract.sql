-- Copyright (c) 2026, the racefree developers
--
-- The public contract: what the functions look like from outside, what they
-- answer, and which SQLSTATE each refusal has.
--
-- Runs on any server that has the extensions racefree and pgtap available,
-- and leaves nothing behind:
--
--		psql -X -q -A -t -d DATABASE -f test/pgtap/contract.sql
--
-- or, to have the results counted:
--
--		pg_prove -d DATABASE test/pgtap/contract.sql

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
CREATE SCHEMA "racefree contract";
SELECT quote_ident(n.nspname) AS racefree, n.nspname AS racefree_name
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'racefree' \gset
SELECT quote_ident(n.nspname) AS pgtap
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SET LOCAL search_path = "racefree contract", :racefree, :pgtap;

SELECT plan(136);

-- ---------------------------------------------------------------------------
-- The functions

SELECT has_extension('racefree', 'the extension is installed');

CREATE TEMPORARY TABLE contract (name text, types text, arguments text);
INSERT INTO contract VALUES
('get_or_create',
 'anyelement,jsonb,jsonb',
 'target anyelement, key jsonb, defaults jsonb DEFAULT ''{}''::jsonb,'
 ' OUT object anyelement, OUT created boolean'),
('update_or_create',
 'anyelement,jsonb,jsonb,jsonb',
 'target anyelement, key jsonb, defaults jsonb DEFAULT ''{}''::jsonb,'
 ' create_defaults jsonb DEFAULT NULL::jsonb,'
 ' OUT object anyelement, OUT created boolean'),
('transfer',
 'anyelement,anycompatible,anycompatible,numeric,numeric,name,name,regclass,'
 'racefree_request,jsonb,numeric,name[],boolean,jsonb',
 'accounts anyelement, from_id anycompatible, to_id anycompatible,'
 ' amount numeric, min_balance numeric DEFAULT NULL::numeric,'
 ' id_column name DEFAULT NULL::name,'
 ' balance_column name DEFAULT ''balance''::name,'
 ' journal regclass DEFAULT NULL::regclass,'
 ' request_id racefree_request DEFAULT NULL::racefree_request, details jsonb DEFAULT NULL::jsonb,'
 ' max_balance numeric DEFAULT NULL::numeric,'
 ' must_match name[] DEFAULT NULL::name[], up_to boolean DEFAULT false,'
 ' columns jsonb DEFAULT NULL::jsonb,'
 ' OUT from_account anyelement, OUT to_account anyelement,'
 ' OUT amount numeric, OUT replayed boolean, OUT entry jsonb,'
 ' OUT from_balance numeric, OUT to_balance numeric, OUT entry_id bigint');

CREATE TEMPORARY VIEW function AS
SELECT c.*, p.*, string_to_array(c.types, ',') AS type_array
FROM contract AS c
	LEFT JOIN pg_proc AS p
		ON p.oid = to_regprocedure(format('%I.%s(%s)', :'racefree_name',
										  c.name, c.types));

SELECT has_function(:'racefree_name', name, type_array,
					format('%s(%s) exists', name, types))
FROM function;
SELECT is(pg_get_function_arguments(oid), arguments,
		  name || '() has these arguments, defaults and results')
FROM function;
SELECT volatility_is(:'racefree_name', name, type_array, 'volatile',
					 name || '() is volatile')
FROM function;
SELECT isnt_strict(:'racefree_name', name, type_array,
				   name || '() is called on null input')
FROM function;
SELECT isnt_definer(:'racefree_name', name, type_array,
					name || '() runs with the caller''s rights')
FROM function;
SELECT is(proparallel, 'u', name || '() is not for parallel workers')
FROM function;
SELECT is(proretset, false, name || '() returns one row')
FROM function;
SELECT is(has_function_privilege('public', oid, 'EXECUTE'), true,
		  name || '() may be called by everybody')
FROM function;
SELECT isnt(obj_description(oid, 'pg_proc'), NULL, name || '() has a comment')
FROM function;

-- ---------------------------------------------------------------------------
-- What the tests work on

CREATE TABLE test (
	id serial PRIMARY KEY,
	str varchar(100),
	size numeric,
	code char(4),
	tags text[],
	extra json,
	note text DEFAULT 'none',
	upper text GENERATED ALWAYS AS (upper(str)) STORED,
	always integer GENERATED ALWAYS AS IDENTITY);
CREATE TABLE ranked (name text, rank integer UNIQUE);
CREATE TABLE single (id serial);
CREATE VIEW test_view AS SELECT * FROM test;
CREATE TYPE pair AS (a integer, b integer);

CREATE TABLE account (id bigint PRIMARY KEY, balance numeric(12,2));
INSERT INTO account VALUES (1, 100), (2, 100), (3, NULL);
CREATE TABLE wallet (name text, owner uuid PRIMARY KEY,
					 coins smallint CHECK (coins <> 13), price real);
INSERT INTO wallet VALUES
	('Ann', '00000000-0000-0000-0000-00000000000a', 100, 1),
	('Bob', '00000000-0000-0000-0000-00000000000b', 32000, 1);

-- Run a query as in a read-only transaction.  The end of a subtransaction that
-- fails makes it writable again; what has no such end may not set it.
CREATE FUNCTION read_only(query text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
	answer text;
BEGIN
	SET LOCAL transaction_read_only = on;
	EXECUTE query INTO answer;
	RAISE SQLSTATE 'READY';
EXCEPTION WHEN SQLSTATE 'READY' THEN
	RETURN answer;
END
$$;

-- The hint that comes with a query's error.
CREATE FUNCTION hint_of(query text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
	hint text;
BEGIN
	EXECUTE query;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN hint;
END
$$;

-- ---------------------------------------------------------------------------
-- get_or_create()

SELECT is(created, true, 'get_or_create() creates what is not there'),
	is((object).str, 'blah', 'and returns the new row'),
	is((object).note, 'none', 'with a column''s own default'),
	is(pg_typeof(object)::text, 'test', 'as the table''s type'),
	is(pg_typeof(created)::text, 'boolean', 'and a boolean')
FROM get_or_create(NULL::test, '{"str": "blah"}');

SELECT is(created, false, 'get_or_create() finds what is there'),
	is((object).id, (SELECT id FROM test WHERE str = 'blah'), 'that very row'),
	is((object).note, 'none', 'without setting defaults')
FROM get_or_create(NULL::test, '{"str": "blah"}', '{"note": "new"}');

SELECT results_eq(
	$$SELECT created, (object).str, (object).note, (object).tags, (object).extra::text
	  FROM get_or_create(NULL::test, '{"str": "full"}',
						 '{"note": null, "tags": ["a", "b"], "extra": {"x": 1}}')$$,
	$$VALUES (true, 'full'::varchar, NULL::text, ARRAY['a', 'b'], '{"x": 1}')$$,
	'defaults go into the new row: a JSON null is NULL, arrays and json convert');
SELECT results_eq(
	$$SELECT created FROM (VALUES (1)) AS v, get_or_create(NULL::test, '{"size": 1.0, "code": "x"}')
	  UNION ALL SELECT created FROM get_or_create(NULL::test, '{"size": 1.00, "code": "x  "}')$$,
	$$VALUES (true), (false)$$,
	'equal is what the column''s type calls equal');
SELECT results_eq(
	$$SELECT created FROM get_or_create(NULL::test, '{"str": null, "code": "null"}')
	  UNION ALL SELECT created FROM get_or_create(NULL::test, '{"str": null, "code": "null"}')$$,
	$$VALUES (true), (false)$$,
	'NULL matches NULL');
SELECT results_eq(
	$$SELECT created FROM get_or_create(NULL::test, '{"upper": "FULL"}')$$,
	$$VALUES (false)$$,
	'a row can be found by a generated column');
SELECT results_eq(
	$$SELECT created FROM get_or_create(NULL::single, '{}')
	  UNION ALL SELECT created FROM get_or_create(NULL::single, '{}')$$,
	$$VALUES (true), (false)$$,
	'the empty key is the one row of a table');
SELECT is(
	read_only($$SELECT created FROM get_or_create(NULL::test, '{"str": "blah"}')$$),
	'false',
	'a hit works in a read-only transaction');
SELECT is(
	(SELECT count(*) FROM pg_locks
	 WHERE locktype = 'advisory' AND pid = pg_backend_pid()
		AND database = (SELECT oid FROM pg_database
						WHERE datname = current_database())
		AND classid = 'ranked'::regclass),
	0::bigint,
	'no key of a table is locked before a row is created');
SELECT is(created, true, 'get_or_create() creates a row')
FROM get_or_create(NULL::ranked, '{"name": "first"}', '{"rank": 1}');
SELECT is(
	(SELECT count(*) FROM pg_locks
	 WHERE locktype = 'advisory' AND pid = pg_backend_pid()
		AND classid = 'ranked'::regclass AND objsubid = 21062
		AND mode = 'ExclusiveLock' AND granted),
	1::bigint,
	'its key is locked until the transaction ends: pg_locks names the table');

INSERT INTO test (str) VALUES ('twice'), ('twice');
SELECT throws_ok(query, state, NULL, state || ': ' || description)
FROM (VALUES
	($$SELECT get_or_create(NULL::test, '{"str": "twice"}')$$,
	 '21000', 'several rows'),
	($$SELECT get_or_create(NULL::test, NULL)$$,
	 '22004', 'no key'),
	($$SELECT get_or_create(NULL::test, '{"str": "x"}', NULL)$$,
	 '22004', 'NULL for defaults'),
	($$SELECT get_or_create(NULL::test, '[]')$$,
	 '22023', 'a key that is not an object'),
	($$SELECT get_or_create(NULL::test, '{"str": "x"}', '1')$$,
	 '22023', 'defaults that are not an object'),
	($$SELECT get_or_create(NULL::test, '{"strr": "x"}')$$,
	 '42703', 'an unknown column in the key'),
	($$SELECT get_or_create(NULL::test, '{"str": "blah"}', '{"notes": "x"}')$$,
	 '42703', 'an unknown column in defaults, though the row is there'),
	($$SELECT get_or_create(NULL::test, '{"ctid": "(0,1)"}')$$,
	 '42703', 'a system column'),
	($$SELECT get_or_create(NULL::test, '{"str": "x"}', '{"str": "y"}')$$,
	 '42701', 'a column in both key and defaults'),
	($$SELECT get_or_create(NULL::test, '{"extra": {}}')$$,
	 '42883', 'a key column whose type has no equality'),
	($$SELECT get_or_create(NULL::test, '{"id": 1.5}')$$,
	 '22P02', 'a number that is not rounded'),
	($$SELECT get_or_create(NULL::test, '{"str": "x"}', '{"upper": "X"}')$$,
	 '428C9', 'a value for a generated column'),
	($$SELECT get_or_create(NULL::test, '{"always": 99}')$$,
	 '428C9', 'a value for a GENERATED ALWAYS identity column'),
	($$SELECT get_or_create(NULL::ranked, '{"name": "second"}', '{"rank": 1}')$$,
	 '23505', 'a conflict on another unique index'),
	($$SELECT get_or_create(NULL::test_view, '{"str": "x"}')$$,
	 '42809', 'a view'),
	($$SELECT get_or_create(NULL::pair, '{"a": 1}')$$,
	 '42809', 'a composite type'),
	($$SELECT get_or_create(NULL::integer, '{"a": 1}')$$,
	 '42809', 'a type without columns'),
	($$SELECT read_only('SELECT get_or_create(NULL::test, ''{"str": "absent"}'')')$$,
	 '25006', 'a miss in a read-only transaction')
) AS v (query, state, description);
SELECT isnt(hint_of($$SELECT get_or_create(NULL::test_view, '{"str": "x"}')$$), '',
			'a view is refused with a hint');
SELECT isnt(hint_of($$SELECT get_or_create(NULL::integer, '{"str": "x"}')$$), '',
			'a type without columns is refused with a hint');

-- ---------------------------------------------------------------------------
-- update_or_create()

SELECT is(created, true, 'update_or_create() creates what is not there'),
	is((object).note, 'set', 'with defaults'),
	is(pg_typeof(object)::text, 'test', 'as the table''s type'),
	is(pg_typeof(created)::text, 'boolean', 'and a boolean')
FROM update_or_create(NULL::test, '{"str": "update"}', '{"note": "set"}');
SELECT is(created, false, 'update_or_create() finds what is there'),
	is((object).note, 'changed', 'sets defaults and returns the new row'),
	is((object).id, (SELECT id FROM test WHERE str = 'update'), 'that very row')
FROM update_or_create(NULL::test, '{"str": "update"}', '{"note": "changed"}',
					  '{"note": "unused"}');
SELECT is((SELECT note FROM test WHERE str = 'update'), 'changed',
		  'the row is as it was returned');
SELECT is(created, true, 'update_or_create() creates'),
	is((object).note, 'none', 'with create_defaults instead of defaults'),
	is((object).code, 'new', 'where they are given')
FROM update_or_create(NULL::test, '{"str": "create"}', '{"note": "set"}',
					  '{"code": "new"}');
SELECT is(created, false, 'update_or_create() without defaults'),
	is((object).note, 'changed', 'changes nothing')
FROM update_or_create(NULL::test, '{"str": "update"}');
SELECT is(created, true, 'a column in both key and defaults: the row is created'),
	is((object).str, 'Bob', 'with the value of defaults')
FROM update_or_create(NULL::test, '{"str": "John"}', '{"str": "Bob"}');
SELECT is(created, false, 'or found by the key'),
	is((object).str, 'Rob', 'and gets the value of defaults')
FROM update_or_create(NULL::test, '{"str": "Bob"}', '{"str": "Rob"}', '{"str": "Ann"}');

SELECT throws_ok(query, state, NULL, state || ': ' || description)
FROM (VALUES
	($$SELECT update_or_create(NULL::test, '{"str": "twice"}', '{"note": "x"}')$$,
	 '21000', 'several rows to update'),
	($$SELECT update_or_create(NULL::test, NULL)$$,
	 '22004', 'no key to update'),
	($$SELECT update_or_create(NULL::test, '{"str": "update"}', NULL)$$,
	 '22004', 'NULL for defaults to set'),
	($$SELECT update_or_create(NULL::test, '{"str": "update"}', '{"notes": "x"}')$$,
	 '42703', 'an unknown column in defaults to set'),
	($$SELECT update_or_create(NULL::test, '{"str": "update"}', '{}', '{"notes": "x"}')$$,
	 '42703', 'an unknown column in create_defaults, though the row is there'),
	($$SELECT update_or_create(NULL::test, '{"extra": {}}', '{"note": "x"}')$$,
	 '42883', 'a key column without equality to update by'),
	($$SELECT update_or_create(NULL::test, '{"str": "update"}', '{"upper": "x"}')$$,
	 '428C9', 'a generated column to set'),
	($$SELECT update_or_create(NULL::test_view, '{"str": "x"}')$$,
	 '42809', 'a view to update'),
	($$SELECT read_only('SELECT update_or_create(NULL::test, ''{"str": "update"}'')')$$,
	 '25006', 'update_or_create() in a read-only transaction')
) AS v (query, state, description);
SELECT is((SELECT count(*) FROM test WHERE str = 'twice' AND note = 'none'),
		  2::bigint, 'where several rows match, none is changed');

-- ---------------------------------------------------------------------------
-- transfer()

SELECT is((from_account).balance, 70.50, 'transfer() returns the payer'),
	is((to_account).balance, 129.50, 'and the payee, as they are now'),
	is((from_account).id, 1::bigint, 'the payer first'),
	is((to_account).id, 2::bigint, 'the payee second'),
	is(pg_typeof(from_account)::text, 'account', 'as the table''s type'),
	is(pg_typeof(to_account)::text, 'account', 'both of them')
FROM transfer(NULL::account, 1, 2, 29.50);
SELECT results_eq(
	$$SELECT balance FROM account WHERE id < 3 ORDER BY id$$,
	$$VALUES (70.50), (129.50)$$,
	'both rows are as they were returned');
SELECT results_eq(
	$$SELECT (from_account).balance, (to_account).balance
	  FROM transfer(NULL::account, '2', '1', 29.5)$$,
	$$VALUES (100.00, 100.00)$$,
	'ids may be given as text, in any direction');
SELECT results_eq(
	$$SELECT (from_account).balance, (to_account).balance
	  FROM transfer(NULL::account, 1, 2, 150, min_balance => -50)$$,
	$$VALUES (-50.00, 250.00)$$,
	'min_balance is the floor, to the last cent');
SELECT results_eq(
	$$SELECT (from_account).balance, (to_account).balance
	  FROM transfer(NULL::account, 1, 2, 50, min_balance => '-Infinity')$$,
	$$VALUES (-100.00, 300.00)$$,
	'-Infinity is no floor');
SELECT throws_ok(
	$$SELECT transfer(NULL::account, 1, 2, 1, min_balance => NULL)$$,
	'RF001', NULL, 'NULL is a floor of 0');
SELECT lives_ok(
	$$SELECT transfer(NULL::account, 2, 1, 200)$$,
	'back to where it was');
SELECT results_eq(
	$$SELECT (from_account).coins, (to_account).coins
	  FROM transfer(NULL::wallet, 'Ann', 'Bob', 10, id_column => 'name',
					balance_column => 'coins')$$,
	$$VALUES (90::smallint, 32010::smallint)$$,
	'id and balance columns can be named');
SELECT results_eq(
	$$SELECT (from_account).coins, (to_account).coins
	  FROM transfer(NULL::wallet, '00000000-0000-0000-0000-00000000000b',
					'00000000-0000-0000-0000-00000000000a', 10,
					balance_column => 'coins')$$,
	$$VALUES (32000::smallint, 100::smallint)$$,
	'the id column is the primary key, of any type that has an order');

SELECT throws_ok(query, state, NULL, state || ': ' || description)
FROM (VALUES
	($$SELECT transfer(NULL::account, NULL, 2, 1)$$,
	 '22004', 'no payer'),
	($$SELECT transfer(NULL::account, 1, NULL, 1)$$,
	 '22004', 'no payee'),
	($$SELECT transfer(NULL::account, 1, 1, NULL)$$,
	 '22004', 'no amount, which comes before the same account twice'),
	($$SELECT transfer(NULL::account, 1, 2, 1, balance_column => NULL)$$,
	 '22004', 'no balance column'),
	($$SELECT transfer(NULL::account, 1, 2, 0)$$,
	 '22023', 'an amount of zero'),
	($$SELECT transfer(NULL::account, 1, 9, -1)$$,
	 '22023', 'a negative amount, which comes before an unknown account'),
	($$SELECT transfer(NULL::account, 1, 2, 'NaN')$$,
	 '22023', 'NaN'),
	($$SELECT transfer(NULL::account, 1, 2, 'Infinity')$$,
	 '22023', 'infinity'),
	($$SELECT transfer(NULL::account, 9, 9, 1)$$,
	 '22023', 'the same account twice, which comes before an unknown account'),
	($$SELECT transfer(NULL::account, 1, 9, 0.005)$$,
	 '22023', 'an amount that would be rounded'),
	($$SELECT transfer(NULL::wallet, 'Ann', 'Bob', 0.5, id_column => 'name', balance_column => 'coins')$$,
	 '22023', 'half a coin'),
	($$SELECT transfer(NULL::account, 9, 3, 1)$$,
	 'RF002', 'an unknown payer, which comes before a null balance'),
	($$SELECT transfer(NULL::account, 1, 9, 1000)$$,
	 'RF002', 'an unknown payee, which comes before insufficient funds'),
	($$SELECT transfer(NULL::account, 3, 1, 1)$$,
	 '22004', 'a payer whose balance is null'),
	($$SELECT transfer(NULL::account, 1, 3, 1000)$$,
	 '22004', 'a payee whose balance is null, which comes before insufficient funds'),
	($$SELECT transfer(NULL::account, 1, 2, 100.01)$$,
	 'RF001', 'insufficient funds'),
	($$SELECT transfer(NULL::account, 1, 2, 100, min_balance => 0.01)$$,
	 'RF001', 'a balance under min_balance'),
	($$SELECT transfer(NULL::wallet, 'Bob', 'Ann', 31987, '-Infinity', 'name', 'coins')$$,
	 '23514', 'a CHECK constraint'),
	($$SELECT transfer(NULL::wallet, 'Ann', 'Bob', 800, '-Infinity', 'name', 'coins')$$,
	 '22003', 'more than the balance column can hold'),
	($$SELECT transfer(NULL::wallet, 'Ann', 'Bob', 1, 0, 'name', 'price')$$,
	 '42804', 'a balance column that is not exact'),
	($$SELECT transfer(NULL::account, 1, 2, 1, balance_column => 'money')$$,
	 '42703', 'an unknown balance column'),
	($$SELECT transfer(NULL::account, 1, 2, 1, id_column => 'number')$$,
	 '42703', 'an unknown id column'),
	($$SELECT transfer(NULL::ranked, 1, 2, 1, balance_column => 'rank')$$,
	 '42704', 'no single-column primary key'),
	($$SELECT transfer(NULL::account, 'one', 2, 1)$$,
	 '22P02', 'an id that is none'),
	($$SELECT transfer(NULL::test_view, 1, 2, 1, 0, 'id', 'size')$$,
	 '42809', 'a view of accounts'),
	($$SELECT read_only('SELECT transfer(NULL::account, 1, 2, 1)')$$,
	 '25006', 'transfer() in a read-only transaction')
) AS v (query, state, description);
SELECT matches(hint_of($$SELECT transfer(NULL::wallet, 'Ann', 'Bob', 1, 0, 'name', 'price')$$),
			   'numeric', 'a balance column that is not exact: the hint says what is');
SELECT results_eq(
	$$SELECT balance FROM account ORDER BY id$$,
	$$VALUES (100.00), (100.00), (NULL)$$,
	'what was refused has changed nothing');

-- ---------------------------------------------------------------------------
-- Another search_path, and other things of the same names on it

CREATE SCHEMA "racefree trap";
CREATE TABLE "racefree trap".test (id integer, str text);
CREATE TABLE "racefree trap".account (id bigint, balance numeric);
CREATE FUNCTION "racefree trap".wrong(text, text) RETURNS boolean
	LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR "racefree trap".= (
	LEFTARG = text, RIGHTARG = text, FUNCTION = "racefree trap".wrong);
CREATE FUNCTION "racefree trap".wrong(numeric, numeric) RETURNS numeric
	LANGUAGE sql AS 'SELECT 0.0';
CREATE OPERATOR "racefree trap".+ (
	LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = "racefree trap".wrong);
CREATE TYPE "racefree trap".numeric AS (a integer);

CREATE FUNCTION answers(path text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
	answer text;
	functions text := (SELECT quote_ident(nspname)
					   FROM pg_extension
						   JOIN pg_namespace AS n ON n.oid = extnamespace
					   WHERE extname = 'racefree');
BEGIN
	PERFORM set_config('search_path', path, true);
	EXECUTE format($query$
SELECT pg_catalog.concat_ws(' ', g.created, (g.object).note, u.created,
							(u.object).note, (t.to_account).balance)
FROM %1$s.get_or_create(NULL::"racefree contract".test, '{"str": "blah", "note": "none"}') AS g,
	%1$s.update_or_create(NULL::"racefree contract".test, '{"str": "update"}', '{"note": "x"}') AS u,
	%1$s.transfer(NULL::"racefree contract".account, 1, 2, 1) AS t
$query$, functions) INTO answer;
	RETURN answer;
END
$$
SET search_path FROM CURRENT;

SELECT is(answers(''), 'f none f x 101.00',
		  'nothing depends on the search_path');
SELECT is(answers('"racefree trap", pg_catalog'), 'f none f x 102.00',
		  'nor on what is found there first');

-- ---------------------------------------------------------------------------

SELECT * FROM finish();
ROLLBACK;
