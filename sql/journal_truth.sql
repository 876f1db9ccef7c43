-- balance_at and verify_journal: what the journal says, and whether it is so.
\set SHOW_CONTEXT never
CREATE TABLE jv_acct (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO jv_acct VALUES (1, 100), (2, 50), (3, 10), (4, 7);
SELECT create_journal('jv', NULL::jv_acct);
SELECT * FROM verify_journal('jv', NULL::jv_acct);
SELECT balance_at('jv', 1, now());

-- balances that were there before the first entry are what it found
CREATE TABLE jv_times (n integer, t timestamptz);
INSERT INTO jv_times VALUES (0, clock_timestamp());
SELECT amount FROM transfer(NULL::jv_acct, 1, 2, 10, journal => 'jv');
INSERT INTO jv_times VALUES (1, clock_timestamp());
SELECT amount FROM transfer(NULL::jv_acct, 2, 3, 20, journal => 'jv');
INSERT INTO jv_times VALUES (2, clock_timestamp());
SELECT amount FROM reverse_transfer(NULL::jv_acct, 'jv', 1, 2.5);
INSERT INTO jv_times VALUES (3, clock_timestamp());
SELECT n, balance_at('jv', 1, t) AS one, balance_at('jv', 2, t) AS two, balance_at('jv', 3, t) AS three, balance_at('jv', 4, t) AS four, balance_at('jv', 99, t) AS none FROM jv_times ORDER BY n;
SELECT balance_at('jv', 1, '-infinity'), balance_at('jv', 1, 'infinity');
-- at the very time of an entry it counts
SELECT id, balance_at('jv', from_id, created_at) = from_balance AS from, balance_at('jv', to_id, created_at) = to_balance AS to,
       balance_at('jv', from_id, created_at - interval '1 us') = from_balance + amount AS from_before FROM jv ORDER BY id;
-- several at the same time: the last of them
SELECT status FROM transfer_many(NULL::jv_acct, '{1,1,2,1}', '{2,3,1,2}', '{1,2,3,4}', journal => 'jv');
SELECT balance_at('jv', id, 'infinity') = balance AS right, id FROM jv_acct WHERE id < 4 ORDER BY id;
SELECT * FROM verify_journal('jv', NULL::jv_acct);
-- ids as text, and of other types
SELECT balance_at('jv', '1'::text, 'infinity') = balance_at('jv', 1::bigint, 'infinity') AS same;
SELECT balance_at('jv', '1', 'infinity') = balance FROM jv_acct WHERE id = 1;
PREPARE jv_p AS SELECT balance_at('jv', $1, $2) = 88.5 AS right;
EXECUTE jv_p('1', 'infinity');
DEALLOCATE jv_p;
SELECT balance_at('jv', 'x'::text, now());
\echo :SQLSTATE
-- NULLs, and what is no journal
SELECT balance_at(NULL, 1, now());
\echo :SQLSTATE
SELECT balance_at('jv', NULL::integer, now());
\echo :SQLSTATE
SELECT balance_at('jv', 1, NULL);
\echo :SQLSTATE
SELECT balance_at('jv_acct', 1, now());
\echo :SQLSTATE
SELECT * FROM verify_journal(NULL, NULL::jv_acct);
\echo :SQLSTATE
SELECT * FROM verify_journal('jv', NULL::jv_acct, balance_column => NULL);
\echo :SQLSTATE
SELECT * FROM verify_journal('jv', NULL::jv_acct, 'nope');
\echo :SQLSTATE
SELECT * FROM verify_journal('jv', NULL::integer);
\echo :SQLSTATE
SELECT * FROM verify_journal('jv_acct', NULL::jv_acct);
\echo :SQLSTATE

-- each problem by itself
BEGIN;
UPDATE jv_acct SET balance = balance + 0.01 WHERE id = 1;
SELECT * FROM verify_journal('jv', NULL::jv_acct);
-- and then an entry shows it
SELECT amount FROM transfer(NULL::jv_acct, 1, 4, 1, journal => 'jv');
SELECT * FROM verify_journal('jv', NULL::jv_acct);
ROLLBACK;
BEGIN;
UPDATE jv_acct SET balance = NULL WHERE id = 1;
SELECT * FROM verify_journal('jv', NULL::jv_acct);
ROLLBACK;
-- accounts that no entry names: what they have, nothing tells
BEGIN;
UPDATE jv_acct SET balance = 666 WHERE id = 4;
INSERT INTO jv_acct VALUES (5, NULL), (6, 0), (7, -0.01);
SELECT * FROM verify_journal('jv', NULL::jv_acct);
ROLLBACK;
-- now a journal that can be changed
CREATE TABLE jv_own (id integer, from_id integer, to_id integer, amount numeric, from_balance numeric, to_balance numeric, reverses integer, created_at timestamptz);
INSERT INTO jv_own SELECT id, from_id, to_id, amount, from_balance, to_balance, reverses, created_at FROM jv;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
BEGIN;
DELETE FROM jv_own WHERE id = 2;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
ROLLBACK;
BEGIN;
UPDATE jv_own SET amount = amount + 1 WHERE id = 2;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
ROLLBACK;
BEGIN;
UPDATE jv_own SET to_balance = 0 WHERE id = 1;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
ROLLBACK;
BEGIN;
UPDATE jv_own SET from_balance = NULL WHERE id = 3;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
ROLLBACK;
-- all entries, or the first or last ones, are gone
BEGIN;
DELETE FROM jv_own WHERE id < 3;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
DELETE FROM jv_own WHERE id > 5;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
DELETE FROM jv_own;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
ROLLBACK;
-- the time runs back, for an account; it may stand still, or not be known
BEGIN;
UPDATE jv_own SET created_at = '2026-01-01 00:00'::timestamptz + id * interval '1 min';
SELECT * FROM verify_journal('jv_own', NULL::jv_acct) WHERE problem <> 'no_entries';
UPDATE jv_own SET created_at = '2026-01-01 00:00' WHERE id = 3;
SELECT id, from_id, to_id, created_at - '2026-01-01 00:00'::timestamptz AS time FROM jv_own ORDER BY id;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct) WHERE problem <> 'no_entries';
UPDATE jv_own SET created_at = '2026-01-01 00:00' WHERE id < 3;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct) WHERE problem <> 'no_entries';
UPDATE jv_own SET created_at = CASE id WHEN 1 THEN 'infinity' WHEN 4 THEN '-infinity'::timestamptz END;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct) WHERE problem <> 'no_entries';
ROLLBACK;
-- the last entry is the wrong one
BEGIN;
UPDATE jv_own SET from_balance = from_balance + 1 WHERE id = 7;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
ROLLBACK;
-- accounts that are missing, in the order of their ids
BEGIN;
DELETE FROM jv_own WHERE id > 3;
INSERT INTO jv_own VALUES (4, 30, 4, 1, 99, 8), (5, 4, 20, 1, 7, 1), (6, 30, 9, 1, 98, 1);
SELECT * FROM verify_journal('jv_own', NULL::jv_acct) WHERE problem = 'account_missing';
ROLLBACK;
-- reversals: more than was moved; of what does not exist
BEGIN;
UPDATE jv_own SET reverses = CASE id WHEN 4 THEN 1 WHEN 5 THEN 4 WHEN 6 THEN 77 WHEN 7 THEN 77 ELSE reverses END;
SELECT id, reverses, amount FROM jv_own WHERE reverses IS NOT NULL ORDER BY id;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
UPDATE jv_own SET amount = 1000 WHERE id = 3;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct) WHERE problem LIKE '%revers%';
ROLLBACK;
-- entries without an amount, of the table's own making
BEGIN;
INSERT INTO jv_own VALUES (8, 1, 2, NULL, 88.5, 53.5, 99), (9, 1, 2, NULL, 88.5, 53.5, 99);
SELECT * FROM verify_journal('jv_own', NULL::jv_acct) WHERE problem LIKE '%revers%';
ROLLBACK;
-- several at once: entries, then accounts, then missing accounts, reversals
BEGIN;
UPDATE jv_own SET amount = 1 WHERE id = 1;
UPDATE jv_own SET to_id = 98, reverses = 55 WHERE id = 2;
UPDATE jv_acct SET balance = 0 WHERE id = 1;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
SELECT problem, count(*) FROM verify_journal('jv_own', NULL::jv_acct) GROUP BY problem ORDER BY problem;
ROLLBACK;

