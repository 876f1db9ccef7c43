-- What the columns of journals and accounts can hold, and what they check, is
-- the server's to say: nothing is rounded, no domain is passed by.
\set SHOW_CONTEXT never

-- a domain over the balance
CREATE DOMAIN jt_positive AS numeric(12,2) CHECK (VALUE >= 0);
CREATE TABLE jt_domain (id integer PRIMARY KEY, balance jt_positive);
INSERT INTO jt_domain VALUES (1, 10), (2, 0);
SELECT * FROM transfer(NULL::jt_domain, 1, 2, 20, '-Infinity');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::jt_domain, '{1}', '{2}', '{20}', min_balance => '-Infinity');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::jt_domain, '{1}', '{2}', '{2}', min_balance => '-Infinity');
SELECT * FROM jt_domain ORDER BY id;

-- domains and lengths in the journal
CREATE DOMAIN jt_small AS integer CHECK (VALUE < 5);
CREATE DOMAIN jt_object AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');
CREATE TABLE jt_names (id text PRIMARY KEY, balance integer);
INSERT INTO jt_names VALUES ('a', 100), ('b', 100), ('too long', 100);
CREATE TABLE jt_narrow (from_id varchar(5), to_id varchar(3), amount jt_small, details jt_object,
                        created_at timestamptz(0));
SELECT * FROM transfer_many(NULL::jt_names, '{a}', '{b}', '{4}', journal => 'jt_narrow');
SELECT * FROM transfer_many(NULL::jt_names, '{a}', '{b}', '{5}', journal => 'jt_narrow');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::jt_names, '{a}', '{b}', '{1}', journal => 'jt_narrow', details => '7');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::jt_names, '{too long}', '{b}', '{1}', journal => 'jt_narrow');
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::jt_names, 'too long', 'b', 1, journal => 'jt_narrow');
\echo :SQLSTATE
SELECT from_id, to_id, amount, created_at = date_trunc('second', created_at) AS whole
  FROM jt_narrow;

CREATE TABLE jt_padded (id char(4) PRIMARY KEY, balance integer);
INSERT INTO jt_padded VALUES ('a', 10), ('b', 10);
SELECT create_journal('jt_padding', NULL::jt_padded);
SELECT status FROM transfer_many(NULL::jt_padded, '{a}', '{b}', '{1}', journal => 'jt_padding');
SELECT octet_length(from_id), octet_length(to_id) FROM jt_padding;

-- "up_to" may leave an amount that the journal cannot hold
CREATE TABLE jt_cents (id integer PRIMARY KEY, balance numeric(12,2));
INSERT INTO jt_cents VALUES (2, 0.57), (3, 0);
CREATE TABLE jt_whole (from_id integer, to_id integer, amount integer);
SELECT * FROM transfer(NULL::jt_cents, 2, 3, 5, journal => 'jt_whole', up_to => true);
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::jt_cents, '{2}', '{3}', '{5}', journal => 'jt_whole', up_to => true,
                            on_error => 'report');
SELECT * FROM jt_whole;

-- an id that does not fit into "reverses"
INSERT INTO jt_cents VALUES (1, 0);
CREATE TABLE jt_reverses (id bigint, from_id integer, to_id integer, amount numeric, reverses integer);
INSERT INTO jt_reverses VALUES (5000000000, 1, 3, 10);
SELECT * FROM reverse_transfer(NULL::jt_cents, 'jt_reverses', 5000000000, min_balance => '-Infinity');
\echo :SQLSTATE
-- an entry that names one account only
INSERT INTO jt_reverses VALUES (8, NULL, 3, 10);
SELECT * FROM reverse_transfer(NULL::jt_cents, 'jt_reverses', 8);
\echo :SQLSTATE

-- columns that follow from the balance are compared as they were before
CREATE TABLE jt_rich (id integer PRIMARY KEY, balance integer,
                      rich boolean GENERATED ALWAYS AS (balance > 100) STORED);
INSERT INTO jt_rich VALUES (1, 150), (2, 150), (3, 100), (4, 110);
SELECT from_account, to_account FROM transfer(NULL::jt_rich, 1, 2, 60, must_match => '{rich}');
SELECT from_account, to_account FROM transfer(NULL::jt_rich, 1, 2, 60, must_match => '{rich}');
\echo :SQLSTATE
SELECT from_account, to_account FROM transfer(NULL::jt_rich, 4, 3, 10, must_match => '{balance}');
\echo :SQLSTATE

-- ids and requests are not rounded
CREATE TABLE jt_numeric (id numeric PRIMARY KEY, balance integer);
INSERT INTO jt_numeric VALUES (1.5, 10), (2, 10);
CREATE TABLE jt_rounding (request_id numeric(5,2), from_id numeric(3,0), to_id numeric, amount integer);
SELECT * FROM transfer(NULL::jt_numeric, 1.5, 2, 1, journal => 'jt_rounding');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::jt_numeric, '{1.5}', '{2}', '{1}', journal => 'jt_rounding');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::jt_numeric, 2, 1.5, 1, journal => 'jt_rounding', request_id => '1.501');
\echo :SQLSTATE
SELECT replayed FROM transfer(NULL::jt_numeric, 2, 1.5, 1, journal => 'jt_rounding', request_id => '1.510');

