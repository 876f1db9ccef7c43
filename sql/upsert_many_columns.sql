-- Which columns the statements of a batch name, and which row an error names.
CREATE TABLE mc (
    k integer PRIMARY KEY,
    a integer CHECK (a > 0),
    b integer NOT NULL DEFAULT 1,
    u integer UNIQUE,
    id integer GENERATED ALWAYS AS IDENTITY,
    g integer GENERATED ALWAYS AS (b * 2) STORED,
    log text NOT NULL DEFAULT ''
);
INSERT INTO mc (k) VALUES (1);

-- what only a hit, or a key's later row, gives is no part of the INSERT
SELECT ordinality, (object).k, (object).a, created
  FROM get_or_create_many(NULL::mc, '[{"k": 1, "g": 5, "id": 7}, {"k": 2, "a": 3}, {"k": 2, "id": 9}]', '{k}');
-- but what a new row gives is
\set VERBOSITY terse
SELECT * FROM get_or_create_many(NULL::mc, '[{"k": 3}, {"k": 4, "id": 9}]', '{k}');
\echo :SQLSTATE
\set VERBOSITY default

-- the row that the table refuses is named: CHECK, NOT NULL, another unique index
\set SHOW_CONTEXT never
CREATE FUNCTION mc_context(rows jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    context text;
BEGIN
    PERFORM * FROM get_or_create_many(NULL::mc, rows, '{k}');
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
    RETURN SQLSTATE || ', ' || coalesce(substring(context FROM 'row \d+ of argument "rows"'), 'no row');
END
$$;
SELECT mc_context('[{"k": 1}, {"k": 10, "a": 1}, {"k": 11, "a": -1}, {"k": 12}]');
SELECT mc_context('[{"k": 10}, {"k": 1, "a": -1}, {"k": 11, "b": null}]');
SELECT mc_context('[{"k": 10, "u": 1}, {"k": 10}, {"k": 11, "u": 1}]');
SELECT mc_context('[{"k": 10}, {"k": 11, "a": "x"}]');
-- of an UPDATE too, where the plan goes by the rows of the batch
CREATE FUNCTION mc_update_context(rows jsonb) RETURNS text LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    context text;
BEGIN
    PERFORM * FROM update_or_create_many(NULL::mc, rows, '{k}');
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
    RETURN SQLSTATE || ', ' || coalesce(substring(context FROM 'row \d+ of argument "rows"'), 'no row');
END
$$;
SELECT mc_update_context('[{"k": 1, "a": 1}, {"k": 2, "a": -1}, {"k": 3, "a": 1}]');
-- what is found out when all rows are in, names none
CREATE FUNCTION mc_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER refuse AFTER INSERT ON mc EXECUTE FUNCTION mc_refuse();
SELECT mc_context('[{"k": 10}, {"k": 11}]');
DROP TRIGGER refuse ON mc;

-- an UPDATE names the columns that its rows give: for triggers
CREATE FUNCTION mc_log() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.log := OLD.log || TG_ARGV[0]; RETURN NEW; END $$;
CREATE TRIGGER a BEFORE UPDATE OF a ON mc FOR EACH ROW EXECUTE FUNCTION mc_log('a');
CREATE TRIGGER b BEFORE UPDATE OF b ON mc FOR EACH ROW EXECUTE FUNCTION mc_log('b');
SELECT ordinality, (object).k, (object).a, (object).b, (object).log, created
  FROM update_or_create_many(NULL::mc, '[{"k": 1, "a": 5}, {"k": 2, "b": 6}, {"k": 3, "a": 7}]', '{k}');
-- and privileges, of which there must be one before a key is locked
CREATE ROLE regress_mc;
GRANT SELECT, INSERT (k, a), UPDATE (a) ON mc TO regress_mc;
SET ROLE regress_mc;
SELECT ordinality, (object).k, (object).a, created
  FROM update_or_create_many(NULL::mc, '[{"k": 1, "a": 8}, {"k": 4, "a": 9}]', '{k}');
SELECT ordinality, (object).k, created FROM get_or_create_many(NULL::mc, '[{"k": 1, "b": 5}, {"k": 5, "a": 5}]', '{k}');
SELECT * FROM update_or_create_many(NULL::mc, '[{"k": 1, "b": 8}]', '{k}');
\echo :SQLSTATE
RESET ROLE;
REVOKE UPDATE (a) ON mc FROM regress_mc;
SET ROLE regress_mc;
BEGIN;
SAVEPOINT s;
SELECT * FROM update_or_create_many(NULL::mc, '[{"k": 1, "a": 8}]', '{k}');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT count(*) FROM racefree_locks WHERE pid = pg_backend_pid();
COMMIT;
RESET ROLE;
DROP OWNED BY regress_mc;
DROP ROLE regress_mc;

-- many different sets of columns
SELECT count(*), count(*) FILTER (WHERE created) AS created
  FROM update_or_create_many(NULL::mc,
         (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                   'k', n % 50,
                   'a', CASE WHEN n & 1 > 0 THEN n + 1 END,
                   'b', CASE WHEN n & 2 > 0 THEN n + 1 END,
                   'u', CASE WHEN n & 4 > 0 THEN n + 1000 END,
                   'log', CASE WHEN n & 8 > 0 THEN '' END)) ORDER BY n)
            FROM generate_series(1, 99) n), '{k}');
