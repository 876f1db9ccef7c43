-- transfer: triggers may watch, but what is stored must be what was computed.
\set SHOW_CONTEXT never
CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2), note text);
CREATE TABLE acct_log (n serial, event text, id integer, old numeric, new numeric);
INSERT INTO acct VALUES (1, 100), (2, 100), (3, 0);

-- triggers that watch: they see both updates, in id order, with the new values
CREATE FUNCTION acct_watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO acct_log (event, id, old, new) VALUES (TG_WHEN, OLD.id, OLD.balance, NEW.balance);
  RETURN NEW;
END $$;
CREATE TRIGGER watch_before BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_watch();
CREATE TRIGGER watch_after AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_watch();
SELECT * FROM transfer(NULL::acct, 2, 1, 10);
SELECT event, id, old, new FROM acct_log ORDER BY n;
-- a refused transfer fires none that lasts
SELECT * FROM transfer(NULL::acct, 3, 1, 10);
\echo :SQLSTATE
SELECT count(*) FROM acct_log;
TRUNCATE acct_log;
DROP TRIGGER watch_before ON acct;
DROP TRIGGER watch_after ON acct;

-- a trigger may set other columns: the rows come back with them
CREATE FUNCTION acct_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.note := 'was ' || OLD.balance;
  RETURN NEW;
END $$;
CREATE TRIGGER note BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_note();
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
DROP TRIGGER note ON acct;
-- also after the fact: the rows come back as they now are
CREATE FUNCTION acct_note_later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE acct SET note = 'later' WHERE id = NEW.id AND note IS DISTINCT FROM 'later';
  RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_note_later();
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
DROP TRIGGER note ON acct;
UPDATE acct SET note = NULL;

-- a BEFORE trigger that changes the balance of the payee, of the payer, to
-- NULL: 27000, and nothing is stored
CREATE FUNCTION acct_meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id = TG_ARGV[0]::integer THEN
    EXECUTE 'SELECT ' || TG_ARGV[1] INTO NEW.balance USING NEW.balance;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER meddle BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_meddle(2, '$1 - 0.01');
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 2, 1, 10);
\echo :SQLSTATE
-- other accounts are not concerned
SELECT * FROM transfer(NULL::acct, 1, 3, 10);
DROP TRIGGER meddle ON acct;
CREATE TRIGGER meddle BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_meddle(1, 'NULL::numeric');
SELECT * FROM transfer(NULL::acct, 2, 1, 10);
\echo :SQLSTATE
DROP TRIGGER meddle ON acct;
SELECT id, balance FROM acct ORDER BY id;
-- a trigger that is disabled, or is on something else, is none
CREATE TRIGGER meddle BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_meddle(1, '$1 + 1');
ALTER TABLE acct DISABLE TRIGGER meddle;
SELECT * FROM transfer(NULL::acct, 2, 1, 10);
DROP TRIGGER meddle ON acct;
CREATE TRIGGER meddle BEFORE INSERT ON acct FOR EACH ROW EXECUTE FUNCTION acct_meddle(1, '$1 + 1');
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
DROP TRIGGER meddle ON acct;

-- a trigger that changes the id: the row is gone from where it should be
CREATE FUNCTION acct_rename() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.id := NEW.id + 100;
  RETURN NEW;
END $$;
CREATE TRIGGER rename BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_rename();
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
DROP TRIGGER rename ON acct;

-- a trigger that suppresses an update, of one account or of both
CREATE FUNCTION acct_suppress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id >= TG_ARGV[0]::integer THEN RETURN NULL; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER suppress BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_suppress(2);
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 2, 1, 10);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 2, 3, 0.01);
\echo :SQLSTATE
DROP TRIGGER suppress ON acct;
-- suppress_redundant_updates_trigger() suppresses nothing here
CREATE TRIGGER redundant BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
DROP TRIGGER redundant ON acct;
SELECT id, balance FROM acct ORDER BY id;

