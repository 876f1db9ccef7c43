-- Rules that live with the journal: each account's own floor and ceiling, what
-- closes an account, columns that must match, the balance to begin with. No
-- caller can forget them, and what a call gives besides can only be narrower.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE jr_acct (
  id integer PRIMARY KEY,
  balance numeric(12,2) NOT NULL,
  floor numeric,
  ceiling bigint,
  closed boolean,
  currency text NOT NULL DEFAULT 'EUR',
  tenant integer);
-- 1 is a bank without a floor; 5 is closed; 6 has another currency
INSERT INTO jr_acct (id, balance, floor, ceiling, closed, currency) VALUES (1, 0, NULL, NULL, NULL, 'EUR'), (2, 100, 0, 150, false, 'EUR'),
  (3, 100, 20, 300, NULL, 'EUR'), (4, 0, -50, 100, NULL, 'EUR'), (5, 100, 0, 200, true, 'EUR'), (6, 100, 0, 200, false, 'USD');
SELECT create_journal('jr', NULL::jr_acct, request_id_type => 'text', min_balance_column => 'floor',
  max_balance_column => 'ceiling', closed_column => 'closed', must_match => '{currency}', opening => 100.00);
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'jr'::regclass AND tgname = 'journal_guard';

-- a call without limits: the account's own, which NULL is none of
SELECT (from_account).balance FROM transfer(NULL::jr_acct, 1, 2, 50, journal => 'jr', request_id => 'a');
\set VERBOSITY default
SELECT transfer(NULL::jr_acct, 1, 2, 0.01, journal => 'jr');
\echo :SQLSTATE
SELECT transfer(NULL::jr_acct, 3, 4, 80.01, journal => 'jr');
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::jr_acct, 3, 4, 80.01, journal => 'jr', up_to => true);
SELECT transfer(NULL::jr_acct, 3, 4, 1, journal => 'jr', up_to => true);
\echo :SQLSTATE
SELECT transfer(NULL::jr_acct, 2, 5, 1, journal => 'jr');
\echo :SQLSTATE
SELECT transfer(NULL::jr_acct, 5, 2, 1, journal => 'jr');
\echo :SQLSTATE
SELECT transfer(NULL::jr_acct, 2, 6, 1, journal => 'jr');
\echo :SQLSTATE
\set VERBOSITY terse
-- by the account's own floor a balance may be negative
SELECT (from_account).balance FROM transfer(NULL::jr_acct, 4, 3, 130, journal => 'jr');
SELECT transfer(NULL::jr_acct, 4, 3, 0.01, journal => 'jr');
-- what a call gives can only be narrower
SELECT transfer(NULL::jr_acct, 4, 3, 0.01, '-Infinity', journal => 'jr');
SELECT transfer(NULL::jr_acct, 4, 3, 0.01, -1000, journal => 'jr');
SELECT transfer(NULL::jr_acct, 2, 3, 100.01, 50, journal => 'jr');
SELECT transfer(NULL::jr_acct, 1, 3, 0.01, 0, journal => 'jr');
SELECT (from_account).balance FROM transfer(NULL::jr_acct, 1, 3, 0.01, -100, journal => 'jr');
SELECT (from_account).balance FROM transfer(NULL::jr_acct, 1, 3, 0.01, '-Infinity', journal => 'jr');
SELECT transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr', max_balance => 150.02);
SELECT transfer(NULL::jr_acct, 1, 3, 150, journal => 'jr', max_balance => 1000);
SELECT transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr', max_balance => 'Infinity', must_match => '{}') IS NULL AS fails;
UPDATE jr_acct SET tenant = id % 2;
SELECT transfer(NULL::jr_acct, 1, 2, 1, journal => 'jr', must_match => '{tenant}');
SELECT transfer(NULL::jr_acct, 2, 6, 1, journal => 'jr', must_match => '{tenant}');
SELECT transfer(NULL::jr_acct, 2, 6, 1, journal => 'jr', must_match => '{}');
-- a limit that is no number is an error, and never no limit
SELECT transfer(NULL::jr_acct, 2, 3, 1, 'NaN', journal => 'jr');
SELECT transfer(NULL::jr_acct, 2, 3, 1, 'Infinity', journal => 'jr');
BEGIN;
UPDATE jr_acct SET floor = 'NaN' WHERE id = 2;
\set VERBOSITY default
SELECT transfer(NULL::jr_acct, 2, 3, 1, journal => 'jr');
\echo :SQLSTATE
\set VERBOSITY terse
ROLLBACK;
BEGIN;
ALTER TABLE jr_acct ALTER ceiling TYPE numeric;
UPDATE jr_acct SET ceiling = CASE id WHEN 3 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE 'Infinity' END::numeric;
UPDATE jr_acct SET floor = '-Infinity' WHERE id = 4;
SELECT ordinality, status FROM transfer_many(NULL::jr_acct, '{1,1,1,4}', '{2,3,4,1}', '{1,1,1e9,1e9}', journal => 'jr', on_error => 'report');
UPDATE jr_acct SET floor = 'Infinity' WHERE id = 1;
SELECT transfer(NULL::jr_acct, 1, 4, 1, journal => 'jr');
ROLLBACK;

