-- transfer_many: reversals in a batch, by entry_ids
\set SHOW_CONTEXT never
CREATE TABLE mr_acct (id integer PRIMARY KEY, currency text, balance numeric(12,2));
INSERT INTO mr_acct VALUES (1, 'EUR', 100), (2, 'EUR', 0), (3, 'EUR', 0), (4, 'USD', 0);
SELECT create_journal('mr', NULL::mr_acct, request_id_type => 'text', foreign_keys => false);
SELECT status, entry_id FROM transfer_many(NULL::mr_acct, ARRAY[1, 1, 2], ARRAY[2, 3, 3], ARRAY[10, 20, 4], journal => 'mr');

-- whole, in part, and what that leaves; beside a transfer
BEGIN;
SELECT * FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL, 1, NULL], ARRAY[NULL, NULL, 4, NULL],
  ARRAY[NULL, 3, 5, NULL], journal => 'mr', entry_ids => ARRAY[1, 2, NULL, 2], min_balance => -100);
SELECT id, from_id, to_id, amount, from_balance, to_balance, reverses FROM mr ORDER BY id;
SELECT * FROM mr_acct ORDER BY id;
SELECT * FROM verify_journal('mr', NULL::mr_acct, opening => NULL) WHERE problem <> 'no_entries';
ROLLBACK;

-- more than was moved: over all reversals, those of the batch included
SELECT ordinality, status, amount FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL, NULL, NULL]::int[], ARRAY[NULL, NULL, NULL, NULL]::int[],
  ARRAY[15, 6, NULL, NULL], journal => 'mr', on_error => 'report', entry_ids => ARRAY[2, 2, 2, 2]);
SELECT ordinality, status FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[NULL]::numeric[],
  journal => 'mr', on_error => 'report', entry_ids => ARRAY[2]);
\set SHOW_CONTEXT always
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[2, NULL]::int[], ARRAY[1, NULL]::int[], ARRAY[1, 1],
  journal => 'mr', entry_ids => ARRAY[NULL, 2]);
\echo :SQLSTATE
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL]::int[], ARRAY[NULL, NULL]::int[], ARRAY[6, 5],
  journal => 'mr', entry_ids => ARRAY[1, 1], min_balance => '-Infinity');
\echo :SQLSTATE

-- no such entry; reverse_transfer() says the same
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[1],
  journal => 'mr', entry_ids => ARRAY[999]);
\echo :SQLSTATE
\set SHOW_CONTEXT never
SELECT ordinality, status FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL]::int[], ARRAY[NULL, NULL]::int[], ARRAY[1, 1],
  journal => 'mr', on_error => 'report', entry_ids => ARRAY[999, 9223372036854775807]);

-- an amount that makes no sense, funds, limits, accounts that must match
SELECT ordinality, status FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL, NULL, NULL]::int[], ARRAY[NULL, NULL, NULL, NULL]::int[],
  ARRAY[0, -1, 0.001, 'NaN'], journal => 'mr', on_error => 'report', entry_ids => ARRAY[1, 1, 1, 1]);
SELECT ordinality, status FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[10],
  journal => 'mr', on_error => 'report', entry_ids => ARRAY[1]);
SELECT ordinality, status, amount FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL]::int[], ARRAY[NULL, NULL]::int[], ARRAY[NULL, 5]::numeric[],
  journal => 'mr', on_error => 'report', entry_ids => ARRAY[1, 1], up_to => true);
SELECT ordinality, status FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[1],
  journal => 'mr', on_error => 'report', entry_ids => ARRAY[1], max_balance => 50, min_balance => '-Infinity');
UPDATE mr_acct SET currency = 'USD' WHERE id = 2;
SELECT ordinality, status FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL]::int[], ARRAY[NULL, NULL]::int[], ARRAY[1, 1],
  journal => 'mr', on_error => 'report', entry_ids => ARRAY[1, 3], must_match => '{currency}', min_balance => '-Infinity');
UPDATE mr_acct SET currency = 'EUR' WHERE id = 2;

-- a chain that fails leaves of the entry what was there
SELECT * FROM mr_acct ORDER BY id;
SELECT ordinality, status, amount FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL, NULL, 3]::int[], ARRAY[NULL, NULL, NULL, 1]::int[],
  ARRAY[3, NULL, 1, 1000], chains => ARRAY[1, NULL, 1, 1], journal => 'mr', on_error => 'report',
  entry_ids => ARRAY[3, 3, 3, NULL], min_balance => '-Infinity', max_balance => 900);
