'use strict';

// Names of tables and columns, quoted.  They are taken as they are: "User" is
// not user, and nothing is looked up in the search path.

const { InvalidArgument } = require('./errors');

// PostgreSQL cuts longer names off, and the rest may be another table's name.
const LONGEST = 63;

function quoteName(name, what = 'a name') {
  if (typeof name !== 'string' || name === '')
    throw new InvalidArgument(`${what} must be a string that is not empty`);
  if (name.includes('\0') || /\p{Surrogate}/u.test(name) || Buffer.byteLength(name) > LONGEST)
    throw new InvalidArgument(`${what} cannot be the name of anything: "${name}"`);
  return `"${name.replaceAll('"', '""')}"`;
}

// 'table', in the given schema; 'schema.table'; or ['schema', 'table'], where a
// dot is a character like any other.
function quoteTable(table, schema, what = 'a table') {
  if (typeof table === 'string') {
    const parts = table.split('.');
    if (parts.length > 2) throw new InvalidArgument(`${what} has several dots: write ['schema', 'table']`);
    return quoteTable(parts.length === 2 ? parts : [schema, table], schema, what);
  }
  if (!Array.isArray(table) || table.length !== 2)
    throw new InvalidArgument(`${what} must be 'table', 'schema.table' or ['schema', 'table']`);
  return `${quoteName(table[0], `the schema of ${what}`)}.${quoteName(table[1], what)}`;
}

module.exports = { quoteName, quoteTable };
