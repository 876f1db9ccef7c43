\set kind random(1, 100)
\set c random(1, :customers)
\set d 1 + (:c - 1 + random(1, :customers - 1)) % :customers
\set cash 2 * :customers + 1 + :client_id
\if :kind <= 15
SELECT sum(balance) FROM bench.accounts WHERE id IN (2 * :c - 1, 2 * :c);
\elif :kind <= 30
BEGIN;
SELECT id FROM bench.accounts WHERE id IN (:cash, 2 * :c - 1) ORDER BY id FOR NO KEY UPDATE;
UPDATE bench.accounts SET balance = balance - 1.30 WHERE id = :cash RETURNING balance AS from_balance \gset
UPDATE bench.accounts SET balance = balance + 1.30 WHERE id = 2 * :c - 1 RETURNING balance AS to_balance \gset
INSERT INTO bench.journal (from_id, to_id, amount, from_balance, to_balance, created_at) VALUES (:cash, 2 * :c - 1, 1.30, :from_balance, :to_balance, clock_timestamp());
\if :from_balance >= 0
COMMIT;
\else
ROLLBACK;
\endif
\elif :kind <= 45
BEGIN;
SELECT id FROM bench.accounts WHERE id IN (:cash, 2 * :c) ORDER BY id FOR NO KEY UPDATE;
UPDATE bench.accounts SET balance = balance - 20.20 WHERE id = :cash RETURNING balance AS from_balance \gset
UPDATE bench.accounts SET balance = balance + 20.20 WHERE id = 2 * :c RETURNING balance AS to_balance \gset
INSERT INTO bench.journal (from_id, to_id, amount, from_balance, to_balance, created_at) VALUES (:cash, 2 * :c, 20.20, :from_balance, :to_balance, clock_timestamp());
\if :from_balance >= 0
COMMIT;
\else
ROLLBACK;
\endif
\elif :kind <= 60
BEGIN;
SELECT id FROM bench.accounts WHERE id IN (2 * :c, 2 * :c - 1, 2 * :d - 1) ORDER BY id FOR NO KEY UPDATE;
UPDATE bench.accounts SET balance = balance - 50.00 WHERE id = 2 * :c RETURNING balance AS from_balance \gset
UPDATE bench.accounts SET balance = balance + 50.00 WHERE id = 2 * :d - 1 RETURNING balance AS to_balance \gset
INSERT INTO bench.journal (from_id, to_id, amount, from_balance, to_balance, created_at) VALUES (2 * :c, 2 * :d - 1, 50.00, :from_balance, :to_balance, clock_timestamp());
UPDATE bench.accounts SET balance = balance - 50.00 WHERE id = 2 * :c - 1 RETURNING balance AS from_balance \gset
UPDATE bench.accounts SET balance = balance + 50.00 WHERE id = 2 * :d - 1 RETURNING balance AS to_balance \gset
INSERT INTO bench.journal (from_id, to_id, amount, from_balance, to_balance, created_at) VALUES (2 * :c - 1, 2 * :d - 1, 50.00, :from_balance, :to_balance, clock_timestamp());
\if :from_balance >= 0
COMMIT;
\else
ROLLBACK;
\endif
\elif :kind <= 75
BEGIN;
SELECT id FROM bench.accounts WHERE id IN (2 * :c - 1, :cash) ORDER BY id FOR NO KEY UPDATE;
UPDATE bench.accounts SET balance = balance - 5.00 WHERE id = 2 * :c - 1 RETURNING balance AS from_balance \gset
UPDATE bench.accounts SET balance = balance + 5.00 WHERE id = :cash RETURNING balance AS to_balance \gset
INSERT INTO bench.journal (from_id, to_id, amount, from_balance, to_balance, created_at) VALUES (2 * :c - 1, :cash, 5.00, :from_balance, :to_balance, clock_timestamp());
\if :from_balance >= 0
COMMIT;
\else
ROLLBACK;
\endif
\else
BEGIN;
SELECT id FROM bench.accounts WHERE id IN (2 * :c - 1, 2 * :d - 1) ORDER BY id FOR NO KEY UPDATE;
UPDATE bench.accounts SET balance = balance - 5.00 WHERE id = 2 * :c - 1 RETURNING balance AS from_balance \gset
UPDATE bench.accounts SET balance = balance + 5.00 WHERE id = 2 * :d - 1 RETURNING balance AS to_balance \gset
INSERT INTO bench.journal (from_id, to_id, amount, from_balance, to_balance, created_at) VALUES (2 * :c - 1, 2 * :d - 1, 5.00, :from_balance, :to_balance, clock_timestamp());
\if :from_balance >= 0
COMMIT;
\else
ROLLBACK;
\endif
\endif
