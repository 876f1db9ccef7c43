-- Changes of the table between two calls in one session: plans and what is
-- kept of the table must follow.
\set SHOW_CONTEXT never
CREATE SCHEMA ddl_a;
CREATE SCHEMA ddl_b;
SET search_path = ddl_a, ddl_b, public;
CREATE TABLE d (k text, v integer);
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "a"}');
SELECT (object).*, created FROM update_or_create(NULL::d, '{"k": "a"}', '{"v": 1}');

-- rename a column of the key, then one that is set
ALTER TABLE d RENAME k TO key;
SELECT (object).*, created FROM get_or_create(NULL::d, '{"key": "a"}');
SELECT * FROM get_or_create(NULL::d, '{"k": "a"}');
\echo :SQLSTATE
ALTER TABLE d RENAME v TO k;
SELECT (object).*, created FROM update_or_create(NULL::d, '{"key": "a"}', '{"k": 2}');
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": 2}');
-- swap the names of two columns
ALTER TABLE d RENAME k TO tmp;
ALTER TABLE d RENAME key TO k;
ALTER TABLE d RENAME tmp TO key;
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "a"}');
SELECT (object).*, created FROM get_or_create(NULL::d, '{"key": 2}');
ALTER TABLE d RENAME key TO v;

-- change a column's type, of the key and of what is set
ALTER TABLE d ALTER v TYPE numeric(6,2);
SELECT (object).*, created FROM update_or_create(NULL::d, '{"k": "a"}', '{"v": 2.5}');
SELECT (object).*, created FROM get_or_create(NULL::d, '{"v": "2.50"}');
ALTER TABLE d ALTER v TYPE text;
SELECT (object).*, created FROM get_or_create(NULL::d, '{"v": "2.5"}');
SELECT (object).*, created FROM get_or_create(NULL::d, '{"v": "2.50"}');
DELETE FROM d WHERE v = '2.5';
ALTER TABLE d ALTER v TYPE numeric(8,3) USING v::numeric;
SELECT (object).*, created FROM get_or_create(NULL::d, '{"v": 2.5}');
ALTER TABLE d ALTER v TYPE json USING v::text::json;
SELECT * FROM get_or_create(NULL::d, '{"v": 2.5}');
\echo :SQLSTATE
ALTER TABLE d ALTER v TYPE integer USING v::text::numeric;
SELECT (object).*, created FROM get_or_create(NULL::d, '{"v": 3}');
-- and its collation
CREATE COLLATION ddl_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "A"}');
DELETE FROM d WHERE k = 'A';
ALTER TABLE d ALTER k TYPE text COLLATE ddl_ci;
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "A"}');
ALTER TABLE d ALTER k TYPE text COLLATE "C";
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "A"}');
DELETE FROM d WHERE k = 'A' OR k IS NULL;

-- add and drop columns, before and behind those in use
ALTER TABLE d ADD w integer DEFAULT 9;
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "a"}');
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "b"}', '{"v": 1, "w": 2}');
ALTER TABLE d DROP COLUMN v;
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "b"}');
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "c"}', '{"w": 3}');
SELECT (object).*, created FROM update_or_create(NULL::d, '{"k": "c"}', '{"w": 4}');
SELECT * FROM get_or_create(NULL::d, '{"v": 1}');
\echo :SQLSTATE
ALTER TABLE d ADD v text DEFAULT 'new v';
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "c"}');
SELECT (object).*, created FROM get_or_create(NULL::d, '{"v": "x"}');
-- defaults, not null, generated
ALTER TABLE d ALTER v SET DEFAULT 'newer v', ALTER w SET NOT NULL, ADD g integer GENERATED ALWAYS AS (w * 2) STORED;
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "d"}');
SELECT (object).*, created FROM get_or_create(NULL::d, '{"g": 8}');
SELECT * FROM get_or_create(NULL::d, '{"k": "e"}', '{"w": null}');
\echo :SQLSTATE
ALTER TABLE d ALTER g DROP EXPRESSION;
SELECT (object).*, created FROM update_or_create(NULL::d, '{"k": "c"}', '{"g": 7}');

