-- Values convert as jsonb_populate_record does, for the key and for defaults.
\set SHOW_CONTEXT never
CREATE TYPE conv_color AS ENUM ('red', 'green');
CREATE TYPE conv_inner AS (a integer, b text[]);
CREATE TYPE conv_outer AS (i conv_inner, n numeric(6,2));
CREATE DOMAIN conv_pos AS integer CHECK (VALUE > 0);
CREATE DOMAIN conv_nn AS integer NOT NULL DEFAULT 3;
CREATE DOMAIN conv_list AS integer[] CHECK (cardinality(VALUE) < 3);
CREATE DOMAIN conv_rec AS conv_inner CHECK ((VALUE).a > 0);
CREATE TABLE conv (
    k integer PRIMARY KEY,
    i2 smallint, i8 bigint, n numeric, n2 numeric(6,2), f8 double precision, b boolean,
    t text, vc varchar(4), c char(4), vb varbit(4), by bytea,
    d date, ts timestamp(0), tz timestamptz, iv interval day, u uuid, ip inet,
    j json, jb jsonb, ja jsonb[],
    ia integer[], iaa integer[][], ta text[], ca conv_color[], col conv_color,
    inn conv_inner, outr conv_outer, inns conv_inner[],
    p conv_pos, l conv_list, r conv_rec, rng int4range, pt point, rec conv_outer[]);
CREATE TABLE conv_nn_table (k integer, nn conv_nn);

-- one row of everything: what get_or_create stores is what
-- jsonb_populate_record makes of the same object
SELECT $${"i2": 7, "i8": 9007199254740993, "n": 1.50, "n2": "1.005", "f8": 1e3, "b": true,
  "t": "x\ty", "vc": "abcd", "c": "ab", "vb": "101", "by": "\\x00ff",
  "d": "2006-05-04", "ts": "2006-05-04 03:02:01.6", "tz": "2006-05-04T03:02:01Z", "iv": "1 day 2 hours", "u": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "ip": "::1",
  "j": {"z": 1, "a": [null, 1.10]}, "jb": {"z": 1, "a": [null, 1.10]}, "ja": [{"x": 1}, "y", null],
  "ia": [1, null, 3], "iaa": [[1, 2], [3, 4]], "ta": ["a", "b,c", "null", null, ""], "ca": ["red", "green"], "col": "green",
  "inn": {"a": 1, "b": ["x", "y"]}, "outr": {"i": {"a": 2, "b": []}, "n": 1.239}, "inns": [{"a": 1}, null],
  "p": 1, "l": [1, 2], "r": {"a": 1, "b": "{q}"}, "rng": "[1,3]", "pt": "(1,2)", "rec": [{"i": {"b": null}}]}$$ AS o \gset
SELECT (object).*, created FROM get_or_create(NULL::conv, '{"k": 1}', :'o') \gx
SELECT stored::text = jsonb_populate_record(NULL::conv, :'o'::jsonb || '{"k": 1}')::text AS as_core FROM conv AS stored;
-- the same by update_or_create, on a miss and on a hit
SELECT created, object::text = (SELECT jsonb_populate_record(NULL::conv, :'o'::jsonb || '{"k": 2}')::text) AS as_core FROM update_or_create(NULL::conv, '{"k": 2}', :'o');
UPDATE conv SET (t, n, ia, outr) = (NULL, NULL, NULL, NULL) WHERE k = 2;
SELECT created, object::text = (SELECT jsonb_populate_record(NULL::conv, :'o'::jsonb || '{"k": 2}')::text) AS as_core FROM update_or_create(NULL::conv, '{"k": 2}', :'o');
-- and as a key: the row is found by all of it that has equality
DELETE FROM conv WHERE k = 2;
SELECT (object).k, created FROM get_or_create(NULL::conv, :'o'::jsonb - '{j,pt}'::text[]);
SELECT (object).k, created FROM update_or_create(NULL::conv, :'o'::jsonb - '{j,pt}'::text[], '{}');

