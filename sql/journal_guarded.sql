-- A guarded journal: balances change, and entries are inserted, by racefree
-- only, whoever asks and by whatever statement, and whatever user code runs in
-- between.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE gd_acct (
  id integer PRIMARY KEY,
  owner name,
  balance numeric(12,2) NOT NULL DEFAULT 0,
  floor numeric DEFAULT 0);
INSERT INTO gd_acct VALUES (1, NULL, 1000, NULL), (2, 'regress_racefree_gd', 100, 0), (3, 'regress_racefree_gd2', 100, 0);
SELECT create_journal('gd', NULL::gd_acct, request_id_type => 'text', min_balance_column => 'floor', guarded => true);
SELECT tgrelid::regclass AS on, pg_get_triggerdef(oid) FROM pg_trigger
  WHERE tgrelid IN ('gd'::regclass, 'gd_acct'::regclass) AND NOT tgisinternal ORDER BY 1, tgname;
-- runs a statement, and says what became of it
CREATE FUNCTION gd_try(statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
BEGIN
  EXECUTE statement;
  GET DIAGNOSTICS n = ROW_COUNT;
  RAISE WARNING '%: done, % rows', statement, n;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING '%: % %', statement, SQLSTATE, SQLERRM;
END $$;

-- the grants that transfers need, and no more
CREATE ROLE regress_racefree_gd;
GRANT SELECT, UPDATE (balance) ON gd_acct TO regress_racefree_gd;
GRANT SELECT, INSERT ON gd TO regress_racefree_gd;
SET ROLE regress_racefree_gd;
SELECT (from_account).balance, (to_account).balance, entry ->> 'id' AS entry FROM transfer(NULL::gd_acct, 1, 2, 50, journal => 'gd', request_id => 'a');
SELECT amount, replayed FROM transfer(NULL::gd_acct, 1, 2, 50, journal => 'gd', request_id => 'a');
SELECT amount FROM transfer(NULL::gd_acct, 2, 3, 1000, journal => 'gd', up_to => true);
SELECT amount FROM reverse_transfer(NULL::gd_acct, 'gd', 2, 50);
SELECT status, from_balance, to_balance, entry_id FROM transfer_many(NULL::gd_acct, ARRAY[1,2,3,2,1], ARRAY[2,3,2,1,3], ARRAY[10,20,5000,15,25],
  chains => ARRAY[1,1,2,3,3], on_error => 'report', journal => 'gd');
SELECT transfer(NULL::gd_acct, 2, 3, 1000, '-Infinity', journal => 'gd');
\echo :SQLSTATE
SELECT * FROM verify_journal('gd', NULL::gd_acct);
SELECT id, balance FROM gd_acct ORDER BY id;

-- and nothing else: with each statement there is
\set VERBOSITY default
UPDATE gd_acct SET balance = balance + 1 WHERE id = 2;
\echo :SQLSTATE
INSERT INTO gd (from_id, to_id, amount, from_balance, to_balance) VALUES (1, 2, 5, 0, 0);
\echo :SQLSTATE
SELECT transfer(NULL::gd_acct, 1, 2, 5);
\echo :SQLSTATE
\set VERBOSITY terse
UPDATE gd_acct SET balance = 1000000;
UPDATE gd_acct SET balance = NULL WHERE id = 2;
UPDATE gd_acct SET balance = 'NaN' WHERE id = 2;
SELECT update_or_create(NULL::gd_acct, '{"id": 2}', '{"balance": 5}');
SELECT count(*) FROM update_or_create_many(NULL::gd_acct, '[{"id": 2, "balance": 5}]', '{id}');
SELECT transfer_many(NULL::gd_acct, ARRAY[1], ARRAY[2], ARRAY[5]);
SELECT get_or_create(NULL::gd, '{"request_id": "b"}', '{"from_id": 1, "to_id": 2, "amount": 5, "from_balance": 0, "to_balance": 0}');
INSERT INTO gd (request_id, from_id, to_id, amount, from_balance, to_balance) VALUES ('b', 1, 2, 5, 0, 0) ON CONFLICT DO NOTHING;
COPY gd (from_id, to_id, amount, from_balance, to_balance) FROM stdin;
1	2	5	0	0
\.
WITH w AS (UPDATE gd_acct SET balance = 7 WHERE id = 2 RETURNING *) SELECT count(*) FROM w;
MERGE INTO gd_acct a USING (VALUES (2)) AS v (id) ON v.id = a.id WHEN MATCHED THEN UPDATE SET balance = 7;
PREPARE gd_up AS UPDATE gd_acct SET balance = $1 WHERE id = $2;
EXECUTE gd_up (7, 2);
DO $$ BEGIN UPDATE gd_acct SET balance = 7 WHERE id = 2; END $$;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM gd_acct WHERE id = 2 FOR UPDATE;
FETCH c;
UPDATE gd_acct SET balance = 7 WHERE CURRENT OF c;
ROLLBACK;
-- around a transfer, in one statement
UPDATE gd_acct SET balance = balance + 1 WHERE id = 1 AND (SELECT t.amount FROM transfer(NULL::gd_acct, 2, 3, 1, journal => 'gd') AS t) = 1;
WITH t AS (SELECT amount FROM transfer(NULL::gd_acct, 2, 3, 1, journal => 'gd'))
INSERT INTO gd (from_id, to_id, amount, from_balance, to_balance) SELECT 2, 3, t.amount, 24, 246 FROM t;
-- a statement that comes right behind a transfer, or behind an error in one
BEGIN;
SELECT amount FROM transfer(NULL::gd_acct, 2, 3, 1, journal => 'gd');
SAVEPOINT s;
UPDATE gd_acct SET balance = balance - 1 WHERE id = 2;
ROLLBACK TO s;
SELECT transfer(NULL::gd_acct, 2, 3, 100000, journal => 'gd');
ROLLBACK TO s;
UPDATE gd_acct SET balance = balance - 1 WHERE id = 2;
ROLLBACK TO s;
INSERT INTO gd (from_id, to_id, amount, from_balance, to_balance) SELECT from_id, to_id, amount, from_balance, to_balance FROM gd ORDER BY id DESC LIMIT 1;
ROLLBACK TO s;
SELECT amount FROM transfer(NULL::gd_acct, 2, 3, 1, journal => 'gd');
ROLLBACK;
-- with locks that fall early
SET racefree.early_lock_release = on;
SELECT amount FROM transfer(NULL::gd_acct, 1, 2, 1, journal => 'gd');
UPDATE gd_acct SET balance = balance + 1 WHERE id = 2;
RESET racefree.early_lock_release;
-- the balance may be set to what it is
UPDATE gd_acct SET balance = balance;
ALTER TABLE gd_acct DISABLE TRIGGER balance_guard;
DROP TRIGGER entry_guard ON gd;
SELECT alter_journal('gd', '{"guarded": false}');
SET session_replication_role = replica;
RESET ROLE;
SELECT id, balance FROM gd_acct ORDER BY id;
SELECT count(*) FROM gd;

-- the owner, and a superuser, who are free to do anything else with the rows
UPDATE gd_acct SET balance = 0 WHERE id = 2;
\set VERBOSITY default
INSERT INTO gd_acct VALUES (4, NULL, 0.01);
\echo :SQLSTATE
\set VERBOSITY terse
INSERT INTO gd_acct VALUES (4, NULL, NULL);
COPY gd_acct (id, balance) FROM stdin;
4	0.00
5	10.00
\.
INSERT INTO gd_acct VALUES (2, NULL, 5) ON CONFLICT (id) DO UPDATE SET balance = excluded.balance;
MERGE INTO gd_acct a USING (VALUES (4)) AS v (id) ON v.id = a.id WHEN NOT MATCHED THEN INSERT (id, balance) VALUES (4, 10);
INSERT INTO gd_acct VALUES (4), (5);
INSERT INTO gd_acct VALUES (2, 'somebody') ON CONFLICT (id) DO UPDATE SET owner = excluded.owner RETURNING id, owner;
UPDATE gd_acct SET floor = 1 WHERE id = 4;
UPDATE gd_acct SET id = 6 WHERE id = 5;
DELETE FROM gd_acct WHERE id = 6;
SELECT created FROM get_or_create(NULL::gd_acct, '{"id": 7}');
-- money does not change hands with an id, or vanish with an account; here
-- without the foreign keys, which refuse it, too
BEGIN;
ALTER TABLE gd DROP CONSTRAINT gd_from_id_fkey, DROP CONSTRAINT gd_to_id_fkey;
\set VERBOSITY default
SAVEPOINT s;
UPDATE gd_acct SET id = 8 WHERE id = 2;
\echo :SQLSTATE
ROLLBACK TO s;
DELETE FROM gd_acct WHERE id = 2;
\echo :SQLSTATE
ROLLBACK TO s;
TRUNCATE gd_acct;
\echo :SQLSTATE
\set VERBOSITY terse
ROLLBACK;

-- User code that runs during a statement of racefree's: it sees what is about
-- to be written, and cannot write it itself.
CREATE FUNCTION gd_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    PERFORM gd_try(format('UPDATE gd_acct SET balance = %s WHERE id = %s', NEW.balance, NEW.id));
    PERFORM gd_try(format('INSERT INTO gd_acct (id, balance) VALUES (99, %s)', NEW.balance));
  END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION gd_after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    -- what racefree adds once more, and what it takes back
    PERFORM gd_try(format('UPDATE gd_acct SET balance = balance + %s WHERE id = %s', NEW.balance - OLD.balance, NEW.id));
    PERFORM gd_try(format('UPDATE gd_acct SET balance = %s WHERE id = %s', OLD.balance, NEW.id));
    PERFORM gd_try(format('UPDATE gd_acct SET balance = %s WHERE id <> %s', NEW.balance, NEW.id));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER a_before BEFORE UPDATE ON gd_acct FOR EACH ROW WHEN (OLD.balance <> NEW.balance) EXECUTE FUNCTION gd_before();
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
SELECT status, from_balance, to_balance FROM transfer_many(NULL::gd_acct, ARRAY[1], ARRAY[3], ARRAY[10], journal => 'gd');
DROP TRIGGER a_before ON gd_acct;
CREATE TRIGGER a_after AFTER UPDATE ON gd_acct FOR EACH ROW WHEN (OLD.balance <> NEW.balance) EXECUTE FUNCTION gd_after();
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
SELECT status, from_balance, to_balance FROM transfer_many(NULL::gd_acct, ARRAY[1], ARRAY[3], ARRAY[10], journal => 'gd');
DROP TRIGGER a_after ON gd_acct;
-- other columns of the very rows are free, before the guard looks at them, too
CREATE FUNCTION gd_free() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    PERFORM gd_try(format('UPDATE gd_acct SET owner = ''after %s'' WHERE id = %s', NEW.balance, NEW.id));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER a_free AFTER UPDATE ON gd_acct FOR EACH ROW EXECUTE FUNCTION gd_free();
BEGIN;
SELECT amount FROM transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
SELECT status, from_balance, to_balance FROM transfer_many(NULL::gd_acct, ARRAY[1], ARRAY[3], ARRAY[10], journal => 'gd');
SELECT id, owner, balance FROM gd_acct WHERE id IN (1, 3) ORDER BY id;
ROLLBACK;
DROP TRIGGER a_free ON gd_acct;
-- what writes itself, in the place of racefree: the guard refuses it
CREATE FUNCTION gd_instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() > 1 THEN RETURN NEW; END IF;
  PERFORM gd_try(format('UPDATE gd_acct SET balance = %s WHERE id = %s', NEW.balance, NEW.id));
  RETURN NULL;
END $$;
CREATE TRIGGER a_instead BEFORE UPDATE ON gd_acct FOR EACH ROW EXECUTE FUNCTION gd_instead();
SELECT transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
SELECT transfer_many(NULL::gd_acct, ARRAY[1], ARRAY[3], ARRAY[10], journal => 'gd');
DROP TRIGGER a_instead ON gd_acct;
-- a BEFORE trigger that changes what is written
CREATE FUNCTION gd_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_ARGV[0] = 'more' THEN NEW.balance := NEW.balance + 1; ELSE NEW.id := 100; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER a_change BEFORE UPDATE ON gd_acct FOR EACH ROW WHEN (NEW.id = 7) EXECUTE FUNCTION gd_change('more');
SELECT transfer(NULL::gd_acct, 1, 7, 10, journal => 'gd');
\echo :SQLSTATE
SELECT transfer_many(NULL::gd_acct, ARRAY[1], ARRAY[7], ARRAY[10], journal => 'gd');
CREATE OR REPLACE TRIGGER a_change BEFORE UPDATE ON gd_acct FOR EACH ROW WHEN (NEW.id = 7) EXECUTE FUNCTION gd_change('id');
SELECT transfer(NULL::gd_acct, 1, 7, 10, journal => 'gd');
SELECT transfer_many(NULL::gd_acct, ARRAY[1], ARRAY[7], ARRAY[10], journal => 'gd');
DROP TRIGGER a_change ON gd_acct;
-- the same with entries
CREATE FUNCTION gd_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() > 1 THEN RETURN NEW; END IF;
  PERFORM gd_try(format('INSERT INTO gd (from_id, to_id, amount, from_balance, to_balance) VALUES (%s, %s, %s, %s, %s)',
    NEW.from_id, NEW.to_id, NEW.amount, NEW.from_balance, NEW.to_balance));
  IF TG_ARGV[0] = 'change' THEN NEW.amount := 1000; END IF;
  IF TG_ARGV[0] = 'drop' THEN RETURN NULL; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER a_entry BEFORE INSERT ON gd FOR EACH ROW EXECUTE FUNCTION gd_entry('keep');
SELECT amount FROM transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
SELECT status FROM transfer_many(NULL::gd_acct, ARRAY[1,1], ARRAY[3,3], ARRAY[10,20], journal => 'gd');
CREATE OR REPLACE TRIGGER a_entry AFTER INSERT ON gd FOR EACH ROW EXECUTE FUNCTION gd_entry('keep');
SELECT amount FROM transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
SELECT status FROM transfer_many(NULL::gd_acct, ARRAY[1,1], ARRAY[3,3], ARRAY[10,20], journal => 'gd');
CREATE OR REPLACE TRIGGER a_entry BEFORE INSERT ON gd FOR EACH ROW EXECUTE FUNCTION gd_entry('drop');
SELECT transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
CREATE OR REPLACE TRIGGER a_entry BEFORE INSERT ON gd FOR EACH ROW EXECUTE FUNCTION gd_entry('change');
SELECT transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
SELECT transfer_many(NULL::gd_acct, ARRAY[1,1], ARRAY[3,3], ARRAY[10,20], journal => 'gd');
DROP TRIGGER a_entry ON gd;
-- a rule that puts another statement in front
BEGIN;
CREATE TABLE gd_log (id integer);
CREATE RULE r AS ON UPDATE TO gd_acct DO ALSO INSERT INTO gd_log VALUES (NEW.id);
SELECT transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
ROLLBACK;
-- a deferred trigger, at the end of the transaction
CREATE FUNCTION gd_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.balance < OLD.balance THEN
    PERFORM gd_try(format('UPDATE gd_acct SET balance = %s WHERE id = %s', OLD.balance, OLD.id));
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER z_late AFTER UPDATE ON gd_acct DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD.balance <> NEW.balance) EXECUTE FUNCTION gd_late();
SELECT amount FROM transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
DROP TRIGGER z_late ON gd_acct;

