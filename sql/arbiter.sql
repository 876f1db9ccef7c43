-- Unique indexes: which of them serve, and what a conflict on another one is.
-- Whether the INSERT steps back from a row that it meets shows where a trigger
-- puts that row in its way, as a writer that does not call racefree would do
-- after we looked: then the call returns that row.  Since a trigger of our own
-- INSERT put it there, it counts as created.
\set SHOW_CONTEXT never
CREATE TABLE arb (id serial, k text, v integer, note text);
-- a rival's row appears between our look and our insert
CREATE FUNCTION arb_rival() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 AND NEW.note IS DISTINCT FROM 'before' THEN
    BEGIN
      INSERT INTO arb (k, v, note) VALUES (NEW.k, NEW.v, 'rival');
    EXCEPTION WHEN unique_violation THEN
    END;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER rival BEFORE INSERT ON arb FOR EACH ROW EXECUTE FUNCTION arb_rival();

-- one unique index on the key: the rival's row is returned
CREATE UNIQUE INDEX arb_k ON arb (k);
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a"}');
-- and set by update_or_create
SELECT (object).k, (object).v, (object).note, created FROM update_or_create(NULL::arb, '{"k": "b"}', '{"note": "mine"}');
SELECT (object).k, (object).v, (object).note, created FROM update_or_create(NULL::arb, '{"k": "c"}', '{"v": 3}', '{"note": "new"}');
-- a key of more columns than the index: the rival's row has them all, or not
SELECT (object).k, (object).v, (object).note, created FROM get_or_create(NULL::arb, '{"k": "d", "v": 4}');
INSERT INTO arb (k, v, note) VALUES ('e', 5, 'before');
SELECT * FROM get_or_create(NULL::arb, '{"k": "e", "v": 6}');
\echo :SQLSTATE
SELECT k, v, note FROM arb ORDER BY k;
-- a key that the index does not cover: the conflict is an ordinary 23505
SELECT * FROM get_or_create(NULL::arb, '{"v": 7}', '{"k": "a"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::arb, '{"v": 7}', '{"k": "a"}');
\echo :SQLSTATE
-- and the transaction is no worse than after any error
BEGIN;
INSERT INTO arb (k, note) VALUES ('f', 'before');
SAVEPOINT s;
SELECT * FROM get_or_create(NULL::arb, '{"v": 7}', '{"k": "a"}');
\echo :SQLSTATE
ROLLBACK TO s;
SELECT (object).k, created FROM get_or_create(NULL::arb, '{"k": "g"}');
COMMIT;
SELECT k, note FROM arb WHERE k IN ('f', 'g') ORDER BY k;
TRUNCATE arb;

-- NULL in the key: a plain unique index takes two of them, and so the trigger's
-- row is one too many
SELECT * FROM get_or_create(NULL::arb, '{"k": null}');
\echo :SQLSTATE
TRUNCATE arb;
-- with NULLS NOT DISTINCT there is a conflict
DROP INDEX arb_k;
CREATE UNIQUE INDEX arb_k ON arb (k) NULLS NOT DISTINCT;
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": null}');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": null}');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a"}');
SELECT count(*) FROM arb;
TRUNCATE arb;
DROP INDEX arb_k;

-- several columns, in another order, with one more included
CREATE UNIQUE INDEX arb_vk ON arb (v, k) INCLUDE (id);
SELECT (object).k, (object).v, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a", "v": 1}');
SELECT (object).k, (object).v, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a", "v": 2}');
-- part of the index does not cover: the trigger's row is one too many, as it
-- would be without any index
SELECT * FROM get_or_create(NULL::arb, '{"k": "b"}');
\echo :SQLSTATE
TRUNCATE arb;
-- several indexes that cover the key
CREATE UNIQUE INDEX arb_k ON arb (k);
CREATE UNIQUE INDEX arb_k2 ON arb (k);
SELECT (object).k, (object).v, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a", "v": 1}');
SELECT (object).k, (object).v, (object).note, created FROM get_or_create(NULL::arb, '{"k": "b"}');
SELECT (object).k, (object).v, (object).note, created FROM update_or_create(NULL::arb, '{"k": "c"}', '{"v": 9}');
-- and one that does not: a conflict in that one is 23505 all the same
TRUNCATE arb;
CREATE UNIQUE INDEX arb_note ON arb (note);
INSERT INTO arb (k, note) VALUES ('z', 'before');
SELECT * FROM get_or_create(NULL::arb, '{"k": "y"}', '{"note": "before"}');
\echo :SQLSTATE
DROP INDEX arb_note;
TRUNCATE arb;
DROP INDEX arb_vk, arb_k, arb_k2;

