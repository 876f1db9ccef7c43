/* racefree--0.1--0.2.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION racefree UPDATE TO '0.2'" to load this file. \quit

CREATE FUNCTION get_or_create_many(
    target anyelement,
    rows jsonb,
    key name[],
    OUT ordinality bigint,
    OUT object anyelement,
    OUT created boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'get_or_create_many'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION get_or_create_many(anyelement, jsonb, name[]) IS
'do get_or_create for a batch of rows, which never deadlocks with others';

CREATE FUNCTION update_or_create_many(
    target anyelement,
    rows jsonb,
    key name[],
    OUT ordinality bigint,
    OUT object anyelement,
    OUT created boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'update_or_create_many'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION update_or_create_many(anyelement, jsonb, name[]) IS
'do update_or_create for a batch of rows, which never deadlocks with others';

CREATE FUNCTION lock_keys(keys jsonb)
RETURNS void
AS 'MODULE_PATHNAME', 'lock_keys'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION lock_keys(jsonb) IS
'take the key locks of several tables at once, in one order';

CREATE FUNCTION lock_rows(
    target anyelement,
    ids anycompatiblearray,
    mode text DEFAULT 'no key update',
    wait text DEFAULT 'wait',
    id_column name DEFAULT NULL)
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'lock_rows'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION lock_rows(anyelement, anycompatiblearray, text, text, name) IS
'lock rows in id order and return them in the order of ids';

CREATE FUNCTION key_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'key_guard'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION key_guard() IS
'trigger that keeps the named columns unique over a tree of tables';

CREATE VIEW racefree_locks AS
SELECT l.classid::pg_catalog.regclass AS relation,
       CASE WHEN l.objid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
            THEN l.objid::pg_catalog.int8 END AS key_hash,
       l.mode,
       l.granted,
       l.pid,
       l.waitstart AS waiting_since,
       CASE WHEN l.granted THEN '{}'::pg_catalog.int4[]
            ELSE pg_catalog.pg_blocking_pids(l.pid) END AS blocking_pids
  FROM pg_catalog.pg_locks l
 WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'
   AND l.objsubid OPERATOR(pg_catalog.=) 21062::pg_catalog.int2
   AND l.database OPERATOR(pg_catalog.=)
       (SELECT d.oid FROM pg_catalog.pg_database d
         WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database());

COMMENT ON VIEW racefree_locks IS
'the key locks of this database that are held or awaited now';

GRANT SELECT ON racefree_locks TO PUBLIC;
