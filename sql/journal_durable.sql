-- A journal lasts as long as its accounts: what is booked in one that a crash
-- empties would be done again.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE TABLE jd_acct (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL);
INSERT INTO jd_acct VALUES (1, 100), (2, 100);

-- an unlogged journal, in all that books
CREATE UNLOGGED TABLE jd (id integer GENERATED ALWAYS AS IDENTITY, request_id text, from_id integer, to_id integer,
                          amount numeric, from_balance numeric, to_balance numeric, reverses integer);
SELECT transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd');
\echo :SQLSTATE
SELECT transfer_many(NULL::jd_acct, '{1}', '{2}', '{1}', journal => 'jd', on_error => 'report');
\echo :SQLSTATE
SELECT reverse_transfer(NULL::jd_acct, 'jd', 1);
\echo :SQLSTATE
-- it can be read
SELECT count(*) FROM verify_journal('jd', NULL::jd_acct) WHERE problem <> 'no_entries';
-- and be made durable between two calls
ALTER TABLE jd SET LOGGED;
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd', request_id => 'r');
ALTER TABLE jd SET UNLOGGED;
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd', request_id => 'r');
\echo :SQLSTATE
-- accounts that are no better
ALTER TABLE jd_acct SET UNLOGGED;
SELECT amount, replayed FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd', request_id => 'r');
ALTER TABLE jd SET LOGGED;
SELECT amount, replayed FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd', request_id => 's');
-- a temporary table that takes the name of the journal
CREATE TEMPORARY TABLE jd (LIKE public.jd INCLUDING IDENTITY);
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd', request_id => 't');
\echo :SQLSTATE
ALTER TABLE jd_acct SET LOGGED;
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd', request_id => 't');
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'public.jd', request_id => 't');
CREATE TEMPORARY TABLE jd_temp (id integer PRIMARY KEY, balance integer);
INSERT INTO jd_temp VALUES (1, 10), (2, 0);
SELECT amount FROM transfer(NULL::jd_temp, 1, 2, 1, journal => 'jd', request_id => 't');
DROP TABLE pg_temp.jd, jd_temp, public.jd;

-- one partition is enough, also of a partition, and as soon as it changes
CREATE TABLE jd (from_id integer, to_id integer, amount numeric, request_id text) PARTITION BY LIST (from_id);
CREATE TABLE jd_1 PARTITION OF jd FOR VALUES IN (1);
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd');
CREATE TABLE jd_rest PARTITION OF jd DEFAULT PARTITION BY LIST (from_id);
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd');
CREATE UNLOGGED TABLE jd_2 PARTITION OF jd_rest FOR VALUES IN (2);
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd');
\echo :SQLSTATE
ALTER TABLE jd_2 SET LOGGED;
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd');
ALTER TABLE jd_1 SET UNLOGGED;
SELECT amount FROM transfer(NULL::jd_acct, 1, 2, 1, journal => 'jd');
\echo :SQLSTATE
DROP TABLE jd_1;
SELECT amount FROM transfer(NULL::jd_acct, 2, 1, 1, journal => 'jd');
DROP TABLE jd;
-- accounts of which one partition is more durable than the journal
CREATE TABLE jd_parts (id integer PRIMARY KEY, balance integer) PARTITION BY LIST (id);
CREATE UNLOGGED TABLE jd_parts_1 PARTITION OF jd_parts FOR VALUES IN (1);
INSERT INTO jd_parts VALUES (1, 10);
CREATE UNLOGGED TABLE jd_parts_2 PARTITION OF jd_parts FOR VALUES IN (2);
INSERT INTO jd_parts VALUES (2, 10);
CREATE UNLOGGED TABLE jd (from_id integer, to_id integer, amount numeric, request_id text);
SELECT amount FROM transfer(NULL::jd_parts, 1, 2, 1, journal => 'jd');
ALTER TABLE jd_parts_2 SET LOGGED;
SELECT amount FROM transfer(NULL::jd_parts, 1, 2, 1, journal => 'jd');
\echo :SQLSTATE
DROP TABLE jd_parts, jd;

-- create_journal makes what fits
CREATE UNLOGGED TABLE jd_unlogged (id integer PRIMARY KEY, balance integer);
INSERT INTO jd_unlogged VALUES (1, 10), (2, 0);
SELECT create_journal('jd', NULL::jd_unlogged);
SELECT relpersistence FROM pg_class WHERE oid = 'jd'::regclass;
SELECT amount FROM transfer(NULL::jd_unlogged, 1, 2, 1, journal => 'jd');
-- accounts that get better leave it behind
ALTER TABLE jd DROP CONSTRAINT jd_from_id_fkey, DROP CONSTRAINT jd_to_id_fkey;
ALTER TABLE jd_unlogged SET LOGGED;
SELECT amount FROM transfer(NULL::jd_unlogged, 1, 2, 1, journal => 'jd');
\echo :SQLSTATE
DROP TABLE jd, jd_unlogged;
-- temporary journals of permanent accounts are not made
SELECT create_journal('pg_temp.jd', NULL::jd_acct, foreign_keys => false);
\echo :SQLSTATE
SELECT to_regclass('pg_temp.jd');
DROP TABLE jd_acct;
