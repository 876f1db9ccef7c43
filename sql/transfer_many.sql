-- transfer_many: in order, each on what those before it left; chains as if
-- they had not been there; requests once.
\set SHOW_CONTEXT never
CREATE TABLE tm (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO tm SELECT i, 100 FROM generate_series(1, 5) AS i;
SELECT create_journal('tm_j', NULL::tm, request_id_type => 'text');

-- a row for each transfer, with the balances right after it
SELECT * FROM transfer_many(NULL::tm, ARRAY[1, 2, 1], ARRAY[2, 3, 3], ARRAY[10, 20.5, 0.01]);
SELECT * FROM transfer_many(NULL::tm, ARRAY[3, 3], ARRAY[2, 1], ARRAY[20.5, 10.01], journal => 'tm_j');
SELECT id, balance FROM tm ORDER BY id;
SELECT id, request_id, from_id, to_id, amount, from_balance, to_balance FROM tm_j ORDER BY id;
SELECT bool_and(after) FROM (SELECT created_at >= lag(created_at) OVER (ORDER BY id) AS after FROM tm_j) t;
-- in a select list, in a WHERE, joined
SELECT (t).ordinality, (t).status FROM (SELECT transfer_many(NULL::tm, '{1}', '{2}', '{10}') AS t) AS s;
SELECT balance FROM tm WHERE id = 2;
-- nothing
SELECT * FROM transfer_many(NULL::tm, '{}', '{}', '{}');
SELECT * FROM transfer_many(NULL::tm, '{}'::integer[], '{}'::integer[], '{}', '{}', '{}', journal => 'tm_j', details => '[]');
-- one
SELECT * FROM transfer_many(NULL::tm, '{2}', '{1}', '{10}');

-- money that arrives earlier in the batch can be spent
UPDATE tm SET balance = CASE id WHEN 1 THEN 100 ELSE 0 END;
SELECT * FROM transfer_many(NULL::tm, '{1,2,3,4}', '{2,3,4,5}', '{100,100,100,100}');
-- and not earlier
SELECT * FROM transfer_many(NULL::tm, '{4,3,2,5}', '{3,2,1,4}', '{1,1,1,1}', on_error => 'report');
-- what goes below the floor in between is a failure, though it came back later
SELECT * FROM transfer_many(NULL::tm, '{4,5}', '{3,4}', '{2,2}', on_error => 'report');
SELECT id, balance FROM tm ORDER BY id;
-- the ceiling holds after each one
UPDATE tm SET balance = 10;
SELECT * FROM transfer_many(NULL::tm, '{1,3,3}', '{3,2,2}', '{5,5,1}', max_balance => 14.99, on_error => 'report');
SELECT * FROM transfer_many(NULL::tm, '{3,1,3,1}', '{2,3,2,3}', '{4,5,4,5}', max_balance => 15, on_error => 'report');
-- up_to, one after the other
UPDATE tm SET balance = 10;
SELECT * FROM transfer_many(NULL::tm, '{1,1,2,1}', '{2,2,1,2}', '{8,8,3,8}', up_to => true, on_error => 'report');
SELECT * FROM transfer_many(NULL::tm, '{2,2,2}', '{3,3,3}', '{8,8,8}', min_balance => 5.005, up_to => true, on_error => 'report');
SELECT id, balance FROM tm ORDER BY id;

-- every status
UPDATE tm SET balance = 10;
INSERT INTO tm VALUES (6, NULL), (7, 'NaN'), (8, 9999999999.99);
ALTER TABLE tm ADD COLUMN currency text;
UPDATE tm SET currency = 'USD' WHERE id = 5;
SELECT amount FROM transfer(NULL::tm, 1, 2, 1, journal => 'tm_j', request_id => 'old');
SELECT t.* FROM transfer_many(NULL::tm,
  ARRAY[1,     1,     1,     1,    1,    NULL, 1,    99, 1,  1, 6, 1, 7, 1, 1,   1, 1, 1],
  ARRAY[2,     2,     2,     2,    2,    2,    NULL, 1,  99, 1, 1, 6, 1, 7, 2,   8, 5, 2],
  ARRAY[1,     2,     NULL,  0,    0.001,1,    1,    1,  1,  1, 1, 1, 1, 1, 100, 1, 1, 'NaN'],
  ARRAY['old', 'old', NULL,  NULL, NULL, NULL, NULL, 'x', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL],
  on_error => 'report', journal => 'tm_j', must_match => '{currency}') AS t ORDER BY ordinality;
SELECT status FROM transfer_many(NULL::tm, '{1}', '{8}', '{1}', max_balance => 100, on_error => 'report');
SELECT id, balance FROM tm ORDER BY id;
DELETE FROM tm WHERE id > 5;
ALTER TABLE tm DROP COLUMN currency;

-- requests: once before, once within
UPDATE tm SET balance = 100;
SELECT * FROM transfer_many(NULL::tm, '{1,1,1,2,1}', '{2,2,2,1,2}', '{1,1,5,1,2}', '{old,a,a,a,a}', on_error => 'report', journal => 'tm_j');
SELECT * FROM transfer_many(NULL::tm, '{1,1,1}', '{2,2,2}', '{1,5,5}', '{a,b,b}', journal => 'tm_j');
SELECT * FROM transfer_many(NULL::tm, '{1,1,1}', '{2,2,2}', '{1,5,5}', '{a,b,b}', journal => 'tm_j');
-- the second is a replay of the first, if that succeeds; else it has its turn
SELECT * FROM transfer_many(NULL::tm, '{1,3,1,1}', '{2,1,2,2}', '{250,90,150,150}', '{c,NULL,c,c}', on_error => 'report', journal => 'tm_j');
-- NULL is no request
SELECT status FROM transfer_many(NULL::tm, '{3,3}', '{2,2}', '{1,1}', '{NULL,NULL}', journal => 'tm_j');
-- one by one is the same
SELECT replayed, entry -> 'id' AS id FROM transfer(NULL::tm, 1, 2, 5, journal => 'tm_j', request_id => 'b');
-- a replay in up_to
SELECT * FROM transfer_many(NULL::tm, '{3,3,3}', '{2,2,2}', '{50,40,3}', '{d,d,d}', up_to => true, on_error => 'report', journal => 'tm_j');
SELECT id, balance FROM tm ORDER BY id;
SELECT * FROM verify_journal('tm_j', NULL::tm) WHERE problem NOT IN ('balance_gap', 'balance_differs');

-- chains: all of one, or none
UPDATE tm SET balance = 10;
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tm, '{1,2,3}', '{2,3,4}', '{5,15,25}', chains => '{1,1,1}', on_error => 'report');
UPDATE tm SET balance = 10;
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tm, '{1,2,3,1}', '{2,3,4,2}', '{5,15,26,1}', chains => '{1,1,1,NULL}', on_error => 'report');
SELECT id, balance FROM tm ORDER BY id;
-- those between a chain's members are applied without it: one that had money
-- from the chain fails, too
UPDATE tm SET balance = 10;
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tm, '{1,2,2,3,4}', '{2,3,4,5,5}', '{10,20,3,100,1}', chains => '{7,NULL,NULL,7,NULL}', on_error => 'report');
SELECT id, balance FROM tm ORDER BY id;
-- and one that failed for lack of what the chain took succeeds
UPDATE tm SET balance = 10;
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tm, '{1,1,3}', '{2,4,2}', '{10,10,11}', chains => '{7,NULL,7}', on_error => 'report');
-- two chains through one another; numbers of any sign
UPDATE tm SET balance = 10;
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tm, '{1,3,1,3,5}', '{2,4,2,4,1}', '{5,5,6,5,1}', chains => '{-1,2147483647,-1,2147483647,-2147483648}', on_error => 'report');
-- one of them needs the other
UPDATE tm SET balance = 10;
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tm, '{1,2,4,1}', '{2,3,5,3}', '{10,20,1,1}', chains => '{1,2,2,1}', on_error => 'report');
-- three, one inside the other, failing from the inside
UPDATE tm SET balance = 10;
SELECT ordinality, status FROM transfer_many(NULL::tm, '{1,2,3,3,2,1}', '{2,3,4,4,4,4}', '{1,1,1,100,100,100}', chains => '{1,2,3,3,2,1}', on_error => 'report');
-- a single member; all alone; the first fails
SELECT ordinality, status FROM transfer_many(NULL::tm, '{1,1,1,2}', '{2,2,2,1}', '{100,1,100,1}', chains => '{0,5,6,6}', on_error => 'report');
-- failures that need no balances, in chains
SELECT ordinality, status FROM transfer_many(NULL::tm, '{1,NULL,1,1,1,99}', '{2,2,2,1,2,2}', '{1,1,1,1,1,1}', chains => '{1,1,2,2,3,3}', on_error => 'report');
SELECT id, balance FROM tm ORDER BY id;
-- raise: the first failure is an error, and nothing is done
SELECT * FROM transfer_many(NULL::tm, '{1,2,3}', '{2,3,4}', '{1,1,100}', chains => '{1,NULL,1}');
\echo :SQLSTATE
SELECT id, balance FROM tm ORDER BY id;
-- requests in chains: what was booked before stays booked
SELECT status FROM transfer_many(NULL::tm, '{1}', '{2}', '{1}', '{k1}', journal => 'tm_j');
SELECT ordinality, status, amount, entry_id IS NOT NULL AS booked FROM transfer_many(NULL::tm, '{1,1,1}', '{2,2,2}', '{1,2,500}', '{k1,k2,k3}', '{1,1,1}', on_error => 'report', journal => 'tm_j');
-- k2 is free, and so is k3; a mismatch is the chain's failure
SELECT ordinality, status, amount FROM transfer_many(NULL::tm, '{1,1,1}', '{2,2,2}', '{3,2,1}', '{k2,k1,k3}', '{1,1,NULL}', on_error => 'report', journal => 'tm_j');
-- a request of a failed chain, asked for again outside of it
SELECT ordinality, status, amount FROM transfer_many(NULL::tm, '{1,1,1,1}', '{2,2,2,2}', '{4,4,500,4}', '{k4,k4,NULL,k4}', '{1,NULL,1,NULL}', on_error => 'report', journal => 'tm_j');
SELECT request_id, amount FROM tm_j WHERE request_id LIKE 'k%' ORDER BY request_id;
SELECT id, balance FROM tm ORDER BY id;