-- Triggers may call racefree: a fee with each transfer, of which some fail.
CREATE FUNCTION gd_fee() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.to_id <> 4 THEN
    PERFORM gd_try(format('SELECT transfer(NULL::gd_acct, %s, 4, 1000000, journal => ''gd'', min_balance => 0)', NEW.from_id));
    PERFORM gd_try(format('SELECT transfer(NULL::gd_acct, %s, 4, 1, journal => ''gd'')', NEW.from_id));
    PERFORM gd_try(format('SELECT transfer_many(NULL::gd_acct, ARRAY[%s], ARRAY[4], ARRAY[1], journal => ''gd'')', NEW.from_id));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER a_fee AFTER INSERT ON gd FOR EACH ROW EXECUTE FUNCTION gd_fee();
\set VERBOSITY default
SELECT transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
\echo :SQLSTATE
\set VERBOSITY terse
DROP TRIGGER a_fee ON gd;
-- in the middle of the accounts' UPDATE, for accounts that are not the call's
CREATE FUNCTION gd_nested() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    PERFORM gd_try('SELECT transfer(NULL::gd_acct, 2, 4, 1000000, journal => ''gd'')');
    PERFORM gd_try('SELECT transfer(NULL::gd_acct, 2, 4, 1, journal => ''gd'')');
    PERFORM gd_try('UPDATE gd_acct SET balance = balance + 1 WHERE id = 4');
  END IF;
  RETURN CASE WHEN TG_WHEN = 'BEFORE' THEN NEW END;
