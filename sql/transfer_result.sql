--
-- The balances and the entry's id in the result of transfer() and its kin
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA tres;
SET search_path = tres, public;

CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL,
	held numeric(12,2) NOT NULL DEFAULT 0);
INSERT INTO acct VALUES (1, 100), (2, 0), (3, 50);
SELECT create_journal('tres.j', NULL::acct, request_id_type => 'text', held_column => 'held');

-- Without a journal there is no entry.
SELECT from_balance, to_balance, entry_id, entry FROM transfer(NULL::acct, 1, 2, 10);

-- What was booked, whatever happens to the accounts afterwards
SELECT from_balance, to_balance, entry_id, replayed
FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => 't');
SELECT entry_id, (entry->>'id')::bigint = entry_id AS id, (entry->>'from_balance')::numeric = from_balance AS payer,
	(entry->>'to_balance')::numeric = to_balance AS payee
FROM transfer(NULL::acct, 1, 3, 1, journal => 'j');
SELECT from_balance, (from_account).balance AS payer, to_balance, (to_account).balance AS payee, entry_id, replayed
FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => 't');

-- A reversal
SELECT from_balance, to_balance, entry_id, replayed
FROM reverse_transfer(NULL::acct, 'j', 1, 2, request_id => 'r');
SELECT from_balance, to_balance, entry_id, replayed
FROM reverse_transfer(NULL::acct, 'j', 1, 2, request_id => 'r');

-- Holds move nothing, and the payee's balance does not count.
SELECT from_balance, to_balance, entry_id, replayed
FROM hold_transfer(NULL::acct, 1, 2, 20, 'j', request_id => 'h');
SELECT from_balance, to_balance, entry_id, replayed
FROM post_transfer(NULL::acct, 'j', 4, 7, final => false, request_id => 'p');
SELECT from_balance, to_balance, entry_id, replayed
FROM void_transfer(NULL::acct, 'j', 4, request_id => 'v');
SELECT from_balance, to_balance, entry_id, replayed
FROM hold_transfer(NULL::acct, 1, 2, 20, 'j', request_id => 'h');
SELECT from_balance, to_balance, entry_id, replayed
FROM post_transfer(NULL::acct, 'j', 4, 7, final => false, request_id => 'p');
SELECT from_balance, to_balance, entry_id, replayed
FROM void_transfer(NULL::acct, 'j', 4, request_id => 'v');
-- The same as a batch says of them
SELECT r.from_balance, r.to_balance, r.entry_id, r.status
FROM transfer_many(NULL::acct, '{1,NULL,1,NULL,NULL}'::integer[], '{2,NULL,2,NULL,NULL}', '{5,2,20,7,NULL}',
	'{t,r,h,p,v}', journal => 'j', entry_ids => '{NULL,1,NULL,4,4}', kinds => '{NULL,NULL,hold,post,void}',
	final => '{NULL,NULL,NULL,f,NULL}') AS r;

-- With a trigger on the accounts, by which they are read again
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER nothing BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT from_balance, to_balance, entry_id FROM transfer(NULL::acct, 3, 2, 50, journal => 'j');
SELECT from_balance, to_balance, entry_id FROM transfer(NULL::acct, 3, 2, 9, journal => 'j', up_to => true, min_balance => -4);
DROP TRIGGER nothing ON acct;

-- A journal of one's own need not have an id, nor balances.
CREATE TABLE own (request_id text UNIQUE, from_id integer, to_id integer, amount numeric);
CREATE TABLE plain (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL);
INSERT INTO plain VALUES (1, 10), (2, 0);
SELECT from_balance, to_balance, entry_id, replayed
FROM transfer(NULL::plain, 1, 2, 5, journal => 'own', request_id => 'o');
SELECT from_balance, to_balance, entry_id, replayed, amount
FROM transfer(NULL::plain, 1, 2, 5, journal => 'own', request_id => 'o');
SELECT from_balance, to_balance, entry_id, status, amount
FROM transfer_many(NULL::plain, '{1}'::integer[], '{2}', '{5}', '{o}', journal => 'own');

DROP SCHEMA tres CASCADE;
