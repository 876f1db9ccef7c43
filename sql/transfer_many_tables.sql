-- transfer_many: the tables that hold the accounts, their triggers and rights.
\set SHOW_CONTEXT never
CREATE TABLE tt (id integer PRIMARY KEY, balance numeric(12,2), note text);
INSERT INTO tt VALUES (1, 100), (2, 100), (3, 100), (4, 100);
CREATE TABLE tt_j (from_id integer, to_id integer, amount numeric, from_balance numeric, to_balance numeric);

-- one UPDATE for an account however many transfers it takes part in, also
-- where nothing remains of them
CREATE TABLE tt_log (n serial, event text, id integer, old numeric, new numeric);
CREATE FUNCTION tt_watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO tt_log (event, id, old, new) VALUES (TG_WHEN || ' ' || TG_LEVEL, OLD.id, OLD.balance, NEW.balance);
  RETURN NEW;
END $$;
CREATE TRIGGER watch_before BEFORE UPDATE ON tt FOR EACH ROW EXECUTE FUNCTION tt_watch();
CREATE TRIGGER watch_after AFTER UPDATE ON tt FOR EACH ROW EXECUTE FUNCTION tt_watch();
SELECT ordinality, from_balance, to_balance FROM transfer_many(NULL::tt, '{3,1,2,1,4,1}', '{1,2,3,2,1,4}', '{5,10,5,10,7,7}', journal => 'tt_j');
SELECT event, id, old, new FROM tt_log ORDER BY event, id;
-- a net of nothing: booked, and both accounts are updated
TRUNCATE tt_log;
SELECT ordinality, from_balance, to_balance FROM transfer_many(NULL::tt, '{1,2}', '{2,1}', '{5,5}', journal => 'tt_j');
SELECT count(*) FROM tt_log;
SELECT count(*) FROM tt_j;
DROP TRIGGER watch_before ON tt;
DROP TRIGGER watch_after ON tt;
TRUNCATE tt_log;
-- statement triggers and transition tables: one statement
CREATE FUNCTION tt_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO tt_log (event, new) SELECT 'changed', count(*) FROM new_rows;
  RETURN NULL;
END $$;
CREATE TRIGGER whole AFTER UPDATE ON tt REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tt_statement();
SELECT count(*) FROM transfer_many(NULL::tt, '{1,2,1}', '{2,3,3}', '{5,5,5}');
SELECT event, new FROM tt_log ORDER BY n;
DROP TRIGGER whole ON tt;

-- a trigger may set other columns, but what is stored must be what was
-- computed: 27000, with report, too
CREATE FUNCTION tt_meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id <> 2 THEN
    NEW.note := 'seen';
    RETURN NEW;
  ELSIF TG_ARGV[0] = 'skip' THEN
    RETURN NULL;
  ELSIF TG_ARGV[0] = 'later' THEN
    IF NEW.note IS NULL THEN
      UPDATE tt SET balance = balance - 1, note = 'later' WHERE id = 2;
    END IF;
    RETURN NULL;
  END IF;
  EXECUTE 'SELECT ' || TG_ARGV[0] INTO NEW.balance USING NEW.balance;
  RETURN NEW;
