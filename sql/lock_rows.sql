-- lock_rows: rows are locked in id order, and come back in the order of ids.
\set SHOW_CONTEXT never
CREATE TABLE lr (id integer PRIMARY KEY, name text, code uuid UNIQUE);
INSERT INTO lr VALUES (3, 'c', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13'), (1, 'a', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), (2, 'b', NULL);
SELECT * FROM lock_rows(NULL::lr, ARRAY[2, 3, 1]);
-- one that does not exist is not returned: fewer rows than ids
SELECT * FROM lock_rows(NULL::lr, ARRAY[9, 3, 8, 1]);
SELECT count(*) = 2 AS all_there FROM lock_rows(NULL::lr, ARRAY[3, 9]);
SELECT i AS missing FROM unnest(ARRAY[3, 9, 1]) i LEFT JOIN lock_rows(NULL::lr, ARRAY[3, 9, 1]) r ON r.id = i WHERE r.id IS NULL;
-- one that is given twice is returned twice
SELECT * FROM lock_rows(NULL::lr, ARRAY[3, 1, 3]);
SELECT * FROM lock_rows(NULL::lr, ARRAY[]::integer[]);
SELECT * FROM lock_rows(NULL::lr, '{}');
-- ids as drivers send them: text, other numbers, untyped parameters
SELECT * FROM lock_rows(NULL::lr, ARRAY['2', '1']);
SELECT * FROM lock_rows(NULL::lr, '{2,1}');
SELECT * FROM lock_rows(NULL::lr, ARRAY[2, 1]::bigint[]);
SELECT * FROM lock_rows(NULL::lr, ARRAY[2, 1]::numeric[]);
PREPARE p AS SELECT * FROM lock_rows(NULL::lr, $1);
EXECUTE p('{3,2}');
DEALLOCATE p;
SELECT * FROM lock_rows(NULL::lr, ARRAY['2', 'x']);
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[1.5]);
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[99999999999]);
\echo :SQLSTATE
-- other id columns
SELECT * FROM lock_rows(NULL::lr, ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13', 'A0EEBC999C0B4EF8BB6D6BB9BD380A11']::uuid[], id_column => 'code');
SELECT * FROM lock_rows(NULL::lr, '{A0EEBC999C0B4EF8BB6D6BB9BD380A11,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12}', 'update', 'wait', 'code');
SELECT * FROM lock_rows(NULL::lr, ARRAY['c', 'b'], id_column => 'name');
-- the four modes lock as their names say
CREATE EXTENSION pgrowlocks;
BEGIN;
SELECT id FROM lock_rows(NULL::lr, ARRAY[1], 'update');
SELECT modes FROM pgrowlocks('lr') ORDER BY locked_row;
ROLLBACK;
BEGIN;
SELECT id FROM lock_rows(NULL::lr, ARRAY[2, 1], 'no key update');
SELECT modes FROM pgrowlocks('lr') ORDER BY locked_row;
ROLLBACK;
BEGIN;
SELECT id FROM lock_rows(NULL::lr, ARRAY[1, 2]);
SELECT modes FROM pgrowlocks('lr') ORDER BY locked_row;
ROLLBACK;
BEGIN;
SELECT id FROM lock_rows(NULL::lr, ARRAY[1], 'share', 'nowait');
SELECT modes FROM pgrowlocks('lr') ORDER BY locked_row;
ROLLBACK;
BEGIN;
SELECT id FROM lock_rows(NULL::lr, ARRAY[1], 'key share', 'skip locked');
SELECT modes FROM pgrowlocks('lr') ORDER BY locked_row;
ROLLBACK;
DROP EXTENSION pgrowlocks;
-- and no advisory lock is taken
BEGIN;
SELECT id FROM lock_rows(NULL::lr, ARRAY[1]);
SELECT count(*) FROM racefree_locks;
SELECT mode FROM pg_locks WHERE relation = 'lr'::regclass AND pid = pg_backend_pid();
COMMIT;
-- the words
SELECT * FROM lock_rows(NULL::lr, ARRAY[1], 'UPDATE');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[1], 'exclusive');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[1], '');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[1], 'share', 'skip');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[1], wait => 'no wait');
\echo :SQLSTATE
-- NULLs
SELECT * FROM lock_rows(NULL::lr, NULL::integer[]);
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[1, NULL]);
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[1], NULL);
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[1], wait => NULL);
\echo :SQLSTATE
-- NULL is the default for the id column only
SELECT id FROM lock_rows(NULL::lr, ARRAY[1], id_column => NULL);
-- columns
SELECT * FROM lock_rows(NULL::lr, ARRAY[1], id_column => 'nope');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY['(0,1)'], id_column => 'ctid');
\echo :SQLSTATE
-- an id that is not unique: 21000
INSERT INTO lr VALUES (4, 'a', NULL);
SELECT * FROM lock_rows(NULL::lr, ARRAY['b', 'a'], id_column => 'name');
\echo :SQLSTATE
SELECT id FROM lock_rows(NULL::lr, ARRAY['b', 'c'], id_column => 'name') ORDER BY id;
-- read-only
BEGIN READ ONLY;
SELECT * FROM lock_rows(NULL::lr, ARRAY[1]);
\echo :SQLSTATE
ROLLBACK;
-- a table that changes between two calls
ALTER TABLE lr RENAME id TO "I d";
SELECT * FROM lock_rows(NULL::lr, ARRAY[4, 1]);
ALTER TABLE lr ADD extra integer DEFAULT 5, DROP COLUMN name;
SELECT * FROM lock_rows(NULL::lr, ARRAY[4, 1]);
ALTER TABLE lr ALTER "I d" TYPE text;
SELECT * FROM lock_rows(NULL::lr, ARRAY[4, 1]);
-- without a primary key, or with one of two columns, the id column is named
ALTER TABLE lr DROP CONSTRAINT lr_pkey;
SELECT * FROM lock_rows(NULL::lr, ARRAY[4, 1]);
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[4, 1], id_column => 'I d');
DROP TABLE lr;
CREATE TABLE lr (a integer, b integer, PRIMARY KEY (a, b));
INSERT INTO lr VALUES (1, 1), (1, 2), (2, 3);
SELECT * FROM lock_rows(NULL::lr, ARRAY[1]);
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY[3, 1], id_column => 'b');
SELECT * FROM lock_rows(NULL::lr, ARRAY[2, 1], id_column => 'a');
\echo :SQLSTATE
DROP TABLE lr;

