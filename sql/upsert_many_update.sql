-- update_or_create_many: update_or_create for a batch of rows.
\set SHOW_CONTEXT never
CREATE TABLE mu (id serial PRIMARY KEY, str text, n integer DEFAULT 42, note text DEFAULT 'none');
INSERT INTO mu (str, n, note) VALUES ('a', 1, 'old'), ('b', 2, 'old'), ('c', 3, 'old');

-- rows that are there are set, the others created
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu,
  '[{"str": "c", "note": "new"}, {"str": "x", "note": "new"}, {"str": "a", "note": "new"}]', '{str}');
SELECT id, str, n, note FROM mu ORDER BY id;

-- a column that a row does not give is left alone, or gets its DEFAULT in a
-- new row; a JSON null is NULL
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu,
  '[{"str": "a", "n": 10}, {"str": "b", "note": null}, {"str": "c"}, {"str": "x", "n": null, "note": "both"}, {"str": "y", "n": 5}, {"str": "z", "note": "z"}, {"str": "zz"}]', '{str}');
SELECT id, str, n, note FROM mu ORDER BY id;

-- the same key twice: in input order, the last one wins, column by column; all
-- of them give the row as it is in the end
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu,
  '[{"str": "a", "n": 1, "note": "first"}, {"str": "b", "n": 20}, {"str": "a", "n": 2}, {"str": "b", "note": "second"}, {"str": "a", "n": null}]', '{str}');
-- the first creates, the others update
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu,
  '[{"str": "new", "n": 1}, {"str": "new", "note": "second"}, {"str": "newer"}, {"str": "new", "n": 3}, {"str": "newer", "note": "last"}]', '{str}');
SELECT id, str, n, note FROM mu WHERE str IN ('a', 'b', 'new', 'newer') ORDER BY id;

-- with nothing to set, a row is locked and stays as it is
BEGIN;
SELECT xmin AS x FROM mu WHERE str = 'c' \gset
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu, '[{"str": "c"}]', '{str}');
SELECT xmin = :x AS untouched, xmax <> 0 AS locked FROM mu WHERE str = 'c';
-- also beside rows that are set
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu, '[{"str": "c"}, {"str": "b", "n": 7}]', '{str}');
SELECT str, xmin = :x AS untouched FROM mu WHERE str IN ('b', 'c') ORDER BY str;
COMMIT;

-- NULLs in the key
SELECT ordinality, (object).str, (object).n, (object).note, created FROM update_or_create_many(NULL::mu,
  '[{"str": null, "n": 1, "note": "1"}, {"str": null, "n": null, "note": "2"}, {"str": "q", "n": null, "note": "3"}, {"str": null, "n": 1, "note": "4"}]', '{str,n}');
SELECT ordinality, (object).str, (object).n, (object).note, created FROM update_or_create_many(NULL::mu,
  '[{"str": "q", "n": null, "note": "5"}, {"str": null, "n": null, "note": "6"}]', '{str,n}');
SELECT str, n, note FROM mu WHERE str IS NULL OR str = 'q' ORDER BY note;

-- several rows with a key: 21000, the row that asked for it, and none is set
INSERT INTO mu (str) VALUES ('twice'), ('twice');
SELECT * FROM update_or_create_many(NULL::mu, '[{"str": "c", "n": 99}, {"str": "new too"}, {"str": "twice", "n": 1}]', '{str}');
\echo :SQLSTATE
SELECT count(*) FROM mu WHERE n = 99 OR str = 'new too';

-- the empty batch, and the empty key
SELECT * FROM update_or_create_many(NULL::mu, '[]', '{str}');
CREATE TABLE mu_one (n integer, note text DEFAULT 'd');
SELECT * FROM update_or_create_many(NULL::mu_one, '[{"n": 1}, {"n": 2}]', '{}');
SELECT * FROM update_or_create_many(NULL::mu_one, '[{"note": "x"}, {"n": 3}]', '{}');
SELECT n, note FROM mu_one;
DROP TABLE mu_one;

-- constraints, and a conflict in another unique index: 23505 in the end, none
-- is set; a savepoint mends it
CREATE TABLE mu_bound (k text PRIMARY KEY, v integer CHECK (v > 0), u integer UNIQUE);
INSERT INTO mu_bound VALUES ('a', 1, 1), ('b', 2, 2);
SELECT * FROM update_or_create_many(NULL::mu_bound, '[{"k": "a", "v": 5}, {"k": "b", "v": 0}]', '{k}');
\echo :SQLSTATE
BEGIN;
SAVEPOINT s;
SELECT * FROM update_or_create_many(NULL::mu_bound, '[{"k": "a", "u": 5}, {"k": "b", "u": 5}]', '{k}');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT * FROM update_or_create_many(NULL::mu_bound, '[{"k": "b", "v": 5}, {"k": "c", "u": 1}]', '{k}');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu_bound, '[{"k": "b", "u": 5}, {"k": "c", "u": 2}]', '{k}');
COMMIT;
SELECT k, v, u FROM mu_bound ORDER BY k;

-- the key may be any column, and the primary key be set
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu_bound, '[{"u": 5, "k": "renamed"}, {"u": 1, "v": 11}]', '{u}');
SELECT k, v, u FROM mu_bound ORDER BY k;

-- a row with a key of several columns
CREATE TABLE mu_pair (a integer, b text, v integer DEFAULT 0, PRIMARY KEY (b, a));
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu_pair, '[{"a": 1, "b": "x", "v": 1}, {"a": 1, "b": "y"}, {"a": 2, "b": "x", "v": 3}]', '{a,b}');
SELECT ordinality, (object).*, created FROM update_or_create_many(NULL::mu_pair, '[{"a": 2, "b": "x", "v": 4}, {"a": 1, "b": "y", "v": 5}]', '{b,a}');
SELECT a, b, v FROM mu_pair ORDER BY a, b;
DROP TABLE mu_pair, mu_bound, mu;
