-- transfer: which error wins where several apply.  The order: NULL argument
-- 22004; amount, same account, inexact 22023; account not found RF002, from
-- before to; balance NULL 22004; min_balance RF001; overflow 22003.
\set SHOW_CONTEXT never
-- 1 is rich, 2 is poor, 3 and 4 have no balance, 5 is full; 8 and 9 do not exist
CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(5,2));
INSERT INTO acct VALUES (1, 900), (2, 5), (3, NULL), (4, NULL), (5, 999.99);

-- NULL arguments
SELECT * FROM transfer(NULL::acct, NULL, 2, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, NULL, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, NULL);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 1, balance_column => NULL);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, NULL::integer, NULL, NULL);
\echo :SQLSTATE
-- before an amount that is not positive, an account that does not exist
SELECT * FROM transfer(NULL::acct, NULL, 8, -1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 8, NULL, 0);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 8, 8, NULL);
\echo :SQLSTATE
-- min_balance and id_column may be NULL
SELECT * FROM transfer(NULL::acct, 1, 2, 1, NULL, NULL);

-- amounts: not positive, not finite
SELECT * FROM transfer(NULL::acct, 1, 2, 0);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, -0.01);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 'NaN');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 'Infinity');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, '-Infinity');
\echo :SQLSTATE
-- same account, also where it does not exist
SELECT * FROM transfer(NULL::acct, 1, 1, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 8, 8, 1);
\echo :SQLSTATE
-- inexact
SELECT * FROM transfer(NULL::acct, 1, 2, 0.005);
\echo :SQLSTATE
-- among themselves: the amount's sign, then the same account, then exactness
SELECT * FROM transfer(NULL::acct, 1, 1, -0.005);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 1, 0.005);
\echo :SQLSTATE
-- before accounts that do not exist, have no balance or too little
SELECT * FROM transfer(NULL::acct, 8, 9, 0);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 8, 9, 0.005);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 3, 4, 0.005);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 2, 1, 10.005);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 8, 9, 1, 'NaN');
\echo :SQLSTATE

-- account not found: from before to, whichever is locked first
SELECT * FROM transfer(NULL::acct, 8, 9, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 9, 8, 1);
\echo :SQLSTATE
-- before a NULL balance and before insufficient funds, in both directions
SELECT * FROM transfer(NULL::acct, 8, 3, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 3, 8, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 2, 8, 100);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 2, -8, 100);
\echo :SQLSTATE
-- before the payee's overflow
SELECT * FROM transfer(NULL::acct, 8, 5, 100);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, -8, 5, 100);
\echo :SQLSTATE

-- balance NULL, of the payer first
SELECT * FROM transfer(NULL::acct, 3, 4, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 4, 3, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 3, 1, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 3, 1);
\echo :SQLSTATE
-- no floor does not help
SELECT * FROM transfer(NULL::acct, 3, 1, 1, '-Infinity');
\echo :SQLSTATE
-- the payee's NULL before the payer's lack of funds
SELECT * FROM transfer(NULL::acct, 2, 3, 100);
\echo :SQLSTATE
-- the payer's NULL before the payee's overflow
SELECT * FROM transfer(NULL::acct, 3, 5, 100);
\echo :SQLSTATE

-- insufficient funds before overflow, the payer being locked first or last
SELECT * FROM transfer(NULL::acct, 2, 5, 100);
\echo :SQLSTATE
INSERT INTO acct VALUES (7, 5);
SELECT * FROM transfer(NULL::acct, 7, 5, 100);
\echo :SQLSTATE
-- then overflow
SELECT * FROM transfer(NULL::acct, 1, 5, 100);
\echo :SQLSTATE
-- of the payer who has no floor
SELECT * FROM transfer(NULL::acct, 2, 1, 999.99, '-Infinity');
\echo :SQLSTATE
UPDATE acct SET balance = -900 WHERE id = 2;
SELECT * FROM transfer(NULL::acct, 2, 7, 500, '-Infinity');
\echo :SQLSTATE

-- none of all these moved anything, but the one that should
SELECT id, balance FROM acct ORDER BY id;

-- CHECK constraints rule, whatever min_balance says
ALTER TABLE acct ADD CONSTRAINT acct_floor CHECK (balance >= -950), ADD CONSTRAINT acct_ceiling CHECK (balance <> 777);
SELECT * FROM transfer(NULL::acct, 2, 7, 50, '-Infinity');
SELECT * FROM transfer(NULL::acct, 2, 7, 0.01, '-Infinity');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 7, 122, -1000);
\echo :SQLSTATE
SELECT id, balance FROM acct ORDER BY id;

-- a message that names an account shows its id as the column has it
CREATE TABLE acct_text (id char(5) PRIMARY KEY, balance integer);
INSERT INTO acct_text VALUES ('a', NULL);
SELECT * FROM transfer(NULL::acct_text, 'a', 'it''s "b"', 1);
\echo :SQLSTATE
DROP TABLE acct_text, acct;
