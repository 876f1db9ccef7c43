\set a random(1, :accounts)
\set b 1 + (:a - 1 + random(1, :accounts - 1)) % :accounts
SELECT *, entry_id AS hold FROM bench.plpgsql_hold(:a, :b, 1.00, gen_random_uuid()) \gset
SELECT * FROM bench.plpgsql_settle('post', :hold, gen_random_uuid());