-- details: the same for all, or one for each
SELECT status FROM transfer_many(NULL::tm, '{2,2}', '{1,1}', '{1,1}', journal => 'tm_j', details => '{"a": [1]}');
SELECT status FROM transfer_many(NULL::tm, '{2,2,2,2}', '{1,1,1,1}', '{1,1,1,1}', journal => 'tm_j', details => '[{"b": 1}, null, [2], "c"]');
SELECT status FROM transfer_many(NULL::tm, '{1,1}', '{2,2}', '{1,1}', journal => 'tm_j', details => '"text"');
SELECT details FROM tm_j ORDER BY id DESC LIMIT 8;
-- a failed one books none
SELECT status FROM transfer_many(NULL::tm, '{1,1,1}', '{2,2,2}', '{1,500,2}', journal => 'tm_j', details => '[1,2,3]', on_error => 'report');
SELECT amount, details FROM tm_j ORDER BY id DESC LIMIT 2;

-- transactions
BEGIN;
SELECT status FROM transfer_many(NULL::tm, '{1}', '{2}', '{1}', '{t1}', journal => 'tm_j');
SAVEPOINT s;
SELECT status FROM transfer_many(NULL::tm, '{1,1}', '{2,2}', '{1,1}', '{t1,t2}', journal => 'tm_j');
ROLLBACK TO s;
SELECT status FROM transfer_many(NULL::tm, '{1,1}', '{2,2}', '{2,1}', '{t2,t1}', journal => 'tm_j');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT status FROM transfer_many(NULL::tm, '{1,1}', '{2,2}', '{2,1}', '{t2,t3}', journal => 'tm_j');
SELECT status FROM transfer_many(NULL::tm, '{1,1}', '{2,2}', '{2,1}', '{t2,t3}', journal => 'tm_j');
COMMIT;
-- read-only: a replay reads only
BEGIN READ ONLY;
SELECT status FROM transfer_many(NULL::tm, '{1,1}', '{2,2}', '{2,1}', '{t2,t3}', journal => 'tm_j');
SELECT status FROM transfer_many(NULL::tm, '{1,1}', '{2,2}', '{2,1}', '{t2,t4}', journal => 'tm_j');
\echo :SQLSTATE
ROLLBACK;
-- a prepared statement
PREPARE tm_p AS SELECT ordinality, status FROM transfer_many(NULL::tm, $1, $2, $3, $4, journal => 'tm_j', on_error => 'report');
EXECUTE tm_p('{2}', '{1}', '{1}', '{p1}');
EXECUTE tm_p('{2,1}', '{1,2}', '{1,1}', '{p1,p2}');
DEALLOCATE tm_p;
DROP TABLE tm_j, tm;

