-- The extension itself: what it declares, and that it can be moved, dropped
-- and created again.
\set SHOW_CONTEXT never
-- what belongs to it; that a view's row type does is recorded from 17 on
SELECT regexp_replace(pg_describe_object(classid, objid, objsubid), '\s+', ' ', 'g') AS object
  FROM pg_depend
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND classid <> 'pg_type'::regclass
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'racefree')
 ORDER BY 1;
SELECT proname, provolatile, proparallel, proisstrict, prosecdef, proleakproof, proretset, prorettype::regtype
  FROM pg_proc WHERE proname IN ('get_or_create', 'update_or_create', 'transfer') ORDER BY proname;
SELECT proname, pg_get_function_arguments(oid) AS arguments, pg_get_function_result(oid) AS result
  FROM pg_proc WHERE proname IN ('get_or_create', 'update_or_create', 'transfer') ORDER BY proname \gx
-- each has a comment
SELECT proname, obj_description(oid, 'pg_proc') <> '' AS commented
  FROM pg_proc WHERE proname IN ('get_or_create', 'update_or_create', 'transfer') ORDER BY proname;
SELECT extrelocatable FROM pg_extension WHERE extname = 'racefree';

-- moved to another schema, it works under its new name, also for plans that are kept
CREATE TABLE ext (k text, balance integer DEFAULT 10);
SELECT (object).*, created FROM get_or_create(NULL::ext, '{"k": "a"}');
CREATE SCHEMA ext_schema;
ALTER EXTENSION racefree SET SCHEMA ext_schema;
SELECT (object).*, created FROM ext_schema.get_or_create(NULL::ext, '{"k": "a"}');
SELECT (object).*, created FROM ext_schema.update_or_create(NULL::ext, '{"k": "b"}');
SELECT * FROM ext_schema.transfer(NULL::ext, 'a', 'b', 1, id_column => 'k');
\set VERBOSITY sqlstate
SELECT * FROM get_or_create(NULL::ext, '{"k": "a"}');
\set VERBOSITY default
ALTER EXTENSION racefree SET SCHEMA public;
DROP SCHEMA ext_schema;
SELECT (object).*, created FROM get_or_create(NULL::ext, '{"k": "a"}');

-- dropped and created again in one session
DROP EXTENSION racefree;
\set VERBOSITY sqlstate
SELECT * FROM get_or_create(NULL::ext, '{"k": "a"}');
\set VERBOSITY default
CREATE EXTENSION racefree;
SELECT (object).*, created FROM get_or_create(NULL::ext, '{"k": "a"}');
SELECT (object).*, created FROM get_or_create(NULL::ext, '{"k": "c"}');
DROP TABLE ext;

-- trusted: who may create in the database may create the extension
CREATE ROLE regress_racefree_owner;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_racefree_owner', current_database()) AS "grant",
       format('REVOKE CREATE ON DATABASE %I FROM regress_racefree_owner', current_database()) AS "revoke" \gset
:grant;
DROP EXTENSION racefree;
CREATE SCHEMA ext_owned AUTHORIZATION regress_racefree_owner;
SET ROLE regress_racefree_owner;
CREATE EXTENSION racefree SCHEMA ext_owned;
CREATE TABLE ext_owned.t (k text);
SELECT (object).*, created FROM ext_owned.get_or_create(NULL::ext_owned.t, '{"k": "a"}');
DROP EXTENSION racefree;
RESET ROLE;
CREATE EXTENSION racefree;
DROP TABLE ext_owned.t;
DROP SCHEMA ext_owned;
:revoke;
DROP ROLE regress_racefree_owner;
