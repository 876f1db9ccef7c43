-- The lock on a key: an advisory lock of a class of its own, on the table's
-- OID and a hash of the key, until the transaction ends.
\set SHOW_CONTEXT never
CREATE TABLE lck (k text, n numeric, m money);
CREATE VIEW lck_held AS
  SELECT d.datname = current_database() AS here, classid::regclass AS root, objid = 0 AS whole, objid, objsubid, mode, granted
    FROM pg_locks JOIN pg_database d ON d.oid = database
   WHERE locktype = 'advisory' AND pid = pg_backend_pid();

-- a miss announces itself on the whole key space and locks its key
BEGIN;
SELECT created FROM get_or_create(NULL::lck, '{"k": "a"}');
SELECT here, root, whole, objsubid, mode, granted FROM lck_held ORDER BY whole;
SELECT objid AS a FROM lck_held WHERE NOT whole \gset
-- a hit adds nothing
SELECT created FROM get_or_create(NULL::lck, '{"k": "a"}');
SELECT count(*) FROM lck_held;
-- another key adds its own lock
SELECT created FROM get_or_create(NULL::lck, '{"k": "b"}');
SELECT here, root, whole, objsubid, mode, granted FROM lck_held ORDER BY whole;
SELECT count(DISTINCT objid) FROM lck_held WHERE NOT whole;
COMMIT;
-- released at the end, by COMMIT
SELECT count(*) FROM lck_held;
TRUNCATE lck;
-- and by ROLLBACK, and the same key has the same lock
BEGIN;
SELECT created FROM update_or_create(NULL::lck, '{"k": "a"}', '{"n": 1}');
SELECT objid = :a AS same FROM lck_held WHERE NOT whole;
ROLLBACK;
SELECT count(*) FROM lck_held;
-- not by pg_advisory_unlock_all(), which is for session locks
BEGIN;
SELECT created FROM get_or_create(NULL::lck, '{"k": "a"}');
SELECT pg_advisory_unlock_all();
SELECT count(*) FROM lck_held;
ROLLBACK;
-- a savepoint that is rolled back lets go of what was locked after it
BEGIN;
SELECT created FROM get_or_create(NULL::lck, '{"k": "a"}');
SAVEPOINT s;
SELECT created FROM get_or_create(NULL::lck, '{"k": "b"}');
SELECT whole, objid = :a AS a, mode FROM lck_held ORDER BY whole, a;
ROLLBACK TO s;
SELECT whole, objid = :a AS a, mode FROM lck_held ORDER BY whole, a;
SAVEPOINT s;
SELECT created FROM get_or_create(NULL::lck, '{"k": "b"}');
RELEASE s;
SELECT whole, objid = :a AS a, mode FROM lck_held ORDER BY whole, a;
ROLLBACK;
-- an error lets go, too
SELECT created FROM get_or_create(NULL::lck, '{"k": "a"}', '{"n": "x"}');
\echo :SQLSTATE
SELECT count(*) FROM lck_held;

-- a key of a type without hash locks the whole
BEGIN;
SELECT created FROM get_or_create(NULL::lck, '{"m": 1}');
SELECT here, root, whole, objsubid, mode, granted FROM lck_held ORDER BY whole;
ROLLBACK;
-- and so does one that has such a column beside others
BEGIN;
SELECT created FROM get_or_create(NULL::lck, '{"m": 1, "k": "a"}');
SELECT here, root, whole, objsubid, mode, granted FROM lck_held ORDER BY whole;
ROLLBACK;
-- the empty key is a key
BEGIN;
SELECT created FROM get_or_create(NULL::lck, '{}');
SELECT here, root, whole, objsubid, mode, granted FROM lck_held ORDER BY whole;
ROLLBACK;

-- a hit of update_or_create takes no key lock, nor does transfer
INSERT INTO lck VALUES ('a', 1), ('b', 2);
BEGIN;
SELECT created FROM update_or_create(NULL::lck, '{"k": "a"}', '{"n": 3}');
SELECT (from_account).n, (to_account).n FROM transfer(NULL::lck, 'a', 'b', 1, id_column => 'k', balance_column => 'n');
SELECT count(*) FROM lck_held;
ROLLBACK;
TRUNCATE lck;

-- the application's own advisory locks are not in the way, whatever their keys
BEGIN;
SELECT pg_advisory_xact_lock('lck'::regclass::oid::bigint::bit(32)::integer, 0);
SELECT created FROM get_or_create(NULL::lck, '{"k": "a"}');
SELECT objsubid, count(*) FROM lck_held GROUP BY objsubid ORDER BY objsubid;
COMMIT;

-- a partition and its root, at any depth and with any layout, share one lock
CREATE TABLE lck_root (a integer, b integer) PARTITION BY RANGE (a);
CREATE TABLE lck_mid (b integer, gone text, a integer) PARTITION BY LIST (b);
ALTER TABLE lck_mid DROP COLUMN gone;
CREATE TABLE lck_leaf (x1 text, a integer, x2 text, b integer);
ALTER TABLE lck_leaf DROP COLUMN x1, DROP COLUMN x2;
ALTER TABLE lck_mid ATTACH PARTITION lck_leaf DEFAULT;
ALTER TABLE lck_root ATTACH PARTITION lck_mid DEFAULT;
BEGIN;
SELECT created FROM get_or_create(NULL::lck_root, '{"a": 1, "b": 2}');
SELECT objid AS a FROM lck_held WHERE NOT whole \gset
SELECT root, whole, mode FROM lck_held ORDER BY whole;
ROLLBACK;
BEGIN;
SELECT created FROM get_or_create(NULL::lck_mid, '{"b": 2, "a": 1}');
SELECT root, whole, mode, whole OR objid = :a AS same FROM lck_held ORDER BY whole;
ROLLBACK;
BEGIN;
SELECT created FROM get_or_create(NULL::lck_leaf, '{"a": 1, "b": 2}');
SELECT root, whole, mode, whole OR objid = :a AS same FROM lck_held ORDER BY whole;
ROLLBACK;
-- detached, it is a table of its own
ALTER TABLE lck_root DETACH PARTITION lck_mid;
BEGIN;
SELECT created FROM get_or_create(NULL::lck_leaf, '{"a": 1, "b": 2}');
SELECT root, whole, mode, whole OR objid = :a AS same FROM lck_held ORDER BY whole;
ROLLBACK;
-- and attached again, a partition
ALTER TABLE lck_root ATTACH PARTITION lck_mid DEFAULT;
BEGIN;
SELECT created FROM get_or_create(NULL::lck_leaf, '{"a": 1, "b": 2}');
SELECT root, whole, mode, whole OR objid = :a AS same FROM lck_held ORDER BY whole;
ROLLBACK;

-- hashes are spread: 500 keys, few of them share a lock
BEGIN;
SELECT count(*) FROM generate_series(1, 500) i, get_or_create(NULL::lck, jsonb_build_object('n', i));
SELECT count(DISTINCT objid) > 495 AS spread FROM lck_held WHERE NOT whole;
ROLLBACK;

-- locks on the table: a hit reads it, a miss and an update write to it
BEGIN;
SELECT created FROM get_or_create(NULL::lck, '{"k": "a"}');
SELECT mode FROM pg_locks WHERE relation = 'lck'::regclass AND pid = pg_backend_pid() ORDER BY mode;
SELECT created FROM get_or_create(NULL::lck, '{"k": "z"}');
SELECT mode FROM pg_locks WHERE relation = 'lck'::regclass AND pid = pg_backend_pid() ORDER BY mode;
ROLLBACK;

DROP VIEW lck_held;
DROP TABLE lck, lck_root;
