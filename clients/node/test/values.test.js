'use strict';

// What is refused before it is sent.

const test = require('node:test');
const assert = require('node:assert/strict');
const racefree = require('..');
const { quoteName, quoteTable } = require('../lib/names');
const arrays = require('../lib/arrays');
const { makeRequestId } = require('../lib/ids');
const { elements, batchRow } = require('./help');

const { InvalidArgument, NO_FLOOR } = racefree;

// A pool that must not be asked, and one that shows what it was asked.
const closed = { query: () => assert.fail('something was sent') };

function recorder() {
  const sent = [];

  return {
    sent,
    async query(query) {
      sent.push(query);
      if (query.text.includes('pg_extension'))
        return { rows: [{ schema: 'public', kinds: true, available: true, detail: true }] };

      const row = batchRow(elements(query.values[0]).map(() => 'ok'));

      return { rows: [{ ...row, from_available: row.to_balance, detail: null }] };
    },
  };
}

const options = { accounts: 'account', journal: 'payment' };
const refuses = (call, kind = 'transfer') =>
  assert.rejects(
    racefree(closed, options)[kind](call),
    (error) => error instanceof InvalidArgument && error.code === '22023' && !error.uncertain,
  );

test('floats are refused, whole numbers and what is exact are not', async () => {
  for (const amount of [
    1.5,
    0.1 + 0.2,
    NaN,
    Infinity,
    2 ** 53,
    1e21,
    new Date(),
    [1],
    {},
    true,
    Symbol('1'),
    'abc',
    '1,5',
    '',
    '0x10',
    () => 1,
  ])
    await refuses({ from: 1, to: 2, amount });
  for (const id of [1.5, NaN, {}, [1], true, new Date(), Buffer.from('1'), 'a\0b', 'a\ud800'])
    await refuses({ from: id, to: 2, amount: 1 });

  const pool = recorder();
  const rf = racefree(pool, options);

  for (const amount of [1, 10n, '1.50', ' 1e3 ', '.5', '-1', { toString: () => '2.75' }])
    await rf.transfer({ from: 1, to: 2n, amount });
  assert.deepEqual(
    pool.sent.slice(1).map(({ values }) => values[2]),
    ['{1}', '{10}', '{1.50}', '{" 1e3 "}', '{.5}', '{-1}', '{2.75}'],
  );
});

test('nothing is switched off by a slip', async () => {
  await refuses({ from: 1, to: 2, amount: 1, minBalance: null });
  await refuses({ from: 1, to: 2, amount: 1, requestId: null });
  await refuses({ from: 1, to: 2, amount: 1, requestId: '' });
  await refuses({ from: 1, to: 2, amount: 1, minbalance: 0 });
  await refuses({ from: 1, to: 2, amount: null });
  await refuses({ from: 1, to: undefined, amount: 1 });
  await refuses({ from: 1, to: 2 });
  await refuses(undefined);
  await refuses({ from: 1, to: 2, amount: 1, details: { a: undefined } });
  await refuses({ from: 1, to: 2, amount: 1, details: { a: NaN } });
  await refuses({ from: 1, to: 2, amount: 1, columns: [1] });
  await refuses({ from: 1, to: 2, amount: 1, mustMatch: 'currency' });
  await refuses({ from: 1, to: 2, amount: 1, upTo: 'yes' });
  await refuses({ from: 1, to: 2, amount: 1, expiresAt: 'tomorrow' });
  await refuses({ entryId: 1, from: 1 }, 'void');
  await refuses({ entryId: '1; DROP TABLE x' }, 'post');
  await refuses({ entryId: 1, final: 0 }, 'post');
  await refuses({ from: 1, to: 2, amount: 1, expiresAt: new Date(NaN) }, 'hold');
});

test('without a journal there is nothing to book in', async () => {
  const rf = racefree(closed, { accounts: 'account' });

  await assert.rejects(rf.transfer({ from: 1, to: 2, amount: 1, requestId: 'a' }), InvalidArgument);
  await assert.rejects(rf.transfer({ from: 1, to: 2, amount: 1, details: {} }), InvalidArgument);
  await assert.rejects(rf.hold({ from: 1, to: 2, amount: 1 }), InvalidArgument);
  await assert.rejects(racefree(closed).transfer({ from: 1, to: 2, amount: 1 }), InvalidArgument);
});

test('options are checked when the client is made', () => {
  assert.throws(() => racefree(undefined), InvalidArgument);
  for (const bad of [
    { lane: 1 },
    { lanes: 0 },
    { maxBatch: 1.5 },
    { maxQueued: -1 },
    { retryFor: 'x' },
    { requestIds: 'uuid' },
    { minBalance: null },
    { accounts: 'a.b.c' },
    { accounts: '' },
    { accounts: 'account', journal: 7 },
  ])
    assert.throws(() => racefree(closed, bad), InvalidArgument, JSON.stringify(bad));
});

