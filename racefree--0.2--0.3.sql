/* racefree--0.2--0.3.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION racefree UPDATE TO '0.3'" to load this file. \quit

-- The new arguments and columns need another signature.
DROP FUNCTION transfer(anyelement, anycompatible, anycompatible, numeric, numeric, name, name);

CREATE FUNCTION transfer(
    accounts anyelement,
    from_id anycompatible,
    to_id anycompatible,
    amount numeric,
    min_balance numeric DEFAULT 0,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    journal regclass DEFAULT NULL,
    request_id text DEFAULT NULL,
    details jsonb DEFAULT NULL,
    max_balance numeric DEFAULT NULL,
    must_match name[] DEFAULT NULL,
    up_to boolean DEFAULT false,
    OUT from_account anyelement,
    OUT to_account anyelement,
    OUT amount numeric,
    OUT replayed boolean,
    OUT entry jsonb)
AS 'MODULE_PATHNAME', 'transfer'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION transfer(anyelement, anycompatible, anycompatible, numeric, numeric, name, name, regclass, text, jsonb, numeric, name[], boolean) IS
'move amount from one row''s balance to another''s, both or neither, rows locked in id order; with a journal and a request_id, exactly once';

CREATE FUNCTION reverse_transfer(
    accounts anyelement,
    journal regclass,
    entry_id bigint,
    amount numeric DEFAULT NULL,
    request_id text DEFAULT NULL,
    details jsonb DEFAULT NULL,
    min_balance numeric DEFAULT 0,
    max_balance numeric DEFAULT NULL,
    up_to boolean DEFAULT false,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    OUT from_account anyelement,
    OUT to_account anyelement,
    OUT amount numeric,
    OUT replayed boolean,
    OUT entry jsonb)
AS 'MODULE_PATHNAME', 'reverse_transfer'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION reverse_transfer(anyelement, regclass, bigint, numeric, text, jsonb, numeric, numeric, boolean, name, name) IS
'move back what a journaled transfer moved, whole or in part, never more';

CREATE FUNCTION transfer_many(
    accounts anyelement,
    from_ids anycompatiblearray,
    to_ids anycompatiblearray,
    amounts numeric[],
    request_ids text[] DEFAULT NULL,
    chains integer[] DEFAULT NULL,
    on_error text DEFAULT 'raise',
    journal regclass DEFAULT NULL,
    details jsonb DEFAULT NULL,
    min_balance numeric DEFAULT 0,
    max_balance numeric DEFAULT NULL,
    must_match name[] DEFAULT NULL,
    up_to boolean DEFAULT false,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    OUT ordinality bigint,
    OUT status text,
    OUT amount numeric,
    OUT from_balance numeric,
    OUT to_balance numeric,
    OUT entry_id bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'transfer_many'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION transfer_many(anyelement, anycompatiblearray, anycompatiblearray, numeric[], text[], integer[], text, regclass, jsonb, numeric, numeric, name[], boolean, name, name) IS
'do a batch of transfers in order, which never deadlocks with others';

CREATE FUNCTION create_journal(
    journal text,
    accounts anyelement,
    id_column name DEFAULT NULL,
    request_id_type regtype DEFAULT 'uuid',
    foreign_keys boolean DEFAULT true)
RETURNS regclass
AS 'MODULE_PATHNAME', 'create_journal'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION create_journal(text, anyelement, name, regtype, boolean) IS
'create an append-only table that transfers between these accounts can be booked in';

CREATE FUNCTION journal_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'journal_guard'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION journal_guard() IS
'trigger that refuses to change what is in a journal';

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
    OUT account_id text,
    OUT entry_id bigint,
    OUT problem text,
    OUT expected numeric,
    OUT found numeric)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'verify_journal'
LANGUAGE C STABLE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION verify_journal(regclass, anyelement, name, name) IS
'what does not add up in a journal, or between it and its accounts: no row, if all is well';
