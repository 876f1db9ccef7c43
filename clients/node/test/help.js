'use strict';

// What the tests share: databases, a server of their own to be killed, and
// checks of what is booked.

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Pool } = require('pg');

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A lost connection that was idle is no news to the tests.
function open(config) {
  const pool = new Pool(config);

  pool.on('error', () => {});
  return pool;
}

// A new database on the server that the environment names.
async function database(name, { max = 16 } = {}) {
  const admin = open({ max: 1 });

  await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();

  const pool = open({ database: name, max });

  await pool.query('CREATE EXTENSION racefree');
  return pool;
}

// Accounts 1 to n with 1000 each, and their journal.
async function accounts(pool, n = 10) {
  await pool.query('CREATE TABLE account (id bigint PRIMARY KEY, balance numeric(12,2) NOT NULL)');
  await pool.query('INSERT INTO account SELECT i, 1000 FROM generate_series(1, $1::int) AS i', [n]);
  await pool.query("SELECT create_journal('public.payment', NULL::account, opening => 1000)");
}

async function value(pool, text, values) {
  const { rows } = await pool.query({ text, values, rowMode: 'array' });

  return rows[0]?.[0];
}

const sum = (pool) => value(pool, 'SELECT sum(balance) FROM account');

// What the journal does not explain.
async function unexplained(pool) {
  return (await pool.query("SELECT * FROM verify_journal('public.payment', NULL::account)")).rows;
}

async function hasHolds(pool) {
  return value(pool, "SELECT bool_or('kinds' = ANY (proargnames)) FROM pg_proc WHERE proname = 'transfer_many'");
}

// A server of its own, in a temporary folder.
class Cluster {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rf'));
    this.data = path.join(this.folder, 'data');
    execFileSync('initdb', ['-D', this.data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '-N'], { stdio: 'ignore' });
    fs.appendFileSync(path.join(this.data, 'postgresql.conf'),
      `listen_addresses = ''\nunix_socket_directories = '${this.folder}'\nmax_connections = 100\n`);
    this.start();
  }

  pool(config) {
    return open({ host: this.folder, port: 5432, user: 'postgres', database: 'postgres', ...config });
  }

  start() {
    execFileSync('pg_ctl', ['-D', this.data, '-l', path.join(this.folder, 'log'), '-s', '-w', 'start'], { stdio: 'ignore' });
  }

  // kill -9, of all processes at one moment.  One that is stopped starts no others.
  async kill() {
    const postmaster = Number(fs.readFileSync(path.join(this.data, 'postmaster.pid'), 'utf8').split('\n')[0]);

    process.kill(postmaster, 'SIGSTOP');
    const pids = [...children(postmaster), postmaster];

    for (const pid of pids) kill(pid);
    while (pids.some(isAlive)) await sleep(10);
    fs.rmSync(path.join(this.data, 'postmaster.pid'));
  }

  close() {
    spawnSync('pg_ctl', ['-D', this.data, '-m', 'immediate', '-s', '-w', 'stop'], { stdio: 'ignore' });
    fs.rmSync(this.folder, { recursive: true });
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone.
  }
}

function children(parent) {
  return execFileSync('ps', ['-A', '-o', 'pid=', '-o', 'ppid='], { encoding: 'utf8' })
    .split('\n').map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, ppid]) => ppid === parent).map(([pid]) => pid);
}

function isAlive(pid) {
  const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();

  return state !== '' && !state.startsWith('Z');
}

// Whatever happens, no rejection may go unhandled.
const unhandled = [];

process.on('unhandledRejection', (reason) => unhandled.push(reason));

module.exports = { sleep, open, database, accounts, value, sum, unexplained, hasHolds, Cluster, unhandled };
