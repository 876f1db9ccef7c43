--
-- Holds: hold_transfer, post_transfer, void_transfer, expire_holds, and the same
-- in batches
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA hd;
SET search_path = hd, public;

CREATE TABLE acct (id integer PRIMARY KEY, balance numeric(12,2) NOT NULL,
	held numeric(12,2) NOT NULL DEFAULT 0, CHECK (held BETWEEN 0 AND 1000));
INSERT INTO acct VALUES (1, 100), (2, 0), (3, 50), (4, 0);
SELECT create_journal('hd.j', NULL::acct, request_id_type => 'text', held_column => 'held');

-- What there is now
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
FROM pg_attribute AS a WHERE a.attrelid = 'j_holds'::regclass AND a.attnum > 0 ORDER BY a.attnum;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'j_holds'::regclass ORDER BY 1;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'j'::regclass AND NOT tgisinternal ORDER BY tgname;

CREATE VIEW state AS
	SELECT string_agg(format('%s: %s/%s', id, balance, held), ', ' ORDER BY id) AS accounts,
		(SELECT string_agg(format('%s: %s', entry_id, amount), ', ' ORDER BY entry_id) FROM j_holds) AS holds
	FROM acct;

-- A hold moves nothing, and is no funds any more.
SELECT from_account, to_account, amount, replayed, entry - 'created_at' AS entry
FROM hold_transfer(NULL::acct, 1, 2, 60, 'j', request_id => 'h1', details => '{"for": "tea"}');
TABLE state;
SELECT * FROM transfer(NULL::acct, 1, 2, 41, journal => 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 40.01, 'j');
SELECT amount FROM transfer(NULL::acct, 1, 3, 1000, up_to => true, journal => 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 1, 'j', up_to => true);
TABLE state;
-- A floor of the call counts on top of it.
SELECT amount FROM transfer(NULL::acct, 3, 1, 20, journal => 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 20, 'j', min_balance => 1);
SELECT amount, from_account FROM hold_transfer(NULL::acct, 1, 2, 100, 'j', up_to => true, min_balance => 5);
SELECT amount, from_account FROM hold_transfer(NULL::acct, 1, 2, 10, 'j', min_balance => '-Infinity');
TABLE state;

-- A replay gives what was booked; something else is refused.
SELECT from_account, amount, replayed, entry->'id' AS id
FROM hold_transfer(NULL::acct, 1, 2, 60, 'j', request_id => 'h1');
SELECT replayed, entry->'expires_at' AS expires_at
FROM hold_transfer(NULL::acct, 1, 2, 60, 'j', request_id => 'h1', expires_at => now() + interval '7 days');
SELECT * FROM transfer(NULL::acct, 1, 2, 60, journal => 'j', request_id => 'h1');
SELECT * FROM post_transfer(NULL::acct, 'j', 1, 60, request_id => 'h1');

-- In parts
SELECT from_account, to_account, amount, entry->>'kind' AS kind, entry->'settles' AS settles
FROM post_transfer(NULL::acct, 'j', 1, 20, final => false, request_id => 'p1');
TABLE state;
SELECT * FROM post_transfer(NULL::acct, 'j', 1, 40.01, request_id => 'p2');
SELECT from_account, amount, replayed FROM post_transfer(NULL::acct, 'j', 1, 20, request_id => 'p1');
SELECT * FROM post_transfer(NULL::acct, 'j', 1, 21, request_id => 'p1');
SELECT from_account, to_account, amount FROM post_transfer(NULL::acct, 'j', 1, 30, request_id => 'p2');
TABLE state;
SELECT kind, amount, from_balance, to_balance, settles, request_id FROM j WHERE settles = 1 ORDER BY id;
SELECT * FROM post_transfer(NULL::acct, 'j', 1);
SELECT * FROM void_transfer(NULL::acct, 'j', 1);
-- The accounts of a replay are shown as they are now.
SELECT from_account, to_account, amount, replayed FROM post_transfer(NULL::acct, 'j', 1, request_id => 'p2');

