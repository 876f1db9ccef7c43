// The same module for import.
import racefree from './lib/index.js';

export default racefree;
export const {
  Racefree,
  NO_FLOOR,
  RacefreeError,
  InsufficientFunds,
  AccountNotFound,
  RequestMismatch,
  LimitExceeded,
  Mismatch,
  OverReversed,
  EntryNotFound,
  AccountClosed,
  HoldNotFound,
  HoldSettled,
  HoldExpired,
  OverPosted,
  InvalidArgument,
  Refused,
  SeveralRows,
  TriggeredChange,
  SerializationFailure,
  DeadlockDetected,
  NotPermitted,
  NotInState,
  LockNotAvailable,
  QueryCanceled,
  NotSupported,
  ConnectionLost,
  QueueFull,
  Closed,
} = racefree;
export { racefree };
