-- Payments between the accounts of a shop's customers: a table of accounts, a
-- journal, and what an application asks of them.  To be read, and copied; it
-- runs as it is in an empty database:
--
--   psql -v ON_ERROR_STOP=1 -f examples/payments.sql

CREATE EXTENSION IF NOT EXISTS racefree;

-- Your own tables, with whatever columns you like.
CREATE TABLE account (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL,
    currency char(3) NOT NULL DEFAULT 'EUR',
    balance numeric(14,2) NOT NULL DEFAULT 0);

INSERT INTO account (owner, currency) VALUES
    ('bank, euro', 'EUR'), ('shop', 'EUR'), ('Ann', 'EUR'), ('Bob', 'EUR'), ('Cho', 'USD');

-- The journal is named with its schema wherever it is used: a name alone would
-- be looked up in the search path of whoever calls.
SELECT create_journal('public.payment', NULL::account);

-- Your own columns and indexes on the journal are welcome.
ALTER TABLE payment ADD COLUMN entered_by name NOT NULL DEFAULT current_user;
CREATE INDEX ON payment ((details->>'order'));

-- Ann and Bob pay in.  The bank's account has no floor.
SELECT (to_account).balance, entry->>'id' AS entry
FROM transfer(NULL::account, 1, 3, 100.00, min_balance => '-Infinity', journal => 'public.payment',
              request_id => '11111111-0000-4000-8000-000000000001');
SELECT (to_account).balance, entry->>'id' AS entry
FROM transfer(NULL::account, 1, 4, 30.00, min_balance => '-Infinity', journal => 'public.payment',
              request_id => '11111111-0000-4000-8000-000000000003');

-- Ann buys.  The application made the request_id before it asked for the first
-- time, and kept it: if the connection is lost, it asks again, with the same.
SELECT amount, replayed
FROM transfer(NULL::account, 3, 2, 59.90, journal => 'public.payment', must_match => '{currency}',
              request_id => '11111111-0000-4000-8000-000000000002', details => '{"order": 4711}');
SELECT amount, replayed
FROM transfer(NULL::account, 3, 2, 59.90, journal => 'public.payment', must_match => '{currency}',
              request_id => '11111111-0000-4000-8000-000000000002', details => '{"order": 4711}');

-- What cannot be is an error with a code of its own, which the application
-- can tell apart: RF001 is too little money, RF005 another currency.
DO $$
BEGIN
    PERFORM transfer(NULL::account, 3, 2, 1000, journal => 'public.payment');
EXCEPTION WHEN SQLSTATE 'RF001' THEN
    RAISE NOTICE 'declined: %', SQLERRM;
END
$$;
DO $$
BEGIN
    PERFORM transfer(NULL::account, 3, 5, 1, journal => 'public.payment', must_match => '{currency}');
EXCEPTION WHEN SQLSTATE 'RF005' THEN
    RAISE NOTICE 'declined: %', SQLERRM;
END
$$;

-- Part of the order comes back.
SELECT amount, entry->>'reverses' AS reverses
FROM reverse_transfer(NULL::account, 'public.payment',
                      (SELECT id FROM payment WHERE details->>'order' = '4711'), 9.90);

-- The day's batch, in which a failure is a line of the result.  Bob pays, and
-- the shop pays a fee for that: both or none.  Ann wants too much.
SELECT ordinality, status, amount, from_balance, to_balance
FROM transfer_many(NULL::account,
    from_ids => ARRAY[4, 2, 3],
    to_ids => ARRAY[2, 1, 4],
    amounts => ARRAY[20.00, 0.50, 5000.00],
    request_ids => ARRAY['11111111-0000-4000-8000-000000000004',
                         '11111111-0000-4000-8000-000000000005',
                         '11111111-0000-4000-8000-000000000006'],
    chains => ARRAY[1, 1, NULL],
    on_error => 'report', journal => 'public.payment');

-- What Ann is left with can be taken, however much it is.
SELECT amount, (from_account).balance
FROM transfer(NULL::account, 3, 1, 1000000, journal => 'public.payment', up_to => true);

-- A statement of account.
SELECT id, CASE WHEN from_id = 3 THEN -amount ELSE amount END AS change,
       CASE WHEN from_id = 3 THEN from_balance ELSE to_balance END AS balance,
       reverses, details
FROM payment
WHERE 3 IN (from_id, to_id)
ORDER BY id;

-- The balance as it was, and proof that it all adds up: no row.  All accounts
-- began empty, so the journal explains every cent.
SELECT balance_at('public.payment', 3, (SELECT created_at FROM payment WHERE details->>'order' = '4711'));
SELECT * FROM verify_journal('public.payment', NULL::account, opening => 0);
