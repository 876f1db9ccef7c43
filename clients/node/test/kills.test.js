'use strict';

// Kills, of connections and of servers: every promise that was fulfilled is
// booked once, and what was rejected is not, unless the error says that it may
// be.  The servers are the tests' own.

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const racefree = require('..');
const {
  sleep,
  accounts,
  value,
  sum,
  unexplained,
  hasHolds,
  noServer,
  Cluster,
  Proxy,
  unhandled,
} = require('./help');

const { RacefreeError, ConnectionLost, InsufficientFunds } = racefree;
const skip = noServer();
const rounds = process.env.SOAK ? 20 : 3;
const callers = 64;
const scope = { accounts: 'account', journal: 'payment' };
const pause = () => sleep(20 + Math.random() * 150);

let cluster;
let admin;
let number = 0;

// A new server, or the tables of the last one made anew.
async function fresh(t) {
  if (skip) return t.skip(skip);
  cluster ??= await Cluster.start();
  admin ??= cluster.pool({ max: 4 });
  await admin.query('DROP SCHEMA public CASCADE');
  await admin.query('CREATE SCHEMA public');
  await admin.query('CREATE EXTENSION racefree');
  await accounts(admin, callers + 1);
  return true;
}

test.after(async () => {
  await admin?.end();
  await cluster?.close();
});

// A pool of connections that go through a proxy.
async function proxied(t, config) {
  const proxy = await Proxy.start(path.join(cluster.folder, '.s.PGSQL.5432'));
  const pool = proxy.pool({ user: 'postgres', database: 'postgres', max: 4, ...config });

  t.after(async () => {
    await proxy.close();
    await pool.end();
  });
  return { proxy, pool };
}

function direct(t) {
  const pool = cluster.pool({ max: 2 });

  t.after(() => pool.end());
  return pool;
}

// 64 callers, each with one call after the other until "disturb" has ended.
// "make" is given a number that no other call has.
async function load(disturb, make) {
  const calls = [];

  await repeat(disturb, async (from) => {
    const n = number++;

    try {
      calls.push({ n, result: await make(from, n) });
    } catch (error) {
      calls.push({ n, error });
    }
  });
  return calls;
}

// The same, of callers that note their calls themselves.
async function repeat(disturb, make) {
  let going = true;

  async function caller(from) {
    while (going) await make(from);
  }

  const all = Promise.all(Array.from({ length: callers }, (_, i) => caller(i + 1)));

  try {
    await disturb();
    await sleep(200);
  } finally {
    going = false;
    await all;
  }
}

// Account 65 is paid by all others: often more than one of them has.
const pay = (rf) => (from, n) =>
  rf.transfer({ from, to: callers + 1, amount: n % 10 === 0 ? 100000 : 1, details: { n } });

// What each call was told is what is booked.
async function compare(pool, calls) {
  const { rows } = await pool.query(
    "SELECT details->>'n' AS n, count(*)::int AS entries, min(id)::text AS id FROM payment WHERE details IS NOT NULL GROUP BY 1",
  );
  const booked = new Map(rows.map(({ n, entries, id }) => [Number(n), { entries, id }]));
  const count = { fulfilled: 0, replayed: 0, refused: 0, uncertain: 0, lost: 0 };

  for (const { entries } of booked.values()) assert.equal(entries, 1, 'booked twice');
  for (const { n, result, error } of calls) {
    if (result) {
      assert.equal(booked.get(n)?.id, result.entryId, `${n} was fulfilled`);
      count.fulfilled++;
      if (result.replayed) count.replayed++;
    } else {
      assert.ok(error instanceof RacefreeError, error.stack);
      if (error instanceof InsufficientFunds) count.refused++;
      else if (error instanceof ConnectionLost) count.lost++;
      else assert.fail(error.stack);
      if (error.uncertain) count.uncertain++;
      else assert.ok(!booked.has(n), `${n} was rejected`);
    }
  }
  assert.deepEqual(await unexplained(pool), []);
  return { booked, count };
}

async function judge(pool, calls) {
  const { booked, count } = await compare(pool, calls);

  assert.equal(
    await value(pool, 'SELECT balance - 1000 FROM account WHERE id = $1', [callers + 1]),
    `${booked.size}.00`,
  );
  assert.equal(await sum(pool), `${(callers + 1) * 1000}.00`);
  return count;
}

// One after the other: money is held, then posted in parts, as a whole, or let go.
const holding = (rf, calls) => async (from) => {
  const make = async (kind, given) => {
    const n = number++;

    try {
      const result = await rf[kind]({ ...given, details: { n } });

      calls.push({ n, result });
      return result;
    } catch (error) {
      calls.push({ n, error });
    }
  };
  const hold = await make('hold', { from, to: callers + 1, amount: 3 });

  if (!hold) return;
  const { entryId } = hold;

  switch (Number(entryId) % 4) {
    case 0:
      await make('void', { entryId });
      break;
    case 1:
      await make('post', { entryId, amount: 2 });
      break;
    case 2:
      await make('post', { entryId, amount: 1, final: false });
      await make('post', { entryId });
      break;
  }
};

