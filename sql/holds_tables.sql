--
-- Holds: the rules that name them, tables of the user's own, and what others do
-- to the tables
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA ht;
CREATE SCHEMA "other schema";
SET search_path = ht, public;

CREATE TABLE acct (id text PRIMARY KEY, held numeric, balance numeric NOT NULL, floor numeric, closed boolean);
INSERT INTO acct VALUES ('a', 0, 100), ('b', 0, 0), ('c', 0, 50);

-- Without the rule, nothing can be held.
SELECT create_journal('ht.j', NULL::acct, request_id_type => 'text');
SELECT * FROM hold_transfer(NULL::acct, 'a', 'b', 1, 'j');
SELECT * FROM post_transfer(NULL::acct, 'j', 1);
SELECT * FROM void_transfer(NULL::acct, 'j', 1);
SELECT expire_holds(NULL::acct, 'j');
SELECT status FROM transfer_many(NULL::acct, ARRAY['a'], ARRAY['b'], ARRAY[1], kinds => ARRAY['hold'], journal => 'j');

-- alter_journal makes the table of holds.
SELECT alter_journal('j', '{"held_column": "no"}');
SELECT alter_journal('j', '{"held_column": "closed"}');
SELECT alter_journal('j', '{"held_column": "balance"}');
SELECT alter_journal('j', '{"held_column": "held", "min_balance_column": "held"}');
SELECT alter_journal('j', '{"held_column": "held", "must_match": ["held"]}');
SELECT alter_journal('j', '{"held_column": "held", "holds": "ht.none"}');
SELECT alter_journal('j', '{"held_column": "held", "holds": "none"}');
SELECT alter_journal('j', '{"held_column": "held", "holds": 1}');
CREATE TABLE j_holds ();
SELECT alter_journal('j', '{"held_column": "held"}');
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'j_holds1'::regclass AND attname = 'from_id';
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'j'::regclass AND tgname = 'journal_guard';
SELECT entry->'id' AS id FROM hold_transfer(NULL::acct, 'a', 'b', 60, 'j');
-- A second time it is there, and stays.
SELECT alter_journal('j', '{"held_column": "held", "closed_column": "closed"}');
SELECT * FROM j_holds1;
-- Open holds must not be forgotten.
SELECT alter_journal('j', '{"held_column": null}');
SELECT alter_journal('j', '{"holds": "ht.j_holds"}');
SELECT alter_journal('j', '{"holds": null}');

-- Names that change
ALTER TABLE acct RENAME held TO "on hold";
SELECT * FROM transfer(NULL::acct, 'a', 'b', 1, journal => 'j');
SELECT alter_journal('j', '{"held_column": "on hold"}');
ALTER TABLE j_holds1 SET SCHEMA "other schema";
ALTER TABLE "other schema".j_holds1 RENAME TO "open holds";
SELECT * FROM transfer(NULL::acct, 'a', 'b', 1, journal => 'j');
SELECT * FROM verify_journal('j', NULL::acct);
SELECT alter_journal('j', '{"holds": "\"other schema\".\"open holds\""}');
SELECT amount FROM transfer(NULL::acct, 'a', 'b', 40, journal => 'j');
SELECT amount FROM transfer(NULL::acct, 'a', 'b', 1, journal => 'j');
SELECT from_account, amount FROM post_transfer(NULL::acct, 'j', 1, 20, final => false);
ALTER TABLE "other schema"."open holds" RENAME amount TO rest;
SELECT * FROM post_transfer(NULL::acct, 'j', 1, 20, final => false);
ALTER TABLE "other schema"."open holds" RENAME rest TO amount;
ALTER TABLE "other schema"."open holds" ALTER amount TYPE float8;
SELECT * FROM post_transfer(NULL::acct, 'j', 1, 20, final => false);
ALTER TABLE "other schema"."open holds" ALTER amount TYPE numeric;
ALTER TABLE "other schema"."open holds" ALTER to_id TYPE integer USING 1;
SELECT * FROM post_transfer(NULL::acct, 'j', 1, 20, final => false);
ALTER TABLE "other schema"."open holds" ALTER to_id TYPE varchar USING 'b';
ALTER TABLE "other schema"."open holds" SET UNLOGGED;
SELECT * FROM post_transfer(NULL::acct, 'j', 1, 20, final => false);
ALTER TABLE "other schema"."open holds" SET LOGGED;

