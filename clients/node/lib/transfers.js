'use strict';

// Transfers, holds, posts, voids and reversals: from what a caller gives to
// one call of transfer_many, and back.

const { randomUUID } = require('node:crypto');
const { quoteName, quoteTable } = require('./names');
const values = require('./values');
const { InvalidArgument, NotSupported, fromStatus } = require('./errors');

// What each kind is called in SQL, what it must be given, and what it may be.
const always = ['accounts', 'journal', 'idColumn', 'balanceColumn', 'requestId', 'details', 'columns'];
const kinds = {
  transfer: {
    sql: 'transfer',
    needs: ['from', 'to', 'amount'],
    may: ['minBalance', 'maxBalance', 'mustMatch', 'upTo'],
  },
  hold: {
    sql: 'hold',
    needs: ['from', 'to', 'amount'],
    may: ['expiresAt', 'minBalance', 'mustMatch', 'upTo'],
  },
  post: { sql: 'post', needs: ['entryId'], may: ['amount', 'final', 'beyond', 'minBalance', 'maxBalance'] },
  void: { sql: 'void', needs: ['entryId'], may: [] },
  reverse: { sql: 'reversal', needs: ['entryId'], may: ['amount', 'minBalance', 'maxBalance', 'upTo'] },
};
const limits = ['minBalance', 'maxBalance', 'mustMatch', 'upTo'];

for (const kind of Object.values(kinds)) {
  kind.known = new Set([...always, ...kind.needs, ...kind.may]);
  kind.limits = limits.filter((name) => kind.may.includes(name));
  kind.scoped = ['accounts', 'journal', 'idColumn', 'balanceColumn', ...kind.limits];
}

// What a batch has in common, as parameters of transfer_many.
const scopeColumns = {
  journal: {
    argument: 'journal',
    type: 'regclass',
    read: (value, options) => quoteTable(value, options.schema, 'journal'),
  },
  idColumn: { argument: 'id_column', type: 'name', read: (value) => name(value, 'idColumn') },
  balanceColumn: { argument: 'balance_column', type: 'name', read: (value) => name(value, 'balanceColumn') },
  minBalance: {
    argument: 'min_balance',
    type: 'numeric',
    read: (value) => values.number(value, 'minBalance'),
  },
  maxBalance: {
    argument: 'max_balance',
    type: 'numeric',
    read: (value) => values.number(value, 'maxBalance'),
  },
  mustMatch: { argument: 'must_match', type: 'name[]', read: names },
  upTo: { argument: 'up_to', type: 'bool', read: (value) => values.flag(value, 'upTo') },
};

// What each transfer of it has of its own, as arrays; an array that nobody
// needs is not sent.
const itemColumns = [
  { argument: 'request_ids', type: 'text[]', field: 'requestId' },
  { argument: 'entry_ids', type: 'int8[]', field: 'entryId' },
  { argument: 'expires_at', type: 'timestamptz[]', field: 'expiresAt' },
  { argument: 'final', type: 'bool[]', field: 'final' },
  { argument: 'beyond', type: 'bool[]', field: 'beyond' },
];

function name(value, what) {
  quoteName(value, what);
  return value;
}

function names(value) {
  if (!Array.isArray(value)) throw new InvalidArgument('mustMatch must be an array of names of columns');
  return value.map((column) => name(column, 'a column of mustMatch'));
}

// Nothing may be switched off by a slip: a floor that is null, a misspelt name.
function checkGiven(kind, call) {
  values.object(call, `what ${kind} is given`);
  for (const given in call) {
    if (!kinds[kind].known.has(given)) throw new InvalidArgument(`${kind} knows no "${given}"`);
    if (call[given] === null)
      throw new InvalidArgument(`${given} is null: leave it out if you do not mean it`);
  }
  for (const needed of kinds[kind].needs)
    if (call[needed] === undefined) throw new InvalidArgument(`${kind} needs "${needed}"`);
}

// The scope of a call: it and others of the same scope can be one batch.
function readScope(kind, call, options) {
  const scope = { parameters: [] };
  const given = (what) => call[what] ?? options[what];

  if (given('accounts') === undefined)
    throw new InvalidArgument('the table of the accounts is not named: give "accounts"');
  scope.accounts = quoteTable(given('accounts'), options.schema, 'accounts');
  for (const what of kinds[kind].scoped) {
    const column = scopeColumns[what];

    if (column && given(what) !== undefined)
      scope.parameters.push({ ...column, value: column.read(given(what), options) });
  }
  scope.hasJournal = given('journal') !== undefined;
  scope.key = JSON.stringify([
    scope.accounts,
    scope.parameters.map(({ argument, value }) => [argument, value]),
  ]);
  return scope;
}

