-- Calls within calls, on the same table: what one keeps, the other must not
-- take away or overwrite.
\set SHOW_CONTEXT never

-- the check of a domain, while a value is being converted
CREATE FUNCTION re_check(t text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF length(t) > 100 THEN
        PERFORM get_or_create(NULL::re_domain, '{"d": "inner"}');
        IF length(t) <= 100 THEN
            RAISE 'the outer value has become "%"', t;
        END IF;
    END IF;
    RETURN true;
END
$$;
CREATE DOMAIN re_text AS text CHECK (re_check(value || '!') AND value <> 'bad');
CREATE TABLE re_domain (id serial, d re_text);
SELECT (object).d, created FROM get_or_create(NULL::re_domain, '{"d": "inner"}');
SELECT length((object).d), created FROM get_or_create(NULL::re_domain, jsonb_build_object('d', repeat('a', 100000)));
-- an error in the middle leaves nothing behind
SELECT * FROM get_or_create(NULL::re_domain, '{"d": "bad"}');
\echo :SQLSTATE
SELECT (object).d, created FROM get_or_create(NULL::re_domain, '{"d": "inner"}');
SELECT id, length(d) FROM re_domain ORDER BY id;

-- a trigger, while the statement that fired it runs: with so many other keys
-- that the statement's plan falls out of its list, and with the table's
-- description invalidated
CREATE TABLE re_trigger (a int, b int, c int, d int, e int, f int, g int, note text);
CREATE FUNCTION re_many_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..127 LOOP
        PERFORM get_or_create(NULL::re_trigger, jsonb_build_object(
            'a', CASE WHEN i & 1 > 0 THEN 1 END, 'b', CASE WHEN i & 2 > 0 THEN 1 END,
            'c', CASE WHEN i & 4 > 0 THEN 1 END, 'd', CASE WHEN i & 8 > 0 THEN 1 END,
            'e', CASE WHEN i & 16 > 0 THEN 1 END, 'f', CASE WHEN i & 32 > 0 THEN 1 END,
            'g', CASE WHEN i & 64 > 0 THEN 1 END));
    END LOOP;
    EXECUTE 'GRANT SELECT ON re_trigger TO PUBLIC';
    PERFORM update_or_create(NULL::re_trigger, '{"note": "inner"}', '{"a": 2}');
    RETURN NEW;
END
$$;
CREATE TRIGGER many_keys BEFORE INSERT ON re_trigger
    FOR EACH ROW WHEN (NEW.note = 'outer') EXECUTE FUNCTION re_many_keys();
SELECT (object).note, created FROM get_or_create(NULL::re_trigger, '{"note": "outer"}');
SELECT (object).note, created FROM get_or_create(NULL::re_trigger, '{"note": "outer"}');
SELECT count(*), count(note) FROM re_trigger;
-- the same for a batch, and within one
SELECT ordinality, (object).note, created
  FROM get_or_create_many(NULL::re_trigger, '[{"note": "outer"}, {"note": "another"}]', '{note}');
CREATE FUNCTION re_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM * FROM update_or_create_many(NULL::re_trigger, '[{"note": "x", "a": 1}, {"note": "y", "a": 2}]', '{note}');
    RETURN NULL;
END
$$;
CREATE TRIGGER batch AFTER INSERT ON re_trigger
    FOR EACH ROW WHEN (NEW.note = 'batch') EXECUTE FUNCTION re_batch();
SELECT ordinality, (object).note, created
  FROM get_or_create_many(NULL::re_trigger, '[{"note": "batch"}, {"note": "after"}]', '{note}');
SELECT note, a FROM re_trigger WHERE note IN ('x', 'y', 'batch', 'after') ORDER BY note;

-- the check of a domain, while a batch finds out whether it allows NULL: the
-- error names the row of the outer batch, and the next error none
CREATE FUNCTION re_null_check(t text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF t IS NULL AND current_setting('re.depth', true) = '0' THEN
        PERFORM set_config('re.depth', '1', true);
        PERFORM get_or_create_many(NULL::re_null, '[{"k": 3, "d": "c"}, {"k": 4, "d": "d"}, {"k": 5}]', '{k}');
        PERFORM set_config('re.depth', '2', true);
        RETURN false;
    END IF;
    RETURN true;
END
$$;
CREATE DOMAIN re_not_null AS text CONSTRAINT re_not_null CHECK (re_null_check(value));
CREATE TABLE re_null (k integer, d re_not_null);
BEGIN;
SET LOCAL re.depth = '0';
\set SHOW_CONTEXT errors
SELECT * FROM get_or_create_many(NULL::re_null, '[{"k": 1, "d": "a"}, {"k": 2}]', '{k}');
\echo :SQLSTATE
ROLLBACK;
SELECT 1 / 0;
\echo :SQLSTATE
\set SHOW_CONTEXT never

-- a batch of the empty key, into a table with a trigger
CREATE TABLE re_one (a integer, b integer);
CREATE FUNCTION re_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.b := 2; RETURN NEW; END $$;
CREATE TRIGGER one BEFORE INSERT ON re_one FOR EACH ROW EXECUTE FUNCTION re_one();
SELECT ordinality, (object).*, created FROM get_or_create_many(NULL::re_one, '[{"a": 1}, {}]', '{}');

-- calls that fail while they and others have the table open, after it changed:
-- in exception blocks, under savepoints, in a cursor.  Nothing is kept of them.
CREATE TABLE re_fail (k integer PRIMARY KEY, note text);
CREATE FUNCTION re_fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'GRANT SELECT ON re_fail TO PUBLIC';
    IF NEW.k % 10 = 0 THEN
        RAISE 'at the bottom';
    ELSIF NEW.k % 3 > 0 THEN
        PERFORM get_or_create(NULL::re_fail, jsonb_build_object('k', NEW.k - 1));
    ELSE
        BEGIN
            PERFORM update_or_create_many(NULL::re_fail, jsonb_build_array(jsonb_build_object('k', NEW.k - 1)), '{k}');
        EXCEPTION WHEN raise_exception THEN
            NEW.note := 'caught';
        END;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER fail BEFORE INSERT ON re_fail FOR EACH ROW EXECUTE FUNCTION re_fail();
SELECT object, created FROM get_or_create(NULL::re_fail, '{"k": 4}');
SELECT count(*) AS kept FROM pg_backend_memory_contexts WHERE name = 'racefree target' \gset
SELECT object, created FROM get_or_create(NULL::re_fail, '{"k": 8}');
SELECT object, created FROM get_or_create(NULL::re_fail, '{"k": 12}');
\echo :SQLSTATE
SELECT object, created FROM get_or_create(NULL::re_fail, '{"k": 11}');
\echo :SQLSTATE
BEGIN;
DECLARE c CURSOR FOR SELECT get_or_create(NULL::re_fail, jsonb_build_object('k', i)) FROM unnest('{14, 11, 17}'::integer[]) AS i;
FETCH c;
SAVEPOINT s;
SAVEPOINT t;
FETCH c;
\echo :SQLSTATE
ROLLBACK TO t;
SELECT object, created FROM get_or_create(NULL::re_fail, '{"k": 23}');
ROLLBACK TO s;
SELECT object, created FROM get_or_create(NULL::re_fail, '{"k": 25}');
COMMIT;
SELECT * FROM re_fail ORDER BY k;
SELECT count(*) - :kept AS more_kept FROM pg_backend_memory_contexts WHERE name = 'racefree target';

-- a trigger that meets more tables than are kept, while the table is open whose
-- description it has invalidated
CREATE TABLE re_sweep (k integer PRIMARY KEY, note text);
CREATE FUNCTION re_sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'GRANT SELECT ON re_sweep TO PUBLIC';
    FOR i IN 1..260 LOOP
        EXIT WHEN NEW.k <> 1;
        CREATE TEMPORARY TABLE re_other (k integer);
        EXECUTE 'SELECT get_or_create(NULL::re_other, ''{"k": 1}'')';
        DROP TABLE re_other;
    END LOOP;
    PERFORM update_or_create(NULL::re_sweep, '{"k": 0}', '{"note": "inner"}') WHERE NEW.k > 0;
    RETURN NEW;
END
$$;
CREATE TRIGGER sweep BEFORE INSERT ON re_sweep FOR EACH ROW EXECUTE FUNCTION re_sweep();
SELECT object, created FROM get_or_create(NULL::re_sweep, '{"k": 1}', '{"note": "outer"}');
SELECT ordinality, object, created FROM update_or_create_many(NULL::re_sweep, '[{"k": 0, "note": "a"}, {"k": 2, "note": "b"}]', '{k}');
SELECT * FROM re_sweep ORDER BY k;

DROP TABLE re_domain, re_trigger, re_null, re_one, re_fail, re_sweep;
DROP DOMAIN re_text, re_not_null;
DROP FUNCTION re_check, re_many_keys, re_batch, re_null_check, re_one, re_fail, re_sweep;
