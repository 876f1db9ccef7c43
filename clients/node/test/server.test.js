'use strict';

// What the client and a server do together.  The environment (PGHOST and the
// like) names the server.

const test = require('node:test');
const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const racefree = require('..');
const { database, accounts, value, sum, unexplained, open, unhandled } = require('./help');

const {
  NO_FLOOR,
  RacefreeError,
  InsufficientFunds,
  AccountNotFound,
  RequestMismatch,
  LimitExceeded,
  Mismatch,
  OverReversed,
  EntryNotFound,
  AccountClosed,
  InvalidArgument,
  Refused,
  SeveralRows,
  NotSupported,
  NotInState,
  SerializationFailure,
} = racefree;

let pool;
let rf;

test.before(async () => {
  pool = await database('racefree_node_server');
  await accounts(pool, 200);
  rf = racefree(pool, { accounts: 'account', journal: 'payment' });
});
test.after(() => pool.end());

// What is available is in the result only where the server has holds.
const plain = ({ fromAvailable, ...result }) => result;

const is = (type, code, status) => (error) => {
  assert.ok(error instanceof type, `${error.stack}`);
  assert.ok(
    error instanceof RacefreeError &&
      error.name === type.name &&
      error.message.length > 0 &&
      !error.uncertain,
  );
  assert.equal(error.code, code);
  assert.equal(error.status, status);
  return true;
};

test('transfer, replay, reverse', async () => {
  const requestId = randomUUID();
  const first = await rf.transfer({ from: 1, to: 2, amount: '10.50', requestId, details: { invoice: 7n } });

  assert.deepEqual(plain(first), {
    amount: '10.50',
    fromBalance: '989.50',
    toBalance: '1010.50',
    entryId: first.entryId,
    requestId,
    replayed: false,
  });
  assert.match(first.entryId, /^\d+$/);
  assert.deepEqual(plain(await rf.transfer({ from: 1, to: 2, amount: '10.50', requestId })), {
    ...plain(first),
    replayed: true,
  });
  await assert.rejects(
    rf.transfer({ from: 1, to: 2, amount: 11, requestId }),
    (e) => is(RequestMismatch, 'RF003', 'request_mismatch')(e) && e.requestId === requestId,
  );

  const part = await rf.reverse({ entryId: first.entryId, amount: '0.50' });

  assert.equal(part.amount, '0.50');
  assert.match(part.requestId, /^[0-9a-f-]{36}$/);
  await assert.rejects(
    rf.reverse({ entryId: first.entryId, amount: 11 }),
    is(OverReversed, 'RF006', 'over_reversed'),
  );
  assert.deepEqual(
    await rf.reverse({ entryId: first.entryId }).then((r) => [r.amount, r.fromBalance, r.toBalance]),
    ['10.00', '1000.00', '1000.00'],
  );
  await assert.rejects(rf.reverse({ entryId: 10n ** 15n }), is(EntryNotFound, 'RF007', 'entry_not_found'));
  assert.equal(
    await value(pool, "SELECT details->>'invoice' FROM payment WHERE id = $1", [first.entryId]),
    '7',
  );
});

test('each limit has its error', async () => {
  await assert.rejects(
    rf.transfer({ from: 1, to: 2, amount: 5000 }),
    is(InsufficientFunds, 'RF001', 'insufficient_funds'),
  );
  await assert.rejects(
    rf.transfer({ from: 1, to: 2, amount: 1, minBalance: 1000 }),
    is(InsufficientFunds, 'RF001', 'insufficient_funds'),
  );
  await assert.rejects(
    rf.transfer({ from: 1, to: 2000, amount: 1 }),
    is(AccountNotFound, 'RF002', 'account_not_found'),
  );
  await assert.rejects(
    rf.transfer({ from: 1, to: 2, amount: 1, maxBalance: '1000.99' }),
    is(LimitExceeded, 'RF004', 'limit_exceeded'),
  );
  await assert.rejects(
    rf.transfer({ from: 1, to: 1, amount: 1 }),
    is(InvalidArgument, '22023', 'same_account'),
  );
  await assert.rejects(
    rf.transfer({ from: 1, to: 2, amount: '0.001' }),
    is(InvalidArgument, '22023', 'invalid_amount'),
  );
  await assert.rejects(
    rf.transfer({ from: 1, to: 2, amount: -1 }),
    is(InvalidArgument, '22023', 'invalid_amount'),
  );

  const overdrawn = await rf.transfer({ from: 1, to: 2, amount: 5000, minBalance: NO_FLOOR });

  assert.equal(overdrawn.fromBalance, '-4000.00');
  await rf.reverse({ entryId: overdrawn.entryId });
  assert.equal((await rf.transfer({ from: 1, to: 2, amount: '1e6', upTo: true })).amount, '1000.00');
  await rf.transfer({ from: 2, to: 1, amount: 1000 });
});

