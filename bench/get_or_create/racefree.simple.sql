\set i random(1, :keys)
SELECT (object).*, created FROM get_or_create(NULL::bench.items, '{"name": ":i"}', '{"value": 7}');
