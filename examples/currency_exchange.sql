-- A currency exchange: euro for dollars, over two accounts of the exchange, one
-- for each currency.  Both transfers are made, or none.  To be read, and copied;
-- it runs as it is in an empty database, and currency_exchange.out is what it
-- prints:
--
--   psql -Xq -v ON_ERROR_STOP=1 -f examples/currency_exchange.sql

CREATE EXTENSION IF NOT EXISTS racefree;

CREATE TABLE account (
    id integer PRIMARY KEY,
    owner text NOT NULL,
    currency char(3) NOT NULL,
    balance numeric(14,2) NOT NULL DEFAULT 0);

INSERT INTO account VALUES
    (1, 'exchange', 'EUR', 5000), (2, 'exchange', 'USD', 5000),
    (3, 'Ann', 'EUR', 100), (4, 'Ann', 'USD', 0);

-- No caller can forget that money does not change its currency on the way.
SELECT create_journal('public.exchange', NULL::account, request_id_type => 'text', must_match => '{currency}');
ALTER TABLE exchange ADD COLUMN rate numeric;

-- 50 euro at 1.0850, rounded in SQL, where you see it.
SELECT ordinality, status, amount, from_balance, to_balance
FROM transfer_many(NULL::account,
    from_ids => ARRAY[3, 2],
    to_ids => ARRAY[1, 4],
    amounts => ARRAY[50.00, round(50.00 * 1.0850, 2)],
    request_ids => ARRAY['deal 1, euro', 'deal 1, dollars'],
    chains => ARRAY[1, 1], columns => '{"rate": 1.0850}', journal => 'public.exchange');

-- More than Ann has: neither happens.
SELECT ordinality, status
FROM transfer_many(NULL::account,
    from_ids => ARRAY[3, 2],
    to_ids => ARRAY[1, 4],
    amounts => ARRAY[500.00, round(500.00 * 1.0850, 2)],
    chains => ARRAY[1, 1], on_error => 'report', journal => 'public.exchange');

-- A mistake in the application, which would make dollars of euro.
DO $$
BEGIN
    PERFORM transfer(NULL::account, 3, 4, 10, journal => 'public.exchange');
EXCEPTION WHEN SQLSTATE 'RF005' THEN
    RAISE NOTICE 'refused: %', SQLERRM;
END
$$;

SELECT owner, currency, balance FROM account ORDER BY id;
-- What belongs together.
SELECT id, from_id, to_id, amount, rate, chain_id FROM exchange ORDER BY id;
SELECT * FROM verify_journal('public.exchange', NULL::account);