END $$;
CREATE TRIGGER a_nested BEFORE UPDATE ON gd_acct FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION gd_nested();
CREATE TRIGGER b_nested AFTER UPDATE ON gd_acct FOR EACH ROW WHEN (NEW.id = 3) EXECUTE FUNCTION gd_nested();
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::gd_acct, 1, 3, 10, journal => 'gd');
SELECT status, from_balance, to_balance FROM transfer_many(NULL::gd_acct, ARRAY[1], ARRAY[3], ARRAY[10], journal => 'gd');
DROP TRIGGER a_nested ON gd_acct;
DROP TRIGGER b_nested ON gd_acct;
SELECT * FROM verify_journal('gd', NULL::gd_acct);
SELECT id, balance FROM gd_acct ORDER BY id;

-- Who may guard a journal, and end that: who owns both tables.
CREATE ROLE regress_racefree_gd2;
GRANT CREATE ON SCHEMA public TO regress_racefree_gd2;
GRANT ALL ON gd_acct, gd TO regress_racefree_gd2;
SET ROLE regress_racefree_gd2;
SELECT create_journal('gd_own', NULL::gd_acct, guarded => true);
SELECT create_journal('gd_own', NULL::gd_acct);
SELECT alter_journal('gd_own', '{"guarded": true}');
SELECT alter_journal('gd', '{"guarded": false}');
-- a journal of one's own, without a rule: not for guarded balances
SELECT transfer(NULL::gd_acct, 2, 3, 1000000, '-Infinity', journal => 'gd_own');
-- nor accounts of one's own, from which rules lead to others
CREATE TABLE gd_mine (id integer PRIMARY KEY, owner name, balance numeric(12,2) NOT NULL DEFAULT 0, floor numeric DEFAULT 0);
INSERT INTO gd_mine SELECT * FROM gd_acct;
SELECT create_journal('gd_mine_j', NULL::gd_mine, foreign_keys => false, guarded => true);
CREATE RULE r AS ON UPDATE TO gd_mine DO INSTEAD UPDATE gd_acct SET balance = NEW.balance WHERE id = NEW.id
  RETURNING gd_acct.*;
