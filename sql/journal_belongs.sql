-- A journal belongs to its accounts: with others, its request ids and entries
-- would mean something else.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA jb;
SET search_path = jb, public;
CREATE TABLE acct (id integer PRIMARY KEY, no integer UNIQUE, balance numeric(12,2), points numeric(12,2));
CREATE TABLE other (id integer PRIMARY KEY, no integer UNIQUE, balance numeric(12,2), points numeric(12,2));
INSERT INTO acct VALUES (1, 2, 100, 100), (2, 1, 100, 100);
INSERT INTO other VALUES (1, 2, 100, 100), (2, 1, 100, 100);
SELECT create_journal('j', NULL::acct, request_id_type => 'text');
SELECT amount, replayed FROM transfer(NULL::acct, 1, 2, 10, journal => 'j', request_id => 'r');

-- another table, id column or balance column: nothing is replayed, reversed
-- or verified
SELECT amount, replayed FROM transfer(NULL::other, 1, 2, 10, journal => 'j', request_id => 'r');
\echo :SQLSTATE
SELECT amount, replayed FROM transfer(NULL::acct, 1, 2, 10, id_column => 'no', journal => 'j', request_id => 'r');
\echo :SQLSTATE
SELECT amount, replayed FROM transfer(NULL::acct, 1, 2, 10, balance_column => 'points', journal => 'j', request_id => 'r');
\echo :SQLSTATE
SELECT amount FROM reverse_transfer(NULL::other, 'j', 1);
\echo :SQLSTATE
SELECT amount FROM reverse_transfer(NULL::acct, 'j', 1, balance_column => 'points');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::other, '{1}', '{2}', '{10}', '{r}', journal => 'j', on_error => 'report');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::acct, '{1}', '{2}', '{10}', '{r}', journal => 'j', balance_column => 'points');
\echo :SQLSTATE
SELECT * FROM verify_journal('j', NULL::other);
\echo :SQLSTATE
SELECT * FROM verify_journal('j', NULL::acct, 'no');
\echo :SQLSTATE
-- a table of the same name in another schema
CREATE TABLE public.acct (LIKE acct INCLUDING ALL);
SELECT amount FROM transfer(NULL::public.acct, 1, 2, 10, journal => 'j');
\echo :SQLSTATE
DROP TABLE public.acct;
SELECT sum(balance), sum(points) FROM (TABLE acct UNION ALL TABLE other) AS t;
-- its own, by whatever way they are named
SELECT amount, replayed FROM transfer(NULL::jb.acct, 1, 2, 10, id_column => 'id', balance_column => 'balance', journal => 'jb.j', request_id => 'r');
SELECT * FROM verify_journal('j', NULL::acct);

