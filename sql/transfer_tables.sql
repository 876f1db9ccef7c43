-- transfer: on tables that are not plain ones.
\set SHOW_CONTEXT never

-- partitioned by id: both rows in one partition, or in two
CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2)) PARTITION BY RANGE (id);
CREATE TABLE acct_low PARTITION OF acct FOR VALUES FROM (0) TO (10);
CREATE TABLE acct_high (balance numeric(12,2), gone text, id integer NOT NULL);
ALTER TABLE acct_high DROP COLUMN gone;
ALTER TABLE acct ATTACH PARTITION acct_high FOR VALUES FROM (10) TO (20);
INSERT INTO acct VALUES (1, 100), (2, 100), (11, 100), (12, 100);
SELECT * FROM transfer(NULL::acct, 1, 2, 1);
SELECT * FROM transfer(NULL::acct, 1, 12, 2);
SELECT * FROM transfer(NULL::acct, 12, 1, 4);
SELECT * FROM transfer(NULL::acct, 11, 12, 8);
SELECT * FROM transfer(NULL::acct, 11, 2, 1000);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 11, 99, 1);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 1, 11, 0.001);
\echo :SQLSTATE
-- by a partition: its rows only
SELECT * FROM transfer(NULL::acct_high, 12, 11, 16);
SELECT * FROM transfer(NULL::acct_high, 12, 1, 1);
\echo :SQLSTATE
SELECT tableoid::regclass, id, balance FROM acct ORDER BY id;
SELECT sum(balance) FROM acct;
DROP TABLE acct;

-- partitioned by the balance itself: a transfer moves rows between partitions
CREATE TABLE acct (id integer, balance numeric(12,2)) PARTITION BY RANGE (balance);
CREATE TABLE acct_poor PARTITION OF acct FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE acct_rich PARTITION OF acct FOR VALUES FROM (100) TO (1000);
INSERT INTO acct VALUES (1, 500), (2, 50);
SELECT * FROM transfer(NULL::acct, 1, 2, 450, id_column => 'id');
SELECT tableoid::regclass, id, balance FROM acct ORDER BY id;
-- where no partition takes the new balance, nothing happens: 23514
SELECT * FROM transfer(NULL::acct, 1, 2, 500, -1000, id_column => 'id');
\echo :SQLSTATE
SELECT tableoid::regclass, id, balance FROM acct ORDER BY id;
DROP TABLE acct;

-- inheritance: a row of a child is the parent's row, too
CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2));
CREATE TABLE acct_child (extra text) INHERITS (acct);
INSERT INTO acct VALUES (1, 100);
INSERT INTO acct_child VALUES (2, 100, 'e');
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
SELECT * FROM transfer(NULL::acct, 2, 1, 5);
SELECT * FROM transfer(NULL::acct_child, 2, 1, 5, id_column => 'id');
\echo :SQLSTATE
-- the key of the parent does not bind the child: two rows are 21000
INSERT INTO acct_child VALUES (1, 0, 'twin');
SELECT * FROM transfer(NULL::acct, 1, 2, 10);
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct, 2, 1, 10);
\echo :SQLSTATE
SELECT tableoid::regclass, id, balance FROM acct ORDER BY id, balance;
DROP TABLE acct_child, acct;

-- temporary and unlogged tables
CREATE TEMPORARY TABLE acct_temp (id integer PRIMARY KEY, balance bigint);
INSERT INTO acct_temp VALUES (1, 10), (2, 10);
SELECT * FROM transfer(NULL::acct_temp, 1, 2, 3);
-- in a read-only transaction, temporary tables can be written
BEGIN READ ONLY;
SELECT * FROM transfer(NULL::acct_temp, 1, 2, 3);
COMMIT;
DROP TABLE acct_temp;
CREATE UNLOGGED TABLE acct (id integer PRIMARY KEY, balance bigint);
INSERT INTO acct VALUES (1, 10), (2, 10);
SELECT * FROM transfer(NULL::acct, 1, 2, 3);
DROP TABLE acct;

-- no tables: 42809
CREATE TABLE acct (id integer PRIMARY KEY, balance bigint);
INSERT INTO acct VALUES (1, 10), (2, 10);
CREATE VIEW acct_view AS SELECT * FROM acct;
CREATE MATERIALIZED VIEW acct_mat AS SELECT * FROM acct;
SELECT * FROM transfer(NULL::acct_view, 1, 2, 3, id_column => 'id');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::acct_mat, 1, 2, 3, id_column => 'id');
\echo :SQLSTATE
DROP VIEW acct_view;
DROP MATERIALIZED VIEW acct_mat;

-- a rule that turns the update into something else is refused: 0A000
\set VERBOSITY sqlstate
CREATE RULE acct_rule AS ON UPDATE TO acct DO INSTEAD NOTHING;
SELECT * FROM transfer(NULL::acct, 1, 2, 3);
DROP RULE acct_rule ON acct;
-- also where the rule answers as the update would
CREATE TABLE acct_other (id integer, balance bigint);
INSERT INTO acct_other VALUES (1, 10), (2, 10);
CREATE RULE acct_rule AS ON UPDATE TO acct DO INSTEAD UPDATE acct_other SET balance = NEW.balance WHERE id = OLD.id RETURNING *;
SELECT * FROM transfer(NULL::acct, 1, 2, 3);
DROP RULE acct_rule ON acct;
\set VERBOSITY default
SELECT id, balance FROM acct ORDER BY id;
SELECT id, balance FROM acct_other ORDER BY id;
DROP TABLE acct_other;

-- inserts that reference an account work beside a transfer, and foreign keys
-- to and from the table do no harm
CREATE TABLE acct_entry (acct integer REFERENCES acct);
ALTER TABLE acct ADD boss integer REFERENCES acct;
UPDATE acct SET boss = 1;
SELECT * FROM transfer(NULL::acct, 1, 2, 3);
INSERT INTO acct_entry VALUES (1), (2);
SELECT * FROM transfer(NULL::acct, 2, 1, 1);
DROP TABLE acct_entry;

DROP TABLE acct;