SELECT transfer(NULL::gd_mine, 1, 3, 10, journal => 'gd_mine_j');
-- also where the guard of one's own does not fire
CREATE OR REPLACE RULE r AS ON UPDATE TO gd_mine DO ALSO UPDATE gd_acct SET balance = NEW.balance WHERE id = NEW.id;
ALTER TABLE gd_mine ENABLE REPLICA TRIGGER balance_guard;
SELECT transfer(NULL::gd_mine, 1, 3, 10, journal => 'gd_mine_j');
SELECT transfer_many(NULL::gd_mine, ARRAY[1], ARRAY[3], ARRAY[10], journal => 'gd_mine_j');
DROP RULE r ON gd_mine;
CREATE RULE r AS ON INSERT TO gd_mine_j DO ALSO INSERT INTO gd (from_id, to_id, amount, from_balance, to_balance)
  VALUES (NEW.from_id, NEW.to_id, NEW.amount, NEW.from_balance, NEW.to_balance);
SELECT transfer(NULL::gd_mine, 1, 3, 10, journal => 'gd_mine_j');
SELECT transfer_many(NULL::gd_mine, ARRAY[1], ARRAY[3], ARRAY[10], journal => 'gd_mine_j');
DROP TABLE gd_mine_j, gd_mine;
RESET ROLE;
-- nor under the name of the one that guards, when that is gone
BEGIN;
DROP TABLE gd;
\set VERBOSITY default
SAVEPOINT s;
SELECT transfer(NULL::gd_acct, 2, 3, 1);
\echo :SQLSTATE
ROLLBACK TO s;
UPDATE gd_acct SET balance = 0;
\echo :SQLSTATE
ROLLBACK TO s;
SET ROLE regress_racefree_gd2;
SELECT create_journal('gd', NULL::gd_acct);
SELECT transfer(NULL::gd_acct, 2, 3, 1000000, '-Infinity', journal => 'gd');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT create_journal('gd', NULL::gd_acct, min_balance_column => 'floor', guarded => true);
SELECT tgname FROM pg_trigger WHERE tgrelid = 'gd_acct'::regclass AND NOT tgisinternal ORDER BY tgname;
SELECT amount FROM transfer(NULL::gd_acct, 2, 3, 1, journal => 'gd');
\set VERBOSITY terse
ROLLBACK;
DROP TABLE gd_own;

