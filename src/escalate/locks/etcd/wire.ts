/**
 * What etcd's JSON gateway is asked, and what it answers: bytes in base64, 64-bit integers as digits in
 * strings, and fields that are zero left out.
 */

/** A JSON object on its way out. */
export type Json = Readonly<Record<string, unknown>>;

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** The end of the range of all keys that begin with `start`, which ends with a slash. */
const rangeEnd = (start: string): string => base64(`${start.slice(0, -1)}0`);

/** The key, or all keys below it. */
export type Keys = { readonly key: string } | { readonly below: string };

const keysOf = (keys: Keys): Json =>
  "key" in keys
    ? { key: base64(keys.key) }
    : { key: base64(keys.below), range_end: rangeEnd(keys.below) };

/** A condition on what is there now; on a key that is not there all revisions are 0. */
export const compare = {
  created: (keys: Keys, result: "EQUAL" | "GREATER", revision: bigint): Json => {
    return { ...keysOf(keys), target: "CREATE", result, create_revision: revision.toString() };
  },
  modified: (key: string, revision: bigint): Json => {
    return {
      ...keysOf({ key }),
      ...{ target: "MOD", result: "EQUAL", mod_revision: revision.toString() },
    };
  },
  value: (key: string, value: string): Json => {
    return { ...keysOf({ key }), target: "VALUE", result: "EQUAL", value: base64(value) };
  },
};

/** One step of a transaction. */
export const step = {
  get: (key: string): Json => {
    return { request_range: keysOf({ key }) };
  },
  /** The first or the last key to be created, without its value; the count is of all. */
  edge: (below: string, edge: "first" | "last", createdBefore?: bigint): Json => {
    const bound =
      createdBefore === undefined ? {} : { max_create_revision: (createdBefore - 1n).toString() };
    const order = edge === "first" ? "ASCEND" : "DESCEND";
    return {
      request_range: {
        ...keysOf({ below }),
        ...{ ...bound, limit: "1", keys_only: true, sort_target: "CREATE", sort_order: order },
      },
    };
  },
  put: (key: string, value: string | Uint8Array, lease?: string): Json => {
    const bytes = Buffer.from(value).toString("base64");
    return {
      request_put: { key: base64(key), value: bytes, ...(lease === undefined ? {} : { lease }) },
    };
  },
  remove: (key: string): Json => {
    return { request_delete_range: keysOf({ key }) };
  },
  transaction: (transaction: Transaction): Json => {
    return { request_txn: bodyOf(transaction) };
  },
};

/** A transaction: what must be so, and what is done then or otherwise. */
export interface Transaction {
  readonly compare: readonly Json[];
  readonly success: readonly Json[];
  readonly failure: readonly Json[];
}

/** As it is sent. */
export const bodyOf = ({ compare: conditions, success, failure }: Transaction): Json => {
  return { compare: conditions, success, failure };
};

/** Deletions of one key, from a revision on. */
export const watchDeletions = (key: string, from: bigint): Json => {
  return {
    create_request: { ...keysOf({ key }), start_revision: from.toString(), filters: ["NOPUT"] },
  };
};

/** One key that was found. */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly created: bigint;
  readonly modified: bigint;
  /** What it lives under; 0 for nothing. */
  readonly lease: bigint;
}

/** What one step answered. */
export interface StepReply {
  readonly found: readonly KeyValue[];
  /** Of all keys in the range, also when only some were asked for. */
  readonly count: number;
  readonly transaction: TransactionReply | undefined;
}

/** What a transaction answered. */
export interface TransactionReply {
  readonly succeeded: boolean;
  readonly steps: readonly StepReply[];
  /** Of the whole store, after it. */
  readonly revision: bigint;
}

/** A field of what came, whatever that is. */
export const field = (json: unknown, name: string): unknown =>
  typeof json === "object" && json !== null && Object.hasOwn(json, name)
    ? Reflect.get(json, name)
    : undefined;

const list = (json: unknown): readonly unknown[] => (Array.isArray(json) ? json : []);

/** Digits as an integer; what is left out is 0. */
export const integer = (json: unknown): bigint =>
  typeof json === "string" || typeof json === "number" ? BigInt(json) : 0n;

const bytesOf = (json: unknown): Buffer =>
  Buffer.from(typeof json === "string" ? json : "", "base64");

/** The revision of the store when it answered. */
export const revisionOf = (json: unknown): bigint =>
  integer(field(field(json, "header"), "revision"));

/** Reads the answer to a transaction. */
export const transactionReply = (json: unknown): TransactionReply => {
  return {
    succeeded: field(json, "succeeded") === true,
    steps: list(field(json, "responses")).map(stepReply),
    revision: revisionOf(json),
  };
};

function stepReply(json: unknown): StepReply {
  const range = field(json, "response_range");
  const inner = field(json, "response_txn");
  return {
    found: list(field(range, "kvs")).map((kv) => {
      return {
        key: bytesOf(field(kv, "key")).toString(),
        value: bytesOf(field(kv, "value")),
        created: integer(field(kv, "create_revision")),
        modified: integer(field(kv, "mod_revision")),
        lease: integer(field(kv, "lease")),
      };
    }),
    count: Number(integer(field(range, "count"))),
    transaction: inner === undefined ? undefined : transactionReply(inner),
  };
}
