--
-- JSON that was encoded twice, as drivers and mappers do that encode what is
-- encoded already: a JSON string that holds an object or array.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA js;
SET search_path = js, public;
-- What becomes of JSON that is encoded once more
CREATE FUNCTION twice(once text) RETURNS jsonb LANGUAGE sql AS $$ SELECT pg_catalog.to_jsonb(once) $$;
CREATE TABLE thing (id integer PRIMARY KEY, data jsonb);
INSERT INTO thing VALUES (1);
CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL,
	held numeric(12,2) NOT NULL DEFAULT 0);
INSERT INTO acct VALUES (1, 1000), (2, 0);
SELECT create_journal('js.j', NULL::acct, request_id_type => 'text', held_column => 'held');
ALTER TABLE j ADD note text;

-- Where an object or array is wanted, the error says so.
SELECT * FROM get_or_create(NULL::thing, twice('{"id": 1}'));
SELECT * FROM get_or_create(NULL::thing, '{"id": 1}', twice('{"data": 1}'));
SELECT * FROM update_or_create(NULL::thing, twice('{"id": 1}'));
SELECT * FROM update_or_create(NULL::thing, '{"id": 1}', twice('{"data": 1}'));
SELECT * FROM update_or_create(NULL::thing, '{"id": 1}', '{}', twice('{"data": 1}'));
SELECT * FROM get_or_create_many(NULL::thing, twice('[{"id": 1}]'), '{id}');
SELECT * FROM update_or_create_many(NULL::thing, jsonb_build_array(twice('{"id": 1}')), '{id}');
SELECT lock_keys(twice('{"thing": [{"id": 1}]}'));
SELECT lock_keys(jsonb_build_object('thing', twice('[{"id": 1}]')));
SELECT lock_keys(jsonb_build_object('thing', jsonb_build_array(twice('{"id": 1}'))));
SELECT alter_journal('j', twice('{"closed_column": null}'));
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', columns => twice('{"note": "x"}'));
SELECT transfer_many(NULL::acct, '{1}', '{2}', '{1}', journal => 'j', columns => twice('[{"note": "x"}]'));
SELECT transfer_many(NULL::acct, '{1}', '{2}', '{1}', journal => 'j', columns => jsonb_build_array(twice('{"note": "x"}')));
SELECT hold_transfer(NULL::acct, 1, 2, 1, 'j', columns => twice('{"note": "x"}'));
-- A value of a column is that column's.
SELECT (object).data FROM update_or_create(NULL::thing, '{"id": 1}', jsonb_build_object('data', twice('{"a": 1}')));
-- Text that is no JSON is none that was encoded twice.
SELECT * FROM get_or_create(NULL::thing, '"{id: 1}"');
SELECT * FROM get_or_create(NULL::thing, '"[1"');
SELECT * FROM get_or_create(NULL::thing, '"7"');

-- Details may be any JSON, but not that: no field of it could be asked for.
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', details => twice('{"order": 7}'));
\echo :SQLSTATE
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', details => twice(E' \t\r\n[1, 2]\n'));
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', details => twice('{}'));
SELECT entry_id AS paid FROM transfer(NULL::acct, 1, 2, 10, journal => 'j', request_id => 'paid', details => '{"order": 7}') \gset
SELECT reverse_transfer(NULL::acct, 'j', :paid, 1, details => twice('{"order": 7}'));
SELECT hold_transfer(NULL::acct, 1, 2, 1, 'j', details => twice('{"order": 7}'));
SELECT entry_id AS hold FROM hold_transfer(NULL::acct, 1, 2, 10, 'j') \gset
SELECT post_transfer(NULL::acct, 'j', :hold, details => twice('{"order": 7}'));
SELECT void_transfer(NULL::acct, 'j', :hold, details => twice('{"order": 7}'));
-- as the columns, for a replay, too
SELECT transfer(NULL::acct, 1, 2, 10, journal => 'j', request_id => 'paid', details => twice('{"order": 7}'));

-- In a batch: those of all, and those of one
SELECT transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', details => twice('[{"order": 7}, null]'));
SELECT transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', on_error => 'report', details => twice('{"order": 7}'));
\set SHOW_CONTEXT errors
SELECT transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1}', journal => 'j', details => jsonb_build_array(NULL, twice('{"order": 7}')));
\set SHOW_CONTEXT never
SELECT ordinality, status, detail FROM transfer_many(NULL::acct, '{1,1,1}', '{2,2,2}', '{1,1,1}', journal => 'j', on_error => 'report',
	details => jsonb_build_array('{"order": 1}'::jsonb, twice('{"order": 7}'), 'text'));

-- Other strings are booked as they are, as are those in an object.
SELECT entry->'details' AS details FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', details => '"text"');
SELECT entry->'details' AS details FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', details => '""');
SELECT entry->'details' AS details FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', details => '"[urgent] call back"');
SELECT entry->'details' AS details FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', details => '"{order: 7}"');
SELECT entry->'details' AS details FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', details => twice('{"order": 7} {}'));
SELECT entry->'details' AS details FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', details => '"7"');
SELECT entry->'details' AS details FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', details => jsonb_build_object('body', twice('{"order": 7}')));
SELECT entry->'details' AS details FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', details => '[7, "{}"]');
SELECT count(details), sum(amount) FROM j;

DROP SCHEMA js CASCADE;
