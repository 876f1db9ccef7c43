-- A card payment: the amount is reserved when the customer orders, and taken
-- when the goods are sent, perhaps in parts.  To be read, and copied; it runs as
-- it is in an empty database, and card_payment.out is what it prints:
--
--   psql -Xq -v ON_ERROR_STOP=1 -f examples/card_payment.sql

CREATE EXTENSION IF NOT EXISTS racefree;

-- "held" is what is reserved of each balance.
CREATE TABLE account (
    id integer PRIMARY KEY,
    owner text NOT NULL,
    balance numeric(12,2) NOT NULL DEFAULT 0,
    held numeric(12,2) NOT NULL DEFAULT 0);

INSERT INTO account (id, owner, balance) VALUES (1, 'Ann', 100), (2, 'shop', 0);

-- The journal knows which column has the amounts that are held.
SELECT create_journal('public.payment', NULL::account, held_column => 'held', request_id_type => 'text');

-- Ann orders for 80.  The balance stays; 20 are left to spend, for everybody who asks.
SELECT (from_account).balance, (from_account).held, entry->>'id' AS hold
FROM hold_transfer(NULL::account, 1, 2, 80, 'public.payment', expires_at => now() + interval '7 days',
                   request_id => 'order 4711', details => '{"order": 4711}');

DO $$
BEGIN
    PERFORM transfer(NULL::account, 1, 2, 30, journal => 'public.payment');
EXCEPTION WHEN SQLSTATE 'RF001' THEN
    RAISE NOTICE 'declined: %', SQLERRM;
END
$$;

-- The first parcel is sent.  There will be another one, so the rest stays held.
SELECT amount, (from_account).balance, (from_account).held
FROM post_transfer(NULL::account, 'public.payment', 1, 50, final => false, request_id => 'parcel 1');

-- The answer was lost, and the shop asks again: nothing is taken twice.
SELECT amount, replayed, (from_account).balance, (from_account).held
FROM post_transfer(NULL::account, 'public.payment', 1, 50, final => false, request_id => 'parcel 1');

-- The second parcel is the last one, and cheaper than thought.  What is left of
-- the hold is let go of.
SELECT amount, (from_account).balance, (from_account).held, (to_account).balance AS shop
FROM post_transfer(NULL::account, 'public.payment', 1, 25, request_id => 'parcel 2');

-- A hold is settled once.
DO $$
BEGIN
    PERFORM void_transfer(NULL::account, 'public.payment', 1);
EXCEPTION WHEN SQLSTATE 'RF010' THEN
    RAISE NOTICE '%', SQLERRM;
END
$$;

-- In a restaurant, more may be taken than was held: the tip.
SELECT entry->>'id' AS hold
FROM hold_transfer(NULL::account, 1, 2, 10, 'public.payment', request_id => 'table 3');
SELECT amount, (from_account).balance, (from_account).held
FROM post_transfer(NULL::account, 'public.payment',
                   (SELECT id FROM payment WHERE request_id = 'table 3'), 11.50, beyond => true);

-- A room that nobody came for: all of it is let go of.
SELECT entry->>'id' AS hold
FROM hold_transfer(NULL::account, 1, 2, 13.50, 'public.payment', request_id => 'room 12');
SELECT amount, (from_account).balance, (from_account).held
FROM void_transfer(NULL::account, 'public.payment', (SELECT id FROM payment WHERE request_id = 'room 12'));

-- All of it is in the journal.
SELECT id, kind, amount, settles, from_balance, to_balance FROM payment ORDER BY id;

-- No row: it adds up, and nothing is held any more.
SELECT * FROM verify_journal('public.payment', NULL::account);
