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
CREATE PROCEDURE bench.fresh_journal(entries integer DEFAULT 100000)
LANGUAGE plpgsql AS $$
DECLARE
    number integer := (SELECT count(*) FROM bench.accounts);
BEGIN
    PERFORM create_journal('bench.journal', NULL::bench.accounts);
    INSERT INTO bench.journal (request_id, from_id, to_id, amount,
                               from_balance, to_balance, created_at)
    SELECT gen_random_uuid(), 1 + i % number, 1 + (i + 1 + i / number) % number,
           1.00, 9999999.00, 10000001.00, clock_timestamp()
    FROM generate_series(1, entries) i;
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

-- Accounts of which a part can be held.
CREATE TABLE bench.wallets (
    id bigint PRIMARY KEY,
    owner text NOT NULL,
    balance numeric(12,2) NOT NULL DEFAULT 0,
    held numeric(12,2) NOT NULL DEFAULT 0);

CREATE PROCEDURE bench.fresh_wallets()
LANGUAGE sql AS $$
    DROP TABLE IF EXISTS bench.wallet_journal, bench.wallet_journal_holds;
    TRUNCATE bench.wallets;
    INSERT INTO bench.wallets
    SELECT i, 'owner ' || i, 10000000 FROM generate_series(1, 1000) i;
$$;

-- Holds that were made and posted.
CREATE PROCEDURE bench.fill_history(journal regclass, number bigint)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($q$
        INSERT INTO %s (request_id, kind, from_id, to_id, amount, from_balance,
                        to_balance, settles, expires_at, created_at)
        SELECT gen_random_uuid(), k.kind, 1 + i %% 1000, 1 + (i + 1 + i / 1000) %% 1000,
               1.00, 9999999.00, k.balance, CASE k.kind WHEN 'post' THEN 2 * i - 1 END,
               CASE k.kind WHEN 'hold' THEN timestamptz '2020-01-01' END, clock_timestamp()
        FROM generate_series(1, $1) i,
             (VALUES ('hold', NULL::numeric), ('post', 10000001.00)) k (kind, balance)
        ORDER BY i, k.kind$q$, journal)
    USING number;
END
$$;

CREATE PROCEDURE bench.fresh_wallet_journal()
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM create_journal('bench.wallet_journal', NULL::bench.wallets, held_column => 'held');
    CALL bench.fill_history('bench.wallet_journal', 50000);
END
$$;

-- The same accounts with a short and with a long history.  It takes a while to
-- make them, so they stay.
CREATE TABLE bench.young_wallets (LIKE bench.wallets INCLUDING ALL);
CREATE TABLE bench.old_wallets (LIKE bench.wallets INCLUDING ALL);

CREATE PROCEDURE bench.make_history(number bigint)
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.young_wallets
    SELECT i, 'owner ' || i, 10000000 FROM generate_series(1, 1000) i;
    INSERT INTO bench.old_wallets
    SELECT * FROM bench.young_wallets;
    PERFORM create_journal('bench.young_journal', NULL::bench.young_wallets, held_column => 'held'),
        create_journal('bench.old_journal', NULL::bench.old_wallets, held_column => 'held');
    CALL bench.fill_history('bench.young_journal', 10);
    CALL bench.fill_history('bench.old_journal', number);
END
$$;

-- hold_transfer, written out for these tables.
CREATE FUNCTION bench.plpgsql_hold(
    p_from_id bigint,
    p_to_id bigint,
    p_amount numeric,
    p_request_id uuid,
    OUT from_id bigint,
    OUT from_owner text,
    OUT from_balance numeric,
    OUT from_held numeric,
    OUT to_id bigint,
    OUT to_owner text,
    OUT to_balance numeric,
    OUT to_held numeric,
    OUT entry_id bigint,
    OUT replayed boolean)
LANGUAGE plpgsql AS $$
DECLARE
    locked boolean;
    booked record;
