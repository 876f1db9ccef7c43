-- Batches: what bench/batches runs.  Needs setup.sql.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

-- The ways to say the same, each a query that takes the rows as $1 and counts
-- what came back.  All of them return whole rows.
CREATE TABLE bench.ways (way text PRIMARY KEY, query text NOT NULL);
INSERT INTO bench.ways VALUES
('get', $$
    SELECT count(object)
    FROM get_or_create_many(NULL::bench.items, $1, '{name}')
$$),
('update', $$
    SELECT count(object)
    FROM update_or_create_many(NULL::bench.items, $1, '{name}')
$$),
-- Gives no row where one exists.
('on_conflict', $$
    WITH i AS (
        INSERT INTO bench.items (name, value)
        SELECT r.name, r.value
        FROM jsonb_to_recordset($1) AS r (name text, value integer)
        ON CONFLICT DO NOTHING
        RETURNING *)
    SELECT count(i) FROM i
$$),
('on_conflict_update', $$
    WITH i AS (
        INSERT INTO bench.items (name, value)
        SELECT r.name, r.value
        FROM jsonb_to_recordset($1) AS r (name text, value integer)
        ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value
        RETURNING *)
    SELECT count(i) FROM i
$$);

-- Some batches of rows in random order, of which the table has all or none.
CREATE FUNCTION bench.batches(existing boolean, size integer, number integer)
RETURNS SETOF jsonb
LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_build_object('name', name, 'value', 7)
                     ORDER BY random())
    FROM generate_series(0, number - 1) b,
         generate_series(b * size + 1, (b + 1) * size) i,
         concat(CASE WHEN existing THEN '' ELSE 'new ' END, i) name
    GROUP BY b;
$$;

-- Rows a second, on a fresh table.
CREATE FUNCTION bench.batch_rate(way text, existing boolean, size integer, number integer)
RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    way_query text := (SELECT w.query FROM bench.ways w WHERE w.way = batch_rate.way);
    batches jsonb[] := ARRAY(SELECT bench.batches(existing, size, number));
    batch jsonb;
    counted bigint;
    started timestamptz;
BEGIN
    CALL bench.fresh_items();
    INSERT INTO bench.items (name, value)
    SELECT i, i FROM generate_series(10001, CASE WHEN existing THEN size * number END) i;
    ANALYZE bench.items;
    -- The first call of a session fills its caches.
    EXECUTE way_query INTO counted USING '[{"name": "warm", "value": 7}]'::jsonb;

    started := clock_timestamp();
    FOREACH batch IN ARRAY batches LOOP
        EXECUTE way_query INTO counted USING batch;
        IF counted <> size THEN
            RAISE 'way % gave % of % rows', way, counted, size;
        END IF;
    END LOOP;
    RETURN size * number / extract(epoch FROM clock_timestamp() - started);
END
$$;