-- text becomes any type by its input function, and any scalar becomes text
SELECT (object).i2, (object).b, (object).ia, (object).inn, created
  FROM get_or_create(NULL::conv, '{"k": "3"}', '{"i2": " 7 ", "b": "off", "ia": "{4,5}", "inn": "(1,\"{x,y}\")"}');
SELECT (object).t, (object).vc, (object).c, created
  FROM get_or_create(NULL::conv, '{"k": 4}', '{"t": 1.50, "vc": true, "c": 12}');
-- objects and arrays become text in json's notation
SELECT (object).t, created FROM get_or_create(NULL::conv, '{"k": 5}', '{"t": {"a": [1]}}');
-- a string in a json column is a JSON string, not JSON text
SELECT (object).j, (object).jb, jsonb_typeof((object).jb), created FROM get_or_create(NULL::conv, '{"k": 6}', '{"j": "{}", "jb": "{}"}');
-- the JSON null is NULL everywhere, in json columns, too
SELECT (object).j IS NULL AS j, (object).jb IS NULL AS jb, (object).ia IS NULL AS ia, created
  FROM get_or_create(NULL::conv, '{"k": 7}', '{"j": null, "jb": null, "ia": null}');
-- numbers keep all their digits
SELECT (object).n, (object).i8, created
  FROM get_or_create(NULL::conv, '{"k": 8}', '{"n": 12345678901234567890.123456789012345678900, "i8": 9223372036854775807}');
-- a typmod rounds or fits as in an assignment by core
SELECT (object).n2, (object).ts, (object).iv, created
  FROM get_or_create(NULL::conv, '{"k": 9}', '{"n2": 1.239, "ts": "2006-05-04 03:02:01.6", "iv": "1 day 2 hours"}');

-- 1.5 for an integer is an error, not a rounding; so is 1.0, as in core
SELECT * FROM get_or_create(NULL::conv, '{"k": 1.5}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 1.0}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"i2": 1.5}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::conv, '{"k": 1}', '{"i8": 1.5}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"ia": [1, 2.5]}');
\echo :SQLSTATE
-- what does not convert at all
SELECT * FROM get_or_create(NULL::conv, '{"k": "x"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": true}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": {"a": 1}}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": ""}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 2147483648}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"i2": 32768}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"n2": 10000}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"vc": "abcde"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"col": "blue"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"d": "2006-02-30"}');
\echo :SQLSTATE
-- domains
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"p": 0}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"l": [1, 2, 3]}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::conv, '{"k": 20}', '{"r": {"a": 0}}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::conv, '{"k": 1}', '{"p": -1}');
\echo :SQLSTATE
SELECT count(*) FROM conv WHERE k = 20;

-- a domain that is NOT NULL: its columns can be named, and need not be
SELECT (object).*, created FROM get_or_create(NULL::conv_nn_table, '{"k": 1}', '{"nn": 5}');
SELECT (object).*, created FROM get_or_create(NULL::conv_nn_table, '{"nn": 5}');
SELECT (object).*, created FROM get_or_create(NULL::conv_nn_table, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::conv_nn_table, '{"k": 2}');
SELECT (object).*, created FROM update_or_create(NULL::conv_nn_table, '{"k": 1}', '{"nn": 6}');
SELECT * FROM get_or_create(NULL::conv_nn_table, '{"k": 3}', '{"nn": null}');
\echo :SQLSTATE

-- a table as a column's type, with a dropped column
CREATE TABLE conv_part (x integer, gone text, y text);
ALTER TABLE conv_part DROP COLUMN gone;
CREATE TABLE conv_whole (k integer, part conv_part);
SELECT (object).*, created FROM get_or_create(NULL::conv_whole, '{"part": {"x": 1, "y": "z"}}', '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::conv_whole, '{"part": {"x": 1, "y": "z"}}', '{"k": 2}');
DROP TABLE conv_whole, conv_part;

DROP TABLE conv, conv_nn_table;
DROP DOMAIN conv_pos, conv_nn, conv_list, conv_rec;
DROP TYPE conv_outer, conv_inner, conv_color;
