-- Copyright (c) 2026, the racefree developers

-- What the soak test works on: tables for rows with keys, and accounts with
-- journals, of each kind.  All names of columns are the same, so that one
-- statement serves all.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE EXTENSION racefree;
CREATE SCHEMA soak;
CREATE ROLE soak_teller;
GRANT USAGE ON SCHEMA soak TO soak_teller;

-- ---------------------------------------------------------------------------
-- Rows with keys

CREATE SEQUENCE soak.item_id;
CREATE TABLE soak.template (
    id bigint NOT NULL DEFAULT nextval('soak.item_id'),
    name text,
    value integer NOT NULL DEFAULT 0);

-- with a unique index
CREATE TABLE soak.indexed (LIKE soak.template INCLUDING ALL, UNIQUE (name));

-- with an index that is not unique, and keys that are NULL
CREATE TABLE soak.bare (LIKE soak.template INCLUDING ALL);
CREATE INDEX ON soak.bare (name);

-- partitioned by another column
CREATE TABLE soak.parted (LIKE soak.template INCLUDING ALL) PARTITION BY HASH (id);
CREATE TABLE soak.parted_0 PARTITION OF soak.parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE soak.parted_1 PARTITION OF soak.parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX ON soak.parted (name);

-- inherited
CREATE TABLE soak.parent (LIKE soak.template INCLUDING ALL);
CREATE TABLE soak.child () INHERITS (soak.parent);
ALTER TABLE soak.child ALTER id SET DEFAULT nextval('soak.item_id');
CREATE INDEX ON soak.parent (name);
CREATE INDEX ON soak.child (name);

-- unique by a trigger, with plain INSERTs beside the calls
CREATE TABLE soak.keyed (LIKE soak.template INCLUDING ALL);
CREATE INDEX ON soak.keyed (name);
CREATE TRIGGER keyed BEFORE INSERT OR UPDATE ON soak.keyed
    FOR EACH ROW EXECUTE FUNCTION key_guard('name');

-- with policies: some rows cannot be written
CREATE TABLE soak.secured (LIKE soak.template INCLUDING ALL);
CREATE INDEX ON soak.secured (name);
ALTER TABLE soak.secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON soak.secured FOR SELECT USING (true);
CREATE POLICY insertable ON soak.secured FOR INSERT WITH CHECK (name NOT LIKE '%3');
CREATE POLICY updatable ON soak.secured FOR UPDATE USING (name NOT LIKE '%7');

-- ---------------------------------------------------------------------------
-- Accounts and their journals

-- plain
CREATE TABLE soak.account (id integer PRIMARY KEY, balance numeric(14,2) NOT NULL);
SELECT create_journal('soak.account_journal', NULL::soak.account, opening => 1000);

-- partitioned, and the journal, too
CREATE TABLE soak.parted_account (id bigint PRIMARY KEY, balance bigint NOT NULL) PARTITION BY HASH (id);
CREATE TABLE soak.parted_account_0 PARTITION OF soak.parted_account FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE soak.parted_account_1 PARTITION OF soak.parted_account FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT create_journal('soak.parted_journal', NULL::soak.parted_account, opening => 1000,
                      partition_by => 'RANGE (created_at)');
CREATE TABLE soak.parted_journal_all PARTITION OF soak.parted_journal DEFAULT;
SELECT guard_journal('soak.parted_journal');

-- inherited: half of the accounts are in the child
CREATE TABLE soak.parent_account (id integer PRIMARY KEY, balance integer NOT NULL);
CREATE TABLE soak.child_account (PRIMARY KEY (id)) INHERITS (soak.parent_account);
SELECT create_journal('soak.parent_journal', NULL::soak.parent_account, opening => 1000, foreign_keys => false);

-- without a unique index, and with a trigger; a journal of one's own, likewise
CREATE TABLE soak.bare_account (id integer NOT NULL, balance numeric NOT NULL);
CREATE FUNCTION soak.nothing() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing AFTER UPDATE ON soak.bare_account
    FOR EACH ROW EXECUTE FUNCTION soak.nothing();
CREATE TABLE soak.bare_journal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text,
    from_id integer,
    to_id integer,
    amount numeric,
    from_balance numeric,
    to_balance numeric,
    reverses bigint,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON soak.bare_journal (request_id);
CREATE INDEX ON soak.bare_journal (reverses);

-- with holds and without a guard
CREATE TABLE soak.purse (id integer PRIMARY KEY, balance bigint NOT NULL, held bigint NOT NULL DEFAULT 0);
SELECT create_journal('soak.purse_journal', NULL::soak.purse, opening => 1000, held_column => 'held');

-- with holds, floors and a guard
CREATE TABLE soak.wallet (
    id integer PRIMARY KEY,
    balance numeric(14,2) NOT NULL,
    held numeric(14,2) NOT NULL DEFAULT 0,
    floor numeric NOT NULL DEFAULT 0,
    ceiling numeric);
INSERT INTO soak.wallet SELECT i, 1000, 0, -(i % 3) * 500, CASE WHEN i % 5 = 0 THEN 1500 END FROM generate_series(1, 20) AS i;
SELECT create_journal('soak.wallet_journal', NULL::soak.wallet, opening => 1000, held_column => 'held',
                      min_balance_column => 'floor', max_balance_column => 'ceiling', guarded => true);

-- with policies: one account is hidden
CREATE TABLE soak.secured_account (id integer PRIMARY KEY, balance numeric(14,2) NOT NULL);
SELECT create_journal('soak.secured_journal', NULL::soak.secured_account, opening => 1000);
ALTER TABLE soak.secured_account ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_but_one ON soak.secured_account USING (id <> 13);

INSERT INTO soak.account SELECT i, 1000 FROM generate_series(1, 20) AS i;
INSERT INTO soak.parted_account SELECT * FROM soak.account;
INSERT INTO soak.parent_account SELECT * FROM soak.account WHERE id % 2 = 0;
INSERT INTO soak.child_account SELECT * FROM soak.account WHERE id % 2 = 1;
INSERT INTO soak.bare_account SELECT * FROM soak.account;
INSERT INTO soak.purse SELECT * FROM soak.account;
INSERT INTO soak.secured_account SELECT * FROM soak.account;

-- an entry that one can try to change
SELECT amount FROM transfer(NULL::soak.account, 1, 2, 1, journal => 'soak.account_journal');

GRANT ALL ON ALL TABLES IN SCHEMA soak TO soak_teller;
GRANT ALL ON ALL SEQUENCES IN SCHEMA soak TO soak_teller;

-- ---------------------------------------------------------------------------
-- What the clients were told, when all is over

CREATE TABLE soak.told_row (target text, name text, id bigint, created boolean);
CREATE TABLE soak.told_request (journal text, request_id text, entry_id bigint);
