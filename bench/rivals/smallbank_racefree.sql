\set kind random(1, 100)
\set c random(1, :customers)
\set d 1 + (:c - 1 + random(1, :customers - 1)) % :customers
\set cash 2 * :customers + 1 + :client_id
\if :kind <= 15
SELECT sum(balance) FROM bench.accounts WHERE id IN (2 * :c - 1, 2 * :c);
\elif :kind <= 30
SELECT (to_account).balance FROM transfer(NULL::bench.accounts, :cash, 2 * :c - 1, 1.30, journal => 'bench.journal');
\elif :kind <= 45
SELECT (to_account).balance FROM transfer(NULL::bench.accounts, :cash, 2 * :c, 20.20, journal => 'bench.journal');
\elif :kind <= 60
SELECT status FROM transfer_many(NULL::bench.accounts, ARRAY[2 * :c, 2 * :c - 1], ARRAY[2 * :d - 1, 2 * :d - 1], ARRAY[50, 50], up_to => true, on_error => 'report', journal => 'bench.journal');
\elif :kind <= 75
SELECT (from_account).balance FROM transfer(NULL::bench.accounts, 2 * :c - 1, :cash, 5.00, journal => 'bench.journal');
\else
SELECT (from_account).balance FROM transfer(NULL::bench.accounts, 2 * :c - 1, 2 * :d - 1, 5.00, journal => 'bench.journal');
\endif
