/* racefree--0.4.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION racefree" to load this file. \quit

-- One row

CREATE FUNCTION get_or_create(
    target anyelement,
    key jsonb,
    defaults jsonb DEFAULT '{}',
    OUT object anyelement,
    OUT created boolean)
AS 'MODULE_PATHNAME', 'get_or_create'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION get_or_create(anyelement, jsonb, jsonb) IS
'return the one row of the table that matches key, creating it from key and defaults if there is none';

CREATE FUNCTION update_or_create(
    target anyelement,
    key jsonb,
    defaults jsonb DEFAULT '{}',
    create_defaults jsonb DEFAULT NULL,
    OUT object anyelement,
    OUT created boolean)
AS 'MODULE_PATHNAME', 'update_or_create'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION update_or_create(anyelement, jsonb, jsonb, jsonb) IS
'set defaults in the one row of the table that matches key, creating it from key and create_defaults (else defaults) if there is none';

-- Request ids: text, to which ids of these types are converted without a cast.
-- A function for each type would leave it open which one is meant by a
-- parameter without a type.

CREATE TYPE racefree_request;

CREATE FUNCTION racefree_request_in(cstring) RETURNS racefree_request
AS 'textin' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION racefree_request_out(racefree_request) RETURNS cstring
AS 'textout' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION racefree_request_recv(internal) RETURNS racefree_request
AS 'textrecv' LANGUAGE internal STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION racefree_request_send(racefree_request) RETURNS bytea
AS 'textsend' LANGUAGE internal STABLE STRICT PARALLEL SAFE;

CREATE TYPE racefree_request (
    INPUT = racefree_request_in,
    OUTPUT = racefree_request_out,
    RECEIVE = racefree_request_recv,
    SEND = racefree_request_send,
    LIKE = pg_catalog.text);

COMMENT ON TYPE racefree_request IS
'the id of a request, which is given as a uuid, text or integer';

CREATE FUNCTION racefree_request(character) RETURNS racefree_request
AS 'rtrim1' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE CAST (uuid AS racefree_request) WITH INOUT AS IMPLICIT;
CREATE CAST (text AS racefree_request) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (character varying AS racefree_request) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (character AS racefree_request) WITH FUNCTION racefree_request(character) AS IMPLICIT;
CREATE CAST (name AS racefree_request) WITH INOUT AS IMPLICIT;
CREATE CAST (integer AS racefree_request) WITH INOUT AS IMPLICIT;
CREATE CAST (bigint AS racefree_request) WITH INOUT AS IMPLICIT;

-- Transfers

CREATE FUNCTION transfer(
    accounts anyelement,
    from_id anycompatible,
    to_id anycompatible,
    amount numeric,
    min_balance numeric DEFAULT NULL,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    journal regclass DEFAULT NULL,
    request_id racefree_request DEFAULT NULL,
    details jsonb DEFAULT NULL,
    max_balance numeric DEFAULT NULL,
    must_match name[] DEFAULT NULL,
    up_to boolean DEFAULT false,
    columns jsonb DEFAULT NULL,
    OUT from_account anyelement,
    OUT to_account anyelement,
    OUT amount numeric,
    OUT replayed boolean,
    OUT entry jsonb,
    OUT from_balance numeric,
    OUT to_balance numeric,
    OUT entry_id bigint)
AS 'MODULE_PATHNAME', 'transfer'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION transfer(anyelement, anycompatible, anycompatible, numeric, numeric, name, name, regclass, racefree_request, jsonb, numeric, name[], boolean, jsonb) IS
'move amount from one row''s balance to another''s, both or neither, rows locked in the order of the primary key; with a journal and a request_id, exactly once';

CREATE FUNCTION reverse_transfer(
    accounts anyelement,
    journal regclass,
    entry_id bigint,
    amount numeric DEFAULT NULL,
    request_id racefree_request DEFAULT NULL,
    details jsonb DEFAULT NULL,
    min_balance numeric DEFAULT NULL,
    max_balance numeric DEFAULT NULL,
    up_to boolean DEFAULT false,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    columns jsonb DEFAULT NULL,
    OUT from_account anyelement,
    OUT to_account anyelement,
    OUT amount numeric,
    OUT replayed boolean,
    OUT entry jsonb,
    OUT from_balance numeric,
    OUT to_balance numeric,
    OUT entry_id bigint)
AS 'MODULE_PATHNAME', 'reverse_transfer'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION reverse_transfer(anyelement, regclass, bigint, numeric, racefree_request, jsonb, numeric, numeric, boolean, name, name, jsonb) IS
'move back what a journaled transfer moved, whole or in part, never more';

CREATE FUNCTION hold_transfer(
    accounts anyelement,
    from_id anycompatible,
    to_id anycompatible,
    amount numeric,
    journal regclass,
    expires_at timestamptz DEFAULT NULL,
    request_id racefree_request DEFAULT NULL,
    details jsonb DEFAULT NULL,
    columns jsonb DEFAULT NULL,
    min_balance numeric DEFAULT NULL,
    must_match name[] DEFAULT NULL,
    up_to boolean DEFAULT false,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    OUT from_account anyelement,
    OUT to_account anyelement,
    OUT amount numeric,
    OUT replayed boolean,
    OUT entry jsonb,
    OUT from_balance numeric,
    OUT to_balance numeric,
    OUT entry_id bigint)
AS 'MODULE_PATHNAME', 'hold_transfer'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION hold_transfer(anyelement, anycompatible, anycompatible, numeric, regclass, timestamptz, racefree_request, jsonb, jsonb, numeric, name[], boolean, name, name) IS
'reserve amount of one row''s balance for a transfer to another, which post_transfer makes later';

CREATE FUNCTION post_transfer(
    accounts anyelement,
    journal regclass,
    entry_id bigint,
    amount numeric DEFAULT NULL,
    final boolean DEFAULT true,
    request_id racefree_request DEFAULT NULL,
    details jsonb DEFAULT NULL,
    beyond boolean DEFAULT false,
    min_balance numeric DEFAULT NULL,
    max_balance numeric DEFAULT NULL,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    columns jsonb DEFAULT NULL,
    OUT from_account anyelement,
    OUT to_account anyelement,
    OUT amount numeric,
    OUT replayed boolean,
    OUT entry jsonb,
    OUT from_balance numeric,
    OUT to_balance numeric,
    OUT entry_id bigint)
AS 'MODULE_PATHNAME', 'post_transfer'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION post_transfer(anyelement, regclass, bigint, numeric, boolean, racefree_request, jsonb, boolean, numeric, numeric, name, name, jsonb) IS
'move what was held, or a part of it; what is left is let go, or stays on hold if not final';

CREATE FUNCTION void_transfer(
    accounts anyelement,
    journal regclass,
    entry_id bigint,
    request_id racefree_request DEFAULT NULL,
    details jsonb DEFAULT NULL,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    columns jsonb DEFAULT NULL,
    OUT from_account anyelement,
    OUT to_account anyelement,
    OUT amount numeric,
    OUT replayed boolean,
    OUT entry jsonb,
    OUT from_balance numeric,
    OUT to_balance numeric,
    OUT entry_id bigint)
AS 'MODULE_PATHNAME', 'void_transfer'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION void_transfer(anyelement, regclass, bigint, racefree_request, jsonb, name, name, jsonb) IS
'let go of what is left of a hold';

CREATE FUNCTION expire_holds(
    accounts anyelement,
    journal regclass,
    max_count integer DEFAULT 1000,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    columns jsonb DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'expire_holds'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION expire_holds(anyelement, regclass, integer, name, name, jsonb) IS
'let go of holds that have expired, max_count at most; how many these were';

CREATE FUNCTION transfer_many(
    accounts anyelement,
    from_ids anycompatiblearray,
    to_ids anycompatiblearray,
    amounts numeric[],
    request_ids racefree_request[] DEFAULT NULL,
    chains integer[] DEFAULT NULL,
    on_error text DEFAULT 'raise',
    journal regclass DEFAULT NULL,
    details jsonb DEFAULT NULL,
    min_balance numeric DEFAULT NULL,
    max_balance numeric DEFAULT NULL,
    must_match name[] DEFAULT NULL,
    up_to boolean DEFAULT false,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    entry_ids bigint[] DEFAULT NULL,
    columns jsonb DEFAULT NULL,
    kinds text[] DEFAULT NULL,
    expires_at timestamptz[] DEFAULT NULL,
    final boolean[] DEFAULT NULL,
    beyond boolean[] DEFAULT NULL,
    OUT ordinality bigint,
    OUT status text,
    OUT amount numeric,
    OUT from_balance numeric,
    OUT from_available numeric,
    OUT to_balance numeric,
    OUT entry_id bigint,
    OUT detail text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'transfer_many'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION transfer_many(anyelement, anycompatiblearray, anycompatiblearray, numeric[], racefree_request[], integer[], text, regclass, jsonb, numeric, numeric, name[], boolean, name, name, bigint[], jsonb, text[], timestamptz[], boolean[], boolean[]) IS
'do a batch of transfers, reversals, holds, posts and voids in order, which never deadlocks with others';

-- Journals, which transfers are booked in

CREATE FUNCTION create_journal(
    journal text,
    accounts anyelement,
    id_column name DEFAULT NULL,
    request_id_type regtype DEFAULT 'uuid',
    foreign_keys boolean DEFAULT true,
    balance_column name DEFAULT 'balance',
    partition_by text DEFAULT NULL,
    min_balance_column name DEFAULT NULL,
    max_balance_column name DEFAULT NULL,
    closed_column name DEFAULT NULL,
    must_match name[] DEFAULT NULL,
    opening numeric DEFAULT NULL,
    held_column name DEFAULT NULL,
    guarded boolean DEFAULT false,
    distribute_by name DEFAULT NULL)
RETURNS regclass
AS 'MODULE_PATHNAME', 'create_journal'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION create_journal(text, anyelement, name, regtype, boolean, name, text, name, name, name, name[], numeric, name, boolean, name) IS
'create an append-only table that transfers between these accounts are booked in, by its rules';

CREATE FUNCTION alter_journal(journal regclass, rules jsonb)
RETURNS void
AS 'MODULE_PATHNAME', 'alter_journal'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION alter_journal(regclass, jsonb) IS
'change the rules of a journal: those that are named, null for none';

CREATE FUNCTION journal_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'journal_guard'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION journal_guard() IS
'trigger that refuses to change what is in a journal';

CREATE FUNCTION balance_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'balance_guard'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION balance_guard() IS
'trigger that lets only transfers change the balances of a guarded journal';

CREATE FUNCTION entry_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'entry_guard'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION entry_guard() IS
'trigger that lets only transfers insert entries of a guarded journal';

CREATE FUNCTION hold_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'hold_guard'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION hold_guard() IS
'trigger that lets only racefree change the open holds of a guarded journal';

CREATE FUNCTION guard_journal(journal regclass)
RETURNS integer
AS 'MODULE_PATHNAME', 'guard_journal'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION guard_journal(regclass) IS
'guard a journal and those of its partitions that are not guarded against changes; how many that were';

CREATE FUNCTION balance_at(
    journal regclass,
    account_id anycompatible,
    at timestamptz)
RETURNS numeric
AS 'MODULE_PATHNAME', 'balance_at'
LANGUAGE C STABLE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION balance_at(regclass, anycompatible, timestamptz) IS
'the balance that an account had at a time, by the journal';

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

-- Batches of rows

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

-- Locks, and keys that every writer keeps to

CREATE FUNCTION lock_keys(keys jsonb)
RETURNS void
AS 'MODULE_PATHNAME', 'lock_keys'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION lock_keys(jsonb) IS
'take the key locks of several tables at once, in one order';

CREATE FUNCTION lock_keys_here(keys jsonb)
RETURNS integer
AS 'MODULE_PATHNAME', 'lock_keys_here'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION lock_keys_here(jsonb) IS
'take key locks on this node of Citus; the other functions call it where rows are';

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
'lock rows in the order of the primary key and return them in the order of ids';

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
