-- Targets of batches: partitioned, inherited, temporary and foreign tables.
\set SHOW_CONTEXT never
-- partitioned, without a unique index and with one
CREATE TABLE mtg (k integer, v text DEFAULT 'd') PARTITION BY RANGE (k);
CREATE TABLE mtg_low PARTITION OF mtg FOR VALUES FROM (0) TO (10);
CREATE TABLE mtg_high (v text DEFAULT 'high', gone integer, k integer);
ALTER TABLE mtg_high DROP COLUMN gone;
ALTER TABLE mtg ATTACH PARTITION mtg_high FOR VALUES FROM (10) TO (20);
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg, '[{"k": 11}, {"k": 1, "v": "x"}, {"k": 12}, {"k": 1}]', '{k}');
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mtg, '[{"k": 12, "v": "u"}, {"k": 2, "v": "u"}, {"k": 1}]', '{k}');
-- by way of a partition: its own layout, its own defaults
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mtg_high, '[{"k": 11, "v": "leaf"}, {"k": 13}]', '{k}');
-- a key without the partition key, across partitions; an update moves rows
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mtg, '[{"v": "leaf", "k": 3}, {"v": "high", "k": 14}, {"v": "new", "k": 4}]', '{v}');
SELECT tableoid::regclass, k, v FROM mtg ORDER BY k;
-- where no partition fits: 23514
SELECT * FROM get_or_create_many(NULL::mtg, '[{"k": 5}, {"k": 99}]', '{k}');
\echo :SQLSTATE
SELECT count(*) FROM mtg WHERE k = 5;
BEGIN;
SELECT count(*) FILTER (WHERE created) FROM get_or_create_many(NULL::mtg_high, '[{"k": 15}, {"k": 16}]', '{k}');
SELECT relation, key_hash IS NULL AS whole, mode FROM racefree_locks ORDER BY key_hash NULLS FIRST;
ROLLBACK;
CREATE UNIQUE INDEX ON mtg (k);
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg, '[{"k": 5}, {"k": 15}, {"k": 1}]', '{k}');
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mtg, '[{"k": 5, "v": "five"}, {"k": 16}, {"k": 15, "v": "fifteen"}]', '{k}');
DROP TABLE mtg;

-- an inheritance parent: the children's rows count, new rows go to the parent
CREATE TABLE mtg (k integer, v text);
CREATE TABLE mtg_child (extra text) INHERITS (mtg);
INSERT INTO mtg_child VALUES (1, 'child', 'e'), (2, 'child', 'e');
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg, '[{"k": 1}, {"k": 3}]', '{k}');
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mtg, '[{"k": 2, "v": "set"}, {"k": 3, "v": "set"}, {"k": 4}]', '{k}');
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg_child, '[{"k": 2}, {"k": 3, "extra": "x"}]', '{k}');
SELECT * FROM get_or_create_many(NULL::mtg, '[{"k": 1}, {"k": 3}]', '{k}');
\echo :SQLSTATE
SELECT tableoid::regclass, k, v FROM mtg ORDER BY k, tableoid::regclass::text;
DROP TABLE mtg_child, mtg;

-- temporary and unlogged; rules
CREATE TEMPORARY TABLE mtg (k integer PRIMARY KEY, v text);
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mtg, '[{"k": 1}, {"k": 1, "v": "x"}]', '{k}');
DROP TABLE mtg;
CREATE UNLOGGED TABLE mtg (k integer, v text);
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg, '[{"k": 1}, {"k": 2, "v": "x"}]', '{k}');
CREATE RULE mtg_rule AS ON INSERT TO mtg DO INSTEAD NOTHING;
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg, '[{"k": 1}, {"k": 2}]', '{k}');
\set VERBOSITY sqlstate
SELECT * FROM get_or_create_many(NULL::mtg, '[{"k": 1}, {"k": 3}]', '{k}');
\set VERBOSITY default
DROP TABLE mtg;

-- deferrable, partial, expression and NULLS NOT DISTINCT unique indexes
CREATE TABLE mtg (k integer UNIQUE DEFERRABLE, v text);
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg, '[{"k": 1}, {"k": 2}, {"k": 1}]', '{k}');
CREATE UNIQUE INDEX ON mtg (lower(v)) WHERE v > '';
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg, '[{"v": "A"}, {"v": "b", "k": 2}]', '{v}');
\echo :SQLSTATE
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg, '[{"v": "A"}, {"v": "b", "k": 3}, {"v": "A"}]', '{v}');
SELECT * FROM get_or_create_many(NULL::mtg, '[{"v": "a"}]', '{v}');
\echo :SQLSTATE
DROP TABLE mtg;
CREATE TABLE mtg (k integer UNIQUE NULLS NOT DISTINCT, v text);
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mtg, '[{"k": null}, {"k": 2}, {"k": null, "v": "x"}]', '{k}');
DROP TABLE mtg;

-- a foreign table, on a server that is this server
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
RESET client_min_messages;
DO $$
DECLARE
  socket text := trim(split_part(current_setting('unix_socket_directories'), ',', 1));
BEGIN
  EXECUTE format('CREATE SERVER mtg_loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname %L, port %L, host %L)',
                 current_database(), current_setting('port'), coalesce(nullif(socket, ''), 'localhost'));
  EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER mtg_loopback OPTIONS (user %L)', current_user);
END $$;
CREATE TABLE mtg_remote (id serial, k text, v integer DEFAULT 7);
CREATE FOREIGN TABLE mtg (k text, v integer DEFAULT 50) SERVER mtg_loopback OPTIONS (table_name 'mtg_remote');
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mtg, '[{"k": "b"}, {"k": "a", "v": 1}, {"k": "b"}]', '{k}');
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mtg, '[{"k": "a", "v": 2}, {"k": "c", "v": null}, {"k": "b"}]', '{k}');
SELECT id, k, v FROM mtg_remote ORDER BY id;
SELECT k, v FROM lock_rows(NULL::mtg, '{c,a,x}', id_column => 'k');
DROP FOREIGN TABLE mtg;
DROP TABLE mtg_remote;
DROP USER MAPPING FOR CURRENT_USER SERVER mtg_loopback;
DROP SERVER mtg_loopback;
DROP EXTENSION postgres_fdw;
