-- Copyright (c) 2026, the racefree developers
--
-- The public contract of journals, reversals and batches of transfers.
--
-- Runs on any server that has the extensions racefree and pgtap available,
-- and leaves nothing behind:
--
--		psql -X -q -A -t -d DATABASE -f test/pgtap/journals.sql

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
CREATE SCHEMA "racefree journals";
SELECT quote_ident(n.nspname) AS racefree, n.nspname AS racefree_name
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'racefree' \gset
SELECT quote_ident(n.nspname) AS pgtap
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SET LOCAL search_path = "racefree journals", :racefree, :pgtap;

SELECT plan(169);

-- ---------------------------------------------------------------------------
-- The functions

CREATE TEMPORARY TABLE contract (name text, types text, volatility text, arguments text);
INSERT INTO contract VALUES
('transfer',
 'anyelement,anycompatible,anycompatible,numeric,numeric,name,name,regclass,racefree_request,jsonb,numeric,name[],boolean,jsonb',
 'v',
 'accounts anyelement, from_id anycompatible, to_id anycompatible, amount numeric,'
 ' min_balance numeric DEFAULT NULL::numeric, id_column name DEFAULT NULL::name,'
 ' balance_column name DEFAULT ''balance''::name,'
 ' journal regclass DEFAULT NULL::regclass, request_id racefree_request DEFAULT NULL::racefree_request,'
 ' details jsonb DEFAULT NULL::jsonb, max_balance numeric DEFAULT NULL::numeric,'
 ' must_match name[] DEFAULT NULL::name[], up_to boolean DEFAULT false,'
 ' columns jsonb DEFAULT NULL::jsonb,'
 ' OUT from_account anyelement, OUT to_account anyelement, OUT amount numeric,'
 ' OUT replayed boolean, OUT entry jsonb,'
 ' OUT from_balance numeric, OUT to_balance numeric, OUT entry_id bigint'),
('reverse_transfer',
 'anyelement,regclass,bigint,numeric,racefree_request,jsonb,numeric,numeric,boolean,name,name,jsonb',
 'v',
 'accounts anyelement, journal regclass, entry_id bigint,'
 ' amount numeric DEFAULT NULL::numeric, request_id racefree_request DEFAULT NULL::racefree_request,'
 ' details jsonb DEFAULT NULL::jsonb, min_balance numeric DEFAULT NULL::numeric,'
 ' max_balance numeric DEFAULT NULL::numeric, up_to boolean DEFAULT false,'
 ' id_column name DEFAULT NULL::name, balance_column name DEFAULT ''balance''::name,'
 ' columns jsonb DEFAULT NULL::jsonb,'
 ' OUT from_account anyelement, OUT to_account anyelement, OUT amount numeric,'
 ' OUT replayed boolean, OUT entry jsonb,'
 ' OUT from_balance numeric, OUT to_balance numeric, OUT entry_id bigint'),
('transfer_many',
 'anyelement,anycompatiblearray,anycompatiblearray,numeric[],racefree_request[],integer[],text,regclass,jsonb,numeric,numeric,name[],boolean,name,name,bigint[],jsonb,text[],timestamptz[],boolean[],boolean[]',
 'v',
 'accounts anyelement, from_ids anycompatiblearray, to_ids anycompatiblearray,'
 ' amounts numeric[], request_ids racefree_request[] DEFAULT NULL::racefree_request[],'
 ' chains integer[] DEFAULT NULL::integer[], on_error text DEFAULT ''raise''::text,'
 ' journal regclass DEFAULT NULL::regclass, details jsonb DEFAULT NULL::jsonb,'
 ' min_balance numeric DEFAULT NULL::numeric, max_balance numeric DEFAULT NULL::numeric,'
 ' must_match name[] DEFAULT NULL::name[], up_to boolean DEFAULT false,'
 ' id_column name DEFAULT NULL::name, balance_column name DEFAULT ''balance''::name,'
 ' entry_ids bigint[] DEFAULT NULL::bigint[], columns jsonb DEFAULT NULL::jsonb,'
 ' kinds text[] DEFAULT NULL::text[],'
 ' expires_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[],'
 ' final boolean[] DEFAULT NULL::boolean[], beyond boolean[] DEFAULT NULL::boolean[],'
 ' OUT ordinality bigint, OUT status text, OUT amount numeric,'
 ' OUT from_balance numeric, OUT from_available numeric, OUT to_balance numeric,'
 ' OUT entry_id bigint, OUT detail text'),
