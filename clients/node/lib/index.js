'use strict';

// racefree - transfers, holds and upserts without races, from Node.js
//
// Calls that come together go to the server together, in one statement and
// one commit.  A promise settles when that commit is acknowledged, with the
// call's own result or error.

const errors = require('./errors');
const transfers = require('./transfers');
const upserts = require('./upserts');
const values = require('./values');
const { Gate } = require('./gate');
const { Queue } = require('./queue');
const { Server } = require('./server');
const { deliverer, connectionLost, refused, unknown } = require('./deliver');
const { LOST, UNSENT, failureOf, isServers } = require('./failures');
const { retry } = require('./retry');
const { quoteTable } = require('./names');

const { InvalidArgument, RacefreeError } = errors;

const NO_FLOOR = '-Infinity';

const defaults = {
  schema: 'public',
  requestIds: true,
  lanes: 1,
  // Above this, the server locks the requests of the journal as a whole.
  maxBatch: 500,
  maxQueued: 10000,
  retryFor: 60000,
};
const optionNames = new Set([
  ...Object.keys(defaults),
  'accounts',
  'journal',
  'idColumn',
  'balanceColumn',
  'minBalance',
  'maxBalance',
  'mustMatch',
  'upTo',
]);

class Racefree {
  #options;
  #server;
  #scopes = {};
  #queues = new Map();
  #gate;
  #stats = { calls: 0, refused: 0, batches: 0, batched: 0, largest: 0, halvings: 0, conflicts: 0, lost: 0 };

  constructor(pool, options = {}) {
    if (typeof pool?.query !== 'function')
      throw new InvalidArgument('the first argument must be a pool, with query()');
    this.#options = readOptions(options);
    this.#server = new Server(pool, this.#options.retryFor);
    this.#gate = new Gate(this.#options.maxQueued);
    // So that a slip shows at once, not at the first call.
    if (options.accounts !== undefined)
      for (const kind of Object.keys(transfers.kinds))
        this.#scopes[kind] = transfers.readScope(kind, {}, this.#options);
  }

  get NO_FLOOR() {
    return NO_FLOOR;
  }

  transfer(call, options) {
    return this.#book('transfer', call, options);
  }

  hold(call, options) {
    return this.#book('hold', call, options);
  }

  post(call, options) {
    return this.#book('post', call, options);
  }

  void(call, options) {
    return this.#book('void', call, options);
  }

  reverse(call, options) {
    return this.#book('reverse', call, options);
  }