SELECT sum(amount) FROM mr WHERE reverses = 3;
-- a chain of reversals: both or none
BEGIN;
SELECT status, entry_id IS NOT NULL AS booked FROM transfer_many(NULL::mr_acct, ARRAY[1, 2], ARRAY[2, 3], ARRAY[7, 7], journal => 'mr', chains => ARRAY[1, 1]);
SELECT ordinality, status, amount FROM transfer_many(NULL::mr_acct,
  (SELECT array_agg(NULL::int) FROM mr WHERE amount = 7), (SELECT array_agg(NULL::int) FROM mr WHERE amount = 7),
  (SELECT array_agg(NULL::numeric) FROM mr WHERE amount = 7), journal => 'mr', chains => ARRAY[1, 1],
  entry_ids => (SELECT array_agg(id ORDER BY id DESC) FROM mr WHERE amount = 7));
SELECT * FROM mr_acct ORDER BY id;
ROLLBACK;

-- requests: repeated in the batch, later, and by reverse_transfer()
SELECT status, amount FROM transfer_many(NULL::mr_acct, ARRAY[1], ARRAY[2], ARRAY[8], journal => 'mr', request_ids => ARRAY['pay']);
SELECT id AS paid FROM mr WHERE request_id = 'pay' \gset
SELECT ordinality, status, amount FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL, NULL, NULL, 2]::int[], ARRAY[NULL, NULL, NULL, NULL, 1]::int[],
  ARRAY[5, 5, NULL, 4, 5], ARRAY['back', 'back', 'back', 'back', 'back'], journal => 'mr', on_error => 'report',
  entry_ids => ARRAY[:paid, :paid, :paid, :paid, NULL]);
SELECT ordinality, status, amount FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL, NULL, 2]::int[], ARRAY[NULL, NULL, NULL, 1]::int[],
  ARRAY[5, NULL, 5, 5], ARRAY['back', 'back', 'back', 'back'], journal => 'mr', on_error => 'report',
  entry_ids => ARRAY[:paid, :paid, 1, NULL]);
SELECT amount, replayed, entry->'reverses' = to_jsonb(:paid) AS same FROM reverse_transfer(NULL::mr_acct, 'mr', :paid, 5, request_id => 'back');
SELECT amount, replayed FROM reverse_transfer(NULL::mr_acct, 'mr', :paid, request_id => 'rest');
SELECT ordinality, status, amount FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[NULL]::numeric[],
  ARRAY['rest'], journal => 'mr', entry_ids => ARRAY[:paid]);
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[2],
  ARRAY['rest'], journal => 'mr', entry_ids => ARRAY[:paid]);
\echo :SQLSTATE

-- a reversal is reversed like any other entry; details are booked
SELECT ordinality, status, amount FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[NULL]::numeric[],
  journal => 'mr', entry_ids => ARRAY[(SELECT id FROM mr WHERE request_id = 'rest')], details => '["again"]');
SELECT from_id, to_id, amount, details FROM mr ORDER BY id DESC LIMIT 1;

-- arguments
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[2], ARRAY[NULL]::int[], ARRAY[1], journal => 'mr', entry_ids => ARRAY[1]);
\echo :SQLSTATE
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[1], ARRAY[1], journal => 'mr', entry_ids => ARRAY[1]);
\echo :SQLSTATE
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[1], journal => 'mr', entry_ids => ARRAY[1, 2]);
\echo :SQLSTATE
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[1], entry_ids => ARRAY[1]);
\echo :SQLSTATE
SELECT ordinality, status FROM transfer_many(NULL::mr_acct, ARRAY[1, NULL], ARRAY[2, 2], ARRAY[1, 1], on_error => 'report', journal => 'mr', entry_ids => ARRAY[NULL, NULL]::bigint[]);
SELECT count(*) FROM transfer_many(NULL::mr_acct, '{}'::int[], '{}'::int[], '{}', journal => 'mr', entry_ids => '{}');