('hold_transfer',
 'anyelement,anycompatible,anycompatible,numeric,regclass,timestamptz,racefree_request,jsonb,jsonb,numeric,name[],boolean,name,name',
 'v',
 'accounts anyelement, from_id anycompatible, to_id anycompatible, amount numeric,'
 ' journal regclass, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone,'
 ' request_id racefree_request DEFAULT NULL::racefree_request, details jsonb DEFAULT NULL::jsonb,'
 ' columns jsonb DEFAULT NULL::jsonb, min_balance numeric DEFAULT NULL::numeric,'
 ' must_match name[] DEFAULT NULL::name[], up_to boolean DEFAULT false,'
 ' id_column name DEFAULT NULL::name, balance_column name DEFAULT ''balance''::name,'
 ' OUT from_account anyelement, OUT to_account anyelement, OUT amount numeric,'
 ' OUT replayed boolean, OUT entry jsonb,'
 ' OUT from_balance numeric, OUT to_balance numeric, OUT entry_id bigint'),
('post_transfer',
 'anyelement,regclass,bigint,numeric,boolean,racefree_request,jsonb,boolean,numeric,numeric,name,name,jsonb',
 'v',
 'accounts anyelement, journal regclass, entry_id bigint,'
 ' amount numeric DEFAULT NULL::numeric, final boolean DEFAULT true,'
 ' request_id racefree_request DEFAULT NULL::racefree_request, details jsonb DEFAULT NULL::jsonb,'
 ' beyond boolean DEFAULT false, min_balance numeric DEFAULT NULL::numeric,'
 ' max_balance numeric DEFAULT NULL::numeric, id_column name DEFAULT NULL::name,'
 ' balance_column name DEFAULT ''balance''::name, columns jsonb DEFAULT NULL::jsonb,'
 ' OUT from_account anyelement, OUT to_account anyelement, OUT amount numeric,'
 ' OUT replayed boolean, OUT entry jsonb,'
 ' OUT from_balance numeric, OUT to_balance numeric, OUT entry_id bigint'),
('void_transfer', 'anyelement,regclass,bigint,racefree_request,jsonb,name,name,jsonb', 'v',
 'accounts anyelement, journal regclass, entry_id bigint,'
 ' request_id racefree_request DEFAULT NULL::racefree_request, details jsonb DEFAULT NULL::jsonb,'
 ' id_column name DEFAULT NULL::name, balance_column name DEFAULT ''balance''::name,'
 ' columns jsonb DEFAULT NULL::jsonb,'
 ' OUT from_account anyelement, OUT to_account anyelement, OUT amount numeric,'
 ' OUT replayed boolean, OUT entry jsonb,'
 ' OUT from_balance numeric, OUT to_balance numeric, OUT entry_id bigint'),
('expire_holds', 'anyelement,regclass,integer,name,name,jsonb', 'v',
 'accounts anyelement, journal regclass, max_count integer DEFAULT 1000,'
 ' id_column name DEFAULT NULL::name, balance_column name DEFAULT ''balance''::name,'
 ' columns jsonb DEFAULT NULL::jsonb'),
('create_journal', 'text,anyelement,name,regtype,boolean,name,text,name,name,name,name[],numeric,name,boolean,name', 'v',
 'journal text, accounts anyelement, id_column name DEFAULT NULL::name,'
 ' request_id_type regtype DEFAULT ''uuid''::regtype,'
 ' foreign_keys boolean DEFAULT true,'
 ' balance_column name DEFAULT ''balance''::name,'
 ' partition_by text DEFAULT NULL::text,'
 ' min_balance_column name DEFAULT NULL::name,'
 ' max_balance_column name DEFAULT NULL::name,'
 ' closed_column name DEFAULT NULL::name,'
 ' must_match name[] DEFAULT NULL::name[], opening numeric DEFAULT NULL::numeric,'
 ' held_column name DEFAULT NULL::name,'
 ' guarded boolean DEFAULT false, distribute_by name DEFAULT NULL::name'),