-- renamed: refused, with the statement that says so
CREATE TABLE hints (n serial, hint text);
CREATE FUNCTION hint(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  hint text;
BEGIN
  EXECUTE statement;
  RETURN 'ok';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  INSERT INTO jb.hints (hint) VALUES (hint);
  RETURN hint;
END $$;
CREATE FUNCTION follow_hint() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE (SELECT substring(hint FROM 'run: (.*)$') FROM jb.hints ORDER BY n DESC LIMIT 1);
END $$;
ALTER TABLE acct RENAME TO "Account ""s'\";
SELECT * FROM transfer(NULL::"Account ""s'\", 1, 2, 1, journal => 'j');
\echo :SQLSTATE
SELECT hint($$SELECT transfer(NULL::jb."Account ""s'\", 1, 2, 1, journal => 'jb.j')$$);
SELECT follow_hint();
SELECT amount FROM transfer(NULL::"Account ""s'\", 1, 2, 1, journal => 'j');
ALTER TABLE "Account ""s'\" RENAME TO acct;
ALTER TABLE acct RENAME balance TO "Bal=ance";
SELECT hint($$SELECT transfer(NULL::jb.acct, 1, 2, 1, balance_column => 'Bal=ance', journal => 'jb.j')$$);
SELECT follow_hint();
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'Bal=ance', journal => 'j');
ALTER TABLE acct RENAME id TO "Id";
SELECT hint($$SELECT verify_journal('jb.j', NULL::jb.acct, balance_column => 'Bal=ance')$$);
SELECT follow_hint();
ALTER SCHEMA jb RENAME TO "J b";
SELECT "J b".hint($$SELECT 1$$);
SET search_path = "J b", public;
SELECT * FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'Bal=ance', journal => 'j');
CREATE OR REPLACE TRIGGER journal_guard BEFORE UPDATE OR DELETE ON j FOR EACH ROW
  EXECUTE FUNCTION journal_guard('accounts="J b".acct', 'id_column=Id', 'balance_column=Bal=ance');
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'Bal=ance', journal => 'j');
ALTER SCHEMA "J b" RENAME TO jb;
SET search_path = jb, public;
ALTER TABLE acct RENAME "Bal=ance" TO balance;
ALTER TABLE acct RENAME "Id" TO id;
-- the journal, its schema and the guard may have any names
ALTER TABLE j RENAME TO "J";
ALTER TRIGGER journal_guard ON "J" RENAME TO "A guard";
SELECT hint($$SELECT transfer(NULL::jb.acct, 1, 2, 1, journal => 'jb."J"')$$);
SELECT follow_hint();
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, journal => '"J"');
DELETE FROM "J";
\echo :SQLSTATE
DROP TABLE "J";

-- tables of the user's own belong to nobody, until they say so
CREATE TABLE own (id integer GENERATED ALWAYS AS IDENTITY, from_id integer, to_id integer, amount numeric, from_balance numeric, to_balance numeric, reverses integer);
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, journal => 'own');
SELECT amount FROM transfer(NULL::other, 1, 2, 1, journal => 'own');
CREATE TRIGGER g BEFORE UPDATE OR DELETE ON own FOR EACH ROW EXECUTE FUNCTION journal_guard();
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, journal => 'own');
SELECT amount FROM transfer(NULL::other, 1, 2, 1, journal => 'own');
-- by the table, or the column, alone
CREATE OR REPLACE TRIGGER g BEFORE UPDATE OR DELETE ON own FOR EACH ROW EXECUTE FUNCTION journal_guard('accounts=jb."acct"');
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'points', journal => 'own');
SELECT amount FROM transfer(NULL::other, 1, 2, 1, journal => 'own');
\echo :SQLSTATE
CREATE OR REPLACE TRIGGER g BEFORE UPDATE OR DELETE ON own FOR EACH ROW EXECUTE FUNCTION journal_guard('balance_column=points');
SELECT amount FROM transfer(NULL::other, 1, 2, 1, balance_column => 'points', journal => 'own');
SELECT amount FROM transfer(NULL::other, 1, 2, 1, journal => 'own');
\echo :SQLSTATE
-- two guards: both are obeyed
CREATE TRIGGER g2 BEFORE DELETE ON own FOR EACH ROW EXECUTE FUNCTION journal_guard('accounts=jb.acct');
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'points', journal => 'own');
SELECT amount FROM transfer(NULL::other, 1, 2, 1, balance_column => 'points', journal => 'own');
\echo :SQLSTATE
-- a guard that is disabled still says it
ALTER TABLE own DISABLE TRIGGER ALL;
SELECT amount FROM transfer(NULL::other, 1, 2, 1, balance_column => 'points', journal => 'own');
\echo :SQLSTATE
DROP TRIGGER g2 ON own;
-- what is no guard of ours does not count, whatever its name
CREATE FUNCTION jb.journal_guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE OR REPLACE TRIGGER g BEFORE UPDATE OR DELETE ON own FOR EACH ROW EXECUTE FUNCTION jb.journal_guard('accounts=jb.other');
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, journal => 'own');
DROP TRIGGER g ON own;
CREATE TRIGGER g BEFORE TRUNCATE ON own FOR EACH STATEMENT EXECUTE FUNCTION public.journal_guard('accounts=jb.other');
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, journal => 'own');
-- arguments that say nothing we know
CREATE FUNCTION tie(VARIADIC text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'CREATE OR REPLACE TRIGGER t BEFORE UPDATE ON jb.own FOR EACH ROW EXECUTE FUNCTION public.journal_guard(' ||
    (SELECT string_agg(quote_literal(a), ', ') FROM unnest($1) AS a) || ')';
  PERFORM transfer(NULL::jb.acct, 1, 2, 1, journal => 'jb.own');
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING '% %', SQLSTATE, SQLERRM;
END $$;
SELECT tie('acct');
SELECT tie('accounts=acct');
SELECT tie('accounts=');
SELECT tie('accounts=a.b.c');
SELECT tie('accounts=jb.acct; x');
SELECT tie('accounts=jb.acct', 'accounts=jb.acct');
SELECT tie('Accounts=jb.acct');
SELECT tie('id_column');
SELECT tie('ids=id');
SELECT tie('');
SELECT tie('id_column=id', 'balance_column=balance', 'accounts= jb . "acct" ');
-- the guard does not need to understand them, to refuse
CREATE OR REPLACE TRIGGER t BEFORE UPDATE ON own FOR EACH ROW EXECUTE FUNCTION public.journal_guard('ids=id');
UPDATE own SET amount = 1;
\echo :SQLSTATE
SELECT balance_at('own', 1, now());
DROP TABLE own;

-- accounts are not their own journal
CREATE TABLE both_of_it (id serial PRIMARY KEY, balance integer, from_id integer, to_id integer, amount integer);
INSERT INTO both_of_it (balance) VALUES (5), (5);
SELECT transfer(NULL::both_of_it, 1, 2, 1, journal => 'both_of_it');
\echo :SQLSTATE

-- a partition knows by its parent's guard
CREATE TABLE parts (id integer, from_id integer, to_id integer, amount numeric) PARTITION BY LIST (from_id);
CREATE TRIGGER g BEFORE UPDATE OR DELETE ON parts FOR EACH ROW EXECUTE FUNCTION public.journal_guard('accounts=jb.gone');
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
SELECT hint($$SELECT transfer(NULL::jb.acct, 1, 2, 1, journal => 'jb.parts_1')$$);
SELECT follow_hint();
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, journal => 'parts_1');
SELECT amount FROM transfer(NULL::acct, 1, 2, 1, journal => 'parts');
SELECT amount FROM transfer(NULL::other, 1, 2, 1, journal => 'parts_1');
\echo :SQLSTATE

-- a limit that is no number is wrong whatever the tables are
SELECT amount FROM transfer(NULL::other, 1, 2, 1, journal => 'parts_1', min_balance => 'NaN');
SELECT amount FROM reverse_transfer(NULL::other, 'parts_1', 1, max_balance => 'NaN');
SELECT status FROM transfer_many(NULL::other, '{1}', '{2}', '{1}', journal => 'parts_1', min_balance => 'NaN', on_error => 'report');

RESET search_path;
DROP SCHEMA jb CASCADE;