-- add and drop unique indexes, with a rival's row to meet: see arbiter
CREATE FUNCTION ddl_rival() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    INSERT INTO d (k, v) VALUES (NEW.k, 'rival');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER rival BEFORE INSERT ON d FOR EACH ROW EXECUTE FUNCTION ddl_rival();
SELECT * FROM get_or_create(NULL::d, '{"k": "i0"}');
\echo :SQLSTATE
DELETE FROM d WHERE k IS NULL;
CREATE UNIQUE INDEX d_k ON d (k);
SELECT (object).k, (object).v, created FROM get_or_create(NULL::d, '{"k": "i1"}');
DROP INDEX d_k;
SELECT * FROM get_or_create(NULL::d, '{"k": "i2"}');
\echo :SQLSTATE
ALTER TABLE d ADD PRIMARY KEY (k);
SELECT (object).k, (object).v, created FROM get_or_create(NULL::d, '{"k": "i3"}');
ALTER TABLE d DROP CONSTRAINT d_pkey;
ALTER TABLE d ADD UNIQUE (k) DEFERRABLE;
SELECT * FROM get_or_create(NULL::d, '{"k": "i4"}');
\echo :SQLSTATE
ALTER TABLE d DROP CONSTRAINT d_k_key;
DROP TRIGGER rival ON d;
DROP FUNCTION ddl_rival;
SELECT k, v FROM d WHERE k LIKE 'i%' ORDER BY k;
-- a trigger that comes and goes
CREATE FUNCTION ddl_notice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'insert'; RETURN NEW; END $$;
CREATE TRIGGER note BEFORE INSERT ON d FOR EACH ROW EXECUTE FUNCTION ddl_notice();
SELECT (object).k, created FROM get_or_create(NULL::d, '{"k": "t1"}');
DROP TRIGGER note ON d;
SELECT (object).k, created FROM get_or_create(NULL::d, '{"k": "t2"}');
DROP FUNCTION ddl_notice;

-- rename the table, its schema; move it to another schema
ALTER TABLE d RENAME TO e;
SELECT (object).k, created FROM get_or_create(NULL::e, '{"k": "a"}');
SELECT (object).k, created FROM get_or_create(NULL::e, '{"k": "renamed"}');
CREATE TABLE d (k text, other integer);
SELECT (object).*, created FROM get_or_create(NULL::d, '{"k": "a"}');
SELECT (object).k, created FROM get_or_create(NULL::e, '{"k": "a"}');
ALTER SCHEMA ddl_a RENAME TO ddl_c;
SELECT (object).k, created FROM get_or_create(NULL::ddl_c.e, '{"k": "a"}');
SELECT (object).k, created FROM update_or_create(NULL::ddl_c.e, '{"k": "moved"}', '{"v": "x"}');
ALTER TABLE ddl_c.e SET SCHEMA ddl_b;
SELECT (object).k, created FROM get_or_create(NULL::ddl_b.e, '{"k": "moved"}');
SELECT (object).k, created FROM get_or_create(NULL::e, '{"k": "after"}');
ALTER SCHEMA ddl_c RENAME TO ddl_a;
SELECT k, v FROM e WHERE k IN ('renamed', 'moved', 'after') ORDER BY k;

-- one table takes the place of another of the same name
DROP TABLE e;
CREATE TABLE e (k integer, v text DEFAULT 'another');
SELECT (object).*, created FROM get_or_create(NULL::e, '{"k": 1}');
BEGIN;
DROP TABLE e;
CREATE TABLE e (k date);
SELECT (object).*, created FROM get_or_create(NULL::e, '{"k": "2006-05-04"}');
ROLLBACK;
SELECT (object).*, created FROM get_or_create(NULL::e, '{"k": 1}');
-- a change that is rolled back
BEGIN;
ALTER TABLE e RENAME v TO w;
SELECT (object).*, created FROM get_or_create(NULL::e, '{"w": "another"}');
ROLLBACK;
SELECT (object).*, created FROM get_or_create(NULL::e, '{"v": "another"}');
SELECT * FROM get_or_create(NULL::e, '{"w": "another"}');
\echo :SQLSTATE
BEGIN;
SAVEPOINT s;
ALTER TABLE e ADD w integer DEFAULT 5;
SELECT (object).*, created FROM get_or_create(NULL::e, '{"w": 5}');
ROLLBACK TO s;
SELECT (object).*, created FROM get_or_create(NULL::e, '{"k": 1}');
COMMIT;

