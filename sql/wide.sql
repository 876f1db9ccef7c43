-- Tables with as many columns as a table can have.
\set SHOW_CONTEXT never
-- all of them in the key
DO $$
BEGIN
  EXECUTE (SELECT format('CREATE TABLE wide (%s)', string_agg(format('c%s smallint', n), ', ' ORDER BY n))
             FROM generate_series(1, 1600) n);
END $$;
SELECT (object).c1, (object).c1600, created
  FROM get_or_create(NULL::wide, (SELECT jsonb_object_agg('c' || n, n) FROM generate_series(1, 1600) n));
SELECT (object).c1, (object).c1600, created
  FROM get_or_create(NULL::wide, (SELECT jsonb_object_agg('c' || n, n) FROM generate_series(1, 1600) n));
SELECT (object).c1, (object).c1600, created
  FROM update_or_create(NULL::wide, '{"c1": 1}', (SELECT jsonb_object_agg('c' || n, 0) FROM generate_series(2, 1600) n));
SELECT count(*) FROM wide;
DROP TABLE wide;

-- rows of them
DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE wide_many (k integer PRIMARY KEY, '
  || string_agg('c' || n || ' integer', ', ') || ')' FROM generate_series(1, 1599) n); END $$;
CREATE FUNCTION wide_many(k integer, value integer, step integer) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_object_agg('c' || n, value) || jsonb_build_object('k', k) FROM generate_series(1, 1599, step) n $$;
SELECT count(*) FROM get_or_create_many(NULL::wide_many, jsonb_build_array(wide_many(1, 1, 1), wide_many(2, 1, 1)), '{k}');
SELECT count(*) FROM update_or_create_many(NULL::wide_many, jsonb_build_array(wide_many(1, 2, 1), wide_many(3, 2, 1)), '{k}');
-- ten kinds of rows, of which not all can have an UPDATE of their own
SELECT count(*) FILTER (WHERE created) AS created, count(*)
  FROM update_or_create_many(NULL::wide_many, (SELECT jsonb_agg(wide_many(k, 10 + k, k)) FROM generate_series(1, 10) k), '{k}');
SELECT k, c1, c2, c3, c8, c9, c1599 FROM wide_many ORDER BY k;
SELECT count(*) FILTER (WHERE created) AS created, count(*)
  FROM update_or_create_many(NULL::wide_many, (SELECT jsonb_agg(wide_many(k, 20 + k, k)) FROM generate_series(1, 10) k), '{k}');
SELECT m.k, count(*) FILTER (WHERE value::integer = 20 + k) = (1598 / k) + 1 AS set
  FROM wide_many m, jsonb_each_text(to_jsonb(m) - 'k') GROUP BY 1 ORDER BY 1;
DROP TABLE wide_many;
DROP FUNCTION wide_many;
