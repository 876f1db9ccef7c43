'use strict';

// What becomes of calls when the connection is lost, or the server refuses a
// batch as a whole: with a pool that fails as it is told.

const test = require('node:test');
const assert = require('node:assert/strict');
const racefree = require('..');
const { elements, batchRow, unhandled } = require('./help');

const { ConnectionLost, Refused, QueryCanceled, QueueFull, Closed, RacefreeError, RequestMismatch } =
  racefree;

const lost = () => new Error('Connection terminated unexpectedly');
const unsent = () =>
  Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' });
const raised = (code) => Object.assign(new Error(`raised ${code}`), { code, severity: 'ERROR' });

// Each batch is answered by the next of "answers": an error, a status for each
// transfer, or a function of the query; after the last, with ok.
function pool(answers = []) {
  const batches = [];

  return {
    batches,
    async query({ text, values, name }) {
      await new Promise(setImmediate);
      if (text.includes('pg_extension'))
        return { rows: [{ schema: 'public', kinds: false, available: false, detail: false }] };

      const from = elements(values[0]);
      const ids = /request_ids => \$4/.test(text) ? elements(values[3]) : [];

      batches.push({ from, ids, text, name });
      let answer = answers.shift();

      if (typeof answer === 'function') answer = answer(from);
      if (answer instanceof Error) throw answer;
      return { rows: [batchRow(from.map((_, i) => answer?.[i] ?? 'ok'))] };
    },
  };
}

const scope = { accounts: 'account', journal: 'payment' };
const call = (from = 1) => ({ from, to: 1000, amount: 1 });

test('a lost batch is repeated with the same request ids', async () => {
  const p = pool([lost(), unsent(), lost(), ['replayed', 'ok']]);
  const rf = racefree(p, scope);
  const [a, b] = await Promise.all([rf.transfer(call(1)), rf.transfer({ ...call(2), requestId: 'mine' })]);

  assert.equal(a.replayed, true);
  assert.equal(b.replayed, false);
  assert.equal(p.batches.length, 4);
  assert.equal(p.batches[0].ids[1], 'mine');
  for (const { ids } of p.batches) assert.deepEqual(ids, p.batches[0].ids);
  assert.equal(rf.stats().lost, 3);
});

test('what has no request id is not repeated if it may have been done', async () => {
  const p = pool([lost()]);
  const rf = racefree(p, { ...scope, requestIds: false });
  const [a, b] = await Promise.allSettled([
    rf.transfer(call(1)),
    rf.transfer({ ...call(2), requestId: 'mine' }),
  ]);

  assert.ok(a.reason instanceof ConnectionLost && a.reason.uncertain && a.reason.code === '08007');
  assert.equal(b.status, 'fulfilled');
  assert.deepEqual(
    p.batches.map(({ from }) => from),
    [['1', '2'], ['2']],
  );
});

test('what has no request id is repeated if it was not sent', async () => {
  const p = pool([unsent(), raised('53300'), raised('57P03')]);

  await racefree(p, { accounts: 'account' }).transfer(call());
  assert.equal(p.batches.length, 4);
});

test('after retryFor it is given up, and said whether it may have been done', async () => {
  for (const [error, uncertain, code] of [
    [lost, true, '08007'],
    [unsent, false, '08006'],
  ]) {
    const rf = racefree(
      {
        query: (query) =>
          query.text.includes('pg_extension') ? pool().query(query) : Promise.reject(error()),
      },
      { ...scope, retryFor: 100 },
    );
    const begun = Date.now();

    await assert.rejects(
      rf.transfer({ ...call(), requestId: 'mine' }),
      (e) =>
        e instanceof ConnectionLost && e.uncertain === uncertain && e.code === code && e.requestId === 'mine',
    );
    // The server is gone for long now: later calls do not wait for it as long again.
    await assert.rejects(rf.transfer(call()), ConnectionLost);
    assert.ok(Date.now() - begun < 5000);
  }
});

test('an answer about the request itself is certain, another refusal after a loss is not', async () => {
  await assert.rejects(
    racefree(pool([lost(), ['request_mismatch']]), scope).transfer(call()),
    (e) => e instanceof RequestMismatch && !e.uncertain,
  );
  await assert.rejects(
    racefree(pool([lost(), raised('57014')]), scope).transfer(call()),
    (e) => e instanceof QueryCanceled && e.uncertain,
  );
  await assert.rejects(
    racefree(pool([raised('57014')]), scope).transfer(call()),
    (e) => e instanceof QueryCanceled && !e.uncertain,
  );
});

