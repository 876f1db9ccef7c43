-- key_guard: a trigger that keeps a key unique, whoever writes.
\set SHOW_CONTEXT never
CREATE VIEW kg_locks AS
  SELECT relation, key_hash IS NULL AS whole, mode, count(*) FROM racefree_locks WHERE pid = pg_backend_pid() GROUP BY 1, 2, 3;
CREATE TABLE kg (id serial, k text, n integer, note text);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('k');

-- INSERT, of one row and of several, also with duplicates among them
INSERT INTO kg (k) VALUES ('a');
INSERT INTO kg (k) VALUES ('a');
\echo :SQLSTATE
INSERT INTO kg (k) VALUES ('b'), ('c');
INSERT INTO kg (k) VALUES ('d'), ('e'), ('d');
\echo :SQLSTATE
INSERT INTO kg (k) SELECT k || '2' FROM kg;
INSERT INTO kg (k) SELECT k FROM kg;
\echo :SQLSTATE
SELECT k FROM kg ORDER BY k;
-- NULLs are equal, the empty string is not one
INSERT INTO kg (k) VALUES (NULL), ('');
INSERT INTO kg (k) VALUES (NULL);
\echo :SQLSTATE
-- the details of an error, as of a unique index
DO $$
DECLARE
  t text; s text;
BEGIN
  INSERT INTO kg (k) VALUES ('a');
EXCEPTION WHEN unique_violation THEN
  GET STACKED DIAGNOSTICS t = TABLE_NAME, s = SCHEMA_NAME;
  RAISE NOTICE '% %', s, t;
END $$;
-- COPY
\set VERBOSITY sqlstate
COPY kg (k, note) FROM stdin;
copy1	x
copy2	x
\.
COPY kg (k, note) FROM stdin;
copy3	x
copy1	x
\.
COPY kg (k, note) FROM stdin;
copy4	x
copy4	x
\.
\set VERBOSITY default
SELECT k FROM kg WHERE k LIKE 'copy%' ORDER BY k;

-- UPDATE of the key, to a free one and to one that is taken
UPDATE kg SET k = 'z' WHERE k = 'c2';
UPDATE kg SET k = 'a' WHERE k = 'z';
\echo :SQLSTATE
UPDATE kg SET k = NULL WHERE k = 'z';
\echo :SQLSTATE
UPDATE kg SET k = 'same' WHERE k IN ('z', 'b2');
\echo :SQLSTATE
-- a key that was given up can be taken
UPDATE kg SET k = 'c2' WHERE k = 'z';
INSERT INTO kg (k) VALUES ('z');
DELETE FROM kg WHERE k = 'z';
INSERT INTO kg (k) VALUES ('z');
-- MERGE
MERGE INTO kg USING (VALUES ('z', 'matched'), ('merged', 'new')) s (k, note) ON kg.k = s.k
  WHEN MATCHED THEN UPDATE SET note = s.note WHEN NOT MATCHED THEN INSERT (k, note) VALUES (s.k, s.note);
MERGE INTO kg USING (VALUES ('z', 'a')) s (k, new) ON kg.k = s.k WHEN MATCHED THEN UPDATE SET k = s.new;
\echo :SQLSTATE
-- ON CONFLICT: the guard comes first, and knows no way around
INSERT INTO kg (k) VALUES ('a') ON CONFLICT DO NOTHING;
\echo :SQLSTATE
INSERT INTO kg (k) VALUES ('fresh') ON CONFLICT DO NOTHING;
SELECT k, note FROM kg WHERE note IN ('matched', 'new') OR k = 'fresh' ORDER BY k;

-- an INSERT takes the lock that get_or_create would; so does an UPDATE, of the
-- new key; one that leaves the key alone takes none
BEGIN;
INSERT INTO kg (k) VALUES ('lock');
SELECT relation, whole, mode, count FROM kg_locks ORDER BY whole;
SELECT key_hash AS guard FROM racefree_locks WHERE key_hash IS NOT NULL \gset
ROLLBACK;
BEGIN;
SELECT lock_keys('{"kg": [{"k": "lock"}]}');
SELECT key_hash = :guard AS same FROM racefree_locks WHERE key_hash IS NOT NULL;
INSERT INTO kg (k) VALUES ('lock');
SELECT relation, whole, mode, count FROM kg_locks ORDER BY whole;
ROLLBACK;
BEGIN;
UPDATE kg SET note = 'x', n = 1;
UPDATE kg SET k = k;
UPDATE kg SET k = 'a' WHERE k = 'a';
DELETE FROM kg WHERE k = 'b';
SELECT count(*) FROM kg_locks;
UPDATE kg SET k = 'lock' WHERE k = 'a';
SELECT relation, whole, mode, count FROM kg_locks ORDER BY whole;
SELECT key_hash = :guard AS same FROM racefree_locks WHERE key_hash IS NOT NULL;
ROLLBACK;
-- a large load goes over to the whole
BEGIN;
INSERT INTO kg (k) SELECT 'load ' || i FROM generate_series(1, 4100) i;
SELECT relation, whole, mode, count FROM kg_locks ORDER BY whole, mode;
INSERT INTO kg (k) VALUES ('load 4050');
\echo :SQLSTATE
ROLLBACK;