-- alter_journal: begin, end, and follow names
\set VERBOSITY default
SELECT alter_journal('gd', '{"guarded": 1}');
\echo :SQLSTATE
\set VERBOSITY terse
BEGIN;
SELECT alter_journal('gd', '{"guarded": null}');
SELECT tgname FROM pg_trigger WHERE tgrelid IN ('gd'::regclass, 'gd_acct'::regclass) AND NOT tgisinternal ORDER BY tgname;
UPDATE gd_acct SET balance = balance + 1 WHERE id = 7;
INSERT INTO gd (from_id, to_id, amount, from_balance, to_balance) VALUES (1, 2, 5, 0, 0);
SELECT amount FROM transfer(NULL::gd_acct, 1, 2, 5);
SELECT alter_journal('gd', '{"guarded": true, "min_balance_column": null}');
SELECT alter_journal('gd', '{"guarded": true}');
SELECT tgname FROM pg_trigger WHERE tgrelid IN ('gd'::regclass, 'gd_acct'::regclass) AND NOT tgisinternal ORDER BY tgname;
UPDATE gd_acct SET balance = balance + 1 WHERE id = 7;
ROLLBACK;
BEGIN;
ALTER TABLE gd RENAME TO gd_new;
SAVEPOINT s;
\set VERBOSITY default
SELECT transfer(NULL::gd_acct, 1, 2, 5, journal => 'gd_new');
ROLLBACK TO s;
\set VERBOSITY terse
SELECT alter_journal('gd_new', '{"guarded": false}');
SELECT tgname FROM pg_trigger WHERE tgrelid IN ('gd_new'::regclass, 'gd_acct'::regclass) AND NOT tgisinternal ORDER BY tgname;
ROLLBACK TO s;
SELECT alter_journal('gd_new', '{"guarded": true}');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'balance_guard';
SELECT amount FROM transfer(NULL::gd_acct, 1, 2, 5, journal => 'gd_new');
ALTER TABLE gd_acct RENAME balance TO "Bal, ance";
SAVEPOINT s;
\set VERBOSITY default
UPDATE gd_acct SET "Bal, ance" = 0;
\echo :SQLSTATE
ROLLBACK TO s;
SELECT alter_journal('gd_new', '{"guarded": true}');
\echo :SQLSTATE
ROLLBACK TO s;
\set VERBOSITY terse
CREATE OR REPLACE TRIGGER journal_guard BEFORE UPDATE OR DELETE ON gd_new FOR EACH ROW EXECUTE FUNCTION
  journal_guard('accounts=public.gd_acct', 'id_column=id', 'balance_column=Bal, ance', 'min_balance_column=floor');
