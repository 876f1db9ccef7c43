-- An escrow: a buyer's money is kept until the goods are there, and goes to the
-- seller, back to the buyer, or in parts to both.  To be read, and copied; it
-- runs as it is in an empty database, and escrow.out is what it prints:
--
--   psql -Xq -v ON_ERROR_STOP=1 -f examples/escrow.sql

CREATE EXTENSION IF NOT EXISTS racefree;

CREATE TABLE account (
    id integer PRIMARY KEY,
    owner text NOT NULL,
    balance numeric(12,2) NOT NULL DEFAULT 0,
    held numeric(12,2) NOT NULL DEFAULT 0);

INSERT INTO account (id, owner, balance) VALUES (1, 'Ann', 500), (2, 'Bob', 20), (3, 'Cho', 0);

SELECT create_journal('public.escrow', NULL::account, held_column => 'held', request_id_type => 'text');

-- Ann buys three things from Bob.  The money is hers, and she cannot spend it.
SELECT ordinality, status, amount, from_balance, from_available
FROM transfer_many(NULL::account, ARRAY[1, 1, 1], ARRAY[2, 2, 2], ARRAY[200, 120, 60],
    kinds => ARRAY['hold', 'hold', 'hold'],
    request_ids => ARRAY['bicycle', 'tent', 'lamp'],
    expires_at => ARRAY[NULL, NULL, clock_timestamp() + interval '100 ms'],
    journal => 'public.escrow');

-- The bicycle is there.
SELECT amount, (from_account).balance, (from_account).held, (to_account).balance AS seller
FROM post_transfer(NULL::account, 'public.escrow', (SELECT id FROM escrow WHERE request_id = 'bicycle'));

-- The tent has a hole: both agree on 90, and the rest is Ann's again.
SELECT amount, (from_account).balance, (from_account).held, (to_account).balance AS seller
FROM post_transfer(NULL::account, 'public.escrow', (SELECT id FROM escrow WHERE request_id = 'tent'), 90);

-- The lamp was never sent, and its time is over.
SELECT pg_sleep(0.2) IS NULL AS waited;
DO $$
BEGIN
    PERFORM post_transfer(NULL::account, 'public.escrow', (SELECT id FROM escrow WHERE request_id = 'lamp'));
EXCEPTION WHEN SQLSTATE 'RF011' THEN
    RAISE NOTICE 'too late';
END
$$;

-- Nobody has to do anything: the money is free as soon as it is needed.
SELECT amount, (from_account).balance, (from_account).held
FROM transfer(NULL::account, 1, 3, 200, journal => 'public.escrow');

-- Or it is let go of by a job, for holds that nobody touches again.
SELECT expire_holds(NULL::account, 'public.escrow');

SELECT id, kind, from_id, to_id, amount, settles FROM escrow ORDER BY id;
SELECT * FROM verify_journal('public.escrow', NULL::account);
