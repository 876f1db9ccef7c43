SELECT * FROM bench.plpgsql_transfer_journal(:a, :b, 1.00, gen_random_uuid());