test('the rules of a journal', async () => {
  await pool.query(
    'CREATE TABLE wallet (id text PRIMARY KEY, balance bigint NOT NULL, closed boolean, currency text)',
  );
  await pool.query(
    "INSERT INTO wallet VALUES ('a', 10, false, 'EUR'), ('b', 10, true, 'EUR'), ('c', 10, false, 'USD'), ('d', 10, false, 'EUR')",
  );
  await pool.query(
    "SELECT create_journal('public.moved', NULL::wallet, request_id_type => 'text', closed_column => 'closed')",
  );

  const wallets = racefree(pool, {
    accounts: 'wallet',
    journal: 'public.moved',
    requestIds: () => `made by ${randomUUID()}`,
  });

  await assert.rejects(
    wallets.transfer({ from: 'a', to: 'b', amount: 1 }),
    is(AccountClosed, 'RF008', 'account_closed'),
  );
  await assert.rejects(
    wallets.transfer({ from: 'a', to: 'c', amount: 1, mustMatch: ['currency'] }),
    is(Mismatch, 'RF005', 'mismatch'),
  );
  assert.match(
    (await wallets.transfer({ from: 'a', to: 'd', amount: 1n, mustMatch: ['currency'] })).requestId,
    /^made by/,
  );
  await assert.rejects(
    racefree(pool, { accounts: 'account', journal: 'moved' }).transfer({ from: 1, to: 2, amount: 1 }),
    is(NotInState, '55000'),
  );
});

test('64 at once go in few batches, each with its own answer', async () => {
  const before = rf.stats();
  const results = await Promise.allSettled(
    Array.from({ length: 64 }, (_, i) =>
      rf.transfer({
        from: i + 101,
        to: 200,
        amount: i % 8 === 0 ? 5000 : 1,
        details: i % 3 === 0 ? { i } : undefined,
      }),
    ),
  );

  results.forEach(({ status, reason, value: booked }, i) => {
    assert.equal(status, i % 8 === 0 ? 'rejected' : 'fulfilled');
    if (status === 'rejected') assert.ok(is(InsufficientFunds, 'RF001', 'insufficient_funds')(reason));
    else assert.equal(booked.fromBalance, '999.00');
  });
  assert.ok(rf.stats().batches - before.batches <= 2);
  assert.equal(rf.stats().largest, 64);
  assert.equal(await sum(pool), '200000.00');
  assert.deepEqual(await unexplained(pool), []);
});

test('what the server cannot even convert fails alone', async () => {
  await pool.query('ALTER TABLE account ADD CONSTRAINT unlucky CHECK (id <> 13 OR balance = 1000)');

  const results = await Promise.allSettled([
    rf.transfer({ from: 20, to: 100, amount: 1 }),
    rf.transfer({ from: 'many', to: 100, amount: 1 }),
    rf.transfer({ from: 21, to: 100, amount: 1 }),
    rf.transfer({ from: 22, to: 100, amount: 1, requestId: 'no uuid' }),
    rf.transfer({ from: 13, to: 100, amount: 1 }),
    rf.transfer({ from: 23, to: 10n ** 30n, amount: 1 }),
    rf.transfer({ from: 24, to: 100, amount: 1, columns: { nowhere: 1 } }),
    rf.transfer({ from: 25, to: 100, amount: 1 }),
  ]);

  await pool.query('ALTER TABLE account DROP CONSTRAINT unlucky');
  assert.deepEqual(
    results.map(({ status }) => status === 'fulfilled'),
    [true, false, true, false, false, false, false, true],
  );
  for (const [i, type] of [
    [1, InvalidArgument],
    [3, InvalidArgument],
    [4, Refused],
    [5, InvalidArgument],
    [6, RacefreeError],
  ])
    assert.ok(
      results[i].reason instanceof type && results[i].reason.code !== undefined,
      `${i}: ${results[i].reason.stack}`,
    );
  assert.equal(results[4].reason.code, '23514');
  assert.deepEqual(await unexplained(pool), []);
});

