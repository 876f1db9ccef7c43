BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE bench.accounts SET balance = balance - 1.00 WHERE id = :a RETURNING balance AS from_balance \gset
UPDATE bench.accounts SET balance = balance + 1.00 WHERE id = :b RETURNING balance AS to_balance \gset
\if :from_balance >= 0
INSERT INTO bench.journal (request_id, from_id, to_id, amount, from_balance, to_balance, created_at) VALUES (gen_random_uuid(), :a, :b, 1.00, :from_balance, :to_balance, clock_timestamp()) RETURNING id;
COMMIT;
\else
ROLLBACK;
\endif