-- an AFTER trigger that takes a fee, from the row itself or from the other one
CREATE FUNCTION acct_fee() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 AND (TG_LEVEL = 'STATEMENT' OR NEW.id <> 1) THEN
    UPDATE acct SET balance = balance - 0.50 WHERE id = TG_ARGV[0]::integer;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER fee AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_fee(2);
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 2, 1, 10);
\echo :SQLSTATE
DROP TRIGGER fee ON acct;
CREATE TRIGGER fee AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_fee(1);
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
DROP TRIGGER fee ON acct;
-- the same at the end of the statement
CREATE TRIGGER fee AFTER UPDATE ON acct FOR EACH STATEMENT EXECUTE FUNCTION acct_fee(1);
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 2, 3, 10);
DROP TRIGGER fee ON acct;
SELECT id, balance FROM acct ORDER BY id;
-- and by a constraint trigger
CREATE CONSTRAINT TRIGGER fee AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_fee(2);
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
DROP TRIGGER fee ON acct;
-- an AFTER trigger that deletes an account
CREATE FUNCTION acct_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM acct WHERE id = 1;
  RETURN NULL;
END $$;
CREATE TRIGGER delete AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_delete();
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
DROP TRIGGER delete ON acct;
SELECT id, balance FROM acct ORDER BY id;

-- a fee to a third account is the trigger's affair, not the transfer's
CREATE TRIGGER fee AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_fee(3);
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
DROP TRIGGER fee ON acct;
SELECT id, balance FROM acct ORDER BY id;
DROP TABLE acct;

-- Triggers of a partition, or of a child, that the table itself does not have
CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2)) PARTITION BY LIST (id);
CREATE TABLE acct_1 PARTITION OF acct FOR VALUES IN (1);
CREATE TABLE acct_2 PARTITION OF acct FOR VALUES IN (2, 3);
INSERT INTO acct VALUES (1, 100), (2, 100), (3, 100);
CREATE TRIGGER meddle BEFORE UPDATE ON acct_2 FOR EACH ROW EXECUTE FUNCTION acct_meddle(2, '$1 - 0.01');
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
DROP TRIGGER meddle ON acct_2;
CREATE TRIGGER fee AFTER UPDATE ON acct_2 FOR EACH ROW EXECUTE FUNCTION acct_fee(2);
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct_2, 3, 2, 10);
\echo :SQLSTATE
SELECT sum(balance) FROM acct;
DROP TABLE acct;
CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2));
CREATE TABLE acct_child () INHERITS (acct);
INSERT INTO acct VALUES (1, 100);
INSERT INTO acct_child VALUES (2, 100);
CREATE TRIGGER fee AFTER UPDATE ON acct_child FOR EACH ROW EXECUTE FUNCTION acct_fee(2);
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
SELECT sum(balance) FROM acct;
DROP TABLE acct_child, acct;

-- a trigger that calls transfer itself, on the same table
CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO acct VALUES (1, 100), (2, 100), (3, 0);
CREATE FUNCTION acct_tithe() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id = 2 AND NEW.balance > OLD.balance THEN
    PERFORM transfer(NULL::acct, 2, 3, 1);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tithe AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION acct_tithe();
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
SELECT id, balance FROM acct ORDER BY id;
DROP TABLE acct, acct_log;
DROP FUNCTION acct_watch, acct_note, acct_note_later, acct_meddle, acct_rename, acct_suppress, acct_fee, acct_delete, acct_tithe;

-- A foreign key that passes the balance on, to a table with a trigger that
-- changes accounts.
CREATE TABLE tt_ref (id int PRIMARY KEY, balance int, UNIQUE (id, balance));
INSERT INTO tt_ref VALUES (1, 100), (2, 100);
CREATE TABLE tt_copy (i int, b int, FOREIGN KEY (i, b) REFERENCES tt_ref (id, balance) ON UPDATE CASCADE);
INSERT INTO tt_copy VALUES (2, 100);
CREATE FUNCTION tt_give() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() < 2 THEN
		UPDATE tt_ref SET balance = balance + 50 WHERE id = 1;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER give AFTER UPDATE ON tt_copy FOR EACH ROW EXECUTE FUNCTION tt_give();
SELECT * FROM transfer(NULL::tt_ref, 1, 2, 10);
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::tt_ref, '{1}', '{2}', '{10}');
\echo :SQLSTATE
ALTER TABLE tt_copy DISABLE TRIGGER give;
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::tt_ref, 1, 2, 10);
SELECT * FROM tt_copy;
DROP TABLE tt_copy, tt_ref;
DROP FUNCTION tt_give;