-- all accounts began with the same: then the journal explains every cent
BEGIN;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct, opening => 0);
SELECT * FROM verify_journal('jv_own', NULL::jv_acct, opening => 7.00);
ROLLBACK;
CREATE TABLE jv_zero (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO jv_zero VALUES (0, 0), (1, 0), (2, 0), (3, 0);
CREATE TABLE jv_zero_own (id serial, from_id integer, to_id integer, amount numeric, from_balance numeric, to_balance numeric, reverses integer, created_at timestamptz);
SELECT status FROM transfer_many(NULL::jv_zero, '{0,0,1,2}', '{1,2,2,1}', '{100,50,30,10}', min_balance => '-Infinity', journal => 'jv_zero_own');
SELECT amount FROM reverse_transfer(NULL::jv_zero, 'jv_zero_own', 3, 5);
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero, opening => 0);
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero, opening => 1);
-- the first entry, or the first of one account, is gone or another
BEGIN;
UPDATE jv_zero_own SET amount = 99 WHERE id = 1;
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero);
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero, opening => 0);
DELETE FROM jv_zero_own WHERE id = 1;
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero);
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero, opening => 0);
DELETE FROM jv_zero_own;
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero);
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero, opening => 0);
ROLLBACK;
BEGIN;
UPDATE jv_zero SET balance = NULL WHERE id = 3;
UPDATE jv_zero_own SET from_balance = NULL WHERE id = 1;
INSERT INTO jv_zero VALUES (4, 5);
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero, opening => 0);
ROLLBACK;
-- what a reversal reverses is not what the balances tell
BEGIN;
UPDATE jv_zero_own SET reverses = NULL;
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero, opening => 0);
ROLLBACK;
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero, opening => 'NaN');
\echo :SQLSTATE
SELECT * FROM verify_journal('jv_zero_own', NULL::jv_zero, opening => '-Infinity');
\echo :SQLSTATE
DROP TABLE jv_zero, jv_zero_own;

