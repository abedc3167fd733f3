/**
 * What a guard means, as steps from one record to the next: pure, so that the backend in memory runs
 * it, the one that a replica hosts runs it, and every other is compared with it.
 *
 * Why is a token that must only be "not smaller" not enough? The new holder reads, the paused old one
 * writes and is believed, the new one overwrites: an update is lost. Here `open` installs the fence and
 * reads in one step, and `commit` needs equality, so after an `open` nothing of an earlier holder is
 * written. Each write also names the version it was computed from, so a message that comes late or twice
 * finds the version moved on: either its id is remembered and it is answered as before, or it is refused.
 */
import { type Operation, operationsRemembered } from "../locks.ts";

/** What a holder shows: the token that was granted to it, and what it drew at random when it asked. */
export interface Fence {
  readonly token: bigint;
  readonly nonce: string;
}

/** Who has it open. A holder that has run out stays here until somebody opens: its fence is installed. */
export interface Holder extends Fence {
  /** When its lease ends, on the clock of the store. */
  readonly untilMs: number;
  /** When no renewal helps any more. */
  readonly endMs: number;
}

/** A write that can be asked again. */
export interface Remembered {
  readonly operationId: string;
  /** What it wrote, where the one who asks again cannot tell: the sum of an `add`. */
  readonly value?: Uint8Array;
}

/** One guarded resource. */
export interface GuardRecord {
  readonly value: Uint8Array | undefined;
  /** 0: nothing was ever written. */
  readonly version: bigint;
  /** The largest that was granted. */
  readonly token: bigint;
  readonly holder: Holder | undefined;
  /** The latest writes, one a version, the last of them of `version`. */
  readonly operations: readonly Remembered[];
}

/** A resource that nobody has touched. */
export const untouched: GuardRecord = {
  value: undefined,
  version: 0n,
  token: 0n,
  holder: undefined,
  operations: [],
};

/** The guard, as a client needs it. `value` is `undefined` if nothing was ever written. */
export type Present = Pick<GuardRecord, "value" | "version" | "token">;

/** What a record says to a client. */
export const presentOf = ({ value, version, token }: GuardRecord): Present => {
  return { value, version, token };
};

/** A lease keeps others out. */
export const isHeld = ({ holder }: GuardRecord, nowMs: number): boolean =>
  holder !== undefined && nowMs < holder.untilMs;

/** Why nothing was written. */
export interface Refusal {
  readonly kind: "stale" | "moved" | "held";
  /** Which of the resources of a commit. */
  readonly index: number;
  /** The token of the installed fence; 0 when there is none. */
  readonly installed: bigint;
  /**
   * The ids that are remembered do not reach back to the version that was expected: an operation that
   * was asked before may have been applied then.
   */
  readonly forgotten: boolean;
  /** What is there instead, of a compare-and-set whose version moved. Not every store says so. */
  readonly present?: Present;
}

/** Takes the guard for `nonce`, or finds it held. Asked again by the holder it is the same lease, for another `ttlMs`. */
export function open(
  record: GuardRecord,
  request: {
    readonly nonce: string;
    readonly token: bigint;
    readonly ttlMs: number;
    readonly maxHoldMs?: number;
    readonly nowMs: number;
  },
): GuardRecord | undefined {
  const { nonce, nowMs, ttlMs, maxHoldMs = Number.POSITIVE_INFINITY } = request;
  const live = isHeld(record, nowMs) ? record.holder : undefined;
  if (live && live.nonce !== nonce) return undefined;
  const token = live ? live.token : request.token;
  if (!live && token <= record.token) {
    throw new Error(`token ${token} was drawn after ${record.token}`);
  }
  const endMs = nowMs + maxHoldMs;
  const untilMs = Math.min(nowMs + ttlMs, endMs);
  return { ...record, token, holder: { token, nonce, untilMs, endMs } };
}

