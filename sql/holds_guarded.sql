-- A guarded journal guards what is held, and its open holds, too.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA hg;
SET search_path = hg, public;
CREATE TABLE acct (held numeric NOT NULL DEFAULT 0, id integer PRIMARY KEY, note text, balance numeric NOT NULL DEFAULT 0);
INSERT INTO acct (id, balance) VALUES (1, 1000), (2, 100), (3, 0), (4, 0);
SELECT create_journal('hg.j', NULL::acct, request_id_type => 'text', held_column => 'held', guarded => true);
SELECT tgrelid::regclass AS on, pg_get_triggerdef(oid) FROM pg_trigger
  WHERE tgrelid IN ('j'::regclass, 'acct'::regclass, 'j_holds'::regclass) AND NOT tgisinternal ORDER BY 1, tgname;

-- the grants that holds need, and no more
CREATE ROLE regress_racefree_hg;
GRANT USAGE ON SCHEMA hg TO regress_racefree_hg;
GRANT SELECT, UPDATE (balance, held) ON acct TO regress_racefree_hg;
GRANT SELECT, INSERT ON j TO regress_racefree_hg;
GRANT SELECT, INSERT, UPDATE (amount), DELETE ON j_holds TO regress_racefree_hg;
SET ROLE regress_racefree_hg;
SELECT from_account, entry->'id' AS id FROM hold_transfer(NULL::acct, 1, 2, 60, 'j', request_id => 'h');
SELECT replayed FROM hold_transfer(NULL::acct, 1, 2, 60, 'j', request_id => 'h');
SELECT from_account, to_account FROM post_transfer(NULL::acct, 'j', 1, 10, final => false);
SELECT from_account, to_account FROM post_transfer(NULL::acct, 'j', 1, 70, beyond => true);
SELECT from_account FROM hold_transfer(NULL::acct, 1, 2, 5, 'j');
SELECT from_account FROM post_transfer(NULL::acct, 'j', 4, 2);
SELECT from_account FROM hold_transfer(NULL::acct, 2, 1, 7, 'j', expires_at => '2999-01-01');
SELECT from_account FROM void_transfer(NULL::acct, 'j', 7);
SELECT status, from_available FROM transfer_many(NULL::acct, ARRAY[1, 1, 2, 1], ARRAY[2, 3, 3, 2], ARRAY[10, 20, 30, 40],
  kinds => ARRAY['hold', 'hold', 'hold', 'transfer'], chains => ARRAY[1, 1, 2, NULL], journal => 'j');
SELECT * FROM j_holds ORDER BY entry_id;
SELECT status, amount, from_available FROM transfer_many(NULL::acct, ARRAY[NULL, NULL, NULL]::integer[], ARRAY[NULL, NULL, NULL]::integer[], ARRAY[4, NULL, 5],
  kinds => ARRAY['post', 'void', 'post'], entry_ids => ARRAY[9, 10, 11], final => ARRAY[false, NULL, false], journal => 'j');
SELECT status, amount, from_available FROM transfer_many(NULL::acct, ARRAY[NULL, NULL]::integer[], ARRAY[NULL, NULL]::integer[], ARRAY[1, 1],
  kinds => ARRAY['post', 'post'], entry_ids => ARRAY[9, 11], final => ARRAY[false, false], journal => 'j');
SELECT * FROM j_holds ORDER BY entry_id;

-- and nothing else
\set VERBOSITY default
UPDATE acct SET held = 0 WHERE id = 1;
\echo :SQLSTATE
INSERT INTO j_holds VALUES (4711, 1, 2, 5);
\echo :SQLSTATE
\set VERBOSITY terse
UPDATE acct SET held = held + 1;
UPDATE acct SET held = 0, balance = 0;
UPDATE j_holds SET amount = 1000;
UPDATE j_holds SET amount = amount;
DELETE FROM j_holds;
INSERT INTO j_holds SELECT entry_id + 1, from_id, to_id, amount FROM j_holds;
INSERT INTO j_holds SELECT * FROM j_holds ON CONFLICT (entry_id) DO UPDATE SET amount = 1;
COPY j_holds (entry_id, from_id, to_id, amount) FROM stdin;
4711	1	2	5
\.
MERGE INTO j_holds AS h USING (VALUES (9)) AS v (id) ON v.id = h.entry_id WHEN MATCHED THEN DELETE;
INSERT INTO j (kind, from_id, to_id, amount, from_balance) VALUES ('hold', 1, 2, 5, 0);
RESET ROLE;
TRUNCATE j_holds;
INSERT INTO acct (id, held) VALUES (5, 1);
DELETE FROM acct WHERE id = 1;
INSERT INTO acct (id, note) VALUES (5, 'rich soon');
UPDATE acct SET note = 'rich', id = 6 WHERE id = 5;
DELETE FROM acct WHERE id = 6;

-- user code that runs while racefree writes, and writes the same
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    EXECUTE format('%s', TG_ARGV[0]);
    RAISE WARNING 'done: %', TG_ARGV[0];
  EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING '%', SQLERRM;
  END;
  RETURN COALESCE(NEW, OLD);
END $$;
CREATE TRIGGER meddle BEFORE INSERT ON j_holds FOR EACH ROW WHEN (pg_trigger_depth() = 0)
  EXECUTE FUNCTION meddle('INSERT INTO hg.j_holds SELECT max(id), 1, 2, 5 FROM hg.j');