END $$;
CREATE TRIGGER meddle BEFORE UPDATE ON tt FOR EACH ROW EXECUTE FUNCTION tt_meddle('$1 - 0.01');
SELECT * FROM transfer_many(NULL::tt, '{1,3}', '{2,2}', '{5,5}', on_error => 'report');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::tt, '{1,3}', '{3,4}', '{5,5}');
CREATE OR REPLACE TRIGGER meddle BEFORE UPDATE ON tt FOR EACH ROW EXECUTE FUNCTION tt_meddle('NULL');
SELECT * FROM transfer_many(NULL::tt, '{2}', '{1}', '{5}');
\echo :SQLSTATE
CREATE OR REPLACE TRIGGER meddle BEFORE UPDATE ON tt FOR EACH ROW EXECUTE FUNCTION tt_meddle('skip');
SELECT * FROM transfer_many(NULL::tt, '{1,3,2}', '{3,2,4}', '{5,5,1}');
\echo :SQLSTATE
DROP TRIGGER meddle ON tt;
CREATE TRIGGER meddle AFTER UPDATE ON tt FOR EACH ROW EXECUTE FUNCTION tt_meddle('later');
SELECT * FROM transfer_many(NULL::tt, '{1,3}', '{2,2}', '{5,5}');
\echo :SQLSTATE
DROP TRIGGER meddle ON tt;
SELECT id, balance, note FROM tt ORDER BY id;
-- constraints
ALTER TABLE tt ADD CONSTRAINT tt_round CHECK (balance <> 77);
UPDATE tt SET balance = 100, note = NULL;
\set VERBOSITY terse
SELECT * FROM transfer_many(NULL::tt, '{1,1}', '{2,3}', '{3,20}', on_error => 'report');
-- holds for what is stored, not for what is in between
SELECT ordinality, from_balance FROM transfer_many(NULL::tt, '{1,1}', '{2,3}', '{23,1}');
\set VERBOSITY default
-- a generated column
ALTER TABLE tt ADD COLUMN twice numeric GENERATED ALWAYS AS (balance * 2) STORED;
SELECT status FROM transfer_many(NULL::tt, '{1}', '{2}', '{6}');
SELECT id, balance, twice FROM tt ORDER BY id;
SELECT * FROM transfer_many(NULL::tt, '{1}', '{2}', '{6}', balance_column => 'twice');
\echo :SQLSTATE

-- read-only: what changes nothing is allowed
BEGIN READ ONLY;
SELECT * FROM transfer_many(NULL::tt, '{}', '{}', '{}');
SELECT * FROM transfer_many(NULL::tt, '{1}', '{2}', '{1}', on_error => 'report');
\echo :SQLSTATE
ROLLBACK;
DROP TABLE tt, tt_j, tt_log;
DROP FUNCTION tt_watch, tt_statement, tt_meddle;

-- ids that are not unique: 21000, though the other account be missing
CREATE TABLE tt (id integer, balance integer);
INSERT INTO tt VALUES (1, 10), (2, 10), (2, 10), (3, 10);
SELECT status FROM transfer_many(NULL::tt, '{1}', '{3}', '{1}', id_column => 'id');
SELECT * FROM transfer_many(NULL::tt, '{1}', '{2}', '{1}', id_column => 'id', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::tt, '{2,1}', '{9,3}', '{1,1}', id_column => 'id', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::tt, '{1}', '{3}', '{1}');
\echo :SQLSTATE
SELECT id, balance FROM tt ORDER BY id;
DROP TABLE tt;

-- partitioned and inherited accounts
CREATE TABLE tt (id integer, region text, balance numeric(12,2), PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE tt_a PARTITION OF tt FOR VALUES IN ('a');
CREATE TABLE tt_b (balance numeric(12,2), gone text, region text NOT NULL, id integer NOT NULL);
ALTER TABLE tt_b DROP COLUMN gone;
ALTER TABLE tt ATTACH PARTITION tt_b FOR VALUES IN ('b');
INSERT INTO tt VALUES (1, 'a', 10), (2, 'b', 10), (3, 'a', 10), (4, 'b', 10), (5, 'a', 1), (5, 'b', 1);
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tt, '{1,4,2,3}', '{2,1,3,4}', '{5,7,15,99}', id_column => 'id', must_match => '{}', on_error => 'report');
SELECT ordinality, status FROM transfer_many(NULL::tt, '{1,1}', '{3,2}', '{1,1}', id_column => 'id', must_match => '{region}', on_error => 'report');
SELECT * FROM transfer_many(NULL::tt, '{1}', '{5}', '{1}', id_column => 'id');
\echo :SQLSTATE
SELECT tableoid::regclass, id, balance FROM tt ORDER BY id, region;
-- a partition by itself
SELECT ordinality, status FROM transfer_many(NULL::tt_a, '{1,1}', '{3,2}', '{1,1}', id_column => 'id', on_error => 'report');
DROP TABLE tt;
CREATE TABLE tt (id integer PRIMARY KEY, balance integer);
CREATE TABLE tt_child (extra text) INHERITS (tt);
INSERT INTO tt VALUES (1, 10), (2, 10);
INSERT INTO tt_child VALUES (3, 10), (2, 5);
SELECT status FROM transfer_many(NULL::tt, '{1,3}', '{3,1}', '{10,15}');
SELECT * FROM transfer_many(NULL::tt, '{1}', '{2}', '{1}');
\echo :SQLSTATE
SELECT tableoid::regclass, id, balance FROM tt ORDER BY id, 1;
DROP TABLE tt CASCADE;

