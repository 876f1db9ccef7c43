-- A partitioned journal: no unique index, and yet each request is booked once;
-- its partitions are guarded.
\set SHOW_CONTEXT never
CREATE TABLE jp_account (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL, points integer DEFAULT 0);
INSERT INTO jp_account VALUES (1, 100), (2, 100);
SELECT create_journal('jp_yearly', NULL::jp_account, request_id_type => 'text', partition_by => 'RANGE (created_at)');
CREATE TABLE jp_old PARTITION OF jp_yearly FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE jp_new PARTITION OF jp_yearly FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
SELECT guard_journal('jp_yearly');
SELECT guard_journal('jp_yearly');
INSERT INTO jp_yearly (request_id, from_id, to_id, amount, from_balance, to_balance, created_at)
VALUES ('long ago', 1, 2, 10, 100, 100, '2019-06-01');

SELECT amount, replayed FROM transfer(NULL::jp_account, 1, 2, 10, journal => 'jp_yearly', request_id => 'long ago');
SELECT amount, replayed FROM transfer(NULL::jp_account, 1, 2, 30, journal => 'jp_yearly', request_id => 'new');
SELECT amount, replayed FROM transfer(NULL::jp_account, 1, 2, 30, journal => 'jp_yearly', request_id => 'new');
SELECT * FROM transfer_many(NULL::jp_account, '{1,1,2}', '{2,2,1}', '{10,30,5}', '{long ago,new,newer}',
                            journal => 'jp_yearly');
SELECT amount, entry->'reverses' AS reverses FROM reverse_transfer(NULL::jp_account, 'jp_yearly', 1, 4);
SELECT tableoid::regclass, id, request_id, amount, reverses FROM jp_yearly ORDER BY id;
SELECT balance_at('jp_yearly', 1, '2019-12-31'), balance_at('jp_yearly', 1, 'infinity');
SELECT * FROM verify_journal('jp_yearly', NULL::jp_account);
DELETE FROM jp_yearly;
\echo :SQLSTATE
UPDATE jp_old SET amount = 1;
\echo :SQLSTATE
TRUNCATE jp_yearly;
\echo :SQLSTATE
TRUNCATE jp_old;
\echo :SQLSTATE
SELECT amount, replayed FROM transfer(NULL::jp_account, 1, 2, 10, journal => 'jp_yearly', request_id => 'long ago');
SELECT amount, replayed FROM transfer(NULL::jp_account, 1, 2, 10, balance_column => 'points', journal => 'jp_yearly', request_id => 'long ago');
\echo :SQLSTATE

-- requests are found by the index, also with a plan that was made when the
-- partition was empty
ALTER TABLE jp_new DISABLE TRIGGER journal_guard_truncate;
TRUNCATE jp_new;
ALTER TABLE jp_new ENABLE TRIGGER journal_guard_truncate;
VACUUM ANALYZE jp_yearly;
SELECT count(*) FROM generate_series(1, 7) i,
       transfer(NULL::jp_account, 1, 2, 1, journal => 'jp_yearly', request_id => 'warm ' || i);
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset_single_table_counters('jp_new'::regclass);
SELECT count(*) FROM generate_series(1, 20) i,
       transfer_many(NULL::jp_account, '{1,1}', '{2,2}', '{1,1}', ARRAY['a' || i, 'b' || i], journal => 'jp_yearly');
SELECT count(*) FROM generate_series(1, 20) i,
       transfer(NULL::jp_account, 1, 2, 1, '-Infinity', journal => 'jp_yearly', request_id => 'c' || i);
SELECT pg_stat_force_next_flush();
SELECT seq_scan, idx_scan > 0 AS by_index FROM pg_stat_user_tables WHERE relid = 'jp_new'::regclass;

-- who drops a partition drops the requests in it
DROP TABLE jp_old;
SELECT count(*) FROM verify_journal('jp_yearly', NULL::jp_account);
SELECT amount, replayed FROM transfer(NULL::jp_account, 1, 2, 10, '-Infinity', journal => 'jp_yearly',
                                      request_id => 'long ago');
DROP TABLE jp_yearly;

-- the table that is made: plain indexes where core can have no unique ones
CREATE FUNCTION jp_describe(journal regclass) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT pg_get_partkeydef($1)
  UNION ALL (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1 AND contype <> 'n' ORDER BY contype, 1)
  UNION ALL (SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = $1 ORDER BY 1)
  UNION ALL (SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY tgname)