test('columns of the journal, ids of every kind, no journal at all', async () => {
  await pool.query('ALTER TABLE payment ADD COLUMN order_id bigint');

  const [a, b] = await Promise.all([
    rf.transfer({ from: 30n, to: '31', amount: 1, columns: { order_id: 9007199254740993n } }),
    rf.transfer({ from: { toString: () => '30' }, to: 31, amount: 1 }),
  ]);

  assert.equal(
    await value(pool, 'SELECT order_id::text FROM payment WHERE id = $1', [a.entryId]),
    '9007199254740993',
  );
  assert.equal(await value(pool, 'SELECT order_id FROM payment WHERE id = $1', [b.entryId]), null);

  await pool.query('CREATE TABLE "Purse" (no int PRIMARY KEY, "Cash" int NOT NULL)');
  await pool.query('INSERT INTO "Purse" VALUES (1, 5), (2, 5)');

  const purses = racefree(pool, { accounts: 'Purse', balanceColumn: 'Cash', idColumn: 'no' });

  assert.deepEqual(plain(await purses.transfer({ from: 1, to: 2, amount: 5 })), {
    amount: '5',
    fromBalance: '0',
    toBalance: '10',
    entryId: null,
    requestId: null,
    replayed: false,
  });
  await assert.rejects(purses.transfer({ from: 1, to: 2, amount: 5 }), InsufficientFunds);
});

test('what is wrong for all says so to each', async () => {
  const wrong = racefree(pool, { accounts: 'nowhere', journal: 'payment' });
  const results = await Promise.allSettled([
    wrong.transfer({ from: 1, to: 2, amount: 1 }),
    wrong.transfer({ from: 2, to: 1, amount: 1 }),
  ]);

  for (const { reason } of results)
    assert.ok(reason instanceof RacefreeError && reason.code === '42704' && /nowhere/.test(reason.message));
});

test("in a transaction of the caller's", async () => {
  const client = await pool.connect();

  try {
    await client.query('BEGIN');
    assert.equal((await rf.transfer({ from: 40, to: 41, amount: 10 }, { client })).fromBalance, '990.00');
    assert.equal((await rf.getOrCreate('account', { id: 500 }, { balance: 0 }, { client })).created, true);
    await client.query('ROLLBACK');
    assert.equal(await value(pool, 'SELECT balance FROM account WHERE id = 40'), '1000.00');
    assert.equal(await value(pool, 'SELECT count(*)::int FROM account WHERE id = 500'), 0);
    // Refused, but the transaction goes on: transfer_many reports.
    await client.query('BEGIN');
    await assert.rejects(rf.transfer({ from: 40, to: 41, amount: 9999 }, { client }), InsufficientFunds);
    await rf.transfer({ from: 40, to: 41, amount: 1 }, { client });
    await client.query('COMMIT');
    assert.equal(await value(pool, 'SELECT balance FROM account WHERE id = 40'), '999.00');
  } finally {
    client.release(true);
  }
});

test('getOrCreate: one row of each key, made by one call', async () => {
  await pool.query(
    'CREATE TABLE "user" (id serial PRIMARY KEY, email text, name text DEFAULT \'nobody\', created int, at timestamptz)',
  );

  const others = Array.from({ length: 4 }, () => racefree(pool));
  const results = await Promise.all(
    others.flatMap((one) =>
      Array.from({ length: 50 }, (_, i) =>
        one.getOrCreate('user', { email: `${i % 10}@x` }, i % 2 === 0 ? { name: `n${i}` } : {}),
      ),
    ),
  );

  assert.equal(await value(pool, 'SELECT count(*)::int FROM "user"'), 10);
  assert.equal(results.filter(({ created }) => created).length, 10);
  results.forEach(({ object }, i) => assert.equal(object.email, `${i % 10}@x`));
  assert.equal(new Set(results.map(({ object }) => object.id)).size, 10);
  // The column named "created" is not the answer's.
  assert.deepEqual(
    await rf
      .getOrCreate('user', { email: 'c@x' }, { created: 7 })
      .then(({ object, created }) => [object.created, created]),
    [7, true],
  );
  assert.deepEqual(
    await rf
      .getOrCreate('user', { email: null }, { name: 'x' })
      .then(({ object }) => [object.email, object.name]),
    [null, 'x'],
  );
});

test('getOrCreate: what is refused fails alone', async () => {
  const results = await Promise.allSettled([
    rf.getOrCreate('user', { id: 1000 }),
    rf.getOrCreate('user', { id: 'x' }),
    rf.getOrCreate('user', { id: 1001 }, { nowhere: 1 }),
    rf.getOrCreate('user', { id: 1002 }, { name: 'last' }),
  ]);

  assert.deepEqual(
    results.map(({ status }) => status === 'fulfilled'),
    [true, false, false, true],
  );
  assert.equal(results[1].reason.code, '22P02');
  assert.equal(results[2].reason.code, '42703');
  assert.equal(results[3].value.object.name, 'last');

  await pool.query("INSERT INTO \"user\" (email) VALUES ('twice'), ('twice')");
  await assert.rejects(rf.getOrCreate('user', { email: 'twice' }), is(SeveralRows, '21000'));
  // An empty key: the table holds one row.
  await assert.rejects(rf.getOrCreate('user', {}), is(SeveralRows, '21000'));
});