-- a partial index: where it applies, its conflict is the key's; else it is none
CREATE UNIQUE INDEX arb_part ON arb (k) WHERE v > 10;
SELECT (object).k, (object).v, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a"}', '{"v": 11}');
SELECT (object).k, (object).v, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a"}', '{"v": 12}');
SELECT * FROM get_or_create(NULL::arb, '{"k": "b"}', '{"v": 1}');
\echo :SQLSTATE
SELECT k, v, note FROM arb ORDER BY k, note;
TRUNCATE arb;
-- a partial index that holds a row which the key does not match
INSERT INTO arb (k, v, note) VALUES ('a', 20, 'before');
SELECT * FROM get_or_create(NULL::arb, '{"k": "a", "v": 21}');
\echo :SQLSTATE
TRUNCATE arb;
DROP INDEX arb_part;

-- an expression: it serves where the key has all of its columns
CREATE UNIQUE INDEX arb_lower ON arb (lower(k));
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "A"}');
-- a row that is equal by the expression, not by the column, is a conflict
SELECT * FROM get_or_create(NULL::arb, '{"k": "a"}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::arb, '{"v": 1}', '{"k": "a"}');
\echo :SQLSTATE
SELECT k, note FROM arb ORDER BY k;
TRUNCATE arb;
DROP INDEX arb_lower;

-- a deferrable constraint cannot serve; without a rival all is well
ALTER TABLE arb ADD CONSTRAINT arb_k_key UNIQUE (k) DEFERRABLE;
SELECT * FROM get_or_create(NULL::arb, '{"k": "a"}');
\echo :SQLSTATE
ALTER TABLE arb DISABLE TRIGGER rival;
SELECT (object).k, created FROM get_or_create(NULL::arb, '{"k": "a"}');
SELECT (object).k, created FROM get_or_create(NULL::arb, '{"k": "a"}');
SELECT (object).k, created FROM update_or_create(NULL::arb, '{"k": "b"}', '{"v": 1}');
ALTER TABLE arb ENABLE TRIGGER rival;
TRUNCATE arb;
-- but does not keep another index from serving
CREATE UNIQUE INDEX arb_vk ON arb (v, k);
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a", "v": 1}');
TRUNCATE arb;
DROP INDEX arb_vk;
-- not even one on the same columns
CREATE UNIQUE INDEX arb_k ON arb (k);
ALTER TABLE arb DISABLE TRIGGER rival;
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a"}');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a"}');
ALTER TABLE arb ENABLE TRIGGER rival;
CREATE UNIQUE INDEX arb_k2 ON arb (k);
SELECT (object).k, (object).note, (object).v, created FROM update_or_create(NULL::arb, '{"k": "a"}', '{"v": 1}');
TRUNCATE arb;
DROP INDEX arb_k, arb_k2;
ALTER TABLE arb DROP CONSTRAINT arb_k_key;
-- initially deferred: the conflict would show at the end of the transaction, but
-- the trigger's row is found before
ALTER TABLE arb ADD CONSTRAINT arb_k_key UNIQUE (k) DEFERRABLE INITIALLY DEFERRED;
SELECT * FROM get_or_create(NULL::arb, '{"k": "a"}');
\echo :SQLSTATE
SELECT count(*) FROM arb;
ALTER TABLE arb DROP CONSTRAINT arb_k_key;

