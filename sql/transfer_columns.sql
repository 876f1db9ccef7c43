-- "columns": values for the journal's own columns, stored as an INSERT of the
-- caller's own would store them.
\set SHOW_CONTEXT never
CREATE SCHEMA tc;
SET search_path TO tc, public;
CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO acct SELECT i, 100 FROM generate_series(1, 3) AS i;
SELECT create_journal('j', NULL::acct, request_id_type => 'text');
CREATE TABLE orders (id integer PRIMARY KEY);
INSERT INTO orders VALUES (7), (8);
CREATE DOMAIN word AS varchar(5) CHECK (VALUE <> 'bad');
ALTER TABLE j ADD order_id integer REFERENCES orders, ADD tenant text NOT NULL DEFAULT 'main',
  ADD tags text[], ADD fee numeric(6,2) CHECK (fee >= 0), ADD word word, ADD serial_no serial,
  ADD twice numeric GENERATED ALWAYS AS (fee * 2) STORED, ADD always bigint GENERATED ALWAYS AS IDENTITY;
CREATE VIEW own AS SELECT id, request_id, reverses, order_id, tenant, tags, fee, twice, word, serial_no, always FROM j ORDER BY id;

-- one transfer: what is not named takes its DEFAULT, null is NULL
SELECT entry ->> 'order_id' AS order_id, entry ->> 'tenant' AS tenant, entry -> 'tags' AS tags FROM transfer(NULL::acct, 1, 2, 1,
  journal => 'j', columns => '{"order_id": 7, "tags": ["a", null, "b c"], "fee": "1.005", "word": "good", "tenant": "north"}');
SELECT entry ->> 'tenant' AS tenant FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{}');
SELECT entry ->> 'tenant' AS tenant FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => NULL);
SELECT amount, entry ->> 'order_id' AS order_id FROM reverse_transfer(NULL::acct, 'j', 1, columns => '{"order_id": 8, "tags": null}');
SELECT * FROM own;

-- a batch: one object for all, or one for each
SELECT ordinality, status, entry_id FROM transfer_many(NULL::acct, '{1,2}', '{2,1}', '{1,1}', journal => 'j', columns => '{"order_id": 7, "tenant": "all"}');
SELECT ordinality, status, entry_id FROM transfer_many(NULL::acct, '{1,2,1,2,1}', '{2,1,2,1,2}', '{1,1,1,1,1}', journal => 'j', request_ids => '{a,NULL,b,NULL,NULL}',
  columns => '[{"order_id": 7}, null, {"tenant": "third", "serial_no": 100}, {}, {"fee": 5, "order_id": null}]');
SELECT ordinality, status, entry_id FROM transfer_many(NULL::acct, '{NULL,3}'::integer[], '{NULL,1}'::integer[], '{NULL,1}', journal => 'j', entry_ids => ARRAY[5, NULL], columns => '[{"word": "back"}, null]');
-- of those that fail nothing is stored, but the DEFAULTs of the others are
SELECT ordinality, status, entry_id FROM transfer_many(NULL::acct, '{1,1,1}', '{2,2,2}', '{1,5000,1}', journal => 'j', on_error => 'report', columns => '[{"tenant": "x"}, {"fee": 1}, null]');
SELECT * FROM own WHERE id > 4;
SELECT * FROM transfer_many(NULL::acct, '{}'::integer[], '{}'::integer[], '{}', journal => 'j', columns => '[]');

-- a replay does not compare them, but they must be such
SELECT replayed, entry ->> 'order_id' AS order_id FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', request_id => 'a', columns => '{"order_id": 8}');
SELECT ordinality, status, entry_id FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', request_ids => '{a,b}', columns => '{"tenant": "other"}');
SELECT replayed FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', request_id => 'a', columns => '{"order_id": "x"}');
\echo :SQLSTATE
SELECT replayed FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', request_id => 'a', columns => '{"nowhere": 1}');
\echo :SQLSTATE
SELECT count(*) AS entries FROM j;

