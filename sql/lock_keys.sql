-- lock_keys: the locks that later calls would take, all at once.
\set SHOW_CONTEXT never
CREATE TABLE lk (k text, n integer, m money, j json, gone integer);
ALTER TABLE lk DROP COLUMN gone;
CREATE SCHEMA "Lk S";
CREATE TABLE "Lk S"."T ""1""" (id integer);
CREATE TABLE "Lk S".lk (k text, n integer);
CREATE VIEW lk_locks AS
  SELECT relation, key_hash IS NULL AS whole, mode, count(*) FROM racefree_locks WHERE pid = pg_backend_pid() GROUP BY 1, 2, 3;

-- several keys of several tables; the same key twice is one lock; no row is made
BEGIN;
SELECT lock_keys('{"lk": [{"k": "a"}, {"k": "b"}, {"k": "a"}, {"n": 1}, {"k": null}], "\"Lk S\".\"T \"\"1\"\"\"": [{"id": 1}]}');
SELECT relation, whole, mode, count FROM lk_locks ORDER BY relation::text, whole;
-- the later calls add nothing
SELECT created FROM get_or_create(NULL::lk, '{"k": "a"}', '{"n": 5}');
SELECT created FROM update_or_create(NULL::lk, '{"k": "b"}');
SELECT created FROM get_or_create(NULL::lk, '{"k": null}');
SELECT count(*) FILTER (WHERE created) FROM get_or_create_many(NULL::lk, '[{"n": 1}]', '{n}');
SELECT created FROM get_or_create(NULL::"Lk S"."T ""1""", '{"id": 1}');
SELECT relation, whole, mode, count FROM lk_locks ORDER BY relation::text, whole;
-- another key does
SELECT created FROM get_or_create(NULL::lk, '{"k": "c"}');
SELECT relation, whole, mode, count FROM lk_locks WHERE relation = 'lk'::regclass ORDER BY whole;
ROLLBACK;
-- a key of several columns is one key, in any order, and not the same as one of
-- its columns
BEGIN;
SELECT lock_keys('{"lk": [{"k": "a", "n": 1}, {"n": 1, "k": "a"}, {"k": "a"}]}');
SELECT relation, whole, mode, count FROM lk_locks ORDER BY whole;
ROLLBACK;
-- keys of rows that are there are locked, too
INSERT INTO lk (k) VALUES ('there');
BEGIN;
SELECT lock_keys('{"lk": [{"k": "there"}]}');
SELECT relation, whole, mode, count FROM lk_locks ORDER BY whole;
COMMIT;
SELECT count(*) FROM lk_locks;

-- names are read as regclass reads them: case, quotes, schema, search_path, OID
SET search_path = "Lk S", public;
BEGIN;
SELECT lock_keys('{"lk": [{"k": "x"}], "public.LK": [{"k": "x"}], "\"Lk S\".lk": [{"k": "x"}]}');
SELECT relation::oid = 'public.lk'::regclass AS public, whole, mode, count FROM public.lk_locks ORDER BY 1, 2;
ROLLBACK;
RESET search_path;
BEGIN;
SELECT lock_keys(jsonb_build_object('lk'::regclass::oid::text, '[{"k": "x"}]'::jsonb));
SELECT relation, whole, mode, count FROM lk_locks ORDER BY whole;
ROLLBACK;

-- nothing to lock
BEGIN;
SELECT lock_keys('{}');
SELECT lock_keys('{"lk": []}');
SELECT count(*) FROM lk_locks;
-- the empty key is a key
SELECT lock_keys('{"lk": [{}]}');
SELECT relation, whole, mode, count FROM lk_locks ORDER BY whole;
SAVEPOINT s;
-- without a hash, and with more keys than are locked one by one: the whole
SELECT lock_keys('{"\"Lk S\".lk": [{"n": 1}], "lk": [{"m": 1}]}');
SELECT relation, whole, mode, count FROM lk_locks ORDER BY relation::text, whole, mode;
ROLLBACK TO s;
SELECT relation, whole, mode, count FROM lk_locks ORDER BY whole;
COMMIT;
BEGIN;
SELECT lock_keys(jsonb_build_object('lk', (SELECT jsonb_agg(jsonb_build_object('n', n)) FROM generate_series(1, 500) n),
  '"Lk S".lk', (SELECT jsonb_agg(jsonb_build_object('n', n)) FROM generate_series(1, 501) n)));
SELECT relation, whole, mode, count FROM lk_locks ORDER BY relation::text, whole, mode;
ROLLBACK;

-- a partition and its root are one
CREATE TABLE lk_root (a integer, b integer) PARTITION BY LIST (a);
CREATE TABLE lk_leaf (b integer, a integer);
ALTER TABLE lk_root ATTACH PARTITION lk_leaf DEFAULT;
BEGIN;
SELECT lock_keys('{"lk_root": [{"a": 1, "b": 2}], "lk_leaf": [{"a": 1, "b": 2}]}');
SELECT relation, whole, mode, count FROM lk_locks ORDER BY whole;
ROLLBACK;
DROP TABLE lk_root;

-- a read-only transaction may take them
BEGIN READ ONLY;
SELECT lock_keys('{"lk": [{"k": "a"}]}');
SELECT relation, whole, mode, count FROM lk_locks ORDER BY whole;
COMMIT;