-- entries that name no account or move nothing
CREATE TABLE mr_own (id integer, from_id integer, to_id integer, amount numeric, reverses smallint);
INSERT INTO mr_own VALUES (1, 1, NULL, 5), (2, NULL, NULL, 5), (3, 1, 2, NULL), (4, 1, 2, 5), (40000, 1, 2, 5);
SELECT ordinality, status FROM transfer_many(NULL::mr_acct, ARRAY[NULL, NULL, NULL, NULL, NULL]::int[], ARRAY[NULL, NULL, NULL, NULL, NULL]::int[],
  ARRAY[NULL, 1, NULL, 1, 1], journal => 'mr_own', on_error => 'report', entry_ids => ARRAY[1, 2, 3, 4, 9999999999], min_balance => '-Infinity');
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[1], journal => 'mr_own', entry_ids => ARRAY[1]);
\echo :SQLSTATE
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[1], journal => 'mr_own', entry_ids => ARRAY[40000], min_balance => '-Infinity');
\echo :SQLSTATE
INSERT INTO mr_own VALUES (4, 1, 2, 5);
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[1], journal => 'mr_own', entry_ids => ARRAY[4], min_balance => '-Infinity');
\echo :SQLSTATE
ALTER TABLE mr_own DROP COLUMN reverses;
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[NULL]::int[], ARRAY[NULL]::int[], ARRAY[1], journal => 'mr_own', entry_ids => ARRAY[4]);
\echo :SQLSTATE
-- but without a reversal the journal need not have that
SELECT ordinality, status FROM transfer_many(NULL::mr_acct, ARRAY[1], ARRAY[2], ARRAY[1], journal => 'mr_own', entry_ids => ARRAY[NULL]::bigint[]);

-- a trigger that books a reversal of the same entry: together too much
CREATE FUNCTION mr_reverse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.reverses IS NOT NULL AND pg_trigger_depth() = 1 THEN
    INSERT INTO mr (from_id, to_id, amount, from_balance, to_balance, reverses) VALUES (2, 1, 6, 0, 0, NEW.reverses);
  END IF;
  RETURN NEW;
END $$;
SELECT entry_id AS once FROM transfer_many(NULL::mr_acct, ARRAY[1], ARRAY[2], ARRAY[10], journal => 'mr', min_balance => '-Infinity') \gset
CREATE TRIGGER t BEFORE INSERT ON mr FOR EACH ROW EXECUTE FUNCTION mr_reverse();
\set SHOW_CONTEXT always
SELECT ordinality FROM transfer_many(NULL::mr_acct, ARRAY[1, NULL], ARRAY[3, NULL], ARRAY[1, 5], journal => 'mr', entry_ids => ARRAY[NULL, :once], min_balance => '-Infinity');
\echo :SQLSTATE
-- the context names a reversal that was applied, not one that was undone
SELECT ordinality, status, detail FROM transfer_many(NULL::mr_acct, ARRAY[1, NULL, NULL, NULL], ARRAY[3, NULL, NULL, NULL], ARRAY[1, 5, 1, 999], chains => ARRAY[NULL, NULL, 1, 1],
  on_error => 'report', journal => 'mr', entry_ids => ARRAY[NULL, :once, :once, :once], min_balance => '-Infinity');
\echo :SQLSTATE
\set SHOW_CONTEXT never
DROP TRIGGER t ON mr;
SELECT sum(amount) FROM mr WHERE reverses = :once;

-- many at once
SELECT count(*) FROM transfer_many(NULL::mr_acct, array_fill(1, ARRAY[300]), array_fill(2, ARRAY[300]), array_fill(0.01, ARRAY[300]), journal => 'mr', min_balance => '-Infinity', details => '"cent"');
-- the sums of their reversals are not kept as results of statements
CREATE FUNCTION mr_results() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'few results in memory: %', (SELECT count(*) < 30 FROM pg_backend_memory_contexts WHERE name = 'SPI TupTable');
  RETURN NULL;
END $$;
CREATE TRIGGER t AFTER INSERT ON mr EXECUTE FUNCTION mr_results();
SELECT status, count(*), sum(amount) FROM transfer_many(NULL::mr_acct, array_fill(NULL::int, ARRAY[300]), array_fill(NULL::int, ARRAY[300]), array_fill(NULL::numeric, ARRAY[300]),
  journal => 'mr', min_balance => '-Infinity', entry_ids => (SELECT array_agg(id) FROM mr WHERE details = '"cent"')) GROUP BY status;
DROP TRIGGER t ON mr;

SELECT sum(balance) FROM mr_acct;
SELECT problem, count(*) FROM verify_journal('mr', NULL::mr_acct) GROUP BY 1 ORDER BY 1;
DROP FUNCTION mr_reverse, mr_results CASCADE;
DROP TABLE mr, mr_own, mr_acct;