SELECT alter_journal('gd_new', '{"guarded": true}');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'balance_guard';
SELECT amount FROM transfer(NULL::gd_acct, 1, 2, 5, journal => 'gd_new', balance_column => 'Bal, ance');
UPDATE gd_acct SET "Bal, ance" = 0;
ROLLBACK;
SELECT create_journal('gd_none', NULL::gd_acct, guarded => NULL);
-- triggers that look like guards, but do not fire for all
BEGIN;
CREATE OR REPLACE TRIGGER balance_guard AFTER UPDATE ON gd_acct FOR EACH ROW WHEN (NEW.id > 5) EXECUTE FUNCTION
  balance_guard('journal=public.gd', 'id_column=id', 'columns=balance');
CREATE OR REPLACE TRIGGER entry_guard AFTER INSERT ON gd FOR EACH ROW WHEN (NEW.id < 0) EXECUTE FUNCTION entry_guard();
SELECT alter_journal('gd', '{"guarded": true}');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid IN ('gd'::regclass, 'gd_acct'::regclass) AND tgname ~ '^(entry|balance)_guard' ORDER BY tgname;
ROLLBACK;
-- two journals of the same accounts: each of them guards
BEGIN;
SELECT create_journal('gd2', NULL::gd_acct, guarded => true);
SELECT amount FROM transfer(NULL::gd_acct, 1, 2, 5, journal => 'gd');
SELECT amount FROM transfer(NULL::gd_acct, 1, 2, 5, journal => 'gd2');
SELECT status FROM transfer_many(NULL::gd_acct, ARRAY[1,1], ARRAY[2,2], ARRAY[1,2], journal => 'gd2');
SELECT alter_journal('gd', '{"guarded": false}');
SAVEPOINT s;
SELECT transfer(NULL::gd_acct, 1, 2, 5, journal => 'gd');
ROLLBACK TO s;
SELECT amount FROM transfer(NULL::gd_acct, 1, 2, 5, journal => 'gd2');
ROLLBACK;
-- a journal that names no accounts cannot guard them
CREATE TABLE gd_free (from_id integer, to_id integer, amount numeric);
SELECT guard_journal('gd_free');
SELECT alter_journal('gd_free', '{"guarded": true}');

-- A plain table keeps its two UPDATEs: no statement more than without guards.
CREATE TABLE gd_fast (id integer PRIMARY KEY, balance bigint NOT NULL);
INSERT INTO gd_fast VALUES (1, 100), (2, 100);
SELECT create_journal('gd_fast_j', NULL::gd_fast);
CREATE FUNCTION gd_scans() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before bigint := (SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE relid = 'gd_fast'::regclass);
BEGIN
  PERFORM transfer(NULL::gd_fast, 1, 2, 1, journal => 'gd_fast_j');
  RETURN (SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE relid = 'gd_fast'::regclass) - before;
END $$;
BEGIN;
ALTER TABLE gd_fast_j DROP CONSTRAINT gd_fast_j_from_id_fkey, DROP CONSTRAINT gd_fast_j_to_id_fkey;
SELECT gd_scans();
SELECT alter_journal('gd_fast_j', '{"guarded": true}');
SELECT gd_scans();
CREATE TRIGGER z AFTER UPDATE ON gd_fast FOR EACH ROW EXECUTE FUNCTION gd_late();
SELECT gd_scans() > 2 AS reads_again;
ROLLBACK;

-- Partitions and children, with their columns in another order; quoted names.
CREATE SCHEMA "Gd, 2";
CREATE TABLE "Gd, 2"."An acct" ("The id" integer PRIMARY KEY, "b, ""al" numeric NOT NULL, note text) PARTITION BY RANGE ("The id");
CREATE TABLE "Gd, 2".p1 PARTITION OF "Gd, 2"."An acct" FOR VALUES FROM (1) TO (10);
CREATE TABLE "Gd, 2".p2 (note text, "b, ""al" numeric NOT NULL, "The id" integer NOT NULL);
ALTER TABLE "Gd, 2"."An acct" ATTACH PARTITION "Gd, 2".p2 FOR VALUES FROM (10) TO (20);
INSERT INTO "Gd, 2"."An acct" VALUES (1, 100), (2, 100), (11, 100), (12, 100);
SELECT create_journal('"Gd, 2"."A, j"', NULL::"Gd, 2"."An acct", request_id_type => 'text', balance_column => 'b, "al',
  partition_by => 'LIST (to_id)', foreign_keys => false, guarded => true);
