-- Batches, lock_keys and lock_rows run with the caller's own rights, under the
-- caller's own row security, whatever the search_path is.
\set SHOW_CONTEXT never
CREATE ROLE regress_racefree_batch;
CREATE SCHEMA ms;
GRANT USAGE ON SCHEMA ms TO regress_racefree_batch;
CREATE TABLE ms.t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text, v integer, secret text DEFAULT 's');
INSERT INTO ms.t (k, v) VALUES ('hit', 1);
SET ROLE regress_racefree_batch;
SELECT * FROM get_or_create_many(NULL::ms.t, '[{"k": "hit"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ms.t, '[{"k": "hit"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::ms.t, ARRAY[1]);
\echo :SQLSTATE
SELECT lock_keys('{"ms.t": [{"k": "x"}]}');
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT ON ms.t TO regress_racefree_batch;
SET ROLE regress_racefree_batch;
SELECT ordinality, (object).k, created FROM get_or_create_many(NULL::ms.t, '[{"k": "hit"}]', '{k}');
SELECT * FROM get_or_create_many(NULL::ms.t, '[{"k": "hit"}, {"k": "miss"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ms.t, '[{"k": "hit"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::ms.t, ARRAY[1], 'key share');
\echo :SQLSTATE
SELECT lock_keys('{"ms.t": [{"k": "x"}]}');
\echo :SQLSTATE
SELECT lock_keys('{"ms.t": []}');
\echo :SQLSTATE
RESET ROLE;
GRANT INSERT (k, v), UPDATE (v) ON ms.t TO regress_racefree_batch;
SET ROLE regress_racefree_batch;
SELECT ordinality, (object).k, (object).v, created FROM get_or_create_many(NULL::ms.t, '[{"k": "hit"}, {"k": "miss"}, {"k": "miss two", "v": 2}]', '{k}');
SELECT ordinality, (object).k, (object).v, created FROM update_or_create_many(NULL::ms.t, '[{"k": "hit", "v": 10}, {"k": "miss"}]', '{k}');
SELECT * FROM get_or_create_many(NULL::ms.t, '[{"k": "other"}, {"k": "another", "secret": "x"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ms.t, '[{"k": "hit", "v": 11}, {"k": "miss", "secret": "x"}]', '{k}');
\echo :SQLSTATE
SELECT k, v FROM lock_rows(NULL::ms.t, ARRAY[1]);
SELECT lock_keys('{"ms.t": [{"k": "x"}]}');
RESET ROLE;
-- SELECT of every column is needed, also to lock keys and rows
REVOKE SELECT ON ms.t FROM regress_racefree_batch;
GRANT SELECT (id, k, v) ON ms.t TO regress_racefree_batch;
SET ROLE regress_racefree_batch;
SELECT * FROM get_or_create_many(NULL::ms.t, '[{"k": "hit"}]', '{k}');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::ms.t, ARRAY[1]);
\echo :SQLSTATE
SELECT lock_keys('{"ms.t": [{"k": "x"}]}');
\echo :SQLSTATE
-- without the right to look into the schema, its tables cannot be named
RESET ROLE;
REVOKE USAGE ON SCHEMA ms FROM regress_racefree_batch;
SET ROLE regress_racefree_batch;
SELECT lock_keys('{"ms.t": [{"k": "x"}]}');
\echo :SQLSTATE
RESET ROLE;
GRANT USAGE ON SCHEMA ms TO regress_racefree_batch;
SELECT k, v FROM ms.t ORDER BY id;
SELECT proname, prosecdef, provolatile, proparallel FROM pg_proc
 WHERE proname IN ('get_or_create_many', 'update_or_create_many', 'lock_keys', 'lock_rows', 'key_guard') ORDER BY proname;

-- row security
CREATE TABLE ms.rls (id serial PRIMARY KEY, k text, owner name DEFAULT current_user, v integer DEFAULT 0, readonly boolean DEFAULT false);
INSERT INTO ms.rls (k, owner, v, readonly) VALUES ('hidden', 'someone', 1, false), ('seen', 'regress_racefree_batch', 2, false), ('fixed', 'regress_racefree_batch', 3, true);
GRANT SELECT, INSERT, UPDATE ON ms.rls TO regress_racefree_batch;
GRANT USAGE ON ms.rls_id_seq TO regress_racefree_batch;
ALTER TABLE ms.rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY s ON ms.rls FOR SELECT USING (owner = current_user);
CREATE POLICY i ON ms.rls FOR INSERT WITH CHECK (v >= 0);
CREATE POLICY u ON ms.rls FOR UPDATE USING (owner = current_user AND NOT readonly) WITH CHECK (v < 100);
SET ROLE regress_racefree_batch;
-- a row that is hidden is none: one's own is created beside it
SELECT ordinality, (object).k, (object).v, created FROM get_or_create_many(NULL::ms.rls, '[{"k": "seen"}, {"k": "hidden"}, {"k": "fixed"}]', '{k}');
SELECT ordinality, (object).k, (object).v, created FROM update_or_create_many(NULL::ms.rls, '[{"k": "seen", "v": 20}, {"k": "hidden", "v": 21}, {"k": "new", "v": 22}]', '{k}');
-- refused on insert
SELECT * FROM get_or_create_many(NULL::ms.rls, '[{"k": "seen"}, {"k": "newer", "v": -1}]', '{k}');
\echo :SQLSTATE
-- visible, but not to be changed: 42501, and which row
SELECT * FROM update_or_create_many(NULL::ms.rls, '[{"k": "seen", "v": 30}, {"k": "fixed", "v": 4}]', '{k}');
\echo :SQLSTATE
SELECT * FROM update_or_create_many(NULL::ms.rls, '[{"k": "fixed"}]', '{k}');
\echo :SQLSTATE
-- not to be changed to that
SELECT * FROM update_or_create_many(NULL::ms.rls, '[{"k": "seen", "v": 100}]', '{k}');
\echo :SQLSTATE
-- lock_rows() gives only rows that may be changed
SELECT id, k FROM lock_rows(NULL::ms.rls, ARRAY[1, 2, 3, 4]);
RESET ROLE;
SELECT k, owner, v FROM ms.rls ORDER BY id;
-- with a unique index the hidden row is in the way: an end and an error
DELETE FROM ms.rls WHERE k = 'hidden' AND owner <> 'someone';
CREATE UNIQUE INDEX rls_k ON ms.rls (k);
SET ROLE regress_racefree_batch;
SELECT * FROM get_or_create_many(NULL::ms.rls, '[{"k": "newest"}, {"k": "hidden"}]', '{k}');
\echo :SQLSTATE
RESET ROLE;
-- a plan that one role made gives another role nothing
SELECT ordinality, (object).k, created FROM get_or_create_many(NULL::ms.rls, '[{"k": "hidden"}]', '{k}');
SET ROLE regress_racefree_batch;
SELECT * FROM get_or_create_many(NULL::ms.rls, '[{"k": "hidden"}]', '{k}');
\echo :SQLSTATE
RESET ROLE;

-- a hostile search_path
CREATE SCHEMA evil;
CREATE FUNCTION evil.never(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION evil.never(integer, integer[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.never);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
CREATE OPERATOR evil.< (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.never);
CREATE OPERATOR evil.<> (LEFTARG = oid, RIGHTARG = oid, FUNCTION = pg_catalog.oideq);
CREATE TABLE evil.t (id integer, k text, v integer, secret text);
CREATE TABLE evil.racefree_batch (n integer, k1 text, d1 integer, g1 boolean);
CREATE VIEW evil.pg_locks AS SELECT 1 AS x;
CREATE TABLE ms.guarded (k text);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON ms.guarded FOR EACH ROW EXECUTE FUNCTION key_guard('k');
SET search_path = evil, pg_catalog, public;
SELECT ordinality, (object).k, (object).v, created FROM get_or_create_many(NULL::ms.t, '[{"k": "hit"}, {"k": "evil"}, {"k": "evil", "v": 1}]', '{k}');
SELECT ordinality, (object).k, (object).v, created FROM update_or_create_many(NULL::ms.t, '[{"k": "hit", "v": 66}, {"k": "evil", "v": 67}, {"k": "evil too"}]', '{k}');
SELECT k, v FROM lock_rows(NULL::ms.t, ARRAY[2, 1]);
INSERT INTO ms.guarded VALUES ('x');
INSERT INTO ms.guarded VALUES ('x');
\echo :SQLSTATE
BEGIN;
SELECT lock_keys('{"t": [{"k": "x"}], "ms.t": [{"k": "x"}]}');
SELECT relation, key_hash IS NULL AS whole, mode FROM racefree_locks ORDER BY relation::text, key_hash NULLS FIRST;
COMMIT;
RESET search_path;
SELECT k, v FROM ms.t ORDER BY id;
SELECT count(*) FROM evil.t;
SET client_min_messages = warning;
DROP SCHEMA evil, ms CASCADE;
DROP ROLE regress_racefree_batch;
