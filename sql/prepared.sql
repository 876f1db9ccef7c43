-- Calls from a driver: prepared statements whose parameters have no types, and
-- plans custom or generic.
\set SHOW_CONTEXT never
CREATE TABLE prep (id serial, k text, v integer DEFAULT 7);
CREATE TABLE prep_acct (id integer PRIMARY KEY, balance numeric(12,2));
CREATE TABLE prep_uuid (id uuid PRIMARY KEY, balance bigint);
INSERT INTO prep_acct VALUES (1, 100), (2, 100);
INSERT INTO prep_uuid VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 100), ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 100);

PREPARE goc1 AS SELECT (object).k, (object).v, created FROM get_or_create(NULL::prep, $1);
PREPARE goc2 AS SELECT (object).k, (object).v, created FROM get_or_create(NULL::prep, $1, $2);
PREPARE uoc2 AS SELECT (object).k, (object).v, created FROM update_or_create(NULL::prep, $1, $2);
PREPARE uoc3 AS SELECT (object).k, (object).v, created FROM update_or_create(NULL::prep, $1, $2, $3);
PREPARE trf3 AS SELECT (from_account).*, (to_account).* FROM transfer(NULL::prep_acct, $1, $2, $3);
PREPARE trf4 AS SELECT (from_account).*, (to_account).* FROM transfer(NULL::prep_acct, $1, $2, $3, $4);
PREPARE trf6 AS SELECT (from_account).*, (to_account).* FROM transfer(NULL::prep_acct, $1, $2, $3, $4, $5, $6);
PREPARE trfu AS SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::prep_uuid, $1, $2, $3);
-- the types that the parameters get
SELECT name, parameter_types FROM pg_prepared_statements ORDER BY name;

EXECUTE goc1('{"k": "a"}');
EXECUTE goc1('{"k": "a"}');
EXECUTE goc2('{"k": "b"}', '{"v": 1}');
EXECUTE goc2('{"k": "b"}', '{"v": 2}');
EXECUTE uoc2('{"k": "b"}', '{"v": 3}');
EXECUTE uoc3('{"k": "c"}', '{"v": 4}', '{"v": 5}');
EXECUTE uoc3('{"k": "c"}', '{"v": 4}', NULL);
EXECUTE trf3('1', '2', '10.00');
EXECUTE trf3(1, 2, 10);
EXECUTE trf4('2', '1', '5', '-100');
EXECUTE trf4('2', '1', '5', NULL);
EXECUTE trf6('2', '1', '5', '0', 'id', 'balance');
EXECUTE trf6('2', '1', '5', '0', NULL, 'balance');
EXECUTE trfu('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '5');
-- NULL and nonsense from the driver
EXECUTE goc1(NULL);
\echo :SQLSTATE
EXECUTE goc2('{"k": "b"}', NULL);
\echo :SQLSTATE
EXECUTE goc1('no json');
\echo :SQLSTATE
EXECUTE trf3(NULL, '2', '1');
\echo :SQLSTATE
EXECUTE trf3('x', '2', '1');
\echo :SQLSTATE
-- parameters with types work as well
PREPARE typed (integer, integer, numeric) AS SELECT (from_account).*, (to_account).* FROM transfer(NULL::prep_acct, $1, $2, $3);
EXECUTE typed(1, 2, 1);
PREPARE typed_u (uuid, uuid, bigint) AS SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::prep_uuid, $1, $2, $3);
EXECUTE typed_u('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 5);
DEALLOCATE typed;
DEALLOCATE typed_u;

-- generic plans, outside and inside; then custom ones; NULL and values in turn
SET plan_cache_mode = force_generic_plan;
EXECUTE goc1('{"k": "g1"}');
EXECUTE goc1('{"k": null}');
EXECUTE goc1('{"k": "g1"}');
EXECUTE goc1('{"k": null}');
EXECUTE goc2('{"k": "g2"}', '{"v": null}');
EXECUTE goc2('{"k": "g2", "v": null}', '{}');
EXECUTE uoc2('{"k": "g2"}', '{"v": 1}');
EXECUTE trf3('1', '2', '1');
EXECUTE trf3('2', '1', '1');
SET plan_cache_mode = force_custom_plan;
EXECUTE goc1('{"k": "c1"}');
EXECUTE goc1('{"k": null}');
EXECUTE goc1('{"k": "c1"}');
EXECUTE uoc2('{"k": "g2"}', '{"v": 2}');
EXECUTE trf3('1', '2', '1');
EXECUTE trf3('2', '1', '1');
RESET plan_cache_mode;

-- many executions, past the point where core turns to a generic plan
DO $$
DECLARE
  made integer := 0;
BEGIN
  FOR i IN 1..40 LOOP
    EXECUTE 'EXECUTE goc1(' || quote_literal(jsonb_build_object('k', 'many ' || i % 4)) || ')';
    SELECT made + created::integer INTO made FROM get_or_create(NULL::prep, jsonb_build_object('k', 'loop ' || i % 4));
  END LOOP;
  RAISE NOTICE '% created', made;
END $$;
SELECT k, count(*) FROM prep GROUP BY k ORDER BY k COLLATE "C";
SELECT id, balance FROM prep_acct ORDER BY id;

-- the table changes under a prepared statement, which names none of its columns:
-- it means the same whether or not core plans it anew
PREPARE made AS SELECT created FROM get_or_create(NULL::prep, $1);
EXECUTE made('{"k": "a"}');
ALTER TABLE prep RENAME v TO w;
ALTER TABLE prep RENAME k TO v;
EXECUTE made('{"k": "a"}');
\echo :SQLSTATE
EXECUTE made('{"v": "a"}');
ALTER TABLE prep RENAME v TO k;
ALTER TABLE prep RENAME w TO v;
EXECUTE made('{"k": "a"}');
EXECUTE goc1('{"k": "a"}');

-- through a cursor
BEGIN;
DECLARE c CURSOR FOR SELECT (object).k, created FROM generate_series(1, 3) i, get_or_create(NULL::prep, jsonb_build_object('k', 'cursor ' || i));
FETCH 1 FROM c;
FETCH 2 FROM c;
COMMIT;

DEALLOCATE ALL;
DROP TABLE prep, prep_acct, prep_uuid;
