-- Triggers on the table of a batch.
\set SHOW_CONTEXT never
CREATE TABLE mtr (id serial, k text, v integer DEFAULT 0, note text);
CREATE TABLE mtr_log (id serial, what text);
CREATE FUNCTION mtr_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO mtr_log (what) VALUES (format('%s %s %s %s', TG_WHEN, TG_OP, TG_LEVEL, CASE WHEN TG_LEVEL = 'ROW' THEN NEW.k END));
  RETURN NEW;
END $$;
CREATE TRIGGER mtr_b BEFORE INSERT OR UPDATE ON mtr FOR EACH ROW EXECUTE FUNCTION mtr_log();
CREATE TRIGGER mtr_a AFTER INSERT OR UPDATE ON mtr FOR EACH ROW EXECUTE FUNCTION mtr_log();
CREATE TRIGGER mtr_s AFTER INSERT OR UPDATE ON mtr FOR EACH STATEMENT EXECUTE FUNCTION mtr_log();
-- one statement each, whatever the number of rows; hits fire nothing
SELECT count(*) FROM get_or_create_many(NULL::mtr, '[{"k": "b"}, {"k": "a"}]', '{k}');
SELECT what FROM mtr_log ORDER BY id;
TRUNCATE mtr_log;
SELECT count(*) FROM get_or_create_many(NULL::mtr, '[{"k": "b"}, {"k": "a"}]', '{k}');
SELECT count(*) FROM mtr_log;
SELECT count(*) FROM update_or_create_many(NULL::mtr, '[{"k": "c", "v": 1}, {"k": "a", "v": 1}]', '{k}');
SELECT what FROM mtr_log ORDER BY id;
DROP TABLE mtr, mtr_log;
DROP FUNCTION mtr_log;

-- a trigger that completes a row, or changes it beside the key
CREATE TABLE mtr (id serial, k text, v integer DEFAULT 0, note text);
CREATE FUNCTION mtr_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := upper(NEW.k); NEW.v := NEW.v + 1; RETURN NEW; END $$;
CREATE TRIGGER mtr_t BEFORE INSERT OR UPDATE ON mtr FOR EACH ROW EXECUTE FUNCTION mtr_f();
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtr, '[{"k": "a"}, {"k": "b", "v": 5}]', '{k}');
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mtr, '[{"k": "a", "note": "x"}, {"k": "b", "v": 10}, {"k": "a", "v": 20}]', '{k}');

-- one that rewrites the key: 27000, wherever in the batch
CREATE OR REPLACE FUNCTION mtr_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.k := lower(NEW.k); RETURN NEW; END $$;
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtr, '[{"k": "c"}]', '{k}');
SELECT * FROM get_or_create_many(NULL::mtr, '[{"k": "X"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::mtr, '[{"k": "x"}, {"k": "Y"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::mtr, '[{"k": "Y"}, {"k": "x"}]', '{k}');
\echo :SQLSTATE
-- also where what it makes of it is another key of the batch
SELECT * FROM get_or_create_many(NULL::mtr, '[{"k": "x"}, {"k": "X"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::mtr, '[{"k": "X"}, {"k": "x"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::mtr, '[{"k": "a", "v": 7}, {"k": "X"}, {"k": "x"}, {"k": "y"}]', '{k}');
\echo :SQLSTATE
SELECT k, v FROM mtr ORDER BY id;
-- with a unique index it may end in 23505: no row, and no endless loop
CREATE UNIQUE INDEX mtr_k ON mtr (k);
SELECT * FROM get_or_create_many(NULL::mtr, '[{"k": "z"}, {"k": "A"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::mtr, '[{"k": "X"}, {"k": "x"}]', '{k}');
\echo :SQLSTATE
DROP INDEX mtr_k;
SELECT k, v FROM mtr ORDER BY id;

-- one that swallows some of the rows: 27000
CREATE OR REPLACE FUNCTION mtr_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.k LIKE '%!' THEN RETURN NULL; END IF; RETURN NEW; END $$;
SELECT * FROM get_or_create_many(NULL::mtr, '[{"k": "p"}, {"k": "q!"}, {"k": "r"}]', '{k}');
\echo :SQLSTATE
CREATE UNIQUE INDEX mtr_k ON mtr (k);
SELECT * FROM get_or_create_many(NULL::mtr, '[{"k": "p"}, {"k": "q!"}, {"k": "r"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::mtr, '[{"k": "a", "v": 70}, {"k": "q!"}]', '{k}');
\echo :SQLSTATE
SELECT k, v FROM mtr ORDER BY id;
-- one that suppresses an UPDATE: the row stays as it is, and is the result
INSERT INTO mtr (k, v) VALUES ('kept', 1);
CREATE OR REPLACE FUNCTION mtr_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.k = 'kept' THEN RETURN NULL; END IF; RETURN NEW; END $$;
SELECT ordinality, (object).k, (object).v, created FROM update_or_create_many(NULL::mtr, '[{"k": "a", "v": 71}, {"k": "kept", "v": 72}, {"k": "new", "v": 73}]', '{k}');
DROP TABLE mtr;

-- one that diverts rows to where the key finds them, at any isolation level
CREATE TABLE mtr (k text, v integer);
CREATE FUNCTION mtr_divert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() > 1 OR NEW.k NOT LIKE 'd%' THEN RETURN NEW; END IF;
  INSERT INTO mtr VALUES (NEW.k, 99);
  RETURN NULL;
END $$;
CREATE TRIGGER mtr_t BEFORE INSERT ON mtr FOR EACH ROW EXECUTE FUNCTION mtr_divert();
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtr, '[{"k": "a"}, {"k": "d1", "v": 1}, {"k": "b"}]', '{k}');
CREATE UNIQUE INDEX mtr_k ON mtr (k);
SELECT ordinality, (object).k, (object).v FROM get_or_create_many(NULL::mtr, '[{"k": "c"}, {"k": "d2", "v": 1}]', '{k}');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT (object).k, (object).v FROM get_or_create(NULL::mtr, '{"k": "d3"}', '{"v": 1}');
SELECT ordinality, (object).k, (object).v FROM get_or_create_many(NULL::mtr, '[{"k": "e"}, {"k": "d4", "v": 1}]', '{k}');
COMMIT;
DROP TABLE mtr;
DROP FUNCTION mtr_f, mtr_divert;

-- triggers that call for batches and single rows of the same table
CREATE TABLE mtr (k integer, parent integer);
CREATE FUNCTION mtr_parents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.k > 1 THEN
    PERFORM get_or_create_many(NULL::mtr, jsonb_build_array(jsonb_build_object('k', NEW.k / 2), jsonb_build_object('k', NEW.k / 3)), '{k}');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER mtr_t AFTER INSERT ON mtr FOR EACH ROW EXECUTE FUNCTION mtr_parents();
SELECT ordinality, (object).k, created FROM get_or_create_many(NULL::mtr, '[{"k": 100}, {"k": 51}, {"k": 25}]', '{k}');
SELECT count(*), count(DISTINCT k) FROM mtr;
DROP TABLE mtr;
DROP FUNCTION mtr_parents;