-- Held amounts that are none
UPDATE acct SET "on hold" = NULL WHERE id = 'a';
SELECT * FROM transfer(NULL::acct, 'a', 'b', 1, journal => 'j');
SELECT * FROM transfer(NULL::acct, 'b', 'a', 1, journal => 'j');
SELECT * FROM void_transfer(NULL::acct, 'j', 1);
UPDATE acct SET "on hold" = 'NaN' WHERE id = 'a';
SELECT * FROM hold_transfer(NULL::acct, 'a', 'b', 1, 'j');
UPDATE acct SET "on hold" = -1 WHERE id = 'a';
SELECT status FROM transfer_many(NULL::acct, ARRAY['a', 'b'], ARRAY['b', 'c'], ARRAY[1, 1], on_error => 'report', journal => 'j');
UPDATE acct SET "on hold" = 39 WHERE id = 'a';
SELECT * FROM void_transfer(NULL::acct, 'j', 1);
SELECT * FROM post_transfer(NULL::acct, 'j', 1);
SELECT * FROM verify_journal('j', NULL::acct) WHERE problem NOT IN ('no_entries', 'balance_gap');
UPDATE acct SET "on hold" = 40 WHERE id = 'a';

-- Accounts that are closed: what is held is let go of, and nothing else.
UPDATE acct SET closed = true WHERE id = 'b';
SELECT * FROM post_transfer(NULL::acct, 'j', 1);
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j');
UPDATE acct SET closed = true WHERE id = 'a';
SELECT from_account, amount FROM void_transfer(NULL::acct, 'j', 1);
UPDATE acct SET closed = NULL;

-- Triggers
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW."on hold" := NEW."on hold" + 1;
	RETURN NEW;
END
$$;
CREATE TRIGGER change BEFORE UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION change();
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j');
SELECT * FROM transfer(NULL::acct, 'c', 'b', 1, journal => 'j');
SELECT * FROM transfer_many(NULL::acct, ARRAY['c'], ARRAY['b'], ARRAY[1], kinds => ARRAY['hold'], journal => 'j');
DROP TRIGGER change ON acct;
CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT entry->>'id' AS hold FROM hold_transfer(NULL::acct, 'c', 'b', 10, 'j') \gset
CREATE TRIGGER suppress BEFORE INSERT OR UPDATE OR DELETE ON "other schema"."open holds" FOR EACH ROW EXECUTE FUNCTION suppress();
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j');
SELECT * FROM post_transfer(NULL::acct, 'j', :hold, 1, final => false);
SELECT * FROM void_transfer(NULL::acct, 'j', :hold);
DROP TRIGGER suppress ON "other schema"."open holds";
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_TABLE_NAME = 'acct' AND pg_trigger_depth() = 1 THEN
		PERFORM ht.void_or_post(NEW.id);
	END IF;
	RETURN NULL;
