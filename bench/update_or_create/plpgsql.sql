\set i random(1, :keys)
\set value random(1, 1000000)
SELECT * FROM bench.plpgsql_update_or_create(:i::text, :value);
