'use strict';

// Holds, posts and voids: where the server's racefree has them.

const test = require('node:test');
const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const racefree = require('..');
const { database, value, unexplained, hasHolds, unhandled } = require('./help');

const {
  NotSupported,
  InsufficientFunds,
  HoldNotFound,
  HoldSettled,
  HoldExpired,
  OverPosted,
  InvalidArgument,
} = racefree;

let pool;
let rf;
let holds;

test.before(async () => {
  pool = await database('racefree_node_holds');
  holds = await hasHolds(pool);
  await pool.query(
    'CREATE TABLE account (id bigint PRIMARY KEY, balance numeric(12,2) NOT NULL, held numeric(12,2) NOT NULL DEFAULT 0)',
  );
  await pool.query('INSERT INTO account SELECT i, 1000 FROM generate_series(1, 20) AS i');
  await pool.query(
    `SELECT create_journal('public.payment', NULL::account, opening => 1000${holds ? ", held_column => 'held'" : ''})`,
  );
  rf = racefree(pool, { accounts: 'account', journal: 'payment' });
});
test.after(() => pool.end());

function withHolds(name, body) {
  test(name, async (t) => (holds ? body(t) : t.skip("the server's racefree has no holds yet")));
}

const held = (id) => value(pool, 'SELECT held::text FROM account WHERE id = $1', [id]);
const expired = (entryId) =>
  value(pool, 'SELECT expires_at < clock_timestamp() FROM payment WHERE id = $1', [entryId]);

test('without them, a hold says so', async (t) => {
  if (holds) return t.skip('it has them');
  for (const call of [
    rf.hold({ from: 1, to: 2, amount: 1 }),
    rf.post({ entryId: 1 }),
    rf.void({ entryId: 1 }),
  ])
    await assert.rejects(
      call,
      (error) => error instanceof NotSupported && error.code === '0A000' && error.hint.includes('UPDATE'),
    );
  // Those that come with it are booked.
  assert.deepEqual(
    (
      await Promise.allSettled([
        rf.transfer({ from: 1, to: 2, amount: 1 }),
        rf.hold({ from: 1, to: 2, amount: 1 }),
      ])
    ).map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
});

withHolds('hold, post in parts, void', async () => {
  const requestId = randomUUID();
  const hold = await rf.hold({ from: 1, to: 2, amount: 900, requestId, details: { order: 7 } });

  assert.deepEqual(
    [Number(hold.amount), Number(hold.fromBalance), Number(hold.fromAvailable), Number(await held(1))],
    [900, 1000, 100, 900],
  );
  assert.equal((await rf.hold({ from: 1, to: 2, amount: 900, requestId })).entryId, hold.entryId);
  await assert.rejects(rf.transfer({ from: 1, to: 2, amount: 101 }), InsufficientFunds);
  await assert.rejects(rf.post({ entryId: hold.entryId, amount: 901 }), OverPosted);

  const part = await rf.post({ entryId: hold.entryId, amount: 400, final: false });

  assert.deepEqual(
    [Number(part.amount), Number(part.fromBalance), Number(part.toBalance), Number(await held(1))],
    [400, 600, 1400, 500],
  );
  assert.equal(Number((await rf.void({ entryId: hold.entryId })).amount), 500);
  assert.equal(Number(await held(1)), 0);
  await assert.rejects(rf.post({ entryId: hold.entryId }), HoldSettled);
  await assert.rejects(rf.void({ entryId: hold.entryId }), HoldSettled);
  await assert.rejects(rf.post({ entryId: part.entryId }), HoldNotFound);
});

withHolds('a hold expires', async () => {
  await assert.rejects(rf.hold({ from: 3, to: 4, amount: 1, expiresAt: '2001-01-01' }), InvalidArgument);

  const hold = await rf.hold({ from: 3, to: 4, amount: 1000, expiresAt: new Date(Date.now() + 2000) });

  await assert.rejects(rf.transfer({ from: 3, to: 4, amount: 1 }), InsufficientFunds);
  while (!(await expired(hold.entryId))) await new Promise((resolve) => setTimeout(resolve, 50));
  await assert.rejects(rf.post({ entryId: hold.entryId }), HoldExpired);
  await rf.transfer({ from: 3, to: 4, amount: 1 });
});

withHolds('what comes together is one batch, each with its own answer', async () => {
  const before = rf.stats().batches;
  const held = await Promise.all(Array.from({ length: 10 }, () => rf.hold({ from: 5, to: 6, amount: 10 })));
  const results = await Promise.allSettled([
    ...held.slice(0, 5).map(({ entryId }) => rf.post({ entryId })),
    rf.post({ entryId: held[0].entryId }),
    rf.post({ entryId: 10n ** 12n }),
  ]);

  assert.deepEqual(
    results.map(({ reason }) => reason?.code),
    [undefined, undefined, undefined, undefined, undefined, 'RF010', 'RF009'],
  );
  await Promise.all(held.slice(5).map(({ entryId }) => rf.void({ entryId })));
  assert.ok(rf.stats().batches - before <= 6);
});

withHolds('more than was held', async () => {
  const { entryId } = await rf.hold({ from: 7, to: 8, amount: 100 });

  assert.equal(Number((await rf.post({ entryId, amount: 150, beyond: true })).fromBalance), 850);
});

test('all adds up, and no rejection went unhandled', async () => {
  assert.deepEqual(await unexplained(pool), []);
  assert.deepEqual(unhandled, []);
});
