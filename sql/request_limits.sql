-- transfer: max_balance, must_match and up_to, and which error comes first.
\set SHOW_CONTEXT never
CREATE TABLE rl (id integer PRIMARY KEY, balance numeric(12,2), currency text, branch integer, note json);
INSERT INTO rl VALUES (1, 100, 'EUR', 1), (2, 0, 'EUR', 2), (3, 50, 'USD', 1), (4, 50, NULL, 1), (5, 50, NULL, NULL);

-- max_balance: the payee may rise to it, and no further
SELECT (to_account).balance FROM transfer(NULL::rl, 1, 2, 10, max_balance => 10);
SELECT * FROM transfer(NULL::rl, 1, 2, 0.01, max_balance => 10);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 1, 2, 0.01, max_balance => 10.005);
\echo :SQLSTATE
SELECT (to_account).balance FROM transfer(NULL::rl, 1, 2, 0.01, max_balance => 10.015);
-- the payer has none: he may come down from above
SELECT (from_account).balance FROM transfer(NULL::rl, 1, 2, 0.99, max_balance => 11);
-- NULL and Infinity are none; nothing is low enough for -Infinity; NaN
SELECT (to_account).balance FROM transfer(NULL::rl, 1, 2, 1, max_balance => NULL);
SELECT (to_account).balance FROM transfer(NULL::rl, 1, 2, 1, max_balance => 'Infinity');
SELECT (to_account).balance FROM transfer(NULL::rl, 1, 2, 1, max_balance => 1e30);
SELECT * FROM transfer(NULL::rl, 1, 2, 1, max_balance => '-Infinity');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 1, 2, 1, max_balance => -1e30);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 1, 2, 1, max_balance => 'NaN');
\echo :SQLSTATE
-- a debt may not be paid off beyond it
UPDATE rl SET balance = -20 WHERE id = 2;
SELECT * FROM transfer(NULL::rl, 1, 2, 20.01, max_balance => 0);
\echo :SQLSTATE
SELECT (to_account).balance FROM transfer(NULL::rl, 1, 2, 20, max_balance => 0);
-- an amount that is larger than any balance
SELECT * FROM transfer(NULL::rl, 1, 2, 9999999999.99, '-Infinity', max_balance => 0);
\echo :SQLSTATE
SELECT id, balance FROM rl ORDER BY id;

-- must_match: NULL is equal to NULL, and to nothing else
SELECT (to_account).balance FROM transfer(NULL::rl, 1, 2, 1, must_match => '{currency}');
SELECT * FROM transfer(NULL::rl, 1, 3, 1, must_match => '{currency}');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 1, 4, 1, must_match => '{currency}');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 4, 1, 1, must_match => '{currency}');
\echo :SQLSTATE
SELECT (to_account).balance FROM transfer(NULL::rl, 4, 5, 1, must_match => '{currency}');
-- several columns; the first that differs is named
SELECT * FROM transfer(NULL::rl, 1, 2, 1, must_match => '{currency,branch}');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 2, 3, 1, must_match => '{branch,currency}');
\echo :SQLSTATE
SELECT (to_account).balance FROM transfer(NULL::rl, 1, 3, 1, must_match => '{branch,branch}');
SELECT (to_account).balance FROM transfer(NULL::rl, 3, 1, 1, must_match => '{}');
SELECT (to_account).balance FROM transfer(NULL::rl, 3, 1, 1, must_match => NULL);
-- the id never matches
SELECT * FROM transfer(NULL::rl, 3, 4, 1, must_match => '{id}');
\echo :SQLSTATE
-- no such column, a system column, a type without equality, a NULL
SELECT * FROM transfer(NULL::rl, 1, 2, 1, must_match => '{nope}');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 1, 2, 1, must_match => '{currency,xmin}');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 1, 2, 1, must_match => '{Currency}');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 1, 2, 1, must_match => '{note}');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rl, 1, 2, 1, must_match => '{currency,NULL}');
\echo :SQLSTATE
-- equality is that of the column's type, under its collation
CREATE COLLATION rl_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE rl_types (id integer PRIMARY KEY, balance integer, ci text COLLATE rl_ci, n numeric, f float8, c char(4), a text[], b bytea);
INSERT INTO rl_types VALUES (1, 9, 'eur', 1.0, '-0', 'x', '{a,b}', '\x00'), (2, 9, 'EUR', 1.00, '0', 'x   ', '{a,b}', '\x00');
SELECT (to_account).balance FROM transfer(NULL::rl_types, 1, 2, 1, must_match => '{ci,n,f,c,a,b}');
-- values of any length, also where rows are locked first
CREATE TABLE rl_long (id integer PRIMARY KEY, balance integer, t text);
INSERT INTO rl_long SELECT i, 9, string_agg(md5(n::text), '') FROM generate_series(1, 2) AS i, generate_series(1, 400) AS n GROUP BY i;
INSERT INTO rl_long SELECT 3, 9, t || '!' FROM rl_long WHERE id = 1;
SELECT (to_account).balance FROM transfer(NULL::rl_long, 1, 2, 1, must_match => '{t}');
SELECT (to_account).balance FROM transfer(NULL::rl_long, 1, 2, 1, must_match => '{t}', up_to => true);
SELECT * FROM transfer(NULL::rl_long, 2, 3, 1, must_match => '{t}', up_to => true);
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::rl_long, '{1,2,3}', '{2,3,1}', '{1,1,1}', must_match => '{t}', on_error => 'report') ORDER BY ordinality;
DROP TABLE rl_types, rl_long;
DROP COLLATION rl_ci;

