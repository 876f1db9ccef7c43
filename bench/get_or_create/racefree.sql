\set i random(1, :keys)
SELECT (object).*, created FROM get_or_create(NULL::bench.items, jsonb_build_object('name', :i::text), '{"value": 7}');