-- refused
SELECT lock_keys(NULL);
\echo :SQLSTATE
SELECT lock_keys('[]');
\echo :SQLSTATE
SELECT lock_keys('"lk"');
\echo :SQLSTATE
SELECT lock_keys('{"lk": {"k": "a"}}');
\echo :SQLSTATE
SELECT lock_keys('{"lk": "k"}');
\echo :SQLSTATE
SELECT lock_keys(jsonb_build_object('lk', '[{"k": "a"}]'::text));
SELECT lock_keys('{"lk": null}');
\echo :SQLSTATE
\set VERBOSITY sqlstate
SELECT lock_keys('{"lk": [1]}');
SELECT lock_keys('{"lk": [{"k": "a"}, null]}');
SELECT lock_keys('{"lk": [[{"k": "a"}]]}');
\set VERBOSITY default
SELECT lock_keys('{"lk": [{"nope": 1}]}');
\echo :SQLSTATE
SELECT lock_keys('{"lk": [{"gone": 1}]}');
\echo :SQLSTATE
SELECT lock_keys('{"lk": [{"ctid": 1}]}');
\echo :SQLSTATE
SELECT lock_keys('{"lk": [{"n": "x"}]}');
\echo :SQLSTATE
SELECT lock_keys('{"lk": [{"n": 1.5}]}');
\echo :SQLSTATE
SELECT lock_keys('{"lk": [{"j": 1}]}');
\echo :SQLSTATE
SELECT lock_keys('{"nope": [{"k": "a"}]}');
\echo :SQLSTATE
-- the code depends on the major version
DO $$BEGIN
  PERFORM lock_keys('{"nope.lk": [{"k": "a"}]}');
EXCEPTION WHEN invalid_schema_name OR undefined_table THEN
  RAISE NOTICE 'no such schema, or table';
END$$;
SELECT lock_keys('{"a.b.c.d": [{"k": "a"}]}');
\echo :SQLSTATE
SELECT lock_keys('{"": [{"k": "a"}]}');
\echo :SQLSTATE
SELECT lock_keys('{"\"lk": [{"k": "a"}]}');
\echo :SQLSTATE
-- no table: 42809; no relation at all: whatever regclass says, but no internal error
SELECT lock_keys('{"lk_locks": [{"mode": "a"}]}');
\echo :SQLSTATE
CREATE INDEX lk_index ON lk (k);
CREATE SEQUENCE lk_seq;
\set VERBOSITY sqlstate
SELECT lock_keys('{"lk_index": [{"k": "a"}]}');
SELECT lock_keys('{"lk_seq": [{"last_value": 1}]}');
\set VERBOSITY default
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['-', '0', '4294967295'] LOOP
    BEGIN
      PERFORM lock_keys(jsonb_build_object(name, '[{"k": "a"}]'::jsonb));
    EXCEPTION WHEN OTHERS THEN
      RAISE NOTICE '%: internal error %', name, SQLSTATE = 'XX000';
    END;
  END LOOP;
END $$;
SELECT count(*) FROM lk_locks;
-- what the functions call on the node that has the rows, over Citus
BEGIN;
SELECT lock_keys_here('{"lk": [{"k": "a"}, {"k": "b"}]}');
SELECT count(*) FROM lk_locks;
SELECT lock_keys('{"lk": [{"k": "b"}, {"k": "a"}]}');
SELECT count(*) FROM lk_locks;
ROLLBACK;
SELECT lock_keys_here(NULL);
SELECT lock_keys_here('[]');
CREATE ROLE regress_lk_reader;
CREATE ROLE regress_lk_writer;
CREATE ROLE regress_lk_blind;
CREATE TABLE lk_moves (k text, n integer) PARTITION BY LIST (n);
GRANT SELECT ON lk, lk_moves TO regress_lk_reader;
GRANT SELECT (k), INSERT (k) ON lk TO regress_lk_writer;
GRANT SELECT (k), UPDATE (n) ON lk, lk_moves TO regress_lk_writer;
GRANT INSERT ON lk TO regress_lk_blind;
\set VERBOSITY sqlstate
SET ROLE regress_lk_reader;
SELECT lock_keys_here('{"lk": [{"k": "a"}]}');
SELECT lock_keys_here('{"lk_moves": [{"k": "a"}]}');
SET ROLE regress_lk_blind;
SELECT lock_keys_here('{"lk": [{"k": "a"}]}');
SET ROLE regress_lk_writer;
SELECT lock_keys_here('{"lk": [{"k": "a"}]}');
SELECT lock_keys_here('{"lk": [{"n": 1}]}');
SELECT lock_keys_here('{"lk_moves": [{"k": "a"}]}');
RESET ROLE;
REVOKE INSERT (k) ON lk FROM regress_lk_writer;
SET ROLE regress_lk_writer;
SELECT lock_keys_here('{"lk": [{"k": "a"}]}');
RESET ROLE;
\set VERBOSITY default
DROP TABLE lk_moves;
DROP OWNED BY regress_lk_reader, regress_lk_writer, regress_lk_blind;
DROP ROLE regress_lk_reader, regress_lk_writer, regress_lk_blind;
DROP SEQUENCE lk_seq;
DROP VIEW lk_locks;
DROP TABLE "Lk S".lk, "Lk S"."T ""1""", lk;
DROP SCHEMA "Lk S";
