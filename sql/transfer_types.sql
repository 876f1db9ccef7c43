-- transfer: what balances and ids can be, and what amounts fit.
\set SHOW_CONTEXT never

-- every type of balance, and domains over them
CREATE DOMAIN cents AS bigint;
CREATE DOMAIN euro AS numeric(14,2) CHECK (VALUE > -1000);
CREATE DOMAIN small_euro AS euro CHECK (VALUE < 1e6);
CREATE TABLE bal (id integer PRIMARY KEY, i2 smallint, i4 integer, i8 bigint, n numeric, n2 numeric(12,2),
                  m money, c cents, e euro, se small_euro, n0 numeric(6), nn numeric(6,-2), nf numeric(3,5));
INSERT INTO bal VALUES (1, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 10000, 0.00100),
                       (2, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 1000, 0.00010);
SELECT (from_account).i2, (to_account).i2 FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'i2');
SELECT (from_account).i4, (to_account).i4 FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'i4');
SELECT (from_account).i8, (to_account).i8 FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'i8');
SELECT (from_account).n, (to_account).n FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'n');
SELECT (from_account).n2, (to_account).n2 FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'n2');
SELECT (from_account).m, (to_account).m FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'm');
SELECT (from_account).c, (to_account).c FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'c');
SELECT (from_account).e, (to_account).e FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'e');
SELECT (from_account).se, (to_account).se FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'se');
SELECT (from_account).n0, (to_account).n0 FROM transfer(NULL::bal, 1, 2, 30, balance_column => 'n0');
-- a negative scale: hundreds only; a scale above the precision: fractions only
SELECT (from_account).nn, (to_account).nn FROM transfer(NULL::bal, 1, 2, 300, balance_column => 'nn');
SELECT (from_account).nf, (to_account).nf FROM transfer(NULL::bal, 1, 2, 0.00030, balance_column => 'nf');
-- the smallest unit of each
SELECT (from_account).n, (to_account).n FROM transfer(NULL::bal, 1, 2, 0.00000000000000000000000001, balance_column => 'n');
SELECT (from_account).n2, (to_account).n2 FROM transfer(NULL::bal, 1, 2, 0.01, balance_column => 'n2');
SELECT (from_account).m, (to_account).m FROM transfer(NULL::bal, 1, 2, 0.01, balance_column => 'm');
SELECT (from_account).e, (to_account).e FROM transfer(NULL::bal, 1, 2, 0.01, balance_column => 'e');
-- trailing zeros do not make an amount inexact
SELECT (from_account).i4, (to_account).i4 FROM transfer(NULL::bal, 1, 2, 1.000, balance_column => 'i4');
SELECT (from_account).n2, (to_account).n2 FROM transfer(NULL::bal, 1, 2, 0.0100000, balance_column => 'n2');
-- down to nothing
SELECT (from_account).i2, (to_account).i2 FROM transfer(NULL::bal, 1, 2, 70, balance_column => 'i2');
SELECT (from_account).m, (to_account).m FROM transfer(NULL::bal, 1, 2, 69.99, balance_column => 'm');
SELECT (from_account).m, (to_account).m FROM transfer(NULL::bal, 1, 2, 0.01, balance_column => 'm');
\echo :SQLSTATE

-- an amount that the column cannot hold exactly is refused: 22023
SELECT * FROM transfer(NULL::bal, 1, 2, 0.5, balance_column => 'i2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.5, balance_column => 'i4');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.5, balance_column => 'i8');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.005, balance_column => 'n2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1.234, balance_column => 'm');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.5, balance_column => 'c');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.001, balance_column => 'e');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.5, balance_column => 'n0');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 50, balance_column => 'nn');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.000001, balance_column => 'nf');
\echo :SQLSTATE
-- where the column rounds nothing, everything finite fits
SELECT (from_account).n, (to_account).n FROM transfer(NULL::bal, 1, 2, 0.005, balance_column => 'n');
SELECT id, i2, i4, i8, n2, m, c, e, se, n0, nn, nf FROM bal ORDER BY id;
SELECT sum(i2) i2, sum(i4) i4, sum(i8) i8, sum(n) n, sum(n2) n2, sum(m) m, sum(c) c, sum(e) e, sum(se) se,
       sum(n0) n0, sum(nn) nn, sum(nf) nf FROM bal;

