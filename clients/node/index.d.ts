// Types of racefree.  They do not need those of pg.

/** What can be asked: a pool or client of pg, or anything that looks like one. */
export interface Queryable {
  query(query: { text: string; values: unknown[] }): Promise<{ rows: any[] }>;
}

export interface PoolClient {
  query(...args: any[]): any;
  release(error?: any): void;
}

/** A pool; retry() needs its connect(). */
export interface Pool<Client extends PoolClient = any> extends Queryable {
  connect?(): Promise<Client>;
}

/** 'table', 'schema.table' or ['schema', 'table'], taken as it is. */
export type TableName = string | readonly [schema: string, table: string];
/** An object is written as its toString() says: of a decimal library, say. */
export type Written = { toString(): string };
/** Never a floating-point number: one that is not whole is refused. */
export type Amount = string | number | bigint | Written;
export type Id = string | number | bigint | Written;

export interface Scope {
  accounts?: TableName;
  journal?: TableName;
  idColumn?: string;
  balanceColumn?: string;
}

export interface Floor {
  /** Left out: what the journal says, else 0. NO_FLOOR: none of the call's own. */
  minBalance?: Amount;
}

export interface Ceiling {
  maxBalance?: Amount;
}

export interface Common extends Scope {
  /** Makes it happen once, however often it is asked for. Left out: a new uuid. */
  requestId?: Id;
  /** Any JSON. */
  details?: unknown;
  /** The journal's own columns, and the values to book in them. */
  columns?: Record<string, unknown>;
}

export interface Transfer extends Common, Floor, Ceiling {
  from: Id;
  to: Id;
  amount: Amount;
  mustMatch?: readonly string[];
  upTo?: boolean;
}

export interface Hold extends Common, Floor {
  from: Id;
  to: Id;
  amount: Amount;
  expiresAt?: Date | string;
  mustMatch?: readonly string[];
  upTo?: boolean;
}

export interface Post extends Common, Floor, Ceiling {
  entryId: string | number | bigint;
  /** Left out: all that is left. */
  amount?: Amount;
  /** false keeps the rest of the hold. */
  final?: boolean;
  /** Whether more than was held may be posted. */
  beyond?: boolean;
}

export interface Void extends Common {
  entryId: string | number | bigint;
}

export interface Reverse extends Common, Floor, Ceiling {
  entryId: string | number | bigint;
  /** Left out: all that is left. */
  amount?: Amount;
  upTo?: boolean;
}

/** Money is text, so that no digit is lost. */
export interface Booked {
  amount: string | null;
  fromBalance: string | null;
  toBalance: string | null;
  /** What is left to the payer when what is held is taken off; where the server says so. */
  fromAvailable?: string | null;
  entryId: string | null;
  requestId: string | null;
  /** Whether it had been booked before. */
  replayed: boolean;
}

export interface Options extends Scope, Floor, Ceiling {
  /** Where tables are that are named without a schema. Default: 'public'. */
  schema?: string;
  mustMatch?: readonly string[];
  upTo?: boolean;
  /** Whether to make request ids where none are given, or what makes them. Default: true, a uuid. */
  requestIds?: boolean | (() => Id);
  /** How many batches of a queue may be under way at once. Default: 1. */
  lanes?: number;
  /** Default: 500. */
  maxBatch?: number;
  /** How many calls may be open; one more is refused with QueueFull. Default: 10000. */
  maxQueued?: number;
  /** For how many milliseconds a lost connection is tried again. Default: 60000. */
  retryFor?: number;
}

/** A transaction of the caller's that the call becomes part of: it is not batched. */
export interface InTransaction {
  client?: Queryable;
}

export interface Stats {
  /** Calls that are not settled. */
  open: number;
  calls: number;
  refused: number;
  batches: number;
  meanBatch: number;
  largest: number;
  /** How often a batch was sent in two halves, since the server refused one of it. */
  halvings: number;
  /** How often a batch was sent again after 40001 or 40P01. */
  conflicts: number;
  /** How often a connection was lost. */
  lost: number;
}

export interface RetryOptions {
  isolation?: 'read committed' | 'repeatable read' | 'serializable';
  /** Default: 10. */
  attempts?: number;
}

export interface Row<T> {
  object: T;
  created: boolean;
}

export class Racefree<Client extends PoolClient = any> {
  constructor(pool: Pool<Client>, options?: Options);
  readonly NO_FLOOR: '-Infinity';

