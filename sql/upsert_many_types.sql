-- Keys of a batch are equal where the column's own equality says so, and the
-- rows that were created are told from each other by it.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citext;
RESET client_min_messages;
CREATE COLLATION mt_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN mt_code AS citext CHECK (length(VALUE) = 3);
CREATE TABLE mt (n numeric, n2 numeric(6,2), f float8, c char(4), ci citext, coll text COLLATE mt_ci, code mt_code, m money, b bit(3), ts tsvector, a integer[], j jsonb, note text);

-- numeric: the value counts; the first writing is the one that is stored
SELECT ordinality, (object).n, (object).note, created FROM get_or_create_many(NULL::mt, '[{"n": 1.0, "note": "1"}, {"n": 1.00, "note": "2"}, {"n": 1, "note": "3"}, {"n": 1.01, "note": "4"}]', '{n}');
SELECT ordinality, (object).n2, (object).note, created FROM get_or_create_many(NULL::mt, '[{"n2": 1.004, "note": "1"}, {"n2": 1, "note": "2"}, {"n2": 1.006, "note": "3"}]', '{n2}');
SELECT ordinality, (object).f, (object).note, created FROM get_or_create_many(NULL::mt, '[{"f": "-0", "note": "1"}, {"f": 0, "note": "2"}, {"f": "NaN", "note": "3"}, {"f": "nan", "note": "4"}]', '{f}');
-- char(n), citext, a non-deterministic collation, a domain over one
SELECT ordinality, (object).c, (object).note, created FROM get_or_create_many(NULL::mt, '[{"c": "a", "note": "1"}, {"c": "a  ", "note": "2"}, {"c": "A", "note": "3"}]', '{c}');
SELECT ordinality, (object).ci, (object).note, created FROM get_or_create_many(NULL::mt, '[{"ci": "Blah", "note": "1"}, {"ci": "bLAH", "note": "2"}, {"ci": "x", "note": "3"}]', '{ci}');
SELECT ordinality, (object).coll, (object).note, created FROM get_or_create_many(NULL::mt, '[{"coll": "Élan", "note": "1"}, {"coll": "éLAN", "note": "2"}, {"coll": "elan", "note": "3"}]', '{coll}');
SELECT ordinality, (object).code, (object).note, created FROM get_or_create_many(NULL::mt, '[{"code": "EUR", "note": "1"}, {"code": "eur", "note": "2"}, {"code": "chf", "note": "3"}]', '{code}');
SELECT * FROM get_or_create_many(NULL::mt, '[{"code": "EUR"}, {"code": "euro"}]', '{code}');
\echo :SQLSTATE
-- arrays, jsonb
SELECT ordinality, (object).a, (object).note, created FROM get_or_create_many(NULL::mt, '[{"a": [1, 2], "note": "1"}, {"a": "{1,2}", "note": "2"}, {"a": [2, 1], "note": "3"}, {"a": [], "note": "4"}]', '{a}');
SELECT ordinality, (object).j, (object).note, created FROM get_or_create_many(NULL::mt, '[{"j": {"a": 1, "b": 1.0}, "note": "1"}, {"j": {"b": 1, "a": 1}, "note": "2"}, {"j": [], "note": "3"}]', '{j}');
-- types without a hash: sorted by value, also beside a column with one
SELECT ordinality, (object).m, (object).note, created FROM get_or_create_many(NULL::mt, '[{"m": 3, "note": "1"}, {"m": "$1.00", "note": "2"}, {"m": 1, "note": "3"}, {"m": "3.00", "note": "4"}, {"m": 2, "note": "5"}]', '{m}');
SELECT ordinality, (object).b, (object).note, created FROM get_or_create_many(NULL::mt, '[{"b": "101", "note": "1"}, {"b": "100", "note": "2"}, {"b": "101", "note": "3"}]', '{b}');
SELECT ordinality, (object).ts, (object).note, created FROM get_or_create_many(NULL::mt, '[{"ts": "a b", "note": "1"}, {"ts": "b a", "note": "2"}, {"ts": "b", "note": "3"}]', '{ts}');
SELECT ordinality, (object).m, (object).n, (object).note, created FROM get_or_create_many(NULL::mt, '[{"m": 7, "n": 1, "note": "1"}, {"m": 7, "n": 2, "note": "2"}, {"m": "7.00", "n": 1.0, "note": "3"}, {"m": null, "n": 1, "note": "4"}, {"m": 8, "n": null, "note": "5"}, {"m": null, "n": 1.0, "note": "6"}]', '{m,n}');
-- the same once more: all are there
SELECT count(*), count(*) FILTER (WHERE created) AS created FROM update_or_create_many(NULL::mt,
  '[{"m": 3, "note": "x"}, {"m": 2, "note": "y"}, {"m": "$1.00", "note": "x"}]', '{m}');