/** Prolongs a lease that lives; one that has ended is not revived, though nobody took it. */
export function renew(
  record: GuardRecord,
  request: { readonly fence: Fence; readonly ttlMs: number; readonly nowMs: number },
): GuardRecord | undefined {
  const { holder } = record;
  if (!holder || !isHeld(record, request.nowMs) || !isInstalled(record, request.fence)) {
    return undefined;
  }
  const untilMs = Math.min(request.nowMs + request.ttlMs, holder.endMs);
  return { ...record, holder: { ...holder, untilMs } };
}

/** Takes the fence of `nonce` out; anyone else's stays. */
export const release = (record: GuardRecord, nonce: string): GuardRecord =>
  record.holder?.nonce === nonce ? { ...record, holder: undefined } : record;

/** One resource of a commit: what is there, and what the holder believes. */
export interface Part {
  readonly record: GuardRecord;
  readonly fence: Fence;
  readonly version: bigint;
  /** Without it the resource is only checked. */
  readonly value?: Uint8Array;
}

/** What a commit did. */
export type Committed =
  | {
      readonly kind: "committed";
      /** In the order of the parts, the new records. */
      readonly records: readonly GuardRecord[];
      /** In the order of the parts, the versions that this operation left. */
      readonly versions: readonly bigint[];
    }
  | Refusal;

/** Writes all parts that have a value if every part is as its holder believes, else nothing. */
export function commit(parts: readonly Part[], operationId: string): Committed {
  const known = parts.map(({ record, value }) =>
    value ? rememberedVersion(record, operationId) : undefined,
  );
  if (known.some((version) => version !== undefined)) {
    return {
      kind: "committed",
      records: parts.map(({ record }) => record),
      // A busier resource may have forgotten what another remembers.
      versions: parts.map(({ version, value }, i) => known[i] ?? version + (value ? 1n : 0n)),
    };
  }
  const refusal =
    refused(parts, "stale", ({ record, fence }) => isInstalled(record, fence)) ??
    refused(parts, "moved", ({ record, version }) => record.version === version);
  if (refusal) return refusal;
  const records = parts.map(({ record, value }) =>
    value ? written(record, value, { operationId }) : record,
  );
  return { kind: "committed", records, versions: records.map(({ version }) => version) };
}

function refused(
  parts: readonly Part[],
  kind: "stale" | "moved",
  isFine: (part: Part) => boolean,
): Refusal | undefined {
  const index = parts.findIndex((part) => !isFine(part));
  const at = parts[index];
  if (!at) return undefined;
  const forgotten = parts.some(
    ({ record, version, value }) => value !== undefined && hasForgotten(record, version),
  );
  return { kind, index, installed: installedToken(at.record), forgotten };
}

/** What one write without a lease did. */
export type Written =
  | { readonly kind: "written"; readonly record: GuardRecord; readonly version: bigint }
  | Refusal;

/** Writes if the version is the expected one (0: absent) and no lease lives. */
export function compareAndSet(
  record: GuardRecord,
  request: {
    readonly expected: bigint;
    readonly value: Uint8Array;
    readonly operationId: string;
    readonly nowMs: number;
  },
): Written {
  const { expected, value, operationId, nowMs } = request;
  const known = rememberedVersion(record, operationId);
  if (known !== undefined) return { kind: "written", record, version: known };
  const forgotten = hasForgotten(record, expected);
  const refusal = { index: 0, installed: installedToken(record), forgotten };
  if (isHeld(record, nowMs)) return { kind: "held", ...refusal };
  if (record.version !== expected) {
    return { kind: "moved", ...refusal, present: presentOf(record) };
  }
  const after = written(record, value, { operationId });
  return { kind: "written", record: after, version: after.version };
}

/** What an operation did. */
export type OperationOutcome =
  | {
      readonly kind: "operated";
      readonly applied: boolean;
      readonly record: GuardRecord;
      readonly version: bigint;
      readonly value: Uint8Array;
    }
  /** `since` is too long ago to tell whether it was applied before. */
  | { readonly kind: "forgotten"; readonly version: bigint }
  /** The value is not an integer in digits. */
  | { readonly kind: "no-integer" }
  | Refusal;