test('each status is an error, with its SQLSTATE', async () => {
  const codes = {
    insufficient_funds: 'RF001',
    account_not_found: 'RF002',
    request_mismatch: 'RF003',
    limit_exceeded: 'RF004',
    mismatch: 'RF005',
    over_reversed: 'RF006',
    entry_not_found: 'RF007',
    account_closed: 'RF008',
    hold_not_found: 'RF009',
    hold_settled: 'RF010',
    hold_expired: 'RF011',
    over_posted: 'RF012',
    invalid_amount: '22023',
    same_account: '22023',
    invalid_balance: '22003',
    invalid_kind: '22023',
    invalid_expires_at: '22023',
    // Of a later version.
    unheard_of: undefined,
  };
  const rf = racefree(pool([Object.keys(codes)]), scope);
  const results = await Promise.allSettled(Object.keys(codes).map((_, i) => rf.transfer(call(i))));

  Object.entries(codes).forEach(([status, code], i) => {
    const { reason } = results[i];

    assert.ok(reason instanceof RacefreeError && !reason.uncertain && reason.message.length > 0, status);
    assert.deepEqual([reason.status, reason.code], [status, code]);
    assert.equal(reason.constructor === RacefreeError, code === undefined);
  });
});

test('one that the server refuses does not fail the others, and their order stays', async () => {
  const refuse = (from) => (from.includes('13') || from.includes('40') ? raised('23514') : undefined);
  const p = pool(Array.from({ length: 100 }, () => refuse));
  const rf = racefree(p, scope);
  const results = await Promise.allSettled(Array.from({ length: 64 }, (_, i) => rf.transfer(call(i))));

  results.forEach(({ status, reason }, i) => {
    assert.equal(status, i === 13 || i === 40 ? 'rejected' : 'fulfilled', `transfer ${i}`);
    if (status === 'rejected') assert.ok(reason instanceof Refused && reason.code === '23514');
  });

  const done = p.batches
    .filter(({ from }) => !from.includes('13') && !from.includes('40'))
    .flatMap(({ from }) => from.map(Number));

  assert.deepEqual(
    done,
    [...done].sort((a, b) => a - b),
  );
  assert.ok(p.batches.length < 30, `${p.batches.length} batches`);
});

test('what is wrong with the statement fails all at once', async () => {
  const p = pool([raised('42883')]);
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, (_, i) => racefreeOf(p).transfer(call(i))),
  );

  assert.equal(results.filter(({ status }) => status === 'rejected').length, 8);
  assert.equal(p.batches.length, 1);
});

let shared;
const racefreeOf = (p) => (shared ??= racefree(p, scope));

test('a conflict is repeated, not for ever', async () => {
  const p = pool([raised('40001'), raised('40P01')]);

  await racefree(p, scope).transfer(call());
  assert.equal(p.batches.length, 3);

  const never = pool(Array.from({ length: 50 }, () => raised('40001')));

  await assert.rejects(racefree(never, scope).transfer(call()), (e) => e.code === '40001' && !e.uncertain);
  assert.ok(never.batches.length <= 10);
});

test('an answer that is no answer, and an error of no known kind, leave it uncertain', async () => {
  const short = { query: async (q) => (q.text.includes('pg_extension') ? pool().query(q) : { rows: [] }) };

  await assert.rejects(
    racefree(short, scope).transfer(call()),
    (e) => e instanceof RacefreeError && e.uncertain,
  );
  await assert.rejects(
    racefree(pool([new TypeError('oops')]), scope).transfer(call()),
    (e) => e.uncertain && e.cause instanceof TypeError,
  );
  await assert.rejects(
    racefree(pool([new Error('Cannot use a pool after calling end on the pool')]), scope).transfer(call()),
    (e) => e instanceof ConnectionLost && !e.uncertain,
  );
});

test('a statement is prepared once, by the same name for the same text', async () => {
  const p = pool();
  const rf = racefree(p, scope);

  await rf.transfer(call(1));
  await Promise.all([rf.transfer(call(2)), rf.transfer(call(3))]);
  await rf.transfer({ ...call(4), details: {} });
  await rf.transfer({ ...call(5), minBalance: 1 });
  await rf.transfer({ ...call(6), minBalance: 2 });

  const names = p.batches.map(({ name }) => name);

  for (const name of names) assert.match(name, /^racefree_[0-9a-f]{32}$/);
  assert.deepEqual(
    names.map((name) => names.indexOf(name)),
    [0, 0, 2, 3, 3],
  );
  assert.deepEqual(
    p.batches.map(({ text }) => p.batches.findIndex((other) => other.text === text)),
    [0, 0, 2, 3, 3],
  );
  // In a transaction of the caller's, which an error would end, nothing is.
  await rf.transfer(call(7), { client: p });
  assert.equal(p.batches[5].name, undefined);
});