SELECT from_account FROM hold_transfer(NULL::acct, 1, 2, 5, 'j');
DROP TRIGGER meddle ON j_holds;
CREATE TRIGGER meddle BEFORE DELETE ON j_holds FOR EACH ROW WHEN (pg_trigger_depth() = 0)
  EXECUTE FUNCTION meddle('DELETE FROM hg.j_holds');
SELECT from_account FROM void_transfer(NULL::acct, 'j', (SELECT max(entry_id) FROM j_holds));
DROP TRIGGER meddle ON j_holds;
CREATE TRIGGER meddle BEFORE UPDATE ON acct FOR EACH ROW WHEN (pg_trigger_depth() = 0)
  EXECUTE FUNCTION meddle('UPDATE hg.acct SET held = held + 5 WHERE id = 3');
SELECT from_account FROM hold_transfer(NULL::acct, 1, 2, 5, 'j');
DROP TRIGGER meddle ON acct;
-- and code that changes what is written
CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'acct' THEN
    NEW.held := NEW.held + 1;
  ELSE
    NEW.amount := NEW.amount + 1;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER more BEFORE INSERT OR UPDATE ON j_holds FOR EACH ROW EXECUTE FUNCTION more();
SELECT from_account FROM hold_transfer(NULL::acct, 1, 2, 5, 'j');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::acct, ARRAY[1, 1], ARRAY[2, 3], ARRAY[10, 20], kinds => ARRAY['hold', 'hold'], journal => 'j');
SELECT from_account FROM post_transfer(NULL::acct, 'j', 9, 1, final => false);
DROP TRIGGER more ON j_holds;
CREATE TRIGGER more BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION more();
SELECT from_account FROM hold_transfer(NULL::acct, 1, 2, 5, 'j');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::acct, ARRAY[1, 1], ARRAY[2, 3], ARRAY[10, 20], kinds => ARRAY['hold', 'hold'], journal => 'j');
DROP TRIGGER more ON acct;
SELECT * FROM verify_journal('j', NULL::acct);

-- expiry, whoever needs the money
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE j SET expires_at = '2000-01-01' WHERE id IN (9, 11);
UPDATE j_holds SET expires_at = '2000-01-01' WHERE entry_id IN (9, 11);
COMMIT;
SET ROLE regress_racefree_hg;
SELECT from_account FROM transfer(NULL::acct, 1, 2, 100000, journal => 'j', up_to => true);
SELECT expire_holds(NULL::acct, 'j');
SELECT * FROM verify_journal('j', NULL::acct);
RESET ROLE;

-- a table of holds that is not guarded, or somebody else's
ALTER TABLE j_holds DISABLE TRIGGER hold_guard;
SELECT * FROM hold_transfer(NULL::acct, 2, 3, 1, 'j');
\echo :SQLSTATE
ALTER TABLE j_holds ENABLE TRIGGER hold_guard;
ALTER TABLE j_holds OWNER TO regress_racefree_hg;
SELECT * FROM hold_transfer(NULL::acct, 2, 3, 1, 'j');
\echo :SQLSTATE
ALTER TABLE j_holds OWNER TO CURRENT_USER;

-- another journal of the same balances, which does not know of the holds
SELECT create_journal('hg.k', NULL::acct, request_id_type => 'text', guarded => true);
SELECT * FROM transfer(NULL::acct, 2, 3, 1, journal => 'k');
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::acct, 2, 3, 1, journal => 'j');
SELECT alter_journal('k', '{"guarded": false}');
-- a table of holds belongs to the owner of the journal
CREATE ROLE regress_racefree_hg2;
CREATE TABLE theirs (id integer PRIMARY KEY, balance integer NOT NULL, held integer NOT NULL DEFAULT 0);
SELECT create_journal('hg.their_j', NULL::theirs);
ALTER TABLE theirs OWNER TO regress_racefree_hg2;
ALTER TABLE their_j OWNER TO regress_racefree_hg2;
SELECT alter_journal('their_j', '{"held_column": "held"}');
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'their_j_holds';

-- the end of it
SELECT alter_journal('j', '{"guarded": false}');
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('j_holds'::regclass, 'acct'::regclass) AND NOT tgisinternal;
UPDATE acct SET held = held;
UPDATE j_holds SET amount = amount;
-- a journal that is guarded, and gets holds later
CREATE TABLE late (id integer PRIMARY KEY, balance integer NOT NULL DEFAULT 0, held integer NOT NULL DEFAULT 0);
SELECT create_journal('hg.late_j', NULL::late, guarded => true);
INSERT INTO late (id) VALUES (1), (2);
UPDATE late SET held = 1 WHERE id = 1;
UPDATE late SET held = 0 WHERE id = 1;
SELECT alter_journal('late_j', '{"held_column": "held"}');
UPDATE late SET held = 1 WHERE id = 1;
DELETE FROM late_j_holds;
INSERT INTO late_j_holds VALUES (1, 1, 2, 1);
SELECT from_account FROM hold_transfer(NULL::late, 1, 2, 1, 'late_j', min_balance => -10);
SELECT alter_journal('late_j', '{"guarded": true}');
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('late_j_holds'::regclass, 'late'::regclass) AND NOT tgisinternal;

DROP SCHEMA hg CASCADE;
DROP OWNED BY regress_racefree_hg;
DROP ROLE regress_racefree_hg, regress_racefree_hg2;