/**
 * Applies an operation unless a lease lives. It names no version that it was computed from, so it names
 * the latest that its sender knew (`since`): if the ids that are remembered do not reach back to that, a
 * repetition could not be told from the first, and it is refused.
 */
export function operate(
  record: GuardRecord,
  request: {
    readonly operation: Operation;
    readonly operationId: string;
    readonly since: bigint;
    readonly nowMs: number;
  },
): OperationOutcome {
  const { operation, operationId, since, nowMs } = request;
  const known = rememberedVersion(record, operationId);
  if (known !== undefined) {
    const again = record.operations.find((one) => one.operationId === operationId)?.value;
    const value = again ?? (operation.kind === "add" ? emptyValue : operation.value);
    return { kind: "operated", applied: true, record, version: known, value };
  }
  if (hasForgotten(record, since)) return { kind: "forgotten", version: record.version };
  if (isHeld(record, nowMs)) {
    return { kind: "held", index: 0, installed: installedToken(record), forgotten: false };
  }
  const stays = (value: Uint8Array): OperationOutcome => {
    return { kind: "operated", applied: false, record, version: record.version, value };
  };
  if (operation.kind === "set-if-absent") {
    if (record.value) return stays(record.value);
    return applied(written(record, operation.value, { operationId }));
  }
  const present = record.value ? integerOf(record.value) : 0n;
  if (present === undefined) return { kind: "no-integer" };
  const sum = present + operation.by;
  const { min = integerMin, max = integerMax } = operation;
  if (sum < min || sum > max || sum < integerMin || sum > integerMax) {
    return stays(digitsOf(present));
  }
  const value = digitsOf(sum);
  return applied(written(record, value, { operationId, value }));
}

/** No bytes. */
export const emptyValue: Uint8Array = new Uint8Array(0);

const applied = (record: GuardRecord): OperationOutcome => ({
  kind: "operated",
  applied: true,
  record,
  version: record.version,
  value: record.value ?? emptyValue,
});

/** What every store can add in: 64 bits with a sign. A sum beyond it is refused as one beyond a bound. */
export const integerMin: bigint = -(2n ** 63n);
/** The other end of it. */
export const integerMax: bigint = 2n ** 63n - 1n;

/** An integer as its decimal digits, which every store can add to and people can read. */
export const digitsOf = (integer: bigint): Uint8Array =>
  Uint8Array.from(integer.toString(), (digit) => digit.charCodeAt(0));

/** The integer that these digits say; `undefined` for anything else. */
export function integerOf(value: Uint8Array): bigint | undefined {
  const digits = Buffer.from(value.subarray(0, 21)).toString("latin1");
  if (!/^(?:0|-?[1-9][0-9]{0,18})$/u.test(digits)) return undefined;
  const integer = BigInt(digits);
  return integer >= integerMin && integer <= integerMax ? integer : undefined;
}

const isInstalled = ({ holder }: GuardRecord, { token, nonce }: Fence): boolean =>
  holder !== undefined && holder.token === token && holder.nonce === nonce;

const installedToken = ({ holder }: GuardRecord): bigint => holder?.token ?? 0n;

/** The version that a remembered operation left. */
function rememberedVersion(record: GuardRecord, operationId: string): bigint | undefined {
  const { operations } = record;
  const index = operations.findIndex((one) => one.operationId === operationId);
  return index < 0 ? undefined : record.version - BigInt(operations.length - 1 - index);
}

/** Something was written after `version` whose id is not remembered any more. */
const hasForgotten = ({ version, operations }: GuardRecord, since: bigint): boolean =>
  version - BigInt(operations.length) > since;

function written(record: GuardRecord, value: Uint8Array, operation: Remembered): GuardRecord {
  const operations = [...record.operations.slice(1 - operationsRemembered), operation];
  return { ...record, value, version: record.version + 1n, operations };
}