test('updateOrCreate, and many', async () => {
  const first = await rf.updateOrCreate(
    'user',
    { email: 'u@x' },
    { name: 'u' },
    { createDefaults: { name: 'new' } },
  );
  const second = await rf.updateOrCreate(
    'user',
    { email: 'u@x' },
    { name: 'u' },
    { createDefaults: { name: 'new' } },
  );

  assert.deepEqual(
    [first.created, first.object.name, second.created, second.object.name],
    [true, 'new', false, 'u'],
  );
  assert.deepEqual(
    (
      await rf.getOrCreateMany(
        'user',
        [{ email: 'm1' }, { email: 'm2', name: 'M' }, { email: 'm1' }],
        ['email'],
      )
    ).map(({ object, created }) => [object.email, object.name, created]),
    [
      ['m1', 'nobody', true],
      ['m2', 'M', true],
      ['m1', 'nobody', false],
    ],
  );
  assert.deepEqual(
    (
      await rf.updateOrCreateMany('public.user', [{ email: 'm2', name: 'N' }, { email: 'm3' }], ['email'])
    ).map(({ object, created }) => [object.email, object.name, created]),
    [
      ['m2', 'N', false],
      ['m3', 'nobody', true],
    ],
  );
  assert.deepEqual(await rf.getOrCreateMany('user', [], ['email']), []);
});

test('a timestamp is a key with all its digits', async () => {
  const at = '2024-12-31 23:59:59.123456+00';
  const { object } = await rf.getOrCreate('user', { at });

  assert.equal((await rf.getOrCreate('user', { at })).object.id, object.id);
});

test('retry: a lost update is made again', async () => {
  let tries = 0;
  const result = await rf.retry(
    async (client) => {
      const { rows } = await client.query('SELECT balance FROM account WHERE id = 50');

      // Somebody else is in the way of the first try.
      if (++tries === 1) await pool.query('UPDATE account SET balance = balance + 0 WHERE id = 50');
      await client.query('UPDATE account SET balance = $1 WHERE id = 50', [rows[0].balance]);
      return rf.transfer({ from: 50, to: 51, amount: 1 }, { client });
    },
    { isolation: 'repeatable read' },
  );

  assert.equal(tries, 2);
  assert.equal(result.fromBalance, '999.00');
});

test('retry: gives up, passes on what the work throws, and sees what was swallowed', async () => {
  const own = new Error('mine');
  const raise = (code) => (client) => client.query(`DO $$ BEGIN RAISE 'x' USING ERRCODE = '${code}'; END $$`);
  let tries = 0;

  await assert.rejects(
    rf.retry((client) => (tries++, raise('40001')(client)), { attempts: 3 }),
    is(SerializationFailure, '40001'),
  );
  assert.equal(tries, 3);
  await assert.rejects(
    rf.retry(() => Promise.reject(own)),
    (error) => error === own,
  );
  await assert.rejects(rf.retry(raise('23514')), Refused);
  await assert.rejects(
    rf.retry((client) => raise('23514')(client).catch(() => {})),
    (e) => e instanceof RacefreeError && e.code === '25P02',
  );
  for (const [work, options] of [
    [7],
    [() => 1, { attempts: 0 }],
    [() => 1, { isolation: 'none' }],
    [() => 1, { tries: 1 }],
  ])
    await assert.rejects(rf.retry(work, options), InvalidArgument);
  assert.equal(await rf.retry(() => 7), 7);
});

test('the extension: none, in another schema, moved while in use', async () => {
  const admin = await database('racefree_node_schema');

  try {
    await accounts(admin, 2);
    await admin.query('DROP EXTENSION racefree CASCADE');

    const one = racefree(admin, { accounts: 'account' });

    await assert.rejects(one.transfer({ from: 1, to: 2, amount: 1 }), is(NotSupported, '0A000'));
    await admin.query('CREATE SCHEMA "Ext"');
    await admin.query('CREATE EXTENSION racefree SCHEMA "Ext"');
    await one.transfer({ from: 1, to: 2, amount: 1 });
    await admin.query('DROP EXTENSION racefree CASCADE');
    await admin.query('CREATE EXTENSION racefree SCHEMA public');
    await assert.rejects(one.transfer({ from: 1, to: 2, amount: 1 }), (e) => e.code === '42883');
    await one.transfer({ from: 1, to: 2, amount: 1 });
  } finally {
    await admin.end();
  }
});

