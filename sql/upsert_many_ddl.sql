-- The table changes between two batches of one session.
\set SHOW_CONTEXT never
CREATE TABLE md (k text, v integer DEFAULT 1, w text);
SELECT ordinality, object, created FROM get_or_create_many(NULL::md, '[{"k": "a"}, {"k": "b", "v": 2}]', '{k}');
SELECT ordinality, object, created FROM update_or_create_many(NULL::md, '[{"k": "a", "w": "x"}, {"k": "b", "v": 3}, {"k": "c"}]', '{k}');
-- rename a column, the table
ALTER TABLE md RENAME k TO key;
SELECT * FROM get_or_create_many(NULL::md, '[{"k": "a"}]', '{k}');
\echo :SQLSTATE
SELECT ordinality, object, created FROM get_or_create_many(NULL::md, '[{"key": "a"}, {"key": "d"}]', '{key}');
ALTER TABLE md RENAME v TO k;
SELECT ordinality, object, created FROM update_or_create_many(NULL::md, '[{"key": "a", "w": "y"}, {"key": "b", "k": 4}]', '{key}');
ALTER TABLE md RENAME TO md2;
CREATE TABLE md (key text);
SELECT ordinality, object, created FROM update_or_create_many(NULL::md2, '[{"key": "a", "w": "z"}, {"key": "b", "k": 5}]', '{key}');
SELECT count(*) FROM md;
DROP TABLE md;
ALTER TABLE md2 RENAME TO md;
-- add and drop columns
ALTER TABLE md ADD x integer DEFAULT 7;
SELECT ordinality, object, created FROM update_or_create_many(NULL::md, '[{"key": "a", "w": "z"}, {"key": "e", "k": 5}]', '{key}');
ALTER TABLE md DROP COLUMN k;
SELECT ordinality, object, created FROM update_or_create_many(NULL::md, '[{"key": "a", "x": 8}, {"key": "f", "w": "new"}]', '{key}');
SELECT ordinality, object, created FROM get_or_create_many(NULL::md, '[{"x": 8}, {"x": 9, "key": "g"}]', '{x}');
SELECT * FROM update_or_create_many(NULL::md, '[{"key": "a", "k": 5}]', '{key}');
\echo :SQLSTATE
-- retype
ALTER TABLE md ALTER x TYPE text USING 'x' || x;
SELECT ordinality, object, created FROM update_or_create_many(NULL::md, '[{"key": "a", "x": 8}, {"key": "f", "w": "new"}]', '{key}');
SELECT ordinality, object, created FROM get_or_create_many(NULL::md, '[{"x": "8"}, {"x": "x9"}, {"x": 8.0, "key": "h"}]', '{x}');
ALTER TABLE md ALTER key TYPE varchar(2);
SELECT * FROM get_or_create_many(NULL::md, '[{"key": "a"}, {"key": "long"}]', '{key}');
\echo :SQLSTATE
-- change and drop a default
ALTER TABLE md ALTER x SET DEFAULT 'changed';
SELECT ordinality, object, created FROM get_or_create_many(NULL::md, '[{"key": "i"}, {"key": "j", "x": "given"}]', '{key}');
ALTER TABLE md ALTER x DROP DEFAULT;
SELECT ordinality, object, created FROM get_or_create_many(NULL::md, '[{"key": "k"}, {"key": "l", "x": "given"}]', '{key}');
-- make a unique index and a primary key, and drop them
CREATE UNIQUE INDEX md_key ON md (key);
SELECT ordinality, object, created FROM update_or_create_many(NULL::md, '[{"key": "m"}, {"key": "a", "x": "u"}]', '{key}');
DROP INDEX md_key;
ALTER TABLE md ADD PRIMARY KEY (key);
SELECT ordinality, object, created FROM update_or_create_many(NULL::md, '[{"key": "n"}, {"key": "a", "x": "p"}]', '{key}');
ALTER TABLE md DROP CONSTRAINT md_pkey;
SELECT ordinality, object, created FROM update_or_create_many(NULL::md, '[{"key": "o"}, {"key": "a", "x": "n"}]', '{key}');
-- drop the table, and make another one
DROP TABLE md;
CREATE TABLE md (v integer, k integer DEFAULT 5);
SELECT ordinality, object, created FROM update_or_create_many(NULL::md, '[{"v": 1}, {"v": 2, "k": 6}]', '{v}');
DROP TABLE md;
