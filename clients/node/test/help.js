'use strict';

// What the tests share: databases, a server of their own to be killed, and
// checks of what is booked.

const { execFileSync, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
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
async function database(name, { max = 16, extension = true } = {}) {
  const admin = open({ max: 1 });

  await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();

  const pool = open({ database: name, max });

  if (extension) await pool.query('CREATE EXTENSION racefree');
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

// Whether the server's racefree has holds: a later one has.
async function hasHolds(pool) {
  return value(
    pool,
    `SELECT bool_or(proname = 'transfer_many' AND 'kinds' = ANY (proargnames))
                         AND bool_or(proname = 'create_journal' AND 'held_column' = ANY (proargnames)) FROM pg_proc`,
  );
}

// Why there can be no server of the tests' own: undefined, if there can.
function noServer() {
  if (process.getuid?.() === 0) return 'root runs no server';

  const share = spawnSync('pg_config', ['--sharedir'], { encoding: 'utf8' }).stdout?.trim();

  if (spawnSync('initdb', ['--version']).status !== 0 || spawnSync('pg_ctl', ['--version']).status !== 0)
    return 'initdb and pg_ctl are not on PATH';
  if (!share || !fs.existsSync(path.join(share, 'extension', 'racefree.control')))
    return 'the server that is on PATH has no racefree';
  return undefined;
}

// A server of its own, in a temporary folder, to be killed.
class Cluster {
  static async start() {
    const cluster = new Cluster();

    await run('initdb', ['-D', cluster.data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '-N']);
    fs.appendFileSync(
      path.join(cluster.data, 'postgresql.conf'),
      `listen_addresses = ''\nunix_socket_directories = '${cluster.folder}'\nmax_connections = 100\n`,
    );
    await cluster.start();
    return cluster;
  }

  constructor() {
    // The name of a socket must be short.
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rf'));
    this.data = path.join(this.folder, 'data');
  }

  pool(config) {
    return open({ host: this.folder, port: 5432, user: 'postgres', database: 'postgres', ...config });
  }

  async start() {
    await run('pg_ctl', ['-D', this.data, '-l', path.join(this.folder, 'log'), '-s', '-w', 'start']);
  }

  async stop(mode) {
    await run('pg_ctl', ['-D', this.data, '-m', mode, '-s', '-w', 'stop']);
  }

  // kill -9, of all processes at one moment.  One that is stopped starts no others.
  async kill() {
    const postmaster = Number(fs.readFileSync(path.join(this.data, 'postmaster.pid'), 'utf8').split('\n')[0]);

    process.kill(postmaster, 'SIGSTOP');
    const pids = new Set(
      processes()
        .filter(({ pid, parent }) => pid === postmaster || parent === postmaster)
        .map(({ pid }) => pid),
    );

    for (const pid of pids) kill(pid);
    while (processes().some(({ pid, state }) => pids.has(pid) && state !== 'Z')) await sleep(10);
    // A zombie that nobody has buried yet would pass for a server.
    for (const file of [path.join(this.data, 'postmaster.pid'), path.join(this.folder, '.s.PGSQL.5432.lock')])
      fs.rmSync(file);
  }

  async close() {
    await this.stop('immediate').catch(() => {});
    fs.rmSync(this.folder, { recursive: true });
  }
}

// The output goes nowhere: a server that inherits a pipe would keep it open.
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'ignore' });

    child.on('error', reject);
    child.on('exit', (status) =>
      status === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')}: exit status ${status}`)),
    );
  });
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone.
  }
}

// All processes, as { pid, state, parent }.  Linux may lack ps, others /proc.
function processes() {
  if (!fs.existsSync('/proc/self/stat'))
    return execFileSync('ps', ['-A', '-o', 'pid=', '-o', 'stat=', '-o', 'ppid='], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .map(([pid, state, parent]) => ({ pid: Number(pid), state: state[0], parent: Number(parent) }));
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // The name of the program, in parentheses, may be anything.
        const [state, parent] = fs
          .readFileSync(`/proc/${name}/stat`, 'utf8')
          .replace(/.*\) /s, '')
          .split(' ');

        return [{ pid: Number(name), state, parent: Number(parent) }];
      } catch {
        return [];
      }
    });
}

// What stands between a client and a server, and loses connections.
class Proxy {
  #sockets = new Set();
  #losing;

  static async start(target) {
    const proxy = new Proxy();

    proxy.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rf'));
    proxy.server = net.createServer((client) => proxy.#join(client, net.connect(target)));
    await new Promise((resolve) => proxy.server.listen(path.join(proxy.folder, '.s.PGSQL.5432'), resolve));
    return proxy;
  }

  #join(client, server) {
    const cut = () => {
      client.destroy();
      server.destroy();
      this.#sockets.delete(client);
    };

    this.#sockets.add(client);
    client.on('data', (data) => server.write(data));
    server.on('data', (data) => {
      if (!this.#losing || !data.includes(this.#losing.tag)) return client.write(data);
      cut();
      this.#losing.resolve();
      this.#losing = undefined;
    });
    for (const socket of [client, server]) socket.on('error', cut).on('close', cut);
  }

  // The next answer to a command of this tag is lost, and the connection with it.
  lose(tag) {
    return new Promise((resolve) => {
      this.#losing = { tag, resolve };
    });
  }

  // The server goes on with what it does, and finds out later.
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  pool(config) {
    return open({ host: this.folder, port: 5432, ...config });
  }

  async close() {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
    fs.rmSync(this.folder, { recursive: true });
  }
}

// The elements of an array as the client sends it, where nothing is quoted.
const elements = (text) => text.slice(1, -1).split(',');

// The row with which a server answers a batch, of these statuses.
function batchRow(statuses) {
  const array = (of) => `{${statuses.map(of).join(',')}}`;

  return {
    ordinality: array((_, i) => i + 1),
    status: array((status) => status),
    amount: array(() => '1'),
    from_balance: array(() => '0'),
    to_balance: array(() => '1'),
    entry_id: array(() => '1'),
  };
}

// Whatever happens, no rejection may go unhandled.
const unhandled = [];

process.on('unhandledRejection', (reason) => unhandled.push(reason));

module.exports = {
  sleep,
  open,
  database,
  accounts,
  value,
  sum,
  unexplained,
  hasHolds,
  noServer,
  Cluster,
  Proxy,
  elements,
  batchRow,
  unhandled,
};
