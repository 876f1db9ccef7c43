-- Triggers on a journal, and on the accounts beside it: when all have run, the
-- accounts and the entry must be as they were computed and booked.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE gt_acct (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO gt_acct VALUES (1, 100), (2, 100), (3, 100);
CREATE TABLE gt (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, request_id text, from_id integer, to_id integer, amount numeric, from_balance numeric, to_balance numeric, reverses integer, details jsonb, note text);
-- what a trigger of the table does, at which time
CREATE FUNCTION gt_do() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    EXECUTE TG_ARGV[0] USING NEW;
  END IF;
  RETURN NEW;
END $$;
CREATE PROCEDURE gt_set(what text, event text DEFAULT 'AFTER INSERT ON gt', level text DEFAULT 'ROW') LANGUAGE plpgsql AS $$
BEGIN
  DROP TRIGGER IF EXISTS t ON gt;
  DROP TRIGGER IF EXISTS t ON gt_acct;
  EXECUTE format('CREATE TRIGGER t %s FOR EACH %s EXECUTE FUNCTION gt_do(%L)', event, level, what);
END $$;
-- the SQLSTATE of a transfer, and of a batch of two
CREATE FUNCTION gt_state(request text DEFAULT NULL, journal regclass DEFAULT 'gt') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM transfer(NULL::gt_acct, 1, 2, 10, journal => journal, request_id => request);
  RETURN 'ok';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION gt_states(request text DEFAULT NULL, journal regclass DEFAULT 'gt') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM transfer_many(NULL::gt_acct, '{1,3}', '{2,1}', '{10,1}', ARRAY[request, NULL], journal => journal);
  RETURN 'ok';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- balances that a trigger of the journal changes, before or after
CALL gt_set('UPDATE gt_acct SET balance = balance - 1 WHERE id = 2', 'BEFORE INSERT ON gt');
SELECT gt_state(), gt_states();
CALL gt_set('UPDATE gt_acct SET balance = balance - 1 WHERE id = 1', 'BEFORE INSERT ON gt', 'STATEMENT');
SELECT gt_state(), gt_states();
CALL gt_set('UPDATE gt_acct SET balance = balance - 1 WHERE id = 2');
SELECT gt_state(), gt_states();
CALL gt_set('DELETE FROM gt_acct WHERE id = 2', level => 'STATEMENT');
SELECT gt_state(), gt_states();
-- other accounts are the trigger's affair
INSERT INTO gt_acct VALUES (4, 0);
CALL gt_set('UPDATE gt_acct SET balance = balance + 1 WHERE id = 4');
SELECT gt_state(), gt_states();
-- a rule does the same
DROP TRIGGER t ON gt;
CREATE RULE r AS ON INSERT TO gt DO ALSO UPDATE gt_acct SET balance = balance - 1 WHERE id = 1;
SELECT gt_state(), gt_states();
DROP RULE r ON gt;

-- the entry: a request id that is taken away, so that it would be made again
CALL gt_set('UPDATE gt SET request_id = NULL WHERE id = $1.id');
SELECT gt_state('r1'), gt_states('r1');
CALL gt_set('UPDATE gt SET request_id = request_id || ''x'' WHERE id = $1.id');
SELECT gt_state('r1'), gt_states('r1');
CALL gt_set('DELETE FROM gt WHERE id = $1.id');
SELECT gt_state('r1'), gt_states('r1'), gt_state(), gt_states();
CALL gt_set('UPDATE gt SET amount = amount + 1 WHERE id = $1.id');
SELECT gt_state('r1'), gt_states('r1'), gt_state(), gt_states();
CALL gt_set('UPDATE gt SET to_id = 3 WHERE id = $1.id');
SELECT gt_state('r1'), gt_states('r1'), gt_state(), gt_states();
CALL gt_set('UPDATE gt SET to_balance = 0 WHERE id = $1.id');
SELECT gt_state('r1'), gt_states('r1');
CALL gt_set('UPDATE gt SET id = DEFAULT WHERE id = $1.id');
SELECT gt_state('r1'), gt_states('r1'), gt_state(), gt_states();
-- one more with the same request
CALL gt_set('INSERT INTO gt (request_id, from_id, to_id, amount) VALUES ($1.request_id, 1, 2, 10)');
SELECT gt_state('r1'), gt_states('r1');
-- what else an entry has may change: it comes back as it is then
CALL gt_set('UPDATE gt SET note = ''seen'', details = ''{"seen": true}'' WHERE id = $1.id');
SELECT amount, entry - 'id' AS entry FROM transfer(NULL::gt_acct, 1, 2, 10, journal => 'gt', request_id => 'n1');
SELECT ordinality, status, amount FROM transfer_many(NULL::gt_acct, '{1,1,3}', '{2,2,1}', '{10,10,1}', ARRAY['n1', 'n2', NULL], journal => 'gt');
SELECT gt_state(), gt_states('n3');

-- a trigger of the accounts that makes the same transfer: paid once
CALL gt_set($$SELECT transfer(NULL::gt_acct, 3, 1, 1, journal => 'gt', request_id => 'again')$$, 'AFTER UPDATE ON gt_acct');
SELECT * FROM transfer(NULL::gt_acct, 2, 4, 1, journal => 'gt', request_id => 'again');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::gt_acct, '{2}', '{4}', '{1}', '{again}', journal => 'gt');
\echo :SQLSTATE
SELECT count(*) FROM gt WHERE request_id = 'again';
-- a trigger that reverses what is being reversed, and hides that
CALL gt_set('SELECT 1');
SELECT gt_state('back');
CREATE FUNCTION gt_reverse() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM reverse_transfer(NULL::gt_acct, 'gt', (SELECT id FROM gt WHERE request_id = 'back'));
  UPDATE gt_acct SET balance = balance + CASE id WHEN 1 THEN -10 ELSE 10 END WHERE id IN (1, 2);