-- together with the functions
SELECT (object).k, created FROM get_or_create(NULL::kg, '{"k": "a"}');
SELECT (object).k, created FROM get_or_create(NULL::kg, '{"k": "new"}');
SELECT (object).k, (object).n, created FROM update_or_create(NULL::kg, '{"k": "new"}', '{"n": 5}');
SELECT ordinality, (object).k, created FROM get_or_create_many(NULL::kg, '[{"k": "many"}, {"k": "a"}, {"k": "more"}, {"k": "many"}]', '{k}');
SELECT ordinality, (object).k, (object).n, created FROM update_or_create_many(NULL::kg, '[{"k": "many", "n": 6}, {"k": "most", "n": 7}]', '{k}');
-- by another key, the guarded one is in the way
SELECT * FROM get_or_create(NULL::kg, '{"n": 77}', '{"k": "a"}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::kg, '[{"n": 6, "k": "a"}]', '{n}');
\echo :SQLSTATE
SELECT k, count(*) FROM kg GROUP BY k HAVING count(*) > 1;

-- isolation levels, where nobody is in the way
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO kg (k) VALUES ('rr');
SAVEPOINT s;
INSERT INTO kg (k) VALUES ('rr');
\echo :SQLSTATE
ROLLBACK TO s;
INSERT INTO kg (k) VALUES ('a');
\echo :SQLSTATE
ROLLBACK TO s;
DELETE FROM kg WHERE k = 'rr';
INSERT INTO kg (k) VALUES ('rr');
COMMIT;

-- session_replication_role: as for any trigger
SET session_replication_role = replica;
INSERT INTO kg (k) VALUES ('a');
ALTER TABLE kg ENABLE ALWAYS TRIGGER guard;
INSERT INTO kg (k) VALUES ('b');
\echo :SQLSTATE
RESET session_replication_role;
ALTER TABLE kg DISABLE TRIGGER guard;
INSERT INTO kg (k) VALUES ('b');
ALTER TABLE kg ENABLE TRIGGER guard;
-- duplicates that are there already stay, and may be changed but for the key
UPDATE kg SET note = 'dup' WHERE k = 'b';
UPDATE kg SET k = 'b one' WHERE id = (SELECT max(id) FROM kg WHERE k = 'b');
INSERT INTO kg (k) VALUES ('b');
\echo :SQLSTATE
DROP TABLE kg;

-- a key of several columns, NULLs included
CREATE TABLE kg (b text, gone integer, a integer, note text);
ALTER TABLE kg DROP COLUMN gone;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('a', 'b');
INSERT INTO kg (a, b) VALUES (1, 'x'), (1, 'y'), (2, 'x'), (NULL, 'x'), (1, NULL), (NULL, NULL);
INSERT INTO kg (a, b) VALUES (1, 'y');
\echo :SQLSTATE
INSERT INTO kg (a, b) VALUES (NULL, 'x');
\echo :SQLSTATE
INSERT INTO kg (a, b) VALUES (NULL, NULL);
\echo :SQLSTATE
UPDATE kg SET a = 2 WHERE a = 1 AND b = 'x';
\echo :SQLSTATE
BEGIN;
INSERT INTO kg (a, b) VALUES (5, 'five');
SELECT key_hash AS guard FROM racefree_locks WHERE key_hash IS NOT NULL \gset
ROLLBACK;
BEGIN;
SELECT created FROM get_or_create(NULL::kg, '{"b": "five", "a": 5}');
SELECT key_hash = :guard AS same FROM racefree_locks WHERE key_hash IS NOT NULL;
ROLLBACK;
-- the table changes
ALTER TABLE kg ADD c integer;
INSERT INTO kg (a, b, c) VALUES (1, 'y', 3);
\echo :SQLSTATE
ALTER TABLE kg ALTER a TYPE numeric(6,2);
INSERT INTO kg (a, b, c) VALUES (1.001, 'y', 3);
\echo :SQLSTATE
ALTER TABLE kg RENAME a TO aa;
INSERT INTO kg (aa, b) VALUES (7, 'x');
\echo :SQLSTATE
ALTER TABLE kg RENAME aa TO a;
ALTER TABLE kg DROP COLUMN b;
INSERT INTO kg (a) VALUES (7);
\echo :SQLSTATE
DROP TABLE kg;

-- equality is the column's own
CREATE COLLATION kg_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE kg (t text COLLATE kg_ci, m money);
CREATE TRIGGER guard_t BEFORE INSERT OR UPDATE OF t ON kg FOR EACH ROW WHEN (NEW.t IS NOT NULL) EXECUTE FUNCTION key_guard('t');
CREATE TRIGGER guard_m BEFORE INSERT OR UPDATE OF m ON kg FOR EACH ROW WHEN (NEW.m IS NOT NULL) EXECUTE FUNCTION key_guard('m');
INSERT INTO kg VALUES ('Blah', 1), (NULL, NULL), (NULL, NULL);
INSERT INTO kg VALUES ('bLAH', 2);
\echo :SQLSTATE
INSERT INTO kg VALUES ('x', '$1.00');
\echo :SQLSTATE
BEGIN;
UPDATE kg SET t = 'BLAH' WHERE m = 1::money;
SELECT count(*) FROM kg_locks;
INSERT INTO kg VALUES (NULL, 3);
SELECT relation, whole, mode, count FROM kg_locks ORDER BY whole;
COMMIT;
DROP TABLE kg;
DROP COLLATION kg_ci;

-- partitions by another column, of other layouts; moving between them
CREATE TABLE kg (at integer, code text, note text) PARTITION BY RANGE (at);
CREATE TABLE kg_1 PARTITION OF kg FOR VALUES FROM (0) TO (10);
CREATE TABLE kg_2 (note text, gone integer, code text, at integer);
ALTER TABLE kg_2 DROP COLUMN gone;
ALTER TABLE kg ATTACH PARTITION kg_2 FOR VALUES FROM (10) TO (20);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('code');
CREATE TABLE kg_3 PARTITION OF kg FOR VALUES FROM (20) TO (30) PARTITION BY LIST (note);
CREATE TABLE kg_3a (code text, note text, at integer);
ALTER TABLE kg_3 ATTACH PARTITION kg_3a DEFAULT;
INSERT INTO kg VALUES (1, 'a', NULL), (11, 'b', NULL), (21, 'c', 'x');
INSERT INTO kg VALUES (12, 'a');
\echo :SQLSTATE
INSERT INTO kg VALUES (22, 'b');
\echo :SQLSTATE
INSERT INTO kg_2 (at, code) VALUES (12, 'c');
\echo :SQLSTATE
INSERT INTO kg_3a (at, code) VALUES (22, 'a');
\echo :SQLSTATE
INSERT INTO kg VALUES (2, 'd'), (12, 'd');
\echo :SQLSTATE
UPDATE kg SET code = 'b' WHERE code = 'a';
\echo :SQLSTATE
-- the row moves with its key, which is locked then; to a key that is taken it
-- does not
BEGIN;
UPDATE kg SET note = 'y' WHERE code = 'a';
SELECT count(*) FROM kg_locks;
UPDATE kg SET at = at + 10 WHERE code = 'a';
SELECT relation, whole, mode, count FROM kg_locks ORDER BY whole;
COMMIT;
UPDATE kg SET at = 2, code = 'b' WHERE code = 'c';
\echo :SQLSTATE
UPDATE kg SET at = 2, code = 'c2' WHERE code = 'c';
SELECT tableoid::regclass, at, code FROM kg ORDER BY code;
-- the lock is the root's, by whatever way
BEGIN;
INSERT INTO kg VALUES (1, 'lock');
SELECT relation, whole, mode, count FROM kg_locks ORDER BY whole;
SELECT key_hash AS guard FROM racefree_locks WHERE key_hash IS NOT NULL \gset
ROLLBACK;
BEGIN;
INSERT INTO kg_3a (at, code) VALUES (22, 'lock');
SELECT relation, whole, mode, count, guard.key_hash = :guard AS same
  FROM kg_locks, (SELECT key_hash FROM racefree_locks WHERE key_hash IS NOT NULL) guard ORDER BY whole;
ROLLBACK;
BEGIN;
UPDATE kg SET note = 'same place';
SELECT count(*) FROM kg_locks;
ROLLBACK;
SELECT (object).*, created FROM get_or_create(NULL::kg, '{"code": "b"}', '{"at": 1}');
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::kg, '[{"code": "a", "at": 1}, {"code": "e", "at": 25, "note": "n"}]', '{code}');
-- a partition that is detached is a table of its own
ALTER TABLE kg DETACH PARTITION kg_2;
INSERT INTO kg VALUES (1, 'b');
INSERT INTO kg VALUES (1, 'e');
\echo :SQLSTATE
DROP TABLE kg, kg_2;

