-- create_journal: the table that it makes, and what it refuses.
\set SHOW_CONTEXT never
CREATE SCHEMA jc;
CREATE TABLE jc.acct (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL);
INSERT INTO jc.acct VALUES (1, 100), (2, 0);
SET search_path = jc, public;

-- the table as the manual describes it
SELECT create_journal('j', NULL::acct);
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull, attidentity,
       pg_get_expr(adbin, adrelid) AS def
  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE attrelid = 'j'::regclass AND attnum > 0 ORDER BY attnum;
-- from 18 on, NOT NULL is a constraint, too
SELECT contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'j'::regclass AND contype <> 'n' ORDER BY contype, 2;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'j'::regclass ORDER BY 1;
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'j'::regclass AND NOT tgisinternal ORDER BY tgname;
SELECT relkind, relpersistence, pg_get_userbyid(relowner) = current_user AS mine FROM pg_class WHERE oid = 'j'::regclass;
-- it belongs to no extension: pg_dump dumps it
SELECT count(*) FROM pg_depend WHERE objid = 'j'::regclass AND deptype = 'e';
-- the name is taken
SELECT create_journal('j', NULL::acct);
\echo :SQLSTATE
SELECT create_journal('acct', NULL::acct);
\echo :SQLSTATE

-- names, as CREATE TABLE takes them
SELECT create_journal('J', NULL::acct);
\echo :SQLSTATE
SELECT create_journal('"J"', NULL::acct)::text;
SELECT create_journal('  jc . "it''s a ""journal"""', NULL::acct)::text;
SELECT create_journal('public.jc_elsewhere', NULL::acct)::text;
SELECT create_journal('select', NULL::acct)::text;
SELECT relnamespace::regnamespace, relname FROM pg_class WHERE relname IN ('J', 'it''s a "journal"', 'jc_elsewhere', 'select') AND relkind = 'r' ORDER BY relname;
SELECT entry ->> 'id' AS id FROM transfer(NULL::acct, 1, 2, 1, journal => '"it''s a ""journal"""');
DROP TABLE "J", "it's a ""journal""", public.jc_elsewhere, "select";
SELECT create_journal('no_such_schema.j', NULL::acct);
\echo :SQLSTATE
SELECT create_journal('no_such_database.jc.j', NULL::acct);
\echo :SQLSTATE
SELECT create_journal('a.b.c.d', NULL::acct);
\echo :SQLSTATE
SELECT create_journal('', NULL::acct);
\echo :SQLSTATE
SELECT create_journal('two words', NULL::acct);
\echo :SQLSTATE
SELECT create_journal('x (id integer); DROP TABLE acct; --', NULL::acct);
\echo :SQLSTATE
-- 63 characters, and more, which are cut as everywhere
SELECT create_journal('l' || repeat('o', 60) || 'ng', NULL::acct)::text;
SELECT create_journal('l' || repeat('o', 61) || 'nger', NULL::acct)::text;
DROP TABLE loooooooooooooooooooooooooooooooooooooooooooooooooooooooooooong;
DROP TABLE looooooooooooooooooooooooooooooooooooooooooooooooooooooooooooon;

-- NULLs
SELECT create_journal(NULL, NULL::acct);
\echo :SQLSTATE
SELECT create_journal('x', NULL::acct, request_id_type => NULL);
\echo :SQLSTATE
SELECT create_journal('x', NULL::acct, foreign_keys => NULL);
\echo :SQLSTATE
SELECT create_journal('x', NULL::acct, balance_column => NULL);
\echo :SQLSTATE
-- balances that are not there, or no money
SELECT create_journal('x', NULL::acct, balance_column => 'nope');
\echo :SQLSTATE
CREATE TABLE acct_text (id integer PRIMARY KEY, balance text);
SELECT create_journal('x', NULL::acct_text);
\echo :SQLSTATE
DROP TABLE acct_text;
-- no table
SELECT create_journal('x', NULL::integer);
\echo :SQLSTATE
CREATE VIEW acct_view AS SELECT * FROM acct;
SELECT create_journal('x', NULL::acct_view);
\echo :SQLSTATE
SELECT to_regclass('x');