END $$;
CALL gt_set('SELECT gt_reverse()', 'BEFORE INSERT ON gt');
SELECT amount FROM reverse_transfer(NULL::gt_acct, 'gt', (SELECT id FROM gt WHERE request_id = 'back'), 4);
\echo :SQLSTATE
CALL gt_set('SELECT gt_reverse()', 'AFTER UPDATE ON gt_acct', 'STATEMENT');
SELECT amount FROM reverse_transfer(NULL::gt_acct, 'gt', (SELECT id FROM gt WHERE request_id = 'back'));
\echo :SQLSTATE
SELECT count(*) FROM gt WHERE reverses IS NOT NULL;
CALL gt_set('SELECT 1');
SELECT amount FROM reverse_transfer(NULL::gt_acct, 'gt', (SELECT id FROM gt WHERE request_id = 'back'));
-- nothing was lost or made but by what a trigger did to another account
SELECT sum(balance) - 3 AS sum FROM gt_acct;
SELECT * FROM verify_journal('gt', NULL::gt_acct);

-- a journal without ids or requests: only the accounts are looked at
CREATE TABLE gt_bare (from_id integer, to_id integer, amount numeric);
CALL gt_set('UPDATE gt_acct SET balance = balance - 1 WHERE id = 2', 'AFTER INSERT ON gt_bare');
SELECT gt_state(journal => 'gt_bare'), gt_states(journal => 'gt_bare');
DROP TRIGGER t ON gt_bare;

-- a trigger of a partition only
CREATE TABLE gt_parts (LIKE gt INCLUDING IDENTITY) PARTITION BY LIST (from_id);
CREATE TABLE gt_parts_1 PARTITION OF gt_parts FOR VALUES IN (1) PARTITION BY LIST (to_id);
CREATE TABLE gt_parts_1_2 PARTITION OF gt_parts_1 DEFAULT;
CREATE TABLE gt_parts_3 PARTITION OF gt_parts DEFAULT;
SELECT gt_state('p1', 'gt_parts'), gt_states('p2', 'gt_parts');
CALL gt_set('UPDATE gt_parts SET request_id = NULL WHERE id = $1.id', 'AFTER INSERT ON gt_parts_1_2');
SELECT gt_state('p3', 'gt_parts'), gt_states('p4', 'gt_parts');
DROP TABLE gt_parts;
-- a trigger that is disabled
CALL gt_set('DELETE FROM gt');
ALTER TABLE gt DISABLE TRIGGER t;
SELECT gt_state('d1'), gt_states('d2');

DROP FUNCTION gt_state, gt_states, gt_reverse;
DROP TABLE gt, gt_bare, gt_acct;
DROP FUNCTION gt_do;
DROP PROCEDURE gt_set;
