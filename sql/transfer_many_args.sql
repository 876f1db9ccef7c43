-- transfer_many: what its arguments may be, and what an error tells.
CREATE TABLE ta (id integer PRIMARY KEY, balance numeric(12,2), currency text);
INSERT INTO ta VALUES (1, 100), (2, 0), (3, 50);
CREATE TABLE ta_j (id integer GENERATED ALWAYS AS IDENTITY, request_id uuid, from_id integer, to_id integer, amount numeric(8,1), details jsonb);

-- NULLs
SELECT * FROM transfer_many(NULL::ta, NULL::integer[], '{1}', '{1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', NULL, '{1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', NULL);
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', on_error => NULL);
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', balance_column => NULL);
\echo :SQLSTATE
-- the others may be
SELECT status FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', NULL, NULL, 'report', NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- lengths
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2,3}', '{1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,3}', '{1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{}', '{}', '{1}', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', '{}', journal => 'ta_j');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', chains => '{1,2}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', journal => 'ta_j', details => '[]');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', journal => 'ta_j', details => '[1,2]', on_error => 'report');
\echo :SQLSTATE
-- dimensions; where an array begins does not matter
SELECT * FROM transfer_many(NULL::ta, '{{1}}', '{2}', '{1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{{2},{2}}', '{1,1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{{1}}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', '{{00000000-0000-0000-0000-000000000001}}', journal => 'ta_j');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', chains => '{{1}}');
\echo :SQLSTATE
SELECT ordinality, status FROM transfer_many(NULL::ta, '[5:6]={1,1}', '[-1:0]={2,2}', '{1,1}', chains => '[0:1]={1,1}');

-- on_error
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', on_error => 'Report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', on_error => '');
\echo :SQLSTATE
-- what needs a journal
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', '{x}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', details => '{}', on_error => 'report');
\echo :SQLSTATE
-- tables and columns, with both
SELECT * FROM transfer_many(NULL::integer, '{1}', '{2}', '{1}', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', id_column => 'nope', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', balance_column => 'currency', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', must_match => '{ctid}', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', must_match => '{NULL}', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', min_balance => 'NaN', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', max_balance => 'NaN', on_error => 'report');
\echo :SQLSTATE

-- ids: of the column's type, or text; what is none is an error, with both
SELECT ordinality, status FROM transfer_many(NULL::ta, ARRAY['1', ' 2 '], ARRAY['2', '03'], ARRAY[1, 1]);
SELECT ordinality, status FROM transfer_many(NULL::ta, ARRAY[1, 2]::bigint[], ARRAY[2, 3]::smallint[], ARRAY[1, 1]);
SELECT * FROM transfer_many(NULL::ta, ARRAY['1', 'x'], ARRAY['2', '3'], ARRAY[1, 1], on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, ARRAY[1, 1], ARRAY[2, 5000000000], ARRAY[1, 1], on_error => 'report');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,2}', '{1,1}', '{00000000-0000-0000-0000-000000000001,x}', journal => 'ta_j', on_error => 'report');
\echo :SQLSTATE
CREATE TABLE ta_uuid (id uuid PRIMARY KEY, balance bigint);
INSERT INTO ta_uuid SELECT ('00000000-0000-0000-0000-00000000000' || i)::uuid, 10 FROM generate_series(1, 3) AS i;
SELECT ordinality, status, from_balance FROM transfer_many(NULL::ta_uuid, ARRAY['00000000-0000-0000-0000-000000000001', '{00000000000000000000000000000003}'], ARRAY['00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001'], ARRAY[1, 2]);
SELECT ordinality, status, from_balance FROM transfer_many(NULL::ta_uuid, ARRAY['00000000-0000-0000-0000-000000000001']::uuid[], ARRAY['00000000-0000-0000-0000-000000000009']::uuid[], ARRAY[1], on_error => 'report');
DROP TABLE ta_uuid;

-- the context names the transfer
SELECT * FROM transfer_many(NULL::ta, '{1,NULL}', '{2,2}', '{1,1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,NULL}', '{1,1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,2}', '{1,NULL}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,2}', '{1,0}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1,1}', '{2,2,1}', '{1,1,1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1}', '{2}', '{0.001}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,2}', '{1,0.01}', journal => 'ta_j');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,99}', '{2,2}', '{1,1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,-99}', '{1,1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1,1}', '{2,3,2}', '{60,30,10}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,2}', '{10,10}', max_balance => 18);
\echo :SQLSTATE
UPDATE ta SET currency = 'EUR' WHERE id = 3;
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,3}', '{1,1}', must_match => '{currency}');
\echo :SQLSTATE
INSERT INTO ta VALUES (4, NULL), (5, 9999999999.99);
SELECT * FROM transfer_many(NULL::ta, '{1,4}', '{2,1}', '{1,1}');
\echo :SQLSTATE
UPDATE ta SET balance = 'NaN' WHERE id = 4;
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,4}', '{1,1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,5}', '{1,1}');
\echo :SQLSTATE
SELECT status FROM transfer_many(NULL::ta, '{1}', '{2}', '{1}', '{00000000-0000-0000-0000-000000000001}', journal => 'ta_j');
SELECT * FROM transfer_many(NULL::ta, '{1,1}', '{2,2}', '{1,2}', '{NULL,00000000-0000-0000-0000-000000000001}', journal => 'ta_j');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,1,2}', '{2,2,1}', '{1,2,2}', '{NULL,00000000-0000-0000-0000-000000000002,00000000-0000-0000-0000-000000000002}', journal => 'ta_j');
\echo :SQLSTATE
-- in a failed batch nothing was done
SELECT id, balance FROM ta ORDER BY id;
SELECT count(*) FROM ta_j;

-- precedence, as for single transfers; of several, the first
\set SHOW_CONTEXT never
SELECT ordinality, status FROM transfer_many(NULL::ta, '{NULL,NULL,8,8,8,8,8,1,1}', '{1,NULL,8,8,1,9,1,5,5}', '{NULL,0,0,0.01,0.001,1000.001,1000,1000,0.001}',
  '{00000000-0000-0000-0000-000000000001,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL}', on_error => 'report', journal => 'ta_j') ORDER BY ordinality;
SELECT * FROM transfer_many(NULL::ta, '{8,NULL}', '{1,1}', '{1,1}');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::ta, '{1,8}', '{2,1}', '{1000,1}');
\echo :SQLSTATE
DROP TABLE ta, ta_j;
