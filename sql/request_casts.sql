--
-- A request id may have any of the types that drivers send it with, or none.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA rc;
SET search_path = rc, public;

CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL,
	held numeric(12,2) NOT NULL DEFAULT 0);
INSERT INTO acct VALUES (1, 1000), (2, 0);
SELECT create_journal('rc.j', NULL::acct, held_column => 'held');

SELECT castsource::regtype, castcontext, castmethod FROM pg_cast
WHERE casttarget = 'racefree_request'::regtype ORDER BY castsource::regtype::text;

-- One request, with every type
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => uuid '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => text '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => varchar '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11'::char(40));
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => name '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
-- Positional, with a floor, too
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, 0, NULL, 'balance', 'j', uuid '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, 0, NULL, 'balance', 'j', '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, 0, journal => 'j', request_id => uuid '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
-- NULL, of any type, is none.
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, NULL, NULL, 'balance', NULL, NULL);
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => NULL);
SELECT replayed FROM transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => NULL::uuid);
-- What is no request id is refused as it was.
SELECT transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => '');
SELECT transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => 7);
\set VERBOSITY sqlstate
SELECT transfer(NULL::acct, 1, 2, 5, journal => 'j', request_id => true);
\set VERBOSITY default

-- Parameters of prepared statements: without a type, and of these
PREPARE u AS SELECT replayed FROM transfer(NULL::acct, $1, $2, $3, journal => $4, request_id => $5);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'u';
EXECUTE u ('1', '2', 5, 'j', '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
EXECUTE u ('1', '2', 5, 'j', uuid '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
EXECUTE u ('1', '2', 5, 'j', NULL);
PREPARE t (integer, integer, numeric, text) AS SELECT replayed FROM transfer(NULL::acct, $1, $2, $3, journal => 'j', request_id => $4);
EXECUTE t (1, 2, 5, '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
PREPARE v (integer, integer, numeric, varchar) AS SELECT replayed FROM transfer(NULL::acct, $1, $2, $3, journal => 'j', request_id => $4);
EXECUTE v (1, 2, 5, '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');
PREPARE i (integer, integer, numeric, uuid) AS SELECT replayed FROM transfer(NULL::acct, $1, $2, $3, journal => 'j', request_id => $4);
EXECUTE i (1, 2, 5, '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11');

-- The other functions
SELECT replayed FROM reverse_transfer(NULL::acct, 'j', 1, 2, uuid '00000000-0000-0000-0000-000000000001');
SELECT replayed FROM reverse_transfer(NULL::acct, 'j', 1, 2, request_id => '00000000-0000-0000-0000-000000000001');
SELECT entry_id AS hold FROM hold_transfer(NULL::acct, 1, 2, 50, 'j', NULL, uuid '00000000-0000-0000-0000-000000000002') \gset
SELECT replayed FROM hold_transfer(NULL::acct, 1, 2, 50, 'j', request_id => '00000000-0000-0000-0000-000000000002');
SELECT replayed FROM post_transfer(NULL::acct, 'j', :hold, 10, false, uuid '00000000-0000-0000-0000-000000000003');
SELECT replayed FROM post_transfer(NULL::acct, 'j', :hold, 10, false, '00000000-0000-0000-0000-000000000003');
SELECT replayed FROM void_transfer(NULL::acct, 'j', :hold, uuid '00000000-0000-0000-0000-000000000004');
SELECT replayed FROM void_transfer(NULL::acct, 'j', :hold, '00000000-0000-0000-0000-000000000004');

-- Arrays
SELECT status FROM transfer_many(NULL::acct, '{1,1}'::integer[], '{2,2}', '{1,5}',
	'{00000000-0000-0000-0000-000000000005,6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11}', journal => 'j');
SELECT status FROM transfer_many(NULL::acct, '{1,1}'::integer[], '{2,2}', '{1,5}',
	'{00000000-0000-0000-0000-000000000005,NULL}'::uuid[], journal => 'j');
SELECT status FROM transfer_many(NULL::acct, '{1,1}'::integer[], '{2,2}', '{1,5}', journal => 'j',
	request_ids => ARRAY['00000000-0000-0000-0000-000000000005', '6f9ff8b0-3a1c-4a0e-9d0c-6a6f7c3f7b11']);
SELECT status FROM transfer_many(NULL::acct, '{1}'::integer[], '{2}', '{1}', journal => 'j',
	request_ids => '{00000000-0000-0000-0000-000000000005}'::varchar[]);
SELECT status FROM transfer_many(NULL::acct, '{1}'::integer[], '{2}', '{1}', journal => 'j',
	request_ids => '{00000000-0000-0000-0000-000000000005}'::char(50)[]);
PREPARE m AS SELECT status FROM transfer_many(NULL::acct, $1::integer[], $2, $3, $4, journal => 'j');
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'm';
EXECUTE m ('{1}', '{2}', '{1}', '{00000000-0000-0000-0000-000000000005}');
EXECUTE m ('{1}', '{2}', '{1}', '{00000000-0000-0000-0000-000000000005}'::uuid[]);
EXECUTE m ('{1}', '{2}', '{1}', NULL);

-- Integers, where the journal has such ids
CREATE TABLE own (request_id bigint UNIQUE, from_id integer, to_id integer, amount numeric);
SELECT replayed FROM transfer(NULL::acct, 1, 2, 1, journal => 'own', request_id => 7);
SELECT replayed FROM transfer(NULL::acct, 1, 2, 1, journal => 'own', request_id => 7::bigint);
SELECT status FROM transfer_many(NULL::acct, '{1,1}'::integer[], '{2,2}', '{1,1}', ARRAY[7, 8], journal => 'own');

DROP SCHEMA rc CASCADE;
