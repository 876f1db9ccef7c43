'use strict';

// Values on their way to the server.  Everything travels as text, so that no
// digit is lost; what JavaScript cannot hold exactly is refused here.

const { InvalidArgument } = require('./errors');

const decimal = /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i;
const special = /^\s*([-+]?inf(inity)?|nan)\s*$/i;

// A string that the server takes as it is.
function text(value, what) {
  if (value.includes('\0') || /\p{Surrogate}/u.test(value))
    throw new InvalidArgument(`${what} has characters that PostgreSQL cannot store`);
  return value;
}

function whole(value, what) {
  if (!Number.isSafeInteger(value))
    throw new InvalidArgument(
      `${what} is a floating-point number, which may not be exact: pass a string or a bigint`,
    );
  return String(value);
}

// An object that is written as a number or an id: of a decimal library, say.
function written(value, what) {
  if (
    value === null ||
    typeof value !== 'object' ||
    Array.isArray(value) ||
    value instanceof Date ||
    ArrayBuffer.isView(value) ||
    value.toString === Object.prototype.toString
  )
    throw new InvalidArgument(`${what} must be a string, a whole number or a bigint`);
  return String(value);
}

function scalar(value, what) {
  switch (typeof value) {
    case 'string':
      return text(value, what);
    case 'number':
      return whole(value, what);
    case 'bigint':
      return String(value);
    default:
      return text(written(value, what), what);
  }
}

function number(value, what) {
  const digits = scalar(value, what);

  if (!decimal.test(digits) && !special.test(digits))
    throw new InvalidArgument(`${what} is not a number: "${digits}"`);
  return digits;
}

function entryId(value) {
  const digits = scalar(value, 'entryId');

  if (!/^\d{1,19}$/.test(digits)) throw new InvalidArgument(`entryId is not the id of an entry: "${digits}"`);
  return digits;
}

function requestId(value) {
  const id = scalar(value, 'requestId');

  if (id === '') throw new InvalidArgument('requestId is empty');
  return id;
}

function flag(value, what) {
  if (typeof value !== 'boolean') throw new InvalidArgument(`${what} must be true or false`);
  return value;
}

function moment(value, what) {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  if (typeof value === 'string') return text(value, what);
  throw new InvalidArgument(`${what} must be a Date or a string`);
}

// JSON that keeps bigints and bytes, and drops nothing without a word.
function json(value, what) {
  const result = JSON.stringify(value, function (key, given) {
    const own = this[key];

    if (own instanceof Uint8Array) return `\\x${Buffer.from(own).toString('hex')}`;
    switch (typeof given) {
      case 'bigint':
        return String(given);
      case 'number':
        if (!Number.isFinite(given))
          throw new InvalidArgument(`${what} has a number that JSON cannot hold: ${given}`);
        return given;
      case 'string':
        return text(given, what);
      case 'undefined':
        throw new InvalidArgument(`${what} has undefined in "${key}": leave it out, or say null for NULL`);
      case 'function':
      case 'symbol':
        throw new InvalidArgument(`${what} has a ${typeof given} in "${key}"`);
      default:
        return given;
    }
  });

  return result;
}

function isPlain(value) {
  return (
    value !== null &&
    typeof value === 'object' &&
    !Array.isArray(value) &&
    !(value instanceof Date) &&
    !ArrayBuffer.isView(value)
  );
}

function object(value, what) {
  if (!isPlain(value)) throw new InvalidArgument(`${what} must be an object`);
  return value;
}

module.exports = { scalar, number, entryId, requestId, flag, moment, json, object };
