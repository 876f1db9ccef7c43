-- Triggers under get_or_create and update_or_create: whatever they do ends in a
-- row or in a clear error.
\set SHOW_CONTEXT never
CREATE TABLE trg (id serial, k text, v integer, note text);
CREATE TABLE trg_other (LIKE trg);
CREATE FUNCTION trg_do() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  CASE TG_ARGV[0]
    WHEN 'swallow' THEN RETURN NULL;
    WHEN 'lower' THEN NEW.k := lower(NEW.k);
    WHEN 'null' THEN NEW.k := NULL;
    WHEN 'note' THEN NEW.note := 'by trigger';
    WHEN 'divert' THEN INSERT INTO trg_other (id, k, v, note) VALUES (NEW.id, NEW.k, NEW.v, 'diverted'); RETURN NULL;
    WHEN 'replace' THEN INSERT INTO trg (k, v, note) VALUES (NEW.k, NEW.v, 'replaced'); RETURN NULL;
    WHEN 'delete' THEN DELETE FROM trg WHERE k = NEW.k;
    WHEN 'raise' THEN RAISE 'no, says the trigger' USING ERRCODE = 'TRG01';
    WHEN 'log' THEN RAISE NOTICE '% % %: %', TG_WHEN, TG_OP, TG_LEVEL, NEW;
    WHEN 'nested' THEN PERFORM get_or_create(NULL::trg, jsonb_build_object('k', left(NEW.k, -1)), '{"note": "nested"}') WHERE NEW.k <> '';
  END CASE;
  RETURN NEW;
END $$;

-- triggers that watch see one insert, one update
CREATE TRIGGER b BEFORE INSERT OR UPDATE ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('log');
CREATE TRIGGER a AFTER INSERT OR UPDATE ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('log');
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "seen"}');
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "seen"}');
SELECT (object).k, created FROM update_or_create(NULL::trg, '{"k": "seen"}', '{"v": 1}');
SELECT (object).k, created FROM update_or_create(NULL::trg, '{"k": "seen"}');
DROP TRIGGER b ON trg;
DROP TRIGGER a ON trg;
TRUNCATE trg;

-- a trigger that changes other columns: the row is returned as it is stored
CREATE TRIGGER b BEFORE INSERT OR UPDATE ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('note');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::trg, '{"k": "n"}', '{"note": "mine"}');
SELECT (object).k, (object).note, created FROM update_or_create(NULL::trg, '{"k": "n"}', '{"note": "mine"}');
DROP TRIGGER b ON trg;

-- swallowing the insert: 27000
CREATE TRIGGER b BEFORE INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('swallow');
SELECT * FROM get_or_create(NULL::trg, '{"k": "s"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::trg, '{"k": "s"}', '{"v": 1}');
\echo :SQLSTATE
CREATE UNIQUE INDEX trg_k ON trg (k);
SELECT * FROM get_or_create(NULL::trg, '{"k": "s"}');
\echo :SQLSTATE
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "n"}');
DROP TRIGGER b ON trg;
DROP INDEX trg_k;

-- suppressing the update means the row to stay as it is
CREATE TRIGGER b BEFORE UPDATE ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('swallow');
SELECT (object).k, (object).note, created FROM update_or_create(NULL::trg, '{"k": "n"}', '{"note": "changed"}');
SELECT (object).k, (object).note, created FROM update_or_create(NULL::trg, '{"k": "new"}', '{"note": "created"}');
DROP TRIGGER b ON trg;
CREATE TRIGGER b BEFORE UPDATE ON trg FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT (object).k, (object).note, created FROM update_or_create(NULL::trg, '{"k": "new"}', '{"note": "created"}');
SELECT (object).k, (object).note, created FROM update_or_create(NULL::trg, '{"k": "new"}', '{"note": "changed"}');
SELECT count(*) FROM trg WHERE k = 'new';
DROP TRIGGER b ON trg;
TRUNCATE trg;

-- rewriting the key: 27000, and no row, since the next call would make another
CREATE TRIGGER b BEFORE INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('lower');
SELECT * FROM get_or_create(NULL::trg, '{"k": "ABC"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::trg, '{"k": "ABC"}', '{"v": 1}');
\echo :SQLSTATE
-- where the trigger changes nothing, all is well
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "abc"}');
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "abc"}');
-- and in a column that is not in the key
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"v": 5}', '{"k": "DEF"}');
-- with a unique index, where the rewritten key exists: an end, 23505
CREATE UNIQUE INDEX trg_k ON trg (k);
SELECT * FROM get_or_create(NULL::trg, '{"k": "ABC"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::trg, '{"k": "ABC"}', '{"v": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::trg, '{"k": "XYZ"}');
\echo :SQLSTATE
DROP TRIGGER b ON trg;
CREATE TRIGGER b BEFORE INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('null');
SELECT * FROM get_or_create(NULL::trg, '{"k": "n"}');
\echo :SQLSTATE
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": null}');
DROP TRIGGER b ON trg;
DROP INDEX trg_k;
SELECT k, v FROM trg ORDER BY k;
-- a key that is rewritten to an equal value is the key still
ALTER TABLE trg ALTER k TYPE char(8);
CREATE FUNCTION trg_trim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.k := rtrim(NEW.k);
  NEW.v := NEW.v + 0.0;
  RETURN NEW;
END $$;
CREATE TRIGGER b BEFORE INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_trim();
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "pad   ", "v": 1}');
DROP TRIGGER b ON trg;
ALTER TABLE trg ALTER k TYPE text;
TRUNCATE trg;