SELECT m, note FROM mt WHERE m IS NOT NULL AND n IS NULL ORDER BY m;
-- updates of keys that are written differently: the key stays as it is
SELECT ordinality, (object).ci, (object).note, created FROM update_or_create_many(NULL::mt, '[{"ci": "BLAH", "note": "a"}, {"ci": "blah", "note": "b"}]', '{ci}');
SELECT ordinality, (object).n2, (object).note, created FROM update_or_create_many(NULL::mt, '[{"n2": 1.001, "note": "a"}, {"n2": 0.999, "note": "b"}]', '{n2}');
-- with unique indexes
CREATE UNIQUE INDEX ON mt (ci);
CREATE UNIQUE INDEX ON mt (coll);
SELECT ordinality, (object).ci, (object).note, created FROM get_or_create_many(NULL::mt, '[{"ci": "New", "note": "1"}, {"ci": "nEW", "note": "2"}]', '{ci}');
SELECT ordinality, (object).coll, (object).note, created FROM update_or_create_many(NULL::mt, '[{"coll": "NEW", "note": "1"}, {"coll": "new", "note": "2"}, {"coll": "ÉLAN", "note": "3"}]', '{coll}');
DROP TABLE mt;

-- DEFAULTs of columns that some rows give and others do not are checked like
-- any: typmod, domain
CREATE DOMAIN mt_pos AS integer DEFAULT 5 CHECK (VALUE > 0);
CREATE DOMAIN mt_needed AS integer NOT NULL;
CREATE TABLE mt (k integer, p mt_pos, v varchar(3) DEFAULT 'abc', d numeric(4,1) DEFAULT 1.26);
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::mt, '[{"k": 1}, {"k": 2, "p": 7, "v": "x", "d": 3.14}]', '{k}');
ALTER TABLE mt ALTER p SET DEFAULT -1;
SELECT * FROM get_or_create_many(NULL::mt, '[{"k": 3, "p": 1}, {"k": 4}]', '{k}');
\echo :SQLSTATE
ALTER TABLE mt ALTER p SET DEFAULT 1, ALTER v SET DEFAULT 'abcdef';
SELECT * FROM get_or_create_many(NULL::mt, '[{"k": 3}, {"k": 4, "v": "x"}]', '{k}');
\echo :SQLSTATE
ALTER TABLE mt ALTER v DROP DEFAULT, ADD needed mt_needed DEFAULT 1;
ALTER TABLE mt ALTER needed DROP DEFAULT;
SELECT * FROM get_or_create_many(NULL::mt, '[{"k": 3}]', '{k}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::mt, '[{"k": 3}, {"k": 4, "needed": 1}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::mt, '[{"k": 4, "needed": 1}, {"k": 3}]', '{k}');
\echo :SQLSTATE
SELECT k, p, v, d, needed FROM mt ORDER BY k;
DROP TABLE mt;
DROP DOMAIN mt_pos, mt_needed;

-- values of all kinds go through as they were
CREATE TYPE mt_mood AS ENUM ('sad', 'ok');
CREATE TYPE mt_pair AS (x numeric(4,1), y text);
CREATE TABLE mt (k uuid, e mt_mood, p mt_pair, pa mt_pair[], j json, x xml, pt point, r int4range, by bytea, tz timestamptz);
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mt, '[
  {"k": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "e": "ok", "p": {"x": 1.25, "y": "a,b"}, "pa": [{"x": 1}, null], "j": {"b":1, "a": [1.0]}, "x": "<a/>", "pt": "(1,2)", "r": "[1,4]", "by": "\\x00ff"},
  {"k": "A0EEBC999C0B4EF8BB6D6BB9BD380A12", "e": null, "pa": []},
  {"k": "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "e": "sad", "j": [2]}]', '{k}');
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mt, '[
  {"k": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12", "p": {"y": "z"}, "pt": "(3,4)"},
  {"k": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "x": null}]', '{k}');
DROP TABLE mt;
DROP TYPE mt_mood, mt_pair;
DROP DOMAIN mt_code;
DROP COLLATION mt_ci;
DROP EXTENSION citext;