-- errors, after which nothing is done
\set VERBOSITY default
SELECT transfer(NULL::acct, 1, 2, 1, columns => '{}');
\echo :SQLSTATE
SELECT transfer_many(NULL::acct, '{1}', '{2}', '{1}', columns => '{}');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '[{"order_id": 7}]');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => 'null');
\echo :SQLSTATE
SELECT transfer_many(NULL::acct, '{1}', '{2}', '{1}', journal => 'j', columns => 'null');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => to_jsonb('{"order_id": 7}'::text));
\echo :SQLSTATE
SELECT transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', columns => to_jsonb('[{}, {}]'::text));
\echo :SQLSTATE
SELECT transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', columns => '[{}]');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"order_id": 7, "Tenant": "x"}');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"ctid": "(0,1)"}');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"twice": 1}');
\echo :SQLSTATE
SELECT transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', columns => '[{"twice": 1}, null]');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"always": 1}');
\echo :SQLSTATE
SELECT last_value FROM j_always_seq;
SELECT transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', columns => '[{"always": 1}, null]');
\echo :SQLSTATE
SELECT last_value FROM j_always_seq;
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"order_id": 1.5}');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"word": "bad"}');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"word": "longer"}');
\echo :SQLSTATE
\set VERBOSITY terse
-- all that racefree fills in
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"amount": 1}');
\echo :SQLSTATE
DO $$
DECLARE column_name text;
BEGIN
  FOREACH column_name IN ARRAY '{id,request_id,from_id,to_id,amount,from_balance,to_balance,reverses,details,created_at}'::text[] LOOP
    BEGIN
      PERFORM transfer_many(NULL::acct, '{1}', '{2}', '{1}', journal => 'tc.j', columns => jsonb_build_array(jsonb_build_object(column_name, NULL)));
      RAISE 'no error for %', column_name;
    EXCEPTION WHEN invalid_parameter_value THEN RAISE NOTICE '%', sqlerrm;
    END;
  END LOOP;
END $$;
-- constraints, as for an INSERT
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"order_id": 9}');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"tenant": null}');
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => '{"fee": -1}');
\echo :SQLSTATE
-- an error in a batch names the transfer, whatever happens with failures
\set SHOW_CONTEXT errors
\set VERBOSITY default
SELECT * FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', on_error => 'report', columns => '[{"order_id": 7}, {"order_id": "x"}]');
SELECT * FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', on_error => 'report', columns => '[null, {"amount": 5}]');
SELECT * FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', on_error => 'report', columns => '[null, 7]');
DO $$
DECLARE context text;
BEGIN
  PERFORM transfer_many(NULL::acct, '{1,1,1}', '{2,2,2}', '{1,1,1}', journal => 'tc.j', columns => '[{"fee": 1}, {"fee": 2}, {"fee": -3}]');
EXCEPTION WHEN check_violation THEN
  GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
  RAISE NOTICE '%: %', sqlerrm, substring(context FROM 'transfer \d+');
END $$;
-- one for all is that of no transfer
SELECT * FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', columns => '{"order_id": "x"}');
\set VERBOSITY terse
\set SHOW_CONTEXT never
SELECT count(*) AS entries, (SELECT sum(balance) FROM acct) FROM j;

