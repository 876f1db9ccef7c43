\set i random(1, :keys)
\set value random(1, 1000000)
INSERT INTO bench.items (name, value) VALUES (:i::text, :value) ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value RETURNING *, xmax = 0 AS created;
