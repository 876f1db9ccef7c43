--
-- transfer_many with on_error => 'report': transfers that an error is about do
-- not fail the others
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA trf;
SET search_path = trf, public;

CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL,
	held numeric(12,2) NOT NULL DEFAULT 0, CONSTRAINT not_77 CHECK (balance <> 77));
INSERT INTO acct SELECT i, 100 FROM generate_series(1, 6) AS i;
SELECT create_journal('trf.j', NULL::acct, request_id_type => 'uuid', held_column => 'held', opening => 100);
CREATE TABLE shop_order (id integer PRIMARY KEY);
INSERT INTO shop_order VALUES (1);
ALTER TABLE j ADD order_id integer REFERENCES shop_order;
CREATE FUNCTION state() RETURNS TABLE (balances text, entries text) LANGUAGE sql AS
	$$SELECT (SELECT string_agg(balance::text, ' ' ORDER BY id) FROM acct),
		(SELECT string_agg(format('%s>%s:%s', from_id, to_id, amount), ' ' ORDER BY id) FROM j)$$;
CREATE FUNCTION fresh() RETURNS void LANGUAGE sql SET session_replication_role = replica AS
	'TRUNCATE j, j_holds RESTART IDENTITY; UPDATE acct SET balance = 100, held = 0';
CREATE FUNCTION uid(integer) RETURNS uuid IMMUTABLE LANGUAGE sql AS
	$$SELECT lpad($1::text, 32, '0')::uuid$$;

-- Ids, of either side, that are none, or too large
SELECT ordinality, status, amount, from_balance, detail
FROM transfer_many(NULL::acct, '{1,x,1,9999999999,1}'::text[], '{2,2,y,2,3}', '{1,1,1,1,1}', on_error => 'report');
SELECT status, detail FROM transfer_many(NULL::acct, '{x,1}'::text[], '{y,""}', '{1,1}', on_error => 'report');
-- Before all other failures, but not before what is wrong with the call
SELECT status FROM transfer_many(NULL::acct, '{x,8}'::text[], '{8,9}', '{NULL,NULL}', on_error => 'report');
SELECT status FROM transfer_many(NULL::acct, '{x}'::text[], '{8}', '{1,2}', on_error => 'report');
SELECT status FROM transfer_many(NULL::acct, '{x}'::text[], '{8}', '{1}', min_balance => 'NaN', on_error => 'report');
SELECT status FROM transfer_many(NULL::acct, '{x}'::text[], '{8}', '{1}', id_column => 'nope', on_error => 'report');
-- With raise it is an error.
SELECT status FROM transfer_many(NULL::acct, '{1,x}'::text[], '{2,2}', '{1,1}');

-- Request ids
SELECT ordinality, status, entry_id, detail
FROM transfer_many(NULL::acct, '{1,1,1,x}'::text[], '{2,2,2,2}', '{1,1,1,1}', ARRAY[uid(1)::text, 'no', '', 'no'],
	journal => 'j', on_error => 'report');
-- In chains
SELECT ordinality, status, detail
FROM transfer_many(NULL::acct, '{1,1,1,x,1,1}'::text[], '{2,2,2,2,2,2}', '{1,1,1,1,1,1}', ARRAY[uid(1)::text, NULL, NULL, NULL, 'no', NULL],
	chains => '{1,2,NULL,1,2,2}', journal => 'j', on_error => 'report');
SELECT * FROM state();

-- A CHECK: the first, one between, the last, all, none
CREATE FUNCTION tries(text, text, text, chains integer[] DEFAULT NULL)
	RETURNS TABLE (n bigint, status text, amount numeric, from_balance numeric, to_balance numeric, entry boolean, detail text)
	LANGUAGE sql AS
	$$SELECT ordinality, status, amount, from_balance, to_balance, entry_id IS NOT NULL, detail
	FROM transfer_many(NULL::acct, $1::integer[], $2::integer[], $3::numeric[], chains => $4, journal => 'trf.j', on_error => 'report')$$;
SELECT fresh();
SELECT * FROM tries('{1,3,4,5}', '{2,2,2,2}', '{23,1,2,3}');
SELECT * FROM tries('{1,3,4,5}', '{2,2,2,2}', '{1,2,19,3}');
SELECT * FROM tries('{1,3,4,5}', '{2,2,2,2}', '{1,1,1,17}');
SELECT * FROM tries('{1,3,4}', '{6,2,2}', '{21,18,17}');
SELECT * FROM state();
-- Two that are refused together only: the first one is made.
SELECT * FROM tries('{1,1}', '{2,3}', '{10,11}');
-- One that takes from the other what is refused
SELECT * FROM tries('{1,1}', '{2,3}', '{11,1}');
SELECT * FROM state();