$$;
SELECT jp_describe(create_journal('jp_range', NULL::jp_account, partition_by => 'RANGE (created_at)'));
SELECT jp_describe(create_journal('jp_id', NULL::jp_account, foreign_keys => false, partition_by => 'hash (id)'));
SELECT jp_describe(create_journal('jp_request', NULL::jp_account, partition_by => 'HASH ("request_id")'));
SELECT jp_describe(create_journal('jp_expression', NULL::jp_account, partition_by => $$RANGE ((date_trunc('month', created_at AT TIME ZONE 'UTC')), id /* ; */) -- ;$$));
SELECT jp_describe(create_journal('jp_opclass', NULL::jp_account, foreign_keys => false, request_id_type => 'text', partition_by => 'LIST (request_id COLLATE "C" text_pattern_ops)'));
-- where they are unique, they are
CREATE TABLE jp_request_0 PARTITION OF jp_request FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE jp_request_1 PARTITION OF jp_request FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT guard_journal('jp_request');
SELECT replayed FROM transfer(NULL::jp_account, 1, 2, 1, journal => 'jp_request', request_id => '00000000-0000-0000-0000-000000000001');
SELECT replayed FROM transfer(NULL::jp_account, 1, 2, 1, journal => 'jp_request', request_id => '00000000-0000-0000-0000-000000000001');
\set VERBOSITY sqlstate
INSERT INTO jp_request (request_id, from_id, to_id, amount, from_balance, to_balance) VALUES ('00000000-0000-0000-0000-000000000001', 1, 2, 1, 0, 0);
\set VERBOSITY default
DROP TABLE jp_range, jp_id, jp_request, jp_expression, jp_opclass;