-- All of it, and none of it
SELECT id FROM j WHERE kind = 'hold' AND id > 1 ORDER BY id;
SELECT id AS second FROM j WHERE kind = 'hold' AND id > 1 ORDER BY id LIMIT 1 \gset
SELECT id AS third FROM j WHERE kind = 'hold' AND id > 1 ORDER BY id OFFSET 1 \gset
SELECT from_account, amount FROM post_transfer(NULL::acct, 'j', :second);
SELECT from_account, to_account, amount, entry->>'kind' AS kind, entry->'to_balance' AS to_balance
FROM void_transfer(NULL::acct, 'j', :third, request_id => 'v1', details => '"changed my mind"');
SELECT from_account, amount, replayed FROM void_transfer(NULL::acct, 'j', :third, request_id => 'v1');
TABLE state;

-- Beyond what is held, where funds allow
UPDATE acct SET balance = 100 WHERE id = 1;
SELECT entry->>'id' AS tip FROM hold_transfer(NULL::acct, 1, 2, 40, 'j') \gset
SELECT entry->>'id' AS other FROM hold_transfer(NULL::acct, 1, 2, 50, 'j') \gset
SELECT * FROM post_transfer(NULL::acct, 'j', :tip, 41);
SELECT * FROM post_transfer(NULL::acct, 'j', :tip, 51, beyond => true);
SELECT * FROM post_transfer(NULL::acct, 'j', :tip, 50, beyond => true, min_balance => 1);
SELECT from_account, amount FROM post_transfer(NULL::acct, 'j', :tip, 45, beyond => true, final => false);
SELECT * FROM post_transfer(NULL::acct, 'j', :tip, beyond => true);
TABLE state;

-- A ceiling of the payee, a reversal of what was posted, none of what was not
SELECT * FROM post_transfer(NULL::acct, 'j', :other, max_balance => 10);
SELECT entry->>'id' AS posted FROM post_transfer(NULL::acct, 'j', :other, 30, final => false) \gset
SELECT from_account, to_account, amount FROM reverse_transfer(NULL::acct, 'j', :posted);
SELECT * FROM reverse_transfer(NULL::acct, 'j', :other);
SELECT * FROM post_transfer(NULL::acct, 'j', :posted);
SELECT * FROM void_transfer(NULL::acct, 'j', 4711);
SELECT * FROM void_transfer(NULL::acct, 'j', NULL);
SELECT * FROM void_transfer(NULL::acct, NULL, 1);
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 1, NULL);
TABLE state;

-- What cannot be asked for
SELECT * FROM hold_transfer(NULL::acct, 1, 1, 1, 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 9, 1, 'j');
SELECT * FROM hold_transfer(NULL::acct, 9, 1, 1, 'j');
SELECT * FROM hold_transfer(NULL::acct, NULL, 1, 1, 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, NULL, 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 0, 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 'NaN', 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 'Infinity', 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 0.001, 'j');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 1, 'j', expires_at => '2000-01-01 00:00:00+00');
SELECT * FROM hold_transfer(NULL::acct, 1, 2, 1, 'j', expires_at => '-infinity');
SELECT * FROM post_transfer(NULL::acct, 'j', :other, 0);
SELECT * FROM post_transfer(NULL::acct, 'j', :other, -1);
SELECT * FROM post_transfer(NULL::acct, 'j', :other, 'NaN');
SELECT * FROM post_transfer(NULL::acct, 'j', :other, 0.001);
SELECT * FROM post_transfer(NULL::acct, 'j', :other, final => NULL);
SELECT * FROM post_transfer(NULL::acct, 'j', :other, beyond => NULL);
SELECT expire_holds(NULL::acct, 'j', 0);
SELECT expire_holds(NULL::acct, 'j', NULL);
SELECT expire_holds(NULL::acct, NULL);
TABLE state;
SELECT * FROM verify_journal('j', NULL::acct) WHERE problem <> 'balance_gap';

