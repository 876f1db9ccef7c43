--
-- Keys of types that casts and NULLs treat in a way of their own.
--

SET client_min_messages = warning;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN mood_domain AS mood;
CREATE DOMAIN names AS varchar(5)[] CHECK (cardinality(VALUE) < 3);
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN pair_domain AS pair;
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE kt (id serial PRIMARY KEY, tags varchar(10)[], prices numeric(5,2)[], labels names,
				 mood mood, mood_d mood_domain, moods mood[], r int4range, ranges int4multirange,
				 p pair, pd pair_domain, n int);
RESET client_min_messages;

-- Twice each: the second call finds the row that the first one made.
CREATE FUNCTION get_twice(key jsonb, OUT first bool, OUT second bool, OUT many bool, OUT nrows int) LANGUAGE plpgsql AS $$
DECLARE
	row kt;
BEGIN
	SELECT created INTO first FROM get_or_create(NULL::kt, key);
	SELECT created INTO second FROM get_or_create(NULL::kt, key);
	SELECT (object).id, (object).n INTO row.id, row.n FROM update_or_create(NULL::kt, key, '{"n": 1}');
	SELECT bool_or(created) INTO many FROM get_or_create_many(NULL::kt, jsonb_build_array(key), ARRAY(SELECT jsonb_object_keys(key))::name[]);
	SELECT many OR bool_or(created) INTO many FROM update_or_create_many(NULL::kt, jsonb_build_array(key || '{"n": 2}'), ARRAY(SELECT jsonb_object_keys(key))::name[]);
	SELECT count(*) INTO nrows FROM kt;
	DELETE FROM kt;
END
$$;
SELECT key, g.* FROM (VALUES
	(1, '{"tags": ["a", "b"]}'::jsonb), (2, '{"tags": []}'), (3, '{"tags": [null, "x"]}'),
	(4, '{"prices": [1, 2.5]}'), (5, '{"labels": ["a"]}'), (6, '{"mood": "sad"}'),
	(7, '{"mood_d": "happy"}'), (8, '{"moods": ["sad", "happy"]}'), (9, '{"r": "[1,5)"}'),
	(10, '{"ranges": "{[1,5),[7,9)}"}'), (11, '{"p": {"a": 1, "b": null}}'), (12, '{"pd": {"a": 1}}'),
	(13, '{"p": {"a": null}}'), (14, '{"p": null}'), (15, '{"pd": null, "tags": ["x"]}'), (16, '{"tags": null}'))
	v (n, key), get_twice(key) g ORDER BY n;

-- NULL is one value of a composite type, and a row of NULLs another.
SELECT created FROM get_or_create(NULL::kt, '{"p": {"a": null, "b": null}}');
SELECT created FROM get_or_create(NULL::kt, '{"p": null}');
SELECT created FROM get_or_create(NULL::kt, '{"p": null}');
SELECT ordinality, created FROM get_or_create_many(NULL::kt, '[{"p": {}}, {"p": null}]', '{p}');
SELECT ordinality, created FROM update_or_create_many(NULL::kt, '[{"p": {}, "n": 1}, {"p": null, "n": 2}]', '{p}');
SELECT p IS NOT DISTINCT FROM NULL AS is_null, n FROM kt ORDER BY 1;
DELETE FROM kt;

-- Such types in a primary key, a guard, and ids.
CREATE TABLE kt_ids (tags varchar(5)[], mood mood_domain, balance int, PRIMARY KEY (tags, mood));
SELECT ordinality, created FROM update_or_create_many(NULL::kt_ids,
	'[{"tags": ["a"], "mood": "sad", "balance": 1}, {"tags": ["b"], "mood": "sad", "balance": 2}]', '{tags,mood}');
SELECT ordinality, created FROM update_or_create_many(NULL::kt_ids,
	'[{"tags": ["b"], "mood": "sad", "balance": 3}, {"tags": ["a"], "mood": "sad", "balance": 4}]', '{tags,mood}');
SELECT * FROM kt_ids ORDER BY tags;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON kt FOR EACH ROW EXECUTE FUNCTION key_guard('tags', 'mood_d');
INSERT INTO kt (tags, mood_d) VALUES ('{a}', 'sad');
\set VERBOSITY sqlstate
INSERT INTO kt (tags, mood_d) VALUES ('{a}', 'sad');
\set VERBOSITY default
INSERT INTO kt (tags, mood_d) VALUES ('{a}', 'happy');
DROP TABLE kt_ids;

CREATE TABLE kt_array_id (id int[] PRIMARY KEY, mood mood_domain UNIQUE, balance int);
INSERT INTO kt_array_id VALUES ('{1}', 'sad', 10), ('{2}', 'happy', 20);
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::kt_array_id, '{1}'::text, '{2}', 3);
SELECT status, from_balance FROM transfer_many(NULL::kt_array_id, '{sad}'::text[], '{happy}', '{1}', id_column => 'mood');
SELECT id, balance FROM lock_rows(NULL::kt_array_id, '{happy}'::text[], id_column => 'mood');
SELECT * FROM lock_rows(NULL::kt_array_id, ARRAY['{1}']);
\echo :SQLSTATE
DROP TABLE kt_array_id;