-- equality and order of the id's own type: numeric scale, char(n), a collation,
-- a domain; no order, no lock
CREATE COLLATION lr_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN lr_id AS bigint CHECK (VALUE > 0);
CREATE TABLE lr (n numeric(6,2), c char(4), t text COLLATE lr_ci, d lr_id, p point, x xid);
INSERT INTO lr VALUES (1, 'a', 'Élan', 1, '(1,1)', '1'), (2, 'b', 'x', 2, '(2,2)', '2');
SELECT n FROM lock_rows(NULL::lr, ARRAY[2.000, 1.0], id_column => 'n');
SELECT c FROM lock_rows(NULL::lr, ARRAY['b', 'a   ', 'a'], id_column => 'c');
SELECT t FROM lock_rows(NULL::lr, ARRAY['X', 'éLAN'], id_column => 't');
SELECT d FROM lock_rows(NULL::lr, ARRAY[2, 1], id_column => 'd');
SELECT * FROM lock_rows(NULL::lr, ARRAY['(1,1)'], id_column => 'p');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::lr, ARRAY['1'], id_column => 'x');
\echo :SQLSTATE
DROP TABLE lr;
DROP DOMAIN lr_id;
DROP COLLATION lr_ci;

-- partitioned and inherited tables; what is no table
CREATE TABLE lr (id integer, v text) PARTITION BY RANGE (id);
CREATE TABLE lr_high (v text, id integer);
CREATE TABLE lr_low PARTITION OF lr FOR VALUES FROM (0) TO (10);
ALTER TABLE lr ATTACH PARTITION lr_high FOR VALUES FROM (10) TO (20);
ALTER TABLE lr ADD PRIMARY KEY (id);
INSERT INTO lr VALUES (11, 'eleven'), (1, 'one'), (12, 'twelve');
SELECT * FROM lock_rows(NULL::lr, ARRAY[12, 1, 11]);
SELECT * FROM lock_rows(NULL::lr_high, ARRAY[12, 1, 11]);
DROP TABLE lr;
CREATE TABLE lr (id integer PRIMARY KEY, v text);
CREATE TABLE lr_child () INHERITS (lr);
INSERT INTO lr VALUES (1, 'parent');
INSERT INTO lr_child VALUES (2, 'child');
SELECT * FROM lock_rows(NULL::lr, ARRAY[2, 1]);
INSERT INTO lr_child VALUES (1, 'child');
SELECT * FROM lock_rows(NULL::lr, ARRAY[2, 1]);
\echo :SQLSTATE
CREATE VIEW lr_view AS SELECT * FROM lr;
SELECT * FROM lock_rows(NULL::lr_view, ARRAY[1], id_column => 'id');
\echo :SQLSTATE
SELECT lock_rows(NULL::integer, ARRAY[1]);
\echo :SQLSTATE
DROP VIEW lr_view;
DROP TABLE lr_child, lr;

-- many
CREATE TABLE lr (id integer PRIMARY KEY);
INSERT INTO lr SELECT generate_series(1, 20000);
SELECT count(*), count(*) FILTER (WHERE id = 20001 - n) AS in_order FROM lock_rows(NULL::lr, (SELECT array_agg(i ORDER BY i DESC) FROM generate_series(1, 20000) i)) WITH ORDINALITY r (id, n);
DROP TABLE lr;
