--
-- The types that drivers send amounts, limits, ids and other arguments with:
-- which of them are taken as they come, and which want a cast (42883).
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION citext;
CREATE SCHEMA ac;
SET search_path = ac, public;

CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL,
	held numeric(12,2) NOT NULL DEFAULT 0);
INSERT INTO acct VALUES (1, 1000), (2, 0);
SELECT create_journal('ac.j', NULL::acct, request_id_type => 'text', held_column => 'held');

-- An amount: without a type, an integer of any, numeric, a domain
SELECT amount, from_balance FROM transfer(NULL::acct, 1, 2, 1);
SELECT amount, from_balance FROM transfer(NULL::acct, 1, 2, 1.5);
SELECT amount, from_balance FROM transfer(NULL::acct, 1, 2, '1.5');
SELECT amount, from_balance FROM transfer(NULL::acct, '1', '2', '1.5');
SELECT amount, from_balance FROM transfer(NULL::acct, 1, 2, 1::smallint);
SELECT amount, from_balance FROM transfer(NULL::acct, 1, 2, 1::bigint);
CREATE DOMAIN price AS numeric(12,2);
SELECT amount, from_balance FROM transfer(NULL::acct, 1, 2, 1.5::price);
SELECT amount, from_balance FROM transfer(NULL::acct, from_id => 1, to_id => 2, amount => '1.5');
SELECT transfer(NULL::acct, 1, 2, NULL);
PREPARE untyped AS SELECT amount, from_balance FROM transfer(NULL::acct, $1, $2, $3, $4);
PREPARE by_name AS SELECT amount, from_balance FROM transfer(NULL::acct, $1::integer, $2::integer, amount => $3, max_balance => $4);
PREPARE holding AS SELECT amount FROM hold_transfer(NULL::acct, $1, $2, $3, 'j', request_id => $4);
PREPARE posting AS SELECT amount FROM post_transfer(NULL::acct, 'j', $1, $2, $3, $4);
PREPARE reversing AS SELECT amount FROM reverse_transfer(NULL::acct, 'j', $1, $2, $3, $4);
PREPARE batch AS SELECT status FROM transfer_many(NULL::acct, $1, $2, $3, $4, $5);
PREPARE kinds AS SELECT status FROM transfer_many(NULL::acct, $1::integer[], $2, $3, journal => $4,
	details => $5, min_balance => $6, must_match => $7, entry_ids => $8, kinds => $9, expires_at => $10, final => $11);
SELECT name, parameter_types FROM pg_prepared_statements ORDER BY name;
EXECUTE untyped ('1', '2', '1.5', NULL);
EXECUTE untyped ('1', '2', 1.5, '-Infinity');
EXECUTE by_name (1, 2, 1, 1000000);
EXECUTE batch ('{1}', '{2}', '{1.5}', NULL, NULL);
EXECUTE batch ('{1}', '{2}', ARRAY[1.5], NULL, NULL);
PREPARE typed (integer, bigint, numeric) AS SELECT amount, from_balance FROM transfer(NULL::acct, $1, $2, $3);
EXECUTE typed (1, 2, 1.5);

-- Amounts of a batch
SELECT status, amount FROM transfer_many(NULL::acct, '{1,1}', '{2,2}', '{1,1.5}');
SELECT status, amount FROM transfer_many(NULL::acct, ARRAY[1, 1], ARRAY[2, 2], ARRAY[1, 2]);
SELECT status, amount FROM transfer_many(NULL::acct, ARRAY[1, 1], ARRAY[2, 2], ARRAY[1, 1.5]);
SELECT status, amount FROM transfer_many(NULL::acct, ARRAY[1, 1], ARRAY[2, 2], ARRAY[1, 2]::bigint[]);
SELECT status, amount FROM transfer_many(NULL::acct, ARRAY[1, 1], ARRAY[2, 2], ARRAY['1', '1.5']::numeric[]);