('alter_journal', 'regclass,jsonb', 'v', 'journal regclass, rules jsonb'),
('guard_journal', 'regclass', 'v', 'journal regclass'),
('journal_guard', '', 'v', ''),
('balance_guard', '', 'v', ''),
('entry_guard', '', 'v', ''),
('hold_guard', '', 'v', ''),
('balance_at', 'regclass,anycompatible,timestamptz', 's',
 'journal regclass, account_id anycompatible, at timestamp with time zone'),
('verify_journal', 'regclass,anyelement,name,name,numeric', 's',
 'journal regclass, accounts anyelement, id_column name DEFAULT NULL::name,'
 ' balance_column name DEFAULT ''balance''::name,'
 ' opening numeric DEFAULT NULL::numeric, OUT account_id text,'
 ' OUT entry_id bigint, OUT problem text, OUT expected numeric,'
 ' OUT found numeric');

CREATE TEMPORARY VIEW function AS
SELECT c.*, p.*
FROM contract AS c
	LEFT JOIN pg_proc AS p
		ON p.oid = to_regprocedure(format('%I.%s(%s)', :'racefree_name',
										  c.name, c.types));

SELECT is(pg_get_function_arguments(oid), arguments,
		  name || '() has these arguments, defaults and results')
FROM function;
SELECT is(provolatile::text, volatility, name || '() is ' || volatility)
FROM function;
SELECT ok(NOT proisstrict, name || '() answers to NULL itself') FROM function;
SELECT ok(NOT prosecdef, name || '() runs with the caller''s privileges')
FROM function;
SELECT isnt(obj_description(oid, 'pg_proc'), NULL, name || '() has a comment')
FROM function;

-- ---------------------------------------------------------------------------
-- A journal

CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL,
					  currency text DEFAULT 'EUR');
INSERT INTO account VALUES (1, 500), (2, 0), (3, 50);
INSERT INTO account VALUES (4, 50, 'USD');

SELECT is(create_journal('journal', NULL::account)::text, 'journal',
		  'create_journal makes the table and returns it');
SELECT columns_are('racefree journals', 'journal',
	ARRAY['id', 'request_id', 'from_id', 'to_id', 'amount', 'from_balance',
		  'to_balance', 'reverses', 'details', 'created_at', 'kind', 'settles',
		  'expires_at', 'chain_id']);
SELECT col_is_pk('racefree journals', 'journal', 'id', 'its id is the primary key');
SELECT col_is_unique('racefree journals', 'journal', 'request_id',
					 'a request is booked once');
SELECT col_type_is('racefree journals', 'journal', 'from_id', 'integer',
				   'from_id has the type of the accounts'' ids');
SELECT fk_ok('racefree journals', 'journal', 'from_id',
			 'racefree journals', 'account', 'id');
SELECT throws_ok($$SELECT create_journal('journal', NULL::account)$$, '42P07');
SELECT throws_ok($$SELECT create_journal(NULL, NULL::account)$$, '22004');

-- ---------------------------------------------------------------------------
-- Once

SELECT results_eq(
	$$SELECT (from_account).balance, (to_account).balance, amount, replayed,
			 (entry ->> 'amount')::numeric, entry ->> 'details'
	  FROM transfer(NULL::account, 1, 2, 9.99, journal => 'journal',
		request_id => '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11', details => '"tea"')$$,
	$$VALUES (490.01, 9.99, 9.99, false, 9.99, 'tea')$$,
	'transfer books what it moves');
SELECT results_eq(
	$$SELECT (from_account).balance, amount, replayed, (entry ->> 'id')::bigint
	  FROM transfer(NULL::account, 1, 2, 9.99, journal => 'journal',
		request_id => '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11')$$,
	$$SELECT 490.01, 9.99, true, id FROM journal$$,
	'the same request moves nothing and gives the entry');
SELECT results_eq(
	$$SELECT from_balance, to_balance, entry_id
	  FROM transfer(NULL::account, 1, 2, 9.99, journal => 'journal',
		request_id => '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11')$$,
	$$SELECT 490.01, 9.99, id FROM journal$$,
	'and its id, with the balances right after it');
SELECT results_eq(
	$$SELECT t.replayed, m.status
	  FROM transfer(NULL::account, 1, 2, 9.99, journal => 'journal',
		request_id => uuid '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11') AS t,
		transfer_many(NULL::account, ARRAY[1], ARRAY[2], ARRAY[9.99], journal => 'journal',
		request_ids => ARRAY[uuid '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11']) AS m$$,
	$$VALUES (true, 'replayed')$$,
	'a request id may be a uuid');