function readItem(kind, call, scope, requestIds) {
  const item = { kind, weight: 1, uncertain: false };
  const given = (what, read) => (call[what] === undefined ? undefined : read(call[what], what));

  item.from = given('from', values.scalar);
  item.to = given('to', values.scalar);
  item.amount = given('amount', values.number);
  item.entryId = given('entryId', values.entryId);
  item.expiresAt = given('expiresAt', values.moment);
  item.final = given('final', values.flag);
  item.beyond = given('beyond', values.flag);
  item.details = given('details', values.json);
  item.columns = given('columns', (value, what) => values.json(values.object(value, what), what));
  item.requestId = given('requestId', values.requestId);
  if (!scope.hasJournal) {
    if (kind !== 'transfer') throw new InvalidArgument(`${kind} needs a journal`);
    for (const what of ['requestId', 'details', 'columns'])
      if (item[what] !== undefined) throw new InvalidArgument(`${what} needs a journal`);
  } else if (item.requestId === undefined && requestIds) {
    item.requestId = requestIds === true ? randomUUID() : values.requestId(requestIds());
  }
  // Of a reversal, the entry is locked besides the request.
  if (kind === 'reverse') item.weight = 2;
  return item;
}

const isOfHolds = ({ kind }) => kind === 'hold' || kind === 'post' || kind === 'void';

// The error for what the extension on the server is too old for.
function unsupported(item, extension) {
  if (isOfHolds(item) && !extension.kinds)
    return new NotSupported("the server's racefree has no holds", {
      hint: 'ALTER EXTENSION racefree UPDATE;',
      requestId: item.requestId,
    });
  return undefined;
}

function statement(scope, items, extension) {
  const parameters = [];
  const parameter = (type, value) => `$${parameters.push(value)}::pg_catalog.${type}`;
  const has = (field) => items.some((item) => item[field] !== undefined);
  const column = (field) => items.map((item) => item[field] ?? null);
  const list = (field) => `[${items.map((item) => item[field] ?? 'null').join(',')}]`;
  const call = [
    `accounts => NULL::${scope.accounts}`,
    `from_ids => ${parameter('text[]', column('from'))}`,
    `to_ids => ${parameter('text[]', column('to'))}`,
    `amounts => ${parameter('numeric[]', column('amount'))}`,
    "on_error => 'report'",
  ];

  for (const { argument, type, field } of itemColumns)
    if (has(field)) call.push(`${argument} => ${parameter(type, column(field))}`);
  for (const field of ['details', 'columns'])
    if (has(field)) call.push(`${field} => ${parameter('jsonb', list(field))}`);
  for (const { argument, type, value } of scope.parameters)
    call.push(`${argument} => ${parameter(type, value)}`);
  if (items.some(isOfHolds))
    call.push(
      `kinds => ${parameter(
        'text[]',
        items.map(({ kind }) => kinds[kind].sql),
      )}`,
    );

  return {
    text:
      `SELECT t.ordinality::pg_catalog.int4 AS ordinality, t.status, t.amount::pg_catalog.text AS amount, ` +
      `t.from_balance::pg_catalog.text AS from_balance, t.to_balance::pg_catalog.text AS to_balance, ` +
      `t.entry_id::pg_catalog.text AS entry_id` +
      (extension.available ? ', t.from_available::pg_catalog.text AS from_available' : '') +
      (extension.detail ? ', t.detail::pg_catalog.text AS detail' : '') +
      ` FROM ${extension.schema}.transfer_many(${call.join(', ')}) AS t`,
    values: parameters,
  };
}

function answer(row, item) {
  if (row.status !== 'ok' && row.status !== 'replayed')
    return fromStatus(row.status, row.detail, item.requestId);

  const result = {
    amount: row.amount,
    fromBalance: row.from_balance,
    toBalance: row.to_balance,
    entryId: row.entry_id,
    requestId: item.requestId ?? null,
    replayed: row.status === 'replayed',
  };

  if (row.from_available !== undefined) result.fromAvailable = row.from_available;
  return result;
}

function answers(rows, items) {
  const result = new Array(items.length);

  for (const row of rows) result[row.ordinality - 1] = answer(row, items[row.ordinality - 1]);
  if (rows.length !== items.length || result.includes(undefined))
    throw new Error(`the server answered ${rows.length} of ${items.length} transfers`);
  return result;
}

module.exports = { kinds, checkGiven, readScope, readItem, unsupported, statement, answers };