-- Core hashes a name by its bytes.  Where the collation calls other bytes equal,
-- the key is locked as one without a hash: with the table's keys as a whole.
CREATE TYPE named AS (a int, n name COLLATE nocase);
CREATE TABLE kt_name (n name COLLATE nocase, ns name[] COLLATE nocase, c named, plain name);
CREATE FUNCTION locks() RETURNS bigint LANGUAGE sql AS
	'SELECT count(key_hash) FROM racefree_locks WHERE pid = pg_backend_pid()';
BEGIN;
SELECT created FROM get_or_create(NULL::kt_name, '{"n": "A"}');
SELECT created FROM get_or_create(NULL::kt_name, '{"n": "a"}');
SELECT ordinality, created FROM get_or_create_many(NULL::kt_name, '[{"n": "b"}, {"n": "B"}, {"n": "a"}]', '{n}');
SELECT created FROM get_or_create(NULL::kt_name, '{"ns": ["A"]}');
SELECT created FROM get_or_create(NULL::kt_name, '{"ns": ["a"]}');
SELECT created FROM get_or_create(NULL::kt_name, '{"c": {"a": 1, "n": "A"}}');
SELECT created FROM get_or_create(NULL::kt_name, '{"c": {"a": 1, "n": "a"}}');
SELECT locks();
ROLLBACK;
BEGIN;
SELECT created FROM get_or_create(NULL::kt_name, '{"plain": "A"}');
SELECT created FROM get_or_create(NULL::kt_name, '{"plain": "a"}');
SELECT locks();
ROLLBACK;
DROP FUNCTION locks;
DROP TABLE kt_name;
CREATE TABLE kt_name (n name COLLATE nocase, v int) PARTITION BY HASH (n);
CREATE TABLE kt_name_0 PARTITION OF kt_name FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE kt_name_1 PARTITION OF kt_name FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE kt_name_2 PARTITION OF kt_name FOR VALUES WITH (MODULUS 3, REMAINDER 2);
SELECT n, created FROM (VALUES ('a'), ('A'), ('b'), ('B'), ('c'), ('C'), ('d'), ('D')) v (n),
	get_or_create(NULL::kt_name, jsonb_build_object('n', n));
SELECT created FROM update_or_create(NULL::kt_name, '{"n": "D"}', '{"v": 1}');
SELECT ordinality, created FROM update_or_create_many(NULL::kt_name, '[{"n": "A", "v": 1}, {"n": "B", "v": 2}]', '{n}');
DROP TABLE kt_name;
DROP TYPE named;

-- A collation that got another name, and then another search_path, which makes
-- core read the statements' text again.
CREATE TABLE kt_collation (t text COLLATE nocase PRIMARY KEY);
SELECT created FROM get_or_create(NULL::kt_collation, '{"t": "a"}');
ALTER COLLATION nocase RENAME TO nocase2;
SET search_path = pg_catalog, public;
SELECT created FROM get_or_create(NULL::kt_collation, '{"t": "A"}');
CREATE SCHEMA kt_schema;
ALTER COLLATION public.nocase2 SET SCHEMA kt_schema;
RESET search_path;
SELECT created FROM get_or_create(NULL::kt_collation, '{"t": "A"}');
DROP TABLE kt_collation;
DROP SCHEMA kt_schema CASCADE;

-- A domain over an array of fixed lengths: all of each element counts.
CREATE DOMAIN codes AS char(5)[];
CREATE DOMAIN flags AS bit(3)[];
CREATE TABLE kt_codes (id serial, c codes, f flags, note text);
SELECT created FROM get_or_create(NULL::kt_codes, '{"c": ["abcde"], "f": ["101"]}');
SELECT created FROM get_or_create(NULL::kt_codes, '{"c": ["axxxx"], "f": ["101"]}');
SELECT created FROM get_or_create(NULL::kt_codes, '{"c": ["abcde"], "f": ["111"]}');
SELECT created FROM update_or_create(NULL::kt_codes, '{"c": ["abcde"], "f": ["111"]}', '{"note": "x"}');
SELECT ordinality, created FROM update_or_create_many(NULL::kt_codes,
	'[{"c": ["abcde"], "note": "y"}, {"c": ["azzzz"], "note": "z"}, {"c": ["axxxx"], "note": "w"}]', '{c}');
\echo :SQLSTATE
SELECT c, f, note FROM kt_codes ORDER BY id;
DROP TABLE kt_codes;
DROP DOMAIN codes, flags;

-- A type that got another name, under a domain, and another search_path.
CREATE TABLE kt_mood (m mood_domain PRIMARY KEY);
SELECT created FROM get_or_create(NULL::kt_mood, '{"m": "sad"}');
ALTER TYPE mood RENAME TO temper;
SET search_path = pg_catalog, public;
SELECT created FROM get_or_create(NULL::kt_mood, '{"m": "sad"}');
RESET search_path;
ALTER TYPE temper RENAME TO mood;
SELECT created FROM get_or_create(NULL::kt_mood, '{"m": "sad"}');
DROP TABLE kt_mood;

DROP FUNCTION get_twice;
DROP TABLE kt;
DROP TYPE mood, pair CASCADE;
DROP DOMAIN names;