-- types of balances, and their ranges
CREATE TABLE tt (id integer PRIMARY KEY, i2 smallint DEFAULT 10, i4 integer DEFAULT 10, i8 bigint DEFAULT 10, n numeric DEFAULT 10, m money DEFAULT 10);
INSERT INTO tt (id) VALUES (1), (2), (3);
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tt, '{1,2,1}', '{2,3,2}', '{3,12,32760}', balance_column => 'i2', min_balance => '-Infinity', on_error => 'report');
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tt, '{1,2,1}', '{2,3,2}', '{3,12,1.5}', balance_column => 'i4', on_error => 'report');
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tt, '{1,2,1,1}', '{2,3,2,2}', '{3,12,9223372036854775807,9223372036854775808}', balance_column => 'i8', min_balance => '-Infinity', on_error => 'report');
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tt, '{1,2,1}', '{2,3,2}', '{0.00000000000000000001,12,1e40}', balance_column => 'n', min_balance => '-Infinity', on_error => 'report');
SELECT ordinality, status, from_balance, to_balance FROM transfer_many(NULL::tt, '{1,2,1}', '{2,3,2}', '{0.01,12,0.001}', balance_column => 'm', min_balance => -5, on_error => 'report');
SELECT * FROM tt ORDER BY id;
SELECT sum(i2), sum(i4), sum(i8), sum(n), sum(m) FROM tt;
DROP TABLE tt;
-- ids of other types, in the order of their own
CREATE COLLATION tt_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE tt (id text COLLATE tt_ci PRIMARY KEY, balance integer);
INSERT INTO tt VALUES ('Ann', 10), ('bob', 10), ('Émile', 10);
SELECT ordinality, status, from_balance FROM transfer_many(NULL::tt, '{ann,BOB,émile,ANN}', '{Bob,ÉMILE,Ann,ann}', '{10,20,30,1}', on_error => 'report');
SELECT id, balance FROM tt ORDER BY id;
DROP TABLE tt;
DROP COLLATION tt_ci;
CREATE DOMAIN tt_no AS char(4) CHECK (VALUE <> 'none');
CREATE TABLE tt (id tt_no PRIMARY KEY, balance integer);
INSERT INTO tt VALUES ('a', 10), ('b', 10);
SELECT ordinality, status, from_balance FROM transfer_many(NULL::tt, ARRAY['a', 'b   '], ARRAY['b', 'a'], ARRAY[10, 20]);
DROP TABLE tt;
DROP DOMAIN tt_no;

