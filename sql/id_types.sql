-- Ids as text: refused if the type has lost some of what the text says (22023),
-- and only then.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET lc_monetary = 'C';
CREATE TYPE idt_pair AS (a integer, b text);
CREATE TYPE idt_rough AS (a real, b text);
CREATE TYPE idt_color AS ENUM ('red', 'green');
CREATE DOMAIN idt_host AS inet;
-- the id, or what lock_rows says of it, and a request with it
CREATE FUNCTION idt_try(type text, given text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('CREATE TEMPORARY TABLE idt (id %s PRIMARY KEY, balance integer)', type);
  EXECUTE format('CREATE TEMPORARY TABLE idt_journal (request_id %s, from_id integer, to_id integer, amount integer)', type);
  CREATE TEMPORARY TABLE idt_acct AS SELECT n AS id, 10 AS balance FROM generate_series(1, 2) AS n;
  EXECUTE format('INSERT INTO idt VALUES (%L, 10)', given);
  BEGIN
    EXECUTE 'SELECT r.id::text FROM lock_rows(NULL::idt, ARRAY[$1]) AS r' INTO result USING given;
  EXCEPTION WHEN OTHERS THEN
    result := SQLSTATE;
  END;
  BEGIN
    EXECUTE 'SELECT $2 || '' / '' || (entry ->> ''request_id'') FROM transfer(NULL::idt_acct, 1, 2, 1, id_column => ''id'', journal => ''idt_journal'', request_id => $1)' INTO result USING given, result;
  EXCEPTION WHEN OTHERS THEN
    result := result || ' / ' || SQLSTATE;
  END;
  DROP TABLE idt, idt_acct, idt_journal;
  RETURN result;
END $$;
SELECT type, id, idt_try(type, id) FROM (VALUES
  ('inet', '10.0.0.1/32'), ('idt_host', '10.0.0.1/32'), ('cidr', '10.0.0.0/8'), ('macaddr', '08-00-2b-01-02-03'),
  ('macaddr8', '08:00:2b:01:02:03'), ('oid', '01'), ('boolean', 'yes'), ('idt_color', 'red'), ('bit(3)', '101'), ('pg_lsn', '00/abcdef01'),
  ('jsonb', '{"a":1}'), ('idt_pair', '(01,"x")'), ('integer[]', '{1, 02}'), ('int4range', '[1,2]'),
  ('text', ' x '), ('char(5)', 'abc  '), ('uuid', 'A0EEBC999C0B4EF8BB6D6BB9BD380A11'), ('numeric', '1.50'),
  -- these lose something, but not always
  ('name', 'x'), ('name', repeat('n', 64)), ('"char"', 'x'), ('"char"', 'xy'),
  ('real', '1.50'), ('real', '1e3'), ('real', '16777217'), ('double precision', '0.1'), ('double precision', '9007199254740993'),
  ('money', '$1.00'), ('money', '1'), ('money', '1.004'),
  ('date', '2024-01-01'), ('date', '2024-01-01 12:00'), ('date', '01-02-2024'),
  ('timestamp', '2024-01-01'), ('timestamp', '2024-01-01T12:30'), ('timestamp', '2024-01-01 12:30:00.50'),
  ('timestamp', '2024-01-01 12:30+02'), ('timestamp', '2024-01-01 12:30:00.0000004'), ('timestamp', '01-02-2024'),
  ('timestamptz', '2024-01-01 12:30+02'),
  ('time', '12:30'), ('time', '12:30:00.50'), ('time', '12:30+02'), ('time', '2024-01-01 12:30'), ('time', '12:30:00.0000004'),
  ('timetz', '12:30:00+02'), ('interval', '1 hour'), ('interval', '0.0000004 s'),
  ('idt_rough', '(1.5,x)'), ('idt_rough', '(16777217,x)'), ('real[]', '{1.5}'), ('real[]', '{16777217}'), ('tsrange', '[2024-01-01 12:30+02,)')
  ) AS v (type, id);
-- a transfer, and a batch
CREATE TABLE idt_hosts (id inet PRIMARY KEY, balance integer);
INSERT INTO idt_hosts VALUES ('10.0.0.1', 10), ('10.0.0.2', 10);
SELECT from_account, to_account FROM transfer(NULL::idt_hosts, '10.0.0.1/32', '10.0.0.2/32', 1);
SELECT status FROM transfer_many(NULL::idt_hosts, ARRAY['10.0.0.1/32'], ARRAY['10.0.0.2/32'], '{1}');
DROP TABLE idt_hosts;
DROP FUNCTION idt_try;
DROP DOMAIN idt_host;
DROP TYPE idt_pair, idt_rough, idt_color;
