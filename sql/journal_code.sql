-- Functions of the user's in DEFAULTs, CHECKs and what else an UPDATE of the
-- accounts or an INSERT into the journal runs: they are watched as triggers are.
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE TABLE jc_acct (id integer PRIMARY KEY, balance numeric(12,2) CHECK (balance >= 0));
INSERT INTO jc_acct VALUES (1, 100), (2, 100), (3, 100);
CREATE TABLE jc (id bigint GENERATED ALWAYS AS IDENTITY, request_id text, from_id integer, to_id integer, amount numeric, from_balance numeric, to_balance numeric);
-- runs a command, but not one within another, even if it is called immutable
CREATE FUNCTION jc_do(command text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE command; END $$;
CREATE FUNCTION jc_run(command text, value anyelement) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('jc.inside', true) IS DISTINCT FROM 'yes' THEN
    PERFORM set_config('jc.inside', 'yes', true);
    EXECUTE 'SELECT jc_do($1)' USING command;
    PERFORM set_config('jc.inside', 'no', true);
  END IF;
  RETURN 1;
END $$;
-- the SQLSTATE of a transfer, of a batch, and what there is of it after all
CREATE FUNCTION jc_states(journal regclass DEFAULT 'jc') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  states text := '';
BEGIN
  BEGIN
    PERFORM transfer(NULL::jc_acct, 1, 2, 10, journal => journal, request_id => 'r');
    states := 'ok';
    RAISE EXCEPTION USING ERRCODE = 'JC000';
  EXCEPTION
    WHEN SQLSTATE 'JC000' THEN NULL;
    WHEN OTHERS THEN states := SQLSTATE;
  END;
  BEGIN
    PERFORM transfer_many(NULL::jc_acct, '{1,3}', '{2,1}', '{10,1}', '{r,s}', journal => journal);
    states := states || ' ok';
    RAISE EXCEPTION USING ERRCODE = 'JC000';
  EXCEPTION
    WHEN SQLSTATE 'JC000' THEN NULL;
    WHEN OTHERS THEN states := states || ' ' || SQLSTATE;
  END;
  RETURN states;
END $$;
SELECT jc_states();

-- the journal: a DEFAULT that changes a balance, or books the request itself
ALTER TABLE jc ADD note integer DEFAULT jc_run('UPDATE jc_acct SET balance = balance + 5 WHERE id = 2', 0);
SELECT jc_states();
ALTER TABLE jc ALTER note SET DEFAULT jc_run($$SELECT transfer(NULL::jc_acct, 3, 2, 10, journal => 'jc', request_id => 'r')$$, 0);
SELECT jc_states();
-- what it does elsewhere is its own affair
ALTER TABLE jc ALTER note SET DEFAULT jc_run('INSERT INTO jc_acct VALUES (9, 1) ON CONFLICT DO NOTHING', 0);
SELECT jc_states();
ALTER TABLE jc DROP note;
-- a CHECK
ALTER TABLE jc ADD CONSTRAINT jc_check CHECK (jc_run('UPDATE jc_acct SET balance = balance + 5 WHERE id = 2', amount) = 1);
SELECT jc_states();
ALTER TABLE jc DROP CONSTRAINT jc_check;
-- the check of a domain, as a column has it or a DEFAULT makes it
CREATE DOMAIN jc_note AS integer CHECK (jc_run('UPDATE jc_acct SET balance = balance + 5 WHERE id = 2', value) = 1);
ALTER TABLE jc ADD note jc_note;
SELECT jc_states();
ALTER TABLE jc DROP note;
ALTER TABLE jc ADD note integer DEFAULT 1::jc_note;
SELECT jc_states();
ALTER TABLE jc DROP note;
-- one that comes with a domain later
CREATE DOMAIN jc_later AS integer CHECK (value > 0);
ALTER TABLE jc ADD note jc_later DEFAULT 1;
SELECT jc_states();
ALTER DOMAIN jc_later ADD CONSTRAINT evil CHECK (jc_run('UPDATE jc_acct SET balance = balance + 5 WHERE id = 2', value) = 1) NOT VALID;
SELECT jc_states();
ALTER DOMAIN jc_later DROP CONSTRAINT evil;
SELECT jc_states();
ALTER TABLE jc DROP note;
-- a partition's
CREATE TABLE jc_parts (LIKE jc INCLUDING IDENTITY) PARTITION BY LIST (from_id);
CREATE TABLE jc_parts_1 PARTITION OF jc_parts FOR VALUES IN (1) PARTITION BY LIST (to_id);
CREATE TABLE jc_parts_1_2 PARTITION OF jc_parts_1 DEFAULT;
CREATE TABLE jc_parts_3 PARTITION OF jc_parts DEFAULT;
SELECT jc_states(journal => 'jc_parts');
ALTER TABLE jc_parts_1_2 ADD CONSTRAINT jc_check CHECK (jc_run('UPDATE jc_acct SET balance = balance + 5 WHERE id = 2', amount) = 1);
SELECT jc_states(journal => 'jc_parts');
ALTER TABLE jc_parts_1_2 DROP CONSTRAINT jc_check;
SELECT jc_states(journal => 'jc_parts');
-- and that of the whole
ALTER TABLE jc_parts ALTER amount SET DEFAULT 1, ADD note integer DEFAULT jc_run('UPDATE jc_acct SET balance = balance + 5 WHERE id = 2', 0);
SELECT jc_states(journal => 'jc_parts');
DROP TABLE jc_parts;

-- the accounts: each while the payee is changed, the payer being changed before
ALTER TABLE jc_acct ADD CONSTRAINT jc_check CHECK (id <> 2 OR jc_run('UPDATE jc_acct SET balance = balance - 7 WHERE id = 1', id) = 1) NOT VALID;
SELECT jc_states();
ALTER TABLE jc_acct DROP CONSTRAINT jc_check;
ALTER FUNCTION jc_run IMMUTABLE;
ALTER TABLE jc_acct ADD twice integer GENERATED ALWAYS AS (CASE id WHEN 2 THEN jc_run('UPDATE jc_acct SET balance = balance - 7 WHERE id = 1', balance) END) STORED;
SELECT jc_states();
ALTER TABLE jc_acct DROP twice;
BEGIN;
SELECT set_config('jc.inside', 'yes', true);
CREATE INDEX jc_index ON jc_acct ((CASE id WHEN 2 THEN jc_run('UPDATE jc_acct SET balance = balance - 7 WHERE id = 1', balance) END));
COMMIT;
SELECT jc_states();
DROP INDEX jc_index;
ALTER FUNCTION jc_run VOLATILE;
CREATE DOMAIN jc_money AS numeric(12,2) CHECK (value >= 0 AND value < 1000000);
ALTER TABLE jc_acct ALTER balance TYPE jc_money;
SELECT jc_states();
ALTER DOMAIN jc_money ADD CONSTRAINT evil CHECK (value <= 100 OR jc_run('UPDATE jc_acct SET balance = balance - 7 WHERE id = 1', value) = 1) NOT VALID;
SELECT jc_states();
ALTER DOMAIN jc_money DROP CONSTRAINT evil;
SELECT jc_states();
CREATE ROLE regress_racefree_jc;
GRANT ALL ON jc_acct, jc TO regress_racefree_jc;
ALTER TABLE jc_acct ENABLE ROW LEVEL SECURITY;
CREATE POLICY jc_policy ON jc_acct USING (true) WITH CHECK (id <> 2 OR jc_run('UPDATE jc_acct SET balance = balance - 7 WHERE id = 1', id) = 1);
SET ROLE regress_racefree_jc;
SELECT jc_states();
RESET ROLE;
DROP POLICY jc_policy ON jc_acct;
ALTER TABLE jc_acct DISABLE ROW LEVEL SECURITY;

-- where nothing of the user's runs, nothing is read again
CREATE DOMAIN jc_id AS integer CHECK (value > 0);
ALTER TABLE jc_acct ALTER id TYPE jc_id, ADD half numeric GENERATED ALWAYS AS (balance / 2) STORED;
SELECT create_journal('jc_stock', NULL::jc_acct, request_id_type => 'text');
SELECT create_journal('jc_yearly', NULL::jc_acct, request_id_type => 'text', foreign_keys => false, partition_by => 'LIST (to_id)');
CREATE TABLE jc_yearly_all PARTITION OF jc_yearly DEFAULT;
CREATE FUNCTION jc_looks(journal regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  before bigint[];
  after bigint[];
BEGIN
  SELECT array_agg(pg_stat_get_xact_numscans(oid) ORDER BY oid) FROM pg_class WHERE relname = ANY ('{jc_acct,jc_acct_pkey}') INTO before;
  PERFORM transfer(NULL::jc_acct, 1, 2, 10, journal => journal, request_id => 'r');
  SELECT array_agg(pg_stat_get_xact_numscans(oid) ORDER BY oid) FROM pg_class WHERE relname = ANY ('{jc_acct,jc_acct_pkey}') INTO after;
  RETURN (SELECT sum(a) FROM unnest(after) AS a) - (SELECT sum(b) FROM unnest(before) AS b);
END $$;
CREATE TABLE jc_none (from_id integer, to_id integer, amount numeric, request_id text);
-- two UPDATEs, and two checks of foreign keys
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT jc_looks('jc_none'), jc_looks('jc_stock'), jc_looks('jc_yearly');
ROLLBACK;
ALTER TABLE jc_yearly_all ADD CHECK (jc_run('SELECT 1', amount) = 1);
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT jc_looks('jc_yearly');
ROLLBACK;

DROP FUNCTION jc_states, jc_looks;
DROP TABLE jc_stock, jc_yearly, jc_none, jc, jc_acct;
DROP DOMAIN jc_note, jc_later, jc_money, jc_id;
DROP FUNCTION jc_run, jc_do;
DROP ROLE regress_racefree_jc;