SELECT throws_ok(
	$$SELECT transfer(NULL::account, 1, 3, 9.99, journal => 'journal',
		request_id => '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11')$$, 'RF003');
SELECT throws_ok($$SELECT transfer(NULL::account, 1, 2, 1, request_id => 'x')$$,
				 '22023');
SELECT throws_ok($$SELECT transfer(NULL::account, 1, 2, 1, journal => 'account')$$,
				 '42703');

-- ---------------------------------------------------------------------------
-- Limits

SELECT throws_ok($$SELECT transfer(NULL::account, 1, 2, 1000)$$, 'RF001');
SELECT throws_ok($$SELECT transfer(NULL::account, 1, 9, 1)$$, 'RF002');
SELECT throws_ok($$SELECT transfer(NULL::account, 1, 2, 1, max_balance => 10)$$,
				 'RF004');
SELECT throws_ok(
	$$SELECT transfer(NULL::account, 1, 4, 1, must_match => '{currency}')$$,
	'RF005');
SELECT results_eq(
	$$SELECT amount, (from_account).balance
	  FROM transfer(NULL::account, 3, 1, 1000, 20, journal => 'journal', up_to => true)$$,
	$$VALUES (30.00, 20.00)$$,
	'up_to moves what is above min_balance');

-- ---------------------------------------------------------------------------
-- Reversal

SELECT results_eq(
	$$SELECT (from_account).id, (to_account).id, amount, entry -> 'reverses'
	  FROM reverse_transfer(NULL::account, 'journal', (SELECT min(id) FROM journal), 4)$$,
	$$SELECT 2, 1, 4::numeric, to_jsonb(min(id)) FROM journal$$,
	'reverse_transfer moves a part back');
SELECT throws_ok(
	$$SELECT reverse_transfer(NULL::account, 'journal', (SELECT min(id) FROM journal), 6)$$,
	'RF006');
SELECT results_eq(
	$$SELECT amount
	  FROM reverse_transfer(NULL::account, 'journal', (SELECT min(id) FROM journal))$$,
	$$VALUES (5.99)$$,
	'and then the rest');
SELECT throws_ok(
	$$SELECT reverse_transfer(NULL::account, 'journal', (SELECT min(id) FROM journal))$$,
	'RF006');
SELECT throws_ok($$SELECT reverse_transfer(NULL::account, 'journal', 0)$$, 'RF007');
SELECT throws_ok($$SELECT reverse_transfer(NULL::account, 'journal', NULL)$$, '22004');

-- ---------------------------------------------------------------------------
-- Batches

SELECT results_eq(
	$$SELECT ordinality, status, amount, from_balance, to_balance, entry_id IS NULL
	  FROM transfer_many(NULL::account, ARRAY[1, 2, 2], ARRAY[2, 3, 3],
						 ARRAY[10, 10, 0.01], on_error => 'report')$$,
	$$VALUES (1::bigint, 'ok', 10::numeric, 520.00, 10.00, true),
		(2, 'ok', 10, 0.00, 30.00, true),
		(3, 'insufficient_funds', NULL, NULL, NULL, true)$$,
	'transfer_many applies transfers in order');
SELECT results_eq(
	$$SELECT status FROM transfer_many(NULL::account, ARRAY[1, 1, 1], ARRAY[2, 3, 3],
		ARRAY[1, 1000, 1], chains => ARRAY[1, 1, NULL], on_error => 'report')$$,
	$$VALUES ('chain_failed'), ('insufficient_funds'), ('ok')$$,
	'a chain fails as a whole');
SELECT results_eq(
	$$SELECT status FROM transfer_many(NULL::account, ARRAY[1, 1, 1], ARRAY[2, 2, 2],
		ARRAY[1, 1, 2], ARRAY['00000000-0000-0000-0000-000000000001',
		'00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001'],
		on_error => 'report', journal => 'journal')$$,
	$$VALUES ('ok'), ('replayed'), ('request_mismatch')$$,
	'a request happens once in a batch, too');
