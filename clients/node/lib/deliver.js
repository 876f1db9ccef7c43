'use strict';

// A batch on its way to the server.  Each item of it is settled once: with its
// own answer, or with the reason why there is none.

const { UNSENT, LOST, AGAIN, ALL, failureOf, isServers, isFinal } = require('./failures');
const { ConnectionLost, RacefreeError, fromServer } = require('./errors');

const ATTEMPTS = 10;
const unprepared = new Set(['26000', '42P05']);
const moved = new Set(['42883', '3F000', '42P01', '42725']);

// "ask" sends items and returns an answer for each, which may be an error.
// "unsupported" is what the extension on the server cannot do.  "repeatable" is
// of items that may be sent again when it is not known whether they were done.
function deliverer({ server, ask, unsupported, repeatable, stats }) {
  return async function deliver(items) {
    let lost = 0;
    let conflicts = 0;

    for (;;) {
      let sent = false;
      let error;

      try {
        const extension = await server.extension();

        items = withoutUnsupported(items, unsupported, extension);
        if (items.length === 0) return;
        sent = true;
        stats.batches++;
        const answers = await ask(items, extension);

        server.reached();
        items.forEach((item, i) => item.settle(answers[i]));
        return;
      } catch (caught) {
        error = caught;
      }

      // The extension is not there.
      if (error instanceof RacefreeError)
        return rejectAll(items, () => new error.constructor(error.message, error));
      if (isServers(error) && moved.has(error.code)) server.forget();

      // Nothing was done: a pooler gives each transaction a session of its choice.
      if (isServers(error) && unprepared.has(error.code) && server.unname()) continue;

      const failure = failureOf(error);

      if (failure === LOST || failure === UNSENT) {
        stats.lost++;
        if (failure === LOST && sent) items = withoutUnrepeatable(items, repeatable, error);
        if (items.length === 0) return;
        if (isFinal(error) || !(await server.waitForReturn(lost++)))
          return rejectAll(items, (item) => connectionLost(item, error));
      } else {
        server.reached();
        if (failure === AGAIN && ++conflicts < ATTEMPTS) {
          stats.conflicts++;
          await server.waitForOthers(conflicts);
        } else if (failure === undefined) {
          return rejectAll(items, (item) => unknown(item, error, sent));
        } else if (failure === ALL || failure === AGAIN || items.length === 1 || !sent) {
          return rejectAll(items, (item) => refused(item, error));
        } else {
          // One of them may be what the server refuses: it must not fail the others.
          const half = Math.ceil(items.length / 2);

          stats.halvings++;
          await deliver(items.slice(0, half));
          return deliver(items.slice(half));
        }
      }
    }
  };
}

function withoutUnsupported(items, unsupported, extension) {
  return items.filter((item) => {
    const error = unsupported?.(item, extension);

    if (error) item.settle(error);
    return !error;
  });
}

// These may have been done, and asking again could do them twice.
function withoutUnrepeatable(items, repeatable, error) {
  for (const item of items) item.uncertain = true;
  rejectAll(
    items.filter((item) => !repeatable(item)),
    (item) => connectionLost(item, error),
  );
  return items.filter(repeatable);
}

function rejectAll(items, makeError) {
  for (const item of items) item.settle(makeError(item));
}

function connectionLost(item, cause) {
  return new ConnectionLost(
    item.uncertain
      ? `the connection was lost, and it is not known whether this was done: ${cause.message}`
      : `there is no connection, and nothing was done: ${cause.message}`,
    { code: item.uncertain ? '08007' : '08006', requestId: item.requestId, uncertain: item.uncertain, cause },
  );
}

// An earlier try may have been what the server did before its answer was lost.
function refused(item, error) {
  return fromServer(error, { requestId: item.requestId, uncertain: item.uncertain });
}

function unknown(item, cause, sent) {
  return new RacefreeError(cause?.message ?? String(cause), {
    code: cause?.code,
    requestId: item.requestId,
    uncertain: sent || item.uncertain,
    cause,
  });
}

module.exports = { deliverer, connectionLost, refused, unknown };
