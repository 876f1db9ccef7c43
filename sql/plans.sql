--
-- Plans are made once for a session.  One that was made when a table was small
-- must not go on to read all of the table when it has grown, although nobody
-- has gathered statistics since.
--

SET client_min_messages = warning;
CREATE TABLE thing (id int PRIMARY KEY, code text UNIQUE, a int, b int, note text, UNIQUE (a, b))
	WITH (autovacuum_enabled = off);
CREATE TABLE account (id int PRIMARY KEY, iban text UNIQUE, balance int)
	WITH (autovacuum_enabled = off);
CREATE TABLE guarded (id int PRIMARY KEY, name text, part int)
	WITH (autovacuum_enabled = off);
CREATE INDEX ON guarded (name);
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON guarded
	FOR EACH ROW EXECUTE FUNCTION key_guard('name');
SELECT create_journal('journal', NULL::account, request_id_type => 'int', foreign_keys => false);
ALTER TABLE journal SET (autovacuum_enabled = off);
RESET client_min_messages;

INSERT INTO thing SELECT i, i, i, i FROM generate_series(1, 9) i;
INSERT INTO account SELECT i, i, 100 FROM generate_series(1, 9) i;

-- Each kind of call, with a number that says which rows.
CREATE PROCEDURE call_all(n int) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM get_or_create(NULL::thing, jsonb_build_object('id', n));
	PERFORM get_or_create(NULL::thing, jsonb_build_object('code', n));
	PERFORM get_or_create(NULL::thing, jsonb_build_object('a', n, 'b', n));
	PERFORM update_or_create(NULL::thing, jsonb_build_object('code', n), '{"note": "x"}');
	PERFORM update_or_create(NULL::thing, jsonb_build_object('a', n, 'b', n), '{"note": "y"}');
	PERFORM update_or_create(NULL::thing, jsonb_build_object('id', n));
	PERFORM lock_rows(NULL::thing, ARRAY[n, n + 1]);
	PERFORM transfer(NULL::account, n, n + 1, 1);
	PERFORM transfer(NULL::account, n, n + 1, 1000, up_to => true);
	PERFORM transfer(NULL::account, n + 1, n, 10, journal => 'journal', request_id => n::text);
	PERFORM transfer(NULL::account, n + 1, n, 10, journal => 'journal', request_id => n::text);
	PERFORM reverse_transfer(NULL::account, 'journal', (SELECT max(id) FROM journal), 1);
	INSERT INTO guarded VALUES (n, n);
	EXECUTE 'UPDATE guarded SET name = -$1 WHERE id = $1' USING n;
	PERFORM get_or_create_many(NULL::thing, jsonb_build_array(jsonb_build_object('id', n), jsonb_build_object('id', n + 1)), '{id}');
	PERFORM update_or_create_many(NULL::thing, jsonb_build_array(jsonb_build_object('id', n), jsonb_build_object('id', n + 1)), '{id}');
	PERFORM transfer_many(NULL::account, ARRAY[n, n + 1], ARRAY[n + 1, n], ARRAY[1, 1], journal => 'journal', request_ids => ARRAY[-2 * n, -2 * n - 1]::text[]);
END
$$;

-- So often that the plans would be kept, on tables that are known to be small.
ANALYZE thing, account, guarded, journal;
DO $$BEGIN FOR i IN 1..7 LOOP CALL call_all(i); END LOOP; END$$;

INSERT INTO thing SELECT i, i, i, i FROM generate_series(10, 5000) i;
INSERT INTO account SELECT i, i, 100 FROM generate_series(10, 5000) i;
INSERT INTO guarded SELECT i, i FROM generate_series(1000, 5000) i;
INSERT INTO journal (from_id, to_id, amount, from_balance, to_balance, reverses)
	SELECT i, i + 1, 1, 1, 1, NULL FROM generate_series(1000, 4000) i;

-- The rows that sequential scans read meanwhile: none.
BEGIN;
SELECT jsonb_object_agg(relname, seq_tup_read) AS before FROM pg_stat_xact_user_tables \gset
CALL call_all(500);
SELECT relname, seq_tup_read - (:'before'::jsonb->>relname)::int AS read
  FROM pg_stat_xact_user_tables
 WHERE relname IN ('thing', 'account', 'guarded', 'journal') ORDER BY relname;
COMMIT;

DROP PROCEDURE call_all;
DROP TABLE journal, thing, account, guarded;

-- Settings that serve a plan are not those under which code of the user's runs.
CREATE TABLE parts (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE plain (id int PRIMARY KEY, note text);
CREATE FUNCTION show_settings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.note := format('seqscan %s, jit %s', current_setting('enable_seqscan'), current_setting('jit'));
	RETURN NEW;
END
$$;
CREATE TRIGGER show BEFORE INSERT OR UPDATE ON parts_1 FOR EACH ROW EXECUTE FUNCTION show_settings();
CREATE TRIGGER show BEFORE INSERT OR UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION show_settings();
SET jit = on;
SELECT (object).note, created FROM update_or_create(NULL::parts, '{"id": 1}', '{"note": "x"}');
SELECT (object).note, created FROM update_or_create(NULL::parts, '{"id": 1}', '{"note": "x"}');
SELECT (object).note, created FROM update_or_create(NULL::plain, '{"id": 1}', '{"note": "x"}');
SELECT (object).note, created FROM update_or_create(NULL::plain, '{"id": 1}', '{"note": "x"}');
RESET jit;
DROP TABLE parts, plain;
DROP FUNCTION show_settings;

-- The planner can run a CHECK, and that so many statements of ours that the one
-- that is being planned falls out of those that are kept.
CREATE FUNCTION many_statements(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	key jsonb;
BEGIN
	IF current_setting('my.go', true) = 'yes' THEN
		PERFORM set_config('my.go', 'no', false);
		FOR i IN 1..127 LOOP
			SELECT jsonb_object_agg('c' || b, 1) INTO key FROM generate_series(1, 7) b WHERE (i >> (b - 1)) & 1 = 1;
			PERFORM get_or_create(NULL::busy, key);
		END LOOP;
	END IF;
	RETURN true;
END
$$;
CREATE TABLE busy (id int PRIMARY KEY, c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, CHECK (many_statements(1)));
INSERT INTO busy VALUES (1, 1, 1, 1, 1, 1, 1, 1);
SET constraint_exclusion = on;
SET my.go = 'yes';
SELECT created FROM get_or_create(NULL::busy, '{"id": 1}');
SELECT created, current_setting('my.go') FROM get_or_create(NULL::busy, '{"id": 1}');
RESET constraint_exclusion;
RESET my.go;
DROP TABLE busy;
DROP FUNCTION many_statements;
