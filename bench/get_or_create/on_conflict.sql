\set i random(1, :keys)
INSERT INTO bench.items (name, value) VALUES (:i::text, 7) ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name RETURNING *, xmax = 0 AS created;