SELECT count(*), sum(a) AS a, sum(b) AS b, sum(u) AS u FROM mc;

-- DEFAULTs of rows that do not give what others give: they find what the batch
-- has updated, and the row is named of which one fails
CREATE TABLE mc_def (k integer PRIMARY KEY, v integer, w integer);
INSERT INTO mc_def VALUES (1, 10);
CREATE FUNCTION mc_sum() RETURNS integer STABLE LANGUAGE sql AS 'SELECT sum(v)::integer FROM mc_def';
ALTER TABLE mc_def ALTER w SET DEFAULT mc_sum();
SELECT ordinality, (object).k, (object).w, created
  FROM update_or_create_many(NULL::mc_def, '[{"k": 1, "v": 20}, {"k": 2}, {"k": 3, "w": 7}]', '{k}');
CREATE FUNCTION mc_none() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'no default'; END $$;
ALTER TABLE mc_def ALTER v SET DEFAULT mc_none();
\set SHOW_CONTEXT errors
SELECT * FROM get_or_create_many(NULL::mc_def, '[{"k": 4, "v": 1}, {"k": 5}]', '{k}');
\set SHOW_CONTEXT never
DROP TABLE mc_def;
DROP FUNCTION mc_sum, mc_none;

-- a key type that has neither hash nor order, only equality
CREATE TYPE mc_pair AS (x xid, m money);
CREATE TABLE mc_pairs (k mc_pair, v integer);
SELECT ordinality, (object).k IS NOT NULL AS is_there, created
  FROM get_or_create_many(NULL::mc_pairs,
         '[{"k": {"x": "1", "m": "2"}}, {"k": {"x": "2", "m": "2"}}, {"k": {"x": "1", "m": "2"}}]', '{k}');
SELECT count(*) FROM mc_pairs;

-- the guard cannot hold over a tree in which a table has several parents
CREATE TABLE mc_p (k integer);
CREATE TABLE mc_q (z integer);
CREATE TABLE mc_c () INHERITS (mc_p, mc_q);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON mc_c FOR EACH ROW EXECUTE FUNCTION key_guard('k');
INSERT INTO mc_c VALUES (1, 1);
\echo :SQLSTATE

DROP TABLE mc, mc_pairs, mc_c, mc_p, mc_q;
DROP TYPE mc_pair;
DROP FUNCTION mc_context, mc_update_context, mc_refuse, mc_log;