-- A float, and what has the type of a string, want a cast, of amounts as of limits
\set VERBOSITY sqlstate
SELECT transfer(NULL::acct, 1, 2, 1.5::double precision);
SELECT transfer(NULL::acct, 1, 2, 1.5::real);
SELECT transfer(NULL::acct, 1, 2, text '1.5');
SELECT transfer(NULL::acct, 1, 2, varchar '1.5');
SELECT transfer(NULL::acct, 1, 2, '1.5'::money);
SELECT transfer(NULL::acct, 1, 2, 1, 0::double precision);
SELECT transfer(NULL::acct, 1, 2, 1, max_balance => text '1000');
SELECT hold_transfer(NULL::acct, 1, 2, 1.5::double precision, 'j');
SELECT hold_transfer(NULL::acct, 1, 2, varchar '1.5', 'j');
SELECT post_transfer(NULL::acct, 'j', 1, 1.5::double precision);
SELECT post_transfer(NULL::acct, 'j', 1, text '1.5');
SELECT reverse_transfer(NULL::acct, 'j', 1, 1.5::double precision);
SELECT reverse_transfer(NULL::acct, 'j', 1, text '1.5');
SELECT transfer_many(NULL::acct, '{1}', '{2}', '{1.5}'::double precision[]);
SELECT transfer_many(NULL::acct, '{1}', '{2}', '{1.5}'::text[]);
SELECT transfer_many(NULL::acct, '{1}', '{2}', '{1.5}'::varchar[]);
SELECT transfer_many(NULL::acct, '{1}', '{2}', ARRAY['1.5']);
SELECT transfer_many(NULL::acct, '{1}', '{2}', '{1}', min_balance => 0::double precision);
SELECT create_journal('ac.k', NULL::acct, opening => 0::double precision);
SELECT * FROM verify_journal('j', NULL::acct, opening => text '1000');
PREPARE float (double precision) AS SELECT amount FROM transfer(NULL::acct, 1, 2, $1);
PREPARE floats (double precision[]) AS SELECT amount FROM transfer_many(NULL::acct, '{1}', '{2}', $1);
PREPARE texts (text[]) AS SELECT amount FROM transfer_many(NULL::acct, '{1}', '{2}', $1);
\set VERBOSITY default
-- which is this, in every function
PREPARE float (double precision) AS SELECT amount FROM transfer(NULL::acct, 1, 2, $1::numeric);
EXECUTE float (1.5);
PREPARE floats (double precision[]) AS SELECT amount FROM transfer_many(NULL::acct, '{1}', '{2}', $1::numeric[]);
EXECUTE floats ('{1.5}');
PREPARE texts (text[]) AS SELECT amount FROM transfer_many(NULL::acct, '{1}', '{2}', $1::numeric[]);
EXECUTE texts ('{1.5}');
SELECT amount FROM transfer(NULL::acct, 1, 2, (varchar '1.5')::numeric, (text '0')::numeric);
SELECT amount FROM transfer(NULL::acct, 1, 2, '1.5'::money::numeric);
SELECT entry_id AS hold FROM hold_transfer(NULL::acct, 1, 2, (text '3')::numeric, 'j') \gset
SELECT amount FROM post_transfer(NULL::acct, 'j', :hold, 1.5::double precision::numeric);
-- The cast keeps 15 digits of a float, and 6 of a real: racefree cannot see what is lost.
SELECT amount FROM transfer(NULL::acct, 1, 2, (0.1::double precision + 0.2::double precision)::numeric);
SELECT 12345678901234.56::double precision::numeric AS float, 12345.67::real::numeric AS real;

-- Ids: of the column's type, of any other integer, or strings of any type
SELECT amount FROM transfer(NULL::acct, 1::bigint, 2::smallint, 1);
SELECT amount FROM transfer(NULL::acct, text '1', text '2', 1);
SELECT amount FROM transfer(NULL::acct, varchar '1', varchar '2', 1);
SELECT amount FROM transfer(NULL::acct, varchar '1', text '2', 1);
SELECT amount FROM transfer(NULL::acct, '1'::char(5), '2'::char(5), 1);
SELECT amount FROM transfer(NULL::acct, citext '1', citext '2', 1);
SELECT status FROM transfer_many(NULL::acct, ARRAY['1'], ARRAY['2'], '{1}');
SELECT status FROM transfer_many(NULL::acct, '{1}'::text[], '{2}'::text[], '{1}');
SELECT status FROM transfer_many(NULL::acct, '{1}'::varchar[], '{2}'::varchar[], '{1}');
SELECT status FROM transfer_many(NULL::acct, '{1}'::citext[], '{2}'::citext[], '{1}');
SELECT status FROM transfer_many(NULL::acct, '{1}'::bigint[], '{2}'::smallint[], '{1}');
SELECT id FROM lock_rows(NULL::acct, ARRAY['2', '1']);
-- both alike, and an entry's is a bigint
\set VERBOSITY sqlstate
SELECT transfer(NULL::acct, 1, text '2', 1);
SELECT transfer_many(NULL::acct, '{1}'::integer[], '{2}'::text[], '{1}');
SELECT post_transfer(NULL::acct, 'j', text '1');
SELECT post_transfer(NULL::acct, 'j', 1::numeric);
SELECT void_transfer(NULL::acct, 'j', varchar '1');
SELECT transfer_many(NULL::acct, '{1}'::integer[], '{2}', '{1}', journal => 'j', entry_ids => '{1}'::text[]);
\set VERBOSITY default
SELECT amount FROM transfer(NULL::acct, 1, (text '2')::integer, 1);
SELECT status FROM transfer_many(NULL::acct, '{1}'::integer[], '{2}'::text[]::integer[], '{1}');

