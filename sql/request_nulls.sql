-- A replay whose entry names no account: the accounts of the result are NULL.
\set SHOW_CONTEXT never
CREATE TABLE rn_acct (id text UNIQUE, balance numeric);
INSERT INTO rn_acct VALUES ('a', 100), ('b', 100), (NULL, 7);
CREATE TABLE rn (id bigint GENERATED ALWAYS AS IDENTITY, request_id text, from_id text, to_id text, amount numeric, reverses bigint);
INSERT INTO rn (request_id, from_id, to_id, amount) VALUES ('none', NULL, NULL, 5), ('from', 'a', NULL, 5), ('to', NULL, 'b', 5), ('nothing', NULL, NULL, NULL);
INSERT INTO rn (request_id, amount, reverses) VALUES ('gone', 5, 99), ('reversal', 5, 1);

-- one account has a NULL as its id: it is not the one
SELECT from_account, to_account, amount, replayed FROM transfer(NULL::rn_acct, NULL::text, NULL, 5, id_column => 'id', journal => 'rn', request_id => 'none');
SELECT from_account, to_account, amount, replayed FROM transfer(NULL::rn_acct, 'a', NULL, 5, id_column => 'id', journal => 'rn', request_id => 'from');
SELECT from_account, to_account, amount, replayed FROM transfer(NULL::rn_acct, NULL, 'b', 5, id_column => 'id', journal => 'rn', request_id => 'to');
-- two accounts have
INSERT INTO rn_acct VALUES (NULL, 8);
SELECT from_account, to_account, amount, replayed FROM transfer(NULL::rn_acct, NULL::text, NULL, 5, id_column => 'id', journal => 'rn', request_id => 'none');
SELECT ordinality, status, amount FROM transfer_many(NULL::rn_acct, ARRAY[NULL, 'a', NULL], ARRAY[NULL, NULL, 'b'], ARRAY[5, 5, 5], ARRAY['none', 'from', 'to'], id_column => 'id', journal => 'rn');
-- the ids differ from those that were booked: RF003, before the NULLs
SELECT * FROM transfer(NULL::rn_acct, 'a', NULL, 5, id_column => 'id', journal => 'rn', request_id => 'none');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rn_acct, NULL::text, NULL, 5, id_column => 'id', journal => 'rn', request_id => 'to');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::rn_acct, NULL::text, NULL, NULL, id_column => 'id', journal => 'rn', request_id => 'none');
\echo :SQLSTATE
SELECT from_account, to_account, amount, replayed FROM transfer(NULL::rn_acct, NULL::text, NULL, NULL, id_column => 'id', journal => 'rn', request_id => 'nothing');
SELECT ordinality, status, amount FROM transfer_many(NULL::rn_acct, ARRAY[NULL, 'a', 'a'], ARRAY[NULL, NULL, 'b'], ARRAY[NULL, 5, 5], ARRAY['nothing', 'none', 'none'], on_error => 'report', id_column => 'id', journal => 'rn');
SELECT * FROM transfer_many(NULL::rn_acct, ARRAY['a'], ARRAY[NULL], ARRAY[5], ARRAY['none'], id_column => 'id', journal => 'rn');
\echo :SQLSTATE
-- a new request: 22004
SELECT * FROM transfer(NULL::rn_acct, NULL::text, 'b', 5, id_column => 'id', journal => 'rn', request_id => 'new');
\echo :SQLSTATE

-- reversals: of an entry that is gone, of one that names no account
SELECT from_account, to_account, amount, replayed FROM reverse_transfer(NULL::rn_acct, 'rn', 99, request_id => 'gone', id_column => 'id');
SELECT from_account, to_account, amount, replayed FROM reverse_transfer(NULL::rn_acct, 'rn', 1, 5, request_id => 'reversal', id_column => 'id');
SELECT * FROM reverse_transfer(NULL::rn_acct, 'rn', 2, 5, request_id => 'reversal', id_column => 'id');
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rn_acct, 'rn', 1, 5, request_id => 'new', id_column => 'id');
\echo :SQLSTATE
SELECT * FROM reverse_transfer(NULL::rn_acct, 'rn', 2, id_column => 'id');
\echo :SQLSTATE
SELECT * FROM rn_acct ORDER BY id, balance;
SELECT count(*) FROM rn;
DROP TABLE rn, rn_acct;