-- a reversal keeps to the rules, a replay is one whatever they say now
UPDATE jr_acct SET closed = true WHERE id = 2;
SELECT amount, replayed FROM transfer(NULL::jr_acct, 1, 2, 50, journal => 'jr', request_id => 'a');
SELECT reverse_transfer(NULL::jr_acct, 'jr', 1);
UPDATE jr_acct SET closed = NULL, floor = 140 WHERE id = 2;
SELECT reverse_transfer(NULL::jr_acct, 'jr', 1);
SELECT amount FROM reverse_transfer(NULL::jr_acct, 'jr', 1, up_to => true);
UPDATE jr_acct SET floor = 0 WHERE id = 2;

-- a batch: each account has its own limits, so that a bank and its customers
-- can be in one chain
SELECT * FROM transfer_many(NULL::jr_acct, '{1,2,1,3,4,2,5,2,6}', '{2,3,2,2,1,5,2,6,2}', '{5,145,150,1,1,1,1,1,1}', journal => 'jr',
  chains => '{1,1,1,NULL,NULL,NULL,NULL,NULL,NULL}', on_error => 'report');
SELECT * FROM transfer_many(NULL::jr_acct, '{1,2,1}', '{2,3,2}', '{0,151,1}', journal => 'jr', on_error => 'report', chains => '{1,1,1}');
SELECT * FROM transfer_many(NULL::jr_acct, '{1}', '{2}', '{1}', journal => 'jr');
SELECT id, balance FROM jr_acct ORDER BY id;
-- which status comes first: not found, closed, mismatch, balance, funds
INSERT INTO jr_acct VALUES (7, 0, 0, 0, true, 'USD'), (8, 0, 0, 0, true, 'GBP');
SELECT ordinality, status FROM transfer_many(NULL::jr_acct, '{7,99,7,8,2}', '{99,7,8,7,7}', '{1,1,1,1,1000}', journal => 'jr', on_error => 'report');
\set VERBOSITY default
SELECT transfer(NULL::jr_acct, 8, 7, 1, journal => 'jr');
SELECT transfer(NULL::jr_acct, 7, 8, 1, journal => 'jr');
\set VERBOSITY terse
DELETE FROM jr_acct WHERE id IN (7, 8);

-- without the journal its rules do not count: it has to be named
BEGIN;
SELECT (from_account).balance FROM transfer(NULL::jr_acct, 6, 5, 1);
SELECT transfer(NULL::jr_acct, 1, 5, 1);
ROLLBACK;

-- the balance to begin with
SELECT account_id, problem, expected, found FROM verify_journal('jr', NULL::jr_acct) ORDER BY 1, 2;
SELECT account_id, problem, expected, found FROM verify_journal('jr', NULL::jr_acct, opening => 0) ORDER BY 1, 2;

-- closed from a moment on, by the clock
CREATE TABLE jr_time (id integer PRIMARY KEY, balance integer, until timestamptz);
INSERT INTO jr_time VALUES (1, 100, NULL), (2, 100, 'infinity'), (3, 100, '-infinity'), (4, 100, now() - interval '1 hour'),
  (5, 100, now() + interval '1 hour');