--
-- Expiry.  Holds cannot be made to have expired; so time is set back here.
--
CREATE FUNCTION expire(VARIADIC entries bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	UPDATE j SET expires_at = '2000-01-01 00:00:00+00' WHERE id = ANY (entries);
	UPDATE j_holds SET expires_at = '2000-01-01 00:00:00+00' WHERE entry_id = ANY (entries);
	SET LOCAL session_replication_role = origin;
END
$$;
INSERT INTO acct VALUES (5, 100), (6, 0);
SELECT entry->>'id' AS x1, entry->>'expires_at' IS NOT NULL AS expires
FROM hold_transfer(NULL::acct, 5, 6, 30, 'j', expires_at => '2999-01-01', request_id => 'x1') \gset
SELECT entry->>'id' AS x2 FROM hold_transfer(NULL::acct, 5, 6, 40, 'j', expires_at => 'infinity') \gset
SELECT entry->>'id' AS x3 FROM hold_transfer(NULL::acct, 5, 6, 20, 'j', expires_at => '2999-01-01') \gset
SELECT expire(:x1, :x3);
SELECT * FROM post_transfer(NULL::acct, 'j', :x1);
SELECT * FROM void_transfer(NULL::acct, 'j', :x1);
-- As long as nobody needs the money, it stays.
SELECT amount FROM transfer(NULL::acct, 5, 6, 10, journal => 'j');
SELECT from_account, amount FROM transfer(NULL::acct, 5, 6, 5, journal => 'j');
SELECT kind, from_id, to_id, amount, from_balance, to_balance, settles FROM j WHERE id > :x3 ORDER BY id;
SELECT * FROM j_holds WHERE from_id = 5;
SELECT * FROM post_transfer(NULL::acct, 'j', :x1);
-- An error takes it back.
SELECT expire(:x2);
SELECT * FROM transfer(NULL::acct, 5, 6, 86, journal => 'j');
SELECT count(*) FROM j_holds WHERE from_id = 5;
SELECT from_account, amount FROM transfer(NULL::acct, 5, 6, 100, up_to => true, journal => 'j');
SELECT count(*) FROM j_holds WHERE from_id = 5;
-- In bulk
UPDATE acct SET balance = 100 WHERE id = 5;
SELECT status, entry_id FROM transfer_many(NULL::acct, ARRAY[5, 5, 5, 3], ARRAY[6, 6, 6, 4], ARRAY[10, 11, 12, 13],
	kinds => ARRAY['hold', 'hold', 'hold', 'hold'], journal => 'j',
	expires_at => ARRAY['2999-01-01', '2999-01-01', NULL, '2999-01-01']::timestamptz[]);
SELECT expire_holds(NULL::acct, 'j');
SELECT expire(VARIADIC array_agg(entry_id)) FROM j_holds WHERE expires_at = '2999-01-01';
SELECT expire_holds(NULL::acct, 'j', 2);
SELECT expire_holds(NULL::acct, 'j', 2);
SELECT expire_holds(NULL::acct, 'j');
SELECT * FROM j_holds WHERE from_id IN (3, 5);
TABLE state;

--
-- Batches
--
INSERT INTO acct VALUES (11, 100), (12, 0), (13, 0);
SELECT * FROM transfer_many(NULL::acct, ARRAY[11, 11, 11], ARRAY[12, 13, 12], ARRAY[50, 30, 10],
	kinds => ARRAY['hold', 'hold', NULL], chains => ARRAY[7, 7, NULL], journal => 'j');
SELECT array_agg(id ORDER BY id) AS chain FROM j WHERE chain_id = (SELECT max(chain_id) FROM j) \gset
SELECT kind, from_id, to_id, amount, chain_id = (:'chain'::bigint[])[1] AS in_chain FROM j WHERE from_id = 11 ORDER BY id;
-- A chain fails as a whole, and what it was to settle stays as it was.
SELECT ordinality, status, from_available
FROM transfer_many(NULL::acct, ARRAY[NULL, NULL, 11]::integer[], ARRAY[NULL, NULL, 13]::integer[], ARRAY[20, NULL, 1000],
	kinds => ARRAY['post', 'void', 'transfer'], entry_ids => (:'chain'::bigint[])[1:2] || NULL::bigint,
	chains => ARRAY[1, 1, 1], on_error => 'report', journal => 'j');
TABLE state;
-- One after the other
SELECT ordinality, status, amount, from_balance, from_available, to_balance
FROM transfer_many(NULL::acct, ARRAY[NULL, NULL, NULL, NULL, NULL, 11]::integer[],
	ARRAY[NULL, NULL, NULL, NULL, NULL, 12]::integer[], ARRAY[20, 31, 30, NULL, NULL, 40],
	kinds => ARRAY['post', 'post', 'post', 'post', 'void', 'transfer'],
	entry_ids => ARRAY[(:'chain'::bigint[])[1], (:'chain'::bigint[])[1], (:'chain'::bigint[])[1], (:'chain'::bigint[])[1],
		(:'chain'::bigint[])[2], NULL],
	final => ARRAY[false, true, NULL, true, true, NULL], on_error => 'report', journal => 'j');
TABLE state;
-- The statuses
SELECT ordinality, status
FROM transfer_many(NULL::acct, ARRAY[NULL, NULL, NULL, 11, NULL, 11, NULL, 11, 11]::integer[],
	ARRAY[NULL, NULL, NULL, 12, NULL, 12, NULL, 12, 12]::integer[], ARRAY[NULL, NULL, NULL, 1, NULL, 1, NULL, 1, 1],
	kinds => ARRAY['post', 'void', 'post', 'post', 'hold', 'expiry', 'expiry', 'Hold', 'transfer'],
	entry_ids => ARRAY[4711, (:'chain'::bigint[])[1], :x1, NULL, (:'chain'::bigint[])[2], NULL, 1, NULL, NULL],
	expires_at => ARRAY[NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2999-01-01']::timestamptz[],
	on_error => 'report', journal => 'j');
SELECT * FROM transfer_many(NULL::acct, ARRAY[11], ARRAY[12], ARRAY[1], kinds => ARRAY['gift'], journal => 'j');
SELECT * FROM transfer_many(NULL::acct, ARRAY[11], ARRAY[12], ARRAY[1], kinds => ARRAY['hold']);
SELECT * FROM transfer_many(NULL::acct, ARRAY[11], ARRAY[12], ARRAY[1], kinds => ARRAY['hold', 'hold'], journal => 'j');
SELECT * FROM transfer_many(NULL::acct, ARRAY[11], ARRAY[12], ARRAY[1], expires_at => ARRAY['2999-01-01'::timestamptz], journal => 'j');
SELECT * FROM transfer_many(NULL::acct, ARRAY[NULL]::integer[], ARRAY[NULL]::integer[], ARRAY[1], kinds => ARRAY['void'],
	entry_ids => ARRAY[1], journal => 'j');
-- A hold cannot be made and settled by one batch: its id is not known before.
-- Twice in one batch, and twice the same request
SELECT entry->>'id' AS twice FROM hold_transfer(NULL::acct, 12, 11, 5, 'j') \gset
SELECT ordinality, status, amount, from_balance, from_available, entry_id IS NOT NULL AS booked
FROM transfer_many(NULL::acct, ARRAY[NULL, NULL, NULL]::integer[], ARRAY[NULL, NULL, NULL]::integer[],
	ARRAY[NULL, NULL, NULL]::numeric[], kinds => ARRAY['void', 'void', 'post'], entry_ids => ARRAY[:twice, :twice, :twice],
	request_ids => ARRAY['once', 'once', NULL], on_error => 'report', journal => 'j');
-- Expired holds are let go of once, before all else that the batch books; also
-- where the chain that needed them fails.
SELECT status FROM transfer_many(NULL::acct, ARRAY[12, 12], ARRAY[13, 13], ARRAY[60, 20], kinds => ARRAY['hold', 'hold'],
	expires_at => ARRAY['2999-01-01', '2999-01-01']::timestamptz[], journal => 'j');
SELECT expire(VARIADIC array_agg(entry_id)) FROM j_holds WHERE from_id = 12;
SELECT max(id) AS last FROM j \gset
SELECT ordinality, status, from_balance, from_available
FROM transfer_many(NULL::acct, ARRAY[12, 12, 12, 12], ARRAY[13, 13, 13, 13], ARRAY[5, 50, 1000, 10], chains => ARRAY[NULL, 1, 1, NULL],
	on_error => 'report', journal => 'j');
SELECT kind, amount, from_balance, settles IS NOT NULL AS settles FROM j WHERE id > :last ORDER BY id;
SELECT * FROM j_holds WHERE from_id = 12;
SELECT * FROM verify_journal('j', NULL::acct) WHERE problem NOT IN ('balance_gap', 'no_entries');

DROP SCHEMA hd CASCADE;
