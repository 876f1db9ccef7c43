\set a random(1, :accounts)
\set b 1 + (:a - 1 + random(1, :accounts - 1)) % :accounts
SELECT (from_account).*, (to_account).*, entry->>'id' AS hold, replayed FROM hold_transfer(NULL::bench.wallets, :a, :b, 1.00, 'bench.wallet_journal', request_id => gen_random_uuid()::text) \gset
SELECT (from_account).*, (to_account).*, entry->>'id', replayed FROM post_transfer(NULL::bench.wallets, 'bench.wallet_journal', :hold, request_id => gen_random_uuid()::text);