END
$$;
CREATE FUNCTION void_or_post(text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.void_transfer(NULL::ht.acct, 'ht.j', entry_id) FROM "other schema"."open holds" WHERE from_id = $1;
END
$$;
-- The hold that is posted is voided by a trigger of the account.
CREATE TRIGGER again AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION again();
SELECT * FROM post_transfer(NULL::acct, 'j', :hold, 4, final => false);
SELECT status FROM transfer_many(NULL::acct, ARRAY[NULL]::text[], ARRAY[NULL]::text[], ARRAY[4], kinds => ARRAY['post'],
	entry_ids => ARRAY[:hold], final => ARRAY[false], journal => 'j');
SELECT * FROM void_transfer(NULL::acct, 'j', :hold);
DROP TRIGGER again ON acct;
-- Triggers of the table of holds that undo what was done, or more
CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	CASE TG_OP
	WHEN 'INSERT' THEN DELETE FROM "other schema"."open holds" WHERE entry_id = NEW.entry_id;
	WHEN 'DELETE' THEN INSERT INTO "other schema"."open holds" SELECT OLD.*;
	ELSE UPDATE ht.acct SET "on hold" = "on hold" + 1 WHERE id = NEW.from_id;
	END CASE;
	RETURN NULL;
END
$$;
CREATE TRIGGER undo AFTER INSERT OR UPDATE OR DELETE ON "other schema"."open holds"
	FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION undo();
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j');
SELECT * FROM post_transfer(NULL::acct, 'j', :hold, 1, final => false);
SELECT * FROM void_transfer(NULL::acct, 'j', :hold);
DROP TRIGGER undo ON "other schema"."open holds";
SELECT * FROM "other schema"."open holds";
SELECT from_account, amount FROM post_transfer(NULL::acct, 'j', :hold, 4, final => false);

-- Privileges: those on the tables, as in SQL
CREATE ROLE regress_racefree_ht;
GRANT USAGE ON SCHEMA ht, "other schema" TO regress_racefree_ht;
GRANT SELECT, UPDATE (balance, "on hold") ON acct TO regress_racefree_ht;
GRANT SELECT, INSERT ON j TO regress_racefree_ht;
SET ROLE regress_racefree_ht;
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j');
SELECT * FROM void_transfer(NULL::acct, 'j', :hold);
RESET ROLE;
GRANT SELECT ON "other schema"."open holds" TO regress_racefree_ht;
SET ROLE regress_racefree_ht;
-- Enough for transfers
SELECT amount FROM transfer(NULL::acct, 'c', 'b', 1, journal => 'j');
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j');
SELECT * FROM void_transfer(NULL::acct, 'j', :hold);
RESET ROLE;
GRANT INSERT, UPDATE (amount), DELETE ON "other schema"."open holds" TO regress_racefree_ht;
SET ROLE regress_racefree_ht;
SELECT amount FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j');
SELECT amount FROM post_transfer(NULL::acct, 'j', :hold, 1, final => false);
SELECT amount FROM void_transfer(NULL::acct, 'j', :hold);
RESET ROLE;

-- Row-level security that hides a hold, or its entry
ALTER TABLE "other schema"."open holds" ENABLE ROW LEVEL SECURITY;
SELECT entry->>'id' AS hold FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j') \gset
SET ROLE regress_racefree_ht;
SELECT * FROM void_transfer(NULL::acct, 'j', :hold);
RESET ROLE;
ALTER TABLE "other schema"."open holds" DISABLE ROW LEVEL SECURITY;
ALTER TABLE j ENABLE ROW LEVEL SECURITY;
SET ROLE regress_racefree_ht;
SELECT * FROM post_transfer(NULL::acct, 'j', 1);
RESET ROLE;
ALTER TABLE j DISABLE ROW LEVEL SECURITY;

-- What verify_journal tells of holds
SELECT * FROM verify_journal('j', NULL::acct);
BEGIN;
UPDATE "other schema"."open holds" SET amount = amount + 1;
SELECT * FROM verify_journal('j', NULL::acct);
ROLLBACK;
BEGIN;
UPDATE "other schema"."open holds" SET to_id = 'a';
SELECT * FROM verify_journal('j', NULL::acct);
ROLLBACK;
BEGIN;
UPDATE "other schema"."open holds" SET expires_at = '2000-01-01';
SELECT * FROM verify_journal('j', NULL::acct);
ROLLBACK;
BEGIN;
UPDATE "other schema"."open holds" SET entry_id = entry_id + 1000;
SELECT problem, expected, found FROM verify_journal('j', NULL::acct);
ROLLBACK;
BEGIN;
UPDATE acct SET "on hold" = "on hold" + 1 WHERE id <> 'b';
SELECT * FROM verify_journal('j', NULL::acct);
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM j WHERE id = :hold;
SELECT problem, expected, found FROM verify_journal('j', NULL::acct);
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE j SET amount = amount + 1 WHERE kind = 'void' AND settles = 1;
SELECT problem, expected, found FROM verify_journal('j', NULL::acct);
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE j SET to_id = 'a' WHERE kind = 'void' AND settles = 1;
SELECT problem, expected, found FROM verify_journal('j', NULL::acct);
ROLLBACK;
BEGIN;
INSERT INTO j (kind, from_id, to_id, amount, from_balance, settles) SELECT 'void', from_id, to_id, 1, 0, 1 FROM j WHERE id = 1;
INSERT INTO j (kind, from_id, to_id, amount, from_balance, to_balance) SELECT 'post', from_id, to_id, 1, 0, 0 FROM j WHERE id = 1;
SELECT problem, expected, found FROM verify_journal('j', NULL::acct) WHERE problem NOT LIKE 'balance%';
ROLLBACK;

BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE j SET kind = 'gift' WHERE id = 2;
SELECT * FROM verify_journal('j', NULL::acct);
ROLLBACK;

-- What the journal says of the time
SELECT balance_at('j', 'a', 'infinity'), balance_at('j', 'b', 'infinity'), balance_at('j', 'c', 'infinity');
SELECT balance_at('j', 'a', '-infinity'), balance_at('j', 'b', '-infinity'), balance_at('j', 'c', '-infinity');

-- Off, when nothing is open, and on again
SELECT count(*) FROM "other schema"."open holds" AS h, void_transfer(NULL::acct, 'j', h.entry_id);
SELECT alter_journal('j', '{"held_column": null}');
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j');
SELECT alter_journal('j', '{"held_column": "on hold"}');
SELECT amount FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'j');