-- the caller's snapshot: what one statement did is not there for itself
WITH t AS (SELECT amount FROM transfer(NULL::jv_acct, 1, 2, 1, journal => 'jv'))
SELECT amount, (SELECT count(*) FROM verify_journal('jv', NULL::jv_acct)) AS problems FROM t;
SELECT count(*) FROM verify_journal('jv', NULL::jv_acct);
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT count(*) FROM verify_journal('jv', NULL::jv_acct);
COMMIT;

-- the columns that are needed
ALTER TABLE jv_own RENAME COLUMN from_balance TO a;
SELECT balance_at('jv_own', 1, now());
\echo :SQLSTATE
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
\echo :SQLSTATE
ALTER TABLE jv_own RENAME COLUMN a TO from_balance;
ALTER TABLE jv_own RENAME COLUMN to_balance TO a;
SELECT balance_at('jv_own', 1, now());
\echo :SQLSTATE
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
\echo :SQLSTATE
ALTER TABLE jv_own RENAME COLUMN a TO to_balance;
-- in the order of id, whatever the time; without id there is no order
DELETE FROM jv_own;
INSERT INTO jv_own SELECT -id, from_id, to_id, amount, from_balance, to_balance, 5, created_at + id * interval '1 s' FROM jv;
SELECT count(*) > 0 AS wrong FROM verify_journal('jv_own', NULL::jv_acct) WHERE problem = 'balance_gap';
ALTER TABLE jv_own DROP COLUMN id;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
\echo :SQLSTATE
SELECT balance_at('jv_own', 1, 'infinity');
\echo :SQLSTATE
-- without both
ALTER TABLE jv_own RENAME COLUMN created_at TO a;
SELECT balance_at('jv_own', 1, now());
\echo :SQLSTATE
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
\echo :SQLSTATE
-- without created_at
ALTER TABLE jv_own ADD COLUMN id bigint;
UPDATE jv_own SET id = extract(epoch FROM a), reverses = NULL;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
-- the columns change places between two calls
ALTER TABLE jv_own RENAME COLUMN a TO created_at;
SELECT balance_at('jv_own', 1, '-infinity');
ALTER TABLE jv_own RENAME COLUMN from_balance TO a;
ALTER TABLE jv_own RENAME COLUMN to_balance TO from_balance;
ALTER TABLE jv_own RENAME COLUMN a TO to_balance;
SELECT balance_at('jv_own', 1, '-infinity') = (SELECT from_balance + amount FROM jv_own ORDER BY created_at LIMIT 1) AS follows;
ALTER TABLE jv_own ALTER COLUMN from_id TYPE text;
SELECT balance_at('jv_own', 1, '-infinity') IS NOT NULL AS there;
SELECT * FROM verify_journal('jv_own', NULL::jv_acct);
\echo :SQLSTATE
DROP TABLE jv_own;

