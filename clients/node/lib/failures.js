'use strict';

// What an error of the driver says about what was sent.

const UNSENT = 'unsent'; // the server has not seen it
const LOST = 'lost'; // it may have been done, and it may not
const AGAIN = 'again'; // not done; the same may succeed now
const ALL = 'all'; // not done, and none of the batch would have been
const ONE = 'one'; // not done, maybe for the sake of one of the batch

const sqlstate = /^[0-9A-Z]{5}$/;

// Refused before there was a session, or there is no server.
const unsentCodes = new Set([
  '08001',
  '08004',
  '53300',
  '57P03',
  'ECONNREFUSED',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
// The session ended, whatever it was doing.
const lostCodes = new Set([
  '57P01',
  '57P02',
  '57P05',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ECONNABORTED',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);
const againCodes = new Set(['40001', '40P01']);
// What is wrong with the statement, the server or the session is so for all.
const allCodes = /^(0A|25|28|3D|3F|53|54|58|XX)|^(42601|42725|42704|42809|42883|42P01|55000|57014)$/;

// The driver's own errors have no codes.
const unsentMessage =
  /timeout exceeded when trying to connect|terminated due to connection timeout|not queryable|after calling end on the pool/i;
const lostMessage =
  /connection (was )?(terminated|closed|ended)|terminated unexpectedly|read timeout|socket/i;

function isServers(error) {
  return (
    error instanceof Error &&
    typeof error.code === 'string' &&
    sqlstate.test(error.code) &&
    error.severity !== undefined
  );
}

function failureOf(error) {
  const { code, message, syscall } = error ?? {};

  if (unsentCodes.has(code) || syscall === 'connect') return UNSENT;
  if (lostCodes.has(code) || (isServers(error) && code.startsWith('08'))) return LOST;
  if (againCodes.has(code)) return AGAIN;
  if (isServers(error)) return allCodes.test(code) ? ALL : ONE;
  if (unsentMessage.test(message)) return UNSENT;
  if (lostMessage.test(message)) return LOST;
  return undefined;
}

// No use in waiting for this one: the caller has closed it.
function isFinal(error) {
  return /after calling end on the pool/i.test(error?.message);
}

module.exports = { UNSENT, LOST, AGAIN, ALL, ONE, failureOf, isServers, isFinal };