-- types that change by themselves: composite, domain, enum
CREATE TYPE ddl_pair AS (a integer);
CREATE DOMAIN ddl_pos AS integer;
CREATE TYPE ddl_mood AS ENUM ('sad');
CREATE TABLE f (k integer, p ddl_pair, pp ddl_pair[], d ddl_pos, m ddl_mood);
SELECT (object).*, created FROM get_or_create(NULL::f, '{"k": 1}', '{"p": {"a": 1}, "pp": [{"a": 1}], "d": -1, "m": "sad"}');
ALTER TYPE ddl_pair ADD ATTRIBUTE b text;
SELECT (object).*, created FROM get_or_create(NULL::f, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::f, '{"k": 2}', '{"p": {"a": 1, "b": "x"}, "pp": [{"b": "y"}]}');
SELECT (object).*, created FROM get_or_create(NULL::f, '{"p": {"a": 1, "b": "x"}}');
ALTER TYPE ddl_pair RENAME ATTRIBUTE a TO c;
SELECT (object).*, created FROM get_or_create(NULL::f, '{"p": {"c": 1, "b": "x"}}');
ALTER DOMAIN ddl_pos ADD CHECK (VALUE > 0) NOT VALID;
SELECT * FROM get_or_create(NULL::f, '{"k": 3}', '{"d": -1}');
\echo :SQLSTATE
ALTER TYPE ddl_mood ADD VALUE 'happy';
SELECT (object).k, (object).m, created FROM get_or_create(NULL::f, '{"k": 3}', '{"m": "happy"}');
ALTER TYPE ddl_mood RENAME VALUE 'sad' TO 'blue';
SELECT (object).k, (object).m, created FROM get_or_create(NULL::f, '{"m": "blue"}');
DROP TABLE f;
DROP TYPE ddl_pair, ddl_mood;
DROP DOMAIN ddl_pos;

-- transfer: rename, retype, move the primary key
CREATE TABLE acct (id integer PRIMARY KEY, other integer, balance integer);
INSERT INTO acct VALUES (1, 2, 100), (2, 1, 50);
SELECT * FROM transfer(NULL::acct, 1, 2, 1);
ALTER TABLE acct RENAME id TO no;
SELECT * FROM transfer(NULL::acct, 1, 2, 1);
ALTER TABLE acct DROP CONSTRAINT acct_pkey;
SELECT * FROM transfer(NULL::acct, 1, 2, 1);
\echo :SQLSTATE
ALTER TABLE acct ADD PRIMARY KEY (other);
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
ALTER TABLE acct ALTER balance TYPE numeric(6,2);
SELECT * FROM transfer(NULL::acct, 1, 2, 0.25);
ALTER TABLE acct ALTER balance TYPE numeric(6,1) USING floor(balance);
SELECT * FROM transfer(NULL::acct, 1, 2, 0.25);
\echo :SQLSTATE
ALTER TABLE acct ALTER balance TYPE double precision;
SELECT * FROM transfer(NULL::acct, 1, 2, 1);
\echo :SQLSTATE
ALTER TABLE acct ALTER balance TYPE bigint;
SELECT * FROM transfer(NULL::acct, 1, 2, 1);
ALTER TABLE acct ALTER other TYPE text;
SELECT * FROM transfer(NULL::acct, '1', '2', 1);
ALTER TABLE acct RENAME balance TO money;
SELECT * FROM transfer(NULL::acct, 1, 2, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'money');
ALTER TABLE acct DROP COLUMN no;
SELECT * FROM transfer(NULL::acct, 1, 2, 1, balance_column => 'money');
SELECT * FROM acct ORDER BY other;
DROP TABLE acct;

-- calls from a PL/pgSQL function, whose own plans are kept, too
CREATE TABLE g (k integer, v integer);
CREATE FUNCTION ddl_call(integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
  SELECT * INTO r FROM get_or_create(NULL::g, jsonb_build_object('k', $1));
  RETURN r.object || ' ' || r.created;
END $$;
SELECT ddl_call(1), ddl_call(1);
ALTER TABLE g ADD w integer DEFAULT 3;
SELECT ddl_call(1), ddl_call(2);
ALTER TABLE g DROP COLUMN v;
SELECT ddl_call(2), ddl_call(3);
DROP FUNCTION ddl_call;
DROP TABLE g;

DISCARD PLANS;
CREATE TABLE after_discard (k integer);
SELECT (object).*, created FROM get_or_create(NULL::after_discard, '{"k": 1}');
DISCARD ALL;
SET search_path = ddl_a, ddl_b, public;
SELECT (object).*, created FROM get_or_create(NULL::after_discard, '{"k": 1}');

SET client_min_messages = warning;
DROP SCHEMA ddl_a, ddl_b CASCADE;
