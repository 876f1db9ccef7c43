-- What a batch locks: one key each, or all of a table's keys; and sizes.
\set SHOW_CONTEXT never
CREATE TABLE ml (n integer, k text, m money);
CREATE VIEW ml_held AS
  SELECT classid::regclass AS root, objid = 0 AS whole, mode, count(*) FROM pg_locks
   WHERE locktype = 'advisory' AND objsubid = 21062 AND pid = pg_backend_pid() GROUP BY 1, 2, 3;
CREATE FUNCTION ml_batch(low integer, high integer, step integer DEFAULT 1) RETURNS jsonb LANGUAGE sql
  AS $$ SELECT jsonb_agg(jsonb_build_object('n', n) ORDER BY n * step) FROM generate_series(low, high, step) n $$;

-- as many locks as keys that are missing, and an announcement on the whole
BEGIN;
SELECT count(*) FILTER (WHERE created) FROM get_or_create_many(NULL::ml, '[{"n": 1}, {"n": 2}, {"n": 1}, {"n": null}]', '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
-- hits add nothing
SELECT count(*) FILTER (WHERE created) FROM get_or_create_many(NULL::ml, '[{"n": 1}, {"n": 2}]', '{n}');
SELECT count(*) FILTER (WHERE created) FROM update_or_create_many(NULL::ml, '[{"n": 1, "k": "x"}, {"n": 2}]', '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
COMMIT;
-- to get rows that are there locks no key; to update them, each of them
BEGIN;
SELECT count(*) FROM get_or_create_many(NULL::ml, '[{"n": 1}, {"n": 2}, {"n": 1}]', '{n}');
SELECT coalesce(sum(count), 0) AS locks FROM ml_held;
SELECT count(*) FROM update_or_create_many(NULL::ml, '[{"n": 1, "k": "y"}, {"n": 2}]', '{n}');
SELECT coalesce(sum(count), 0) AS locks FROM ml_held;
COMMIT;
-- a batch and single calls take the same lock for the same key
BEGIN;
SELECT created FROM get_or_create(NULL::ml, '{"n": 10, "k": "x"}');
SELECT objid AS single FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 21062 AND pid = pg_backend_pid() AND objid <> 0 \gset
ROLLBACK;
BEGIN;
SELECT created FROM get_or_create_many(NULL::ml, '[{"k": "x", "n": 10}]', '{k,n}');
SELECT objid = :single AS same FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 21062 AND pid = pg_backend_pid() AND objid <> 0;
ROLLBACK;
BEGIN;
SELECT lock_keys('{"ml": [{"n": 10, "k": "x"}]}');
SELECT objid = :single AS same FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 21062 AND pid = pg_backend_pid() AND objid <> 0;
ROLLBACK;

-- 500 keys one by one, 501 as a whole, whatever is there already
TRUNCATE ml;
BEGIN;
SELECT count(*) FILTER (WHERE created) FROM get_or_create_many(NULL::ml, ml_batch(1, 500), '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
ROLLBACK;
BEGIN;
SELECT count(*) FILTER (WHERE created) FROM get_or_create_many(NULL::ml, ml_batch(1, 501), '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
-- who holds the whole needs no more
SELECT created FROM get_or_create(NULL::ml, '{"n": 1000}');
SELECT count(*) FILTER (WHERE created) FROM get_or_create_many(NULL::ml, ml_batch(2001, 2010), '{n}');
SELECT lock_keys('{"ml": [{"n": 1}]}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
ROLLBACK;
BEGIN;
SELECT count(*) FILTER (WHERE created) FROM update_or_create_many(NULL::ml, ml_batch(1, 501), '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
ROLLBACK;
-- without a primary key, an update of several keys locks the whole, unless its
-- transaction holds them all
BEGIN;
SELECT lock_keys('{"ml": [{"n": 1}, {"n": 2}]}');
SELECT count(*) FROM update_or_create_many(NULL::ml, '[{"n": 1, "k": "x"}, {"n": 2}]', '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
SELECT count(*) FROM update_or_create_many(NULL::ml, '[{"n": 1, "k": "x"}, {"n": 3}]', '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole, mode;
SELECT count(*) FROM update_or_create_many(NULL::ml, '[{"n": 4, "k": "x"}, {"n": 5}]', '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole, mode;
ROLLBACK;
-- nor do more keys than one call locks one by one, if they are all held
BEGIN;
SELECT lock_keys(jsonb_build_object('ml', ml_batch(1, 300)));
SELECT lock_keys(jsonb_build_object('ml', ml_batch(301, 600)));
SELECT count(*) FROM get_or_create_many(NULL::ml, ml_batch(1, 600), '{n}');
SELECT count(*) FROM update_or_create_many(NULL::ml, ml_batch(1, 600), '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole, mode;
ROLLBACK;
-- a lock that a savepoint gave up is not held
BEGIN;
SELECT lock_keys('{"ml": [{"n": 1}]}');
SAVEPOINT s;
SELECT lock_keys('{"ml": [{"n": 2}]}');
ROLLBACK TO s;
SELECT count(*) FROM update_or_create_many(NULL::ml, '[{"n": 1, "k": "x"}, {"n": 2}]', '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole, mode;
ROLLBACK;
-- only the keys of missing rows count, and each once
BEGIN;
SELECT count(*) FILTER (WHERE created) FROM get_or_create_many(NULL::ml, ml_batch(1, 400), '{n}');
COMMIT;
BEGIN;
SELECT count(*), count(*) FILTER (WHERE created) AS created FROM get_or_create_many(NULL::ml, ml_batch(1, 900) || ml_batch(1, 900), '{n}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
ROLLBACK;
-- a type without a hash: the whole, for one key
BEGIN;
SELECT count(*) FILTER (WHERE created) FROM get_or_create_many(NULL::ml, '[{"m": 1}]', '{m}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
ROLLBACK;

-- a transaction that locks more than 4000 keys one by one goes over to the
-- whole; batches count
TRUNCATE ml;
BEGIN;
SELECT count(*) FROM generate_series(1, 4000) i, get_or_create(NULL::ml, jsonb_build_object('n', i));
SELECT root, whole, mode, count FROM ml_held ORDER BY whole;
SELECT count(*) FROM generate_series(4001, 4500) i, get_or_create(NULL::ml, jsonb_build_object('n', i));
SELECT root, whole, mode, count FROM ml_held ORDER BY whole, mode;
ROLLBACK;
BEGIN;
SELECT sum((SELECT count(*) FROM get_or_create_many(NULL::ml, ml_batch(i * 1000, i * 1000 + 499), '{n}'))) FROM generate_series(1, 8) i;
SELECT root, whole, mode, count FROM ml_held ORDER BY whole, mode;
SELECT created FROM get_or_create(NULL::ml, '{"n": 1}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole, mode;
COMMIT;
-- and the next transaction counts anew
BEGIN;
SELECT created FROM get_or_create(NULL::ml, '{"n": 2}');
SELECT root, whole, mode, count FROM ml_held ORDER BY whole, mode;
COMMIT;

-- 100,000 rows in one call: all new, all there, and set
TRUNCATE ml;
SELECT count(*), count(*) FILTER (WHERE created) AS created, count(*) FILTER (WHERE ordinality = (object).n) AS in_order
  FROM get_or_create_many(NULL::ml, ml_batch(1, 100000), '{n}');
CREATE UNIQUE INDEX ON ml (n);
ANALYZE ml;
SELECT count(*), count(*) FILTER (WHERE created) AS created, count(*) FILTER (WHERE 100001 - ordinality = (object).n) AS in_order
  FROM get_or_create_many(NULL::ml, ml_batch(100000, 1, -1), '{n}');
SELECT count(*), count(*) FILTER (WHERE created) AS created
  FROM update_or_create_many(NULL::ml, (SELECT jsonb_agg(jsonb_build_object('n', n, 'k', n % 7)) FROM generate_series(50001, 150000) n), '{n}');
SELECT count(*), count(DISTINCT n), count(k), count(*) FILTER (WHERE k = (n % 7)::text) AS set FROM ml;

-- read-only: hits work, a miss is 25006
BEGIN READ ONLY;
SELECT count(*) FROM get_or_create_many(NULL::ml, ml_batch(1, 1000), '{n}');
SAVEPOINT s;
SELECT * FROM get_or_create_many(NULL::ml, '[{"n": 1}, {"n": -1}]', '{n}');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM update_or_create_many(NULL::ml, '[{"n": 1}]', '{n}');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM update_or_create_many(NULL::ml, '[{"n": -1}]', '{n}');
\echo :SQLSTATE
ROLLBACK;
CREATE TEMPORARY TABLE ml_temp (n integer, k text);
BEGIN READ ONLY;
SELECT * FROM get_or_create_many(NULL::ml_temp, '[{"n": 1}, {"n": 2, "k": "x"}]', '{n}');
SELECT * FROM update_or_create_many(NULL::ml_temp, '[{"n": 1, "k": "y"}, {"n": 3}]', '{n}');
COMMIT;

-- REPEATABLE READ and SERIALIZABLE, where nobody is in the way
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT ordinality, (object).n, created FROM get_or_create_many(NULL::ml, '[{"n": -1}, {"n": 1}, {"n": -2}]', '{n}');
SELECT ordinality, (object).n, (object).k, created FROM update_or_create_many(NULL::ml, '[{"n": -1, "k": "u"}, {"n": 1, "k": "u"}, {"n": -3}]', '{n}');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT ordinality, (object).n, created FROM get_or_create_many(NULL::ml, '[{"n": -4}, {"n": -1}]', '{n}');
SELECT ordinality, (object).n, (object).k, created FROM update_or_create_many(NULL::ml, '[{"n": -4, "k": "s"}, {"n": -5}]', '{n}');
COMMIT;

DROP TABLE ml_temp;
DROP FUNCTION ml_batch;
DROP VIEW ml_held;
DROP TABLE ml;