test('behind a pooler that knows no prepared statements, the text is sent each time', async () => {
  for (const code of ['26000', '42P05']) {
    const p = pool([undefined, raised(code)]);
    const rf = racefree(p, { ...scope, requestIds: false });

    await rf.transfer(call(1));
    await Promise.all([rf.transfer(call(2)), rf.transfer(call(3))]);
    await rf.transfer(call(4));
    assert.deepEqual(
      p.batches.map(({ from, name }) => [...from, name !== undefined]),
      [
        ['1', true],
        ['2', '3', true],
        ['2', '3', false],
        ['4', false],
      ],
    );
    assert.equal(rf.stats().refused, 0);
  }
  // Without a name, it is an error like others.
  await assert.rejects(
    racefree(pool([raised('26000'), raised('26000')]), scope).transfer(call()),
    (e) => e instanceof RacefreeError && e.code === '26000' && !e.uncertain,
  );
});

test('what comes together while a batch is under way goes together, at most maxBatch', async () => {
  const later = [];
  const p = pool([
    () => {
      for (let i = 1; i <= 25; i++) later.push(rf.transfer(call(i)));
    },
  ]);
  const rf = racefree(p, { ...scope, maxBatch: 10 });

  await rf.transfer(call(0));
  await Promise.all(later);
  assert.deepEqual(
    p.batches.map(({ from }) => from.length),
    [1, 10, 10, 5],
  );
  assert.deepEqual(
    p.batches.flatMap(({ from }) => from.map(Number)),
    Array.from({ length: 26 }, (_, i) => i),
  );
  assert.deepEqual(
    { calls: rf.stats().calls, largest: rf.stats().largest, open: rf.stats().open },
    { calls: 26, largest: 10, open: 0 },
  );
});

test('a reversal takes the room of two', async () => {
  const p = pool();
  const rf = racefree(p, { ...scope, maxBatch: 10 });

  await Promise.all(Array.from({ length: 10 }, (_, i) => rf.reverse({ entryId: i + 1 })));
  assert.deepEqual(
    p.batches.map(({ from }) => from.length),
    [5, 5],
  );
});

test('a queue for each table, journal and limits; lanes', async () => {
  const p = pool();
  const rf = racefree(p, scope);

  await Promise.all([
    rf.transfer(call(1)),
    rf.transfer(call(2)),
    rf.transfer({ ...call(3), minBalance: 5 }),
    rf.transfer({ ...call(4), minBalance: '5' }),
    rf.transfer({ ...call(5), accounts: 'other' }),
    rf.transfer({ ...call(6), journal: 'other' }),
    rf.transfer({ ...call(7), upTo: true }),
  ]);
  assert.deepEqual(
    p.batches.map(({ from }) => from),
    [['1', '2'], ['3', '4'], ['5'], ['6'], ['7']],
  );

  let underWay = 0;
  let most = 0;
  const slow = {
    async query(query) {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, 20));
      underWay--;
      return pool().query(query);
    },
  };
  const lanes = racefree(slow, { ...scope, lanes: 2, maxBatch: 1 });

  await Promise.all(Array.from({ length: 8 }, (_, i) => lanes.transfer(call(i))));
  assert.equal(most, 2);
});

test('the queue is bounded, and ready() says when there is room', async () => {
  const p = pool();
  const rf = racefree(p, { ...scope, maxQueued: 10 });
  const calls = Array.from({ length: 15 }, (_, i) => rf.transfer(call(i)));
  const results = await Promise.allSettled(calls);

  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 10);
  for (const { reason } of results.slice(10)) assert.ok(reason instanceof QueueFull && !reason.uncertain);

  // A producer that waits loses nothing, and never holds more than fits.
  const held = [];

  for (let i = 0; i < 1000; i++) {
    await rf.ready();
    held.push(rf.transfer(call(i)));
    assert.ok(rf.stats().open <= 10);
  }
  await Promise.all(held);

  // Nor do several, who are told at different moments.
  await Promise.all(
    Array.from({ length: 25 }, async (_, i) => {
      for (let k = 0; k < 40; k++) {
        await rf.ready();
        await rf.transfer(call(i));
        if (k % 3 === i % 3) await new Promise(setImmediate);
      }
    }),
  );
  // What is promised to one who does not come is free again.
  for (let i = 0; i < 30; i++) await rf.ready();
  await rf.transfer(call());
});

test('flush waits for what was asked, close takes no more', async () => {
  const p = pool();
  const rf = racefree(p, scope);
  let settled = 0;
  const count = () => settled++;

  await rf.flush();
  for (let i = 0; i < 100; i++) rf.transfer(call(i)).then(count);
  await rf.flush();
  assert.equal(settled, 100);

  const last = Array.from({ length: 20 }, (_, i) => rf.transfer(call(i)));
  const closing = rf.close();

  await assert.rejects(rf.transfer(call()), Closed);
  await assert.rejects(rf.getOrCreate('t', { a: 1 }), Closed);
  await assert.rejects(rf.ready(), Closed);
  await closing;
  assert.equal(rf.stats().open, 0);
  assert.equal((await Promise.allSettled(last)).filter(({ status }) => status === 'fulfilled').length, 20);
});

test('no rejection went unhandled', () => assert.deepEqual(unhandled, []));
