-- Targets: on what get_or_create and update_or_create work, and on what not.
\set SHOW_CONTEXT never

-- what is no table: 42809 with a hint
CREATE TABLE tgt (k integer, v text);
CREATE VIEW tgt_view AS SELECT * FROM tgt;
CREATE MATERIALIZED VIEW tgt_mat AS SELECT * FROM tgt;
CREATE TYPE tgt_type AS (k integer);
CREATE DOMAIN tgt_domain AS tgt;
SELECT * FROM get_or_create(NULL::tgt_view, '{"k": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::tgt_mat, '{"k": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::tgt_type, '{"k": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::tgt_domain, '{"k": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::integer, '{"k": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create('tgt'::text, '{"k": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::tgt[], '{"k": 1}');
\echo :SQLSTATE
SELECT get_or_create(NULL::record, '{"k": 1}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::tgt_view, '{"k": 1}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::integer, '{"k": 1}');
\echo :SQLSTATE
-- an untyped NULL names nothing
SELECT * FROM get_or_create(NULL, '{"k": 1}');
\echo :SQLSTATE
SELECT count(*) FROM tgt;
DROP DOMAIN tgt_domain;
DROP TYPE tgt_type;
DROP MATERIALIZED VIEW tgt_mat;
DROP VIEW tgt_view;
DROP TABLE tgt;

-- a partitioned table without a unique index
CREATE TABLE tgt (k integer, v text DEFAULT 'd') PARTITION BY RANGE (k);
CREATE TABLE tgt_low PARTITION OF tgt FOR VALUES FROM (0) TO (10);
CREATE TABLE tgt_high (v text DEFAULT 'high', gone integer, k integer) ;
ALTER TABLE tgt_high DROP COLUMN gone;
ALTER TABLE tgt ATTACH PARTITION tgt_high FOR VALUES FROM (10) TO (20);
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 11}', '{"v": "x"}');
SELECT (object).*, created FROM update_or_create(NULL::tgt, '{"k": 11}', '{"v": "y"}');
-- through a partition: it has its own layout and its own defaults
SELECT (object).*, created FROM get_or_create(NULL::tgt_high, '{"k": 11}');
SELECT (object).*, created FROM get_or_create(NULL::tgt_high, '{"k": 12}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 12}');
-- where no partition fits: 23514
SELECT * FROM get_or_create(NULL::tgt, '{"k": 99}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::tgt_high, '{"k": 1}');
\echo :SQLSTATE
-- a key without the partition key is looked up in all partitions
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"v": "y"}');
-- an update may move the row
SELECT (object).*, created FROM update_or_create(NULL::tgt, '{"v": "y"}', '{"k": 2}');
SELECT tableoid::regclass, k, v FROM tgt ORDER BY k;
-- with a unique index, made after calls without
CREATE UNIQUE INDEX ON tgt (k);
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 3}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 3}');
SELECT (object).*, created FROM get_or_create(NULL::tgt_high, '{"k": 13}');
SELECT (object).*, created FROM update_or_create(NULL::tgt, '{"k": 13}', '{"v": "z"}');
DROP TABLE tgt;

-- partitions of partitions
CREATE TABLE tgt (a integer, b integer, PRIMARY KEY (a, b)) PARTITION BY LIST (a);
CREATE TABLE tgt_1 PARTITION OF tgt FOR VALUES IN (1) PARTITION BY HASH (b);
CREATE TABLE tgt_1_0 PARTITION OF tgt_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT created FROM get_or_create(NULL::tgt, '{"a": 1, "b": 1}');
SELECT created FROM get_or_create(NULL::tgt_1, '{"a": 1, "b": 1}');
SELECT created FROM get_or_create(NULL::tgt_1_0, '{"a": 1, "b": 1}');
SELECT created FROM get_or_create(NULL::tgt_1_0, '{"b": 2}', '{"a": 1}');
SELECT created FROM get_or_create(NULL::tgt, '{"b": 2}', '{"a": 1}');
DROP TABLE tgt;