BEGIN
    IF (p_amount > 0 AND p_from_id <> p_to_id
        AND round(p_amount, 2) = p_amount) IS NOT TRUE THEN
        RAISE invalid_parameter_value;
    END IF;
    SELECT j.id, j.kind, j.from_id, j.to_id, j.amount
    INTO booked
    FROM bench.wallet_journal j
    WHERE j.request_id = p_request_id;
    IF NOT FOUND THEN
        locked := pg_advisory_xact_lock(hashtextextended(p_request_id::text, 0)) IS NOT NULL;
        SELECT j.id, j.kind, j.from_id, j.to_id, j.amount
        INTO booked
        FROM bench.wallet_journal j
        WHERE j.request_id = p_request_id;
    END IF;
    replayed := FOUND;
    IF replayed THEN
        IF (booked.kind, booked.from_id, booked.to_id, booked.amount)
            <> ('hold', p_from_id, p_to_id, p_amount) THEN
            RAISE unique_violation;
        END IF;
        entry_id := booked.id;
    END IF;

    SELECT w.id, w.owner, w.balance, w.held
    INTO to_id, to_owner, to_balance, to_held
    FROM bench.wallets w
    WHERE w.id = p_to_id;
    IF NOT FOUND THEN
        RAISE no_data_found;
    END IF;
    IF replayed THEN
        SELECT w.id, w.owner, w.balance, w.held
        INTO from_id, from_owner, from_balance, from_held
        FROM bench.wallets w
        WHERE w.id = p_from_id;
        RETURN;
    END IF;

    UPDATE bench.wallets AS w
    SET held = w.held + p_amount
    WHERE w.id = p_from_id
    RETURNING w.id, w.owner, w.balance, w.held
    INTO from_id, from_owner, from_balance, from_held;
    IF NOT FOUND THEN
        RAISE no_data_found;
    END IF;
    IF from_balance < from_held THEN
        WITH expired AS (
            DELETE FROM bench.wallet_journal_holds h
            WHERE h.from_id = p_from_id AND h.expires_at <= clock_timestamp()
            RETURNING h.*),
        entries AS (
            INSERT INTO bench.wallet_journal (kind, from_id, to_id, amount,
                                              from_balance, settles, created_at)
            SELECT 'expiry', e.from_id, e.to_id, e.amount,
                   from_balance, e.entry_id, clock_timestamp()
            FROM expired e)
        UPDATE bench.wallets AS w
        SET held = w.held - (SELECT sum(e.amount) FROM expired e)
        WHERE w.id = p_from_id AND EXISTS (SELECT FROM expired)
        RETURNING w.held
        INTO from_held;
        IF from_balance < from_held IS NOT FALSE THEN
            RAISE check_violation;
        END IF;
    END IF;
    INSERT INTO bench.wallet_journal AS j (request_id, kind, from_id, to_id,
                                           amount, from_balance, created_at)
    VALUES (p_request_id, 'hold', p_from_id, p_to_id,
            p_amount, from_balance, clock_timestamp())
    RETURNING j.id
    INTO entry_id;
    INSERT INTO bench.wallet_journal_holds (entry_id, from_id, to_id, amount)
    VALUES (entry_id, p_from_id, p_to_id, p_amount);
END
$$;

-- post_transfer and void_transfer of all that is held, likewise.
CREATE FUNCTION bench.plpgsql_settle(
    p_kind text,
    p_hold bigint,
    p_request_id uuid,
    OUT from_id bigint,
    OUT from_owner text,
    OUT from_balance numeric,
    OUT from_held numeric,
    OUT to_id bigint,
    OUT to_owner text,
    OUT to_balance numeric,
    OUT to_held numeric,
    OUT entry_id bigint,
    OUT replayed boolean)
LANGUAGE plpgsql AS $$
DECLARE
    locked boolean;
    booked record;
    hold record;
    moved numeric;
BEGIN
    SELECT j.id, j.kind, j.settles, j.from_id, j.to_id
    INTO booked
    FROM bench.wallet_journal j
    WHERE j.request_id = p_request_id;
    IF NOT FOUND THEN
        locked := pg_advisory_xact_lock(hashtextextended(p_request_id::text, 0)) IS NOT NULL;
        SELECT j.id, j.kind, j.settles, j.from_id, j.to_id
        INTO booked
        FROM bench.wallet_journal j
        WHERE j.request_id = p_request_id;
    END IF;
    replayed := FOUND;
    IF replayed THEN
        IF (booked.kind, booked.settles) <> (p_kind, p_hold) THEN
            RAISE unique_violation;
        END IF;
        entry_id := booked.id;
        SELECT w.id, w.owner, w.balance, w.held
        INTO from_id, from_owner, from_balance, from_held
        FROM bench.wallets w
        WHERE w.id = booked.from_id;
        SELECT w.id, w.owner, w.balance, w.held
        INTO to_id, to_owner, to_balance, to_held
        FROM bench.wallets w
        WHERE w.id = booked.to_id;
        RETURN;
    END IF;

    SELECT h.* INTO hold
    FROM bench.wallet_journal_holds h
    WHERE h.entry_id = p_hold;
    IF NOT FOUND THEN
        RAISE no_data_found;
    END IF;
    -- A void does not touch the payee.
    PERFORM
    FROM bench.wallets w
    WHERE w.id = hold.from_id OR (p_kind = 'post' AND w.id = hold.to_id)
    ORDER BY w.id
    FOR NO KEY UPDATE;
    DELETE FROM bench.wallet_journal_holds h
    WHERE h.entry_id = p_hold
    RETURNING h.* INTO hold;
    IF NOT FOUND OR hold.expires_at <= clock_timestamp() THEN
        RAISE no_data_found;
    END IF;
    moved := CASE p_kind WHEN 'post' THEN hold.amount ELSE 0 END;
    UPDATE bench.wallets AS w
    SET balance = w.balance - moved, held = w.held - hold.amount
    WHERE w.id = hold.from_id
    RETURNING w.id, w.owner, w.balance, w.held
    INTO from_id, from_owner, from_balance, from_held;
    IF p_kind = 'post' THEN
        UPDATE bench.wallets AS w
        SET balance = w.balance + moved
        WHERE w.id = hold.to_id
        RETURNING w.id, w.owner, w.balance, w.held
        INTO to_id, to_owner, to_balance, to_held;
    ELSE
        SELECT w.id, w.owner, w.balance, w.held
        INTO to_id, to_owner, to_balance, to_held
        FROM bench.wallets w
        WHERE w.id = hold.to_id;
    END IF;
    INSERT INTO bench.wallet_journal AS j (request_id, kind, from_id, to_id, amount,
                                           from_balance, to_balance, settles, created_at)
    VALUES (p_request_id, p_kind, hold.from_id, hold.to_id, hold.amount,
            from_balance, CASE p_kind WHEN 'post' THEN to_balance END, p_hold, clock_timestamp())
    RETURNING j.id
    INTO entry_id;
END
$$;
