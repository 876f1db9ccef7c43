-- More statements and tables in one session than racefree keeps.
-- more statements of one table than are kept: every subset of eight columns
CREATE TABLE many (a integer, b integer, c integer, d integer, e integer, f integer, g integer, h integer);
CREATE FUNCTION ddl_subsets() RETURNS TABLE (n bigint, made bigint) LANGUAGE sql AS $$
  SELECT count(*), count(*) FILTER (WHERE r.created)
    FROM generate_series(0, 254) mask,
         LATERAL (SELECT jsonb_object_agg(chr(97 + i), CASE WHEN mask & (1 << i) <> 0 THEN mask END) AS key FROM generate_series(0, 7) i) k,
         LATERAL get_or_create(NULL::many, k.key) r
$$;
SELECT * FROM ddl_subsets();
SELECT * FROM ddl_subsets();
SELECT * FROM ddl_subsets();
SELECT count(*) FROM many;
-- while a statement of the same table is running
CREATE FUNCTION ddl_in_between() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '%', (SELECT s FROM ddl_subsets() s);
  ALTER TABLE other_table ADD x integer;
  PERFORM get_or_create(NULL::other_table, '{"x": 1}');
  ALTER TABLE other_table DROP COLUMN x;
  RETURN NEW;
END $$;
CREATE TABLE other_table (k integer);
CREATE TRIGGER in_between BEFORE INSERT ON many FOR EACH ROW WHEN (NEW.a < 0) EXECUTE FUNCTION ddl_in_between();
SELECT object, created FROM get_or_create(NULL::many, '{"a": -1}', '{"b": 2}');
SELECT object, created FROM get_or_create(NULL::many, '{"a": -1}');
DROP TRIGGER in_between ON many;
DROP TABLE other_table;
DROP FUNCTION ddl_in_between, ddl_subsets;
DROP TABLE many;

-- more tables than are kept: a temporary table made anew in a loop
DO $$
DECLARE
  r record;
BEGIN
  FOR i IN 1..300 LOOP
    EXECUTE format('CREATE TEMPORARY TABLE ddl_loop (k integer PRIMARY KEY, c%s integer, balance integer DEFAULT 10)', i);
    FOR j IN 0..2 LOOP
      EXECUTE format('SELECT (object).k, (object).c%s AS c, created FROM get_or_create(NULL::ddl_loop, %L, %L)', i,
                     jsonb_build_object('k', j / 2), jsonb_build_object('c' || i, j)) INTO STRICT r;
      IF (r.k, r.c, r.created) IS DISTINCT FROM (j / 2, j / 2 * 2, j <> 1) THEN
        RAISE 'loop %, %: %', i, j, r;
      END IF;
    END LOOP;
    EXECUTE 'SELECT (from_account).balance AS f, (to_account).balance AS t FROM transfer(NULL::ddl_loop, 0, 1, 3)' INTO STRICT r;
    IF (r.f, r.t) IS DISTINCT FROM (7, 13) THEN
      RAISE 'loop %: %', i, r;
    END IF;
    DROP TABLE ddl_loop;
  END LOOP;
END $$;
-- and many that stay
DO $$
DECLARE
  made integer;
BEGIN
  FOR i IN 1..300 LOOP
    EXECUTE format('CREATE TEMPORARY TABLE ddl_many_%s (k integer)', i);
  END LOOP;
  FOR round IN 1..2 LOOP
    made := 0;
    FOR i IN 1..300 LOOP
      EXECUTE format('SELECT $1 + created::integer FROM get_or_create(NULL::ddl_many_%s, ''{"k": 1}'')', i) INTO made USING made;
    END LOOP;
    RAISE NOTICE 'round %: % rows created', round, made;
  END LOOP;
  FOR i IN 1..300 LOOP
    EXECUTE format('DROP TABLE ddl_many_%s', i);
  END LOOP;
END $$;