-- an inheritance parent: the children's rows count, new rows go to the parent
CREATE TABLE tgt (k integer, v text);
CREATE TABLE tgt_child (extra text) INHERITS (tgt);
INSERT INTO tgt_child VALUES (1, 'child', 'e');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
SELECT (object).*, created FROM update_or_create(NULL::tgt, '{"k": 1}', '{"v": "changed"}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 2}');
SELECT (object).*, created FROM get_or_create(NULL::tgt_child, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::tgt_child, '{"k": 2}');
SELECT * FROM get_or_create(NULL::tgt, '{"k": 2}');
\echo :SQLSTATE
SELECT tableoid::regclass, k, v FROM tgt ORDER BY k, tableoid::regclass::text;
DROP TABLE tgt_child, tgt;

-- temporary, unlogged and typed tables
CREATE TEMPORARY TABLE tgt (k integer, v text);
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
SELECT (object).*, created FROM update_or_create(NULL::tgt, '{"k": 1}', '{"v": "x"}');
DROP TABLE tgt;
BEGIN;
CREATE TEMPORARY TABLE tgt (k integer PRIMARY KEY) ON COMMIT DROP;
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
COMMIT;
CREATE UNLOGGED TABLE tgt (k integer, v text);
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
DROP TABLE tgt;
CREATE TYPE tgt_row AS (k integer, v text);
CREATE TABLE tgt OF tgt_row;
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
DROP TABLE tgt;
DROP TYPE tgt_row;

-- no columns at all, from the start or by and by
CREATE TABLE tgt ();
SELECT object, created FROM get_or_create(NULL::tgt, '{}');
SELECT object, created FROM get_or_create(NULL::tgt, '{}');
SELECT object, created FROM update_or_create(NULL::tgt, '{}');
SELECT count(*) FROM tgt;
SELECT * FROM get_or_create(NULL::tgt, '{"k": 1}');
\echo :SQLSTATE
ALTER TABLE tgt ADD k integer DEFAULT 1;
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 1}');
ALTER TABLE tgt DROP COLUMN k;
SELECT object, created FROM get_or_create(NULL::tgt, '{}');
DROP TABLE tgt;

-- generated columns can be looked up, not given: 428C9 is core's
CREATE TABLE tgt (k integer, double integer GENERATED ALWAYS AS (k * 2) STORED, v text);
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 4}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"double": 8}');
SELECT (object).*, created FROM update_or_create(NULL::tgt, '{"double": 8}', '{"k": 5}');
\set VERBOSITY sqlstate
SELECT * FROM get_or_create(NULL::tgt, '{"double": 12}');
SELECT * FROM get_or_create(NULL::tgt, '{"k": 6}', '{"double": 12}');
SELECT * FROM update_or_create(NULL::tgt, '{"k": 5}', '{"double": 12}');
\set VERBOSITY default
SELECT k, double FROM tgt ORDER BY k;
DROP TABLE tgt;

-- so with identity columns GENERATED ALWAYS; BY DEFAULT they are columns as any
CREATE TABLE tgt (id integer GENERATED ALWAYS AS IDENTITY, d integer GENERATED BY DEFAULT AS IDENTITY (START 100), k text);
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": "a"}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"id": 1}');
SELECT (object).*, created FROM update_or_create(NULL::tgt, '{"id": 1}', '{"k": "b"}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": "c"}', '{"d": 7}');
\set VERBOSITY sqlstate
SELECT * FROM get_or_create(NULL::tgt, '{"id": 9}');
SELECT * FROM get_or_create(NULL::tgt, '{"k": "d"}', '{"id": 9}');
SELECT * FROM update_or_create(NULL::tgt, '{"k": "b"}', '{"id": 9}');
\set VERBOSITY default
SELECT id, d, k FROM tgt ORDER BY id;
DROP TABLE tgt;

