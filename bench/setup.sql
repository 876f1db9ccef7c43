-- Tables that all contenders share, and what one writes without racefree.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE EXTENSION IF NOT EXISTS racefree;
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;

CREATE TABLE bench.items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    value integer NOT NULL DEFAULT 0,
    note text,
    created_at timestamptz NOT NULL DEFAULT now());

CREATE TABLE bench.accounts (
    id bigint PRIMARY KEY,
    owner text NOT NULL,
    balance numeric(12,2) NOT NULL DEFAULT 0);

-- Both as they are whenever a contender starts.
CREATE PROCEDURE bench.fresh_items()
LANGUAGE sql AS $$
    TRUNCATE bench.items RESTART IDENTITY;
    INSERT INTO bench.items (name, value)
    SELECT i, i FROM generate_series(1, 10000) i;
$$;

CREATE PROCEDURE bench.fresh_accounts(number integer DEFAULT 1000)
LANGUAGE sql AS $$
    DROP TABLE IF EXISTS bench.journal;
    TRUNCATE bench.accounts;
    INSERT INTO bench.accounts
    SELECT i, 'owner ' || i, 10000000 FROM generate_series(1, number) i;
$$;

-- A journal of these accounts, which has been in use for a while.
CREATE PROCEDURE bench.fresh_journal()
LANGUAGE plpgsql AS $$
DECLARE
    number integer := (SELECT count(*) FROM bench.accounts);
BEGIN
    PERFORM create_journal('bench.journal', NULL::bench.accounts);
    INSERT INTO bench.journal (request_id, from_id, to_id, amount,
                               from_balance, to_balance, created_at)
    SELECT gen_random_uuid(), 1 + i % number, 1 + (i + 1 + i / number) % number,
           1.00, 9999999.00, 10000001.00, clock_timestamp()
    FROM generate_series(1, 100000) i;
END
$$;

-- get_or_create, written out for this table.  The guarantee is the same: one
-- row a key, by the lock alone among those who call this, by the unique index
-- against everybody else.  (The lock is called in an assignment because a
-- PERFORM is a query of its own, and slower.)
CREATE FUNCTION bench.plpgsql_get_or_create(
    p_name text,
    p_value integer,
    OUT id bigint,
    OUT name text,
    OUT value integer,
    OUT note text,
    OUT created_at timestamptz,
    OUT created boolean)
LANGUAGE plpgsql AS $$
DECLARE
    locked boolean;
BEGIN
    created := false;
    SELECT i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at
    FROM bench.items i
    WHERE i.name = p_name;
    IF FOUND THEN
        RETURN;
    END IF;

    locked := pg_advisory_xact_lock(hashtextextended(p_name, 0)) IS NOT NULL;
    SELECT i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at
    FROM bench.items i
    WHERE i.name = p_name;
    IF FOUND THEN
        RETURN;
    END IF;

    INSERT INTO bench.items AS i (name, value)
    VALUES (p_name, p_value)
    ON CONFLICT ON CONSTRAINT items_name_key DO NOTHING
    RETURNING i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at;
    IF FOUND THEN
        created := true;
        RETURN;
    END IF;

    SELECT i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at
    FROM bench.items i
    WHERE i.name = p_name;
    IF NOT FOUND THEN
        RAISE serialization_failure;
    END IF;
END
$$;

-- The same without the lock: on a table that has the unique index, and only
-- there, it is as safe.
CREATE FUNCTION bench.plpgsql_get_or_create_by_index(
    p_name text,
    p_value integer,
    OUT id bigint,
    OUT name text,
    OUT value integer,
    OUT note text,
    OUT created_at timestamptz,
    OUT created boolean)
LANGUAGE plpgsql AS $$
BEGIN
    created := false;
    SELECT i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at
    FROM bench.items i
    WHERE i.name = p_name;
    IF FOUND THEN
        RETURN;
    END IF;

    INSERT INTO bench.items AS i (name, value)
    VALUES (p_name, p_value)
    ON CONFLICT ON CONSTRAINT items_name_key DO NOTHING
    RETURNING i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at;
    IF FOUND THEN
        created := true;
        RETURN;
    END IF;

    SELECT i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at
    FROM bench.items i
    WHERE i.name = p_name;
    IF NOT FOUND THEN
        RAISE serialization_failure;
    END IF;
END
$$;

CREATE FUNCTION bench.plpgsql_update_or_create(
    p_name text,
    p_value integer,
    OUT id bigint,
    OUT name text,
    OUT value integer,
    OUT note text,
    OUT created_at timestamptz,
    OUT created boolean)
LANGUAGE plpgsql AS $$
DECLARE
    locked boolean;
BEGIN
    created := false;
    UPDATE bench.items AS i
    SET value = p_value
    WHERE i.name = p_name
    RETURNING i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at;
    IF FOUND THEN
        RETURN;
    END IF;

    locked := pg_advisory_xact_lock(hashtextextended(p_name, 0)) IS NOT NULL;
    UPDATE bench.items AS i
    SET value = p_value
    WHERE i.name = p_name
    RETURNING i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at;
    IF FOUND THEN
        RETURN;
    END IF;

    INSERT INTO bench.items AS i (name, value)
    VALUES (p_name, p_value)
    ON CONFLICT ON CONSTRAINT items_name_key DO NOTHING
    RETURNING i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at;
    IF FOUND THEN
        created := true;
        RETURN;
    END IF;

    UPDATE bench.items AS i
    SET value = p_value
    WHERE i.name = p_name
    RETURNING i.id, i.name, i.value, i.note, i.created_at
    INTO id, name, value, note, created_at;
    IF NOT FOUND THEN
        RAISE serialization_failure;
    END IF;
