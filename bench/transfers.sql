-- Batches of transfers: what bench/transfers runs.  Needs setup.sql.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

-- The transfers of a benchmark, the same for all contenders.  Batch 0 is for
-- warming up.
CREATE TABLE bench.transfers (
    batch integer NOT NULL,
    from_id bigint NOT NULL,
    to_id bigint NOT NULL,
    amount numeric NOT NULL,
    request_id uuid NOT NULL);

CREATE PROCEDURE bench.fresh_transfers(accounts integer, size integer, number integer)
LANGUAGE sql AS $$
    TRUNCATE bench.transfers;
    INSERT INTO bench.transfers
    SELECT batch, 1 + a, 1 + (a + b) % accounts, amount, gen_random_uuid()
    FROM (SELECT batch,
                 floor(accounts * random())::bigint a,
                 1 + floor((accounts - 1) * random())::bigint b,
                 round((0.01 + 100 * random())::numeric, 2) amount
          FROM generate_series(0, number) batch, generate_series(1, size)) random;
$$;

-- What a client sends for a batch, or for so many transfers of it.
CREATE FUNCTION bench.statement(template text, p_batch integer, number integer)
RETURNS text
LANGUAGE sql AS $$
    SELECT format(template, array_agg(from_id), array_agg(to_id),
                  array_agg(amount), array_agg(request_id))
    FROM (SELECT * FROM bench.transfers WHERE batch = p_batch LIMIT number) t;
$$;

-- transfer_many, written out for these tables, one transfer after the other.
-- As there, the requests and then the accounts are locked before all else, so
-- that no two batches deadlock, and the first failure undoes the batch.
CREATE FUNCTION bench.plpgsql_transfer_loop(
    p_from_ids bigint[],
    p_to_ids bigint[],
    p_amounts numeric[],
    p_request_ids uuid[])
RETURNS TABLE (
    ordinality bigint,
    status text,
    amount numeric,
    from_balance numeric,
    to_balance numeric,
    entry_id bigint)
LANGUAGE plpgsql AS $$
DECLARE
    asked record;
    booked record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('bench.journal', 0));
    PERFORM
    FROM bench.accounts a
    WHERE a.id = ANY (p_from_ids || p_to_ids)
    ORDER BY a.id
    FOR NO KEY UPDATE;

    FOR asked IN
        SELECT *
        FROM unnest(p_from_ids, p_to_ids, p_amounts, p_request_ids)
             WITH ORDINALITY AS u (from_id, to_id, amount, request_id, n)
        ORDER BY n
    LOOP
        ordinality := asked.n;
        SELECT j.id, j.from_id, j.to_id, j.amount, j.from_balance, j.to_balance
        INTO booked
        FROM bench.journal j
        WHERE j.request_id = asked.request_id;
        IF FOUND THEN
            IF (booked.from_id, booked.to_id, booked.amount)
                <> (asked.from_id, asked.to_id, asked.amount) THEN
                RAISE unique_violation;
            END IF;
            status := 'replayed';
            amount := booked.amount;
            from_balance := booked.from_balance;
            to_balance := booked.to_balance;
            entry_id := booked.id;
            RETURN NEXT;
            CONTINUE;
        END IF;

        IF (asked.amount > 0 AND asked.from_id <> asked.to_id
            AND round(asked.amount, 2) = asked.amount) IS NOT TRUE THEN
            RAISE invalid_parameter_value;
        END IF;
        UPDATE bench.accounts AS a
        SET balance = a.balance - asked.amount
        WHERE a.id = asked.from_id
        RETURNING a.balance
        INTO from_balance;
        IF NOT FOUND THEN
            RAISE no_data_found;
        END IF;
        IF from_balance < 0 THEN
            RAISE check_violation;
        END IF;
        UPDATE bench.accounts AS a
        SET balance = a.balance + asked.amount
        WHERE a.id = asked.to_id
        RETURNING a.balance
        INTO to_balance;
        IF NOT FOUND THEN
            RAISE no_data_found;
        END IF;
        INSERT INTO bench.journal AS j (request_id, from_id, to_id, amount,
                                        from_balance, to_balance, created_at)
        VALUES (asked.request_id, asked.from_id, asked.to_id, asked.amount,
                from_balance, to_balance, clock_timestamp())
        RETURNING j.id
        INTO entry_id;
        status := 'ok';
        amount := asked.amount;
        RETURN NEXT;
    END LOOP;
END
$$;

-- The same one by one, which needs no order among them: each commits, and so
-- lets go of its locks, before the next one starts.  A procedure returns
-- nothing.
CREATE PROCEDURE bench.plpgsql_transfer_commits(
    p_from_ids bigint[],
    p_to_ids bigint[],
    p_amounts numeric[],
    p_request_ids uuid[])
LANGUAGE plpgsql AS $$
DECLARE
    asked record;
BEGIN
    FOR asked IN
        SELECT *
        FROM unnest(p_from_ids, p_to_ids, p_amounts, p_request_ids)
             WITH ORDINALITY AS u (from_id, to_id, amount, request_id, n)
        ORDER BY n
    LOOP
        PERFORM bench.plpgsql_transfer_journal(
            asked.from_id, asked.to_id, asked.amount, asked.request_id);
        COMMIT;
    END LOOP;
END
$$;