SELECT create_journal('jrt', NULL::jr_time, closed_column => 'until');
SELECT ordinality, status FROM transfer_many(NULL::jr_time, '{1,1,3,1,4,5}', '{2,3,1,4,1,1}', '{1,1,1,1,1,1}', journal => 'jrt', on_error => 'report');
SELECT (to_account).balance FROM transfer(NULL::jr_time, 1, 5, 1, journal => 'jrt');
-- of a floor that no rule names, 0 is the default
SELECT transfer(NULL::jr_time, 1, 5, 1000, journal => 'jrt');
SELECT (from_account).balance FROM transfer(NULL::jr_time, 1, 5, 1000, '-Infinity', journal => 'jrt');
-- in the middle of a transaction, not when that began
BEGIN;
SELECT count(pg_sleep(0.01)) AS later;
UPDATE jr_time SET until = clock_timestamp() WHERE id = 5 RETURNING now() < until AS after_the_beginning;
SELECT transfer(NULL::jr_time, 2, 5, 1, journal => 'jrt');
ROLLBACK;
DROP TABLE jr_time, jrt;

-- alter_journal: what it names changes, what it does not name stays
SELECT alter_journal('jr', '{"min_balance_column": null, "must_match": ["currency", "tenant"], "opening": 0}');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'jr'::regclass AND tgname = 'journal_guard';
SELECT transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr');
SELECT transfer(NULL::jr_acct, 1, 2, 1, '-Infinity', journal => 'jr');
SELECT (from_account).balance < 0 AS below FROM transfer(NULL::jr_acct, 1, 3, 1, '-Infinity', journal => 'jr');
SELECT alter_journal('jr', '{}');
SELECT alter_journal('jr', '{"must_match": []}');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'jr'::regclass AND tgname = 'journal_guard';
-- a guard that fires in other cases goes on to do so
ALTER TABLE jr ENABLE ALWAYS TRIGGER journal_guard;
SELECT alter_journal('jr', '{"min_balance_column": "floor", "opening": null}');
SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'jr'::regclass AND tgname = 'journal_guard';
ALTER TABLE jr DISABLE TRIGGER journal_guard;
SELECT alter_journal('jr', '{"must_match": ["currency"]}');
SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'jr'::regclass AND tgname = 'journal_guard';
SELECT transfer(NULL::jr_acct, 2, 6, 1, journal => 'jr');
ALTER TABLE jr ENABLE TRIGGER journal_guard;
DELETE FROM jr;

-- what it does not take
SELECT alter_journal(NULL, '{}');
SELECT alter_journal('jr', NULL);
SELECT alter_journal('jr', '[]');
SELECT alter_journal('jr', '1');
\set VERBOSITY default
SELECT alter_journal('jr', '{"accounts": "jr_acct"}');
SELECT alter_journal('jr', '{"closed_column": 1}');
SELECT alter_journal('jr', '{"opening": "1"}');
SELECT alter_journal('jr', '{"must_match": "currency"}');
SELECT alter_journal('jr', '{"must_match": ["currency", null]}');
SELECT alter_journal('jr', '{"min_balance_column": "nope"}');
SELECT alter_journal('jr', '{"min_balance_column": "ctid"}');
SELECT alter_journal('jr', '{"min_balance_column": "tenants", "must_match": ["nope"]}');
SELECT alter_journal('jr', '{"min_balance_column": "currency"}');
SELECT alter_journal('jr', '{"min_balance_column": "balance"}');
SELECT alter_journal('jr', '{"closed_column": "currency"}');
SELECT alter_journal('jr_acct', '{}');
SELECT create_journal('jr_no', NULL::jr_acct, min_balance_column => 'nope');
SELECT create_journal('jr_no', NULL::jr_acct, max_balance_column => 'closed');
SELECT create_journal('jr_no', NULL::jr_acct, closed_column => 'floor');
SELECT create_journal('jr_no', NULL::jr_acct, must_match => '{balance}');
SELECT create_journal('jr_no', NULL::jr_acct, must_match => '{currency,NULL}');
SELECT create_journal('jr_no', NULL::jr_acct, opening => 'NaN');
SELECT create_journal('jr_no', NULL::jr_acct, opening => '-Infinity');
CREATE TABLE jr_bare (from_id integer, to_id integer, amount numeric);
SELECT alter_journal('jr_bare', '{"opening": 1}');
BEGIN READ ONLY;
SELECT alter_journal('jr', '{"opening": 1}');
ROLLBACK;
\set VERBOSITY terse
-- an argument that no rule can have
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON jr_bare FOR EACH ROW EXECUTE FUNCTION journal_guard('opening=much');
SELECT transfer(NULL::jr_acct, 2, 3, 1, journal => 'jr_bare');
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE OR DELETE ON jr_bare FOR EACH ROW EXECUTE FUNCTION journal_guard('must_match=');
SELECT transfer(NULL::jr_acct, 2, 3, 1, journal => 'jr_bare');
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE OR DELETE ON jr_bare FOR EACH ROW EXECUTE FUNCTION journal_guard('must_match=a,,b');
SELECT transfer(NULL::jr_acct, 2, 3, 1, journal => 'jr_bare');