-- A constraint of the journal, with NULLs for what was not made
ALTER TABLE j ADD CONSTRAINT small CHECK (amount < 10) NOT VALID;
SELECT * FROM tries('{1,2,3}', '{4,4,4}', '{2,10,2}');
ALTER TABLE j DROP CONSTRAINT small;
-- A foreign key, and values that cannot be converted
SELECT status, detail
FROM transfer_many(NULL::acct, '{2,2,2,2,2}'::integer[], '{3,3,3,3,3}', '{1,1,1,1,1}', journal => 'j', on_error => 'report',
	columns => '[{"order_id": 1}, {"order_id": 2}, {"order_id": "x"}, null, 7]');
-- One for all, or a column that there is not, is the call's.
SELECT status FROM transfer_many(NULL::acct, '{2,2}'::integer[], '{3,3}', '{1,1}', journal => 'j', on_error => 'report', columns => '{"order_id": "x"}');
SELECT status FROM transfer_many(NULL::acct, '{2,2}'::integer[], '{3,3}', '{1,1}', journal => 'j', on_error => 'report', columns => '[{"nope": 1}, null]');
SELECT * FROM state();

-- Triggers, with any SQLSTATE of their own
CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id = 5 AND TG_ARGV[0] = 'skip' THEN
		RETURN NULL;
	ELSIF NEW.id = 5 AND TG_ARGV[0] = 'nested' THEN
		PERFORM transfer(NULL::trf.acct, 6, 1, 1e6);
	ELSIF NEW.id = 5 AND TG_ARGV[0] = 'zero' THEN
		NEW.balance := NEW.balance / 0;
	ELSIF NEW.id = 5 THEN
		RAISE EXCEPTION 'account % is judged', NEW.id USING ERRCODE = TG_ARGV[0], DETAIL = 'not shown';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('P0001');