CREATE TABLE "Gd, 2".j1 PARTITION OF "Gd, 2"."A, j" FOR VALUES IN (1, 2);
CREATE TABLE "Gd, 2".j2 (LIKE "Gd, 2"."A, j" INCLUDING CONSTRAINTS);
ALTER TABLE "Gd, 2".j2 DROP amount, ADD amount numeric NOT NULL CONSTRAINT "A, j_amount_check" CHECK (amount > 0);
ALTER TABLE "Gd, 2"."A, j" ATTACH PARTITION "Gd, 2".j2 DEFAULT;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = '"Gd, 2".p2'::regclass AND NOT tgisinternal ORDER BY tgname;
SELECT from_account, to_account FROM transfer(NULL::"Gd, 2"."An acct", 1, 11, 10, balance_column => 'b, "al', journal => '"Gd, 2"."A, j"', request_id => 'a');
SELECT replayed FROM transfer(NULL::"Gd, 2"."An acct", 1, 11, 10, balance_column => 'b, "al', journal => '"Gd, 2"."A, j"', request_id => 'a');
SELECT status, from_balance, to_balance FROM transfer_many(NULL::"Gd, 2"."An acct", ARRAY[11,1,2,12], ARRAY[1,2,12,11], ARRAY[1,2,3,4],
  balance_column => 'b, "al', journal => '"Gd, 2"."A, j"');
SELECT from_account, to_account FROM reverse_transfer(NULL::"Gd, 2"."An acct", '"Gd, 2"."A, j"', 1, balance_column => 'b, "al');
SELECT * FROM verify_journal('"Gd, 2"."A, j"', NULL::"Gd, 2"."An acct", balance_column => 'b, "al', opening => 100);
UPDATE "Gd, 2"."An acct" SET "b, ""al" = 7 WHERE "The id" = 12;
UPDATE "Gd, 2".p2 SET "b, ""al" = 7;
UPDATE "Gd, 2"."An acct" SET "The id" = 13 WHERE "The id" = 2;
UPDATE "Gd, 2"."An acct" SET note = 'x';
INSERT INTO "Gd, 2".p2 ("The id", "b, ""al") VALUES (13, 1);
INSERT INTO "Gd, 2".j2 (id, kind, from_id, to_id, amount, from_balance, to_balance, created_at) OVERRIDING SYSTEM VALUE VALUES (99, 'transfer', 1, 11, 5, 0, 0, now());
INSERT INTO "Gd, 2"."A, j" (from_id, to_id, amount, from_balance, to_balance) VALUES (11, 1, 5, 0, 0);
TRUNCATE "Gd, 2".p2;
-- a partition that comes later
CREATE TABLE "Gd, 2".p3 PARTITION OF "Gd, 2"."An acct" FOR VALUES FROM (20) TO (30);
INSERT INTO "Gd, 2"."An acct" VALUES (20, 1);
INSERT INTO "Gd, 2"."An acct" VALUES (20, 0);
SELECT alter_journal('"Gd, 2"."A, j"', '{"guarded": true}');
SELECT tgname FROM pg_trigger WHERE tgrelid = '"Gd, 2".p3'::regclass AND NOT tgisinternal ORDER BY tgname;
SELECT alter_journal('"Gd, 2"."A, j"', '{"guarded": false}');
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ '^(balance|entry)_guard' AND tgrelid::regclass::text ~ '^"Gd, 2"' ORDER BY 1, 2;

CREATE TABLE gd_parent (id integer PRIMARY KEY, balance money NOT NULL DEFAULT 0);
CREATE TABLE gd_child (note text, balance money NOT NULL DEFAULT 0, id integer PRIMARY KEY);
ALTER TABLE gd_child INHERIT gd_parent;
INSERT INTO gd_parent VALUES (1, 100);
INSERT INTO gd_child (id, balance) VALUES (2, 100);
SELECT create_journal('gd_parent_j', NULL::gd_parent, foreign_keys => false, guarded => true);
SELECT from_account, to_account FROM transfer(NULL::gd_parent, 1, 2, 10, journal => 'gd_parent_j');
SELECT status, from_balance, to_balance FROM transfer_many(NULL::gd_parent, ARRAY[1,2], ARRAY[2,1], ARRAY[5,7], journal => 'gd_parent_j');
UPDATE gd_child SET balance = 0::money;
UPDATE gd_parent SET balance = 0::money;
DELETE FROM gd_parent;