-- DEFAULTs in a batch: once for each entry without a value, in order, and as
-- the INSERT would find things
CREATE FUNCTION payer_has() RETURNS numeric STABLE LANGUAGE sql AS 'SELECT balance FROM tc.acct WHERE id = 1';
ALTER TABLE j ALTER fee SET DEFAULT payer_has();
SELECT balance FROM acct WHERE id = 1;
SELECT entry -> 'fee' AS fee FROM transfer(NULL::acct, 1, 2, 10, journal => 'j');
SELECT setval('j_serial_no_seq', 1000);
SELECT count(*) FROM transfer_many(NULL::acct, '{1,1,1,1}', '{2,2,2,2}', '{1,1,1,1}', journal => 'j', columns => '[{"fee": 1}, {"serial_no": 5}, null, {"serial_no": null}]');
\echo :SQLSTATE
SELECT count(*) FROM transfer_many(NULL::acct, '{1,1,1,1}', '{2,2,2,2}', '{1,1,1,1}', journal => 'j', columns => '[{"fee": 1}, {"serial_no": 5}, null, {"fee": null}]');
SELECT fee, serial_no FROM j ORDER BY id DESC LIMIT 4;
-- a DEFAULT that fails names the transfer
CREATE FUNCTION refuse() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'no default'; END $$;
ALTER TABLE j ALTER order_id SET DEFAULT refuse();
\set SHOW_CONTEXT errors
\set VERBOSITY default
SELECT count(*) FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', columns => '[{"order_id": 7}, null]');
\set SHOW_CONTEXT never
\set VERBOSITY terse
ALTER TABLE j ALTER order_id DROP DEFAULT, ALTER fee DROP DEFAULT;
-- a domain without a DEFAULT that allows no NULL
CREATE DOMAIN must AS integer NOT NULL;
CREATE TABLE mine (from_id integer, to_id integer, amount numeric, must must);
SELECT count(*) FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'mine', columns => '[{"must": 1}, {}]');
\echo :SQLSTATE
SELECT count(*) FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'mine', columns => '[{"must": 1}, {"must": 2}]');
SELECT * FROM mine ORDER BY must;

-- the table changes between two calls of a session
CREATE FUNCTION pay(columns text) RETURNS TABLE (one jsonb, many jsonb) LANGUAGE plpgsql AS $$
BEGIN
  SELECT entry - 'created_at' - 'request_id' - 'details' INTO one FROM transfer(NULL::tc.acct, 1, 2, 1, journal => 'tc.k', columns => columns::jsonb);
  PERFORM transfer_many(NULL::tc.acct, '{1,1}', '{2,2}', '{1,1}', journal => 'tc.k', columns => jsonb_build_array(columns::jsonb, NULL));
  SELECT jsonb_agg(to_jsonb(t) - 'from_id' - 'to_id' - 'amount' ORDER BY n) INTO many FROM (SELECT * FROM tc.k ORDER BY n DESC LIMIT 2) t;
  RETURN NEXT;
EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%: %', sqlstate, sqlerrm;
END $$;
CREATE TABLE k (n serial, gone integer, from_id integer, a integer DEFAULT 5, to_id integer, amount numeric);
SELECT * FROM pay('{"a": 1}');
ALTER TABLE k DROP gone;
SELECT * FROM pay('{"a": 2}');
ALTER TABLE k RENAME a TO b;
SELECT * FROM pay('{"a": 3}');
SELECT * FROM pay('{"b": 3}');
ALTER TABLE k ALTER b TYPE text USING 't' || b, ALTER b SET DEFAULT 'd';
SELECT * FROM pay('{"b": 4}');
ALTER TABLE k ALTER b TYPE word;
SELECT * FROM pay('{"b": "bad"}');
SELECT * FROM pay('{"b": "good"}');
ALTER DOMAIN word ADD CHECK (VALUE <> 'good') NOT VALID;
SELECT * FROM pay('{"b": "good"}');
ALTER TABLE k RENAME amount TO moved;
ALTER TABLE k RENAME b TO amount;
SELECT * FROM pay('{"amount": "fine"}');
ALTER TABLE k DROP amount;
ALTER TABLE k RENAME moved TO amount;
SELECT * FROM pay('{"amount": "fine"}');
SELECT * FROM pay('{"b": "fine"}');
ALTER TABLE k ADD b bigint DEFAULT 9;
SELECT * FROM pay('{"b": 6}');
DROP TABLE k;
-- a column of which racefree takes no notice until it is there
CREATE TABLE k (n serial, from_id integer, to_id integer, amount numeric, details jsonb);
SELECT * FROM pay('{"details": 1}');
ALTER TABLE k RENAME details TO notes;
SELECT * FROM pay('{"details": 1}');
SELECT * FROM pay('{"notes": 1}');
DROP TABLE k;

