-- transfer_many: an account whose balance ends where it began takes part all
-- the same.
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE TABLE tz (id integer PRIMARY KEY, balance integer, frozen boolean NOT NULL DEFAULT false, version integer NOT NULL DEFAULT 0);
INSERT INTO tz VALUES (1, 100), (2, 100), (3, 100);
SELECT create_journal('tz_j', NULL::tz, foreign_keys => false);

-- its triggers see it
CREATE FUNCTION tz_thaw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.frozen THEN
    RAISE EXCEPTION 'account % is frozen', OLD.id;
  END IF;
  NEW.version := OLD.version + 1;
  RETURN NEW;
END $$;
CREATE TRIGGER thaw BEFORE UPDATE ON tz FOR EACH ROW EXECUTE FUNCTION tz_thaw();
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,3}', '{10,10}', journal => 'tz_j');
SELECT * FROM tz ORDER BY id;
ALTER TABLE tz DISABLE TRIGGER thaw;
UPDATE tz SET frozen = true WHERE id = 2;
ALTER TABLE tz ENABLE TRIGGER thaw;
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,3}', '{10,10}', journal => 'tz_j');
\echo :SQLSTATE
-- those that only take part in what fails are left alone
SELECT ordinality, status FROM transfer_many(NULL::tz, '{1,2,1}', '{2,3,3}', '{10,1000,1}', chains => '{1,1,NULL}', on_error => 'report', journal => 'tz_j');
SELECT * FROM tz ORDER BY id;
DROP TRIGGER thaw ON tz;
UPDATE tz SET frozen = false;
-- one that suppresses its update: 27000
CREATE FUNCTION tz_skip() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.id = 2 THEN RETURN NULL; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER skip BEFORE UPDATE ON tz FOR EACH ROW EXECUTE FUNCTION tz_skip();
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,3}', '{10,10}', journal => 'tz_j');
\echo :SQLSTATE
-- also beside core's, which suppresses what changes nothing
CREATE TRIGGER z_redundant BEFORE UPDATE ON tz FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,3}', '{10,10}', journal => 'tz_j');
\echo :SQLSTATE
DROP TRIGGER skip ON tz;
SELECT ordinality, status FROM transfer_many(NULL::tz, '{1,2}', '{2,3}', '{10,10}', journal => 'tz_j');
DROP TRIGGER z_redundant ON tz;
DROP FUNCTION tz_thaw, tz_skip;
SELECT id, balance FROM tz ORDER BY id;

-- constraints
UPDATE tz SET balance = -50 WHERE id = 2;
ALTER TABLE tz ADD CHECK (balance >= 0) NOT VALID;
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,3}', '{10,10}', min_balance => '-Infinity', journal => 'tz_j');
\echo :SQLSTATE
-- they see the balance at the end of the batch, not those in between
SELECT ordinality, from_balance FROM transfer_many(NULL::tz, '{1,3}', '{3,1}', '{200,150}', min_balance => '-Infinity', journal => 'tz_j');
ALTER TABLE tz DROP CONSTRAINT tz_balance_check;
UPDATE tz SET balance = 100;

-- privileges
CREATE ROLE regress_tz;
GRANT SELECT, UPDATE (version) ON tz TO regress_tz;
GRANT SELECT, INSERT ON tz_j TO regress_tz;
SET ROLE regress_tz;
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,1}', '{10,10}', journal => 'tz_j');
\echo :SQLSTATE
RESET ROLE;
-- row-level security
GRANT UPDATE ON tz TO regress_tz;
ALTER TABLE tz ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON tz FOR SELECT USING (true);
CREATE POLICY change ON tz FOR UPDATE USING (true) WITH CHECK (id <> 2);
SET ROLE regress_tz;
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,3}', '{10,10}', journal => 'tz_j');
\echo :SQLSTATE
RESET ROLE;

-- a generated column is no balance, whatever becomes of it
ALTER TABLE tz ADD COLUMN twice integer GENERATED ALWAYS AS (balance * 2) STORED;
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,1}', '{10,10}', balance_column => 'twice', journal => 'tz_j');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::tz, 1, 2, 10, balance_column => 'twice');
\echo :SQLSTATE
-- nor is a column of the key
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,1}', '{10,10}', balance_column => 'id');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::tz, 100, 200, 100, id_column => 'balance');
\echo :SQLSTATE
SELECT id, balance FROM tz ORDER BY id;
SELECT count(*) FROM tz_j;
DROP TABLE tz_j, tz;
DROP ROLE regress_tz;

-- where core's trigger is the parent's, a child's own can freeze the account
CREATE TABLE tz (id integer PRIMARY KEY, balance integer, frozen boolean) PARTITION BY RANGE (id);
CREATE TABLE tz_1 PARTITION OF tz DEFAULT;
INSERT INTO tz VALUES (1, 100, false), (2, 100, true), (3, 100, false);
CREATE TRIGGER z_redundant BEFORE UPDATE ON tz FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE FUNCTION tz_freeze() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.frozen THEN RETURN NULL; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER a_freeze BEFORE UPDATE ON tz_1 FOR EACH ROW EXECUTE FUNCTION tz_freeze();
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,3}', '{10,10}');
\echo :SQLSTATE
DROP TABLE tz;
CREATE TABLE tz (id integer PRIMARY KEY, balance integer, frozen boolean);
CREATE TABLE tz_1 () INHERITS (tz);
INSERT INTO tz_1 VALUES (1, 100, false), (2, 100, true), (3, 100, false);
CREATE TRIGGER z_redundant BEFORE UPDATE ON tz FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TRIGGER a_freeze BEFORE UPDATE ON tz_1 FOR EACH ROW EXECUTE FUNCTION tz_freeze();
SELECT * FROM transfer_many(NULL::tz, '{1,2}', '{2,3}', '{10,10}');
\echo :SQLSTATE
SELECT id, balance FROM tz ORDER BY id;
DROP TABLE tz_1, tz;
DROP FUNCTION tz_freeze;
