\set a random(1, :accounts)
\set b 1 + (:a - 1 + random(1, :accounts - 1)) % :accounts
SELECT (from_account).*, (to_account).*, entry->>'id' AS hold, replayed FROM hold_transfer(NULL::bench.old_wallets, :a, :b, 1.00, 'bench.old_journal', request_id => gen_random_uuid()::text) \gset
SELECT (from_account).*, (to_account).*, entry->>'id', replayed FROM post_transfer(NULL::bench.old_wallets, 'bench.old_journal', :hold, request_id => gen_random_uuid()::text);
SELECT entry->>'id' AS hold FROM hold_transfer(NULL::bench.old_wallets, :b, :a, 1.00, 'bench.old_journal', expires_at => now() + interval '1 hour') \gset
SELECT amount FROM void_transfer(NULL::bench.old_wallets, 'bench.old_journal', :hold);
SELECT status FROM transfer_many(NULL::bench.old_wallets, ARRAY[:a], ARRAY[:b], ARRAY[1e9], on_error => 'report', journal => 'bench.old_journal');
SELECT count(*) FROM bench.old_journal_holds WHERE from_id = :a;
SELECT expire_holds(NULL::bench.old_wallets, 'bench.old_journal');
