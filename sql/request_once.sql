-- transfer with a request_id: it happens once, however often it is asked for.
\set SHOW_CONTEXT never
CREATE TABLE ro_acct (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO ro_acct VALUES (1, 100), (2, 0), (3, 50);
SELECT create_journal('ro', NULL::ro_acct, foreign_keys => false, request_id_type => 'text');

-- the first moves, the others tell what was moved
SELECT from_account, to_account, amount, replayed, entry - 'created_at' AS entry FROM transfer(NULL::ro_acct, 1, 2, 10, journal => 'ro', request_id => 'r1', details => '{"for": "tea"}');
SELECT from_account, to_account, amount, replayed, entry - 'created_at' AS entry FROM transfer(NULL::ro_acct, 1, 2, 10, journal => 'ro', request_id => 'r1', details => '{"for": "cake"}');
-- it is the same number, whatever its digits
SELECT amount, replayed FROM transfer(NULL::ro_acct, 1, 2, 10.000, journal => 'ro', request_id => 'r1');
-- ids as text
SELECT amount, replayed FROM transfer(NULL::ro_acct, '1', ' 2 ', 10, journal => 'ro', request_id => 'r1');
-- the entry as it was booked, the accounts as they now are
SELECT amount FROM transfer(NULL::ro_acct, 2, 3, 10, journal => 'ro', request_id => 'r2');
SELECT from_account, to_account, amount, replayed, entry -> 'to_balance' AS to_balance FROM transfer(NULL::ro_acct, 1, 2, 10, journal => 'ro', request_id => 'r1');
-- limits of the later call do not matter: nothing is moved
SELECT amount, replayed FROM transfer(NULL::ro_acct, 1, 2, 10, 1000000, max_balance => 0, must_match => '{balance}', journal => 'ro', request_id => 'r1');
-- but arguments that make no sense do
SELECT amount, replayed FROM transfer(NULL::ro_acct, 1, 2, 10, 'NaN', journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
-- accounts without a balance, and without one of them, and without both
UPDATE ro_acct SET balance = NULL WHERE id = 1;
SELECT from_account, to_account, amount, replayed FROM transfer(NULL::ro_acct, 1, 2, 10, journal => 'ro', request_id => 'r1');
DELETE FROM ro_acct WHERE id = 1;
SELECT from_account, to_account, amount, replayed FROM transfer(NULL::ro_acct, 1, 2, 10, journal => 'ro', request_id => 'r1');
DELETE FROM ro_acct WHERE id = 2;
SELECT from_account IS NULL AS no_from, to_account IS NULL AS no_to, amount, replayed FROM transfer(NULL::ro_acct, 1, 2, 10, journal => 'ro', request_id => 'r1');
-- a new request for them is another thing
SELECT * FROM transfer(NULL::ro_acct, 1, 2, 10, journal => 'ro', request_id => 'r3');
\echo :SQLSTATE
-- which is free again
INSERT INTO ro_acct VALUES (1, 100), (2, 0);
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 10, journal => 'ro', request_id => 'r3');

-- RF003: what differs is named
SELECT * FROM transfer(NULL::ro_acct, 3, 2, 10, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 3, 10, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 2, 10.01, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 2, 1, 9, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
-- before all that is wrong with the ids and the amount
SELECT * FROM transfer(NULL::ro_acct, NULL, 2, 10, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, NULL::integer, NULL, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 2, NULL, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 1, 10, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 2, -10, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 2, 'NaN', journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 8, 9, 10, journal => 'ro', request_id => 'r1');
\echo :SQLSTATE
-- a request that was not booked is judged as ever, and stays free
SELECT * FROM transfer(NULL::ro_acct, NULL, 2, 10, journal => 'ro', request_id => 'r4');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 2, NULL, journal => 'ro', request_id => 'r4');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 1, 10, journal => 'ro', request_id => 'r4');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 2, 1000, journal => 'ro', request_id => 'r4');
\echo :SQLSTATE
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro', request_id => 'r4');