-- rights and row security
CREATE ROLE regress_racefree_tt;
CREATE TABLE tt (id integer PRIMARY KEY, owner text, balance integer, secret text);
INSERT INTO tt VALUES (1, 'me', 100), (2, 'me', 100), (3, 'other', 100), (4, 'frozen', 100);
SELECT create_journal('tt_j', NULL::tt, request_id_type => 'text');
SET ROLE regress_racefree_tt;
SELECT * FROM transfer_many(NULL::tt, '{1}', '{2}', '{1}', on_error => 'report');
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT ON tt TO regress_racefree_tt;
SET ROLE regress_racefree_tt;
SELECT * FROM transfer_many(NULL::tt, '{1}', '{2}', '{1}', on_error => 'report');
\echo :SQLSTATE
RESET ROLE;
REVOKE SELECT ON tt FROM regress_racefree_tt;
GRANT SELECT (id, owner, balance), UPDATE (balance) ON tt TO regress_racefree_tt;
GRANT SELECT, INSERT ON tt_j TO regress_racefree_tt;
SET ROLE regress_racefree_tt;
SELECT status FROM transfer_many(NULL::tt, '{1}', '{2}', '{1}', must_match => '{owner}');
SELECT status FROM transfer_many(NULL::tt, '{1}', '{2}', '{1}', must_match => '{secret}');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::tt, '{1,1}', '{2,2}', '{1,1}', '{r,r}', journal => 'tt_j');
RESET ROLE;
ALTER TABLE tt ENABLE ROW LEVEL SECURITY;
CREATE POLICY s ON tt FOR SELECT USING (owner IN ('me', 'frozen'));
CREATE POLICY u ON tt FOR UPDATE USING (owner = 'me') WITH CHECK (balance >= 50);
SET ROLE regress_racefree_tt;
-- hidden, and not to be changed: not there
SELECT ordinality, status FROM transfer_many(NULL::tt, '{1,3,1,1}', '{3,1,4,2}', '{1,1,1,1}', on_error => 'report');
SELECT * FROM transfer_many(NULL::tt, '{1}', '{3}', '{1}');
\echo :SQLSTATE
-- not to be changed to that
SELECT * FROM transfer_many(NULL::tt, '{1}', '{2}', '{60}', on_error => 'report');
\echo :SQLSTATE
RESET ROLE;
SELECT id, balance FROM tt ORDER BY id;
DROP TABLE tt_j, tt;
DROP OWNED BY regress_racefree_tt;
DROP ROLE regress_racefree_tt;

-- large: 20,000 transfers among 100 accounts, as a sequence of single ones
CREATE TABLE tt (id integer PRIMARY KEY, balance bigint);
INSERT INTO tt SELECT i, 1000 FROM generate_series(1, 100) AS i;
CREATE TABLE tt_in AS
  SELECT i, (i * 7919) % 100 + 1 AS f, (i * 104729 + i / 100) % 100 + 1 AS t, (i * 31) % 1500 AS a,
         CASE WHEN i % 10 < 3 THEN i / 10 END AS c
    FROM generate_series(1, 20000) AS i;
SELECT create_journal('tt_j', NULL::tt, request_id_type => 'bigint');
CREATE TABLE tt_out AS
  SELECT r.* FROM (SELECT array_agg(f ORDER BY i) AS f, array_agg(t ORDER BY i) AS t, array_agg(a::numeric ORDER BY i) AS a, array_agg(c ORDER BY i) AS c FROM tt_in) AS s,
    LATERAL transfer_many(NULL::tt, f, t, a, chains => c, on_error => 'report', journal => 'tt_j') AS r;
SELECT status, count(*), sum(amount) = (SELECT sum(amount) FROM tt_j) AS booked FROM tt_out GROUP BY status ORDER BY status;
SELECT sum(balance), min(balance) >= 0 AS sound FROM tt;
SELECT * FROM verify_journal('tt_j', NULL::tt);
-- all or none of each chain
SELECT count(*) FROM (SELECT c FROM tt_in JOIN tt_out ON ordinality = i WHERE c IS NOT NULL GROUP BY c HAVING count(*) FILTER (WHERE status = 'ok') NOT IN (0, count(*))) AS torn;
-- the same, one by one, without the chains that failed
CREATE TABLE tt_single (id integer PRIMARY KEY, balance bigint);
INSERT INTO tt_single SELECT i, 1000 FROM generate_series(1, 100) AS i;
DO $$
DECLARE
  r record;
  state text;
BEGIN
  FOR r IN SELECT * FROM tt_in JOIN tt_out ON ordinality = i WHERE c IS NULL OR status = 'ok' ORDER BY i LOOP
    BEGIN
      PERFORM transfer(NULL::tt_single, r.f, r.t, r.a);
      state := 'ok';
    EXCEPTION WHEN OTHERS THEN
      state := CASE SQLSTATE WHEN 'RF001' THEN 'insufficient_funds' WHEN '22023' THEN CASE WHEN r.a = 0 THEN 'invalid_amount' ELSE 'same_account' END ELSE SQLSTATE END;
    END;
    IF state <> r.status THEN
      RAISE 'transfer %: % and %', r.i, r.status, state;
    END IF;
  END LOOP;