-- beside a unique index over an expression, a partition's own deferrable
-- constraint: no row can be stepped back from
CREATE TABLE arb_part (k text, v integer) PARTITION BY LIST (v);
CREATE UNIQUE INDEX ON arb_part (lower(k), v);
CREATE TABLE arb_part_1 PARTITION OF arb_part FOR VALUES IN (1);
CREATE TABLE arb_part_2 PARTITION OF arb_part FOR VALUES IN (2);
ALTER TABLE arb_part_1 ADD UNIQUE (k) DEFERRABLE;
SELECT (object).*, created FROM get_or_create(NULL::arb_part, '{"k": "a", "v": 1}');
SELECT (object).*, created FROM get_or_create(NULL::arb_part, '{"k": "a", "v": 1}');
SELECT (object).*, created FROM update_or_create(NULL::arb_part, '{"k": "a", "v": 2}', '{"v": 2}');
SELECT (object).*, created FROM get_or_create(NULL::arb_part_1, '{"k": "b", "v": 1}');
SELECT (object).*, created FROM get_or_create_many(NULL::arb_part, '[{"k": "c", "v": 1}, {"k": "c", "v": 2}]', '{k,v}');
SELECT * FROM get_or_create(NULL::arb_part, '{"k": "A", "v": 1}');
\echo :SQLSTATE
DROP TABLE arb_part;

-- an exclusion constraint is no arbiter: 23P01
CREATE TABLE arb_excl (r int4range, EXCLUDE USING gist (r WITH &&));
SELECT (object).r, created FROM get_or_create(NULL::arb_excl, '{"r": "[1,5]"}');
SELECT (object).r, created FROM get_or_create(NULL::arb_excl, '{"r": "[1,6)"}');
SELECT * FROM get_or_create(NULL::arb_excl, '{"r": "[5,6]"}');
\echo :SQLSTATE
DROP TABLE arb_excl;

-- an index with an equality of its own must not mislead
CREATE UNIQUE INDEX arb_pattern ON arb (k text_pattern_ops);
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a"}');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a"}');
TRUNCATE arb;
DROP INDEX arb_pattern;
-- one with a coarser collation: a conflict with a row that is not equal
CREATE COLLATION arb_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE UNIQUE INDEX arb_coll ON arb (k COLLATE arb_ci);
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "a"}');
SELECT * FROM get_or_create(NULL::arb, '{"k": "A"}');
\echo :SQLSTATE
SELECT k FROM arb ORDER BY k;
TRUNCATE arb;
DROP INDEX arb_coll;
-- and one with a finer collation than the column's does not serve: it would
-- miss rivals that are equal by the column, so it is not relied on at all
ALTER TABLE arb ALTER k TYPE text COLLATE arb_ci;
CREATE UNIQUE INDEX arb_coll ON arb (k COLLATE "C");
INSERT INTO arb (k, note) VALUES ('a', 'before');
SELECT (object).k, (object).note, created FROM get_or_create(NULL::arb, '{"k": "A"}');
SELECT * FROM get_or_create(NULL::arb, '{"k": "b"}');
\echo :SQLSTATE
DROP TABLE arb;
DROP COLLATION arb_ci;
DROP FUNCTION arb_rival;

-- partitions: the index of the root serves, through root and partition
CREATE TABLE arb (k integer PRIMARY KEY, note text) PARTITION BY RANGE (k);
CREATE TABLE arb_p PARTITION OF arb FOR VALUES FROM (0) TO (10);
CREATE FUNCTION arb_rival() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    INSERT INTO arb VALUES (NEW.k, 'rival');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER rival BEFORE INSERT ON arb_p FOR EACH ROW EXECUTE FUNCTION arb_rival();
SELECT (object).*, created FROM get_or_create(NULL::arb, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::arb_p, '{"k": 2}');
SELECT (object).*, created FROM update_or_create(NULL::arb, '{"k": 3}', '{"note": "mine"}');
SELECT k, note FROM arb ORDER BY k;
DROP TABLE arb;
DROP FUNCTION arb_rival;

-- CREATE INDEX takes the index of a partition's deferrable constraint for its own
CREATE TABLE arb (k integer, note text) PARTITION BY RANGE (k);
CREATE TABLE arb_p PARTITION OF arb FOR VALUES FROM (0) TO (10);
ALTER TABLE arb_p ADD CONSTRAINT late UNIQUE (k) DEFERRABLE;
CREATE UNIQUE INDEX ON arb (k);
SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = 'late'::regclass;
SELECT (object).*, created FROM get_or_create(NULL::arb, '{"k": 1}', '{"note": "a"}');
SELECT (object).*, created FROM update_or_create(NULL::arb, '{"k": 1}', '{"note": "b"}');
SELECT ordinality, created FROM get_or_create_many(NULL::arb, '[{"k": 1}, {"k": 2}]', '{k}');
DROP TABLE arb;
