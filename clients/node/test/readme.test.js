'use strict';

// The examples of the README run, and print what their comments say.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { format } = require('node:util');
const { database, unhandled } = require('./help');

const name = 'racefree_node_readme';
const text = fs.readFileSync(path.join(__dirname, '..', 'README.md'), 'utf8');
const blocks = (language) =>
  [...text.matchAll(new RegExp('^```' + language + '\\n(.*?)^```$', 'gms'))]
    .map(([, block]) => block)
    .join('\n');
const AsyncFunction = (async () => {}).constructor;

test('the examples', async () => {
  const admin = await database(name, { extension: false });

  await admin.query(blocks('sql'));
  await admin.end();
  process.env.PGDATABASE = name;

  const code = blocks('js');
  const printed = [];
  const expected = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, line]) => line);

  await new AsyncFunction('require', 'console', code)(require, {
    log: (...args) => printed.push(format(...args)),
    error: assert.fail,
  });
  assert.ok(expected.length >= 5);
  assert.deepEqual(printed, expected);
});

test('it names every error', () => {
  const racefree = require('..');

  for (const [name, error] of Object.entries(racefree))
    if (error?.prototype instanceof racefree.RacefreeError) assert.ok(text.includes(`\`${name}\``), name);
});

test('no rejection went unhandled', () => assert.deepEqual(unhandled, []));
