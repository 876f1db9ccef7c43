-- A hit takes no lock, writes nothing, burns no sequence value, fires no
-- trigger and works in a read-only transaction; a miss there gives 25006.
\set SHOW_CONTEXT never
CREATE TABLE ro (id serial PRIMARY KEY, k text, v integer DEFAULT 1);
INSERT INTO ro (k) VALUES ('hit');
CREATE TEMPORARY TABLE ro_temp (id serial, k text, v integer DEFAULT 1);
INSERT INTO ro_temp (k) VALUES ('hit');

BEGIN READ ONLY;
SELECT (object).*, created FROM get_or_create(NULL::ro, '{"k": "hit"}', '{"v": 2}');
SELECT (object).*, created FROM get_or_create(NULL::ro, '{"id": 1}');
SAVEPOINT s;
SELECT * FROM get_or_create(NULL::ro, '{"k": "miss"}');
\echo :SQLSTATE
ROLLBACK TO s;
-- the miss is refused before any value of defaults is looked at
SELECT * FROM get_or_create(NULL::ro, '{"k": "miss"}', '{"v": "no number"}');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM update_or_create(NULL::ro, '{"k": "hit"}', '{"v": 2}');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM update_or_create(NULL::ro, '{"k": "hit"}');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM update_or_create(NULL::ro, '{"k": "miss"}', '{"v": 2}');
\echo :SQLSTATE
ROLLBACK TO s;
-- temporary tables can be written to
SELECT (object).*, created FROM get_or_create(NULL::ro_temp, '{"k": "hit"}');
SELECT (object).*, created FROM get_or_create(NULL::ro_temp, '{"k": "miss"}', '{"id": 7}');
SELECT (object).*, created FROM update_or_create(NULL::ro_temp, '{"k": "hit"}', '{"v": 2}');
SELECT (object).*, created FROM update_or_create(NULL::ro_temp, '{"k": "new"}', '{"id": 8}');
COMMIT;
SELECT id, k, v FROM ro_temp ORDER BY id;
-- by default_transaction_read_only, too, and after SET TRANSACTION
SET default_transaction_read_only = on;
SELECT (object).*, created FROM get_or_create(NULL::ro, '{"k": "hit"}');
SELECT * FROM get_or_create(NULL::ro, '{"k": "miss"}');
\echo :SQLSTATE
RESET default_transaction_read_only;
BEGIN;
SELECT (object).*, created FROM get_or_create(NULL::ro, '{"k": "written"}');
SET TRANSACTION READ ONLY;
SELECT (object).*, created FROM get_or_create(NULL::ro, '{"k": "written"}');
SELECT * FROM get_or_create(NULL::ro, '{"k": "miss"}');
\echo :SQLSTATE
ROLLBACK;

-- what a hit leaves behind: no lock but that of a SELECT, no transaction id,
-- no row lock
CREATE VIEW ro_locks AS
  SELECT locktype, relation::regclass, mode FROM pg_locks
   WHERE pid = pg_backend_pid() AND locktype <> 'virtualxid'
     AND (relation IS NULL OR relation = 'ro'::regclass);
BEGIN;
SELECT (object).*, created FROM get_or_create(NULL::ro, '{"k": "hit"}', '{"v": 3}');
SELECT * FROM ro_locks ORDER BY locktype, mode;
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
SELECT xmax::text FROM ro;
COMMIT;
-- the same call on a miss does all of this
BEGIN;
SELECT (object).v, created FROM get_or_create(NULL::ro, '{"k": "miss"}', '{"v": 3}');
SELECT * FROM ro_locks ORDER BY locktype, mode;
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
ROLLBACK;

-- sequences: hits burn no value
SELECT setval('ro_id_seq', 100);
SELECT count(*) FROM generate_series(1, 50), get_or_create(NULL::ro, '{"k": "hit"}') WHERE NOT created;
SELECT count(*) FROM generate_series(1, 50), update_or_create(NULL::ro, '{"k": "hit"}', '{"v": 4}') WHERE NOT created;
SELECT (object).id, created FROM get_or_create(NULL::ro, '{"k": "next"}');
SELECT last_value FROM ro_id_seq;
-- and a miss burns one
SELECT (object).id, created FROM get_or_create(NULL::ro, '{"k": "next but one"}');

-- triggers: a hit of get_or_create fires none, not even those of statements
CREATE FUNCTION ro_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '% % %', TG_WHEN, TG_OP, TG_LEVEL;
  RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER bs BEFORE INSERT OR UPDATE OR DELETE ON ro FOR EACH STATEMENT EXECUTE FUNCTION ro_log();
CREATE TRIGGER br BEFORE INSERT OR UPDATE OR DELETE ON ro FOR EACH ROW EXECUTE FUNCTION ro_log();
CREATE TRIGGER ar AFTER INSERT OR UPDATE OR DELETE ON ro FOR EACH ROW EXECUTE FUNCTION ro_log();
CREATE TRIGGER stat AFTER INSERT OR UPDATE OR DELETE ON ro FOR EACH STATEMENT EXECUTE FUNCTION ro_log();
SELECT (object).k, created FROM get_or_create(NULL::ro, '{"k": "hit"}', '{"v": 5}');
-- a miss fires those of one insert, a hit of update_or_create those of one update
SELECT (object).k, created FROM get_or_create(NULL::ro, '{"k": "fires"}');
SELECT (object).k, (object).v, created FROM update_or_create(NULL::ro, '{"k": "fires"}', '{"v": 6}');
-- where there is nothing to set, nothing is fired
SELECT (object).k, (object).v, created FROM update_or_create(NULL::ro, '{"k": "fires"}');

DROP VIEW ro_locks;
DROP TABLE ro, ro_temp;
DROP FUNCTION ro_log;