-- a journal of one's own, open to any accounts: calls check the columns
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE OR DELETE ON jr_bare FOR EACH ROW EXECUTE FUNCTION journal_guard();
SELECT alter_journal('jr_bare', '{"min_balance_column": "Floor", "must_match": ["Curr, \"ency", "b"]}');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'jr_bare'::regclass;
\set VERBOSITY default
SELECT transfer(NULL::jr_acct, 2, 3, 1, journal => 'jr_bare');
SELECT alter_journal('jr_bare', '{"min_balance_column": "floor"}');
SELECT transfer(NULL::jr_acct, 2, 3, 1, journal => 'jr_bare');
SELECT alter_journal('jr_bare', '{"must_match": null, "min_balance_column": "balance"}');
SELECT transfer(NULL::jr_acct, 2, 3, 1, journal => 'jr_bare');
SELECT alter_journal('jr_bare', '{"min_balance_column": "floor"}');
\set VERBOSITY terse
SELECT transfer(NULL::jr_acct, 3, 2, 1000, journal => 'jr_bare');
SELECT amount FROM transfer(NULL::jr_acct, 3, 2, 1, journal => 'jr_bare');
-- two guards that contradict each other
CREATE TRIGGER guard_2 BEFORE UPDATE OR DELETE ON jr_bare FOR EACH ROW EXECUTE FUNCTION journal_guard('min_balance_column=ceiling', 'closed_column=closed');
\set VERBOSITY default
SELECT transfer(NULL::jr_acct, 3, 2, 1, journal => 'jr_bare');
\set VERBOSITY terse
SELECT alter_journal('public.jr_bare', '{}');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'jr_bare'::regclass ORDER BY tgname;
DROP TABLE jr_bare;

-- columns that change between two calls of a session
SELECT alter_journal('jr', '{"must_match": ["currency"], "min_balance_column": "floor", "opening": 100}');
SELECT amount FROM transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr');
ALTER TABLE jr_acct RENAME floor TO "the ""floor""";
\set VERBOSITY default
SELECT transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::jr_acct, '{1}', '{3}', '{1}', journal => 'jr', on_error => 'report');
SELECT alter_journal('public.jr', '{"min_balance_column": "the \"floor\""}');
SELECT transfer(NULL::jr_acct, 3, 1, 1000, journal => 'jr');
ALTER TABLE jr_acct RENAME "the ""floor""" TO floor;
ALTER TABLE jr_acct DROP COLUMN currency;
SELECT alter_journal('public.jr', '{"min_balance_column": "floor"}');
SELECT transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr');
SELECT count(*) > 0 AS verified FROM verify_journal('jr', NULL::jr_acct);
SELECT alter_journal('public.jr', '{"must_match": null}');
SELECT amount FROM transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr');
ALTER TABLE jr_acct ALTER floor TYPE text;
SELECT transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr');
\echo :SQLSTATE
ALTER TABLE jr_acct ALTER floor TYPE integer USING floor::numeric::integer;
SELECT amount FROM transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr');
ALTER TABLE jr_acct ALTER floor TYPE money USING 20::money;
SELECT transfer(NULL::jr_acct, 3, 2, 1000, journal => 'jr');
ALTER TABLE jr_acct DROP COLUMN floor, ADD COLUMN floor integer GENERATED ALWAYS AS (-balance) STORED;
SELECT transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr');
ALTER TABLE jr_acct DROP COLUMN floor, ADD COLUMN floor integer;
-- the accounts are renamed: the statement of the hint keeps the rules
ALTER TABLE jr_acct RENAME TO jr_renamed;
SELECT transfer(NULL::jr_renamed, 1, 3, 1, journal => 'jr');
SELECT alter_journal('jr', '{"opening": 1}');
ALTER TABLE jr_renamed RENAME TO jr_acct;
\set VERBOSITY terse