-- overflow of the payee is core's 22003, and the payer keeps his money
UPDATE bal SET i2 = 32767, i4 = 2147483647, i8 = 9223372036854775807, n2 = 9999999999.99, n0 = 999999, nn = 99999900,
       nf = 0.00999, m = '92233720368547758.07', c = 9223372036854775807, e = 999999999999.99;
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'i2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 2, 1, 1, balance_column => 'i4');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'i8');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 2, 1, 0.01, balance_column => 'n2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'n0');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 100, balance_column => 'nn');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.00001, balance_column => 'nf');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 2, 1, 1, balance_column => 'c');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.01, balance_column => 'e');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 0.01, balance_column => 'm');
\echo :SQLSTATE
-- of the payer, where no floor stops him
UPDATE bal SET i2 = -32768, i4 = -2147483648, i8 = -9223372036854775808, n2 = -9999999999.99;
SELECT * FROM transfer(NULL::bal, 1, 2, 1, '-Infinity', balance_column => 'i2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 2, 1, 1, '-Infinity', balance_column => 'i4');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1, '-Infinity', balance_column => 'i8');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 2, 1, 0.01, '-Infinity', balance_column => 'n2');
\echo :SQLSTATE
SELECT DISTINCT i2, i4, i8, n2, m FROM bal;
-- to the very limit and not over it
UPDATE bal SET i2 = CASE id WHEN 1 THEN -32767 ELSE 32766 END, i8 = CASE id WHEN 1 THEN 9223372036854775806 ELSE 1 END;
SELECT (from_account).i2, (to_account).i2 FROM transfer(NULL::bal, 1, 2, 1, '-Infinity', balance_column => 'i2');
SELECT (from_account).i8, (to_account).i8 FROM transfer(NULL::bal, 2, 1, 1, '-Infinity', balance_column => 'i8');

-- an amount that is no value of the column's type at all
SELECT * FROM transfer(NULL::bal, 1, 2, 32768, balance_column => 'i2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1e10, balance_column => 'n2');
\echo :SQLSTATE

-- a domain's own limits: 23514
UPDATE bal SET e = 10, se = 999999;
SELECT (from_account).e FROM transfer(NULL::bal, 1, 2, 1009.99, '-Infinity', balance_column => 'e');
SELECT * FROM transfer(NULL::bal, 1, 2, 0.01, '-Infinity', balance_column => 'e');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'se');
\echo :SQLSTATE
SELECT id, e, se FROM bal ORDER BY id;

-- numeric without scale can hold what is not finite: no transfer with that
UPDATE bal SET n = CASE id WHEN 1 THEN 'NaN'::numeric ELSE 1 END;
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'n');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 2, 1, 1, balance_column => 'n');
\echo :SQLSTATE
UPDATE bal SET n = CASE id WHEN 1 THEN 'Infinity'::numeric ELSE 1 END;
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'n');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 2, 1, 1, '-Infinity', balance_column => 'n');
\echo :SQLSTATE
UPDATE bal SET n = CASE id WHEN 1 THEN '-Infinity'::numeric ELSE 1 END;
SELECT * FROM transfer(NULL::bal, 1, 2, 1, '-Infinity', balance_column => 'n');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 2, 1, 1, balance_column => 'n');
\echo :SQLSTATE
SELECT id, n FROM bal ORDER BY id;
-- a numeric(p,s) column can hold NaN, too
UPDATE bal SET n2 = CASE id WHEN 1 THEN 'NaN'::numeric ELSE 1 END;
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'n2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 2, 1, 1, balance_column => 'n2');
\echo :SQLSTATE
-- large numbers and small ones together keep every digit
UPDATE bal SET n = CASE id WHEN 1 THEN 1e100 ELSE 0 END;
SELECT (from_account).n, (to_account).n FROM transfer(NULL::bal, 1, 2, 1e-30, balance_column => 'n');
SELECT sum(n) = 1e100 AS kept FROM bal;
DROP TABLE bal;
DROP DOMAIN small_euro, euro, cents;

