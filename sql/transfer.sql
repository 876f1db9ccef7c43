-- transfer: money moves, both balances or neither, to the last digit.
\set SHOW_CONTEXT never
CREATE TABLE acct (id integer PRIMARY KEY, owner text, balance numeric(12,2) NOT NULL);
INSERT INTO acct VALUES (1, 'a', 1000.00), (2, 'b', 50.00), (3, 'c', 0);

-- the example of the manual; both rows come back as they now are
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::acct, 1, 2, 100.00);
SELECT * FROM transfer(NULL::acct, 1, 2, 0.01);
-- in the other direction, too: from is from, whatever the order of locking
SELECT * FROM transfer(NULL::acct, 2, 1, 0.01);
SELECT transfer(NULL::acct, 3, 1, 0.5, -1);
SELECT id, balance FROM acct ORDER BY id;
SELECT sum(balance) FROM acct;
-- no other row and no other column is touched
SELECT id, owner FROM acct ORDER BY id;

-- named arguments, an id column and a balance column of other names
CREATE TABLE acct_named ("Account No" text, "Bal ance" bigint, balance bigint DEFAULT 7);
INSERT INTO acct_named VALUES ('x', 10, 7), ('y', 10, 7);
SELECT * FROM transfer(NULL::acct_named, 'x', 'y', 4, id_column => 'Account No', balance_column => 'Bal ance');
SELECT * FROM transfer(accounts => NULL::acct_named, from_id => 'y', to_id => 'x', amount => 1,
                       min_balance => '-Infinity', id_column => 'Account No', balance_column => 'balance');
SELECT * FROM acct_named ORDER BY "Account No";
DROP TABLE acct_named;

-- the payer may go down to min_balance, and no further: RF001
SELECT (from_account).balance FROM transfer(NULL::acct, 2, 1, 150.00);
SELECT * FROM transfer(NULL::acct, 2, 1, 0.01);
\echo :SQLSTATE
SELECT (from_account).balance FROM transfer(NULL::acct, 2, 1, 0.01, -0.01);
SELECT * FROM transfer(NULL::acct, 2, 1, 0.01, -0.01);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 100, 950.52);
\echo :SQLSTATE
SELECT (from_account).balance FROM transfer(NULL::acct, 1, 2, 100, 950.51);
-- a floor with more digits than the column is a floor all the same
SELECT * FROM transfer(NULL::acct, 1, 2, 50, 900.515);
\echo :SQLSTATE
SELECT (from_account).balance FROM transfer(NULL::acct, 1, 2, 50, 900.505);
-- NULL and -Infinity: no floor; Infinity: nothing is enough; NaN: nonsense
SELECT (from_account).balance FROM transfer(NULL::acct, 3, 1, 500, '-Infinity');
SELECT (from_account).balance FROM transfer(NULL::acct, 3, 1, 500, '-Infinity');
SELECT * FROM transfer(NULL::acct, 1, 3, 1, 'Infinity');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 3, 1, 'NaN');
\echo :SQLSTATE
-- the payee has no floor: an overdrawn account can be paid
SELECT (to_account).balance FROM transfer(NULL::acct, 1, 3, 0.50, 1900);
SELECT id, balance FROM acct ORDER BY id;
SELECT sum(balance) FROM acct;

-- account not found: RF002, from before to, and nothing is changed
SELECT * FROM transfer(NULL::acct, 99, 1, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 99, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, -1, 1, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, -1, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 98, 99, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 99, 98, 1);
\echo :SQLSTATE
SELECT id, balance FROM acct ORDER BY id;

-- errors leave the transaction as any error does: a savepoint saves it
BEGIN;
SELECT (from_account).balance FROM transfer(NULL::acct, 1, 2, 1);
SAVEPOINT s;
SELECT * FROM transfer(NULL::acct, 2, 1, 1000000);
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM transfer(NULL::acct, 2, 99, 1);
\echo :SQLSTATE
ROLLBACK TO s;
SELECT (from_account).balance FROM transfer(NULL::acct, 1, 2, 1);
COMMIT;
SELECT id, balance FROM acct ORDER BY id;

-- and a rollback takes a transfer back
BEGIN;
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::acct, 1, 2, 100);
ROLLBACK;
SELECT id, balance FROM acct ORDER BY id;

-- a read-only transaction refuses
BEGIN READ ONLY;
SELECT * FROM transfer(NULL::acct, 1, 2, 1);
\echo :SQLSTATE
ROLLBACK;

-- several transfers in one query, one after the other
SELECT i, (t.from_account).balance, (t.to_account).balance
  FROM generate_series(1, 3) i, LATERAL transfer(NULL::acct, 1, 2, i) t ORDER BY i;
-- to and fro in one transaction
DO $$
BEGIN
  FOR i IN 1..200 LOOP
    PERFORM transfer(NULL::acct, 1 + i % 2, 2 - i % 2, 1.01, '-Infinity');
  END LOOP;
END $$;
SELECT id, balance FROM acct ORDER BY id;
SELECT sum(balance) FROM acct;
DROP TABLE acct;

-- no table at all: 42809, with a hint
SELECT * FROM transfer(NULL::integer, 1, 2, 1);
\echo :SQLSTATE
-- balances in a column that does not exist, was dropped, is the system's: 42703
CREATE TABLE acct (id integer PRIMARY KEY, gone integer, balance integer);
ALTER TABLE acct DROP COLUMN gone;
INSERT INTO acct VALUES (1, 10), (2, 10);
SELECT * FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'nope');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'gone');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'xmin');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'Balance');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 1, id_column => 'nope');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 1, id_column => 'gone');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 1, id_column => 'ctid');
\echo :SQLSTATE
-- a dropped column before the balance does no harm
SELECT * FROM transfer(NULL::acct, 1, 2, 1);
DROP TABLE acct;
