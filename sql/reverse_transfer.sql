-- reverse_transfer: what an entry moved goes back, once.
\set SHOW_CONTEXT never
CREATE TABLE rv_acct (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO rv_acct VALUES (1, 100), (2, 0), (3, 0);
SELECT create_journal('rv', NULL::rv_acct, request_id_type => 'text', foreign_keys => false);
SELECT amount FROM transfer(NULL::rv_acct, 1, 2, 10, journal => 'rv', request_id => 't1');

-- whole: the payer is who was paid then
SELECT from_account, to_account, amount, replayed, entry - 'created_at' AS entry FROM reverse_transfer(NULL::rv_acct, 'rv', 1, details => '"why"');
-- and nothing is left
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 1);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 1, 0.01);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 1, up_to => true);
\echo :SQLSTATE
-- a reversal can be reversed, and that again
SELECT from_account, to_account, amount, entry -> 'reverses' AS reverses FROM reverse_transfer(NULL::rv_acct, 'rv', 2);
SELECT from_account, to_account, amount, entry -> 'reverses' AS reverses FROM reverse_transfer(NULL::rv_acct, 'rv', 3);
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 2);
\echo :SQLSTATE

-- in parts
SELECT entry -> 'id' AS id FROM transfer(NULL::rv_acct, 1, 2, 10, journal => 'rv');
SELECT amount, entry -> 'reverses' AS reverses FROM reverse_transfer(NULL::rv_acct, 'rv', 5, 2.5);
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', 5, 2.5);
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 5, 5.01);
\echo :SQLSTATE
-- the default is the rest
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', 5);
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 5, 0.01);
\echo :SQLSTATE
SELECT id, reverses, from_id, to_id, amount, from_balance, to_balance FROM rv ORDER BY id;
SELECT id, balance FROM rv_acct ORDER BY id;
SELECT * FROM verify_journal('rv', NULL::rv_acct);

-- no such entry: RF007, whatever the id
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 999);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 0);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', -9223372036854775808);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 9223372036854775807, -1);
\echo :SQLSTATE
-- NULLs
SELECT * FROM reverse_transfer(NULL::rv_acct, NULL, 1);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', NULL);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 1, balance_column => NULL);
\echo :SQLSTATE

-- amounts: 22023 before RF006
SELECT entry -> 'id' AS id FROM transfer(NULL::rv_acct, 1, 2, 10, journal => 'rv');
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 9, 0);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 9, -1);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 9, 'NaN');
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 9, 0.001);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 1, -1);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 1, 100.001);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 1, 100);
\echo :SQLSTATE
-- limits: the payer's funds, the payee's ceiling
SELECT amount FROM transfer(NULL::rv_acct, 2, 3, 7);
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 9);
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 9, 3, max_balance => 92.99);
\echo :SQLSTATE
-- RF006 before RF001
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 9, 11);
\echo :SQLSTATE
-- up_to: as much as is there; the rest later
SELECT amount, (from_account).balance FROM reverse_transfer(NULL::rv_acct, 'rv', 9, up_to => true);
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', 9, up_to => true);
\echo :SQLSTATE
SELECT amount, (from_account).balance FROM reverse_transfer(NULL::rv_acct, 'rv', 9, 6, min_balance => -5, up_to => true);
-- up_to is no leave to reverse more than was moved
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', 9, 3, min_balance => '-Infinity', up_to => true);
\echo :SQLSTATE
SELECT amount, (from_account).balance FROM reverse_transfer(NULL::rv_acct, 'rv', 9, min_balance => '-Infinity');
SELECT id, balance FROM rv_acct ORDER BY id;
UPDATE rv_acct SET balance = 100;

-- an account that is closed
SELECT entry -> 'id' AS id FROM transfer(NULL::rv_acct, 1, 3, 10, journal => 'rv');
DELETE FROM rv_acct WHERE id = 3;
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 13);
\echo :SQLSTATE
DELETE FROM rv_acct WHERE id = 1;
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 13);
\echo :SQLSTATE
INSERT INTO rv_acct VALUES (1, 100), (3, NULL);
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 13);
\echo :SQLSTATE
UPDATE rv_acct SET balance = 100;