// What was held, moved and let go, by the answers and by the tables.
async function judgeHolds(pool, calls) {
  const { booked, count } = await compare(pool, calls);
  const { rows } = await pool.query(
    // Without details: what a last post has left of a hold.
    `SELECT kind, count(*)::int AS entries, sum(amount)::float AS amount FROM payment
      WHERE details IS NOT NULL GROUP BY kind`,
  );
  const of = Object.fromEntries(rows.map(({ kind, ...entries }) => [kind, entries]));

  assert.equal(
    rows.reduce((entries, row) => entries + row.entries, 0),
    booked.size,
  );
  assert.equal(
    Number(await value(pool, 'SELECT balance - 1000 FROM account WHERE id = $1', [callers + 1])),
    of.post.amount,
  );
  assert.equal(await sum(pool), `${(callers + 1) * 1000}.00`);
  // What is held of an account is what is left of its holds.
  assert.deepEqual(
    (
      await pool.query(
        `SELECT a.id, a.held, h.amount FROM account AS a
           LEFT JOIN (SELECT from_id, sum(amount) AS amount FROM payment_holds GROUP BY 1) AS h ON h.from_id = a.id
          WHERE a.held <> coalesce(h.amount, 0)`,
      )
    ).rows,
    [],
  );
  return { ...count, ...of };
}

test('the server is killed with all its processes', async (t) => {
  if (!(await fresh(t))) return;

  const pool = direct(t);
  const rf = racefree(pool, { ...scope, lanes: 2 });
  const calls = await load(async () => {
    for (let i = 0; i < rounds; i++) {
      await pause();
      await cluster.kill();
      await pause();
      await cluster.start();
    }
  }, pay(rf));
  const count = await judge(admin, calls);

  t.diagnostic(JSON.stringify({ ...count, ...rf.stats() }));
  assert.ok(count.fulfilled > 0);
  assert.equal(count.lost, 0);
  assert.ok(rf.stats().lost >= rounds);
  await rf.close();
});

test('the server is shut down, and comes back', async (t) => {
  if (!(await fresh(t))) return;

  const pool = direct(t);
  const rf = racefree(pool, { ...scope, lanes: 2 });
  const calls = await load(async () => {
    for (const mode of ['fast', 'immediate']) {
      await pause();
      await cluster.stop(mode);
      await pause();
      await cluster.start();
    }
  }, pay(rf));
  const count = await judge(admin, calls);

  t.diagnostic(JSON.stringify({ ...count, ...rf.stats() }));
  assert.equal(count.lost, 0);
  await rf.close();
});

test('sessions are terminated, connections are cut, answers are lost', async (t) => {
  if (!(await fresh(t))) return;

  const { proxy, pool } = await proxied(t, { application_name: 'victim' });
  const rf = racefree(pool, { ...scope, lanes: 2 });

  // So that it knows the extension: what is lost later is a batch's.
  await assert.rejects(rf.transfer({ from: 1, to: 1, amount: 1 }));

  const calls = await load(async () => {
    for (let i = 0; i < 10 * rounds; i++) {
      await sleep(Math.random() * 50);
      if (i % 3 === 0) {
        await admin.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'",
        );
      } else if (i % 3 === 1) {
        proxy.cut();
      } else {
        await proxy.lose('SELECT ');
      }
    }
  }, pay(rf));
  const count = await judge(admin, calls);

  t.diagnostic(JSON.stringify({ ...count, ...rf.stats() }));
  assert.equal(count.lost, 0);
  // Some were committed when their answer was lost.
  assert.ok(count.replayed > 0);
  await rf.close();
});