-- an unprivileged role, and row-level security
CREATE ROLE regress_racefree_rules;
GRANT SELECT, UPDATE (balance) ON jr_acct TO regress_racefree_rules;
GRANT SELECT, INSERT, TRIGGER ON jr TO regress_racefree_rules;
SET ROLE regress_racefree_rules;
SELECT alter_journal('jr', '{"min_balance_column": null}');
SELECT transfer(NULL::jr_acct, 3, 5, 1, journal => 'jr');
SELECT amount FROM transfer(NULL::jr_acct, 1, 3, 1, journal => 'jr');
RESET ROLE;
-- a batch needs the columns that it reads
REVOKE SELECT ON jr_acct FROM regress_racefree_rules;
GRANT SELECT (id, balance) ON jr_acct TO regress_racefree_rules;
SET ROLE regress_racefree_rules;
SELECT * FROM transfer_many(NULL::jr_acct, '{1}', '{3}', '{1}', journal => 'jr', on_error => 'report');
RESET ROLE;
GRANT SELECT (floor, ceiling, closed) ON jr_acct TO regress_racefree_rules;
SET ROLE regress_racefree_rules;
SELECT status FROM transfer_many(NULL::jr_acct, '{1,3}', '{3,5}', '{1,1}', journal => 'jr', on_error => 'report');
RESET ROLE;
GRANT SELECT ON jr_acct TO regress_racefree_rules;
ALTER TABLE jr_acct ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON jr_acct USING (id <> 5);
SET ROLE regress_racefree_rules;
SELECT transfer(NULL::jr_acct, 3, 5, 1, journal => 'jr');
SELECT status FROM transfer_many(NULL::jr_acct, '{3,5,2}', '{5,3,3}', '{1,1,1000}', journal => 'jr', on_error => 'report');
RESET ROLE;
DROP TABLE jr, jr_acct;
DROP ROLE regress_racefree_rules;

-- accounts in partitions, with columns in another order; a partitioned journal
CREATE TABLE jr_parts (id integer PRIMARY KEY, gone integer, balance integer, floor integer, shut boolean) PARTITION BY RANGE (id);
CREATE TABLE jr_part_1 PARTITION OF jr_parts FOR VALUES FROM (1) TO (10);
CREATE TABLE jr_part_2 (shut boolean, floor integer, balance integer, gone integer, id integer NOT NULL);
ALTER TABLE jr_parts ATTACH PARTITION jr_part_2 FOR VALUES FROM (10) TO (20);
ALTER TABLE jr_parts DROP COLUMN gone;
INSERT INTO jr_parts VALUES (1, 100, -10, false), (11, 100, 10, NULL), (12, 100, 0, true);
SELECT create_journal('jrp', NULL::jr_parts, foreign_keys => false, partition_by => 'RANGE (created_at)',
  min_balance_column => 'floor', closed_column => 'shut', opening => 100);