END
$$;

-- transfer, written out for this table: rows changed in id order, an account
-- that is missing or overdrawn undoes both changes.
CREATE FUNCTION bench.plpgsql_transfer(
    p_from_id bigint,
    p_to_id bigint,
    p_amount numeric,
    OUT from_id bigint,
    OUT from_owner text,
    OUT from_balance numeric,
    OUT to_id bigint,
    OUT to_owner text,
    OUT to_balance numeric)
LANGUAGE plpgsql AS $$
BEGIN
    IF (p_amount > 0 AND p_from_id <> p_to_id
        AND round(p_amount, 2) = p_amount) IS NOT TRUE THEN
        RAISE invalid_parameter_value;
    END IF;

    IF p_from_id < p_to_id THEN
        UPDATE bench.accounts AS a
        SET balance = a.balance - p_amount
        WHERE a.id = p_from_id
        RETURNING a.id, a.owner, a.balance
        INTO from_id, from_owner, from_balance;
        IF NOT FOUND THEN
            RAISE no_data_found;
        END IF;
        IF from_balance < 0 THEN
            RAISE check_violation;
        END IF;
        UPDATE bench.accounts AS a
        SET balance = a.balance + p_amount
        WHERE a.id = p_to_id
        RETURNING a.id, a.owner, a.balance
        INTO to_id, to_owner, to_balance;
        IF NOT FOUND THEN
            RAISE no_data_found;
        END IF;
    ELSE
        UPDATE bench.accounts AS a
        SET balance = a.balance + p_amount
        WHERE a.id = p_to_id
        RETURNING a.id, a.owner, a.balance
        INTO to_id, to_owner, to_balance;
        IF NOT FOUND THEN
            RAISE no_data_found;
        END IF;
        UPDATE bench.accounts AS a
        SET balance = a.balance - p_amount
        WHERE a.id = p_from_id
        RETURNING a.id, a.owner, a.balance
        INTO from_id, from_owner, from_balance;
        IF NOT FOUND THEN
            RAISE no_data_found;
        END IF;
        IF from_balance < 0 THEN
            RAISE check_violation;
        END IF;
    END IF;
END
$$;

-- transfer with a journal and a request id, written out for these tables: who
-- comes with a request that is being booked waits, and then gets the entry.
CREATE FUNCTION bench.plpgsql_transfer_journal(
    p_from_id bigint,
    p_to_id bigint,
    p_amount numeric,
    p_request_id uuid,
    OUT from_id bigint,
    OUT from_owner text,
    OUT from_balance numeric,
    OUT to_id bigint,
    OUT to_owner text,
    OUT to_balance numeric,
    OUT entry_id bigint,
    OUT replayed boolean)
LANGUAGE plpgsql AS $$
DECLARE
    locked boolean;
    booked record;
BEGIN
    SELECT j.id, j.from_id, j.to_id, j.amount
    INTO booked
    FROM bench.journal j
    WHERE j.request_id = p_request_id;
    IF NOT FOUND THEN
        locked := pg_advisory_xact_lock(hashtextextended(p_request_id::text, 0)) IS NOT NULL;
        SELECT j.id, j.from_id, j.to_id, j.amount
        INTO booked
        FROM bench.journal j
        WHERE j.request_id = p_request_id;
    END IF;
    replayed := FOUND;
    IF replayed THEN
        IF (booked.from_id, booked.to_id, booked.amount) <> (p_from_id, p_to_id, p_amount) THEN
            RAISE unique_violation;
        END IF;
        entry_id := booked.id;
        SELECT a.id, a.owner, a.balance
        INTO from_id, from_owner, from_balance
        FROM bench.accounts a
        WHERE a.id = p_from_id;
        SELECT a.id, a.owner, a.balance
        INTO to_id, to_owner, to_balance
        FROM bench.accounts a
        WHERE a.id = p_to_id;
        RETURN;
    END IF;

    SELECT t.*
    INTO from_id, from_owner, from_balance, to_id, to_owner, to_balance
    FROM bench.plpgsql_transfer(p_from_id, p_to_id, p_amount) t;
    INSERT INTO bench.journal AS j (request_id, from_id, to_id, amount,
                                    from_balance, to_balance, created_at)
    VALUES (p_request_id, p_from_id, p_to_id, p_amount,
            from_balance, to_balance, clock_timestamp())
    RETURNING j.id
    INTO entry_id;
END
$$;

-- How many pages a query touches.
CREATE FUNCTION bench.pages_read(query text)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || query INTO plan;
    RETURN (plan #>> '{0,Plan,Shared Hit Blocks}')::bigint
         + (plan #>> '{0,Plan,Shared Read Blocks}')::bigint;
END
$$;
