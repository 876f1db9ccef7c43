'use strict';

// Arrays as the server writes them.  Many values in one text cost a fraction of
// what a value each costs, on both sides.

const bare = /^[\w.+-]+$/;
const isNull = /^null$/i;

// A field of the items, as an array; undefined is NULL.
function write(items, field) {
  let text = '';

  for (let i = 0; i < items.length; i++) {
    const element = items[i][field];

    if (i > 0) text += ',';
    if (element === undefined) text += 'NULL';
    else text += bare.test(element) && !isNull.test(element) ? element : quote(element);
  }
  return `{${text}}`;
}

function quote(element) {
  return `"${element.replace(/["\\]/g, '\\$&')}"`;
}

// The elements of an array of numbers, or of words, which the server does not
// quote; null where one is NULL.
function read(text) {
  if (text === null || text === '{}') return [];

  const elements = text.slice(1, -1).split(',');

  for (let i = 0; i < elements.length; i++) if (elements[i] === 'NULL') elements[i] = null;
  return elements;
}

module.exports = { write, read };
