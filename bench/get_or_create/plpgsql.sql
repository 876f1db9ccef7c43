\set i random(1, :keys)
SELECT * FROM bench.plpgsql_get_or_create(:i::text, 7);