-- up_to: what the payer has above min_balance, if that is less
UPDATE rl SET balance = 10.50, currency = 'EUR';
SELECT amount, (from_account).balance, (to_account).balance FROM transfer(NULL::rl, 1, 2, 4, up_to => true);
SELECT amount, (from_account).balance, (to_account).balance FROM transfer(NULL::rl, 1, 2, 6.50, up_to => true);
SELECT amount FROM transfer(NULL::rl, 1, 2, 6.50, up_to => true);
\echo :SQLSTATE
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 2, 1, 1000, up_to => true);
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 1000, 10, up_to => true);
-- a floor between two numbers that the column can hold
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 1000, 9.985, up_to => true);
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 1000, 9.981, up_to => true);
\echo :SQLSTATE
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 1000, 9.979, up_to => true);
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 20, -0.005, up_to => true);
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 20, -0.015, up_to => true);
-- no floor: all of it, whatever it is
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 20, '-Infinity', up_to => true);
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 20, '-Infinity', up_to => true);
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 20, -1e20, up_to => true);
SELECT amount FROM transfer(NULL::rl, 1, 2, 20, up_to => true);
\echo :SQLSTATE
SELECT amount, (from_account).balance FROM transfer(NULL::rl, 1, 2, 1e9, -1000, up_to => true);
-- a floor that no balance can meet
SELECT amount FROM transfer(NULL::rl, 2, 1, 20, 'Infinity', up_to => true);
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::rl, 2, 1, 20, 1e20, up_to => true);
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::rl, 2, 1, 20, 9999999999.99, up_to => true);
\echo :SQLSTATE
-- NULL is neither
SELECT amount FROM transfer(NULL::rl, 3, 4, 1000, up_to => NULL);
\echo :SQLSTATE
-- an amount is still an amount
SELECT amount FROM transfer(NULL::rl, 3, 4, 0, up_to => true);
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::rl, 3, 4, 'Infinity', up_to => true);
\echo :SQLSTATE
-- that the column need not hold, if less than it is moved
SELECT amount FROM transfer(NULL::rl, 3, 4, 1.001, up_to => true);
\echo :SQLSTATE
BEGIN;
SELECT amount FROM transfer(NULL::rl, 3, 4, 1000.001, up_to => true);
ROLLBACK;
-- the other limits hold for what is moved
SELECT amount FROM transfer(NULL::rl, 3, 4, 1000, max_balance => 20.99, up_to => true);
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::rl, 3, 4, 1000, max_balance => 21, up_to => true);
SELECT sum(balance) FROM rl;
-- other types of balances
CREATE TABLE rl_types (id integer PRIMARY KEY, i2 smallint DEFAULT 7, i8 bigint DEFAULT 7, n numeric DEFAULT 7.125, n2 numeric(10,-2) DEFAULT 700, m money DEFAULT 7.25);
INSERT INTO rl_types (id) VALUES (1), (2);
SELECT amount, (from_account).i2 FROM transfer(NULL::rl_types, 1, 2, 100, 2.5, balance_column => 'i2', up_to => true);
SELECT amount, (from_account).i2 FROM transfer(NULL::rl_types, 1, 2, 100, -2.5, balance_column => 'i2', up_to => true);
SELECT amount, (from_account).i8 FROM transfer(NULL::rl_types, 1, 2, 1e18, 0.01, balance_column => 'i8', up_to => true);
SELECT amount, (from_account).n FROM transfer(NULL::rl_types, 1, 2, 100, 0.0625, balance_column => 'n', up_to => true);
SELECT amount, (from_account).n2 FROM transfer(NULL::rl_types, 1, 2, 10000, 150, balance_column => 'n2', up_to => true);
SELECT amount, (from_account).m FROM transfer(NULL::rl_types, 1, 2, 100, 0.001, balance_column => 'm', up_to => true);
-- between the ends of the range lies more than the column holds as an amount
CREATE TABLE rl_ends (id integer PRIMARY KEY, i2 smallint, n numeric(3,-2));
INSERT INTO rl_ends VALUES (1, 32767, 99900), (2, -32768, -99900);
SELECT amount, (from_account).i2, (to_account).i2 FROM transfer(NULL::rl_ends, 1, 2, 1e6, -1e6, balance_column => 'i2', up_to => true);
SELECT amount, (from_account).i2, (to_account).i2 FROM transfer(NULL::rl_ends, 2, 1, 1e6, -1e6, balance_column => 'i2', up_to => true);
UPDATE rl_ends SET i2 = CASE id WHEN 1 THEN -100 ELSE 32767 END;
SELECT amount, (from_account).i2, (to_account).i2 FROM transfer(NULL::rl_ends, 2, 1, 40000, -40000, balance_column => 'i2', up_to => true);
SELECT ordinality, status, amount FROM transfer_many(NULL::rl_ends, '{1,1,1}', '{2,2,2}', '{1e9,1e9,1e9}', min_balance => -1e6, balance_column => 'n', up_to => true, on_error => 'report');
SELECT * FROM rl_ends ORDER BY id;
DROP TABLE rl_ends;
SELECT * FROM rl_types ORDER BY id;
DROP TABLE rl_types;