CREATE TABLE jrp_all PARTITION OF jrp DEFAULT;
SELECT guard_journal('jrp');
SELECT (from_account).balance FROM transfer(NULL::jr_parts, 1, 11, 110, journal => 'jrp');
SELECT transfer(NULL::jr_parts, 1, 11, 1, journal => 'jrp');
SELECT ordinality, status, from_balance FROM transfer_many(NULL::jr_parts, '{11,11,1,12}', '{1,1,12,1}', '{200,1,1,1}', journal => 'jrp', on_error => 'report');
-- the rules are those of the whole
SELECT alter_journal('jrp_all', '{"opening": 0}');
SELECT alter_journal('jrp', '{"closed_column": null}');
SELECT tgrelid::regclass, tgnargs FROM pg_trigger WHERE tgrelid IN ('jrp'::regclass, 'jrp_all'::regclass) AND tgname = 'journal_guard' ORDER BY 1;
SELECT status FROM transfer_many(NULL::jr_parts, '{12}', '{1}', '{1}', journal => 'jrp');
SELECT problem FROM verify_journal('jrp', NULL::jr_parts);
SELECT alter_journal('jrp', '{"opening": 99}');
SELECT account_id, problem FROM verify_journal('jrp', NULL::jr_parts) ORDER BY 1;
SELECT problem FROM verify_journal('jrp_all', NULL::jr_parts);
DROP TABLE jr_parts, jrp;

-- children of a journal have no rules of their own
CREATE TABLE jr_acct (id integer PRIMARY KEY, balance integer);
INSERT INTO jr_acct VALUES (1, 100), (2, 100);
SELECT create_journal('jr', NULL::jr_acct, foreign_keys => false, opening => 100);
CREATE TABLE jr_child () INHERITS (jr);
SELECT guard_journal('jr');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'jr_child'::regclass AND tgname = 'journal_guard';
SELECT alter_journal('jr_child', '{}');
DROP TABLE jr, jr_child, jr_acct;

-- accounts found by another column than the primary key; domains; a prepared
-- statement, whose next execution keeps to the rules of then
CREATE DOMAIN jr_money AS numeric(12,2);
CREATE DOMAIN jr_flag AS boolean;
CREATE TABLE jr_acct (id integer PRIMARY KEY, code text UNIQUE, balance jr_money, floor jr_money, closed jr_flag);
INSERT INTO jr_acct VALUES (1, 'b', 100, 10), (2, 'a', 100, 20);
SELECT create_journal('jr', NULL::jr_acct, id_column => 'code', min_balance_column => 'floor');
PREPARE pay AS SELECT amount, (from_account).balance FROM transfer(NULL::jr_acct, 'b', 'a', $1, id_column => 'code', journal => 'jr');
EXECUTE pay (90);
EXECUTE pay (0.01);
SELECT status FROM transfer_many(NULL::jr_acct, '{a,b}', '{b,a}', '{170,170.01}', id_column => 'code', journal => 'jr', on_error => 'report');
UPDATE jr_acct SET closed = true WHERE code = 'a';
EXECUTE pay (1);
SELECT alter_journal('jr', '{"closed_column": "closed"}');
EXECUTE pay (1);
SELECT alter_journal('jr', '{"closed_column": null, "min_balance_column": null}');
EXECUTE pay (169);
EXECUTE pay (0.01);
DEALLOCATE pay;
DROP TABLE jr, jr_acct;
DROP DOMAIN jr_money, jr_flag;
-- a trigger that raises the floor while it fires is no concern of the transfer
-- that fired it, but of the next one
CREATE TABLE jr_acct (id integer PRIMARY KEY, balance integer, floor integer);
INSERT INTO jr_acct VALUES (1, 100, 0), (2, 100, 0);
CREATE FUNCTION jr_raise() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.floor := new.balance; RETURN new; END$$;
CREATE TRIGGER raise BEFORE UPDATE ON jr_acct FOR EACH ROW EXECUTE FUNCTION jr_raise();
SELECT create_journal('jr', NULL::jr_acct, min_balance_column => 'floor');
SELECT (from_account).*, (to_account).* FROM transfer(NULL::jr_acct, 1, 2, 10, journal => 'jr');
SELECT transfer(NULL::jr_acct, 1, 2, 1, journal => 'jr');
SELECT status FROM transfer_many(NULL::jr_acct, '{2}', '{1}', '{1}', journal => 'jr', on_error => 'report');
DROP TABLE jr, jr_acct;
DROP FUNCTION jr_raise();
