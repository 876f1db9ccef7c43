\set a random(1, :accounts)
\set b 1 + (:a - 1 + random(1, :accounts - 1)) % :accounts
BEGIN;
SELECT id, balance FROM bench.accounts WHERE id IN (:a, :b) ORDER BY id FOR UPDATE;
UPDATE bench.accounts SET balance = balance - 1.00 WHERE id = :a RETURNING *;
UPDATE bench.accounts SET balance = balance + 1.00 WHERE id = :b RETURNING *;
COMMIT;
