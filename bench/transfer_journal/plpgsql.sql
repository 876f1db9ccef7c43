\set a random(1, :accounts)
\set b 1 + (:a - 1 + random(1, :accounts - 1)) % :accounts
SELECT * FROM bench.plpgsql_transfer_journal(:a, :b, 1.00, gen_random_uuid());