-- floats and what is no number are refused, with a hint
CREATE TABLE bal (id integer PRIMARY KEY, f4 real, f8 double precision, t text, iv interval);
CREATE DOMAIN float_domain AS double precision;
ALTER TABLE bal ADD fd float_domain;
INSERT INTO bal VALUES (1, 10, 10, '10', '10 d', 10), (2, 10, 10, '10', '10 d', 10);
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'f4');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'f8');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'fd');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 't');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'iv');
\echo :SQLSTATE
DROP TABLE bal;
DROP DOMAIN float_domain;

-- a generated column is no balance
CREATE TABLE bal (id integer PRIMARY KEY, cents bigint, balance bigint GENERATED ALWAYS AS (cents * 2) STORED);
INSERT INTO bal VALUES (1, 10), (2, 10);
\set VERBOSITY sqlstate
SELECT * FROM transfer(NULL::bal, 1, 2, 1);
\set VERBOSITY default
-- but one that follows the balance does follow
SELECT * FROM transfer(NULL::bal, 1, 2, 1, balance_column => 'cents');
DROP TABLE bal;

-- ids: any type with a btree order, given as that type or as text
CREATE DOMAIN iban AS text CHECK (length(VALUE) > 3);
CREATE TABLE ids (i2 smallint, i4 integer, i8 bigint, n numeric, t text, vc varchar(9), c char(9), u uuid, d date, ib iban,
                  ts timestamptz, nm name, b boolean, a integer[], balance integer);
INSERT INTO ids VALUES (1, 1, 1, 1, 'one', 'one', 'one', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2001-01-01', 'iban1', '2001-01-01 00:00+00', 'one', false, '{1}', 1000),
                       (2, 2, 2, 2, 'two', 'two', 'two', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2002-02-02', 'iban2', '2002-02-02 00:00+00', 'two', true, '{2}', 1000);
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 1::smallint, 2::smallint, 1, id_column => 'i2');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, '1', '2', 1, id_column => 'i2');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 1, 2, 1, id_column => 'i2');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 1::bigint, 2::smallint, 1, id_column => 'i4');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, '1', '2', 1, id_column => 'i4');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, '1', 2, 1, id_column => 'i8');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 1.0, 2.00, 1, id_column => 'n');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, '1.000', '2', 1, id_column => 'n');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 1, 2, 1, id_column => 'n');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 'one', 'two', 1, id_column => 't');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 'one'::varchar, 'two', 1, id_column => 't');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 'two', 'one', 1, id_column => 'vc');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 'one', 'two      ', 1, id_column => 'c');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 1, id_column => 'u');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, '{B0EEBC999C0B4EF8BB6D6BB9BD380A11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1, id_column => 'u');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, '2001-01-01'::date, '2002-02-02', 1, id_column => 'd');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 'iban1', 'iban2', 1, id_column => 'ib');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 'iban2'::iban, 'iban1'::iban, 1, id_column => 'ib');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, '2001-01-01 02:00+02', '2002-02-02 00:00+00', 1, id_column => 'ts');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 'one', 'two', 1, id_column => 'nm');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, false, true, 1, id_column => 'b');
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, '{1}'::integer[], '{2}', 1, id_column => 'a');
-- an id that is no value of the column's type is core's error
SELECT * FROM transfer(NULL::ids, 'x', '2', 1, id_column => 'i4');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ids, 1, 99999, 1, id_column => 'i2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ids, 1.5, 2, 1, id_column => 'i4');
\echo :SQLSTATE
-- not cut to the column's length: there is no such account
SELECT * FROM transfer(NULL::ids, 'one       x', 'two', 1, id_column => 'vc');
\echo :SQLSTATE
-- nor cut or rounded to another account's id: 22023
CREATE TABLE near (nm name, r real, f double precision, c "char", d date, m money, balance integer);
INSERT INTO near VALUES (repeat('n', 63), 16777216, 9007199254740992, 'x', '2001-01-01', 1, 100), ('n', 1.5, 2, 'y', '2002-02-02', 2, 100);
SELECT * FROM transfer(NULL::near, repeat('n', 64), 'n', 1, id_column => 'nm');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::near, '16777217', '1.5', 1, id_column => 'r');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::near, 2, 9007199254740993, 1, id_column => 'f');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::near, 'x', 'yes', 1, id_column => 'c');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::near, '2001-01-01 12:00'::timestamp, '2002-02-02', 1, id_column => 'd');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::near, '1.004', '2', 1, id_column => 'm');
\echo :SQLSTATE
SELECT * FROM transfer_many(NULL::near, ARRAY['n', 'n'], ARRAY[repeat('n', 63), repeat('n', 64)], '{1,1}', id_column => 'nm', on_error => 'report');
\echo :SQLSTATE
SELECT * FROM lock_rows(NULL::near, ARRAY[repeat('n', 64)], id_column => 'nm');
\echo :SQLSTATE
-- what is an id is taken
SELECT ordinality, status FROM transfer_many(NULL::near, ARRAY['n'], ARRAY[repeat('n', 63)], '{1}', id_column => 'nm');
SELECT (from_account).r, (to_account).r FROM transfer(NULL::near, '1.5', '1.6777216e+07', 1, id_column => 'r');
SELECT (from_account).f, (to_account).f FROM transfer(NULL::near, 2, 9007199254740992, 1, id_column => 'f');
SELECT (from_account).c, (to_account).c FROM transfer(NULL::near, 'x', 'y', 1, id_column => 'c');
SELECT (from_account).d, (to_account).d FROM transfer(NULL::near, '2001-01-01', '2002-02-02', 1, id_column => 'd');
SELECT balance FROM near ORDER BY nm;
DROP TABLE near;
-- one id in two spellings is one account: 22023
SELECT * FROM transfer(NULL::ids, 1.0, 1.00, 1, id_column => 'n');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ids, '1', ' 01', 1, id_column => 'i4');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ids, 'one', 'one  ', 1, id_column => 'c');
\echo :SQLSTATE
SELECT sum(balance) FROM ids;

