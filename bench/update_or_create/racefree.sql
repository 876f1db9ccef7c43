\set i random(1, :keys)
\set value random(1, 1000000)
SELECT (object).*, created FROM update_or_create(NULL::bench.items, jsonb_build_object('name', :i::text), jsonb_build_object('value', :value::integer));