-- up_to: an amount not over this one was booked just so
SELECT amount, replayed FROM transfer(NULL::ro_acct, 3, 2, 1000, journal => 'ro', request_id => 'u1', up_to => true);
SELECT amount, replayed FROM transfer(NULL::ro_acct, 3, 2, 1000, journal => 'ro', request_id => 'u1', up_to => true);
SELECT amount, replayed FROM transfer(NULL::ro_acct, 3, 2, 60, journal => 'ro', request_id => 'u1', up_to => true);
SELECT amount, replayed FROM transfer(NULL::ro_acct, 3, 2, 60, journal => 'ro', request_id => 'u1');
SELECT * FROM transfer(NULL::ro_acct, 3, 2, 59.99, journal => 'ro', request_id => 'u1', up_to => true);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 3, 2, 1000, journal => 'ro', request_id => 'u1');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 3, 2, NULL, journal => 'ro', request_id => 'u1', up_to => true);
\echo :SQLSTATE

-- in one transaction; a savepoint that is rolled back frees the id
BEGIN;
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 2, journal => 'ro', request_id => 't1');
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 2, journal => 'ro', request_id => 't1');
SAVEPOINT s;
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 3, journal => 'ro', request_id => 't2');
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 3, journal => 'ro', request_id => 't2');
ROLLBACK TO s;
SELECT replayed, amount FROM transfer(NULL::ro_acct, 1, 2, 4, journal => 'ro', request_id => 't2');
COMMIT;
-- and a transaction that is rolled back
BEGIN;
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 5, journal => 'ro', request_id => 't3');
ROLLBACK;
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 6, journal => 'ro', request_id => 't3');
-- within one statement
SELECT array_agg(t.replayed ORDER BY i) AS replayed FROM generate_series(1, 3) AS i, LATERAL transfer(NULL::ro_acct, 1, 2, i - i + 1, journal => 'ro', request_id => 't4') AS t;
-- in a function that catches errors
DO $$
BEGIN
  BEGIN
    PERFORM transfer(NULL::ro_acct, 1, 2, 7, journal => 'ro', request_id => 't5');
    RAISE EXCEPTION 'changed my mind';
  EXCEPTION WHEN raise_exception THEN NULL;
  END;
  PERFORM transfer(NULL::ro_acct, 1, 2, 8, journal => 'ro', request_id => 't5');
END $$;
SELECT request_id, amount FROM ro WHERE request_id LIKE 't%' ORDER BY id;

-- the other levels: what this transaction sees or did is a replay
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 10, journal => 'ro', request_id => 'r3');
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro', request_id => 'i1');
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro', request_id => 'i1');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro', request_id => 'i1');
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro', request_id => 'i2');
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro', request_id => 'i2');
COMMIT;
-- read-only: a replay reads only
BEGIN READ ONLY;
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro', request_id => 'i2');
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro', request_id => 'i3');
\echo :SQLSTATE
ROLLBACK;

-- another journal has requests of its own
SELECT create_journal('ro_other', NULL::ro_acct, request_id_type => 'text');
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro_other', request_id => 'i2');
-- a request that an entry without racefree's help has
INSERT INTO ro_other (request_id, from_id, to_id, amount, from_balance, to_balance) VALUES ('by hand', 1, 2, 5, 0, 0);
SELECT replayed, amount FROM transfer(NULL::ro_acct, 1, 2, 5, journal => 'ro_other', request_id => 'by hand');
-- no request_id, no replay; the empty string is no id
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro_other');
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro_other', request_id => NULL);
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro_other', request_id => '');
\echo :SQLSTATE
SELECT replayed FROM transfer(NULL::ro_acct, 1, 2, 1, journal => 'ro_other');
-- request_id and details need a journal
SELECT * FROM transfer(NULL::ro_acct, 1, 2, 1, request_id => 'x');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, 1, 2, 1, details => '{}');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ro_acct, NULL::integer, NULL, NULL, request_id => 'x');
\echo :SQLSTATE
-- after what is wrong with the tables
SELECT * FROM transfer(NULL::ro_acct, 1, 2, 1, request_id => 'x', balance_column => 'nothing');
\echo :SQLSTATE
SELECT entry IS NULL AS none, replayed FROM transfer(NULL::ro_acct, 1, 2, 1);

-- no more and no less than was asked for
SELECT id, balance FROM ro_acct ORDER BY id;
SELECT account_id, entry_id, problem FROM verify_journal('ro_other', NULL::ro_acct) WHERE problem <> 'balance_gap' ORDER BY account_id;
DROP TABLE ro, ro_other, ro_acct;