-- a temporary table of the same name on the path is not in the way, nor taken
CREATE TEMPORARY TABLE shadow (n integer);
CREATE TEMPORARY TABLE acct_temp (id integer PRIMARY KEY, balance integer);
INSERT INTO acct_temp VALUES (1, 10), (2, 0);
SELECT create_journal('shadow', NULL::acct);
SELECT relpersistence, relnamespace::regnamespace FROM pg_class WHERE oid = 'jc.shadow'::regclass;
SELECT entry ->> 'amount' AS amount FROM transfer(NULL::acct, 1, 2, 1, journal => 'jc.shadow');
SELECT count(*) FROM jc.shadow;
SELECT count(*) FROM shadow;
DROP TABLE jc.shadow;
CREATE TEMPORARY TABLE acct (id text PRIMARY KEY, balance integer);
SELECT create_journal('real', NULL::jc.acct);
SELECT confrelid = 'jc.acct'::regclass AS right_one FROM pg_constraint WHERE conrelid = 'jc.real'::regclass AND contype = 'f' AND conname NOT LIKE '%reverses%' ORDER BY conname;
DROP TABLE pg_temp.acct, jc.real;
-- temporary journals and accounts
SELECT create_journal('pg_temp.j_temp', NULL::acct);
\echo :SQLSTATE
SELECT create_journal('pg_temp.j_temp', NULL::acct, foreign_keys => false);
\echo :SQLSTATE
SELECT create_journal('pg_temp.j_temp', NULL::acct_temp);
SELECT relpersistence FROM pg_class WHERE oid = 'pg_temp.j_temp'::regclass;
SELECT amount FROM transfer(NULL::acct_temp, 1, 2, 1, journal => 'j_temp');
SELECT create_journal('j_perm', NULL::acct_temp);
\echo :SQLSTATE
SELECT create_journal('j_perm', NULL::acct_temp, foreign_keys => false);
SELECT amount FROM transfer(NULL::acct_temp, 1, 2, 1, journal => 'j_perm');
DROP TABLE j_temp, j_perm, shadow;

-- id types: the journal has the accounts' own
CREATE FUNCTION id_types(regclass) RETURNS TABLE (attname name, type text, coll text, col_is_own boolean) LANGUAGE sql AS $$
  SELECT attname, format_type(atttypid, atttypmod), collname::text, attcollation <> typcollation
    FROM pg_attribute JOIN pg_type t ON t.oid = atttypid LEFT JOIN pg_collation c ON c.oid = attcollation
   WHERE attrelid = $1 AND attname IN ('from_id', 'to_id') ORDER BY attname