test('arrays are written as the server reads them', () => {
  const write = (...list) =>
    arrays.write(
      list.map((one) => ({ one })),
      'one',
    );

  assert.equal(write(), '{}');
  assert.equal(write('a', undefined, 'NULL', 'null', 'nulls'), '{a,NULL,"NULL","null",nulls}');
  assert.equal(write('', ' ', ',', '{', '}', 'ü'), '{""," ",",","{","}","ü"}');
  assert.equal(write('"', '\\', 'a"b\\c', '\n'), '{"\\"","\\\\","a\\"b\\\\c","\n"}');
  assert.deepEqual(arrays.read('{1,NULL,-2.50,NaN}'), ['1', null, '-2.50', 'NaN']);
  assert.deepEqual(arrays.read('{NULL}'), [null]);
  assert.deepEqual(arrays.read('{}'), []);
  assert.deepEqual(arrays.read(null), []);
});

test('request ids are uuids of version 7, and all different', () => {
  const begun = Date.now();
  const ids = Array.from({ length: 10000 }, makeRequestId);

  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) {
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const time = parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

    assert.ok(time >= begun && time <= Date.now());
  }
});

test('names are quoted, values are parameters', async () => {
  assert.equal(quoteName('a"b; --'), '"a""b; --"');
  assert.equal(quoteTable('user', 'public'), '"public"."user"');
  assert.equal(quoteTable('Shop.User', 'public'), '"Shop"."User"');
  assert.equal(quoteTable(['a.b', 'c"d'], 'public'), '"a.b"."c""d"');
  for (const name of ['', 'x'.repeat(64), 'ü'.repeat(32), 'a\0', null, 7])
    assert.throws(() => quoteName(name), InvalidArgument);
  assert.throws(() => quoteTable(['a', 'b', 'c'], 'public'), InvalidArgument);

  const pool = recorder();
  const evil = "'; DROP TABLE x; --";

  await racefree(pool, {
    accounts: ['s', 'a"b'],
    journal: evil,
    idColumn: evil,
    balanceColumn: 'b',
  }).transfer({
    from: evil,
    to: evil,
    amount: '1',
    minBalance: NO_FLOOR,
    mustMatch: [evil],
    requestId: evil,
    details: { evil },
    columns: { evil },
  });

  const { text, values } = pool.sent[1];

  assert.ok(!text.includes('DROP'));
  assert.ok(text.includes('NULL::"s"."a""b"'));
  assert.ok(values.includes(`"public"."${evil}"`));
  assert.ok(values.includes('-Infinity'));
});

test('what is held, posted, voided and reversed goes in one statement', async () => {
  const pool = recorder();
  const rf = racefree(pool, { ...options, requestIds: false });

  await Promise.all([
    rf.transfer({ from: 1, to: 2, amount: 1 }),
    rf.hold({ from: 1, to: 2, amount: 2, expiresAt: '2099-01-01' }),
    rf.post({ entryId: 7n, amount: 3, final: false, beyond: true }),
    rf.void({ entryId: '8' }),
    rf.reverse({ entryId: 9 }),
  ]);
  assert.equal(pool.sent.length, 2);

  const { text, values } = pool.sent[1];
  const argument = (name) => values[Number(new RegExp(`\\b${name} => \\$(\\d+)::`).exec(text)[1]) - 1];

  assert.equal(argument('kinds'), '{transfer,hold,post,void,reversal}');
  assert.equal(argument('from_ids'), '{1,1,NULL,NULL,NULL}');
  assert.equal(argument('amounts'), '{1,2,3,NULL,NULL}');
  assert.equal(argument('entry_ids'), '{NULL,NULL,7,8,9}');
  assert.equal(argument('expires_at'), '{NULL,2099-01-01,NULL,NULL,NULL}');
  assert.equal(argument('final'), '{NULL,NULL,false,NULL,NULL}');
  assert.equal(argument('beyond'), '{NULL,NULL,true,NULL,NULL}');
  assert.ok(!text.includes('request_ids'));
});

test('keys and defaults', async () => {
  const rf = racefree(closed);
  const refused = (...args) => assert.rejects(rf.getOrCreate(...args), InvalidArgument);

  await refused('t', { a: undefined });
  await refused('t', { at: new Date() });
  await refused('t', { a: 1 }, { a: 2 });
  await refused('t', { a: Infinity });
  await refused('t', [1]);
  await refused('t', null);
  await refused('t', { a: 'b\0' });
  await assert.rejects(rf.getOrCreateMany('t', [{ a: new Date() }], ['a']), InvalidArgument);
  await assert.rejects(rf.getOrCreateMany('t', [{ a: 1 }], []), InvalidArgument);
  await assert.rejects(rf.getOrCreateMany('t', { a: 1 }, ['a']), InvalidArgument);
  await assert.rejects(rf.updateOrCreate('t', { a: 1 }, { b: undefined }), InvalidArgument);
});

test('one module, by require and by import', async () => {
  const imported = await import('../index.mjs');

  assert.equal(imported.default, racefree);
  assert.equal(racefree.default, racefree);
  for (const [name, one] of Object.entries(imported))
    if (name !== 'default') assert.equal(one, racefree[name], name);
  for (const name of Object.keys(racefree)) assert.ok(name in imported, name);
});
