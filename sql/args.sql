-- Arguments of get_or_create and update_or_create: what is refused, with which
-- SQLSTATE, and what is legal though it looks odd.
\set SHOW_CONTEXT never
CREATE TABLE arg (id serial PRIMARY KEY, k text, v integer, "Mixed Case" text, gone text);
ALTER TABLE arg DROP COLUMN gone;
INSERT INTO arg (k, v) VALUES ('hit', 1);

-- NULL for a required argument is 22004, whether or not a row would match
SELECT * FROM get_or_create(NULL::arg, NULL);
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"k": "hit"}', NULL);
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, NULL);
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '{"k": "hit"}', NULL);
\echo :SQLSTATE
-- create_defaults alone may be NULL: then defaults serve for the new row, too
SELECT (object).k, (object).v, created FROM update_or_create(NULL::arg, '{"k": "null"}', '{"v": 7}', NULL);

-- every argument must be a JSON object, also where it would not be needed
SELECT * FROM get_or_create(NULL::arg, '[]');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '"k"');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, 'null');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"k": "hit"}', '[1]');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '[{"k": "hit"}]');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '1');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '{"k": "hit"}', 'true');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '{"k": "hit"}', '{}', '[]');
\echo :SQLSTATE
-- encoded twice, or an empty array where a language knows no other empty object
SELECT * FROM get_or_create(NULL::arg, to_jsonb('{"k": "hit"}'::text));
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"k": "hit"}', to_jsonb(E' \t\r\n{}'::text));
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '{"k": "hit"}', '{}', to_jsonb('[]'::text));
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '""');
SELECT * FROM get_or_create(NULL::arg, '" "');
SELECT * FROM get_or_create(NULL::arg, '"not {}"');

-- a column that does not exist is 42703, in every argument, also on a hit
SELECT * FROM get_or_create(NULL::arg, '{"nope": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"k": "hit"}', '{"nope": 1}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '{"nope": 1}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '{"k": "hit"}', '{"nope": 1}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '{"k": "hit"}', '{}', '{"nope": 1}');
\echo :SQLSTATE
-- so is a dropped column, by its old name and by the one it has in the catalog
SELECT * FROM get_or_create(NULL::arg, '{"gone": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"k": "hit"}', '{"gone": 1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"........pg.dropped.5........": 1}');
\echo :SQLSTATE
-- and a system column
SELECT * FROM get_or_create(NULL::arg, '{"ctid": "(0,1)"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"k": "hit"}', '{"xmin": 1}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '{"k": "hit"}', '{"tableoid": 1}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg, '{"k": "hit"}', '{}', '{"cmax": 1}');
\echo :SQLSTATE
-- names are taken as they are: neither folded to lower case, nor unquoted,
-- nor cut to 63 bytes, nor trimmed
SELECT * FROM get_or_create(NULL::arg, '{"K": "hit"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"\"Mixed Case\"": "hit"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"k ": "hit"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"": "hit"}');
\echo :SQLSTATE
SELECT (object)."Mixed Case", created FROM get_or_create(NULL::arg, '{"Mixed Case": "x"}');
CREATE TABLE arg_long (a123456789b123456789c123456789d123456789e123456789f123456789xyz integer);
SELECT created FROM get_or_create(NULL::arg_long, '{"a123456789b123456789c123456789d123456789e123456789f123456789xyz": 1}');
SELECT created FROM get_or_create(NULL::arg_long, '{"a123456789b123456789c123456789d123456789e123456789f123456789xyz_and_more": 1}');
\echo :SQLSTATE
DROP TABLE arg_long;

-- one column in both is 42701 for get_or_create, also with the same value, also
-- on a hit
SELECT * FROM get_or_create(NULL::arg, '{"k": "hit"}', '{"k": "hit"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arg, '{"k": "hit", "v": 1}', '{"Mixed Case": "x", "v": 2}');
\echo :SQLSTATE
-- defaults and create_defaults may share columns
SELECT (object).k, (object).v, created FROM update_or_create(NULL::arg, '{"k": "both"}', '{"v": 1}', '{"v": 2}');
SELECT (object).k, (object).v, created FROM update_or_create(NULL::arg, '{"k": "both"}', '{"v": 1}', '{"v": 2}');
-- the same name twice in one object is jsonb's affair: the last one counts
SELECT (object).v, created FROM get_or_create(NULL::arg, '{"k": "miss", "k": "hit"}');

-- none of these errors created or changed a row
SELECT k, v, "Mixed Case" FROM arg ORDER BY id;

-- the target's value does not matter, only its type does
SELECT (object).k, (object).v, created FROM get_or_create(ROW(99, 'x', 99, 'x')::arg, '{"k": "hit"}');
SELECT (object).k, (object).v, created FROM get_or_create((SELECT a FROM arg a WHERE k = 'both'), '{"k": "hit"}');

-- the empty key is legal: the table holds one row
CREATE TABLE arg_single (v integer DEFAULT 5, w text);
SELECT (object).*, created FROM get_or_create(NULL::arg_single, '{}');
SELECT (object).*, created FROM get_or_create(NULL::arg_single, '{}', '{"v": 6}');
SELECT (object).*, created FROM update_or_create(NULL::arg_single, '{}', '{"v": 7}');
SELECT (object).*, created FROM update_or_create(NULL::arg_single, '{}', '{}');
INSERT INTO arg_single DEFAULT VALUES;
SELECT * FROM get_or_create(NULL::arg_single, '{}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arg_single, '{}', '{"w": "x"}');
\echo :SQLSTATE
SELECT v, w FROM arg_single ORDER BY v;
DROP TABLE arg_single;

-- huge input: a million characters as key and as value
SELECT length((object).k), length((object)."Mixed Case"), created
  FROM get_or_create(NULL::arg, jsonb_build_object('k', repeat('k', 1000000)),
                     jsonb_build_object('Mixed Case', repeat('é', 1000000)));
SELECT length((object).k), length((object)."Mixed Case"), created
  FROM get_or_create(NULL::arg, jsonb_build_object('k', repeat('k', 1000000)));
SELECT count(*) FROM arg WHERE k = repeat('k', 1000000);

DROP TABLE arg;