-- rights
CREATE ROLE regress_racefree_jv;
SET ROLE regress_racefree_jv;
SELECT balance_at('jv', 1, now());
\echo :SQLSTATE
SELECT * FROM verify_journal('jv', NULL::jv_acct);
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT ON jv TO regress_racefree_jv;
SET ROLE regress_racefree_jv;
SELECT balance_at('jv', 1, now());
SELECT * FROM verify_journal('jv', NULL::jv_acct);
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT (id, balance) ON jv_acct TO regress_racefree_jv;
SET ROLE regress_racefree_jv;
SELECT count(*) FROM verify_journal('jv', NULL::jv_acct);
RESET ROLE;
-- row security: what is hidden would be missing, or not be missed
ALTER TABLE jv_acct ENABLE ROW LEVEL SECURITY;
CREATE POLICY s ON jv_acct FOR SELECT USING (id <> 2);
SET ROLE regress_racefree_jv;
SELECT account_id, problem FROM verify_journal('jv', NULL::jv_acct);
\echo :SQLSTATE
SET row_security = off;
SELECT account_id, problem FROM verify_journal('jv', NULL::jv_acct);
\echo :SQLSTATE
RESET row_security;
RESET ROLE;
-- policies are not for the owner, unless he says so, or who bypasses them
SELECT count(*) FROM verify_journal('jv', NULL::jv_acct);
ALTER ROLE regress_racefree_jv BYPASSRLS;
SET ROLE regress_racefree_jv;
SELECT count(*) FROM verify_journal('jv', NULL::jv_acct);
RESET ROLE;
ALTER ROLE regress_racefree_jv NOBYPASSRLS;
ALTER TABLE jv_acct DISABLE ROW LEVEL SECURITY;
ALTER TABLE jv ENABLE ROW LEVEL SECURITY;
SET ROLE regress_racefree_jv;
SELECT balance_at('jv', 1, now());
SELECT count(*) FROM verify_journal('jv', NULL::jv_acct);
\echo :SQLSTATE
RESET ROLE;
ALTER TABLE jv OWNER TO regress_racefree_jv;
SET ROLE regress_racefree_jv;
SELECT count(*) FROM verify_journal('jv', NULL::jv_acct);
ALTER TABLE jv FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM verify_journal('jv', NULL::jv_acct);
\echo :SQLSTATE
RESET ROLE;
ALTER TABLE jv OWNER TO CURRENT_USER;
-- policies of a partition are for those who name the partition
CREATE TABLE jv_parts (LIKE jv) PARTITION BY LIST (from_id);
CREATE TABLE jv_part PARTITION OF jv_parts DEFAULT;
ALTER TABLE jv_part ENABLE ROW LEVEL SECURITY;
INSERT INTO jv_parts SELECT * FROM jv;
GRANT SELECT ON jv_parts, jv_part TO regress_racefree_jv;
SET ROLE regress_racefree_jv;
SELECT count(*) FROM verify_journal('jv_parts', NULL::jv_acct);
SELECT count(*) FROM verify_journal('jv_part', NULL::jv_acct);
\echo :SQLSTATE
RESET ROLE;
DROP TABLE jv_parts;
DROP TABLE jv, jv_acct, jv_times;
DROP OWNED BY regress_racefree_jv;
DROP ROLE regress_racefree_jv;

