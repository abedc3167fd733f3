/**
 * Which keys of callers were used: one record for each of 64 parts of all hashes. A key is forgotten after
 * its window, never before, so a full record refuses new ones. The first byte is the version of this form.
 */
import { LockUnavailableError, OverloadedError } from "../../errors.ts";
import { ByteReader, ByteWriter, malformed, MalformedError } from "../../store/bytes.ts";

/** Who used a key, and until when that is remembered. */
export interface Claim {
  /** 16 bytes in hexadecimal digits. */
  readonly hash: string;
  /** The change that used it: 8 bytes in hexadecimal digits. */
  readonly operation: string;
  /** By the wall clock of who used it, in ms. */
  readonly untilMs: number;
}

/** Keys in one record. */
export const claimsMax = 8_192;
/** Clocks of replicas may differ by less, in ms: nothing is forgotten early. */
const slackMs = 300_000;
const parts = 64;
const format = 1;
const hashBytes = 16;
const operationBytes = 8;

/** Where a key's record is. */
export const onceResource = (collection: string, hash: string): string =>
  `once/${encodeURIComponent(collection)}/${Number.parseInt(hash.slice(0, 2), 16) % parts}`;

/** What came of claiming. */
export interface Claimed {
  /** The change that has the key. */
  readonly operation: string;
  /** The new record, if it changed. */
  readonly value?: Uint8Array;
}

/** Who has the key, if anybody. O(claims). @throws LockUnavailableError */
export const findClaim = (current: Uint8Array | undefined, hash: string): Claim | undefined =>
  readClaims(current).find((found) => found.hash === hash);

/**
 * Claims a key, unless somebody has. O(claims).
 * @throws OverloadedError when the record is full; LockUnavailableError for other bytes.
 */
export function claim(current: Uint8Array | undefined, wanted: Claim, nowMs: number): Claimed {
  const claims = readClaims(current);
  const found = claims.find(({ hash }) => hash === wanted.hash);
  if (found) return { operation: found.operation };
  const left = claims.filter(({ untilMs }) => untilMs + slackMs > nowMs);
  if (left.length >= claimsMax) {
    const soonestMs = Math.min(...left.map(({ untilMs }) => untilMs)) + slackMs - nowMs;
    throw new OverloadedError(
      `${claimsMax} idempotency keys of this part are remembered, and none is old enough to be forgotten; ` +
        "nothing was changed",
      { retryAfterMs: Math.max(0, soonestMs) },
    );
  }
  return { operation: wanted.operation, value: writeClaims([...left, wanted]) };
}

function writeClaims(claims: readonly Claim[]): Uint8Array {
  const out = new ByteWriter();
  out.byte(format);
  out.varint(claims.length);
  for (const { hash, operation, untilMs } of claims) {
    out.raw(Buffer.from(hash, "hex"));
    out.raw(Buffer.from(operation, "hex"));
    out.varint(untilMs);
  }
  return out.take();
}

function readClaims(current: Uint8Array | undefined): Claim[] {
  if (current === undefined || current.length === 0) return [];
  try {
    const from = new ByteReader(current);
    const found = from.byte();
    if (found !== format) malformed(`its format is ${found}; ${format} is known here`);
    const claims: Claim[] = [];
    for (let left = from.bounded(claimsMax, "the number of keys"); left > 0; left--) {
      const hash = Buffer.from(from.raw(hashBytes)).toString("hex");
      const operation = Buffer.from(from.raw(operationBytes)).toString("hex");
      claims.push({ hash, operation, untilMs: from.varint() });
    }
    from.end();
    return claims;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new LockUnavailableError(`no record of idempotency keys: ${error.message}`, {
      cause: error,
    });
  }
}
