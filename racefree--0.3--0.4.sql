/* racefree--0.3--0.4.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION racefree UPDATE TO '0.4'" to load this file. \quit

-- The new arguments need other signatures.
DROP FUNCTION create_journal(text, anyelement, name, regtype, boolean);
DROP FUNCTION verify_journal(regclass, anyelement, name, name);

CREATE FUNCTION create_journal(
    journal text,
    accounts anyelement,
    id_column name DEFAULT NULL,
    request_id_type regtype DEFAULT 'uuid',
    foreign_keys boolean DEFAULT true,
    balance_column name DEFAULT 'balance',
    partition_by text DEFAULT NULL)
RETURNS regclass
AS 'MODULE_PATHNAME', 'create_journal'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION create_journal(text, anyelement, name, regtype, boolean, name, text) IS
'create an append-only table that transfers between these accounts are booked in';

CREATE FUNCTION guard_journal(
    journal regclass)
RETURNS integer
AS 'MODULE_PATHNAME', 'guard_journal'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION guard_journal(regclass) IS
'guard a journal and those of its partitions that are not guarded against changes; how many that were';

CREATE FUNCTION verify_journal(
    journal regclass,
    accounts anyelement,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    opening numeric DEFAULT NULL,
    OUT account_id text,
    OUT entry_id bigint,
    OUT problem text,
    OUT expected numeric,
    OUT found numeric)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'verify_journal'
LANGUAGE C STABLE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION verify_journal(regclass, anyelement, name, name, numeric) IS
'what does not add up in a journal, or between it and its accounts: no row, if all is well';

-- What changed without the signature.
COMMENT ON FUNCTION transfer(anyelement, anycompatible, anycompatible, numeric, numeric, name, name, regclass, text, jsonb, numeric, name[], boolean) IS
'move amount from one row''s balance to another''s, both or neither, rows locked in the order of the primary key; with a journal and a request_id, exactly once';

COMMENT ON FUNCTION lock_rows(anyelement, anycompatiblearray, text, text, name) IS
'lock rows in the order of the primary key and return them in the order of ids';
