'use strict';

// get_or_create and update_or_create, for one row and for many.

const { quoteName, quoteTable } = require('./names');
const values = require('./values');
const { InvalidArgument } = require('./errors');

// Columns that no table has, so that those of the row can stand beside them.
const CREATED = 'racefree.created';
const ORDINALITY = 'racefree.ordinality';

// A Date has milliseconds, a timestamp more digits: the row would not be found.
function readKey(key) {
  for (const [column, value] of Object.entries(values.object(key, 'the key')))
    if (value instanceof Date)
      throw new InvalidArgument(
        `"${column}" of the key is a Date, which cuts the digits of a timestamp: pass it as a string`,
      );
  return key;
}

function readColumns(columns) {
  if (!Array.isArray(columns) || columns.length === 0)
    throw new InvalidArgument('the key must be an array of names of columns');
  columns.forEach((column) => quoteName(column, 'a column of the key'));
  return columns;
}

function single(extension, target, name, args) {
  const call = args.map((value, i) => `$${i + 1}::pg_catalog.jsonb`);

  return {
    text: `SELECT r.created AS "${CREATED}", (r.object).* FROM ${extension.schema}.${name}(NULL::${target}, ${call.join(', ')}) AS r`,
    values: args,
  };
}

function many(extension, target, name, rows, key) {
  return {
    text:
      `SELECT r.ordinality::pg_catalog.int4 AS "${ORDINALITY}", r.created AS "${CREATED}", (r.object).* ` +
      `FROM ${extension.schema}.${name}(NULL::${target}, $1::pg_catalog.jsonb, $2::pg_catalog.name[]) AS r`,
    values: [rows, key],
  };
}

function answer({ [CREATED]: created, [ORDINALITY]: ordinality, ...object }) {
  return { object, created };
}

function answers(rows, count) {
  const result = new Array(count);

  for (const row of rows) result[row[ORDINALITY] - 1] = answer(row);
  if (rows.length !== count || result.includes(undefined))
    throw new Error(`the server answered ${rows.length} of ${count} rows`);
  return result;
}

// An item of a batch: "key" and "row" are JSON.
function readItem(key, defaults) {
  const columns = Object.keys(readKey(key));

  values.object(defaults, 'the defaults');
  for (const column of columns)
    if (Object.hasOwn(defaults, column))
      throw new InvalidArgument(`"${column}" is in the key and in the defaults`);
  return {
    weight: 1,
    uncertain: false,
    columns: columns.sort(),
    key: values.json(key, 'the key'),
    defaults: values.json(defaults, 'the defaults'),
    row: values.json({ ...key, ...defaults }, 'the row'),
  };
}

module.exports = { quoteTable, readKey, readColumns, readItem, single, many, answer, answers };
