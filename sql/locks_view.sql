-- The view racefree_locks: the key locks of this database.
\set SHOW_CONTEXT never
\d racefree_locks
CREATE TABLE lv (n integer, m money);
SELECT count(*) FROM racefree_locks;
BEGIN;
SELECT lock_keys('{"lv": [{"n": 1}, {"n": 2}]}');
-- the application's own advisory locks are none of ours
SELECT pg_advisory_xact_lock(1, 2), pg_advisory_xact_lock(3);
SELECT relation, key_hash IS NULL AS whole, key_hash > 0 AND key_hash < 4294967296 AS hash, mode, granted, pid = pg_backend_pid() AS mine, waiting_since, blocking_pids
  FROM racefree_locks ORDER BY key_hash NULLS FIRST;
SELECT count(*) = (SELECT count(*) FROM racefree_locks WHERE key_hash IS NOT NULL) AS same
  FROM pg_locks l JOIN racefree_locks r ON r.relation = l.classid AND r.key_hash = l.objid::bigint AND r.pid = l.pid AND r.mode = l.mode;
ROLLBACK;
BEGIN;
SELECT lock_keys('{"lv": [{"m": 1}]}');
SELECT relation, key_hash, mode, granted, waiting_since, blocking_pids FROM racefree_locks;
ROLLBACK;
SELECT count(*) FROM racefree_locks;
-- it can be read by everybody, as pg_locks can
CREATE ROLE regress_racefree_reader;
BEGIN;
SELECT lock_keys('{"lv": [{"n": 1}]}');
SET LOCAL ROLE regress_racefree_reader;
SELECT relation, key_hash IS NULL AS whole, mode, granted FROM racefree_locks ORDER BY key_hash NULLS FIRST;
ROLLBACK;
SELECT p, has_table_privilege('regress_racefree_reader', 'racefree_locks', p) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY u (p, i) ORDER BY i;
DROP ROLE regress_racefree_reader;
-- a table that is gone has no name any more
BEGIN;
SELECT lock_keys('{"lv": [{"n": 1}]}');
DROP TABLE lv;
SELECT relation::text ~ '^[0-9]+$' AS nameless, key_hash IS NULL AS whole, mode FROM racefree_locks ORDER BY key_hash NULLS FIRST;
COMMIT;
