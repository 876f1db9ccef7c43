/* racefree--0.1.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION racefree" to load this file. \quit

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

CREATE FUNCTION transfer(
    accounts anyelement,
    from_id anycompatible,
    to_id anycompatible,
    amount numeric,
    min_balance numeric DEFAULT 0,
    id_column name DEFAULT NULL,
    balance_column name DEFAULT 'balance',
    OUT from_account anyelement,
    OUT to_account anyelement)
AS 'MODULE_PATHNAME', 'transfer'
LANGUAGE C VOLATILE CALLED ON NULL INPUT SECURITY INVOKER PARALLEL UNSAFE;

COMMENT ON FUNCTION transfer(anyelement, anycompatible, anycompatible, numeric, numeric, name, name) IS
'move amount from one row''s balance to another''s, both or neither, rows locked in id order';
