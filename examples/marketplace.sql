-- A marketplace: the buyer pays, the seller gets it less a fee, and is paid out
-- at the end of the week.  To be read, and copied; it runs as it is in an empty
-- database, and marketplace.out is what it prints:
--
--   psql -Xq -v ON_ERROR_STOP=1 -f examples/marketplace.sql

CREATE EXTENSION IF NOT EXISTS racefree;

-- Each account has a floor of its own: NULL is none, for what is outside.
CREATE TABLE account (
    id text PRIMARY KEY,
    balance numeric(12,2) NOT NULL DEFAULT 0,
    held numeric(12,2) NOT NULL DEFAULT 0,
    floor numeric(12,2) DEFAULT 0,
    closed_at timestamptz);

INSERT INTO account (id, floor) VALUES
    ('outside', NULL), ('fees', 0), ('buyer Ann', 0), ('buyer Bob', 0), ('seller Cho', 0), ('seller Dee', 0);

SELECT create_journal('public.booking', NULL::account, request_id_type => 'text', held_column => 'held',
    min_balance_column => 'floor', closed_column => 'closed_at', opening => 0);
-- A column of your own: the order, and a foreign key if you like.
ALTER TABLE booking ADD COLUMN order_id integer;

-- The buyers pay in, from outside.
SELECT ordinality, status, amount, to_balance
FROM transfer_many(NULL::account,
    from_ids => ARRAY['outside', 'outside'],
    to_ids => ARRAY['buyer Ann', 'buyer Bob'],
    amounts => ARRAY[100, 100],
    request_ids => ARRAY['payin 1', 'payin 2'], journal => 'public.booking');

-- Ann orders from both sellers.  Each part is reserved, and the fee as well: all
-- of them or none, which is what a chain is.
SELECT ordinality, status, amount, from_balance, from_available
FROM transfer_many(NULL::account,
    from_ids => ARRAY['buyer Ann', 'buyer Ann', 'buyer Ann'],
    to_ids => ARRAY['seller Cho', 'seller Dee', 'fees'],
    amounts => ARRAY[45, 27, 8],
    kinds => ARRAY['hold', 'hold', 'hold'],
    chains => ARRAY[1, 1, 1],
    columns => '{"order_id": 4711}', journal => 'public.booking');

-- The goods have arrived: the whole chain is posted, by a batch that is made
-- from what the journal has.
SELECT ordinality, status, amount, from_balance, from_available, to_balance
FROM (
    SELECT array_agg('post'::text ORDER BY id) AS kinds, array_agg(id ORDER BY id) AS entries,
           array_agg(NULL::text) AS nobody, array_agg(NULL::numeric) AS all_of_it,
           array_agg(1) AS chain
    FROM booking WHERE chain_id = (SELECT min(id) FROM booking WHERE order_id = 4711)) AS b,
    transfer_many(NULL::account, b.nobody, b.nobody, b.all_of_it, kinds => b.kinds, entry_ids => b.entries,
                  chains => b.chain, columns => '{"order_id": 4711}', journal => 'public.booking');

-- Dee's part comes back, and the same part of the fee, by both or not at all.
SELECT ordinality, status, amount, from_balance, to_balance
FROM transfer_many(NULL::account, ARRAY[NULL, NULL]::text[], ARRAY[NULL, NULL]::text[],
    amounts => ARRAY[27, 3],
    kinds => ARRAY['reversal', 'reversal'],
    entry_ids => ARRAY(SELECT id FROM booking
                       WHERE order_id = 4711 AND kind = 'post' AND to_id IN ('seller Dee', 'fees') ORDER BY id),
    chains => ARRAY[1, 1], columns => '{"order_id": 4711}', journal => 'public.booking');

-- Sellers are paid out whatever they have.
SELECT s.id, t.amount, (t.from_account).balance
FROM account AS s,
     transfer(NULL::account, s.id, 'outside', 1000000, up_to => true, journal => 'public.booking',
              request_id => 'week 7, ' || s.id) AS t
WHERE s.id LIKE 'seller%' AND s.balance > 0
ORDER BY s.id;

-- Dee leaves.  Nobody can pay to a closed account any more.
UPDATE account SET closed_at = now() WHERE id = 'seller Dee';
SELECT ordinality, status
FROM transfer_many(NULL::account, ARRAY['buyer Bob'], ARRAY['seller Dee'], ARRAY[10],
                   on_error => 'report', journal => 'public.booking');

SELECT id, balance, held FROM account ORDER BY id COLLATE "C";
SELECT id, kind, from_id, to_id, amount, chain_id, settles, reverses FROM booking ORDER BY id;
SELECT * FROM verify_journal('public.booking', NULL::account);