-- request ids
SELECT entry -> 'id' AS id FROM transfer(NULL::rv_acct, 1, 2, 10, journal => 'rv', request_id => 't14');
SELECT amount, replayed, entry -> 'id' AS id FROM reverse_transfer(NULL::rv_acct, 'rv', 14, 4, request_id => 'r1');
SELECT amount, replayed, entry -> 'id' AS id, from_account, to_account FROM reverse_transfer(NULL::rv_acct, 'rv', 14, 4, request_id => 'r1');
-- an amount that is not named is not compared
SELECT amount, replayed, entry -> 'id' AS id FROM reverse_transfer(NULL::rv_acct, 'rv', 14, request_id => 'r1');
SELECT amount, replayed FROM reverse_transfer(NULL::rv_acct, 'rv', 14, 5, request_id => 'r1', up_to => true);
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 14, 5, request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 14, 3, request_id => 'r1', up_to => true);
\echo :SQLSTATE
-- RF003 names "reverses": another entry, none, one that does not exist
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 13, 4, request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 999, 5, request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rv_acct, 2, 1, 4, journal => 'rv', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rv_acct, 1, 2, 5, journal => 'rv', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 14, 10, request_id => 't14');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::rv_acct, '{2}', '{1}', '{4}', request_ids => '{r1}', journal => 'rv', on_error => 'report');
-- a failure leaves the id free, and a roll back does
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', 14, 7, request_id => 'r2');
\echo :SQLSTATE
BEGIN;
SELECT amount, replayed FROM reverse_transfer(NULL::rv_acct, 'rv', 14, request_id => 'r2');
SELECT amount, replayed FROM reverse_transfer(NULL::rv_acct, 'rv', 14, request_id => 'r2');
ROLLBACK;
SELECT amount, replayed FROM reverse_transfer(NULL::rv_acct, 'rv', 14, 1, request_id => 'r2');
-- a replay, when all is reversed and the accounts are gone
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', 14);
DELETE FROM rv_acct;
SELECT amount, replayed, from_account IS NULL AS no_from FROM reverse_transfer(NULL::rv_acct, 'rv', 14, request_id => 'r1');
INSERT INTO rv_acct VALUES (1, 100), (2, 100), (3, 100);

-- transactions: a reversal that is rolled back was none
BEGIN;
SELECT entry -> 'id' AS id FROM transfer(NULL::rv_acct, 1, 2, 1, journal => 'rv') \gset
SAVEPOINT s;
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', :id);
ROLLBACK TO s;
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', :id, 0.6);
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', :id);
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT entry -> 'id' AS id FROM transfer(NULL::rv_acct, 1, 2, 1, journal => 'rv') \gset
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', :id, 0.6);
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv', :id, 0.5);
\echo :SQLSTATE
ROLLBACK;

-- a journal of one's own: ids of another integer type
CREATE TABLE rv_own (id integer, from_id bigint, to_id smallint, amount money, reverses bigint);
INSERT INTO rv_own VALUES (1, 1, 2, 5), (2, NULL, 2, 5), (3, 1, 2, NULL), (4, 1, 2, 5), (4, 1, 2, 5);
SELECT amount, entry -> 'reverses' AS reverses FROM reverse_transfer(NULL::rv_acct, 'rv_own', 1, 4.99);
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv_own', 1);
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv_own', 1);
\echo :SQLSTATE
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv_own', 5000000000);
\echo :SQLSTATE
-- two entries of that id
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv_own', 4);
\echo :SQLSTATE
-- an entry without an amount moved nothing
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv_own', 3);
\echo :SQLSTATE
-- columns that it needs
ALTER TABLE rv_own RENAME COLUMN reverses TO reversed;
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv_own', 1);
\echo :SQLSTATE
ALTER TABLE rv_own RENAME COLUMN reversed TO reverses;
ALTER TABLE rv_own RENAME COLUMN id TO number;
SELECT amount FROM reverse_transfer(NULL::rv_acct, 'rv_own', 1);
\echo :SQLSTATE
-- id and balance columns of other names
CREATE TABLE rv_named ("No" text PRIMARY KEY, other integer UNIQUE, "Bal" integer);
INSERT INTO rv_named VALUES ('a', 1, 10), ('b', 2, 0);
SELECT create_journal('rv_named_journal', NULL::rv_named, 'other', balance_column => 'Bal');
SELECT amount FROM transfer(NULL::rv_named, 1, 2, 3, id_column => 'other', balance_column => 'Bal', journal => 'rv_named_journal');
SELECT from_account, to_account FROM reverse_transfer(NULL::rv_named, 'rv_named_journal', 1, id_column => 'other', balance_column => 'Bal');
DROP TABLE rv_named_journal, rv_named, rv_own;

-- a policy that hides an entry hides it from here
CREATE ROLE regress_racefree_rv;
GRANT SELECT, UPDATE ON rv_acct TO regress_racefree_rv;
GRANT SELECT, INSERT ON rv TO regress_racefree_rv;
SELECT entry -> 'id' AS id FROM transfer(NULL::rv_acct, 1, 2, 1, journal => 'rv', details => '"hidden"') \gset
ALTER TABLE rv ENABLE ROW LEVEL SECURITY;
CREATE POLICY s ON rv FOR SELECT USING (details IS DISTINCT FROM '"hidden"');
CREATE POLICY i ON rv FOR INSERT WITH CHECK (true);
SET ROLE regress_racefree_rv;
\set VERBOSITY sqlstate
SELECT * FROM reverse_transfer(NULL::rv_acct, 'rv', :id);
\set VERBOSITY default
RESET ROLE;
DROP TABLE rv, rv_acct;
DROP OWNED BY regress_racefree_rv;
DROP ROLE regress_racefree_rv;
