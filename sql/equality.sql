-- Equality is the column type's own default equality under the column's
-- collation, and the lock's hash agrees with it.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE EXTENSION IF NOT EXISTS hstore;
RESET client_min_messages;

-- Look up two keys one after the other in an empty table: do they find one row,
-- and would they have waited for one lock?  The rows are taken back.  "same"
-- must never be true where "lock" is not.
CREATE FUNCTION key_lock(target anyelement, key jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE lock bigint;
BEGIN
  BEGIN
    PERFORM get_or_create(target, key);
    SELECT max(objid::bigint) INTO STRICT lock FROM pg_locks
     WHERE locktype = 'advisory' AND objsubid = 21062 AND pid = pg_backend_pid();
    RAISE SQLSTATE 'UNDO1';
  EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN lock;
  END;
END $$;
CREATE FUNCTION compare(target anyelement, a jsonb, b jsonb, OUT same boolean, OUT lock boolean) LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    PERFORM get_or_create(target, a);
    SELECT NOT created INTO STRICT same FROM get_or_create(target, b);
    RAISE SQLSTATE 'UNDO1';
  EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
  END;
  lock := key_lock(target, a) = key_lock(target, b);
END $$;

CREATE TABLE eq_num (i2 smallint, i4 integer, i8 bigint, n numeric, n2 numeric(10,2), f4 real, f8 double precision);
-- numbers: the value counts, not how it is written
SELECT * FROM compare(NULL::eq_num, '{"n": 1.0}', '{"n": 1.00}');
SELECT * FROM compare(NULL::eq_num, '{"n": "1e2"}', '{"n": 100.000}');
SELECT * FROM compare(NULL::eq_num, '{"n": 1}', '{"n": 1.0000000001}');
SELECT * FROM compare(NULL::eq_num, '{"n": "NaN"}', '{"n": "nan"}');
SELECT * FROM compare(NULL::eq_num, '{"n2": 1.5}', '{"n2": 1.5000}');
SELECT * FROM compare(NULL::eq_num, '{"i4": 1}', '{"i4": " +01 "}');
SELECT * FROM compare(NULL::eq_num, '{"i4": 1}', '{"i4": -1}');
SELECT * FROM compare(NULL::eq_num, '{"f8": "-0.0"}', '{"f8": 0}');
SELECT * FROM compare(NULL::eq_num, '{"f4": "-0"}', '{"f4": 0}');
SELECT * FROM compare(NULL::eq_num, '{"f8": "NaN"}', '{"f8": "nan"}');
SELECT * FROM compare(NULL::eq_num, '{"f8": "Infinity"}', '{"f8": "inf"}');
SELECT * FROM compare(NULL::eq_num, '{"f8": "Infinity"}', '{"f8": "-inf"}');
-- a float is compared as the column holds it: 0.1 is found again in a real
SELECT * FROM compare(NULL::eq_num, '{"f4": 0.1}', '{"f4": "0.1"}');
-- the typmod rounds on the way in, as for any numeric(10,2): so it does to the key
SELECT * FROM compare(NULL::eq_num, '{"n2": 1.004}', '{"n2": 1}');
-- the column matters, not only the value
SELECT * FROM compare(NULL::eq_num, '{"i4": 1}', '{"i2": 1}');
SELECT * FROM compare(NULL::eq_num, '{"i4": 1, "i8": 2}', '{"i4": 2, "i8": 1}');
SELECT * FROM compare(NULL::eq_num, '{"i4": 1, "i8": 1}', '{"i2": 2, "f8": 2}');
-- the order of the fields does not
SELECT * FROM compare(NULL::eq_num, '{"i4": 1, "n": 2.0}', '{"n": 2, "i4": 1}');
-- NULL matches NULL and nothing else, and locks as one key
SELECT * FROM compare(NULL::eq_num, '{"i4": null}', '{"i4": null}');
SELECT * FROM compare(NULL::eq_num, '{"i4": null}', '{"i4": 0}');
SELECT * FROM compare(NULL::eq_num, '{"i4": 1, "n": null}', '{"n": null, "i4": 1}');
DROP TABLE eq_num;

CREATE TABLE eq_text (t text, vc varchar(5), c char(5), ci citext, nm name, ic "char", by bytea, u uuid);
-- text: byte by byte, trailing blanks and case count
SELECT * FROM compare(NULL::eq_text, '{"t": "a"}', '{"t": "A"}');
SELECT * FROM compare(NULL::eq_text, '{"t": "a"}', '{"t": "a "}');
SELECT * FROM compare(NULL::eq_text, '{"t": ""}', '{"t": null}');
SELECT * FROM compare(NULL::eq_text, '{"vc": "a"}', '{"vc": "a "}');
-- a string that spells NULL is a string
SELECT * FROM compare(NULL::eq_text, '{"t": "null"}', '{"t": null}');
-- one letter or two code points: not the same text
SELECT * FROM compare(NULL::eq_text, '{"t": "\u00e9"}', '{"t": "e\u0301"}');
-- char(n): padding does not count
SELECT * FROM compare(NULL::eq_text, '{"c": "a"}', '{"c": "a    "}');
SELECT * FROM compare(NULL::eq_text, '{"c": "a"}', '{"c": "A"}');
-- citext: case does not count
SELECT * FROM compare(NULL::eq_text, '{"ci": "Straße"}', '{"ci": "sTRAßE"}');
SELECT * FROM compare(NULL::eq_text, '{"ci": "a"}', '{"ci": "b"}');
SELECT * FROM compare(NULL::eq_text, '{"nm": "a"}', '{"nm": "A"}');
SELECT * FROM compare(NULL::eq_text, '{"ic": "a"}', '{"ic": "a"}');
SELECT * FROM compare(NULL::eq_text, '{"by": "\\x6162"}', '{"by": "ab"}');
SELECT * FROM compare(NULL::eq_text, '{"u": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}', '{"u": "{a0eebc99-9c0b4ef8-bb6d6bb9bd380a11}"}');
-- a text that does not fit is an error, not a shorter key
SELECT * FROM get_or_create(NULL::eq_text, '{"vc": "abcdef"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::eq_text, '{"c": "abcdef"}');
\echo :SQLSTATE
SELECT count(*) FROM eq_text;
DROP TABLE eq_text;

-- a non-deterministic collation says what is equal, with and without an index
CREATE COLLATION eq_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION eq_ai (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE DOMAIN eq_ci_domain AS text COLLATE eq_ci;
CREATE TABLE eq_coll (i text COLLATE eq_ci, a text COLLATE eq_ai, c text COLLATE "C", d eq_ci_domain, v varchar(10) COLLATE eq_ci);
SELECT * FROM compare(NULL::eq_coll, '{"i": "Élan"}', '{"i": "éLAN"}');
SELECT * FROM compare(NULL::eq_coll, '{"i": "Élan"}', '{"i": "elan"}');
SELECT * FROM compare(NULL::eq_coll, '{"a": "Élan"}', '{"a": "elan"}');
SELECT * FROM compare(NULL::eq_coll, '{"c": "Élan"}', '{"c": "éLAN"}');
SELECT * FROM compare(NULL::eq_coll, '{"d": "Élan"}', '{"d": "éLAN"}');
SELECT * FROM compare(NULL::eq_coll, '{"v": "Élan"}', '{"v": "éLAN"}');
SELECT * FROM compare(NULL::eq_coll, '{"i": "\u00e9"}', '{"i": "e\u0301"}');
SELECT * FROM compare(NULL::eq_coll, '{"i": "X", "c": "x"}', '{"c": "x", "i": "x"}');
CREATE UNIQUE INDEX ON eq_coll (i);
SELECT * FROM compare(NULL::eq_coll, '{"i": "Élan"}', '{"i": "éLAN"}');
SELECT (object).i, created FROM get_or_create(NULL::eq_coll, '{"i": "Élan"}');
SELECT (object).i, created FROM get_or_create(NULL::eq_coll, '{"i": "éLAN"}');
SELECT (object).i, (object).c, created FROM update_or_create(NULL::eq_coll, '{"i": "ÉLAN"}', '{"c": "set"}');
DROP TABLE eq_coll;
DROP DOMAIN eq_ci_domain;
DROP COLLATION eq_ai;

-- dates and times: moments count, not time zones or spelling
CREATE TABLE eq_time (d date, t time, tz timestamptz, ttz timetz, i interval);
SELECT * FROM compare(NULL::eq_time, '{"d": "2006-01-02"}', '{"d": "January 2, 2006"}');
SELECT * FROM compare(NULL::eq_time, '{"tz": "2006-01-02 12:00+00"}', '{"tz": "2006-01-02T14:00:00.000+02:00"}');
SELECT * FROM compare(NULL::eq_time, '{"i": "1 day"}', '{"i": "24 hours"}');
SELECT * FROM compare(NULL::eq_time, '{"i": "1 month"}', '{"i": "30 days"}');
SELECT * FROM compare(NULL::eq_time, '{"i": "1 month"}', '{"i": "31 days"}');
DROP TABLE eq_time;

-- types with parts: arrays, composites, ranges, domains over them, enums
CREATE TYPE eq_mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE eq_pair AS (x numeric, y text COLLATE eq_ci);
CREATE TYPE eq_nrange AS RANGE (subtype = numeric);
CREATE DOMAIN eq_amount AS numeric(10,2) CHECK (VALUE >= 0);
CREATE DOMAIN eq_amounts AS eq_amount[];
CREATE TABLE eq_parts (a integer[], na numeric[], ta text[], p eq_pair, pa eq_pair[], r int4range, nr eq_nrange,
                       mr int4multirange, e eq_mood, ea eq_mood[], d eq_amount, da eq_amounts, j jsonb, h hstore,
                       b boolean, ip inet);
SELECT * FROM compare(NULL::eq_parts, '{"a": [1, 2]}', '{"a": "{1,2}"}');
SELECT * FROM compare(NULL::eq_parts, '{"a": [1, 2]}', '{"a": [2, 1]}');
SELECT * FROM compare(NULL::eq_parts, '{"a": [1, null]}', '{"a": "{1,NULL}"}');
SELECT * FROM compare(NULL::eq_parts, '{"a": []}', '{"a": null}');
SELECT * FROM compare(NULL::eq_parts, '{"a": [[1], [2]]}', '{"a": [1, 2]}');
SELECT * FROM compare(NULL::eq_parts, '{"na": [1.0, 2]}', '{"na": [1, 2.00]}');
SELECT * FROM compare(NULL::eq_parts, '{"p": {"x": 1.0, "y": "a"}}', '{"p": {"y": "A", "x": 1}}');
SELECT * FROM compare(NULL::eq_parts, '{"p": {"x": 1.0, "y": "a"}}', '{"p": {"x": 1}}');
SELECT * FROM compare(NULL::eq_parts, '{"pa": [{"x": 1.0}]}', '{"pa": [{"x": 1, "y": null}]}');
SELECT * FROM compare(NULL::eq_parts, '{"r": "[1,4]"}', '{"r": "[1,5)"}');
SELECT * FROM compare(NULL::eq_parts, '{"nr": "[1.0,4]"}', '{"nr": "[1,4.00]"}');
SELECT * FROM compare(NULL::eq_parts, '{"nr": "[1,4]"}', '{"nr": "[1,4)"}');
SELECT * FROM compare(NULL::eq_parts, '{"mr": "{[1,2],[3,4]}"}', '{"mr": "{[1,5)}"}');
SELECT * FROM compare(NULL::eq_parts, '{"e": "ok"}', '{"e": "ok"}');
SELECT * FROM compare(NULL::eq_parts, '{"e": "ok"}', '{"e": "sad"}');
SELECT * FROM compare(NULL::eq_parts, '{"ea": ["ok", "sad"]}', '{"ea": "{ok,sad}"}');
SELECT * FROM compare(NULL::eq_parts, '{"d": 1.5}', '{"d": "1.50"}');
SELECT * FROM compare(NULL::eq_parts, '{"da": [1.5]}', '{"da": ["1.50"]}');
SELECT * FROM compare(NULL::eq_parts, '{"j": {"a": 1.0, "b": 2}}', '{"j": {"b": 2, "a": 1.00}}');
SELECT * FROM compare(NULL::eq_parts, '{"j": {"a": null}}', '{"j": {}}');
SELECT * FROM compare(NULL::eq_parts, '{"h": "a=>1, b=>2"}', '{"h": "b=>2, a=>1"}');
SELECT * FROM compare(NULL::eq_parts, '{"b": true}', '{"b": "yes"}');
SELECT * FROM compare(NULL::eq_parts, '{"ip": "10.0.0.1"}', '{"ip": "10.0.0.1/32"}');
SELECT * FROM compare(NULL::eq_parts, '{"ip": "10.0.0.1/8"}', '{"ip": "10.0.0.1/32"}');
-- a JSON null in a jsonb column is NULL, as jsonb_populate_record has it
SELECT (object).j IS NULL AS is_null, created FROM get_or_create(NULL::eq_parts, '{"j": null}');
DROP TABLE eq_parts;
DROP DOMAIN eq_amounts, eq_amount;
DROP TYPE eq_mood, eq_pair, eq_nrange;
DROP COLLATION eq_ci;

-- equality without a hash: any two keys wait for each other
CREATE TABLE eq_nohash (m money, b bit(3), vb varbit, ts tsvector, i integer);
SELECT * FROM compare(NULL::eq_nohash, '{"m": "$1.00"}', '{"m": 1}');
SELECT * FROM compare(NULL::eq_nohash, '{"m": 1}', '{"m": 2}');
SELECT * FROM compare(NULL::eq_nohash, '{"b": "101"}', '{"b": "B101"}');
SELECT * FROM compare(NULL::eq_nohash, '{"b": "101"}', '{"b": "100"}');
SELECT * FROM compare(NULL::eq_nohash, '{"vb": "01"}', '{"vb": "1"}');
SELECT * FROM compare(NULL::eq_nohash, '{"ts": "a b"}', '{"ts": "b a"}');
SELECT * FROM compare(NULL::eq_nohash, '{"ts": "a", "i": 1}', '{"ts": "b", "i": 2}');
-- also where the value is NULL, and inside an array
SELECT * FROM compare(NULL::eq_nohash, '{"m": null, "i": 1}', '{"m": null, "i": 2}');
DROP TABLE eq_nohash;
CREATE TYPE eq_price AS (m money);
CREATE TABLE eq_nohash_parts (a money[], p eq_price);
SELECT * FROM compare(NULL::eq_nohash_parts, '{"a": [1, 2]}', '{"a": ["$1.00", "$2.00"]}');
SELECT * FROM compare(NULL::eq_nohash_parts, '{"a": [1]}', '{"a": [2]}');
SELECT * FROM compare(NULL::eq_nohash_parts, '{"p": {"m": 1}}', '{"p": {"m": "$1.00"}}');
DROP TABLE eq_nohash_parts;
-- in a range, and under a domain
CREATE TYPE eq_brange AS RANGE (subtype = varbit);
CREATE DOMAIN eq_cash AS money;
CREATE DOMAIN eq_prices AS eq_price[];
CREATE TABLE eq_nohash_more (r eq_brange, c eq_cash, ps eq_prices);
SELECT * FROM compare(NULL::eq_nohash_more, '{"r": "[01,11]"}', '{"r": "[01,11)"}');
SELECT * FROM compare(NULL::eq_nohash_more, '{"c": 1}', '{"c": "$1.00"}');
SELECT * FROM compare(NULL::eq_nohash_more, '{"ps": [{"m": 1}]}', '{"ps": [{"m": "$1.00"}]}');
DROP TABLE eq_nohash_more;
DROP DOMAIN eq_prices, eq_cash;
DROP TYPE eq_brange, eq_price;

-- no equality: 42883 as a key, also for NULL, also beside other columns and
-- on a hit; fine as a default
CREATE TABLE eq_none (i integer, j json, p point, x xml, ja json[]);
SELECT * FROM get_or_create(NULL::eq_none, '{"j": {"a": 1}}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::eq_none, '{"p": "(1,2)"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::eq_none, '{"x": "<a/>"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::eq_none, '{"ja": [1]}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::eq_none, '{"j": null}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::eq_none, '{"p": null}');
\echo :SQLSTATE
SELECT (object).*, created FROM get_or_create(NULL::eq_none, '{"i": 1}', '{"j": {"a": [1, 2.0]}, "p": "(1,2)", "x": "<a/>", "ja": [1, {"b": null}]}');
SELECT * FROM get_or_create(NULL::eq_none, '{"i": 1, "j": {"a": 1}}');
\echo :SQLSTATE
SELECT (object).*, created FROM update_or_create(NULL::eq_none, '{"i": 1}', '{"j": "text", "p": "(3,4)", "x": "<b/>", "ja": null}');
SELECT count(*) FROM eq_none;
DROP TABLE eq_none;
-- so with a composite that has such a part, an array of it, a domain over it
CREATE TYPE eq_doc AS (i integer, j json);
CREATE DOMAIN eq_doc_domain AS eq_doc;
CREATE TABLE eq_none (i integer, d eq_doc, da eq_doc[], dd eq_doc_domain);
SELECT * FROM get_or_create(NULL::eq_none, '{"d": {"i": 1}}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::eq_none, '{"da": []}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::eq_none, '{"dd": null}');
\echo :SQLSTATE
SELECT (object).*, created FROM get_or_create(NULL::eq_none, '{"i": 1}', '{"d": {"i": 1, "j": [2]}, "da": [{"i": 3}], "dd": {"i": 4}}');
DROP TABLE eq_none;
DROP DOMAIN eq_doc_domain;
DROP TYPE eq_doc;

-- a domain compares as its base type, and its constraints are checked for the key
CREATE DOMAIN eq_pos AS integer CHECK (VALUE > 0);
CREATE DOMAIN eq_code AS citext CHECK (length(VALUE) = 3);
CREATE TABLE eq_dom (p eq_pos, c eq_code);
SELECT * FROM compare(NULL::eq_dom, '{"p": 1}', '{"p": "01"}');
SELECT * FROM compare(NULL::eq_dom, '{"c": "EUR"}', '{"c": "eur"}');
SELECT * FROM compare(NULL::eq_dom, '{"c": null}', '{"c": null}');
SELECT * FROM get_or_create(NULL::eq_dom, '{"p": 0}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::eq_dom, '{"c": "euro"}');
\echo :SQLSTATE
DROP TABLE eq_dom;
DROP DOMAIN eq_pos, eq_code;

-- a type of one's own: its default equality counts, not its text form
CREATE TABLE eq_sys (r regclass, o oid, l pg_lsn, x xid8);
SELECT * FROM compare(NULL::eq_sys, '{"r": "pg_class"}', '{"r": "pg_catalog.pg_class"}');
SELECT * FROM compare(NULL::eq_sys, '{"l": "0/16AE7F8"}', '{"l": "0/016ae7f8"}');
SELECT * FROM compare(NULL::eq_sys, '{"x": "7"}', '{"x": 7}');
DROP TABLE eq_sys;

DROP FUNCTION compare, key_lock;
DROP EXTENSION citext, hstore;