-- which error comes first: each before all that follow it
CREATE FUNCTION rl_state(from_id integer, to_id integer, amount numeric, min_balance numeric DEFAULT 0,
                         max_balance numeric DEFAULT NULL, must_match name[] DEFAULT NULL, request_id text DEFAULT NULL,
                         up_to boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM transfer(NULL::rl, from_id, to_id, amount, min_balance, journal => 'rl_journal', request_id => request_id,
                   max_balance => max_balance, must_match => must_match, up_to => up_to);
  RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE TABLE rl_journal (request_id text, from_id integer, to_id integer, amount numeric);
DELETE FROM rl;
-- 1 is rich, 2 is poor, 3 and 4 have no balance, 5 is full; 8 and 9 do not exist
INSERT INTO rl VALUES (1, 9999999900, 'EUR', 1), (2, 5, 'USD', 2), (3, NULL, 'EUR', 3), (4, 'NaN', 'EUR', 3), (5, 9999999999.99, 'EUR', 1);
INSERT INTO rl_journal VALUES ('r', 1, 2, 1);
SELECT rl_state(NULL, NULL, NULL, 'NaN', request_id => 'r');
SELECT rl_state(NULL, NULL, NULL, max_balance => 'NaN', request_id => 'r');
SELECT rl_state(NULL, NULL, NULL, must_match => '{nope}', request_id => 'r');
SELECT rl_state(NULL, NULL, NULL, request_id => 'r');
SELECT rl_state(8, 8, -1.001, request_id => 'r');
SELECT rl_state(NULL, 8, -1.001);
SELECT rl_state(8, NULL, -1.001);
SELECT rl_state(8, 8, NULL);
SELECT rl_state(8, 8, -1.001);
SELECT rl_state(8, 8, 1.001);
SELECT rl_state(8, 3, 1.001, 1e12, must_match => '{currency}');
SELECT rl_state(3, 4, 1.001, 1e12);
SELECT rl_state(8, 3, 1, 1e12, must_match => '{currency}');
SELECT rl_state(3, 9, 1, 1e12, must_match => '{currency}');
SELECT rl_state(2, 8, 10, max_balance => 0);
SELECT rl_state(3, 2, 1, 1e12, must_match => '{currency}');
SELECT rl_state(2, 4, 10, must_match => '{currency}');
SELECT rl_state(2, 5, 10, max_balance => 0, must_match => '{branch}');
SELECT rl_state(1, 2, 1, max_balance => 0, must_match => '{currency}');
SELECT rl_state(3, 4, 1, 1e12, -1e12);
SELECT rl_state(4, 3, 1, 1e12, -1e12);
SELECT rl_state(2, 3, 10, max_balance => 0);
SELECT rl_state(2, 4, 10, max_balance => 0);
SELECT rl_state(4, 5, 10, max_balance => 0);
SELECT rl_state(2, 5, 10, max_balance => 0);
SELECT rl_state(2, 5, 10);
SELECT rl_state(2, 5, 10, 5, max_balance => 0, up_to => true);
SELECT rl_state(1, 5, 10, max_balance => 0);
SELECT rl_state(1, 5, 10, max_balance => 9999999999.99);
SELECT rl_state(1, 5, 10);
SELECT rl_state(2, 1, 9999999999.99, '-Infinity', 0);
-- and the other way round, as ids are locked
SELECT rl_state(5, 2, 9999999999.99, 1, max_balance => 0);
SELECT rl_state(5, 3, 1, 9999999999.99);
-- nothing was moved or booked
SELECT id, balance FROM rl ORDER BY id;
SELECT count(*) FROM rl_journal;
-- 22003 of the payer and of the payee
UPDATE rl SET balance = CASE id WHEN 1 THEN -9999999999.99 ELSE 9999999999.99 END WHERE id IN (1, 5);
SELECT rl_state(1, 5, 10, '-Infinity');
SELECT rl_state(1, 2, 10, '-Infinity');
SELECT rl_state(1, 2, 10, -1e11);
DROP TABLE rl, rl_journal;
DROP FUNCTION rl_state;