SELECT * FROM tries('{2,5,3,2}', '{3,2,5,4}', '{1,1,1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('U1234');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('skip');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('nested');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('zero');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
-- What is about the call, or the server, is an error as before.
\set VERBOSITY terse
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('40001');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('40P01');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('53200');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('55P03');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('57014');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('XX000');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('42P01');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
CREATE OR REPLACE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('42501');
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
DROP TRIGGER judge ON acct;
-- One for each statement, which refuses all
CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''never''; END';
CREATE TRIGGER never BEFORE UPDATE ON acct FOR EACH STATEMENT EXECUTE FUNCTION never();
SELECT * FROM tries('{2,5}', '{3,2}', '{1,1}');
DROP TRIGGER never ON acct;
\set VERBOSITY default
SELECT * FROM state();

-- Chains: no transfer of one is made without the others, and the one that is
-- refused is named.
CREATE TRIGGER judge BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION judge('P0001');
SELECT * FROM tries('{2,3,1,2,5,4}', '{3,4,2,5,6,6}', '{1,2,3,4,5,6}', '{1,NULL,2,1,1,2}');
SELECT * FROM tries('{5,2,2,3}', '{2,3,5,1}', '{1,2,3,4}', '{1,1,2,2}');
-- What a chain that failed would have brought is not there.
SELECT * FROM tries('{1,5,4}', '{4,1,1}', '{50,1,100}', '{1,1,NULL}');
-- What was booked before stays booked.
SELECT status, amount, entry_id IS NOT NULL AS entry, detail
FROM transfer_many(NULL::acct, '{4,2,5}'::integer[], '{6,3,2}', '{1,1,1}', ARRAY[uid(10), uid(11), uid(12)], '{NULL,NULL,NULL}',
	journal => 'j', on_error => 'report');
SELECT status, amount, entry_id IS NOT NULL AS entry, detail
FROM transfer_many(NULL::acct, '{4,2,5,2}'::integer[], '{6,3,2,3}', '{1,1,1,7}', ARRAY[uid(10), uid(11), uid(12), uid(13)], '{1,1,1,1}',
	journal => 'j', on_error => 'report');
-- The id of a request that was refused is free, for another one of the batch, too,
-- and not locked.
BEGIN;
SELECT status, amount, detail
FROM transfer_many(NULL::acct, '{5,2,2,5}'::integer[], '{2,3,3,3}', '{1,1,1,2}', ARRAY[uid(20), uid(20), uid(20), uid(21)],
	journal => 'j', on_error => 'report');
SELECT count(*) FROM racefree_locks WHERE key_hash IS NOT NULL;
SELECT status, amount, detail FROM transfer_many(NULL::acct, '{5}'::integer[], '{2}', '{1}', ARRAY[uid(22)],
	journal => 'j', on_error => 'report');
SELECT count(*) FROM racefree_locks WHERE key_hash IS NOT NULL;
COMMIT;
DROP TRIGGER judge ON acct;

-- Many, of which many are refused: as if these had not been in the batch
SELECT fresh();
CREATE TRIGGER judge BEFORE INSERT ON j FOR EACH ROW WHEN (NEW.amount % 7 = 0) EXECUTE FUNCTION never();
SELECT status, detail, count(*), sum(ordinality)
FROM transfer_many(NULL::acct, (SELECT array_agg(1 + i % 5) FROM generate_series(1, 100) AS i), (SELECT array_agg(6) FROM generate_series(1, 100)),
	(SELECT array_agg(i::numeric) FROM generate_series(1, 100) AS i), min_balance => '-Infinity', journal => 'j', on_error => 'report')
GROUP BY status, detail ORDER BY status;
CREATE TEMPORARY TABLE made AS TABLE acct;
SELECT fresh();
SELECT status, count(*), sum(i)
FROM (SELECT array_agg(1 + i % 5 ORDER BY i) AS froms, array_agg(6) AS tos, array_agg(i::numeric ORDER BY i) AS amounts
	FROM generate_series(1, 100) AS i WHERE i % 7 <> 0) AS batch,
	transfer_many(NULL::acct, froms, tos, amounts, min_balance => '-Infinity', journal => 'j', on_error => 'report') AS r,
	LATERAL (SELECT amounts[r.ordinality] AS i) AS n
GROUP BY status ORDER BY status;
SELECT count(*) FROM (TABLE made EXCEPT TABLE acct) AS d;
SELECT * FROM verify_journal('j', NULL::acct);
DROP TRIGGER judge ON j;

-- Holds, and what settles them
CREATE FUNCTION no_post() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no % of %', NEW.kind, NEW.amount; END$$;
CREATE TRIGGER judge BEFORE INSERT ON j FOR EACH ROW WHEN (NEW.amount = 3) EXECUTE FUNCTION no_post();
SELECT fresh();
SELECT status, amount, detail FROM transfer_many(NULL::acct, '{1,1,1}'::integer[], '{2,2,2}', '{10,3,20}', kinds => '{hold,hold,hold}',
	journal => 'j', on_error => 'report');
SELECT status, amount, from_available, detail
FROM transfer_many(NULL::acct, '{NULL,NULL,NULL}'::integer[], '{NULL,NULL,NULL}', '{3,4,NULL}', kinds => '{post,post,void}',
	entry_ids => (SELECT ARRAY[min(id), min(id), max(id)] FROM j), journal => 'j', on_error => 'report');
SELECT * FROM state();
SELECT amount FROM j_holds;
DROP TRIGGER judge ON j;

-- Policies
CREATE ROLE regress_racefree_refused;
GRANT USAGE ON SCHEMA trf TO regress_racefree_refused;
GRANT SELECT, INSERT ON j TO regress_racefree_refused;
GRANT SELECT, INSERT, UPDATE, DELETE ON j_holds TO regress_racefree_refused;
GRANT SELECT ON acct TO regress_racefree_refused;
SET ROLE regress_racefree_refused;
\set VERBOSITY terse
SELECT * FROM tries('{2,3}', '{3,2}', '{1,1}');
RESET ROLE;
\set VERBOSITY default
GRANT UPDATE ON acct TO regress_racefree_refused;
ALTER TABLE acct ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON acct USING (true) WITH CHECK (id <> 5 OR balance > 90);
SET ROLE regress_racefree_refused;
SELECT * FROM tries('{2,5,5,2}', '{3,2,2,5}', '{1,1,20,3}');
RESET ROLE;
ALTER TABLE acct DISABLE ROW LEVEL SECURITY;

-- A constraint that is deferred is checked when the transaction is committed.
ALTER TABLE j ADD code integer, ADD CONSTRAINT one_code UNIQUE (code) DEFERRABLE INITIALLY IMMEDIATE;
SELECT status, detail FROM transfer_many(NULL::acct, '{2,2,2}'::integer[], '{3,3,3}', '{1,1,1}', journal => 'j', on_error => 'report',
	columns => '[{"code": 1}, {"code": 1}, {"code": 2}]');
BEGIN;
SET CONSTRAINTS one_code DEFERRED;
SELECT status, detail FROM transfer_many(NULL::acct, '{2,2}'::integer[], '{3,3}', '{1,1}', journal => 'j', on_error => 'report',
	columns => '[{"code": 1}, {"code": 3}]');
\set VERBOSITY sqlstate
COMMIT;
\set VERBOSITY default

-- In a transaction, a cursor, a function that catches errors; nothing is left of attempts
BEGIN;
SAVEPOINT s;
SELECT status FROM transfer_many(NULL::acct, '{2,x}'::text[], '{3,3}', '{1,1}', on_error => 'report');
ROLLBACK TO s;
DECLARE c CURSOR FOR SELECT status, detail FROM tries('{1,2}', '{4,3}', '{23,1}');
FETCH ALL FROM c;
CLOSE c;
COMMIT;
DO $$
BEGIN
	PERFORM FROM trf.tries('{2,1}', '{3,4}', '{1,5}');
	RAISE EXCEPTION 'all of it';
EXCEPTION WHEN raise_exception THEN NULL;
END $$;
SELECT * FROM verify_journal('j', NULL::acct);

DROP SCHEMA trf CASCADE;
DROP ROLE regress_racefree_refused;