ALTER TABLE account ADD CONSTRAINT not_13 CHECK (balance <> 13);
SELECT results_eq(
	$$SELECT status, left(detail, 5)
	  FROM transfer_many(NULL::account, ARRAY['1', 'x', '1', '1', '1'], ARRAY['2', '2', '2', '2', '3'],
		ARRAY[0.01, 1, 13 - (SELECT balance FROM account WHERE id = 2) - 0.01, 1, 0.02],
		ARRAY[NULL, NULL, NULL, 'no', NULL], journal => 'journal',
		min_balance => '-Infinity', on_error => 'report')$$,
	$$VALUES ('ok', NULL), ('invalid_id', '22P02'), ('refused', '23514'),
			 ('invalid_request_id', '22P02'), ('ok', NULL)$$,
	'transfers that are refused do not fail the others');
SELECT results_eq(
	$$SELECT status
	  FROM transfer_many(NULL::account, ARRAY[2, 1], ARRAY[1, 2],
		ARRAY[0.03, 13 - (SELECT balance FROM account WHERE id = 2) + 0.03],
		chains => ARRAY[1, 1],
		min_balance => '-Infinity', on_error => 'report')$$,
	$$VALUES ('chain_failed'), ('refused')$$,
	'nor is a part of their chain made');
ALTER TABLE account DROP CONSTRAINT not_13;
SELECT throws_ok(
	$$SELECT transfer_many(NULL::account, ARRAY[1, 1], ARRAY[2, 2], ARRAY[1, 1000])$$,
	'RF001');
SELECT is((SELECT sum(balance) FROM account), 600.00, 'no money is lost');
SELECT throws_ok(
	$$SELECT transfer_many(NULL::account, ARRAY[1], ARRAY[2, 3], ARRAY[1])$$, '22023');
SELECT throws_ok(
	$$SELECT transfer_many(NULL::account, ARRAY[1], ARRAY[2], NULL)$$, '22004');
SELECT is_empty(
	$$SELECT transfer_many(NULL::account, '{}', '{}', '{}')$$,
	'an empty batch has no results');

-- ---------------------------------------------------------------------------
-- Columns of its own

ALTER TABLE journal ADD tenant text DEFAULT 'main', ADD order_id integer;
SELECT results_eq(
	$$SELECT entry ->> 'tenant', entry -> 'order_id'
	  FROM transfer(NULL::account, 1, 2, 1, journal => 'journal', columns => '{"order_id": 7}')$$,
	$$VALUES ('main', '7'::jsonb)$$,
	'transfer stores values for columns of the journal''s own');
SELECT is(entry ->> 'tenant', 'north', 'so does reverse_transfer')
FROM reverse_transfer(NULL::account, 'journal', (SELECT max(id) FROM journal),
					  columns => '{"tenant": "north"}');
SELECT is(count(*), 3::bigint, 'and transfer_many')
FROM transfer_many(NULL::account, ARRAY[1, 2, 1], ARRAY[2, 1, 2], ARRAY[1, 1, 1],
	journal => 'journal', columns => '[{"tenant": "a"}, null, {"order_id": 8}]');
SELECT results_eq(
	$$SELECT tenant, order_id
	  FROM (SELECT * FROM journal ORDER BY id DESC LIMIT 3) AS t ORDER BY id$$,
	$$VALUES ('a', NULL::integer), ('main', NULL), ('main', 8)$$,
	'with DEFAULTs where an element gives no value');
SELECT throws_ok(
	$$SELECT transfer(NULL::account, 1, 2, 1, journal => 'journal', columns => '{"id": 1}')$$,
	'22023');
SELECT throws_ok(
	$$SELECT transfer(NULL::account, 1, 2, 1, journal => 'journal', columns => '{"nowhere": 1}')$$,
	'42703');
SELECT throws_ok(
	$$SELECT transfer(NULL::account, 1, 2, 1, journal => 'journal', columns => '{"order_id": "x"}')$$,
	'22P02');
SELECT throws_ok(
	$$SELECT transfer(NULL::account, 1, 2, 1, journal => 'journal', columns => '[]')$$,
	'22023');
SELECT throws_ok($$SELECT transfer(NULL::account, 1, 2, 1, columns => '{}')$$, '22023');

-- ---------------------------------------------------------------------------
-- Truth

