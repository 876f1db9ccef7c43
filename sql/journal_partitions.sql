-- A partitioned journal, as the manual describes it: no unique index, and yet
-- each request is booked once.
\set SHOW_CONTEXT never
CREATE TABLE jp_account (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL);
INSERT INTO jp_account VALUES (1, 100), (2, 100);
SELECT create_journal('jp_journal', NULL::jp_account, request_id_type => 'text');

CREATE TABLE jp_yearly (LIKE jp_journal INCLUDING IDENTITY INCLUDING CONSTRAINTS)
    PARTITION BY RANGE (created_at);
CREATE INDEX ON jp_yearly (id);
CREATE INDEX ON jp_yearly (request_id);
CREATE INDEX ON jp_yearly (from_id, created_at);
CREATE INDEX ON jp_yearly (to_id, created_at);
CREATE INDEX ON jp_yearly (reverses) WHERE reverses IS NOT NULL;
CREATE TRIGGER journal_guard BEFORE UPDATE OR DELETE ON jp_yearly
    FOR EACH ROW EXECUTE FUNCTION journal_guard();
CREATE TABLE jp_old PARTITION OF jp_yearly FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE jp_new PARTITION OF jp_yearly FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
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

-- requests are found by the index, also with a plan that was made when the
-- partition was empty
TRUNCATE jp_new;
VACUUM ANALYZE jp_yearly;
SELECT count(*) FROM generate_series(1, 7) i,
       transfer(NULL::jp_account, 1, 2, 1, journal => 'jp_yearly', request_id => 'warm ' || i);
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset_single_table_counters('jp_new'::regclass);
SELECT count(*) FROM generate_series(1, 20) i,
       transfer_many(NULL::jp_account, '{1,1}', '{2,2}', '{1,1}', ARRAY['a' || i, 'b' || i], journal => 'jp_yearly');
SELECT count(*) FROM generate_series(1, 20) i,
       transfer(NULL::jp_account, 1, 2, 1, NULL, journal => 'jp_yearly', request_id => 'c' || i);
SELECT pg_stat_force_next_flush();
SELECT seq_scan, idx_scan > 0 AS by_index FROM pg_stat_user_tables WHERE relid = 'jp_new'::regclass;

-- who drops a partition drops the requests in it
DROP TABLE jp_old;
SELECT count(*) FROM verify_journal('jp_yearly', NULL::jp_account);
SELECT amount, replayed FROM transfer(NULL::jp_account, 1, 2, 10, NULL, journal => 'jp_yearly',
                                      request_id => 'long ago');
DROP TABLE jp_yearly, jp_journal, jp_account;
