'use strict';

// A transaction that is made again when another one was in its way.

const { ConnectionLost, InvalidArgument, NotSupported, RacefreeError, fromServer } = require('./errors');
const { LOST, UNSENT, AGAIN, failureOf, isServers, isFinal } = require('./failures');

const levels = {
  'read committed': 'BEGIN ISOLATION LEVEL READ COMMITTED',
  'repeatable read': 'BEGIN ISOLATION LEVEL REPEATABLE READ',
  serializable: 'BEGIN ISOLATION LEVEL SERIALIZABLE',
};

const ignore = () => {};

async function retry(server, work, { isolation, attempts = 10, ...rest } = {}) {
  if (typeof work !== 'function') throw new InvalidArgument('retry needs a function');
  for (const name in rest) throw new InvalidArgument(`retry knows no "${name}"`);
  if (isolation !== undefined && !Object.hasOwn(levels, isolation))
    throw new InvalidArgument(`isolation must be one of: ${Object.keys(levels).join(', ')}`);
  if (!Number.isInteger(attempts) || attempts < 1) throw new InvalidArgument('attempts must be at least 1');
  if (typeof server.pool.connect !== 'function') throw new NotSupported('retry needs a pool with connect()');

  for (let attempt = 1, lost = 0; ; attempt++) {
    const { value, error, failure } = await once(server, work, levels[isolation] ?? 'BEGIN');

    if (error === undefined) return value;
    if (failure === LOST || failure === UNSENT) {
      if (isFinal(error) || attempt >= attempts || !(await server.waitForReturn(lost++)))
        throw new ConnectionLost(`the connection was lost, and nothing was committed: ${error.message}`, {
          code: '08006',
          cause: error,
        });
    } else if (failure === AGAIN && attempt < attempts) {
      await server.waitForOthers(attempt);
    } else {
      throw isServers(error) ? fromServer(error) : error;
    }
  }
}

// One try.  What it threw is in "error", and whether it may be made again in
// "failure".  A COMMIT of which nothing is known is not tried again.
async function once(server, work, begin) {
  let client;
  let broken;
  let committing = false;

  try {
    client = await server.pool.connect();
  } catch (error) {
    return { error, failure: failureOf(error) };
  }
  // Without a listener, a connection that is lost between two queries would
  // end the process.
  client.on?.('error', ignore);
  try {
    await client.query(begin);
    server.reached();
    const value = await work(client);

    committing = true;
    const { command } = await client.query('COMMIT');

    if (command === 'ROLLBACK')
      throw new RacefreeError(
        'the transaction was rolled back: an error in it was caught, and COMMIT cannot undo that',
        { code: '25P02' },
      );
    return { value };
  } catch (error) {
    const failure = await endOf(client, error).catch((cause) => {
      broken = cause;
      return LOST;
    });

    if (broken && committing && failureOf(error) !== UNSENT)
      throw new ConnectionLost(
        `the connection was lost during COMMIT, and it is not known whether that was done: ${error.message}`,
        { uncertain: true, cause: error },
      );
    return { error, failure };
  } finally {
    client.removeListener?.('error', ignore);
    client.release(broken);
  }
}

// If this is answered, the connection is there, and the transaction is not.
async function endOf(client, error) {
  await client.query('ROLLBACK');
  return [error, error?.cause].some((one) => failureOf(one) === AGAIN) ? AGAIN : undefined;
}

module.exports = { retry };