-- other types of ids and balances; ids that are equal without being the same
CREATE COLLATION jv_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE jv_acct (id text COLLATE jv_ci PRIMARY KEY, "Money" money, smallint smallint);
INSERT INTO jv_acct VALUES ('Ann', 100, 7), ('Bob', 100, 7);
SELECT create_journal('jv', NULL::jv_acct, balance_column => 'Money');
SELECT amount FROM transfer(NULL::jv_acct, 'ann', 'BOB', 1, balance_column => 'Money', journal => 'jv');
SELECT amount FROM transfer(NULL::jv_acct, 'Bob', 'ANN', 2, balance_column => 'Money', journal => 'jv');
SELECT * FROM verify_journal('jv', NULL::jv_acct, balance_column => 'Money');
SELECT * FROM verify_journal('jv', NULL::jv_acct, 'id', 'smallint');
\echo :SQLSTATE
UPDATE jv_acct SET "Money" = 7;
SELECT account_id, entry_id, problem, expected, found FROM verify_journal('jv', NULL::jv_acct, balance_column => 'Money') ORDER BY account_id COLLATE "C";
SELECT balance_at('jv', 'aNN'::text, 'infinity');
DROP TABLE jv, jv_acct;
DROP COLLATION jv_ci;

-- longer than what is read at once: 3,000 entries
CREATE TABLE jv_acct (id bigint PRIMARY KEY, balance bigint);
INSERT INTO jv_acct SELECT i, 1000 FROM generate_series(1, 1500) AS i;
SELECT create_journal('jv', NULL::jv_acct, foreign_keys => false);
SELECT status, count(*) FROM transfer_many(NULL::jv_acct, ARRAY(SELECT 1 + i % 1500 FROM generate_series(1, 3000) AS i), ARRAY(SELECT 1 + (i + 7) % 1500 FROM generate_series(1, 3000) AS i),
  ARRAY(SELECT 1 + i % 9 FROM generate_series(1, 3000) AS i), journal => 'jv') GROUP BY status;
SELECT * FROM verify_journal('jv', NULL::jv_acct);
SELECT count(*) FROM jv_acct WHERE balance_at('jv', id, 'infinity') <> balance;
UPDATE jv_acct SET balance = balance + 1 WHERE id = 1500;
DELETE FROM jv_acct WHERE id IN (100, 1000);
SELECT * FROM verify_journal('jv', NULL::jv_acct);
DROP TABLE jv, jv_acct;

-- Accounts without an id, two with the same id, and money from nobody.
CREATE TABLE jv_mail (id int PRIMARY KEY, email text UNIQUE, balance numeric DEFAULT 0);
INSERT INTO jv_mail VALUES (1, 'a', 0), (2, 'b', 0), (3, NULL, 1000000), (4, NULL, 0);
SELECT create_journal('jv_mails', NULL::jv_mail, id_column => 'email');
SELECT amount FROM transfer(NULL::jv_mail, 'a', 'b', 5, min_balance => '-Infinity', id_column => 'email', journal => 'jv_mails');
SELECT * FROM verify_journal('jv_mails', NULL::jv_mail, id_column => 'email', opening => 0);
SELECT * FROM verify_journal('jv_mails', NULL::jv_mail, id_column => 'email');
DROP TABLE jv_mails, jv_mail;
CREATE TABLE jv_bare (id int, balance int);
CREATE TABLE jv_bares (id int GENERATED ALWAYS AS IDENTITY, from_id int, to_id int, amount int, from_balance int, to_balance int);
INSERT INTO jv_bare VALUES (1, 0), (2, 0);
SELECT amount FROM transfer(NULL::jv_bare, 1, 2, 5, min_balance => '-Infinity', id_column => 'id', journal => 'jv_bares');
INSERT INTO jv_bare VALUES (2, 5);
SELECT * FROM verify_journal('jv_bares', NULL::jv_bare, id_column => 'id', opening => 0);
DELETE FROM jv_bare WHERE ctid = (SELECT max(ctid) FROM jv_bare WHERE id = 2);
INSERT INTO jv_bares (from_id, to_id, amount, to_balance) VALUES (NULL, 2, 100, 105);
UPDATE jv_bare SET balance = 105 WHERE id = 2;
SELECT * FROM verify_journal('jv_bares', NULL::jv_bare, id_column => 'id', opening => 0);
SELECT * FROM verify_journal('jv_bares', NULL::jv_bare, id_column => 'id');
DROP TABLE jv_bares, jv_bare;