-- A request id of a type that is not among those that are converted
CREATE DOMAIN request AS text;
SELECT replayed FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', request_id => request 'a');
\set VERBOSITY sqlstate
SELECT replayed FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', request_id => citext 'a');
SELECT status FROM transfer_many(NULL::acct, '{1}', '{2}', '{1}', '{a}'::citext[], journal => 'j');
\set VERBOSITY default
SELECT replayed FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', request_id => (citext 'a')::text);
SELECT status FROM transfer_many(NULL::acct, '{1}', '{2}', '{1}', '{a}'::citext[]::text[], journal => 'j');

-- JSON is jsonb
\set VERBOSITY sqlstate
SELECT * FROM get_or_create(NULL::acct, text '{"id": 1}');
SELECT * FROM get_or_create(NULL::acct, varchar '{"id": 1}');
SELECT * FROM get_or_create(NULL::acct, json '{"id": 1}');
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', details => text '{}');
SELECT transfer(NULL::acct, 1, 2, 1, journal => 'j', details => json '{}');
SELECT transfer_many(NULL::acct, '{1}', '{2}', '{1}', journal => 'j', columns => json '[]');
\set VERBOSITY default
SELECT (object).id FROM get_or_create(NULL::acct, (varchar '{"id": 1}')::jsonb);
SELECT entry->'details' AS details FROM transfer(NULL::acct, 1, 2, 1, journal => 'j', details => (json '{"a":1}')::jsonb);

-- Names, journals and words are taken as strings of any type; times, flags and numbers are not.
SELECT replayed FROM transfer(NULL::acct, 1, 2, 1, NULL, text 'id', varchar 'balance', varchar 'ac.j', text 'b', must_match => ARRAY['held']::text[]);
SELECT replayed FROM transfer(NULL::acct, 1, 2, 1, journal => text 'ac.j', request_id => 'b', must_match => ARRAY['held']::varchar[]);
SELECT status FROM transfer_many(NULL::acct, '{1}', '{2}', '{1}', on_error => varchar 'report', journal => 'j', kinds => ARRAY['hold']::varchar[], expires_at => ARRAY['2999-01-01']::timestamp[]);
SELECT ordinality FROM get_or_create_many(NULL::acct, '[{"id": 1}]', ARRAY['id']);
\set VERBOSITY sqlstate
SELECT hold_transfer(NULL::acct, 1, 2, 1, 'j', text '2999-01-01');
SELECT transfer(NULL::acct, 1, 2, 1, up_to => text 'true');
SELECT expire_holds(NULL::acct, 'j', text '10');
\set VERBOSITY default

SELECT sum(balance) FROM acct;

--
-- Why there is no second function that takes floats or strings, be it to
-- refuse them with better words: it would be chosen where numeric is meant, or
-- nothing would be.
--
CREATE TYPE inexact;
CREATE FUNCTION inexact_in(cstring) RETURNS inexact LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION inexact_out(inexact) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE inexact (INPUT = inexact_in, OUTPUT = inexact_out, LIKE = text, CATEGORY = 'N');
CREATE CAST (double precision AS inexact) WITH INOUT AS IMPLICIT;
CREATE FUNCTION with_float(numeric) RETURNS text LANGUAGE sql AS $$ SELECT 'numeric' $$;
CREATE FUNCTION with_float(double precision) RETURNS text LANGUAGE sql AS $$ SELECT 'float' $$;
CREATE FUNCTION with_text(numeric) RETURNS text LANGUAGE sql AS $$ SELECT 'numeric' $$;
CREATE FUNCTION with_text(text) RETURNS text LANGUAGE sql AS $$ SELECT 'text' $$;
CREATE FUNCTION with_own(acct, numeric) RETURNS text LANGUAGE sql AS $$ SELECT 'numeric' $$;
CREATE FUNCTION with_own(acct, inexact) RETURNS text LANGUAGE sql AS $$ SELECT 'own' $$;
CREATE FUNCTION with_array(acct, numeric[]) RETURNS text LANGUAGE sql AS $$ SELECT 'numeric' $$;
CREATE FUNCTION with_array(acct, text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'text' $$;
SELECT with_float(1) AS "1", with_float(1.5) AS "1.5", with_float('1.5') AS "'1.5'";
SELECT with_text(1) AS "1", with_text(1.5) AS "1.5", with_text('1.5') AS "'1.5'";
SELECT with_own(NULL, 1) AS "1", with_own(NULL, 1.5) AS "1.5", with_own(NULL, 1.5::double precision) AS float;
\set VERBOSITY sqlstate
SELECT with_own(NULL::acct, '1.5');
PREPARE own AS SELECT with_own(NULL::acct, $1);
SELECT with_array(NULL::acct, '{1.5}');
PREPARE own AS SELECT with_array(NULL::acct, $1);
\set VERBOSITY default

DEALLOCATE ALL;
DROP SCHEMA ac CASCADE;
DROP EXTENSION citext;