-- integers of different sizes
CREATE TABLE jt_short (from_id smallint, to_id bigint, amount integer);
INSERT INTO jt_cents VALUES (100000, 5);
SELECT amount FROM transfer(NULL::jt_cents, 2, 3, 0.07, journal => 'jt_short');
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::jt_cents, 100000, 3, 1, journal => 'jt_short');
\echo :SQLSTATE
\set SHOW_CONTEXT always
SELECT * FROM transfer_many(NULL::jt_cents, '{3,100000}'::integer[], '{100000,3}'::integer[], '{0,1}',
                            journal => 'jt_short', on_error => 'report');
\set SHOW_CONTEXT never
SELECT amount FROM transfer(NULL::jt_cents, 2, 100000, 0.5, journal => 'jt_reverses');

-- ids in the journal that the accounts cannot have
CREATE TABLE jt_wide (id integer, from_id bigint, to_id bigint, amount integer,
                      from_balance integer, to_balance integer);
INSERT INTO jt_wide VALUES (1, 50000000000, 100000, 1, 1, 6);
SELECT * FROM verify_journal('jt_wide', NULL::jt_cents) ORDER BY account_id;

-- columns in which other ids are equal than in the accounts
CREATE TABLE jt_trimming (from_id char(5), to_id char(5), amount integer);
CREATE TABLE jt_texts (id text PRIMARY KEY, balance integer);
INSERT INTO jt_texts VALUES ('a', 10), ('a ', 10), ('b', 10);
SELECT * FROM transfer(NULL::jt_texts, 'a', 'b', 5, journal => 'jt_trimming');
\echo :SQLSTATE
CREATE COLLATION jt_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE jt_folding (from_id text COLLATE jt_ci, to_id text, amount integer);
SELECT * FROM transfer(NULL::jt_texts, 'a', 'b', 5, journal => 'jt_folding');
\echo :SQLSTATE
CREATE TABLE jt_varchars (from_id varchar, to_id varchar(10) COLLATE "C", amount integer);
SELECT amount FROM transfer(NULL::jt_texts, 'a ', 'b', 5, journal => 'jt_varchars');
SELECT from_id || '|', to_id || '|' FROM jt_varchars;

CREATE TABLE jt_folded (id text COLLATE jt_ci PRIMARY KEY, balance integer);
INSERT INTO jt_folded VALUES ('a', 10), ('b', 10);
SELECT amount FROM transfer(NULL::jt_folded, 'A', 'b', 5, journal => 'jt_varchars');
\echo :SQLSTATE
SELECT create_journal('jt_folded_journal', NULL::jt_folded, request_id_type => 'text');
SELECT amount, replayed FROM transfer(NULL::jt_folded, 'A', 'b', 5, journal => 'jt_folded_journal', request_id => 'x');
SELECT amount, replayed FROM transfer(NULL::jt_folded, 'a', 'B', 5, journal => 'jt_folded_journal', request_id => 'x');

-- a request id is not rounded by a domain's type either
CREATE DOMAIN jt_whole_number AS numeric(10,0);
SELECT create_journal('jt_domains', NULL::jt_cents, request_id_type => 'jt_whole_number');
SELECT replayed FROM transfer(NULL::jt_cents, 3, 2, 0.01, '-Infinity', journal => 'jt_domains', request_id => '1.0');
SELECT replayed FROM transfer(NULL::jt_cents, 3, 2, 0.01, '-Infinity', journal => 'jt_domains', request_id => '1.4');
\echo :SQLSTATE
SELECT replayed FROM transfer(NULL::jt_cents, 3, 2, 0.01, '-Infinity', journal => 'jt_domains', request_id => '1');

-- a batch cannot compare what its own transfers change
SELECT * FROM transfer_many(NULL::jt_rich, '{1,1}', '{2,2}', '{1,1}', must_match => '{rich}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::jt_rich, '{1,1}', '{2,2}', '{1,1}', must_match => '{balance}');
\echo :SQLSTATE

-- "up_to" takes any amount as "all there is", down to what the column can hold
CREATE TABLE jt_all (id integer PRIMARY KEY, balance integer, cents numeric(8,2));
INSERT INTO jt_all VALUES (1, 7, 7.77), (2, 0, 0);
SELECT amount FROM transfer(NULL::jt_all, 1, 2, 1e30, up_to => true, balance_column => 'cents');
SELECT amount FROM transfer(NULL::jt_all, 1, 2, 5.5, up_to => true);
\echo :SQLSTATE
SELECT amount FROM transfer(NULL::jt_all, 1, 2, 7.5, up_to => true);
UPDATE jt_all SET balance = -2147483640 WHERE id = 1;
SELECT amount FROM transfer(NULL::jt_all, 1, 2, 100, '-Infinity', up_to => true);
SELECT amount FROM transfer(NULL::jt_all, 1, 2, 100, -2147483650, up_to => true);
\echo :SQLSTATE
SELECT * FROM jt_all ORDER BY id;

-- no type at all
SELECT create_journal('jt_none', NULL::jt_cents, request_id_type => 0);
\echo :SQLSTATE

DROP TABLE jt_domains, jt_folded_journal, jt_folded, jt_padding, jt_padded;
DROP TABLE jt_domain, jt_names, jt_narrow, jt_cents, jt_whole, jt_reverses, jt_rich, jt_numeric,
           jt_rounding, jt_short, jt_wide, jt_trimming, jt_texts, jt_folding, jt_varchars, jt_all;
DROP COLLATION jt_ci;
DROP DOMAIN jt_whole_number, jt_positive, jt_small, jt_object;
