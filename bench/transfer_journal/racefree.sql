\set a random(1, :accounts)
\set b 1 + (:a - 1 + random(1, :accounts - 1)) % :accounts
SELECT (from_account).*, (to_account).*, entry, replayed FROM transfer(NULL::bench.accounts, :a, :b, 1.00, journal => 'bench.journal', request_id => gen_random_uuid()::text);