-- an inheritance tree: each table has the trigger
CREATE TABLE kg (code text, note text);
CREATE TABLE kg_child (extra integer) INHERITS (kg);
CREATE TABLE kg_grandchild () INHERITS (kg_child);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('code');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON kg_child FOR EACH ROW EXECUTE FUNCTION key_guard('code');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON kg_grandchild FOR EACH ROW EXECUTE FUNCTION key_guard('code');
INSERT INTO kg VALUES ('a'), (NULL);
INSERT INTO kg_child VALUES ('b');
INSERT INTO kg_grandchild VALUES ('c');
INSERT INTO kg_child VALUES ('a');
\echo :SQLSTATE
INSERT INTO kg_grandchild VALUES ('a');
\echo :SQLSTATE
INSERT INTO kg_grandchild VALUES (NULL);
\echo :SQLSTATE
INSERT INTO kg VALUES ('c');
\echo :SQLSTATE
UPDATE kg SET code = 'a' WHERE code = 'c';
\echo :SQLSTATE
BEGIN;
INSERT INTO kg_grandchild VALUES ('d');
SELECT relation, whole, mode, count FROM kg_locks ORDER BY whole;
ROLLBACK;
DROP TABLE kg, kg_child, kg_grandchild;

-- definitions that are refused when they fire: 39P01
CREATE TABLE kg (k text, l text, g text GENERATED ALWAYS AS (k || l) STORED, j json);
SELECT key_guard();
\echo :SQLSTATE
CREATE TRIGGER guard AFTER INSERT ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('k');
INSERT INTO kg (k) VALUES ('a');
\echo :SQLSTATE
DROP TRIGGER guard ON kg;
CREATE TRIGGER guard BEFORE INSERT ON kg FOR EACH STATEMENT EXECUTE FUNCTION key_guard('k');
INSERT INTO kg (k) VALUES ('a');
\echo :SQLSTATE
DROP TRIGGER guard ON kg;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON kg FOR EACH ROW EXECUTE FUNCTION key_guard();
INSERT INTO kg (k) VALUES ('a');
\echo :SQLSTATE
DROP TRIGGER guard ON kg;
INSERT INTO kg (k) VALUES ('a');
CREATE TRIGGER guard BEFORE DELETE ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('k');
DELETE FROM kg;
\echo :SQLSTATE
DROP TRIGGER guard ON kg;
CREATE VIEW kg_view AS SELECT k FROM kg;
CREATE TRIGGER guard INSTEAD OF INSERT ON kg_view FOR EACH ROW EXECUTE FUNCTION key_guard('k');
INSERT INTO kg_view VALUES ('b');
\echo :SQLSTATE
DROP VIEW kg_view;
-- unknown, system, repeated and generated columns, and such without equality
CREATE TRIGGER guard BEFORE INSERT ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('nope');
INSERT INTO kg (k) VALUES ('b');
\echo :SQLSTATE
DROP TRIGGER guard ON kg;
CREATE TRIGGER guard BEFORE INSERT ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('tableoid');
INSERT INTO kg (k) VALUES ('b');
\echo :SQLSTATE
DROP TRIGGER guard ON kg;
CREATE TRIGGER guard BEFORE INSERT ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('k', 'g');
INSERT INTO kg (k) VALUES ('b');
\echo :SQLSTATE
DROP TRIGGER guard ON kg;
CREATE TRIGGER guard BEFORE INSERT ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('j');
INSERT INTO kg (k) VALUES ('b');
\echo :SQLSTATE
DROP TRIGGER guard ON kg;
CREATE TRIGGER guard BEFORE INSERT ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('k', 'k');
\set VERBOSITY sqlstate
INSERT INTO kg (k) VALUES ('b');
\set VERBOSITY default
DROP TRIGGER guard ON kg;
SELECT k FROM kg ORDER BY k;
-- names that need quotes
ALTER TABLE kg RENAME l TO "L "" l";
CREATE TRIGGER "Gu ""ard" BEFORE INSERT ON kg FOR EACH ROW EXECUTE FUNCTION key_guard('L " l');
INSERT INTO kg ("L "" l") VALUES ('x');
INSERT INTO kg ("L "" l") VALUES ('x');
\echo :SQLSTATE
DROP VIEW kg_locks;
DROP TABLE kg;
