-- request_id: the types that its column may have, and what becomes of plans
-- when the journal is altered.
\set SHOW_CONTEXT never
CREATE TABLE rt_acct (id integer PRIMARY KEY, balance integer);
INSERT INTO rt_acct VALUES (1, 1000), (2, 0);
CREATE FUNCTION rt_book(journal regclass, request text, amount numeric DEFAULT 1) RETURNS text LANGUAGE sql
  AS 'SELECT CASE WHEN replayed THEN ''replayed '' ELSE ''booked '' END || (entry ->> ''request_id'') FROM transfer(NULL::rt_acct, 1, 2, amount, journal => journal, request_id => request)';

-- uuid, in any of its forms
SELECT create_journal('rt_uuid', NULL::rt_acct);
SELECT rt_book('rt_uuid', '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
SELECT rt_book('rt_uuid', '{6F9FF8B03A1C4A0E9D0C6A6F7C3F7B11}');
SELECT rt_book('rt_uuid', 'no uuid');
\echo :SQLSTATE
SELECT rt_book('rt_uuid', '');
\echo :SQLSTATE
-- bigint
CREATE TABLE rt_bigint (request_id bigint UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_bigint', '7');
SELECT rt_book('rt_bigint', ' 007 ');
SELECT rt_book('rt_bigint', '9223372036854775808');
\echo :SQLSTATE
SELECT rt_book('rt_bigint', '7.0');
\echo :SQLSTATE
-- varchar(5): too long is an error, but for spaces
CREATE TABLE rt_varchar (request_id varchar(5) UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_varchar', '12345');
SELECT rt_book('rt_varchar', '123456');
\echo :SQLSTATE
-- too long by spaces only, which the type would cut off
SELECT rt_book('rt_varchar', '12345   ');
\echo :SQLSTATE
-- char(5): trailing spaces do not count
CREATE TABLE rt_char (request_id char(5) UNIQUE, from_id integer, to_id integer, amount integer);
SELECT '<' || rt_book('rt_char', 'ab') || '>' AS r;
SELECT '<' || rt_book('rt_char', 'ab  ') || '>' AS r;
-- numeric: equal numbers are one
CREATE TABLE rt_numeric (request_id numeric(5,2) UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_numeric', '1.5');
SELECT rt_book('rt_numeric', '1.50');
-- would be rounded
SELECT rt_book('rt_numeric', '1.501');
\echo :SQLSTATE
SELECT rt_book('rt_numeric', '1000');
\echo :SQLSTATE
-- bytea, in any of its forms
CREATE TABLE rt_bytea (request_id bytea UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_bytea', '\x00ff');
SELECT rt_book('rt_bytea', '\000\377');
-- citext ignores case, as it was asked to
CREATE EXTENSION citext;
CREATE TABLE rt_citext (request_id citext UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_citext', 'Order');
SELECT rt_book('rt_citext', 'ORDER');
-- types that cut or round what they are given: it must be what they give back
CREATE TABLE rt_name (request_id name UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_name', repeat('n', 63)) = 'booked ' || repeat('n', 63) AS ok;
SELECT rt_book('rt_name', repeat('n', 63)) = 'replayed ' || repeat('n', 63) AS ok;
SELECT rt_book('rt_name', repeat('n', 64));
\echo :SQLSTATE
CREATE TABLE rt_real (request_id real UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_real', '1.5');
SELECT rt_book('rt_real', '1.5');
SELECT rt_book('rt_real', '16777217');
\echo :SQLSTATE
-- equal for the type, but not the same words
SELECT rt_book('rt_real', '0');
SELECT rt_book('rt_real', '-0');
\echo :SQLSTATE
SELECT ordinality, status FROM transfer_many(NULL::rt_acct, '{1,1,1}', '{2,2,2}', '{1,1,1}', '{0,-0,0}', journal => 'rt_real', on_error => 'report');
SELECT ordinality, status FROM transfer_many(NULL::rt_acct, '{1,1,1}', '{2,2,2}', '{1,1,1}', '{1.50,1.5,2.5}', journal => 'rt_real');
\echo :SQLSTATE
CREATE TABLE rt_interval (request_id interval UNIQUE, from_id integer, to_id integer, amount integer);
SELECT ordinality, status FROM transfer_many(NULL::rt_acct, '{1,1,1}', '{2,2,2}', '{1,1,1}', '{1 mon,30 days,1 mon}', journal => 'rt_interval', on_error => 'report');
SELECT ordinality, status FROM transfer_many(NULL::rt_acct, '{1}', '{2}', '{1}', '{30 days}', journal => 'rt_interval');
\echo :SQLSTATE
CREATE TABLE rt_double (request_id double precision UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_double', '9007199254740993');
\echo :SQLSTATE
CREATE TABLE rt_char1 (request_id "char" UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_char1', 'x');
SELECT rt_book('rt_char1', 'xy');
\echo :SQLSTATE
CREATE TABLE rt_date (request_id date UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_date', '2026-01-02');
SELECT rt_book('rt_date', '2026-01-02 12:34');
\echo :SQLSTATE
-- what a date means must not depend on the session's DateStyle
SELECT rt_book('rt_date', '01-02-2026');
\echo :SQLSTATE
CREATE TABLE rt_jsonb (request_id jsonb UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_jsonb', '{"a": 1, "b": 2}');
SELECT rt_book('rt_jsonb', '{"a": 1, "b": 2}');
SELECT rt_book('rt_jsonb', '{"b":2,"a":1.0}');
\echo :SQLSTATE
SELECT rt_book('rt_jsonb', '{"a": 1.0, "b": 2}');
\echo :SQLSTATE
CREATE TYPE rt_pair AS (a integer, b text);
CREATE TABLE rt_composite (request_id rt_pair UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_composite', '(1,x)');
SELECT rt_book('rt_composite', '(1,x)');
SELECT rt_book('rt_composite', '(01,"x")');
\echo :SQLSTATE
CREATE TABLE rt_bool (request_id boolean UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_bool', 't');
-- money has no hash: such requests wait for each other, and are booked once
SET lc_monetary = 'C';
CREATE TABLE rt_money (request_id money UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_money', '$1.00');
SELECT rt_book('rt_money', '$1.00');
SELECT rt_book('rt_money', '$1.004');
\echo :SQLSTATE
RESET lc_monetary;
-- an id that says nothing, in a batch, too
SELECT rt_book('rt_varchar', '');
\echo :SQLSTATE
SELECT rt_book('rt_char', '  ');
\echo :SQLSTATE
SELECT rt_book('rt_bytea', '\x');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::rt_acct, '{1,1}', '{2,2}', '{1,1}', '{a,""}', journal => 'rt_varchar', on_error => 'report');
\echo :SQLSTATE
-- a domain, whose checks hold
CREATE DOMAIN rt_key AS varchar(6) CHECK (VALUE LIKE 'R%') CHECK (VALUE <> 'RX');
CREATE TABLE rt_domain (request_id rt_key UNIQUE, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_domain', 'R1');
SELECT rt_book('rt_domain', 'R1');
SELECT rt_book('rt_domain', 'X1');
\echo :SQLSTATE
SELECT rt_book('rt_domain', 'R123456');
\echo :SQLSTATE
-- a collation that ignores case
CREATE COLLATION rt_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE rt_ci (request_id text COLLATE rt_ci, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_ci', 'Order');
SELECT rt_book('rt_ci', 'ORDER');
SELECT rt_book('rt_ci', 'ORDER', 2);
\echo :SQLSTATE
-- types without equality
CREATE TABLE rt_json (request_id json, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_json', '{}');
\echo :SQLSTATE
CREATE TABLE rt_point (request_id point, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_point', '(0,0)');
\echo :SQLSTATE
-- no such column
CREATE TABLE rt_none (from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_none', 'x');
\echo :SQLSTATE
-- a request_id is refused before anything else is said
SELECT * FROM transfer(NULL::rt_acct, 8, 9, -1, journal => 'rt_none', request_id => 'x');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rt_acct, 8, 9, -1, journal => 'rt_uuid', request_id => 'x');
\echo :SQLSTATE

-- without a unique index a request is booked once all the same
CREATE TABLE rt_plain (n serial, request_id text, from_id integer, to_id integer, amount integer);
SELECT rt_book('rt_plain', 'x');
SELECT rt_book('rt_plain', 'x');
SELECT count(*) FROM rt_plain;
-- but others may make a second one: that is told
INSERT INTO rt_plain (request_id, from_id, to_id, amount) VALUES ('x', 1, 2, 1);
SELECT rt_book('rt_plain', 'x');
\echo :SQLSTATE
DELETE FROM rt_plain WHERE n > 1;

-- the journal is altered between the calls of a session
SELECT rt_book('rt_plain', 'x');
ALTER TABLE rt_plain ADD COLUMN details jsonb, ADD COLUMN from_balance integer;
SELECT rt_book('rt_plain', 'x'), rt_book('rt_plain', 'y');
SELECT entry -> 'from_balance' AS from_balance, entry -> 'details' AS details FROM transfer(NULL::rt_acct, 1, 2, 1, journal => 'rt_plain', details => '[1]');
ALTER TABLE rt_plain ALTER COLUMN request_id TYPE varchar(3);
SELECT rt_book('rt_plain', 'x'), rt_book('rt_plain', 'z');
SELECT rt_book('rt_plain', 'long');
\echo :SQLSTATE
ALTER TABLE rt_plain RENAME COLUMN request_id TO request;
SELECT rt_book('rt_plain', 'x');
\echo :SQLSTATE
ALTER TABLE rt_plain RENAME COLUMN request TO request_id;
SELECT rt_book('rt_plain', 'x');
ALTER TABLE rt_plain DROP COLUMN request_id, ADD COLUMN request_id bytea;
SELECT rt_book('rt_plain', 'x');
SELECT rt_book('rt_plain', 'x');
-- the columns change places
ALTER TABLE rt_plain RENAME COLUMN from_id TO other_id;
ALTER TABLE rt_plain RENAME COLUMN to_id TO from_id;
ALTER TABLE rt_plain RENAME COLUMN other_id TO to_id;
SELECT rt_book('rt_plain', 'x');
\echo :SQLSTATE
SELECT entry ->> 'from_id' AS from_id, entry ->> 'to_id' AS to_id FROM transfer(NULL::rt_acct, 1, 2, 1, journal => 'rt_plain', request_id => 'placed');
ALTER TABLE rt_plain RENAME COLUMN amount TO sum;
SELECT rt_book('rt_plain', 'y');
\echo :SQLSTATE
ALTER TABLE rt_plain RENAME COLUMN sum TO amount;
ALTER TABLE rt_plain ALTER COLUMN amount TYPE text;
SELECT rt_book('rt_plain', 'y');
\echo :SQLSTATE
ALTER TABLE rt_plain ALTER COLUMN amount TYPE smallint USING amount::smallint;
SELECT rt_book('rt_plain', 'y', 2);
ALTER TABLE rt_plain RENAME TO rt_renamed;
SELECT rt_book('rt_renamed', 'y', 2);
-- and made anew
DROP TABLE rt_renamed;
CREATE TABLE rt_renamed (amount integer, to_id integer, from_id integer, request_id integer);
SELECT rt_book('rt_renamed', '1');
SELECT rt_book('rt_renamed', '1');

-- every booked request moved 1 or 2, and no more
SELECT sum(balance) FROM rt_acct;
DROP TABLE rt_uuid, rt_bigint, rt_varchar, rt_char, rt_numeric, rt_name, rt_bytea, rt_jsonb, rt_composite, rt_money,
  rt_citext, rt_real, rt_interval, rt_double, rt_char1, rt_date, rt_bool, rt_domain, rt_ci, rt_json, rt_point, rt_none, rt_renamed;
DROP EXTENSION citext;
DROP FUNCTION rt_book;
DROP TABLE rt_acct;
DROP TYPE rt_pair;
DROP DOMAIN rt_key;
DROP COLLATION rt_ci;
