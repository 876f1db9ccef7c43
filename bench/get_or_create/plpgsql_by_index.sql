\set i random(1, :keys)
SELECT * FROM bench.plpgsql_get_or_create_by_index(:i::text, 7);