-- names that need quotes, of the schema, the table and the columns
CREATE SCHEMA "Ta""rg.et S";
CREATE TABLE "Ta""rg.et S"."SELECT; '%s $1" ("a""b" integer, "C d" text COLLATE "C", "select" integer, "ünï" integer DEFAULT 1, "\" text, "$1" integer);
SELECT object, created FROM get_or_create(NULL::"Ta""rg.et S"."SELECT; '%s $1", '{"a\"b": 1, "C d": "x", "$1": null}', '{"select": 2, "\\": "''"}');
SELECT object, created FROM get_or_create(NULL::"Ta""rg.et S"."SELECT; '%s $1", '{"a\"b": 1, "C d": "x", "$1": null}');
SELECT object, created FROM update_or_create(NULL::"Ta""rg.et S"."SELECT; '%s $1", '{"select": 2, "\\": "''"}', '{"ünï": 5, "$1": 1}');
SELECT * FROM get_or_create(NULL::"Ta""rg.et S"."SELECT; '%s $1", '{"nope": 1}');
\echo :SQLSTATE
CREATE UNIQUE INDEX ON "Ta""rg.et S"."SELECT; '%s $1" ("C d", "a""b");
SELECT object, created FROM get_or_create(NULL::"Ta""rg.et S"."SELECT; '%s $1", '{"a\"b": 2, "C d": "x"}');
SELECT object, created FROM get_or_create(NULL::"Ta""rg.et S"."SELECT; '%s $1", '{"a\"b": 2, "C d": "x"}');
ALTER TABLE "Ta""rg.et S"."SELECT; '%s $1" ADD "Bal" integer DEFAULT 10;
SELECT * FROM transfer(NULL::"Ta""rg.et S"."SELECT; '%s $1", 1, 2, 3, id_column => 'a"b', balance_column => 'Bal');
DROP TABLE "Ta""rg.et S"."SELECT; '%s $1";
DROP SCHEMA "Ta""rg.et S";

-- two tables of one name in two schemas are two tables
CREATE SCHEMA tgt_a;
CREATE SCHEMA tgt_b;
CREATE TABLE tgt_a.same (k integer);
CREATE TABLE tgt_b.same (k integer, v text DEFAULT 'b');
SELECT (object).*, created FROM get_or_create(NULL::tgt_a.same, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::tgt_b.same, '{"k": 1}');
SET search_path = tgt_a, public;
SELECT (object).*, created FROM get_or_create(NULL::same, '{"k": 1}');
SET search_path = tgt_b, public;
SELECT (object).*, created FROM get_or_create(NULL::same, '{"k": 1}');
RESET search_path;
DROP TABLE tgt_a.same, tgt_b.same;
DROP SCHEMA tgt_a, tgt_b;

-- a catalog is a table; a hit reads it
SELECT (object).nspname, created FROM get_or_create(NULL::pg_namespace, '{"nspname": "pg_catalog"}');

-- a column that bears the name of the table, of a type or of a parameter
CREATE TABLE tgt (tgt integer, key text, defaults jsonb, object text, created boolean);
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"tgt": 1, "key": "k"}', '{"defaults": {}, "object": "o", "created": false}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"tgt": 1, "key": "k"}');
DROP TABLE tgt;

-- rules: what they make of the statement says nothing, so they are refused
CREATE TABLE tgt (k integer, v text);
CREATE TABLE tgt_other (k integer, v text);
\set VERBOSITY sqlstate
CREATE RULE tgt_rule AS ON INSERT TO tgt DO INSTEAD INSERT INTO tgt_other VALUES (NEW.k, 'r') RETURNING *;
SELECT * FROM get_or_create(NULL::tgt, '{"k": 1}');
DROP RULE tgt_rule ON tgt;
CREATE RULE tgt_rule AS ON INSERT TO tgt DO INSTEAD NOTHING;
SELECT * FROM get_or_create(NULL::tgt, '{"k": 1}');
DROP RULE tgt_rule ON tgt;
CREATE RULE tgt_rule AS ON UPDATE TO tgt DO INSTEAD UPDATE tgt_other SET v = NEW.v WHERE k = OLD.k RETURNING *;
INSERT INTO tgt VALUES (2, 'b');
INSERT INTO tgt_other VALUES (2, 'o');
SELECT * FROM update_or_create(NULL::tgt, '{"k": 2}', '{"v": "x"}');
\set VERBOSITY default
-- a hit of get_or_create meets no rule
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 2}');
SELECT k, v FROM tgt ORDER BY k;
SELECT k, v FROM tgt_other ORDER BY k;
-- a rule that adds something does no harm
DROP RULE tgt_rule ON tgt;
CREATE RULE tgt_rule AS ON INSERT TO tgt DO ALSO INSERT INTO tgt_other VALUES (NEW.k, 'also');
CREATE UNIQUE INDEX ON tgt (k);
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 3}');
SELECT (object).*, created FROM get_or_create(NULL::tgt, '{"k": 3}');
SELECT k, v FROM tgt ORDER BY k;
SELECT k, v FROM tgt_other ORDER BY k;
DROP TABLE tgt, tgt_other;
