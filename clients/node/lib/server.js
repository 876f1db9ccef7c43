'use strict';

// The server, as far as it can be reached, and the extension in it.

const { createHash } = require('node:crypto');
const { quoteName } = require('./names');
const { NotSupported } = require('./errors');

const lookUp = `
SELECT n.nspname AS schema,
       pg_catalog.bool_or('kinds' OPERATOR(pg_catalog.=) ANY (p.proargnames)) AS kinds,
       pg_catalog.bool_or('from_available' OPERATOR(pg_catalog.=) ANY (p.proargnames)) AS available,
       pg_catalog.bool_or('detail' OPERATOR(pg_catalog.=) ANY (p.proargnames)) AS detail
  FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
  JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
   AND d.refobjid OPERATOR(pg_catalog.=) e.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'
   AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
  JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) d.objid
   AND p.proname OPERATOR(pg_catalog.=) 'transfer_many'
 WHERE e.extname OPERATOR(pg_catalog.=) 'racefree'
 GROUP BY n.nspname`;

// Those that are remembered; there are as many as scopes and kinds of items.
const NAMES = 1000;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const jitter = (milliseconds) => milliseconds * (0.5 + Math.random());

class Server {
  #pool;
  #retryFor;
  #extension;
  #lostSince;
  // The names of prepared statements by their texts, if there can be any.
  #names = new Map();

  constructor(pool, retryFor) {
    this.#pool = pool;
    this.#retryFor = retryFor;
  }

  get pool() {
    return this.#pool;
  }

  query(query, client = this.#pool) {
    return client.query(query);
  }

  // A statement that comes again and again, which a session parses once.  Who
  // knows no names sends the text each time.
  repeat(query) {
    return this.query(this.#names ? { name: this.#nameOf(query.text), ...query } : query);
  }

  // The same text always has the same name, and no other one has it: sessions
  // may be shared.
  #nameOf(text) {
    let name = this.#names.get(text);

    if (name === undefined) {
      name = `racefree_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
      if (this.#names.size >= NAMES) this.#names.clear();
      this.#names.set(text, name);
    }
    return name;
  }

  // After an error that says that a statement has another session than it was
  // prepared in.  Returns whether names were used until then.
  unname() {
    const named = this.#names !== undefined;

    this.#names = undefined;
    return named;
  }

  // Where the extension is and what it can do, looked up once.
  async extension(client) {
    if (this.#extension === undefined) {
      const { rows } = await this.query({ text: lookUp, values: [] }, client);

      if (rows.length === 0)
        throw new NotSupported('the database has no racefree', { hint: 'CREATE EXTENSION racefree;' });
      this.#extension = { ...rows[0], schema: quoteName(rows[0].schema) };
    }
    return this.#extension;
  }

  // After an error that may mean that it is elsewhere now, or another version.
  forget() {
    this.#extension = undefined;
  }

  reached() {
    this.#lostSince = undefined;
  }

  // Called when the connection was lost.  Resolves with true after a pause, if
  // it is worth trying again.
  async waitForReturn(attempt) {
    this.#lostSince ??= Date.now();
    if (Date.now() - this.#lostSince > this.#retryFor) return false;
    await sleep(jitter(Math.min(1000, 20 * 2 ** Math.min(attempt, 10))));
    return true;
  }

  // Between tries of what another session was in the way of.
  async waitForOthers(attempt) {
    await sleep(jitter(Math.min(200, 5 * 2 ** Math.min(attempt, 10))));
  }
}

module.exports = { Server };