-- a chain that failed is not tried again, though what it lacked is there in the end
CREATE TABLE tm_taken (id integer PRIMARY KEY, balance integer);
INSERT INTO tm_taken VALUES (1, 100), (2, 0), (3, 0), (4, 0);
SELECT ordinality, status FROM transfer_many(NULL::tm_taken, '{1,1,4}', '{2,3,2}', '{100,100,5}',
                                             chains => '{1,2,1}', on_error => 'report');
-- who is in no chain, is
SELECT ordinality, status FROM transfer_many(NULL::tm_taken, '{1,1,4}', '{2,3,2}', '{100,100,5}',
                                             chains => '{1,NULL,1}', on_error => 'report');
DROP TABLE tm_taken;

-- in a failed chain, only what was booked before the batch is a replay
CREATE TABLE tm_again (id integer PRIMARY KEY, balance integer);
INSERT INTO tm_again VALUES (1, 100), (2, 100);
SELECT create_journal('tm_again_journal', NULL::tm_again, request_id_type => 'text');
SELECT status FROM transfer_many(NULL::tm_again, '{1,2,2}', '{2,1,1}', '{1,5,5}', '{y,y,y}', '{1,NULL,1}',
                                 'report', 'tm_again_journal');
SELECT status FROM transfer_many(NULL::tm_again, '{1,1,1}', '{2,2,2}', '{1,1,1000}', '{z,z,NULL}', '{NULL,1,1}',
                                 'report', 'tm_again_journal');
SELECT status FROM transfer_many(NULL::tm_again, '{1,1,1}', '{2,2,2}', '{1,1000,1}', '{x,NULL,x}', '{1,1,NULL}',
                                 'report', 'tm_again_journal');
SELECT status FROM transfer_many(NULL::tm_again, '{1,1}', '{2,2}', '{1,1000}', '{x,NULL}', '{1,1}',
                                 'report', 'tm_again_journal');
DROP TABLE tm_again_journal, tm_again;