-- without a primary key, an id column must be named
SELECT * FROM transfer(NULL::ids, 1, 2, 1);
\echo :SQLSTATE
-- so with a primary key of two columns
ALTER TABLE ids ADD PRIMARY KEY (i2, i4);
SELECT * FROM transfer(NULL::ids, 1, 2, 1);
\echo :SQLSTATE
SELECT (from_account).balance, (to_account).balance FROM transfer(NULL::ids, 1, 2, 1, id_column => 'i2');
-- a unique index is no primary key
ALTER TABLE ids DROP CONSTRAINT ids_pkey;
CREATE UNIQUE INDEX ON ids (i4);
SELECT * FROM transfer(NULL::ids, 1, 2, 1);
\echo :SQLSTATE
-- an id by which rows are not unique is 21000, whoever has the money
INSERT INTO ids (i2, i4, balance) VALUES (1, 3, 0);
SELECT i4, balance FROM ids ORDER BY i4;
SELECT * FROM transfer(NULL::ids, 1, 2, 10, id_column => 'i2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ids, 2, 1, 10, id_column => 'i2');
\echo :SQLSTATE
UPDATE ids SET balance = 1000 WHERE i4 = 3;
SELECT * FROM transfer(NULL::ids, 1, 2, 10, id_column => 'i2');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ids, 2, 1, 10, id_column => 'i2');
\echo :SQLSTATE
SELECT i4, balance FROM ids ORDER BY i4;
DROP TABLE ids;
DROP DOMAIN iban;

-- a type without an order, or without equality, is no id: 42883
CREATE TABLE ids (x xid, p point, j json, balance integer);
INSERT INTO ids VALUES ('1', '(1,1)', '1', 10), ('2', '(2,2)', '2', 10);
SELECT * FROM transfer(NULL::ids, '1', '2', 1, id_column => 'x');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ids, '(1,1)', '(2,2)', 1, id_column => 'p');
\echo :SQLSTATE
SELECT * FROM transfer(NULL::ids, '1', '2', 1, id_column => 'j');
\echo :SQLSTATE
DROP TABLE ids;

-- ids under a non-deterministic collation
CREATE COLLATION ids_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE ids (id text COLLATE ids_ci PRIMARY KEY, balance integer);
INSERT INTO ids VALUES ('Anna', 10), ('Bob', 10);
SELECT * FROM transfer(NULL::ids, 'ANNA', 'bob', 1);
SELECT * FROM transfer(NULL::ids, 'BOB', 'anna', 1);
SELECT * FROM transfer(NULL::ids, 'anna', 'ANNA', 1);
\echo :SQLSTATE
DROP TABLE ids;
DROP COLLATION ids_ci;