-- The triggers' functions where they do not belong
SELECT balance_guard();
\echo :SQLSTATE
SELECT entry_guard();
\echo :SQLSTATE
CREATE TABLE gd_wrong (id integer, balance numeric);
CREATE TRIGGER w BEFORE INSERT ON gd_wrong FOR EACH ROW EXECUTE FUNCTION balance_guard('journal=public.gd', 'id_column=id', 'columns=balance');
INSERT INTO gd_wrong VALUES (1, 0);
\echo :SQLSTATE
CREATE OR REPLACE TRIGGER w BEFORE INSERT ON gd_wrong FOR EACH ROW EXECUTE FUNCTION entry_guard();
INSERT INTO gd_wrong VALUES (1, 0);
\echo :SQLSTATE
\set VERBOSITY default
CREATE OR REPLACE TRIGGER w AFTER INSERT ON gd_wrong FOR EACH ROW EXECUTE FUNCTION balance_guard('journal=gd', 'id_column=id', 'columns=balance');
INSERT INTO gd_wrong VALUES (1, 0);
\echo :SQLSTATE
\set VERBOSITY terse
CREATE OR REPLACE TRIGGER w AFTER INSERT ON gd_wrong FOR EACH ROW EXECUTE FUNCTION balance_guard('journal=public.gd', 'id_column=id', 'columns=id, balance', 'x=y');
INSERT INTO gd_wrong VALUES (1, 0);
CREATE OR REPLACE TRIGGER w AFTER INSERT ON gd_wrong FOR EACH ROW EXECUTE FUNCTION balance_guard('journal=public.gd', 'id_column=id', 'columns=none');
INSERT INTO gd_wrong VALUES (1, 0);

-- The other way: no grants on the tables at all, and a function of the owner's
-- that says who may pay from which account. session_user is who has connected,
-- whatever SET ROLE and SECURITY DEFINER have made of current_user.
CREATE FUNCTION gd_pay(payer integer, payee integer, amount numeric, request_id text) RETURNS numeric
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM public.gd_acct AS a WHERE a.id = payer AND a.owner = session_user;
  IF NOT FOUND THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s may not pay from account %s', session_user, payer);
  END IF;
  RETURN (t.from_account).balance
    FROM public.transfer(NULL::public.gd_acct, payer, payee, amount, journal => 'public.gd',
                         request_id => gd_pay.request_id) AS t;
END $$;
REVOKE EXECUTE ON FUNCTION gd_pay(integer, integer, numeric, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gd_pay(integer, integer, numeric, text) TO regress_racefree_gd2;
REVOKE ALL ON gd_acct, gd FROM regress_racefree_gd2;
UPDATE gd_acct SET owner = 'regress_racefree_gd' WHERE id = 2;
SET SESSION AUTHORIZATION regress_racefree_gd2;
SELECT gd_pay(3, 2, 10, 'mine');
SELECT gd_pay(3, 2, 10, 'mine');
SELECT gd_pay(2, 3, 10, 'yours');
\echo :SQLSTATE
SELECT transfer(NULL::gd_acct, 2, 3, 1, journal => 'gd');
\echo :SQLSTATE
SET SESSION AUTHORIZATION regress_racefree_gd;
SELECT gd_pay(2, 3, 10, 'mine too');
\echo :SQLSTATE
RESET SESSION AUTHORIZATION;
SELECT * FROM verify_journal('gd', NULL::gd_acct);

-- What the owner makes of the table itself fires no trigger; the journal tells.
CREATE TABLE gd_alter (id integer, part integer NOT NULL, balance numeric NOT NULL DEFAULT 0, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE gd_alter_1 PARTITION OF gd_alter FOR VALUES IN (1);
SELECT create_journal('gd_alter_j', NULL::gd_alter, id_column => 'id', foreign_keys => false, guarded => true);
INSERT INTO gd_alter VALUES (1, 1), (2, 1);
SELECT amount FROM transfer(NULL::gd_alter, 1, 2, 10, min_balance => '-Infinity', id_column => 'id', journal => 'gd_alter_j');
BEGIN;
ALTER TABLE gd_alter ALTER balance TYPE numeric USING balance * 2;
SELECT * FROM verify_journal('gd_alter_j', NULL::gd_alter, id_column => 'id');
ROLLBACK;
BEGIN;
ALTER TABLE gd_alter DROP balance;
ALTER TABLE gd_alter ADD balance numeric NOT NULL DEFAULT 7;
SELECT * FROM verify_journal('gd_alter_j', NULL::gd_alter, id_column => 'id');
UPDATE gd_alter SET balance = 0;
ROLLBACK;
BEGIN;
ALTER TABLE gd_alter DETACH PARTITION gd_alter_1;
UPDATE gd_alter_1 SET balance = 7 WHERE id = 2;
ALTER TABLE gd_alter ATTACH PARTITION gd_alter_1 FOR VALUES IN (1);
SELECT * FROM verify_journal('gd_alter_j', NULL::gd_alter, id_column => 'id');
UPDATE gd_alter SET balance = 0;
ROLLBACK;
DROP TABLE gd_alter_j, gd_alter;

DROP SCHEMA "Gd, 2" CASCADE;
DROP TABLE gd, gd_acct, gd_free, gd_fast_j, gd_fast, gd_parent_j, gd_child, gd_parent, gd_wrong;
DROP FUNCTION gd_try, gd_before, gd_after, gd_free, gd_instead, gd_change, gd_entry, gd_late, gd_fee, gd_nested, gd_scans, gd_pay;
DROP OWNED BY regress_racefree_gd, regress_racefree_gd2;
DROP ROLE regress_racefree_gd, regress_racefree_gd2;