test('ids of any characters', async () => {
  await pool.query('CREATE TABLE odd (id text PRIMARY KEY, balance numeric NOT NULL)');

  const ids = ['', ' ', 'NULL', 'null', '"', '\\', 'a,b', '{}', '\n', 'ü\u{1f4b0}', "'; --", '$1', 'a"\\b'];

  await pool.query('INSERT INTO odd SELECT unnest($1::text[]), 10', [ids]);
  await pool.query("SELECT create_journal('public.oddly', NULL::odd, request_id_type => 'text')");

  const odd = racefree(pool, { accounts: 'odd', journal: 'oddly' });
  const all = await Promise.all(
    ids.map((id, i) =>
      odd.transfer({
        from: id,
        to: ids[(i + 1) % ids.length],
        amount: ' 2.50 ',
        requestId: `for ${i} ${id}`,
        details: { id },
      }),
    ),
  );

  for (const [i, { entryId, requestId }] of all.entries())
    assert.deepEqual(
      await pool
        .query('SELECT from_id, to_id, request_id, details FROM oddly WHERE id = $1', [entryId])
        .then(({ rows }) => Object.values(rows[0])),
      [ids[i], ids[(i + 1) % ids.length], requestId, { id: ids[i] }],
    );
  // What the server says of a refusal is any text, too.
  await pool.query(`ALTER TABLE odd ADD CONSTRAINT "{"",\\}" CHECK (id <> 'NULL' OR balance = 10)`);
  const [refused, booked] = await Promise.allSettled([
    odd.transfer({ from: 'NULL', to: ' ', amount: 1 }),
    odd.transfer({ from: 'null', to: ' ', amount: 1 }),
  ]);

  assert.ok(refused.reason instanceof Refused && refused.reason.message.includes('{",\\}'));
  assert.equal(booked.status, 'fulfilled');
});

test('tables that are altered, and made anew, while their statements are prepared', async () => {
  const one = open({ database: 'racefree_node_server', max: 1 });

  try {
    await pool.query('CREATE TABLE till (id int PRIMARY KEY, balance int NOT NULL)');
    await pool.query('INSERT INTO till VALUES (1, 100), (2, 100)');

    const tills = racefree(one, { accounts: 'till' });
    const pay = () => tills.transfer({ from: 1, to: 2, amount: 1 }).then(({ fromBalance }) => fromBalance);

    for (let i = 0; i < 10; i++) await pay();
    assert.ok(
      (await value(one, "SELECT count(*)::int FROM pg_prepared_statements WHERE name ~ '^racefree_'")) > 0,
    );
    await pool.query(
      'ALTER TABLE till ALTER id TYPE bigint, ALTER balance TYPE numeric(12,2), ADD note text',
    );
    assert.equal(await pay(), '89.00');
    await pool.query('ALTER TABLE till DROP COLUMN note');
    assert.equal(await pay(), '88.00');
    await pool.query('DROP TABLE till');
    await assert.rejects(pay(), RacefreeError);
    await pool.query('CREATE TABLE till (id text PRIMARY KEY, balance bigint NOT NULL)');
    await pool.query("INSERT INTO till VALUES ('1', 100), ('2', 100)");
    assert.equal(await pay(), '99');
    // Somebody else's DISCARD ALL.
    await one.query('DEALLOCATE ALL');
    assert.equal(await pay(), '98');
    assert.equal(tills.stats().lost, 0);
  } finally {
    await one.end();
  }
});

test('a session set up in any way', async () => {
  const odd = open({
    database: 'racefree_node_server',
    max: 4,
    options:
      '-c search_path=pg_catalog -c default_transaction_isolation=serializable -c DateStyle=German -c extra_float_digits=-15',
  });

  try {
    const strict = racefree(odd, { accounts: 'account', journal: 'payment', lanes: 3, maxBatch: 4 });

    await Promise.all(
      Array.from({ length: 60 }, (_, i) => strict.transfer({ from: 60 + (i % 3), to: 64, amount: 1 })),
    );
    assert.equal(strict.stats().refused, 0);
    assert.equal(await value(pool, 'SELECT balance FROM account WHERE id = 64'), '1060.00');
  } finally {
    await odd.end();
  }
});

test('all adds up, and no rejection went unhandled', async () => {
  assert.equal(rf.stats().open, 0);
  assert.deepEqual(await unexplained(pool), []);
  assert.deepEqual(unhandled, []);
});
