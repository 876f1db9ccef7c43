-- Security: calls run with the caller's own rights, under the caller's own
-- row security, and mean the same whatever the search_path is.
\set SHOW_CONTEXT never
CREATE ROLE regress_racefree_user;
CREATE SCHEMA sec;
GRANT USAGE ON SCHEMA sec TO regress_racefree_user;
CREATE TABLE sec.t (id integer GENERATED ALWAYS AS IDENTITY, k text, v integer, secret text DEFAULT 's');
INSERT INTO sec.t (k, v) VALUES ('hit', 1);

-- nothing granted: 42501
SET ROLE regress_racefree_user;
SELECT * FROM get_or_create(NULL::sec.t, '{"k": "hit"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::sec.t, '{"k": "hit"}');
\echo :SQLSTATE
RESET ROLE;
-- SELECT is enough for a hit, not for a miss
GRANT SELECT ON sec.t TO regress_racefree_user;
SET ROLE regress_racefree_user;
SELECT (object).k, created FROM get_or_create(NULL::sec.t, '{"k": "hit"}');
SELECT * FROM get_or_create(NULL::sec.t, '{"k": "miss"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::sec.t, '{"k": "hit"}', '{"v": 2}');
\echo :SQLSTATE
-- locking the row needs UPDATE, as FOR NO KEY UPDATE does
SELECT * FROM update_or_create(NULL::sec.t, '{"k": "hit"}');
\echo :SQLSTATE
RESET ROLE;
-- INSERT on the columns that are given; nothing for the identity's sequence
GRANT INSERT (k, v) ON sec.t TO regress_racefree_user;
SET ROLE regress_racefree_user;
SELECT (object).k, (object).v, created FROM get_or_create(NULL::sec.t, '{"k": "miss"}', '{"v": 3}');
SELECT * FROM get_or_create(NULL::sec.t, '{"k": "other"}', '{"secret": "x"}');
\echo :SQLSTATE
RESET ROLE;
-- UPDATE on the columns that are set
GRANT UPDATE (v) ON sec.t TO regress_racefree_user;
SET ROLE regress_racefree_user;
SELECT (object).k, (object).v, created FROM update_or_create(NULL::sec.t, '{"k": "hit"}', '{"v": 4}');
SELECT * FROM update_or_create(NULL::sec.t, '{"v": 4}', '{"k": "renamed"}');
\echo :SQLSTATE
RESET ROLE;
-- SELECT on every column, since the whole row is returned
REVOKE SELECT ON sec.t FROM regress_racefree_user;
GRANT SELECT (id, k, v) ON sec.t TO regress_racefree_user;
SET ROLE regress_racefree_user;
SELECT * FROM get_or_create(NULL::sec.t, '{"k": "hit"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::sec.t, '{"k": "hit"}', '{"v": 5}');
\echo :SQLSTATE
RESET ROLE;
-- a plan that one role made gives another role nothing, in the same session
SELECT (object).k, created FROM get_or_create(NULL::sec.t, '{"k": "hit"}');
SET ROLE regress_racefree_user;
SELECT * FROM get_or_create(NULL::sec.t, '{"k": "hit"}');
\echo :SQLSTATE
RESET ROLE;
SELECT k, v FROM sec.t ORDER BY id;
-- transfer: SELECT and UPDATE
CREATE TABLE sec.acct (id integer PRIMARY KEY, balance integer, secret text);
INSERT INTO sec.acct VALUES (1, 100), (2, 100);
SELECT * FROM transfer(NULL::sec.acct, 1, 2, 1);
SET ROLE regress_racefree_user;
SELECT * FROM transfer(NULL::sec.acct, 1, 2, 1);
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT ON sec.acct TO regress_racefree_user;
SET ROLE regress_racefree_user;
SELECT * FROM transfer(NULL::sec.acct, 1, 2, 1);
\echo :SQLSTATE
RESET ROLE;
GRANT UPDATE (balance) ON sec.acct TO regress_racefree_user;
SET ROLE regress_racefree_user;
SELECT * FROM transfer(NULL::sec.acct, 1, 2, 1);
RESET ROLE;
-- none of the functions runs with its owner's rights
SELECT proname, prosecdef FROM pg_proc WHERE proname IN ('get_or_create', 'update_or_create', 'transfer') ORDER BY proname;
-- in a SECURITY DEFINER function, they run with the rights of that one's owner
CREATE FUNCTION sec.definer(k text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
  AS $$ SELECT (object).k || ' ' || created FROM get_or_create(NULL::sec.t, jsonb_build_object('k', k)) $$;
GRANT EXECUTE ON FUNCTION sec.definer TO regress_racefree_user;
SET ROLE regress_racefree_user;
SELECT sec.definer('hit'), sec.definer('by definer');
RESET ROLE;
DROP FUNCTION sec.definer;

-- Row security: rows have owners, and some are not seen
CREATE TABLE sec.rls (k text, owner name DEFAULT current_user, v integer DEFAULT 0, readonly boolean DEFAULT false);
INSERT INTO sec.rls VALUES ('hidden', 'someone', 1, false), ('seen', 'regress_racefree_user', 2, false), ('fixed', 'regress_racefree_user', 3, true);
GRANT SELECT, INSERT, UPDATE ON sec.rls TO regress_racefree_user;
ALTER TABLE sec.rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY s ON sec.rls FOR SELECT USING (owner = current_user);
CREATE POLICY i ON sec.rls FOR INSERT WITH CHECK (v >= 0);
CREATE POLICY u ON sec.rls FOR UPDATE USING (owner = current_user AND NOT readonly) WITH CHECK (v < 100);
SET ROLE regress_racefree_user;
SELECT (object).*, created FROM get_or_create(NULL::sec.rls, '{"k": "seen"}');
SELECT (object).*, created FROM update_or_create(NULL::sec.rls, '{"k": "seen"}', '{"v": 20}');
-- a row that is hidden on select is none: one's own is created beside it
SELECT (object).*, created FROM get_or_create(NULL::sec.rls, '{"k": "hidden"}');
SELECT (object).*, created FROM get_or_create(NULL::sec.rls, '{"k": "hidden"}');
-- refused on insert, by the policy for INSERT and by that for SELECT: 42501
SELECT * FROM get_or_create(NULL::sec.rls, '{"k": "new"}', '{"v": -1}');
\echo :SQLSTATE
SELECT * FROM get_or_create(NULL::sec.rls, '{"k": "new"}', '{"owner": "someone"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::sec.rls, '{"k": "new"}', '{"v": -1}');
\echo :SQLSTATE
-- refused on update: the row may be seen, not changed, or not changed to that
SELECT (object).*, created FROM get_or_create(NULL::sec.rls, '{"k": "fixed"}');
SELECT * FROM update_or_create(NULL::sec.rls, '{"k": "fixed"}', '{"v": 4}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::sec.rls, '{"k": "fixed"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::sec.rls, '{"k": "seen"}', '{"v": 100}');
\echo :SQLSTATE
RESET ROLE;
SELECT k, owner, v, readonly FROM sec.rls ORDER BY k, owner;
-- the same with a unique index: the hidden row is in the way.  An end and an
-- error, and the error does not tell what is hidden
DELETE FROM sec.rls WHERE k = 'hidden' AND owner <> 'someone';
CREATE UNIQUE INDEX rls_k ON sec.rls (k);
SET ROLE regress_racefree_user;
SELECT * FROM get_or_create(NULL::sec.rls, '{"k": "hidden"}');
\echo :SQLSTATE
SELECT * FROM update_or_create(NULL::sec.rls, '{"k": "hidden"}', '{"v": 5}');
\echo :SQLSTATE
SELECT (object).*, created FROM get_or_create(NULL::sec.rls, '{"k": "new"}');
RESET ROLE;
-- a role that row security does not bind finds the row, with plans of its own
SELECT (object).*, created FROM get_or_create(NULL::sec.rls, '{"k": "hidden"}');
SET row_security = off;
SELECT (object).*, created FROM get_or_create(NULL::sec.rls, '{"k": "hidden"}');
SET ROLE regress_racefree_user;
SELECT * FROM get_or_create(NULL::sec.rls, '{"k": "seen"}');
\echo :SQLSTATE
RESET ROLE;
RESET row_security;

-- transfer under row security: an account that is hidden does not exist, and a
-- hint says why that might be
ALTER TABLE sec.acct ENABLE ROW LEVEL SECURITY;
CREATE POLICY s ON sec.acct FOR SELECT USING (id <> 2);
CREATE POLICY u ON sec.acct FOR UPDATE USING (id <> 3) WITH CHECK (balance < 1000);
INSERT INTO sec.acct VALUES (3, 100), (4, 100), (5, 950);
SET ROLE regress_racefree_user;
SELECT * FROM transfer(NULL::sec.acct, 1, 4, 1);
-- hidden on select
SELECT * FROM transfer(NULL::sec.acct, 1, 2, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::sec.acct, 2, 1, 1);
\echo :SQLSTATE
-- hidden on update
SELECT * FROM transfer(NULL::sec.acct, 1, 3, 1);
\echo :SQLSTATE
-- not there at all: the same words
SELECT * FROM transfer(NULL::sec.acct, 1, 9, 1);
\echo :SQLSTATE
-- not to be stored
SELECT * FROM transfer(NULL::sec.acct, 1, 5, 50);
\echo :SQLSTATE
RESET ROLE;
-- no hint for those whom row security does not bind
SELECT * FROM transfer(NULL::sec.acct, 1, 9, 1);
\echo :SQLSTATE
SELECT id, balance FROM sec.acct ORDER BY id;

-- A hostile search_path: operators, functions, types and tables of the same
-- names, found before those of pg_catalog
CREATE SCHEMA evil;
CREATE FUNCTION evil.never(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION evil.never(numeric, numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION evil.steal(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
CREATE FUNCTION evil.steal(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT 0::numeric';
CREATE OPERATOR evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.never);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
CREATE OPERATOR evil.>= (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = evil.never);
CREATE OPERATOR evil.<= (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = evil.never);
CREATE OPERATOR evil.+ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.steal);
CREATE OPERATOR evil.+ (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = evil.steal);
CREATE TABLE evil.t (id integer, k text, v integer, secret text);
CREATE TABLE evil.acct (id integer PRIMARY KEY, balance integer, secret text);
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (false);
CREATE DOMAIN evil."numeric" AS pg_catalog.numeric CHECK (false);
CREATE DOMAIN evil.int4 AS pg_catalog.int4 CHECK (false);
CREATE COLLATION evil."default" FROM pg_catalog."C";
CREATE FUNCTION evil.jsonb_populate_record(anyelement, jsonb) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION evil.get_or_create(anyelement, jsonb) RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$;
SET search_path = evil, pg_catalog, public;
SELECT (object).k, (object).v, created FROM public.get_or_create(NULL::sec.t, '{"k": "hit"}');
SELECT (object).k, (object).v, created FROM public.get_or_create(NULL::sec.t, '{"k": "new"}', '{"v": 9}');
SELECT (object).k, (object).v, created FROM public.get_or_create(NULL::sec.t, '{"k": "new", "v": 9}');
SELECT (object).k, (object).v, created FROM public.update_or_create(NULL::sec.t, '{"k": "new"}', '{"v": 10}');
SELECT * FROM public.transfer(NULL::sec.acct, 1, 4, 1);
-- also by the careful way, and with numeric
DROP POLICY u ON sec.acct;
DROP POLICY s ON sec.acct;
ALTER TABLE sec.acct ALTER balance TYPE pg_catalog.numeric;
SELECT * FROM public.transfer(NULL::sec.acct, 1, 4, 0.5);
SELECT * FROM public.transfer(NULL::sec.acct, 1, 4, 5000);
\echo :SQLSTATE
-- nothing in sight at all
SET search_path = '';
SELECT (object).k, (object).v, created FROM public.get_or_create(NULL::sec.t, '{"k": "new"}');
SELECT * FROM public.transfer(NULL::sec.acct, 4, 1, 1);
RESET search_path;
SELECT count(*) FROM evil.t;
SET client_min_messages = warning;
DROP SCHEMA evil CASCADE;

-- values are values, never SQL
SELECT (object).k, created FROM get_or_create(NULL::sec.t, $${"k": "'; DROP TABLE sec.t; --"}$$);
SELECT (object).k, created FROM get_or_create(NULL::sec.t, $${"k": "'; DROP TABLE sec.t; --"}$$);
SELECT * FROM get_or_create(NULL::sec.t, $${"k\"; DROP TABLE sec.t; --": 1}$$);
\echo :SQLSTATE

DROP SCHEMA sec CASCADE;
DROP ROLE regress_racefree_user;
