-- update_or_create: sets defaults in the one row, or creates it.
\set SHOW_CONTEXT never
CREATE TABLE uoc (id serial, k text, v integer DEFAULT 42, note text);

-- a miss creates the row from key and defaults
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "a"}', '{"v": 1}');
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "b"}');
-- a hit sets defaults, returns the new row and leaves other columns alone
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "a"}', '{"v": 2}');
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "a"}', '{"note": "n"}');
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "a"}', '{"v": null}');
SELECT id, k, v, note FROM uoc ORDER BY id;

-- with create_defaults, a miss takes key and create_defaults, not defaults
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "c"}', '{"v": 10}', '{"note": "new"}');
-- and a hit takes defaults only
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "c"}', '{"v": 10}', '{"note": "newer"}');
-- empty create_defaults are not absent ones
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "d"}', '{"v": 10}', '{}');
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "d"}', '{"v": 10}', '{}');

-- nothing to set: the row comes back as it is
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "d"}');
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "d"}', '{}', '{"v": 0}');

-- the values to set are looked at on a hit and on a miss, those to create
-- with only on a miss
SELECT * FROM update_or_create(NULL::uoc, '{"k": "d"}', '{"v": "x"}');
\echo :SQLSTATE
SELECT (object).*, created FROM update_or_create(NULL::uoc, '{"k": "d"}', '{"v": 3}', '{"v": "x"}');
SELECT * FROM update_or_create(NULL::uoc, '{"k": "none"}', '{"v": 3}', '{"v": "x"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::uoc, '{"k": "none"}', '{"v": "x"}', '{"v": 3}');
\echo :SQLSTATE

-- NULL in the key matches NULL
SELECT (object).k, (object).v, created FROM update_or_create(NULL::uoc, '{"k": null}', '{"v": 5}');
SELECT (object).k, (object).v, created FROM update_or_create(NULL::uoc, '{"k": null}', '{"v": 6}');

-- several matching rows: 21000, and none of them is changed
INSERT INTO uoc (k, v) VALUES ('twice', 1), ('twice', 1), ('thrice', 1), ('thrice', 1), ('thrice', 1);
SELECT * FROM update_or_create(NULL::uoc, '{"k": "twice"}', '{"v": 2}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::uoc, '{"k": "thrice"}', '{"v": 2}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::uoc, '{"k": "thrice"}');
\echo :SQLSTATE
SELECT k, v FROM uoc WHERE k IN ('twice', 'thrice') ORDER BY k, v;

-- the update is bound by the table's constraints
CREATE TABLE uoc_bound (k text PRIMARY KEY, v integer NOT NULL CHECK (v > 0), u integer UNIQUE);
SELECT (object).*, created FROM update_or_create(NULL::uoc_bound, '{"k": "a"}', '{"v": 1, "u": 1}');
SELECT (object).*, created FROM update_or_create(NULL::uoc_bound, '{"k": "b"}', '{"v": 1, "u": 2}');
SELECT * FROM update_or_create(NULL::uoc_bound, '{"k": "a"}', '{"v": 0}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::uoc_bound, '{"k": "a"}', '{"v": null}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::uoc_bound, '{"k": "a"}', '{"u": 2}');
\echo :SQLSTATE
-- the primary key itself can be set, too
SELECT (object).*, created FROM update_or_create(NULL::uoc_bound, '{"u": 2}', '{"k": "bb"}');
SELECT k, v, u FROM uoc_bound ORDER BY k;

-- a column in both: the key finds the row, defaults set it
CREATE TABLE uoc_name (first_name text, last_name text, n integer);
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": "John", "last_name": "Lennon"}', '{"first_name": "Bob"}');
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": "Bob", "last_name": "Lennon"}', '{"first_name": "John", "n": 1}');
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": "John"}', '{"first_name": "John", "n": 2}');
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": "Ann", "n": null}', '{"n": 3}', '{"first_name": null}');
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": null}', '{"n": 4, "first_name": "Ann"}', '{"last_name": "x"}');
SELECT first_name, last_name, n FROM uoc_name ORDER BY 1, 2;
-- each call that finds none creates one; with a unique index, the second fails
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": "Paul"}', '{"first_name": "Bob"}');
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": "Paul"}', '{"first_name": "Bob"}');
DELETE FROM uoc_name WHERE first_name = 'Bob';
CREATE UNIQUE INDEX uoc_name_first ON uoc_name (first_name);
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": "Paul"}', '{"first_name": "Bob"}');
SELECT * FROM update_or_create(NULL::uoc_name, '{"first_name": "Paul"}', '{"first_name": "Bob"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::uoc_name, '{"first_name": "Bob"}', '{"first_name": "John"}');
\echo :SQLSTATE
-- a trigger must not change what is meant to be stored
CREATE FUNCTION uoc_upper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.first_name := upper(NEW.first_name); RETURN NEW; END $$;
CREATE TRIGGER uoc_upper BEFORE INSERT ON uoc_name FOR EACH ROW EXECUTE FUNCTION uoc_upper();
SELECT * FROM update_or_create(NULL::uoc_name, '{"first_name": "NONE"}', '{"first_name": "none"}');
\echo :SQLSTATE
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": "none"}', '{"first_name": "NONE"}');
SELECT (object).*, created FROM update_or_create(NULL::uoc_name, '{"first_name": "NONE"}', '{"first_name": "none"}');
DROP TABLE uoc_name;
DROP FUNCTION uoc_upper;

-- both functions speak of the same keys
SELECT (object).*, created FROM get_or_create(NULL::uoc_bound, '{"k": "bb"}', '{"v": 9}');
SELECT (object).*, created FROM get_or_create(NULL::uoc_bound, '{"k": "c"}', '{"v": 9}');
SELECT (object).*, created FROM update_or_create(NULL::uoc_bound, '{"k": "c"}', '{"v": 10}');

-- from a query: one call a row, in order
SELECT w, (r.object).v, r.created
  FROM unnest(ARRAY['x', 'y', 'x', 'x']) WITH ORDINALITY AS u (w, i),
       LATERAL update_or_create(NULL::uoc_bound, jsonb_build_object('k', w), jsonb_build_object('v', i)) r
 ORDER BY i;
SELECT k, v FROM uoc_bound WHERE k IN ('x', 'y') ORDER BY k;

-- the row that is found is locked though nothing is set: xmax tells
BEGIN;
SELECT created FROM update_or_create(NULL::uoc_bound, '{"k": "x"}');
SELECT k, xmax = pg_current_xact_id()::xid AS locked FROM uoc_bound WHERE k IN ('x', 'y') ORDER BY k;
COMMIT;

DROP TABLE uoc_bound, uoc;