$$;
CREATE TABLE a_uuid (id uuid PRIMARY KEY, balance integer);
SELECT * FROM id_types(create_journal('j_uuid', NULL::a_uuid));
CREATE TABLE a_text (id text COLLATE "C" PRIMARY KEY, balance integer);
SELECT * FROM id_types(create_journal('j_text', NULL::a_text));
CREATE COLLATION "odd ci" (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE a_ci (id text COLLATE "odd ci" PRIMARY KEY, balance integer);
INSERT INTO a_ci VALUES ('Ann', 5), ('Bob', 5);
SELECT * FROM id_types(create_journal('j_ci', NULL::a_ci));
SELECT entry ->> 'from_id' AS from_id, amount FROM transfer(NULL::a_ci, 'ann', 'BOB', 1, journal => 'j_ci', request_id => '00000000-0000-0000-0000-000000000001');
-- the same accounts, as their collation compares them
SELECT replayed FROM transfer(NULL::a_ci, 'ANN', 'bob', 1, journal => 'j_ci', request_id => '00000000-0000-0000-0000-000000000001');
CREATE TABLE a_varchar (id varchar(5) PRIMARY KEY, balance integer);
SELECT * FROM id_types(create_journal('j_varchar', NULL::a_varchar));
CREATE TABLE a_char (id char(3) PRIMARY KEY, balance integer);
SELECT * FROM id_types(create_journal('j_char', NULL::a_char));
CREATE TABLE a_numeric (id numeric(6,2) PRIMARY KEY, balance integer);
SELECT * FROM id_types(create_journal('j_numeric', NULL::a_numeric));
CREATE TABLE a_ts (id timestamp(3) with time zone PRIMARY KEY, balance integer);
SELECT * FROM id_types(create_journal('j_ts', NULL::a_ts));
CREATE DOMAIN "Account Id" AS text COLLATE "C" CHECK (VALUE ~ '^A');
CREATE TABLE a_domain (id "Account Id" PRIMARY KEY, balance integer);
INSERT INTO a_domain VALUES ('A1', 5), ('A2', 5);
SELECT * FROM id_types(create_journal('j_domain', NULL::a_domain));
SELECT entry ->> 'to_id' AS to_id FROM transfer(NULL::a_domain, 'A1', 'A2', 1, journal => 'j_domain');
CREATE TABLE a_serial (id bigserial PRIMARY KEY, balance integer);
SELECT * FROM id_types(create_journal('j_serial', NULL::a_serial));
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE a_enum (id mood PRIMARY KEY, balance integer);
INSERT INTO a_enum VALUES ('ok', 5), ('sad', 5);
SELECT * FROM id_types(create_journal('j_enum', NULL::a_enum));
SELECT entry ->> 'to_id' AS to_id FROM transfer(NULL::a_enum, 'ok', 'sad', 1, journal => 'j_enum');
-- a composite primary key is no id; one of its columns is not unique
CREATE TABLE a_two (a integer, b integer, balance integer, PRIMARY KEY (a, b));
SELECT create_journal('j_two', NULL::a_two);
\echo :SQLSTATE
SELECT create_journal('j_two', NULL::a_two, 'a');
\echo :SQLSTATE
SELECT * FROM id_types(create_journal('j_two', NULL::a_two, id_column => 'a', foreign_keys => false));
-- id_column: another column that is unique
CREATE TABLE a_named (id integer PRIMARY KEY, "Account No" varchar(8) UNIQUE, balance integer, j json);
SELECT * FROM id_types(create_journal('j_named', NULL::a_named, 'Account No'));
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'j_named'::regclass AND contype = 'f' ORDER BY 1;
SELECT create_journal('x', NULL::a_named, 'nope');
\echo :SQLSTATE
SELECT create_journal('x', NULL::a_named, 'ctid');
\echo :SQLSTATE
SELECT create_journal('x', NULL::a_named, 'j');
\echo :SQLSTATE
-- no primary key
CREATE TABLE a_none (id integer, balance integer);
INSERT INTO a_none VALUES (1, 5), (2, 0);
SELECT create_journal('x', NULL::a_none);
\echo :SQLSTATE
SELECT create_journal('x', NULL::a_none, 'id');
\echo :SQLSTATE
SELECT create_journal('j_none', NULL::a_none, 'id', foreign_keys => false);
SELECT count(*) FROM pg_constraint WHERE conrelid = 'j_none'::regclass AND contype = 'f';
SELECT amount FROM transfer(NULL::a_none, 1, 2, 1, id_column => 'id', journal => 'j_none');
-- partitioned accounts, by their ids
CREATE TABLE a_part (id integer PRIMARY KEY, balance integer) PARTITION BY LIST (id);
CREATE TABLE a_part_1 PARTITION OF a_part FOR VALUES IN (1);
CREATE TABLE a_part_2 PARTITION OF a_part FOR VALUES IN (2);
INSERT INTO a_part VALUES (1, 5), (2, 0);
SELECT create_journal('j_part', NULL::a_part);
SELECT entry ->> 'to_balance' AS to_balance FROM transfer(NULL::a_part, 1, 2, 1, journal => 'j_part');

-- request_id types
CREATE FUNCTION request_type(regclass) RETURNS text LANGUAGE sql AS $$
  SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = $1 AND attname = 'request_id'
$$;
SELECT request_type(create_journal('r1', NULL::acct, request_id_type => 'text'));
SELECT request_type(create_journal('r2', NULL::acct, request_id_type => 'bigint'));
SELECT request_type(create_journal('r3', NULL::acct, request_id_type => 'jc."Account Id"'));
SELECT request_type(create_journal('r4', NULL::acct, request_id_type => 'varchar'));
CREATE EXTENSION citext;
SELECT request_type(create_journal('r5', NULL::acct, request_id_type => 'citext'));
DROP TABLE r5;
DROP EXTENSION citext;
-- of any length: a type's name alone has none
SELECT request_type(create_journal('r6', NULL::acct, request_id_type => 'char(20)'));
SELECT entry ->> 'request_id' AS request_id FROM transfer(NULL::acct, 1, 2, 1, journal => 'r6', request_id => 'abc');
DROP TABLE r6;
-- not those that cut or round what they are given
SELECT create_journal('x', NULL::acct, request_id_type => 'name');
\echo :SQLSTATE
SELECT create_journal('x', NULL::acct, request_id_type => 'double precision');
\echo :SQLSTATE
CREATE DOMAIN request_day AS date;
SELECT create_journal('x', NULL::acct, request_id_type => 'request_day');
\echo :SQLSTATE
DROP DOMAIN request_day;
SELECT create_journal('x', NULL::acct, request_id_type => 'uuid[]');
\echo :SQLSTATE
SELECT create_journal('x', NULL::acct, request_id_type => 'json');
\echo :SQLSTATE
SELECT create_journal('x', NULL::acct, request_id_type => 'anyelement');
\echo :SQLSTATE
SELECT to_regclass('x');

-- indexes serve the look-ups, and request ids are unique
INSERT INTO r1 (request_id, from_id, to_id, amount, from_balance, to_balance) VALUES ('r', 1, 2, 1, 0, 0);
INSERT INTO r1 (request_id, from_id, to_id, amount, from_balance, to_balance) VALUES ('r', 1, 2, 1, 0, 0);
\echo :SQLSTATE
\set VERBOSITY terse
-- an id is given by nobody; no amount is nothing; accounts and entries exist
INSERT INTO r1 (id, from_id, to_id, amount, from_balance, to_balance) VALUES (7, 1, 2, 1, 0, 0);
\echo :SQLSTATE
INSERT INTO r1 (from_id, to_id, amount, from_balance, to_balance) VALUES (1, 2, 0, 0, 0);
\echo :SQLSTATE
INSERT INTO r1 (from_id, to_id, amount, from_balance, to_balance) VALUES (1, 3, 1, 0, 0);
\echo :SQLSTATE
INSERT INTO r1 (from_id, to_id, amount, from_balance, to_balance, reverses) VALUES (1, 2, 1, 0, 0, 99);
\echo :SQLSTATE
-- accounts with entries stay, unless foreign keys were declined
\set VERBOSITY default
DELETE FROM acct WHERE id = 1;
\echo :SQLSTATE

-- in a transaction that is rolled back, or read-only
BEGIN;
SELECT create_journal('x', NULL::acct);
ROLLBACK;
SELECT to_regclass('x');
BEGIN READ ONLY;
SELECT create_journal('x', NULL::acct);
\echo :SQLSTATE
ROLLBACK;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA jc CASCADE;