test('servers and connections are killed while money is held, posted and let go', async (t) => {
  if (!(await fresh(t))) return;
  if (!(await hasHolds(admin))) return t.skip("the server's racefree has no holds yet");

  await admin.query('DROP TABLE payment');
  await admin.query('ALTER TABLE account ADD held numeric(12,2) NOT NULL DEFAULT 0');
  await admin.query(
    "SELECT create_journal('public.payment', NULL::account, opening => 1000, held_column => 'held')",
  );

  const { proxy, pool } = await proxied(t, { application_name: 'victim' });
  const rf = racefree(pool, { ...scope, lanes: 2 });
  const calls = [];

  await assert.rejects(rf.transfer({ from: 1, to: 1, amount: 1 }));
  await repeat(
    async () => {
      for (let i = 0; i < rounds; i++) {
        for (let j = 0; j < 4; j++) {
          await sleep(Math.random() * 50);
          await admin.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'",
          );
          await pause();
          proxy.cut();
          await pause();
          await proxy.lose('SELECT ');
          await pause();
        }
        await pause();
        await cluster.kill();
        await pause();
        await cluster.start();
      }
    },
    holding(rf, calls),
  );

  const count = await judgeHolds(admin, calls);

  t.diagnostic(JSON.stringify({ ...count, ...rf.stats() }));
  assert.equal(count.lost, 0);
  // Of each kind there were some, and some were committed when their answer was lost.
  assert.ok(count.hold.entries > 0 && count.post.entries > 0 && count.void.entries > 0);
  assert.ok(count.replayed > 0);
  await rf.close();
});

test('without request ids, what may have been done says so', async (t) => {
  if (!(await fresh(t))) return;

  const { proxy, pool } = await proxied(t);
  const rf = racefree(pool, { ...scope, requestIds: false });

  // So that it knows the extension: what is lost later is a batch's.
  await assert.rejects(rf.transfer({ from: 1, to: 1, amount: 1 }));

  const calls = await load(async () => {
    for (let i = 0; i < 5 * rounds; i++) {
      await sleep(Math.random() * 50);
      await proxy.lose('SELECT ');
      await sleep(20);
      proxy.cut();
    }
  }, pay(rf));
  const count = await judge(admin, calls);

  t.diagnostic(JSON.stringify({ ...count, ...rf.stats() }));
  assert.ok(count.lost > 0 && count.lost === count.uncertain);
  assert.equal(count.replayed, 0);
  await rf.close();
});

test('getOrCreate makes one row of each key', async (t) => {
  if (!(await fresh(t))) return;

  await admin.query('CREATE TABLE item (id serial, name text)');

  const { proxy, pool } = await proxied(t);
  const rf = racefree(pool, { lanes: 2 });
  const calls = await load(
    async () => {
      for (let i = 0; i < 3 * rounds; i++) {
        await sleep(Math.random() * 50);
        proxy.cut();
      }
    },
    (_, n) => rf.getOrCreate('item', { name: String(n >> 2) }),
  );

  await rf.close();

  const { rows } = await admin.query(
    'SELECT name, count(*)::int AS rows, min(id) AS id FROM item GROUP BY name',
  );
  const ids = new Map(rows.map(({ name, id }) => [name, id]));

  for (const row of rows) assert.equal(row.rows, 1, row.name);
  for (const { n, result, error } of calls) {
    if (result) assert.equal(ids.get(String(n >> 2)), result.object.id);
    else assert.ok(error instanceof ConnectionLost, error.stack);
  }
});

test('retry makes a transaction again that was lost before its COMMIT', async (t) => {
  if (!(await fresh(t))) return;

  const { proxy, pool } = await proxied(t);
  const rf = racefree(pool, scope);
  let tries = 0;

  const booked = await rf.retry(async (client) => {
    const result = await rf.transfer({ from: 1, to: 2, amount: 1, details: { n: number++ } }, { client });

    if (++tries < 3) proxy.cut();
    // Time to notice it before COMMIT.
    await sleep(50);
    return result;
  });

  assert.equal(tries, 3);
  assert.equal(await value(admin, "SELECT string_agg(id::text, ',') FROM payment"), booked.entryId);

  // The answer to COMMIT is lost: nobody knows, so it is not made again.
  await assert.rejects(
    rf.retry(async (client) => {
      tries++;
      await rf.transfer({ from: 1, to: 2, amount: 1 }, { client });
      proxy.lose('COMMIT');
    }),
    (e) => e instanceof ConnectionLost && e.uncertain && e.code === '08007',
  );
  assert.equal(tries, 4);
});

test('a server that stays away is given up', async (t) => {
  if (!(await fresh(t))) return;

  const pool = cluster.pool({ max: 2 });
  const rf = racefree(pool, { ...scope, retryFor: 300 });

  await rf.transfer({ from: 1, to: 2, amount: 1 });
  await cluster.stop('immediate');
  await assert.rejects(
    rf.transfer({ from: 1, to: 2, amount: 1 }),
    (e) => e instanceof ConnectionLost && /^[0-9a-f-]{36}$/.test(e.requestId),
  );
  await cluster.start();
  await rf.transfer({ from: 1, to: 2, amount: 1 });
  assert.equal(rf.stats().open, 0);
  await pool.end();
  await assert.rejects(
    rf.transfer({ from: 1, to: 2, amount: 1 }),
    (e) => e instanceof ConnectionLost && !e.uncertain,
  );
});

test('no rejection went unhandled', () => assert.deepEqual(unhandled, []));