--
-- Tables of one's own: holds need some columns.
--
CREATE TABLE own (from_id text, to_id text, amount numeric, request_id text UNIQUE);
SELECT guard_journal('own');
SELECT alter_journal('own', '{"held_column": "on hold"}');
SELECT amount, entry FROM transfer(NULL::acct, 'c', 'b', 1, journal => 'own');
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'own');
ALTER TABLE own ADD kind text;
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'own');
ALTER TABLE own ADD settles integer;
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'own');
ALTER TABLE own ADD id serial;
SELECT entry FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'own');
SELECT * FROM hold_transfer(NULL::acct, 'c', 'b', 1, 'own', expires_at => '2999-01-01');
ALTER TABLE own ADD chain_id integer, ADD expires_at timestamptz;
SELECT entry FROM post_transfer(NULL::acct, 'own', 2, 0.5);
SELECT status FROM transfer_many(NULL::acct, ARRAY['c', 'c'], ARRAY['b', 'b'], ARRAY[1, 1], kinds => ARRAY['hold', 'transfer'],
	chains => ARRAY[1, 1], journal => 'own');
SELECT id, kind, amount, settles, chain_id FROM own ORDER BY id;

-- Columns of the user's own: those of an expiry are the transfer's that needs the
-- funds, or those that expire_holds is given.
CREATE TABLE own_acct (id integer PRIMARY KEY, balance numeric NOT NULL, held numeric NOT NULL DEFAULT 0);
INSERT INTO own_acct VALUES (1, 100), (2, 0);
SELECT create_journal('ht.own_j', NULL::own_acct, held_column => 'held');
ALTER TABLE own_j ADD tenant text NOT NULL;
CREATE FUNCTION ht.late(expires timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	UPDATE ht.own_j SET expires_at = expires WHERE kind = 'hold';
	UPDATE ht.own_j_holds SET expires_at = expires;
	SET LOCAL session_replication_role = origin;
END
$$;
SELECT amount FROM hold_transfer(NULL::own_acct, 1, 2, 60, 'own_j', columns => '{"tenant": "t"}', expires_at => '2999-01-01');
SELECT amount FROM hold_transfer(NULL::own_acct, 1, 2, 30, 'own_j', columns => '{"tenant": "t"}');
SELECT late('2000-01-01') FROM own_j_holds LIMIT 1;
\set VERBOSITY terse
SELECT expire_holds(NULL::own_acct, 'own_j');
\set VERBOSITY default
SELECT expire_holds(NULL::own_acct, 'own_j', 1, columns => '{"tenant": "u"}');
SELECT amount FROM transfer(NULL::own_acct, 1, 2, 80, journal => 'own_j', columns => '{"tenant": "v"}');
SELECT kind, amount, tenant FROM own_j ORDER BY id;
SELECT * FROM verify_journal('own_j', NULL::own_acct);

-- A table of holds with its columns in another order, and some that are none
CREATE TABLE swapped (amount numeric NOT NULL, to_id integer NOT NULL, from_id bigint NOT NULL, expires_at timestamptz, entry_id bigint PRIMARY KEY);
SELECT alter_journal('own_j', '{"holds": "ht.swapped"}');
SELECT status FROM transfer_many(NULL::own_acct, ARRAY[1, 1], ARRAY[2, 2], ARRAY[1, 2], kinds => ARRAY['hold', 'hold'], journal => 'own_j',
	columns => '{"tenant": "w"}');
SELECT entry_id IS NOT NULL AS entry, from_id, to_id, amount, expires_at FROM swapped ORDER BY amount;
SELECT t.amount FROM swapped AS h, void_transfer(NULL::own_acct, 'own_j', h.entry_id, columns => '{"tenant": "w"}') AS t ORDER BY 1;
SELECT * FROM verify_journal('own_j', NULL::own_acct);
CREATE TABLE rounds (LIKE swapped);
ALTER TABLE rounds ALTER amount TYPE numeric(10,1);
SELECT alter_journal('own_j', '{"holds": "ht.rounds"}');
SELECT alter_journal('own_j', '{"holds": "ht.own_acct"}');
SELECT alter_journal('own_j', '{"held_column": "id"}');
ALTER TABLE swapped RENAME amount TO gone;
SELECT alter_journal('own_j', '{"opening": null}');
SELECT amount FROM hold_transfer(NULL::own_acct, 1, 2, 1, 'own_j', columns => '{"tenant": "w"}');
SELECT alter_journal('own_j', '{"holds": null}');
SELECT amount FROM hold_transfer(NULL::own_acct, 1, 2, 1, 'own_j', columns => '{"tenant": "w"}');
ALTER TABLE own_j_holds1 RENAME TO lost;
SELECT alter_journal('own_j', '{"opening": null}');
SELECT amount FROM hold_transfer(NULL::own_acct, 1, 2, 1, 'own_j', columns => '{"tenant": "w"}');
SELECT alter_journal('own_j', '{"holds": "ht.lost"}');
-- Two holds of one id
BEGIN;
ALTER TABLE own_j DROP CONSTRAINT own_j_pkey CASCADE;
INSERT INTO own_j (id, kind, from_id, to_id, amount, from_balance, tenant) OVERRIDING SYSTEM VALUE
	SELECT id, kind, from_id, to_id, amount, from_balance, tenant FROM own_j WHERE id = (SELECT entry_id FROM lost);
SELECT problem, expected, found FROM verify_journal('own_j', NULL::own_acct);
ROLLBACK;

-- A unique column is given once.
ALTER TABLE own_j ADD ref text UNIQUE;
SELECT entry->>'id' AS hold FROM hold_transfer(NULL::own_acct, 1, 2, 2, 'own_j', columns => '{"tenant": "w", "ref": "r1"}') \gset
SELECT amount FROM post_transfer(NULL::own_acct, 'own_j', :hold, 1, columns => '{"tenant": "w", "ref": "r2"}');
SELECT kind, amount, tenant, ref FROM own_j WHERE settles = :hold ORDER BY id;
-- An identity that is always generated is not given with the ids of chains.
BEGIN;
ALTER TABLE own_j ADD seq integer GENERATED ALWAYS AS IDENTITY;
SELECT status FROM transfer_many(NULL::own_acct, ARRAY[1], ARRAY[2], ARRAY[1], journal => 'own_j', chains => ARRAY[1],
	columns => '{"tenant": "w", "seq": 77}');
ROLLBACK;
-- Another column of held amounts, while holds are open
ALTER TABLE own_acct ADD held2 numeric NOT NULL DEFAULT 0;
SELECT alter_journal('own_j', '{"held_column": "held2"}');
SELECT alter_journal('own_j', '{"min_balance_column": "held"}');
SELECT alter_journal('own_j', '{"min_balance_column": "held2"}');
SELECT alter_journal('own_j', '{"min_balance_column": null}');

-- Policies that hide the entry of a hold hide the hold.
GRANT SELECT, INSERT ON own_j TO regress_racefree_ht;
GRANT SELECT, UPDATE ON own_acct TO regress_racefree_ht;
GRANT ALL ON lost TO regress_racefree_ht;
ALTER TABLE own_j ENABLE ROW LEVEL SECURITY;
CREATE POLICY other ON own_j TO regress_racefree_ht USING (tenant <> 'w') WITH CHECK (true);
SET ROLE regress_racefree_ht;
SELECT amount FROM post_transfer(NULL::own_acct, 'own_j', (SELECT entry_id FROM lost), 0.5, final => false, columns => '{"tenant": "x"}');
SELECT status FROM transfer_many(NULL::own_acct, ARRAY[NULL]::integer[], ARRAY[NULL]::integer[], ARRAY[NULL]::numeric[],
	kinds => ARRAY['void'], entry_ids => ARRAY[(SELECT entry_id FROM lost)], on_error => 'report', journal => 'own_j');
RESET ROLE;
ALTER POLICY other ON own_j USING (true);
SET ROLE regress_racefree_ht;
SELECT amount FROM post_transfer(NULL::own_acct, 'own_j', (SELECT entry_id FROM lost), 0.5, final => false, columns => '{"tenant": "x"}');
RESET ROLE;

-- Triggers that change who is paid, or when it is over
CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.to_id := 1;
	RETURN NEW;
END
$$;
CREATE TRIGGER elsewhere BEFORE INSERT OR UPDATE ON lost FOR EACH ROW EXECUTE FUNCTION elsewhere();
SELECT amount FROM hold_transfer(NULL::own_acct, 1, 2, 1, 'own_j', columns => '{"tenant": "w"}');
SELECT amount FROM post_transfer(NULL::own_acct, 'own_j', (SELECT entry_id FROM lost), 0.1, final => false, columns => '{"tenant": "x"}');
DROP TRIGGER elsewhere ON lost;

-- What transfers need where nothing is held
CREATE ROLE regress_racefree_ht2;
GRANT USAGE ON SCHEMA ht TO regress_racefree_ht2;
GRANT SELECT, UPDATE ON own_acct TO regress_racefree_ht2;
GRANT SELECT, INSERT ON own_j TO regress_racefree_ht2;
ALTER TABLE own_j DISABLE ROW LEVEL SECURITY;
SET ROLE regress_racefree_ht2;
SELECT amount FROM transfer(NULL::own_acct, 2, 1, 1, journal => 'own_j', columns => '{"tenant": "x"}');
SELECT amount FROM transfer(NULL::own_acct, 2, 1, 1000, journal => 'own_j', columns => '{"tenant": "x"}');
SELECT amount FROM transfer(NULL::own_acct, 1, 2, 1000, journal => 'own_j', columns => '{"tenant": "x"}');
RESET ROLE;
SELECT balance_at('own_j', 1, '-infinity'), balance_at('own_j', 2, '-infinity');

-- Partitioned journals and accounts
CREATE TABLE parted (id integer PRIMARY KEY, balance bigint NOT NULL, held bigint NOT NULL DEFAULT 0) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted (id, balance) VALUES (1, 100), (11, 0);
SELECT create_journal('ht.parted_j', NULL::parted, partition_by => 'RANGE (created_at)', held_column => 'held');
CREATE TABLE parted_j_all PARTITION OF parted_j DEFAULT;
SELECT entry->>'id' AS hold FROM hold_transfer(NULL::parted, 1, 11, 30, 'parted_j', expires_at => '2999-01-01') \gset
SELECT from_account, to_account, amount FROM post_transfer(NULL::parted, 'parted_j', :hold, 20);
SELECT * FROM hold_transfer(NULL::parted, 1, 11, 0.5, 'parted_j');
SELECT * FROM verify_journal('parted_j', NULL::parted, opening => 0) WHERE problem <> 'opening_differs';

-- Temporary and unlogged ones
CREATE TEMPORARY TABLE quick (id integer PRIMARY KEY, balance integer, held integer);
INSERT INTO quick VALUES (1, 100, 0), (2, 0, 0);
SELECT create_journal('pg_temp.quick_j', NULL::quick, held_column => 'held') IS NOT NULL AS created;
SELECT amount FROM hold_transfer(NULL::quick, 1, 2, 30, 'quick_j');
CREATE UNLOGGED TABLE fast (id integer PRIMARY KEY, balance integer, held integer);
SELECT create_journal('ht.fast_j', NULL::fast, held_column => 'held');
SELECT relname, relpersistence FROM pg_class WHERE relname IN ('quick_j_holds', 'fast_j_holds') ORDER BY 1;

DROP SCHEMA ht, "other schema" CASCADE;
DROP ROLE regress_racefree_ht, regress_racefree_ht2;
