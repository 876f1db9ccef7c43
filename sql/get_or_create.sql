-- get_or_create: finds the one row, or creates it.
\set SHOW_CONTEXT never

-- the example of the manual: no unique index anywhere
CREATE TABLE goc (id serial, str text, n integer DEFAULT 42, note text);
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"str": "blah"}');
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"str": "blah"}');
SELECT count(*) FROM goc;

-- a miss takes key and defaults together; other columns get their DEFAULT,
-- a JSON null is NULL and keeps the DEFAULT away
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"str": "two"}', '{"note": "given"}');
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"str": "three"}', '{"n": null}');
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"str": "four", "n": 4}', '{"note": "both"}');

-- a hit leaves the row as it is, whatever the defaults say
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"str": "two"}', '{"note": "other", "n": 7}');
SELECT id, str, n, note FROM goc ORDER BY id;
-- and does not even look at their values
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"str": "two"}', '{"n": "not a number"}');
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"str": "five"}', '{"n": "not a number"}');
\echo :SQLSTATE

-- the order of the key's fields does not matter
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"n": 4, "str": "four"}');
SELECT (object).*, created FROM get_or_create(NULL::goc, '{"note": "both", "n": 4, "str": "four", "id": 4}');

-- all columns in the key count
SELECT (object).str, (object).n, created FROM get_or_create(NULL::goc, '{"n": 5, "str": "four"}');

-- NULL in the key matches NULL, and only NULL
SELECT (object).str, (object).note, created FROM get_or_create(NULL::goc, '{"str": null, "note": "x"}');
SELECT (object).str, (object).note, created FROM get_or_create(NULL::goc, '{"str": null, "note": "x"}');
SELECT (object).str, (object).note, created FROM get_or_create(NULL::goc, '{"str": "", "note": "x"}');
SELECT (object).str, (object).note, created FROM get_or_create(NULL::goc, '{"str": null, "note": null}');
SELECT (object).str, (object).note, created FROM get_or_create(NULL::goc, '{"note": null, "str": null}');
SELECT count(*) FROM goc WHERE str IS NULL;

-- several matching rows: 21000, the key in the detail
INSERT INTO goc (str) VALUES ('twice'), ('twice'), ('thrice'), ('thrice'), ('thrice');
SELECT * FROM get_or_create(NULL::goc, '{"str": "twice"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::goc, '{"str": "thrice", "note": null}');
\echo :SQLSTATE
SELECT count(*) FROM goc WHERE str IN ('twice', 'thrice');

-- a row that was deleted is created again
SELECT (object).str, created FROM get_or_create(NULL::goc, '{"str": "again"}');
DELETE FROM goc WHERE str = 'again';
SELECT (object).str, created FROM get_or_create(NULL::goc, '{"str": "again"}');
SELECT count(*) FROM goc WHERE str = 'again';

-- the insert is bound by the table's constraints, and nothing is left behind
CREATE TABLE goc_bound (k text PRIMARY KEY, v integer NOT NULL CHECK (v > 0), u integer UNIQUE);
SELECT * FROM get_or_create(NULL::goc_bound, '{"k": "a"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::goc_bound, '{"k": "a"}', '{"v": 0}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::goc_bound, '{"k": null}', '{"v": 1}');
\echo :SQLSTATE
SELECT count(*) FROM goc_bound;

-- foreign keys are checked as on any insert
CREATE TABLE goc_ref (k text REFERENCES goc_bound, v integer);
SELECT * FROM get_or_create(NULL::goc_ref, '{"k": "a"}');
\echo :SQLSTATE
SELECT created FROM get_or_create(NULL::goc_bound, '{"k": "a"}', '{"v": 1}');
SELECT created FROM get_or_create(NULL::goc_ref, '{"k": "a"}');
DROP TABLE goc_ref, goc_bound;

-- from a query: one call a row, and the later ones see what the earlier made
CREATE TABLE goc_tag (id serial, name text);
SELECT w, (r.object).id, r.created
  FROM unnest(ARRAY['red', 'blue', 'red', 'green', 'blue', 'red']) WITH ORDINALITY AS u (w, i),
       LATERAL get_or_create(NULL::goc_tag, jsonb_build_object('name', w)) r
 ORDER BY i;
SELECT id, name FROM goc_tag ORDER BY id;

-- a whole call as one value
SELECT get_or_create(NULL::goc_tag, '{"name": "red"}');

-- from SQL and from PL/pgSQL functions, with the result typed
CREATE FUNCTION goc_tag_id(text) RETURNS integer LANGUAGE sql
  AS $$ SELECT (object).id FROM get_or_create(NULL::goc_tag, jsonb_build_object('name', $1)) $$;
CREATE FUNCTION goc_tag_loop(n integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  r record;
  row goc_tag;
  made integer := 0;
BEGIN
  FOR i IN 1..n LOOP
    SELECT * INTO r FROM get_or_create(NULL::goc_tag, jsonb_build_object('name', 'loop ' || i % 7));
    row := r.object;
    IF row.name <> 'loop ' || i % 7 THEN RAISE 'wrong row'; END IF;
    made := made + r.created::integer;
  END LOOP;
  RETURN format('%s calls made %s rows', n, made);
END $$;
SELECT goc_tag_id('red'), goc_tag_id('white'), goc_tag_id('white');
SELECT goc_tag_loop(500);
SELECT count(*) FROM goc_tag WHERE name LIKE 'loop%';
DROP FUNCTION goc_tag_id, goc_tag_loop;

-- a later command of the same transaction sees the row; a rollback takes it back
BEGIN;
SELECT (object).name, created FROM get_or_create(NULL::goc_tag, '{"name": "undone"}');
SELECT (object).name, created FROM get_or_create(NULL::goc_tag, '{"name": "undone"}');
SELECT count(*) FROM goc_tag WHERE name = 'undone';
ROLLBACK;
SELECT count(*) FROM goc_tag WHERE name = 'undone';

-- in one command, rows that it makes itself are not visible to its own scan,
-- but the calls in it agree with each other
WITH a AS MATERIALIZED (SELECT (r.object).id, r.created FROM get_or_create(NULL::goc_tag, '{"name": "cte"}') r),
     b AS MATERIALIZED (SELECT (r.object).id, r.created FROM a, get_or_create(NULL::goc_tag, '{"name": "cte"}') r)
SELECT a.id = b.id AS same, a.created, b.created FROM a, b;

DROP TABLE goc_tag, goc;
