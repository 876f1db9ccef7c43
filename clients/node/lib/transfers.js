'use strict';

// Transfers, holds, posts, voids and reversals: from what a caller gives to
// one call of transfer_many, and back.

const arrays = require('./arrays');
const { makeRequestId } = require('./ids');
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
  const { from, to, amount, entryId, expiresAt, final, beyond, details, columns, requestId } = call;
  const item = {
    kind,
    sql: kinds[kind].sql,
    weight: 1,
    uncertain: false,
    from: from === undefined ? from : values.scalar(from, 'from'),
    to: to === undefined ? to : values.scalar(to, 'to'),
    amount: amount === undefined ? amount : values.number(amount, 'amount'),
    entryId: entryId === undefined ? entryId : values.entryId(entryId),
    expiresAt: expiresAt === undefined ? expiresAt : values.moment(expiresAt, 'expiresAt'),
    final: final === undefined ? final : values.flag(final, 'final'),
    beyond: beyond === undefined ? beyond : values.flag(beyond, 'beyond'),
    details: details === undefined ? details : values.json(details, 'details'),
    columns: columns === undefined ? columns : values.json(values.object(columns, 'columns'), 'columns'),
    requestId: requestId === undefined ? requestId : values.requestId(requestId),
    settle: undefined,
  };

  if (!scope.hasJournal) {
    if (kind !== 'transfer') throw new InvalidArgument(`${kind} needs a journal`);
    for (const what of ['requestId', 'details', 'columns'])
      if (item[what] !== undefined) throw new InvalidArgument(`${what} needs a journal`);
  } else if (item.requestId === undefined && requestIds) {
    item.requestId = requestIds === true ? makeRequestId() : values.requestId(requestIds());
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

// The text depends on the scope, and on what any of the transfers has.  The
// result is one row, in which each column is an array with all transfers.
function statement(scope, items, extension) {
  const parameters = [];
  const parameter = (type, value) => `$${parameters.push(value)}::pg_catalog.${type}`;
  const has = (field) => items.some((item) => item[field] !== undefined);
  const column = (type, field) => parameter(type, arrays.write(items, field));
  const list = (field) => `[${items.map((item) => item[field] ?? 'null').join(',')}]`;
  const call = [
    `accounts => NULL::${scope.accounts}`,
    `from_ids => ${column('text[]', 'from')}`,
    `to_ids => ${column('text[]', 'to')}`,
    `amounts => ${column('numeric[]', 'amount')}`,
    "on_error => 'report'",
  ];

  for (const { argument, type, field } of itemColumns)
    if (has(field)) call.push(`${argument} => ${column(type, field)}`);
  for (const field of ['details', 'columns'])
    if (has(field)) call.push(`${field} => ${parameter('jsonb', list(field))}`);
  for (const { argument, type, value } of scope.parameters)
    call.push(`${argument} => ${parameter(type, value)}`);
  if (items.some(isOfHolds)) call.push(`kinds => ${column('text[]', 'sql')}`);

  const result = ['ordinality', 'status', 'amount', 'from_balance', 'to_balance', 'entry_id']
    .concat(extension.available ? ['from_available'] : [])
    .map((name) => `pg_catalog.array_agg(t.${name})::pg_catalog.text AS ${name}`);

  if (extension.detail)
    result.push(
      'pg_catalog.json_object_agg(t.ordinality, t.detail) FILTER (WHERE t.detail IS NOT NULL)::pg_catalog.text AS detail',
    );
  return {
    text: `SELECT ${result.join(', ')} FROM ${extension.schema}.transfer_many(${call.join(', ')}) AS t`,
    values: parameters,
  };
}

// The answer to an item, which is at that place of the columns.
function answer(columns, i, item, detail) {
  const status = columns.status[i];

  if (status !== 'ok' && status !== 'replayed') return fromStatus(status, detail, item.requestId);

  const result = {
    amount: columns.amount[i],
    fromBalance: columns.from_balance[i],
    toBalance: columns.to_balance[i],
    entryId: columns.entry_id[i],
    requestId: item.requestId ?? null,
    replayed: status === 'replayed',
  };

  if (columns.from_available !== undefined) result.fromAvailable = columns.from_available[i];
  return result;
}

function answers(rows, items) {
  const { detail, ...row } = rows[0] ?? { ordinality: null };
  const details = detail ? JSON.parse(detail) : {};
  const columns = {};
  const result = new Array(items.length);

  for (const name in row) columns[name] = arrays.read(row[name]);

  const { ordinality } = columns;

  for (let i = 0; i < ordinality.length; i++) {
    const number = ordinality[i];

    result[number - 1] = answer(columns, i, items[number - 1], details[number]);
  }
  if (ordinality.length !== items.length || result.includes(undefined))
    throw new Error(`the server answered ${ordinality.length} of ${items.length} transfers`);
  return result;
}

module.exports = { kinds, checkGiven, readScope, readItem, unsupported, statement, answers };