CREATE TABLE teller (id text PRIMARY KEY, balance bigint);
INSERT INTO teller VALUES ('a', 100), ('b', 100);
SELECT lives_ok(
	$$SELECT create_journal('"till''s"', NULL::teller, request_id_type => 'text')$$,
	'a journal may have any name, and requests of any type');
SELECT is(entry ->> 'request_id', NULL, 'a transfer needs no request_id')
FROM transfer(NULL::teller, 'a', 'b', 5, journal => '"till''s"');
SELECT is(balance_at('"till''s"', 'a', '-infinity'), 100::numeric,
		  'balance_at: before the first entry, what that found');
SELECT is(balance_at('"till''s"', 'a', 'infinity'), 95::numeric,
		  'balance_at: after the last entry, what that left');
SELECT is(balance_at('"till''s"', 'c', 'infinity'), NULL,
		  'balance_at: NULL without entries');
SELECT is_empty($$SELECT * FROM verify_journal('"till''s"', NULL::teller)$$,
				'verify_journal finds nothing wrong');
UPDATE teller SET balance = 96 WHERE id = 'a';
SELECT results_eq(
	$$SELECT account_id, entry_id, problem, expected, found
	  FROM verify_journal('"till''s"', NULL::teller)$$,
	$$SELECT 'a', id, 'balance_differs', 95::numeric, 96::numeric FROM "till's"$$,
	'verify_journal finds a balance that was changed by hand');
SELECT throws_ok($$UPDATE "till's" SET amount = 1$$, '55000');
SELECT throws_ok($$DELETE FROM "till's"$$, '55000');
SELECT throws_ok($$TRUNCATE "till's"$$, '55000');
DELETE FROM teller WHERE id = 'c';
INSERT INTO teller VALUES ('c', 7);
SELECT results_eq(
	$$SELECT account_id, problem, found
	  FROM verify_journal('"till''s"', NULL::teller) WHERE entry_id IS NULL$$,
	$$VALUES ('c', 'no_entries', 7::numeric)$$,
	'verify_journal finds a balance that no entry explains');
SELECT results_eq(
	$$SELECT account_id, problem, expected, found
	  FROM verify_journal('"till''s"', NULL::teller, opening => 100)
	  WHERE problem = 'opening_differs'$$,
	$$VALUES ('c', 'opening_differs', 100::numeric, 7::numeric)$$,
	'or that accounts did not begin with what they should');

-- ---------------------------------------------------------------------------
-- Its own accounts

SELECT throws_ok(
	$$SELECT transfer(NULL::teller, 'a', 'b', 1, journal => 'journal')$$, '55000');
SELECT throws_ok($$SELECT create_journal('x', NULL::teller, balance_column => 'id')$$,
				 '42804');
CREATE UNLOGGED TABLE forgetful (from_id text, to_id text, amount numeric);
SELECT throws_ok(
	$$SELECT transfer(NULL::teller, 'a', 'b', 1, journal => 'forgetful')$$, '55000');

-- ---------------------------------------------------------------------------
-- Rules of a journal

CREATE TABLE customer (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL,
	least numeric, most numeric, closed boolean, currency text DEFAULT 'EUR');
INSERT INTO customer VALUES (1, 0, NULL, NULL), (2, 0, -10, 100), (3, 0, 0, 50);
INSERT INTO customer VALUES (4, 0, 0, NULL, true, 'EUR'), (5, 0, 0, NULL, false, 'USD');
SELECT lives_ok(
	$$SELECT create_journal('ruled', NULL::customer, min_balance_column => 'least',
		max_balance_column => 'most', closed_column => 'closed',
		must_match => '{currency}', opening => 0)$$,
	'a journal may have rules');
SELECT results_eq(
	$$SELECT status, from_balance, to_balance
	  FROM transfer_many(NULL::customer, ARRAY[1, 2, 1], ARRAY[2, 3, 3],
		ARRAY[30, 40, 10], chains => ARRAY[1, 1, 1], journal => 'ruled')$$,
	$$VALUES ('ok', -30.00, 30.00), ('ok', -10.00, 40.00), ('ok', -40.00, 50.00)$$,
	'each account has its own limits, in one chain');