END $$;
SELECT count(*) FROM tt JOIN tt_single USING (id) WHERE tt.balance <> tt_single.balance;
-- more requests than are locked one by one, and again
SELECT r.status, count(*) FROM (SELECT array_agg(1 + i % 3) AS f, array_agg(i::text) AS q, array_agg(1::numeric) AS a FROM generate_series(1, 2000) AS i) AS s,
  LATERAL transfer_many(NULL::tt, f, array_fill(50, ARRAY[2000]), a, q, journal => 'tt_j', min_balance => '-Infinity') AS r GROUP BY r.status ORDER BY 1;
SELECT r.status, count(*) FROM (SELECT array_agg(1 + i % 3 ORDER BY i DESC) AS f, array_agg(i::text ORDER BY i DESC) AS q, array_agg(1::numeric) AS a FROM generate_series(1, 2001) AS i) AS s,
  LATERAL transfer_many(NULL::tt, f, array_fill(50, ARRAY[2001]), a, q, journal => 'tt_j', min_balance => '-Infinity') AS r GROUP BY r.status ORDER BY 1;
SELECT sum(balance) FROM tt;
SELECT * FROM verify_journal('tt_j', NULL::tt);
DROP TABLE tt_j, tt, tt_in, tt_out, tt_single;

-- an account that a trigger deletes when it is paid
CREATE TABLE tmt_gone (id integer PRIMARY KEY, balance integer);
INSERT INTO tmt_gone VALUES (1, 100), (2, 0);
CREATE FUNCTION tmt_delete() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN DELETE FROM tmt_gone WHERE id = 2 AND NEW.id = 2; RETURN NULL; END $$;
CREATE TRIGGER t AFTER UPDATE ON tmt_gone FOR EACH ROW EXECUTE FUNCTION tmt_delete();
SELECT * FROM transfer_many(NULL::tmt_gone, '{1}', '{2}', '{100}');
\echo :SQLSTATE
SELECT * FROM tmt_gone ORDER BY id;
DROP TABLE tmt_gone;
DROP FUNCTION tmt_delete;

-- who may not book anything, does not lock requests
CREATE TABLE tmt_paying (id integer PRIMARY KEY, balance integer);
SELECT create_journal('tmt_journal', NULL::tmt_paying, request_id_type => 'integer');
CREATE ROLE regress_racefree_reader;
GRANT SELECT ON tmt_journal TO regress_racefree_reader;
SET ROLE regress_racefree_reader;
SELECT count(*) FROM transfer_many(NULL::tmt_paying, '{1}', '{2}', '{0}', '{1}', on_error => 'report',
                                   journal => 'tmt_journal');
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::tmt_paying, 1, 2, 0, journal => 'tmt_journal', request_id => '1');
\echo :SQLSTATE
RESET ROLE;
DROP TABLE tmt_journal, tmt_paying;
DROP ROLE regress_racefree_reader;

-- an account that its change takes out of the policy for updates
CREATE TABLE tmt_policy (id integer PRIMARY KEY, balance integer);
INSERT INTO tmt_policy VALUES (1, 100), (2, 100);
ALTER TABLE tmt_policy ENABLE ROW LEVEL SECURITY;
CREATE POLICY s ON tmt_policy FOR SELECT USING (true);
CREATE POLICY u ON tmt_policy FOR UPDATE USING (balance > 0) WITH CHECK (true);
CREATE FUNCTION tmt_nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER t BEFORE UPDATE ON tmt_policy FOR EACH ROW EXECUTE FUNCTION tmt_nothing();
CREATE ROLE regress_racefree_payer;
GRANT SELECT, UPDATE ON tmt_policy TO regress_racefree_payer;
SET ROLE regress_racefree_payer;
SELECT * FROM transfer_many(NULL::tmt_policy, '{1}', '{2}', '{100}');
SELECT * FROM transfer_many(NULL::tmt_policy, '{1}', '{2}', '{1}', min_balance => '-Infinity', on_error => 'report');
RESET ROLE;
DROP TABLE tmt_policy;
DROP FUNCTION tmt_nothing;
DROP ROLE regress_racefree_payer;
