-- journal_guard: what is in a journal stays as it is.
\set SHOW_CONTEXT never
CREATE TABLE jg_acct (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL);
INSERT INTO jg_acct VALUES (1, 100), (2, 0);
SELECT create_journal('jg', NULL::jg_acct, request_id_type => 'text');
-- an empty one may not be truncated, either
TRUNCATE jg;
\echo :SQLSTATE
SELECT entry ->> 'id' AS id FROM transfer(NULL::jg_acct, 1, 2, 10, journal => 'jg', request_id => 'r', details => '{"a": 1}');

-- refused: any change, by the owner, too
UPDATE jg SET amount = 9;
\echo :SQLSTATE
UPDATE jg SET details = NULL WHERE id = 1;
\echo :SQLSTATE
UPDATE jg SET id = DEFAULT;
\echo :SQLSTATE
DELETE FROM jg;
\echo :SQLSTATE
TRUNCATE jg;
\echo :SQLSTATE
TRUNCATE jg_acct CASCADE;
\echo :SQLSTATE
MERGE INTO jg USING (VALUES (1)) AS v (id) ON v.id = jg.id WHEN MATCHED THEN DELETE;
\echo :SQLSTATE
INSERT INTO jg (request_id, from_id, to_id, amount, from_balance, to_balance) VALUES ('r', 1, 2, 1, 0, 0)
  ON CONFLICT (request_id) DO UPDATE SET amount = 1;
\echo :SQLSTATE
SELECT update_or_create(NULL::jg, '{"id": 1}', '{"amount": 5}');
\echo :SQLSTATE
WITH d AS (DELETE FROM jg RETURNING *) SELECT count(*) FROM d;
\echo :SQLSTATE
-- no row, no change
UPDATE jg SET amount = 9 WHERE id = 2;
DELETE FROM jg WHERE false;
-- rows may be locked, and entries written by hand
SELECT id FROM jg FOR UPDATE;
INSERT INTO jg (from_id, to_id, amount, from_balance, to_balance) VALUES (2, 1, 1, 9, 91)
  ON CONFLICT DO NOTHING;
SELECT id, request_id, from_id, to_id, amount, details FROM jg ORDER BY id;

-- an entry is undone by another entry; within a transaction, by its end
SELECT entry ->> 'reverses' AS reverses FROM reverse_transfer(NULL::jg_acct, 'jg', 1);

-- further columns, indexes, policies; rewriting the table is no change
ALTER TABLE jg ADD COLUMN note text DEFAULT 'none', ADD COLUMN at_night boolean;
ALTER TABLE jg ALTER COLUMN note TYPE varchar(20);
CREATE INDEX ON jg (note);
UPDATE jg SET note = 'changed';
\echo :SQLSTATE
SELECT entry ->> 'note' AS note, entry ? 'at_night' AS has FROM transfer(NULL::jg_acct, 1, 2, 1, journal => 'jg');
CREATE POLICY everything ON jg USING (true);
SELECT amount FROM transfer(NULL::jg_acct, 1, 2, 1, journal => 'jg');

-- the journal as a partition, or a child: changes by way of the parent
CREATE TABLE jg_parent (LIKE jg) PARTITION BY LIST (note);
-- from 17 on, a table that becomes a partition has no identity of its own
ALTER TABLE jg ALTER COLUMN id DROP IDENTITY;
ALTER TABLE jg_parent ATTACH PARTITION jg FOR VALUES IN ('none');
UPDATE jg_parent SET amount = 1;
\echo :SQLSTATE
UPDATE jg_parent SET note = 'other';
\echo :SQLSTATE
DELETE FROM jg_parent;
\echo :SQLSTATE
TRUNCATE jg_parent;
\echo :SQLSTATE
ALTER TABLE jg_parent DETACH PARTITION jg;
DROP TABLE jg_parent;
CREATE TABLE jg_parent (amount numeric);
ALTER TABLE jg ALTER COLUMN amount DROP NOT NULL, INHERIT jg_parent;
UPDATE jg_parent SET amount = 1;
\echo :SQLSTATE
TRUNCATE jg_parent;
\echo :SQLSTATE
TRUNCATE ONLY jg_parent;
ALTER TABLE jg NO INHERIT jg_parent;
DROP TABLE jg_parent;

-- the guard's function, on a table of the user's own
CREATE TABLE jg_own (n integer);
CREATE TRIGGER g BEFORE UPDATE OR DELETE ON jg_own FOR EACH ROW EXECUTE FUNCTION journal_guard();
INSERT INTO jg_own VALUES (1);
UPDATE jg_own SET n = 2;
\echo :SQLSTATE
SELECT journal_guard();
\echo :SQLSTATE
DROP TABLE jg_own;

-- whoever may not change it is told so before
CREATE ROLE regress_racefree_jg;
GRANT SELECT, INSERT ON jg TO regress_racefree_jg;
SET ROLE regress_racefree_jg;
DELETE FROM jg;
\echo :SQLSTATE
RESET ROLE;
DROP OWNED BY regress_racefree_jg;
DROP ROLE regress_racefree_jg;

-- the owner can take the guard away, and the table
ALTER TABLE jg DISABLE TRIGGER journal_guard;
DELETE FROM jg WHERE id = 2;
ALTER TABLE jg ENABLE TRIGGER journal_guard;
-- the extension cannot go while a journal needs its guard; CASCADE takes the
-- guards, and leaves the journal
\set VERBOSITY terse
DROP EXTENSION racefree;
\echo :SQLSTATE
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION racefree CASCADE;
SELECT count(*) AS guards FROM pg_trigger WHERE tgrelid = 'jg'::regclass AND NOT tgisinternal;
SELECT count(*) FROM jg;
ROLLBACK;
DROP TABLE jg, jg_acct;

-- who may create a journal: with CREATE on the schema, and REFERENCES for
-- foreign keys; it belongs to him
CREATE ROLE regress_racefree_jg;
CREATE SCHEMA jg;
CREATE TABLE jg.acct (id integer PRIMARY KEY, balance integer);
INSERT INTO jg.acct VALUES (1, 10), (2, 0);
GRANT USAGE ON SCHEMA jg TO regress_racefree_jg;
GRANT SELECT, UPDATE ON jg.acct TO regress_racefree_jg;
SET ROLE regress_racefree_jg;
SELECT create_journal('jg.j', NULL::jg.acct);
\echo :SQLSTATE
RESET ROLE;
GRANT CREATE ON SCHEMA jg TO regress_racefree_jg;
SET ROLE regress_racefree_jg;
SELECT create_journal('jg.j', NULL::jg.acct);
\echo :SQLSTATE
SELECT create_journal('jg.j_free', NULL::jg.acct, foreign_keys => false);
RESET ROLE;
GRANT REFERENCES (id) ON jg.acct TO regress_racefree_jg;
SET ROLE regress_racefree_jg;
SELECT create_journal('jg.j', NULL::jg.acct);
SELECT relname, relowner = current_user::regrole AS owned FROM pg_class WHERE relnamespace = 'jg'::regnamespace AND relkind = 'r' ORDER BY relname;
SELECT amount FROM transfer(NULL::jg.acct, 1, 2, 1, journal => 'jg.j');
UPDATE jg.j SET amount = 2;
\echo :SQLSTATE
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA jg CASCADE;
DROP OWNED BY regress_racefree_jg;
DROP ROLE regress_racefree_jg;
