SELECT (from_account).*, (to_account).*, entry, replayed FROM transfer(NULL::bench.accounts, :a, :b, 1.00, journal => 'bench.journal', request_id => gen_random_uuid()::text);
