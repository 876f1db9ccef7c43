'use strict';

// What can go wrong: one class for each SQLSTATE that a caller may want to
// tell apart.  transfer_many reports the same failures as statuses.

class RacefreeError extends Error {
  constructor(message, fields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code ?? this.constructor.code;
    this.status = fields.status ?? this.constructor.status;
    // Whether what was asked for may have been done all the same.
    this.uncertain = fields.uncertain ?? false;
    for (const name of ['requestId', 'detail', 'hint', 'schema', 'table', 'column', 'constraint'])
      if (fields[name] != null) this[name] = fields[name];
  }

  get name() {
    return this.constructor.name;
  }
}

// Class, SQLSTATE, status, and what it means where the server sent no message.
const table = [
  ['InsufficientFunds', 'RF001', 'insufficient_funds', 'the balance of the payer would fall below its floor'],
  ['AccountNotFound', 'RF002', 'account_not_found', 'an account does not exist'],
  ['RequestMismatch', 'RF003', 'request_mismatch', 'the request id was used for something else'],
  ['LimitExceeded', 'RF004', 'limit_exceeded', 'the balance of the payee would rise above its ceiling'],
  ['Mismatch', 'RF005', 'mismatch', 'the accounts differ in a column that must match'],
  ['OverReversed', 'RF006', 'over_reversed', 'more would be reversed than was moved'],
  ['EntryNotFound', 'RF007', 'entry_not_found', 'the journal has no such entry'],
  ['AccountClosed', 'RF008', 'account_closed', 'an account is closed'],
  ['HoldNotFound', 'RF009', 'hold_not_found', 'the journal has no such hold'],
  ['HoldSettled', 'RF010', 'hold_settled', 'the hold is settled'],
  ['HoldExpired', 'RF011', 'hold_expired', 'the hold has expired'],
  ['OverPosted', 'RF012', 'over_posted', 'more would be posted than is held'],
  ['InvalidArgument', '22023'],
  ['Refused', '23000', 'refused', 'a constraint, trigger or policy refuses it'],
  ['SeveralRows', '21000'],
  ['TriggeredChange', '27000'],
  ['SerializationFailure', '40001'],
  ['DeadlockDetected', '40P01'],
  ['NotPermitted', '42501'],
  ['NotInState', '55000'],
  ['LockNotAvailable', '55P03'],
  ['QueryCanceled', '57014'],
  ['NotSupported', '0A000'],
  // The client's own.
  ['ConnectionLost', '08007'],
  ['QueueFull', '53400'],
  ['Closed', '57P01'],
];

const classes = { RacefreeError };
const byCode = new Map();
const byStatus = new Map();

for (const [name, code, status, meaning] of table) {
  // A computed name, so that the class has it, too.
  const made = { [name]: class extends RacefreeError {} }[name];
  made.code = code;
  made.status = status;
  classes[name] = made;
  if (!['ConnectionLost', 'QueueFull', 'Closed'].includes(name)) byCode.set(code, made);
  if (status) byStatus.set(status, { made, meaning });
}

// What has no SQLSTATE of its own.
for (const [status, meaning, code] of [
  ['invalid_amount', 'the amount is not positive and finite, or more exact than the column', '22023'],
  ['same_account', 'the two accounts are the same', '22023'],
  ['invalid_balance', 'the balance of an account is NULL, NaN or infinite', '22003'],
  ['invalid_id', 'the id cannot be one of an account', '22P02'],
  ['invalid_request_id', 'the journal cannot hold the request id', '22P02'],
  ['invalid_kind', 'there is no such kind of transfer', '22023'],
  ['invalid_expires_at', 'the hold would expire in the past', '22023'],
])
  byStatus.set(status, { made: classes.InvalidArgument, meaning, code });

// The error for a status that transfer_many reported.
function fromStatus(status, detail, requestId) {
  const { made = RacefreeError, meaning = status, code } = byStatus.get(status) ?? {};
  const refused = /^([0-9A-Z]{5}):? +(.*)$/s.exec(status === 'refused' && detail ? detail : '');

  if (refused) return new made(refused[2], { code: refused[1], status, requestId });
  return new made(meaning, { code, status, detail, requestId });
}

// The error for one that the server raised.
function fromServer(error, fields = {}) {
  const made =
    byCode.get(error.code) ??
    { 22: classes.InvalidArgument, 23: classes.Refused }[String(error.code).slice(0, 2)] ??
    RacefreeError;
  const { message, code, detail, hint, schema, table: relation, column, constraint } = error;

  return new made(message, {
    code,
    detail,
    hint,
    schema,
    table: relation,
    column,
    constraint,
    cause: error,
    ...fields,
  });
}

module.exports = { ...classes, fromStatus, fromServer };