SELECT results_eq(
	$$SELECT status
	  FROM transfer_many(NULL::customer, ARRAY[2, 1, 1, 4, 1], ARRAY[1, 3, 4, 1, 5],
		ARRAY[1, 1, 1, 1, 1], journal => 'ruled', on_error => 'report')$$,
	$$VALUES ('insufficient_funds'), ('limit_exceeded'), ('account_closed'),
		('account_closed'), ('mismatch')$$,
	'and no transfer breaks one');
SELECT throws_ok($$SELECT transfer(NULL::customer, 1, 4, 1, journal => 'ruled')$$,
				 'RF008');
SELECT throws_ok(
	$$SELECT transfer(NULL::customer, 2, 1, 1, '-Infinity', journal => 'ruled')$$,
	'RF001');
SELECT throws_ok(
	$$SELECT transfer(NULL::customer, 1, 3, 1, max_balance => 1000, journal => 'ruled')$$,
	'RF004');
SELECT throws_ok(
	$$SELECT transfer(NULL::customer, 3, 1, 1, 49.01, journal => 'ruled')$$, 'RF001');
SELECT is_empty($$SELECT * FROM verify_journal('ruled', NULL::customer)$$,
				'the accounts began with what the journal says');
SELECT isnt_empty(
	$$SELECT * FROM verify_journal('ruled', NULL::customer, opening => 1)$$,
	'unless verify_journal is told otherwise');
SELECT lives_ok(
	$$SELECT alter_journal('ruled', '{"closed_column": null, "opening": 1}')$$,
	'rules can be changed');
SELECT results_eq(
	$$SELECT (to_account).balance FROM transfer(NULL::customer, 1, 4, 1, journal => 'ruled')$$,
	$$VALUES (1.00)$$,
	'and taken away');
SELECT throws_ok($$SELECT transfer(NULL::customer, 2, 1, 1, journal => 'ruled')$$,
				 'RF001');
SELECT throws_ok($$SELECT alter_journal('ruled', '{"most": 1}')$$, '22023');
SELECT throws_ok($$SELECT alter_journal('ruled', '{"closed_column": "shut"}')$$,
				 '42703');
SELECT throws_ok($$SELECT alter_journal('ruled', '{"closed_column": "currency"}')$$,
				 '42804');
ALTER TABLE customer RENAME least TO floor;
SELECT throws_ok($$SELECT transfer(NULL::customer, 3, 1, 1, journal => 'ruled')$$,
				 '55000');

-- ---------------------------------------------------------------------------
-- Guarded journals

CREATE TABLE purse (id integer PRIMARY KEY, balance numeric NOT NULL DEFAULT 0);
INSERT INTO purse VALUES (1, 100), (2, 0);
SELECT lives_ok($$SELECT create_journal('purse_journal', NULL::purse, guarded => true)$$,
				'a journal may be guarded');
SELECT results_eq(
	$$SELECT (to_account).balance FROM transfer(NULL::purse, 1, 2, 10, journal => 'purse_journal')$$,
	$$VALUES (10::numeric)$$,
	'then transfers change balances');
SELECT throws_ok('UPDATE purse SET balance = 5', '42501');
SELECT throws_ok('INSERT INTO purse VALUES (3, 5)', '42501');
SELECT throws_ok(
	'INSERT INTO purse_journal (from_id, to_id, amount, from_balance, to_balance) VALUES (1, 2, 5, 0, 0)',
	'42501');
SELECT throws_ok('SELECT transfer(NULL::purse, 1, 2, 10)', '55000');
SELECT lives_ok($$SELECT alter_journal('purse_journal', '{"guarded": false}')$$,
				'and the owner can end that');
SELECT lives_ok('UPDATE purse SET balance = 5', 'so that anything changes them');

-- ---------------------------------------------------------------------------
-- Partitions

SELECT lives_ok(
	$$SELECT create_journal('years', NULL::teller, partition_by => 'RANGE (created_at)')$$,
	'a journal may be partitioned');
CREATE TABLE years_all PARTITION OF years DEFAULT;
SELECT is(guard_journal('years'), 1, 'guard_journal guards new partitions');
SELECT is(guard_journal('years'), 0, 'once');
SELECT throws_ok('TRUNCATE years_all', '55000');
SELECT throws_ok(
	$$SELECT create_journal('x', NULL::teller,
		partition_by => 'RANGE (created_at); DROP TABLE years')$$, '22023');

SELECT * FROM finish();
ROLLBACK;
