-- Arguments of the *_many functions: what is refused, and where it was.
CREATE TABLE ma (id integer GENERATED ALWAYS AS IDENTITY, k text, n integer, g integer GENERATED ALWAYS AS (n * 2) STORED, gone integer, j json);
ALTER TABLE ma DROP COLUMN gone;

-- rows: an array of objects
SELECT * FROM get_or_create_many(NULL::ma, NULL, '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, 'null', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '{"k": "a"}', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '"k"', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a"}, 1]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a"}, {"k": "b"}, null]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[[{"k": "a"}]]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ma, '["k"]', '{k}');
\echo :SQLSTATE
-- encoded twice, as a whole or each
SELECT * FROM get_or_create_many(NULL::ma, to_jsonb('[{"k": "a"}]'::text), '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ma, jsonb_build_array('{"k": "a"}'::text), '{k}');
\echo :SQLSTATE

-- key: column names, each once
SELECT * FROM get_or_create_many(NULL::ma, '[]', NULL);
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a"}]', '{k,NULL}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a"}]', '{k,n,k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a"}]', '{nope}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[]', '{gone}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[]', '{ctid}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[]', '{K}');
\echo :SQLSTATE
-- a type without equality is no key
SELECT * FROM get_or_create_many(NULL::ma, '[{"j": 1}]', '{j}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ma, '[{"k": "a", "j": null}]', '{k,j}');
\echo :SQLSTATE

-- each row gives the whole key, and columns that exist; the row is named
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a"}, {"n": 1}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ma, '[{"k": "a", "n": 1}, {"k": "b", "n": 2}, {}]', '{k,n}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a"}, {"k": "b", "nope": 1}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a"}, {"k": "b", "gone": 1}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a", "xmin": 1}]', '{k}');
\echo :SQLSTATE

-- values that do not convert; the row is named
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a", "n": 1}, {"k": "b", "n": 1.5}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "a", "n": 1}, {"k": "b", "n": 1}, {"k": "c", "n": "x"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ma, '[{"n": 1}, {"n": 99999999999}]', '{n}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ma, '[{"n": {"a": 1}}]', '{n}');
\echo :SQLSTATE
SELECT count(*) FROM ma;

\set SHOW_CONTEXT never
-- generated and identity columns can be looked up, not given: 428C9
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::ma, '[{"k": "a", "n": 4}, {"k": "b", "n": 5}]', '{k}');
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::ma, '[{"g": 10}, {"g": 8}]', '{g}');
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::ma, '[{"id": 2, "n": 6}, {"id": 1, "k": "A"}]', '{id}');
SELECT * FROM get_or_create_many(NULL::ma, '[{"g": 10}, {"g": 16}]', '{g}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"id": 1}, {"id": 9}]', '{id}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "new"}, {"k": "newer", "id": 9}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma, '[{"k": "new"}, {"k": "newer", "g": 9}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ma, '[{"k": "A", "n": 1}, {"k": "b", "g": 9}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ma, '[{"k": "A", "id": 9}]', '{k}');
\echo :SQLSTATE
SELECT id, k, n, g FROM ma ORDER BY id;

-- the target: a table's row type
CREATE VIEW ma_view AS SELECT k, n FROM ma;
CREATE MATERIALIZED VIEW ma_mat AS SELECT k, n FROM ma;
CREATE TYPE ma_type AS (k text);
SELECT * FROM get_or_create_many(NULL::ma_view, '[]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ma_view, '[{"k": "a"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma_mat, '[{"k": "a"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::ma_type, '[{"k": "a"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::integer, '[{"k": "a"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL, '[{"k": "a"}]', '{k}');
\echo :SQLSTATE
DROP VIEW ma_view;
DROP MATERIALIZED VIEW ma_mat;
DROP TYPE ma_type;
DROP TABLE ma;

-- names that could be taken for those in the statements
CREATE SCHEMA "ma S";
CREATE TABLE "ma S"."racefree_batch" (n integer PRIMARY KEY, k1 text, d1 text, g1 boolean, r text, t text, "a""b" text);
SELECT ordinality, object, created FROM update_or_create_many(NULL::"ma S"."racefree_batch", '[{"n": 1, "k1": "k", "a\"b": "q"}, {"n": 2, "g1": true, "t": "t"}]', '{n}');
SELECT ordinality, object, created FROM update_or_create_many(NULL::"ma S"."racefree_batch", '[{"n": 2, "r": "r"}, {"n": 1, "d1": "d", "g1": false}, {"n": 3, "t": "3"}]', '{n}');
SELECT ordinality, object, created FROM get_or_create_many(NULL::"ma S"."racefree_batch", '[{"k1": "k", "a\"b": "q"}, {"k1": "", "a\"b": null, "n": 4}]', '{k1,"a\"b"}');
CREATE TABLE "ma S"."r" (t integer, r integer);
CREATE TABLE "ma S"."t" (t integer, r integer);
SELECT ordinality, object, created FROM update_or_create_many(NULL::"ma S"."r", '[{"t": 1, "r": 1}, {"t": 1, "r": 2}]', '{t}');
SELECT ordinality, object, created FROM update_or_create_many(NULL::"ma S"."t", '[{"r": 1, "t": 1}, {"r": 1, "t": 2}]', '{r}');
SELECT ordinality, object, created FROM update_or_create_many(NULL::"ma S"."t", '[{"r": 1, "t": 3}]', '{r}');
DROP TABLE "ma S"."racefree_batch", "ma S"."r", "ma S"."t";
DROP SCHEMA "ma S";