-- diverting the row to another table: 27000
CREATE TRIGGER b BEFORE INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('divert');
SELECT * FROM get_or_create(NULL::trg, '{"k": "d"}');
\echo :SQLSTATE
SELECT count(*) FROM trg_other;
-- to a child of the table: it is found there, as partitioning by hand has it
ALTER TABLE trg_other INHERIT trg;
SELECT (object).k, (object).note, created FROM get_or_create(NULL::trg, '{"k": "d"}');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::trg, '{"k": "d"}');
SELECT (object).k, (object).v, (object).note, created FROM update_or_create(NULL::trg, '{"k": "e"}', '{"v": 2}');
SELECT (object).k, (object).v, (object).note, created FROM update_or_create(NULL::trg, '{"k": "e"}', '{"v": 3}');
SELECT tableoid::regclass, k, v FROM trg ORDER BY k;
DROP TRIGGER b ON trg;
ALTER TABLE trg_other NO INHERIT trg;
TRUNCATE trg, trg_other;
-- to the same table, by an insert of the trigger's own
CREATE TRIGGER b BEFORE INSERT ON trg FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION trg_do('replace');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::trg, '{"k": "r"}');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::trg, '{"k": "r"}');
CREATE UNIQUE INDEX trg_k ON trg (k);
SELECT (object).k, (object).note, (object).v FROM update_or_create(NULL::trg, '{"k": "r2"}', '{"v": 1}');
SELECT k, v, note FROM trg ORDER BY k;
DROP INDEX trg_k;
DROP TRIGGER b ON trg;
TRUNCATE trg;

-- deleting the row again, after it was made: the row is returned as it was, gone it is
CREATE TRIGGER a AFTER INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('delete');
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "x"}');
SELECT count(*) FROM trg;
DROP TRIGGER a ON trg;

-- changing the row after it was made, or set: the row is returned as RETURNING
-- gives it, single or in a batch
CREATE FUNCTION trg_after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.note IS DISTINCT FROM 'after' THEN
    UPDATE trg SET note = 'after' WHERE k = NEW.k;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER a AFTER INSERT OR UPDATE ON trg FOR EACH ROW EXECUTE FUNCTION trg_after();
SELECT (object).k, (object).note, created FROM get_or_create(NULL::trg, '{"k": "a"}', '{"note": "new"}');
SELECT (object).k, (object).note, created FROM update_or_create(NULL::trg, '{"k": "a"}', '{"note": "set"}');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::trg, '{"k": "a"}');
SELECT (object).k, (object).note, created FROM update_or_create_many(NULL::trg, '[{"k": "a", "note": "set"}, {"k": "b", "note": "new"}]', '{k}');
SELECT (object).k, (object).note, created FROM get_or_create_many(NULL::trg, '[{"k": "a"}, {"k": "c", "note": "new"}]', '{k}');
SELECT k, note FROM trg ORDER BY k;
DROP TRIGGER a ON trg;
TRUNCATE trg;

-- raising an error: that error, and a transaction that can go on
CREATE TRIGGER b BEFORE INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('raise');
BEGIN;
SAVEPOINT s;
SELECT * FROM get_or_create(NULL::trg, '{"k": "x"}');
\echo :SQLSTATE
ROLLBACK TO s;
ALTER TABLE trg DISABLE TRIGGER b;
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "x"}');
COMMIT;
DROP TRIGGER b ON trg;
TRUNCATE trg;

-- calling get_or_create itself, on the same table, eight levels deep
CREATE TRIGGER b BEFORE INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_do('nested');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::trg, '{"k": "12345678"}', '{"note": "outer"}');
SELECT k, note FROM trg ORDER BY length(k);
SELECT (object).k, (object).note, created FROM get_or_create(NULL::trg, '{"k": "12345678"}');
DROP TRIGGER b ON trg;
TRUNCATE trg;

-- a trigger that alters the table's plans under a running call
CREATE TABLE trg_audit (k text, n integer);
CREATE FUNCTION trg_ddl() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'CREATE INDEX ON trg_audit (k)';
  PERFORM get_or_create(NULL::trg_audit, jsonb_build_object('k', NEW.k), '{"n": 0}');
  EXECUTE 'ALTER TABLE trg_audit RENAME n TO m';
  EXECUTE 'ALTER TABLE trg_audit RENAME m TO n';
  PERFORM update_or_create(NULL::trg_audit, jsonb_build_object('k', NEW.k), '{"n": 1}');
  RETURN NEW;
END $$;
CREATE TRIGGER b BEFORE INSERT ON trg FOR EACH ROW EXECUTE FUNCTION trg_ddl();
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "a"}');
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "b"}');
SELECT k, n FROM trg_audit ORDER BY k;

-- a failing deferred trigger undoes all at the end of the transaction
DROP TRIGGER b ON trg;
CREATE CONSTRAINT TRIGGER d AFTER INSERT ON trg DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trg_do('raise');
BEGIN;
SELECT (object).k, created FROM get_or_create(NULL::trg, '{"k": "c"}');
COMMIT;
\echo :SQLSTATE
SELECT count(*) FROM trg WHERE k = 'c';

DROP TABLE trg, trg_other, trg_audit;
DROP FUNCTION trg_do, trg_trim, trg_ddl, trg_after;