-- many sets of columns: as many plans, of which a session keeps some only
DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE tc.k (n serial, from_id integer, to_id integer, amount numeric, '
  || string_agg('c' || n || ' integer DEFAULT -' || n, ', ') || ')' FROM generate_series(1, 200) n); END $$;
SELECT count(*) FROM generate_series(1, 200) n, LATERAL transfer(NULL::acct, 1, 2, 0.01, journal => 'k', columns => jsonb_build_object('c' || n, n)) t WHERE (entry ->> ('c' || n))::integer = n;
SELECT count(*) FROM transfer_many(NULL::acct, array_fill(1, '{200}'), array_fill(2, '{200}'), array_fill(0.01, '{200}'), journal => 'k',
  columns => (SELECT jsonb_agg(jsonb_build_object('c' || n, n)) FROM generate_series(1, 200) n));
SELECT count(*), sum(c) = sum(CASE WHEN k.n - 200 = r THEN r ELSE -r END) AS as_given FROM k, LATERAL (SELECT row_number() OVER (ORDER BY substr(key, 2)::integer) AS r, value::integer AS c FROM jsonb_each_text(to_jsonb(k)) WHERE key ~ '^c') c WHERE k.n > 200;
DROP TABLE k;
-- as many as a table can have
DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE tc.k (from_id integer, to_id integer, amount numeric, '
  || string_agg('c' || n || ' integer', ', ') || ')' FROM generate_series(1, 1597) n); END $$;
SELECT count(*) FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'k',
  columns => (SELECT jsonb_build_array(jsonb_object_agg('c' || n, n), NULL) FROM generate_series(1, 1597) n));
SELECT c1, c1597 FROM k ORDER BY c1;
DROP TABLE k;

-- a trigger may change them: they are the user's own; and nothing else
CREATE TABLE k (n serial, request_id text, from_id integer, to_id integer, amount numeric, note text);
CREATE FUNCTION upcase() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := upper(NEW.note); RETURN NEW; END $$;
CREATE TRIGGER upcase BEFORE INSERT ON k FOR EACH ROW EXECUTE FUNCTION upcase();
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE tc.k SET note = note || '!' WHERE n = NEW.n; RETURN NULL; END $$;
CREATE TRIGGER seen AFTER INSERT ON k FOR EACH ROW EXECUTE FUNCTION seen();
SELECT entry ->> 'note' AS note FROM transfer(NULL::acct, 1, 2, 1, journal => 'k', columns => '{"note": "x"}');
SELECT entry ->> 'note' AS note FROM transfer(NULL::acct, 1, 2, 1, journal => 'k', request_id => 'r', columns => '{"note": "x"}');
SELECT status FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'k', request_ids => '{s,t}', columns => '[{"note": "y"}, {"note": "z"}]');
SELECT note FROM k ORDER BY n;
DROP TABLE k;

-- partitions by a column of one's own
CREATE TABLE k (n serial, tenant text, from_id integer, to_id integer, amount numeric) PARTITION BY LIST (tenant);
CREATE TABLE k_north PARTITION OF k FOR VALUES IN ('north');
CREATE TABLE k_south (amount numeric, gone integer, to_id integer, from_id integer, n integer NOT NULL, tenant text DEFAULT 'nobody''s');
ALTER TABLE k_south DROP gone;
ALTER TABLE k ATTACH PARTITION k_south FOR VALUES IN ('south');
ALTER TABLE k ALTER tenant SET DEFAULT 'south';
SELECT entry ->> 'tenant' AS tenant FROM transfer(NULL::acct, 1, 2, 1, journal => 'k', columns => '{"tenant": "north"}');
SELECT status FROM transfer_many(NULL::acct, '{1,1,1}', '{2,2,2}', '{1,2,3}', journal => 'k', columns => '[{"tenant": "north"}, null, {"tenant": "south"}]');
SELECT tableoid::regclass, tenant, amount FROM k ORDER BY n;
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'k', columns => '{"tenant": "west"}');
\echo :SQLSTATE
DROP TABLE k;

