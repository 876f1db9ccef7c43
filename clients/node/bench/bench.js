'use strict';

// How many transfers a second from many accounts to one hot one, by 64 callers
// at once, each booked in a journal, durable: with this client's batches, with
// single calls of transfer(), and with the statements that one would write
// without racefree.  The statements of all ways are prepared, and all request ids
// are made the same way.
//
//   BENCH_ROUNDS=5 BENCH_SECONDS=3 bench/run
//
// All ways take turns, as often as there are rounds.  What is shown is the
// median of the rounds, of ratios the median of those of each round.

const { Pool } = require('pg');
const racefree = require('..');
const { makeRequestId } = require('../lib/ids');

const rounds = Number(process.env.BENCH_ROUNDS ?? 5);
const seconds = Number(process.env.BENCH_SECONDS ?? 3);
const callers = 64;
const connections = 16;
const payers = 1000;
const hot = payers + 1;
const name = 'racefree_node_bench';

const setUp = `
CREATE EXTENSION racefree;
CREATE TABLE account (id bigint PRIMARY KEY, balance numeric(14,2) NOT NULL);
INSERT INTO account SELECT i, 1000000 FROM generate_series(1, ${hot}) AS i;
SELECT create_journal('public.payment', NULL::account, opening => 1000000);
CREATE TABLE lone (id bigint GENERATED ALWAYS AS IDENTITY);
VACUUM ANALYZE`;

const single = `
SELECT amount, replayed, entry FROM transfer(NULL::account, $1::bigint, $2::bigint, $3::numeric,
    journal => 'public.payment', request_id => $4)`;

// What keeps a balance from falling below 0 is the condition of the first.
const pay = 'UPDATE account SET balance = balance - $2 WHERE id = $1 AND balance >= $2 RETURNING balance';
const receive = 'UPDATE account SET balance = balance + $2 WHERE id = $1 RETURNING balance';
const book = `
INSERT INTO payment (request_id, from_id, to_id, amount, from_balance, to_balance)
VALUES ($1, $2, $3, $4, $5, $6)`;

// Each is made with a pool, and gives what makes one transfer.
const ways = {
  'this client': (pool) => {
    const rf = racefree(pool, { accounts: 'account', journal: 'payment' });

    return (from) => rf.transfer({ from, to: hot, amount: 1 });
  },
  'single calls': (pool) => (from) =>
    pool.query({ name: 'single', text: single, values: [from, hot, 1, makeRequestId()] }),
  // The payer first: so the hot row is locked for as short as can be.
  'five statements': (pool) => (from) => five(pool, from),
};

async function five(pool, from) {
  const client = await pool.connect();

  try {
    await client.query('BEGIN');
    const payer = await client.query({ name: 'pay', text: pay, values: [from, 1] });
    if (payer.rowCount === 0) throw new Error('insufficient funds');
    const payee = await client.query({ name: 'receive', text: receive, values: [hot, 1] });

    await client.query({
      name: 'book',
      text: book,
      values: [makeRequestId(), from, hot, 1, payer.rows[0].balance, payee.rows[0].balance],
    });
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

async function measure(transfer) {
  const times = [];
  const begun = process.hrtime.bigint();
  const passed = (since) => Number(process.hrtime.bigint() - since) / 1e6;

  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (passed(begun) < seconds * 1000) {
        const since = process.hrtime.bigint();

        await transfer(1 + Math.floor(Math.random() * payers));
        times.push(passed(since));
      }
    }),
  );

  const took = passed(begun);

  times.sort((a, b) => a - b);
  return {
    rate: (times.length / took) * 1000,
    p50: times[Math.floor(times.length / 2)],
    p99: times[Math.floor(times.length * 0.99)],
  };
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}

async function lone(pool) {
  const times = [];

  for (let i = 0; i < 50; i++) {
    const since = process.hrtime.bigint();

    await pool.query('INSERT INTO lone DEFAULT VALUES');
    times.push(Number(process.hrtime.bigint() - since) / 1e6);
  }
  return median(times);
}

async function main() {
  const admin = new Pool({ max: 1 });

  await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await admin.query(`CREATE DATABASE ${name}`);

  const pool = new Pool({ database: name, max: connections });

  for (const statement of setUp.split(';')) await pool.query(statement);
  const {
    rows: [{ fsync, commit }],
  } = await pool.query(
    "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit",
  );

  console.log(
    `fsync ${fsync}, synchronous_commit ${commit}; a lone durable INSERT takes ${(await lone(pool)).toFixed(2)} ms`,
  );
  console.log(
    `${callers} callers, ${payers} accounts to one, ${connections} connections, ${rounds} rounds of ${seconds} s each`,
  );

  const transfers = Object.entries(ways).map(([way, make]) => [way, make(pool)]);
  const results = Object.fromEntries(transfers.map(([way]) => [way, []]));

  for (const [, transfer] of transfers)
    await Promise.all(Array.from({ length: callers }, (_, i) => transfer(i + 1)));
  for (let round = 0; round < rounds; round++)
    for (const [way, transfer] of transfers) results[way].push(await measure(transfer));

  const of = (way, what) => median(results[way].map((result) => result[what]));
  const ratio = (one, other) => median(results[one].map(({ rate }, i) => rate / results[other][i].rate));
  const cell = (text) => String(text).padStart(12);

  console.log(`\n${''.padEnd(16)}${['transfers/s', 'p50 ms', 'p99 ms', 'client is x'].map(cell).join('')}`);
  for (const way of Object.keys(ways))
    console.log(
      way.padEnd(16) +
        [
          of(way, 'rate').toFixed(0),
          of(way, 'p50').toFixed(1),
          of(way, 'p99').toFixed(1),
          ratio('this client', way).toFixed(1),
        ]
          .map(cell)
          .join(''),
    );
  for (const way of Object.keys(ways))
    console.log(
      `${way.padEnd(16)}${results[way].map(({ rate }) => cell(rate.toFixed(0))).join('')}  by round`,
    );

  const {
    rows: [{ wrong }],
  } = await pool.query("SELECT count(*)::int AS wrong FROM verify_journal('public.payment', NULL::account)");

  console.log(wrong === 0 ? '\nthe journal explains every balance' : `\n${wrong} things do not add up`);
  await pool.end();
  await admin.query(`DROP DATABASE ${name}`);
  await admin.end();
  process.exitCode = wrong === 0 ? 0 : 1;
}

main();