-- what is partitioned by is nothing else
CREATE FUNCTION jp_try(partition_by text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RAISE '%', create_journal('jp_try', NULL::jp_account, partition_by => partition_by);
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT n, jp_try(t) FROM unnest(ARRAY['', ' ', 'created_at', 'RANGE created_at', 'RANGE ()', 'ROUND (created_at)', 'RANGE (nope)', 'RANGE (ctid)',
  'RANGE (created_at); DROP TABLE jp_account', 'RANGE (created_at); --', 'RANGE (created_at);', 'RANGE (created_at) WITH (fillfactor = 50)', 'RANGE (created_at) TABLESPACE pg_default',
  'RANGE (created_at) USING heap', 'RANGE (created_at) ON COMMIT DROP', 'RANGE (created_at)) INHERITS (jp_account', 'RANGE (created_at) INHERITS (jp_account)', 'RANGE ((SELECT created_at))',
  'RANGE ((now()))', 'RANGE (created_at) /*', 'RANGE ((amount > $1))', 'LIST (id, amount)']) WITH ORDINALITY AS u (t, n) ORDER BY n;
SELECT to_regclass('jp_try'), to_regclass('jp_account');
\set SHOW_CONTEXT always
SELECT create_journal('jp_try', NULL::jp_account, partition_by => 'RANGE created_at');
\set SHOW_CONTEXT never

-- partitions of partitions, attached tables, children: each is guarded once
CREATE FUNCTION jp_guards() RETURNS TABLE (relname name, tgname name, clone boolean, def text) LANGUAGE sql AS $$
  SELECT c.relname, t.tgname, t.tgparentid <> 0, regexp_replace(pg_get_triggerdef(t.oid), '^.* FUNCTION ', '')
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND c.relname LIKE 'jp\_%' ORDER BY 1, 2
$$;
SELECT create_journal('jp', NULL::jp_account, request_id_type => 'text', partition_by => 'LIST (from_id)');
CREATE TABLE jp_1 PARTITION OF jp FOR VALUES IN (1);
CREATE TABLE jp_rest PARTITION OF jp DEFAULT PARTITION BY LIST (to_id);
CREATE TABLE jp_rest_1 PARTITION OF jp_rest FOR VALUES IN (1);
SELECT guard_journal('jp_rest');
SELECT guard_journal('jp');
SELECT guard_journal('jp_rest');
SELECT * FROM jp_guards();
TRUNCATE jp_rest_1;
\echo :SQLSTATE
TRUNCATE jp_rest;
\echo :SQLSTATE
-- one that is attached, with a guard of its own
CREATE TABLE jp_2 (LIKE jp INCLUDING CONSTRAINTS);
CREATE TRIGGER own BEFORE UPDATE OR DELETE ON jp_2 FOR EACH ROW EXECUTE FUNCTION journal_guard();
ALTER TABLE jp ATTACH PARTITION jp_2 FOR VALUES IN (2);
SELECT guard_journal('jp');
SELECT * FROM jp_guards() WHERE relname = 'jp_2';
-- one that is detached keeps what is its own
ALTER TABLE jp DETACH PARTITION jp_1;
SELECT * FROM jp_guards() WHERE relname = 'jp_1';
SELECT guard_journal('jp_1');
SELECT * FROM jp_guards() WHERE relname = 'jp_1';
DROP TABLE jp, jp_1;
-- a table of the user's own, whose partitions have triggers of that name
CREATE TABLE jp_own (id integer, from_id integer, to_id integer, amount numeric) PARTITION BY LIST (from_id);
CREATE TABLE jp_own_1 PARTITION OF jp_own FOR VALUES IN (1);
CREATE TRIGGER journal_guard BEFORE UPDATE ON jp_own_1 FOR EACH ROW EXECUTE FUNCTION journal_guard('accounts=public.jp_account');
CREATE TRIGGER journal_guard_truncate BEFORE TRUNCATE ON jp_own_1 FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT guard_journal('jp_own');
SELECT * FROM jp_guards();
-- a guard for some columns or rows is none
DROP TRIGGER journal_guard_1 ON jp_own;
CREATE TRIGGER g BEFORE DELETE OR UPDATE OF amount ON jp_own FOR EACH ROW EXECUTE FUNCTION journal_guard('accounts=public.jp_account');
CREATE TRIGGER h BEFORE UPDATE ON jp_own FOR EACH ROW WHEN (OLD.amount > 0) EXECUTE FUNCTION journal_guard();
SELECT guard_journal('jp_own');
SELECT * FROM jp_guards() WHERE relname = 'jp_own';
SELECT guard_journal('jp_own');
DROP TABLE jp_own;
CREATE TABLE jp_parent (id integer, from_id integer, to_id integer, amount numeric);
CREATE TABLE jp_child () INHERITS (jp_parent);
CREATE TABLE jp_grandchild () INHERITS (jp_child, jp_parent);
SELECT guard_journal('jp_parent');
SELECT guard_journal('jp_parent');
SELECT * FROM jp_guards();
TRUNCATE ONLY jp_grandchild;
\echo :SQLSTATE
DROP TABLE jp_parent CASCADE;

-- who may: the owner, and who may make triggers on each of the tables
CREATE ROLE regress_racefree_jp;
SELECT create_journal('jp', NULL::jp_account, partition_by => 'LIST (from_id)');
CREATE TABLE jp_1 PARTITION OF jp FOR VALUES IN (1);
SET ROLE regress_racefree_jp;
SELECT guard_journal('jp');
\echo :SQLSTATE
RESET ROLE;
GRANT TRIGGER ON jp TO regress_racefree_jp;
SET ROLE regress_racefree_jp;
SELECT guard_journal('jp');
\echo :SQLSTATE
RESET ROLE;
GRANT TRIGGER ON jp_1 TO regress_racefree_jp;
SET ROLE regress_racefree_jp;
SELECT guard_journal('jp');
RESET ROLE;
DROP OWNED BY regress_racefree_jp;
DROP ROLE regress_racefree_jp;
-- what is no journal
SELECT guard_journal(NULL);
\echo :SQLSTATE
SELECT guard_journal('jp_account');
\echo :SQLSTATE
CREATE VIEW jp_view AS SELECT * FROM jp;
SELECT guard_journal('jp_view');
\echo :SQLSTATE
SELECT guard_journal(0);
\echo :SQLSTATE
CREATE TABLE jp_2 PARTITION OF jp FOR VALUES IN (2);
BEGIN READ ONLY;
SELECT guard_journal('jp');
\echo :SQLSTATE
ROLLBACK;
SET client_min_messages = warning;
DROP FUNCTION jp_describe, jp_try, jp_guards;
DROP TABLE jp, jp_account CASCADE;

-- A part of a journal is none: what is in the other parts would not be found.
CREATE TABLE jp_account (id integer PRIMARY KEY, balance numeric DEFAULT 100);
INSERT INTO jp_account VALUES (1), (2);
CREATE TABLE jp_own (id bigserial, request_id text, from_id int, to_id int, amount numeric, reverses bigint) PARTITION BY LIST (amount);
CREATE TABLE jp_own_10 PARTITION OF jp_own FOR VALUES IN (10);
CREATE TABLE jp_own_rest PARTITION OF jp_own DEFAULT;
SELECT amount FROM transfer(NULL::jp_account, 1, 2, 10, journal => 'jp_own', request_id => 'a');
SELECT amount FROM reverse_transfer(NULL::jp_account, 'jp_own', 1, 6);
SELECT amount FROM reverse_transfer(NULL::jp_account, 'jp_own_10', 1);
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::jp_account, 1, 2, 3, journal => 'jp_own_rest', request_id => 'a');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::jp_account, '{1}', '{2}', '{3}', '{a}', journal => 'jp_own_rest');
\echo :SQLSTATE
CREATE TABLE jp_top (request_id text, from_id int, to_id int, amount numeric);
CREATE TABLE jp_child () INHERITS (jp_top);
SELECT replayed FROM transfer(NULL::jp_account, 1, 2, 3, journal => 'jp_top', request_id => 'a');
SELECT replayed FROM transfer(NULL::jp_account, 1, 2, 3, journal => 'jp_child', request_id => 'a');
\echo :SQLSTATE
SELECT id, balance FROM jp_account ORDER BY id;
DROP TABLE jp_own, jp_child, jp_top, jp_account;
