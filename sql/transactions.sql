-- Savepoints, errors and isolation levels within one session.  What several
-- sessions do to each other is the isolation suite's subject.
\set SHOW_CONTEXT never
CREATE TABLE tx (k text, v integer);
CREATE TABLE tx_acct (id integer PRIMARY KEY, balance integer);
INSERT INTO tx_acct VALUES (1, 100), (2, 100);

-- each level: create, find, update, transfer, see one's own changes
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "rr"}');
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "rr"}');
SELECT (object).*, created FROM update_or_create(NULL::tx, '{"k": "rr"}', '{"v": 1}');
SELECT (object).*, created FROM update_or_create(NULL::tx, '{"k": "rr2"}', '{"v": 2}');
SELECT * FROM transfer(NULL::tx_acct, 1, 2, 1);
SELECT * FROM transfer(NULL::tx_acct, 2, 1, 150);
\echo :SQLSTATE
ROLLBACK;
SELECT count(*) FROM tx;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "ser"}');
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "ser"}');
SELECT (object).*, created FROM update_or_create(NULL::tx, '{"k": "ser"}', '{"v": 1}');
SELECT (object).*, created FROM update_or_create(NULL::tx, '{"k": "ser2"}', '{"v": 2}');
SELECT * FROM transfer(NULL::tx_acct, 1, 2, 1);
COMMIT;
BEGIN ISOLATION LEVEL READ UNCOMMITTED;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "ser"}');
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "ru"}');
COMMIT;
-- a hit and a miss in a read-only, deferrable one
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "ser"}');
SELECT * FROM get_or_create(NULL::tx, '{"k": "none"}');
\echo :SQLSTATE
ROLLBACK;
-- several matches, and a unique index, at each level
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO tx VALUES ('twice'), ('twice');
SELECT * FROM get_or_create(NULL::tx, '{"k": "twice"}');
\echo :SQLSTATE
ROLLBACK;
CREATE UNIQUE INDEX tx_k ON tx (k);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "rr unique"}');
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "rr unique"}');
DELETE FROM tx WHERE k = 'rr unique';
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "rr unique"}');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "ser unique"}');
SELECT (object).*, created FROM update_or_create(NULL::tx, '{"k": "ser unique"}', '{"v": 3}');
SELECT * FROM get_or_create(NULL::tx, '{"v": 8}', '{"k": "ser unique"}');
\echo :SQLSTATE
ROLLBACK;
DROP INDEX tx_k;
SELECT k, v FROM tx ORDER BY k;
TRUNCATE tx;

-- savepoints: what is rolled back is created again; what is released stays
BEGIN;
SAVEPOINT a;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "s"}', '{"v": 1}');
ROLLBACK TO a;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "s"}', '{"v": 2}');
SAVEPOINT b;
SELECT (object).*, created FROM update_or_create(NULL::tx, '{"k": "s"}', '{"v": 3}');
ROLLBACK TO b;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "s"}');
SAVEPOINT c;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "released"}');
RELEASE c;
COMMIT;
SELECT k, v FROM tx ORDER BY k;
-- the same under REPEATABLE READ
BEGIN ISOLATION LEVEL REPEATABLE READ;
SAVEPOINT a;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "t"}', '{"v": 1}');
ROLLBACK TO a;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "t"}', '{"v": 2}');
COMMIT;
-- errors at every stage, each followed by a good call in the same transaction
BEGIN;
SAVEPOINT s;
SELECT * FROM get_or_create(NULL::tx, '{"nope": 1}');
ROLLBACK TO s;
SELECT * FROM get_or_create(NULL::tx, '{"v": "x"}');
ROLLBACK TO s;
SELECT * FROM get_or_create(NULL::tx, '{"k": "u"}', '{"v": "x"}');
ROLLBACK TO s;
SELECT * FROM transfer(NULL::tx_acct, 1, 1, 1);
ROLLBACK TO s;
SELECT * FROM transfer(NULL::tx_acct, 1, 2, 10000);
ROLLBACK TO s;
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "u"}', '{"v": 1}');
SELECT * FROM transfer(NULL::tx_acct, 2, 1, 1);
COMMIT;
-- caught in PL/pgSQL, a thousand times
DO $$
DECLARE
  caught integer := 0;
BEGIN
  FOR i IN 1..1000 LOOP
    BEGIN
      PERFORM get_or_create(NULL::tx, jsonb_build_object('k', 'caught'), jsonb_build_object('v', CASE WHEN i % 2 = 0 THEN 'x' ELSE '1' END));
      DELETE FROM tx WHERE k = 'caught';
      PERFORM transfer(NULL::tx_acct, 1, 2, 1000);
    EXCEPTION
      WHEN invalid_text_representation THEN caught := caught + 1;
      WHEN SQLSTATE 'RF001' THEN caught := caught + 1;
    END;
  END LOOP;
  RAISE NOTICE '% caught', caught;
END $$;
-- procedures that commit between calls
CREATE PROCEDURE tx_proc() LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..5 LOOP
    PERFORM get_or_create(NULL::tx, jsonb_build_object('k', 'proc ' || i));
    IF i % 2 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
    PERFORM get_or_create(NULL::tx, jsonb_build_object('k', 'proc ' || i % 2));
  END LOOP;
END $$;
CALL tx_proc();
DROP PROCEDURE tx_proc;
SELECT k, v FROM tx ORDER BY k;
SELECT id, balance FROM tx_acct ORDER BY id;
-- in an aborted transaction nothing works, as everywhere
BEGIN;
SELECT 1 / 0;
SELECT * FROM get_or_create(NULL::tx, '{"k": "s"}');
\echo :SQLSTATE
ROLLBACK;
-- a row that is deleted in the same transaction is created again
BEGIN;
DELETE FROM tx WHERE k = 's';
SELECT (object).*, created FROM get_or_create(NULL::tx, '{"k": "s"}', '{"v": 77}');
COMMIT;
SELECT k, v FROM tx WHERE k = 's';
-- WITH HOLD, the function runs once, at commit
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT (object).k, created FROM get_or_create(NULL::tx, '{"k": "held"}');
COMMIT;
FETCH ALL FROM c;
CLOSE c;
SELECT count(*) FROM tx WHERE k = 'held';

DROP TABLE tx, tx_acct;