  transfer(transfer: Transfer, options?: InTransaction): Promise<Booked>;
  hold(hold: Hold, options?: InTransaction): Promise<Booked>;
  post(post: Post, options?: InTransaction): Promise<Booked>;
  void(hold: Void, options?: InTransaction): Promise<Booked>;
  reverse(reverse: Reverse, options?: InTransaction): Promise<Booked>;

  getOrCreate<T = Record<string, any>>(
    table: TableName,
    key: Record<string, unknown>,
    defaults?: Record<string, unknown>,
    options?: InTransaction,
  ): Promise<Row<T>>;
  updateOrCreate<T = Record<string, any>>(
    table: TableName,
    key: Record<string, unknown>,
    defaults?: Record<string, unknown>,
    options?: InTransaction & { createDefaults?: Record<string, unknown> },
  ): Promise<Row<T>>;
  getOrCreateMany<T = Record<string, any>>(
    table: TableName,
    rows: readonly Record<string, unknown>[],
    key: readonly string[],
    options?: InTransaction,
  ): Promise<Row<T>[]>;
  updateOrCreateMany<T = Record<string, any>>(
    table: TableName,
    rows: readonly Record<string, unknown>[],
    key: readonly string[],
    options?: InTransaction,
  ): Promise<Row<T>[]>;

  /** Runs work in a transaction, and again after 40001, 40P01 or a lost connection. */
  retry<T>(work: (client: Client) => Promise<T> | T, options?: RetryOptions): Promise<T>;

  /** Resolves when there is room for a call. */
  ready(): Promise<void>;
  /** Resolves when the calls made so far are settled. */
  flush(): Promise<void>;
  /** Takes no more calls, and resolves when those that were made are settled. */
  close(): Promise<void>;
  stats(): Stats;
}

export class RacefreeError extends Error {
  /** The SQLSTATE. */
  code?: string;
  /** As transfer_many reports it. */
  status?: string;
  /** Whether it may have been done all the same: ask again, with the same request id. */
  uncertain: boolean;
  requestId?: string;
  detail?: string;
  hint?: string;
  schema?: string;
  table?: string;
  column?: string;
  constraint?: string;
  cause?: unknown;
}

/** RF001 */
export class InsufficientFunds extends RacefreeError {}
/** RF002 */
export class AccountNotFound extends RacefreeError {}
/** RF003 */
export class RequestMismatch extends RacefreeError {}
/** RF004 */
export class LimitExceeded extends RacefreeError {}
/** RF005 */
export class Mismatch extends RacefreeError {}
/** RF006 */
export class OverReversed extends RacefreeError {}
/** RF007 */
export class EntryNotFound extends RacefreeError {}
/** RF008 */
export class AccountClosed extends RacefreeError {}
/** RF009 */
export class HoldNotFound extends RacefreeError {}
/** RF010 */
export class HoldSettled extends RacefreeError {}
/** RF011 */
export class HoldExpired extends RacefreeError {}
/** RF012 */
export class OverPosted extends RacefreeError {}
/** 22...: an argument makes no sense, or cannot be converted. */
export class InvalidArgument extends RacefreeError {}
/** 23...: a constraint refuses it. */
export class Refused extends RacefreeError {}
/** 21000 */
export class SeveralRows extends RacefreeError {}
/** 27000 */
export class TriggeredChange extends RacefreeError {}
/** 40001 */
export class SerializationFailure extends RacefreeError {}
/** 40P01 */
export class DeadlockDetected extends RacefreeError {}
/** 42501 */
export class NotPermitted extends RacefreeError {}
/** 55000 */
export class NotInState extends RacefreeError {}
/** 55P03 */
export class LockNotAvailable extends RacefreeError {}
/** 57014 */
export class QueryCanceled extends RacefreeError {}
/** 0A000 */
export class NotSupported extends RacefreeError {}
/** 08007, uncertain; or 08006, where nothing was done. */
export class ConnectionLost extends RacefreeError {}
/** 53400: too many calls are open. */
export class QueueFull extends RacefreeError {}
/** The client was closed before the call. */
export class Closed extends RacefreeError {}

export const NO_FLOOR: '-Infinity';
export function racefree<Client extends PoolClient = any>(
  pool: Pool<Client>,
  options?: Options,
): Racefree<Client>;
export default racefree;