  async getOrCreate(table, key, given = {}, { client } = {}) {
    const target = quoteTable(table, this.#options.schema);
    const item = upserts.readItem(key, given);

    if (client !== undefined || item.columns.length === 0)
      return this.#direct(client, async (extension) => {
        const { rows } = await this.#server.query(
          upserts.single(extension, target, 'get_or_create', [item.key, item.defaults]),
          client,
        );

        return upserts.answer(rows[0]);
      });
    return this.#enqueue(item, JSON.stringify(['get', target, item.columns]), (items, extension) =>
      this.#getOrCreate(target, items, extension),
    );
  }

  async updateOrCreate(table, key, given = {}, { createDefaults, client } = {}) {
    const target = quoteTable(table, this.#options.schema);
    const args = [
      values.json(upserts.readKey(key), 'the key'),
      values.json(values.object(given, 'the defaults'), 'the defaults'),
    ];

    if (createDefaults !== undefined)
      args.push(values.json(values.object(createDefaults, 'createDefaults'), 'createDefaults'));
    return this.#direct(client, async (extension) => {
      const { rows } = await this.#server.query(
        upserts.single(extension, target, 'update_or_create', args),
        client,
      );

      return upserts.answer(rows[0]);
    });
  }

  getOrCreateMany(table, rows, key, options) {
    return this.#many('get_or_create_many', table, rows, key, options);
  }

  updateOrCreateMany(table, rows, key, options) {
    return this.#many('update_or_create_many', table, rows, key, options);
  }

  async retry(work, options) {
    const number = this.#begin();

    try {
      return await retry(this.#server, work, options);
    } finally {
      this.#gate.leave(number);
    }
  }

  // Resolves when there is room for a call.
  ready() {
    return this.#gate.ready();
  }

  // Resolves when the calls made so far are settled.
  flush() {
    return this.#gate.flush();
  }

  // Takes no more calls, and resolves when those that were made are settled.
  // The pool stays open.
  close() {
    return this.#gate.close();
  }

  stats() {
    const { batched, batches, ...rest } = this.#stats;

    return { ...rest, open: this.#gate.open, batches, meanBatch: batches === 0 ? 0 : batched / batches };
  }

  // -------------------------------------------------------------------------

  // Where so much is called, one promise for each call is enough.
  #book(kind, call, { client } = {}) {
    try {
      transfers.checkGiven(kind, call);

      const scope = this.#scopeOf(kind, call);
      const item = transfers.readItem(kind, call, scope, this.#options.requestIds);

      if (client !== undefined) return this.#bookAlone(item, scope, client);
      return this.#enqueue(item, scope.key, async (items, extension) => {
        const { rows } = await this.#server.repeat(transfers.statement(scope, items, extension));

        return transfers.answers(rows, items);
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #bookAlone(item, scope, client) {
    return this.#direct(
      client,
      async (extension) => {
        const unsupported = transfers.unsupported(item, extension);

        if (unsupported) throw unsupported;

        const { rows } = await this.#server.query(transfers.statement(scope, [item], extension), client);
        const [answer] = transfers.answers(rows, [item]);

        if (answer instanceof Error) throw answer;
        return answer;
      },
      item,
    );
  }

  // Most calls name no more than their accounts and amounts.
  #scopeOf(kind, call) {
    const own = transfers.kinds[kind].scoped.some((name) => call[name] !== undefined);

    return (!own && this.#scopes[kind]) || transfers.readScope(kind, call, this.#options);
  }

  async #getOrCreate(target, items, extension) {
    const alone = items.length === 1;
    const { rows } = await this.#server.query(
      alone
        ? upserts.single(extension, target, 'get_or_create', [items[0].key, items[0].defaults])
        : upserts.many(
            extension,
            target,
            'get_or_create_many',
            `[${items.map(({ row }) => row).join(',')}]`,
            items[0].columns,
          ),
    );

    return alone ? rows.map(upserts.answer) : upserts.answers(rows, items.length);
  }

  async #many(name, table, rows, key, { client } = {}) {
    const target = quoteTable(table, this.#options.schema);
    const columns = upserts.readColumns(key);

    if (!Array.isArray(rows)) throw new InvalidArgument('the rows must be an array of objects');
    for (const row of rows)
      upserts.readKey(
        Object.fromEntries(columns.map((column) => [column, values.object(row, 'a row')[column]])),
      );

    const list = values.json(rows, 'the rows');

    return this.#direct(client, async (extension) =>
      upserts.answers(
        (await this.#server.query(upserts.many(extension, target, name, list, columns), client)).rows,
        rows.length,
      ),
    );
  }

  // What is not batched: sent at once, and once.  In a transaction of the
  // caller's it is part of that, and so not counted.
  async #direct(client, ask, item = { uncertain: false }) {
    const number = client === undefined ? this.#begin() : undefined;
    let sent = false;

    try {
      const extension = await this.#server.extension(client);

      sent = true;
      return await ask(extension);
    } catch (error) {
      const failure = failureOf(error);

      if (error instanceof RacefreeError) throw error;
      if (failure === LOST || failure === UNSENT) {
        item.uncertain = failure === LOST && sent;
        throw connectionLost(item, error);
      }
      throw isServers(error) ? refused(item, error) : unknown(item, error, sent);
    } finally {
      if (number !== undefined) this.#gate.leave(number);
    }
  }

  #enqueue(item, key, ask) {
    const number = this.#begin();

    return new Promise((resolve, reject) => {
      item.settle = (answer) => {
        this.#gate.leave(number);
        if (answer instanceof Error) {
          this.#stats.refused++;
          reject(answer);
        } else {
          resolve(answer);
        }
      };
      this.#queue(key, ask).push(item);
    });
  }

  // A queue is there as long as it has something to do.
  #queue(key, ask) {
    let queue = this.#queues.get(key);

    if (queue === undefined) {
      const counted = (items, extension) => {
        this.#stats.batched += items.length;
        this.#stats.largest = Math.max(this.#stats.largest, items.length);
        return ask(items, extension);
      };

      queue = new Queue({
        send: deliverer({
          server: this.#server,
          ask: counted,
          unsupported: transfers.unsupported,
          repeatable: (item) => item.requestId !== undefined,
          stats: this.#stats,
        }),
        lanes: this.#options.lanes,
        room: this.#options.maxBatch,
        idle: () => this.#queues.delete(key),
      });
      this.#queues.set(key, queue);
    }
    return queue;
  }

  #begin() {
    const number = this.#gate.enter();

    this.#stats.calls++;
    return number;
  }
}

function readOptions(options) {
  values.object(options, 'what racefree is given');
  for (const name in options) {
    if (!optionNames.has(name)) throw new InvalidArgument(`racefree knows no "${name}"`);
    if (options[name] === null)
      throw new InvalidArgument(`${name} is null: leave it out if you do not mean it`);
  }

  const result = { ...defaults };

  for (const name in options) if (options[name] !== undefined) result[name] = options[name];
  for (const name of ['lanes', 'maxBatch', 'maxQueued'])
    if (!Number.isInteger(result[name]) || result[name] < 1)
      throw new InvalidArgument(`${name} must be a whole number of at least 1`);
  if (!(result.retryFor >= 0)) throw new InvalidArgument('retryFor must be a number of milliseconds');
  if (typeof result.requestIds !== 'boolean' && typeof result.requestIds !== 'function')
    throw new InvalidArgument('requestIds must be true, false or a function that makes one');
  return result;
}

function racefree(pool, options) {
  return new Racefree(pool, options);
}

const { fromStatus, fromServer, ...classes } = errors;

module.exports = Object.assign(racefree, { racefree, default: racefree, Racefree, NO_FLOOR, ...classes });