-- a domain's CHECK that transfers by itself, for the same accounts and journal,
-- and with the same request: its own is booked before, and then is a replay
CREATE TABLE k (n serial, request_id text, from_id integer, to_id integer, amount numeric, note text);
CREATE FUNCTION pays(value text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF value LIKE 'late %' AND current_setting('tc.inside', true) IS DISTINCT FROM 'late' THEN
    PERFORM set_config('tc.inside', 'late', true);
    RETURN true;
  END IF;
  IF value ~ '^(pay|late) ' AND current_setting('tc.inside', true) IS DISTINCT FROM 'yes' THEN
    PERFORM set_config('tc.inside', 'yes', true);
    PERFORM transfer(NULL::tc.acct, 1, 2, 1, journal => 'tc.k', request_id => split_part(value, ' ', 2), columns => '{"note": "inner"}');
    PERFORM set_config('tc.inside', 'no', true);
  END IF;
  RETURN true;
END $$;
CREATE DOMAIN paying AS text CHECK (tc.pays(VALUE));
ALTER TABLE k ALTER note TYPE paying;
SELECT replayed, entry ->> 'note' AS note FROM transfer(NULL::acct, 1, 2, 1, journal => 'k', request_id => 'one', columns => '{"note": "pay one"}');
SELECT ordinality, status FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'k', request_ids => '{two,three}', columns => '[{"note": "pay two"}, {"note": "plain"}]');
SELECT request_id, note FROM k ORDER BY n;
-- only when the INSERT checks the value again, it is too late
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'k', request_id => 'four', columns => '{"note": "late four"}');
\echo :SQLSTATE
SELECT transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'k', request_ids => '{five,six}', columns => '[null, {"note": "late six"}]');
\echo :SQLSTATE
SELECT count(*) AS entries, (SELECT sum(balance) FROM acct) FROM k;
DROP TABLE k;

-- privileges: INSERT on the columns that are named, before a DEFAULT is
-- evaluated; policies say what may be written
CREATE ROLE regress_tc;
GRANT USAGE ON SCHEMA tc TO regress_tc;
GRANT SELECT, UPDATE ON acct TO regress_tc;
CREATE TABLE k (n serial, from_id integer, to_id integer, amount numeric, tenant text, secret integer DEFAULT nextval('j_serial_no_seq'));
GRANT SELECT, INSERT (from_id, to_id, amount, tenant) ON k TO regress_tc;
GRANT USAGE ON SEQUENCE k_n_seq, j_serial_no_seq TO regress_tc;
SELECT setval('j_serial_no_seq', 2000);
SELECT id, balance FROM acct WHERE id < 3 ORDER BY id;
SET ROLE regress_tc;
SELECT entry ->> 'tenant' AS tenant FROM transfer(NULL::acct, 1, 2, 1, journal => 'k', columns => '{"tenant": "north"}');
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'k', columns => '{"secret": 1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'k', columns => '[{"secret": 1}, null]');
\echo :SQLSTATE
RESET ROLE;
SELECT count(*) AS entries, (SELECT last_value FROM j_serial_no_seq), (SELECT sum(balance) FROM acct WHERE id = 1) FROM k;
ALTER TABLE k ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON k TO regress_tc USING (true) WITH CHECK (tenant = 'north');
SET ROLE regress_tc;
SELECT entry ->> 'tenant' AS tenant FROM transfer(NULL::acct, 1, 2, 1, journal => 'k', columns => '{"tenant": "north"}');
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'k', columns => '{"tenant": "south"}');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'k', columns => '{"tenant": "north"}');
SELECT * FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'k', on_error => 'report', columns => '[{"tenant": "north"}, {"tenant": "south"}]');
\echo :SQLSTATE
RESET ROLE;
SELECT count(*) AS entries, (SELECT balance FROM acct WHERE id = 1) FROM k;

RESET search_path;
\set VERBOSITY terse
DROP SCHEMA tc CASCADE;
DROP ROLE regress_tc;
