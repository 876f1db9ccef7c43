-- Foreign tables: as far as core and the wrapper let them.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE EXTENSION IF NOT EXISTS file_fdw;
RESET client_min_messages;

-- a server that is this server
DO $$
DECLARE
  socket text := trim(split_part(current_setting('unix_socket_directories'), ',', 1));
BEGIN
  EXECUTE format('CREATE SERVER frn_loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname %L, port %L, host %L)',
                 current_database(), current_setting('port'), coalesce(nullif(socket, ''), 'localhost'));
  EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER frn_loopback OPTIONS (user %L)', current_user);
END $$;
CREATE TABLE frn_remote (id serial, k text, v integer DEFAULT 7, balance numeric(12,2) DEFAULT 100);
CREATE FOREIGN TABLE frn (k text, v integer, balance numeric(12,2) DEFAULT 50)
  SERVER frn_loopback OPTIONS (table_name 'frn_remote');

SELECT (object).*, created FROM get_or_create(NULL::frn, '{"k": "a"}', '{"v": 1}');
SELECT (object).*, created FROM get_or_create(NULL::frn, '{"k": "a"}');
SELECT (object).*, created FROM update_or_create(NULL::frn, '{"k": "a"}', '{"v": 2}');
SELECT (object).*, created FROM update_or_create(NULL::frn, '{"k": "b"}', '{"v": null}');
SELECT (object).*, created FROM get_or_create(NULL::frn, '{"k": "b", "v": null}');
SELECT (object).*, created FROM update_or_create(NULL::frn, '{"k": "b"}');
INSERT INTO frn_remote (k) VALUES ('a');
SELECT * FROM get_or_create(NULL::frn, '{"k": "a"}');
\echo :SQLSTATE
DELETE FROM frn_remote WHERE k = 'a' AND v = 7;
-- the lock is on the foreign table, here
BEGIN;
SELECT created FROM get_or_create(NULL::frn, '{"k": "c"}');
SELECT classid::regclass, objid = 0 AS whole, mode FROM pg_locks
 WHERE locktype = 'advisory' AND objsubid = 21062 AND pid = pg_backend_pid() ORDER BY whole;
ROLLBACK;
-- a trigger that creates the row, too, on the foreign table and as a partition
CREATE FUNCTION frn_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    INSERT INTO frn VALUES (NEW.k);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER frn_again BEFORE INSERT ON frn FOR EACH ROW EXECUTE FUNCTION frn_again();
SELECT * FROM get_or_create(NULL::frn, '{"k": "c"}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::frn, '[{"k": "c"}]', '{k}');
\echo :SQLSTATE
CREATE TABLE frn_above (k text, v integer, balance numeric(12,2)) PARTITION BY LIST (k);
ALTER TABLE frn_above ATTACH PARTITION frn DEFAULT;
SELECT * FROM get_or_create(NULL::frn_above, '{"k": "c"}');
\echo :SQLSTATE
SELECT * FROM get_or_create_many(NULL::frn_above, '[{"k": "c"}]', '{k}');
\echo :SQLSTATE
ALTER TABLE frn_above DETACH PARTITION frn;
DROP TABLE frn_above;
DROP TRIGGER frn_again ON frn;
DROP FUNCTION frn_again;
-- a unique index over there is an ordinary 23505
CREATE UNIQUE INDEX ON frn_remote (k);
\set VERBOSITY sqlstate
SELECT * FROM get_or_create(NULL::frn, '{"v": 9}', '{"k": "a"}');
\set VERBOSITY default
-- transfer
SELECT * FROM transfer(NULL::frn, 'a', 'b', 20, id_column => 'k');
SELECT * FROM transfer(NULL::frn, 'b', 'a', 1000, id_column => 'k');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::frn, 'b', 'x', 1, id_column => 'k');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::frn, 'b', 'a', 1);
\echo :SQLSTATE
SELECT k, v, balance FROM frn_remote ORDER BY k;
-- a read-only transaction: a hit works
BEGIN READ ONLY;
SELECT (object).*, created FROM get_or_create(NULL::frn, '{"k": "a"}');
SELECT * FROM get_or_create(NULL::frn, '{"k": "d"}');
\echo :SQLSTATE
ROLLBACK;

-- as a partition, beside a table
CREATE TABLE frn_root (k text, v integer, balance numeric(12,2)) PARTITION BY LIST (k);
ALTER TABLE frn_root ATTACH PARTITION frn FOR VALUES IN ('a', 'b', 'c');
CREATE TABLE frn_here PARTITION OF frn_root DEFAULT;
SELECT (object).*, created FROM get_or_create(NULL::frn_root, '{"k": "a"}');
SELECT (object).*, created FROM get_or_create(NULL::frn_root, '{"k": "c"}', '{"balance": 0}');
SELECT (object).*, created FROM get_or_create(NULL::frn_root, '{"k": "z"}', '{"balance": 0}');
SELECT * FROM transfer(NULL::frn_root, 'a', 'z', 1, id_column => 'k');
SELECT tableoid::regclass, k, balance FROM frn_root ORDER BY k;
DROP TABLE frn_root;

-- a wrapper that cannot write: a hit works, a miss is core's error
CREATE SERVER frn_files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE frn_file (k integer, v text) SERVER frn_files OPTIONS (program 'echo 1,one', format 'csv');
SELECT (object).*, created FROM get_or_create(NULL::frn_file, '{"k": 1}');
SELECT (object).*, created FROM get_or_create(NULL::frn_file, '{"v": "one"}');
\set VERBOSITY sqlstate
SELECT * FROM get_or_create(NULL::frn_file, '{"k": 2}');
SELECT * FROM update_or_create(NULL::frn_file, '{"k": 1}', '{"v": "x"}');
\set VERBOSITY default

SET client_min_messages = warning;
DROP SERVER frn_files CASCADE;
DROP SERVER frn_loopback CASCADE;
DROP EXTENSION postgres_fdw, file_fdw;
DROP TABLE frn_remote;
