-- What sqlsmith finds in its database: tables, a journal, and functions with
-- declared types that call those of racefree, whose polymorphic ones it would
-- call with integers.
CREATE EXTENSION racefree;

CREATE TABLE thing (id serial PRIMARY KEY, key jsonb, kind integer, name text, note text DEFAULT 'none',
	stamp timestamptz DEFAULT now());
CREATE INDEX ON thing (name);
CREATE TABLE part (zone integer NOT NULL, name text, defaults jsonb) PARTITION BY LIST (zone);
CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0, 1);
CREATE TABLE part_1 PARTITION OF part DEFAULT;
CREATE TABLE account (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL CHECK (balance < 1000000), currency text);
INSERT INTO account SELECT i, 1000, 'EUR' FROM generate_series(1, 9) AS i;
SELECT create_journal('journal', NULL::account, request_id_type => 'text');
-- Values to draw from.
CREATE TABLE value (id integer, n numeric, keys jsonb, rows jsonb, request text, ids integer[], amounts numeric[]);
INSERT INTO value
	SELECT i, i * 1.5, jsonb_build_object('name', 'n' || i, 'kind', i),
		jsonb_build_array(jsonb_build_object('name', 'n' || i, 'note', 'x'), jsonb_build_object('name', 'm' || i, 'note', NULL)),
		'r' || i, ARRAY[i, i % 9 + 1], ARRAY[i, 0.5]
	FROM generate_series(1, 9) AS i;

CREATE FUNCTION call_get(key jsonb, defaults jsonb) RETURNS boolean LANGUAGE sql AS
	'SELECT created FROM get_or_create(NULL::thing, key, defaults)';
CREATE FUNCTION call_get_part(key jsonb, defaults jsonb) RETURNS boolean LANGUAGE sql AS
	'SELECT created FROM get_or_create(NULL::part, key, defaults)';
CREATE FUNCTION call_get_value(name text, zone integer) RETURNS boolean LANGUAGE sql AS
	$$SELECT created FROM get_or_create(NULL::part, jsonb_build_object('name', name), jsonb_build_object('zone', zone))$$;
CREATE FUNCTION call_update(key jsonb, defaults jsonb, create_defaults jsonb) RETURNS boolean LANGUAGE sql AS
	'SELECT created FROM update_or_create(NULL::thing, key, defaults, create_defaults)';
CREATE FUNCTION call_update_value(name text, note text) RETURNS boolean LANGUAGE sql AS
	$$SELECT created FROM update_or_create(NULL::thing, jsonb_build_object('name', name), jsonb_build_object('note', note))$$;
CREATE FUNCTION call_get_many(rows jsonb) RETURNS bigint LANGUAGE sql AS
	$$SELECT count(*) FROM get_or_create_many(NULL::thing, rows, '{name}')$$;
CREATE FUNCTION call_update_many(rows jsonb, key name[]) RETURNS bigint LANGUAGE sql AS
	'SELECT count(*) FROM update_or_create_many(NULL::thing, rows, key)';
CREATE FUNCTION call_transfer(payer integer, payee integer, amount numeric) RETURNS numeric LANGUAGE sql AS
	'SELECT amount FROM transfer(NULL::account, payer, payee, amount)';
CREATE FUNCTION call_transfer_journal(payer integer, payee integer, amount numeric, request text, details jsonb, up_to boolean)
	RETURNS jsonb LANGUAGE sql AS
	$$SELECT entry FROM transfer(NULL::account, payer, payee, amount, journal => 'journal', request_id => request,
		details => details, up_to => up_to)$$;
CREATE FUNCTION call_transfer_many(payers integer[], payees integer[], amounts numeric[], requests text[], chains integer[])
	RETURNS bigint LANGUAGE sql AS
	$$SELECT count(*) FROM transfer_many(NULL::account, payers, payees, amounts, requests, chains, 'report', 'journal')$$;
CREATE FUNCTION call_reverse(id bigint, amount numeric) RETURNS jsonb LANGUAGE sql AS
	$$SELECT entry FROM reverse_transfer(NULL::account, 'journal', id, amount)$$;
CREATE FUNCTION call_lock_rows(ids integer[], mode text, wait text) RETURNS bigint LANGUAGE sql AS
	'SELECT count(*) FROM lock_rows(NULL::account, ids, mode, wait)';
CREATE FUNCTION call_balance_at(account integer, at timestamptz) RETURNS numeric LANGUAGE sql AS
	$$SELECT balance_at('journal', account, at)$$;
CREATE FUNCTION call_verify(opening numeric) RETURNS bigint LANGUAGE sql AS
	$$SELECT count(*) FROM verify_journal('journal', NULL::account, opening => opening)$$;

-- It reads what functions there are from "pg_proc": let it find these, and
-- few others, or it would hardly ever call them.
CREATE SCHEMA smith;
CREATE VIEW smith.pg_proc AS
	SELECT * FROM pg_catalog.pg_proc
	WHERE pronamespace = 'public'::regnamespace
		OR proname IN ('jsonb_build_object', 'jsonb_build_array', 'to_jsonb', 'lower', 'abs', 'now', 'count', 'max');
