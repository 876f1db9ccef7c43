-- Code of the user's that runs during an INSERT and creates the row, too: a
-- second row with the key is 27000, whoever ran.
\set SHOW_CONTEXT never
CREATE TABLE uc (k text, v integer);
-- calls for a key of the table, unless it is called by such a call itself
CREATE FUNCTION uc_make(key text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('uc.inside', true) IS DISTINCT FROM 'yes' THEN
    PERFORM set_config('uc.inside', 'yes', false);
    EXECUTE 'SELECT get_or_create(NULL::uc, $1, $2)' USING jsonb_build_object('k', key), '{"v": 1}'::jsonb;
    PERFORM set_config('uc.inside', 'no', false);
  END IF;
  RETURN 1;
END $$;
CREATE FUNCTION uc_make_b(value anyelement) RETURNS boolean LANGUAGE sql AS $$ SELECT uc_make('b') = 1 $$;
-- what an INSERT that is refused leaves of the setting
CREATE FUNCTION uc_ready() RETURNS void LANGUAGE sql AS $$ TRUNCATE uc; SELECT set_config('uc.inside', 'no', false); $$;

-- a DEFAULT
ALTER TABLE uc ADD d integer DEFAULT uc_make('b');
SELECT * FROM get_or_create(NULL::uc, '{"k": "b"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::uc, '{"k": "b"}', '{"v": 2}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::uc, '[{"k": "b"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::uc, '[{"k": "a"}, {"k": "b", "v": 3}]', '{k}');
\echo :SQLSTATE
-- another key than that of a single call, and one that is there already
SELECT (object).k, created FROM get_or_create(NULL::uc, '{"k": "a"}');
SELECT k, v FROM uc ORDER BY k;
SELECT (object).k, created FROM get_or_create(NULL::uc, '{"k": "c"}');
SELECT ordinality, (object).k, created FROM get_or_create_many(NULL::uc, '[{"k": "b"}, {"k": "d"}]', '{k}');
SELECT count(*), count(DISTINCT k) FROM uc;
-- with a unique index there is one row: it is found, and set
SELECT uc_ready();
CREATE UNIQUE INDEX uc_k ON uc (k);
SELECT (object).k, (object).v, created FROM get_or_create(NULL::uc, '{"k": "b"}', '{"v": 2}');
SELECT uc_ready();
SELECT (object).k, (object).v, created FROM update_or_create(NULL::uc, '{"k": "b"}', '{"v": 2}');
SELECT uc_ready();
SELECT ordinality, (object).k, (object).v, created FROM get_or_create_many(NULL::uc, '[{"k": "a"}, {"k": "b", "v": 2}]', '{k}');
SELECT count(*), count(DISTINCT k) FROM uc;
DROP INDEX uc_k;
-- a NULL in the key
SELECT uc_ready();
ALTER TABLE uc ALTER d SET DEFAULT uc_make(NULL);
SELECT * FROM get_or_create_many(NULL::uc, '[{"k": "a"}, {"k": null}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::uc, '{"k": null}');
\echo :SQLSTATE
ALTER TABLE uc DROP d;

-- a CHECK constraint
SELECT uc_ready();
ALTER TABLE uc ADD CONSTRAINT uc_check CHECK (uc_make('b') = 1);
SELECT uc_ready();
SELECT * FROM get_or_create(NULL::uc, '{"k": "b"}');
\echo :SQLSTATE
ALTER TABLE uc DROP CONSTRAINT uc_check;

-- a generated column
SELECT uc_ready();
ALTER FUNCTION uc_make IMMUTABLE;
ALTER TABLE uc ADD g integer GENERATED ALWAYS AS (uc_make(k)) STORED;
SELECT * FROM get_or_create(NULL::uc, '{"k": "b"}');
\echo :SQLSTATE
ALTER TABLE uc DROP g;

-- an index that a batch's next row meets
SELECT uc_ready();
CREATE INDEX uc_expression ON uc ((uc_make(k || 'b')));
SELECT * FROM get_or_create_many(NULL::uc, '[{"k": "a"}, {"k": "ab"}]', '{k}');
\echo :SQLSTATE
DROP INDEX uc_expression;
ALTER FUNCTION uc_make VOLATILE;

-- a domain's check, when the value is stored
SELECT uc_ready();
CREATE DOMAIN uc_domain AS integer CHECK (uc_make_b(value));
ALTER TABLE uc ADD d uc_domain DEFAULT 1;
SELECT uc_ready();
SELECT * FROM get_or_create(NULL::uc, '{"k": "b"}');
\echo :SQLSTATE
ALTER TABLE uc DROP d;
DROP DOMAIN uc_domain;

-- a policy
SELECT uc_ready();
CREATE ROLE regress_racefree_uc;
GRANT ALL ON uc TO regress_racefree_uc;
CREATE POLICY uc_all ON uc USING (true) WITH CHECK (uc_make('b') = 1);
ALTER TABLE uc ENABLE ROW LEVEL SECURITY;
SET ROLE regress_racefree_uc;
SELECT * FROM get_or_create(NULL::uc, '{"k": "b"}');
\echo :SQLSTATE
RESET ROLE;
DROP POLICY uc_all ON uc;
ALTER TABLE uc DISABLE ROW LEVEL SECURITY;

-- triggers: a tree, in which a path needs the one above
SELECT uc_ready();
CREATE FUNCTION uc_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.k LIKE '%/%' THEN
    PERFORM get_or_create(NULL::uc, jsonb_build_object('k', regexp_replace(NEW.k, '/[^/]*$', '')));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER uc_parent BEFORE INSERT ON uc FOR EACH ROW EXECUTE FUNCTION uc_parent();
SELECT (object).k, created FROM get_or_create(NULL::uc, '{"k": "usr/lib/x"}');
SELECT k FROM uc ORDER BY k;
SELECT uc_ready();
SELECT * FROM get_or_create_many(NULL::uc, '[{"k": "usr/lib"}, {"k": "usr"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::uc, '[{"k": "usr/lib"}, {"k": "usr"}]', '{k}');
\echo :SQLSTATE
SELECT count(*) FROM uc;
-- parents first, or with a unique index
SELECT ordinality, (object).k, created FROM get_or_create_many(NULL::uc, '[{"k": "usr"}, {"k": "usr/lib"}]', '{k}');
CREATE UNIQUE INDEX uc_k ON uc (k);
SELECT ordinality, (object).k, created FROM get_or_create_many(NULL::uc, '[{"k": "usr/bin"}, {"k": "etc/a"}, {"k": "etc"}]', '{k}');
SELECT k FROM uc ORDER BY k;
DROP INDEX uc_k;
DROP TRIGGER uc_parent ON uc;
-- after each row, and for the statement
SELECT uc_ready();
CREATE FUNCTION uc_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    INSERT INTO uc (k) VALUES ('b');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER uc_again AFTER INSERT ON uc FOR EACH ROW EXECUTE FUNCTION uc_again();
SELECT * FROM get_or_create(NULL::uc, '{"k": "b"}');
\echo :SQLSTATE
DROP TRIGGER uc_again ON uc;
CREATE TRIGGER uc_again BEFORE INSERT ON uc FOR EACH STATEMENT EXECUTE FUNCTION uc_again();
SELECT * FROM get_or_create_many(NULL::uc, '[{"k": "a"}, {"k": "b"}]', '{k}');
\echo :SQLSTATE
-- one that is gone, disabled or not for INSERTs does no harm
ALTER TABLE uc DISABLE TRIGGER uc_again;
SELECT (object).k, created FROM get_or_create(NULL::uc, '{"k": "b"}');
DROP TRIGGER uc_again ON uc;

-- a trigger that puts two rows where the key finds them, and none itself
SELECT uc_ready();
CREATE FUNCTION uc_twice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() > 1 THEN
    RETURN NEW;
  END IF;
  INSERT INTO uc (k) VALUES (NEW.k), (NEW.k);
  RETURN NULL;
END $$;
CREATE TRIGGER uc_twice BEFORE INSERT ON uc FOR EACH ROW EXECUTE FUNCTION uc_twice();
SELECT * FROM get_or_create(NULL::uc, '{"k": "b"}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::uc, '[{"k": "b"}]', '{k}');
\echo :SQLSTATE
DROP TABLE uc;

-- a trigger of an update batch's UPDATE creates a row that the batch is about to
-- insert: it is found, and set
CREATE TABLE uc (k text, v integer);
INSERT INTO uc VALUES ('a', 1);
CREATE FUNCTION uc_other() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM get_or_create(NULL::uc, '{"k": "b"}', '{"v": 10}');
  RETURN NEW;
END $$;
CREATE TRIGGER uc_other BEFORE UPDATE ON uc FOR EACH ROW EXECUTE FUNCTION uc_other();
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::uc, '[{"k": "a", "v": 2}, {"k": "b", "v": 3}, {"k": "c", "v": 4}]', '{k}');
SELECT k, v FROM uc ORDER BY k;
BEGIN ISOLATION LEVEL REPEATABLE READ;
DELETE FROM uc WHERE k = 'b';
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::uc, '[{"k": "a", "v": 3}, {"k": "b", "v": 3}]', '{k}');
COMMIT;
DROP TRIGGER uc_other ON uc;
TRUNCATE uc;
INSERT INTO uc VALUES ('a', 1);
-- so does a CHECK
ALTER TABLE uc ADD CHECK (uc_make('b') = 1 OR v IS NULL) NOT VALID;
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::uc, '[{"k": "a", "v": 2}, {"k": "b", "v": 3}]', '{k}');
SELECT k, v FROM uc ORDER BY k;
DROP TABLE uc;

-- code of the user's behind functions of core's that a DEFAULT calls
CREATE TABLE uc (k text, v integer);
CREATE FUNCTION uc_default(type text, expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text := 'created';
BEGIN
  PERFORM uc_ready();
  EXECUTE format('ALTER TABLE uc ADD d %s', type);
  EXECUTE format('ALTER TABLE uc ALTER d SET DEFAULT %s', expression);
  BEGIN
    EXECUTE 'SELECT get_or_create(NULL::uc, ''{"k": "b"}'')';
  EXCEPTION WHEN OTHERS THEN
    result := SQLSTATE;
  END;
  ALTER TABLE uc DROP d;
  RETURN result || ', ' || (SELECT count(*) FROM uc);
END $$;
CREATE DOMAIN uc_domain AS text CHECK (uc_make_b(value));
CREATE TYPE uc_pair AS (a uc_domain);
CREATE TYPE uc_range AS RANGE (subtype = uc_domain);
CREATE TYPE uc_enum AS ENUM ('x', 'y');
CREATE FUNCTION uc_json(value uc_enum) RETURNS json LANGUAGE sql AS $$ SELECT to_json(uc_make('b')) $$;
CREATE CAST (uc_enum AS json) WITH FUNCTION uc_json(uc_enum);
SELECT expression, uc_default(type, expression) FROM (VALUES
  (1, 'tsquery', $$ts_rewrite('a', 'SELECT ''a''::tsquery, ''b''::tsquery FROM uc_make(''b'')')$$),
  (2, 'uc_pair', $$jsonb_populate_record(NULL::uc_pair, '{"a": "x"}')$$),
  (3, 'uc_pair', $$json_populate_record(NULL::uc_pair, '{"a": "x"}')$$),
  (4, 'uc_pair', $$('(x)'::text)::uc_pair$$),
  (5, 'uc_domain[]', $$('{x}'::text)::uc_domain[]$$),
  (6, 'uc_range', $$('[x,y]'::text)::uc_range$$),
  (7, 'uc_multirange', $$('{[x,y]}'::text)::uc_multirange$$),
  (8, 'jsonb', $$to_jsonb('x'::uc_enum)$$),
  (9, 'jsonb', $$jsonb_build_object('a', 'x'::uc_enum)$$)) AS cases (n, type, expression) ORDER BY n;
DROP TABLE uc;
DROP FUNCTION uc_default;
DROP CAST (uc_enum AS json);
DROP FUNCTION uc_json;
DROP TYPE uc_range, uc_pair;
DROP DOMAIN uc_domain;

-- where only code of core's runs, nothing is looked at after the INSERT
CREATE TABLE uc_plain (id serial, g uuid DEFAULT gen_random_uuid(), k text, v integer CHECK (v > 0),
  w integer GENERATED ALWAYS AS (v * 2) STORED, at timestamptz DEFAULT clock_timestamp());
CREATE VIEW uc_looks AS SELECT coalesce(sum(seq_scan), 0) AS n FROM pg_stat_xact_user_tables WHERE relname = 'uc_plain';
BEGIN;
SELECT n FROM uc_looks \gset
SELECT created FROM get_or_create(NULL::uc_plain, '{"k": "a"}');
SELECT created FROM get_or_create_many(NULL::uc_plain, '[{"k": "b"}]', '{k}');
SELECT n - :n AS looks FROM uc_looks;
COMMIT;
CREATE TRIGGER uc_parent BEFORE INSERT ON uc_plain FOR EACH ROW EXECUTE FUNCTION uc_parent();
BEGIN;
SELECT n FROM uc_looks \gset
SELECT created FROM get_or_create(NULL::uc_plain, '{"k": "d"}');
SELECT created FROM get_or_create_many(NULL::uc_plain, '[{"k": "e"}]', '{k}');
SELECT n - :n AS looks FROM uc_looks;
COMMIT;
-- nor where a unique index refuses a second row
ALTER TABLE uc_plain ADD UNIQUE (k, v), ADD UNIQUE (id);
SET enable_indexscan = off;
SET enable_bitmapscan = off;
BEGIN;
SELECT n FROM uc_looks \gset
SELECT created FROM get_or_create(NULL::uc_plain, '{"id": 100}');
SELECT created FROM get_or_create(NULL::uc_plain, '{"k": "f", "v": 2}');
SELECT created FROM get_or_create_many(NULL::uc_plain, '[{"k": "h", "v": 1}]', '{k,v}');
SELECT n - :n AS looks FROM uc_looks;
SELECT n FROM uc_looks \gset
SELECT created FROM get_or_create(NULL::uc_plain, '{"k": "g", "v": null}');
SELECT created FROM get_or_create_many(NULL::uc_plain, '[{"k": "i", "v": null}]', '{k,v}');
SELECT n - :n AS looks FROM uc_looks;
COMMIT;
RESET enable_indexscan;
RESET enable_bitmapscan;
DROP VIEW uc_looks;
DROP TABLE uc_plain;
-- nor with what tables commonly have
CREATE TABLE uc_common (id bigint GENERATED ALWAYS AS IDENTITY, k text CHECK (length(k) < 10), name varchar(20) DEFAULT 'none',
  balance numeric(12,2) NOT NULL DEFAULT 0 CHECK (balance >= 0), state text DEFAULT 'new' CHECK (state IN ('new', 'old')),
  mood uc_enum DEFAULT 'x' CHECK (mood <> 'y'), data jsonb DEFAULT '{}' CHECK (jsonb_typeof(data) = 'object'), tags text[] DEFAULT '{}',
  since date DEFAULT CURRENT_DATE, at timestamptz NOT NULL DEFAULT now(), until timestamptz DEFAULT now() + interval '1 day',
  ts timestamp DEFAULT (now() AT TIME ZONE 'utc'), who text DEFAULT CURRENT_USER, r float8 DEFAULT random() * 10,
  token text DEFAULT md5(random()::text), CHECK (at < until AND coalesce(greatest(balance, 1), 0) > 0),
  words tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(name, ''))) STORED);
CREATE INDEX ON uc_common (lower(name)) WHERE state = 'new';
CREATE VIEW uc_looks AS SELECT coalesce(sum(seq_scan), 0) AS n FROM pg_stat_xact_user_tables WHERE relname = 'uc_common';
BEGIN;
SELECT n FROM uc_looks \gset
SELECT created FROM get_or_create(NULL::uc_common, '{"k": "a"}');
SELECT created FROM get_or_create_many(NULL::uc_common, '[{"k": "b"}]', '{k}');
SELECT n - :n AS looks FROM uc_looks;
COMMIT;
DROP VIEW uc_looks;
DROP TABLE uc_common;
DROP TYPE uc_enum;

-- a partition's trigger
CREATE TABLE uc (k text, v integer) PARTITION BY LIST (v);
CREATE TABLE uc_1 PARTITION OF uc FOR VALUES IN (1);
CREATE TABLE uc_2 PARTITION OF uc DEFAULT;
CREATE TRIGGER uc_parent BEFORE INSERT ON uc_2 FOR EACH ROW EXECUTE FUNCTION uc_parent();
SELECT * FROM get_or_create_many(NULL::uc, '[{"k": "usr/lib"}, {"k": "usr"}]', '{k}');
\echo :SQLSTATE
SELECT (object).k, created FROM get_or_create(NULL::uc, '{"k": "usr/lib"}');
SELECT k FROM uc ORDER BY k;

DROP TABLE uc;
DROP FUNCTION uc_make, uc_make_b, uc_ready, uc_parent, uc_again, uc_twice, uc_other;
DROP ROLE regress_racefree_uc;

-- With a unique index, a row that a trigger or DEFAULT creates is found: what is
-- to be set in it is set, and it was not this call that created it.
CREATE TABLE uc_dir (id serial, p text UNIQUE, v int);
CREATE FUNCTION uc_parent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	parent text := regexp_replace(NEW.p, '/[^/]*$', '');
BEGIN
	IF parent <> NEW.p THEN
		PERFORM get_or_create(NULL::uc_dir, jsonb_build_object('p', parent));
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER parent BEFORE INSERT ON uc_dir FOR EACH ROW EXECUTE FUNCTION uc_parent();
SELECT ordinality, (object).p, (object).v, created FROM update_or_create_many(NULL::uc_dir,
	'[{"p": "usr/lib", "v": 1}, {"p": "usr", "v": 2}, {"p": "usr", "v": 3}]', '{p}');
SELECT ordinality, (object).p, (object).v, created FROM get_or_create_many(NULL::uc_dir,
	'[{"p": "var/lib", "v": 1}, {"p": "var", "v": 2}, {"p": "opt/x", "v": 4}, {"p": "opt"}]', '{p}');
SELECT p, v FROM uc_dir ORDER BY p;
DROP TABLE uc_dir;
DROP FUNCTION uc_parent;

CREATE TABLE uc_default (id serial, k text UNIQUE, v int, w int DEFAULT 0, j json);
CREATE FUNCTION uc_insert() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO uc_default (k, w) VALUES ('x', 1) ON CONFLICT DO NOTHING;
	RETURN 2;
END
$$;
ALTER TABLE uc_default ALTER w SET DEFAULT uc_insert();
SELECT (object).k, (object).v, (object).w, created FROM update_or_create(NULL::uc_default, '{"k": "x"}', '{"v": 5}');
DELETE FROM uc_default;
SELECT (object).k, (object).v, (object).w, created FROM get_or_create(NULL::uc_default, '{"k": "x"}', '{"v": 5, "j": {}}');
DELETE FROM uc_default;
SELECT (object).k, (object).v, (object).w, created FROM get_or_create(NULL::uc_default, '{"k": "x"}');
DELETE FROM uc_default;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT (object).k, (object).v, (object).w, created FROM update_or_create(NULL::uc_default, '{"k": "x"}', '{"v": 6}');
COMMIT;
DROP TABLE uc_default;
DROP FUNCTION uc_insert;

-- A row that a trigger diverts, and changes, is the one that was to be inserted:
-- what the trigger made of it stays.
CREATE TABLE uc_top (k int, n int);
CREATE TABLE uc_below () INHERITS (uc_top);
CREATE FUNCTION uc_divert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO uc_below VALUES (NEW.k, least(NEW.n, 100));
	RETURN NULL;
END
$$;
CREATE TRIGGER divert BEFORE INSERT ON uc_top FOR EACH ROW EXECUTE FUNCTION uc_divert();
SELECT (object).k, (object).n, created FROM get_or_create(NULL::uc_top, '{"k": 1}', '{"n": 500}');
SELECT (object).k, (object).n, created FROM update_or_create(NULL::uc_top, '{"k": 2}', '{"n": 500}');
SELECT (object).k, (object).n, created FROM update_or_create_many(NULL::uc_top, '[{"k": 3, "n": 500}]', '{k}');
DROP TABLE uc_top CASCADE;
DROP FUNCTION uc_divert;

-- The default of a domain is changed between two calls, to a function of the
-- user's.
CREATE DOMAIN uc_text AS text DEFAULT 'x';
CREATE TABLE uc_domain (id int GENERATED ALWAYS AS IDENTITY, k int, v uc_text, w int);
CREATE FUNCTION uc_inner() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM get_or_create(NULL::uc_domain, '{"k": 1}', '{"v": "inner"}');
	RETURN 'outer';
END
$$;
SELECT created FROM get_or_create(NULL::uc_domain, '{"k": 100}');
ALTER DOMAIN uc_text SET DEFAULT uc_inner();
SELECT created FROM get_or_create(NULL::uc_domain, '{"k": 1}', '{"w": 1}');
\echo :SQLSTATE
SELECT created FROM get_or_create_many(NULL::uc_domain, '[{"k": 1, "w": 1}]', '{k}');
\echo :SQLSTATE
SELECT k, v FROM uc_domain ORDER BY k;
DROP TABLE uc_domain;
DROP DOMAIN uc_text;
DROP FUNCTION uc_inner;
