'use strict';

// The types, where there is a TypeScript compiler.

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');

function compiler() {
  try {
    return [process.execPath, require.resolve('typescript/bin/tsc')];
  } catch {
    return spawnSync('tsc', ['--version']).status === 0 ? ['tsc'] : undefined;
  }
}

test('the types allow what they should, and refuse the rest', (t) => {
  const tsc = compiler();

  if (!tsc) return t.skip('there is no TypeScript compiler');
  const { status, stdout } = spawnSync(tsc[0], [...tsc.slice(1), '-p', path.join(__dirname, 'types')], {
    encoding: 'utf8',
  });

  assert.equal(status, 0, stdout);
});
