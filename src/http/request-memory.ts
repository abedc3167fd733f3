/**
 * The keys of writes that were done, each with its answer. A key and the effect of its write are one
 * transaction, so they are one batch with one dot: wherever the effect is, on whatever disk or peer, its key
 * is too. They stand in a collection of their own, which clients do not see.
 *
 * Nothing is forgotten early: a full memory refuses new keys. What is past its window is deleted by the
 * replica that wrote it, and by any other an hour later; a few at a time.
 *
 * The collection has no `expireAfterMs`: what has expired stays in memory until peers that are away have
 * heard of it, without being counted, so `idempotencyKeysMax` would bound nothing.
 */
import { createHash } from "node:crypto";
import { lwwRegister } from "../crdt/lww-register.ts";
import type { Environment, Timer } from "../environment.ts";
import type { CollectionOfKind } from "./operations.ts";
import type { HttpLimits } from "./options.ts";
import { Refusal } from "./problem.ts";
import type { ServedReplica } from "./served-replica.ts";

/** The collection that they stand in. */
export const requestsCollection = "trellis/requests";
/** Of an answer that is kept, in bytes. */
export const answerBytesMax: number = 16 * 1024;
/** How much later than its own replica another one deletes a record, in ms: clocks differ. */
export const foreignMs = 3_600_000;
const keyLengthMax = 255;
/** Records that are looked at in one turn. */
const sliceMax = 500;
/** Records of others are looked for so often, in ms. */
const scanMs = 600_000;
const sweepMsMax = 60_000;

/** An answer that is kept. */
export interface KeptAnswer {
  readonly status: number;
  /** JSON; empty if there is none. */
  readonly body: string;
}

interface Kept extends KeptAnswer {
  /** Of the request. */
  readonly fingerprint: string;
  readonly atMs: number;
}

/** A write with a key. */
export interface KeyedRequest {
  readonly subject: string;
  readonly key: string;
  /** Tells it from another one under the same key. */
  readonly fingerprint: string;
}

/** What the memory is made of. */
export interface RequestMemoryOptions {
  readonly replica: ServedReplica;
  readonly environment: Environment;
  readonly limits: Pick<HttpLimits, "idempotencyKeysMax" | "idempotencyWindowMs">;
}

/** The keys that one replica knows. */
export class RequestMemory {
  readonly #options: RequestMemoryOptions;
  /** What was written here, the oldest first. */
  #ours: { readonly hash: string; readonly atMs: number }[] = [];
  /** What of others is to be looked at. */
  #others: string[] = [];
  #scannedMs: number;
  #timer: Timer;
  #isClosed = false;

  constructor(options: RequestMemoryOptions) {
    this.#options = options;
    // A former run wrote some, and will not delete them: looked for at once.
    this.#scannedMs = options.environment.monotonic() - scanMs;
    this.#timer = this.#later();
  }

  /**
   * Does `write` once for this key, in one transaction with the record of it.
   * @throws Refusal for another request under the same key, and when the memory is full; what `write` throws,
   * and then nothing is done or remembered.
   */
  once(
    request: KeyedRequest,
    write: () => KeptAnswer,
  ): KeptAnswer & { readonly isReplay: boolean } {
    const { replica, environment, limits } = this.#options;
    const records = this.#records();
    const hash = hashOf(request);
    return replica.transact(() => {
      const nowMs = environment.now();
      const kept = readKept(records.get(hash));
      if (kept && kept.atMs + limits.idempotencyWindowMs > nowMs) {
        if (kept.fingerprint !== request.fingerprint) throw keyReused();
        return { status: kept.status, body: kept.body, isReplay: true };
      }
      if (!kept && records.size() >= limits.idempotencyKeysMax) {
        throw new Refusal(
          "TRELLIS_TOO_MANY_REQUESTS",
          `${limits.idempotencyKeysMax} idempotency keys are remembered, and none is forgotten early; ` +
            "nothing was changed",
          { retryAfterMs: Math.min(60_000, limits.idempotencyWindowMs), shed: "keys" },
        );
      }
      const { status, body } = write();
      if (body.length > answerBytesMax) throw new Error("assertion: an answer that is not kept");
      records.set(hash, { fingerprint: request.fingerprint, status, body, atMs: nowMs });
      this.#ours.push({ hash, atMs: nowMs });
      return { status, body, isReplay: false };
    });
  }

  /** Deletes no more. */
  close(): void {
    this.#isClosed = true;
    this.#timer.cancel();
  }

  #records(): CollectionOfKind<"lww-register"> {
    const opened = this.#options.replica.collection(requestsCollection, lwwRegister());
    if (opened?.kind !== "lww-register") throw new Error("assertion: no memory of requests");
    return opened.collection;
  }

  #later(): Timer {
    const { environment, limits } = this.#options;
    const delayMs = Math.min(sweepMsMax, limits.idempotencyWindowMs);
    return environment.schedule(delayMs, () => {
      this.#sweep();
      this.#timer = this.#later();
    });
  }

  /** Some of what is due; the rest in the turns that follow. */
  #sweep(): void {
    const { replica, environment, limits } = this.#options;
    if (this.#isClosed) return;
    // Not made for this: whoever has no records has none to delete.
    const opened = replica.collection(requestsCollection);
    if (opened?.kind !== "lww-register") return;
    const records = opened.collection;
    const endedMs = environment.now() - limits.idempotencyWindowMs;
    let left = sliceMax;
    let ended = 0;
    for (const { hash, atMs } of this.#ours) {
      if (atMs > endedMs || left === 0) break;
      left--;
      ended++;
      const kept = readKept(records.get(hash));
      // It may have been written anew, here or elsewhere.
      if (kept && kept.atMs <= endedMs) records.delete(hash);
    }
    this.#ours = ended === 0 ? this.#ours : this.#ours.slice(ended);
    if (environment.monotonic() - this.#scannedMs >= scanMs) {
      this.#scannedMs = environment.monotonic();
      this.#others = records.keys();
    }
    for (let hash = this.#others.pop(); hash !== undefined; hash = this.#others.pop()) {
      const kept = readKept(records.get(hash));
      if (!kept || kept.atMs <= endedMs - foreignMs) records.delete(hash);
      if (--left <= 0) break;
    }
    if (left <= 0) environment.defer(() => this.#sweep());
  }
}

/** What a subject's key is known by: it says neither. */
export function hashOf({ subject, key }: Pick<KeyedRequest, "subject" | "key">): string {
  return digest(JSON.stringify([subject, key]));
}

/** What tells a request from another one. */
export const fingerprintOf = (method: string, path: string, body: Uint8Array): string =>
  digest(`${method} ${path}\n`, body);

function digest(text: string, bytes: Uint8Array = new Uint8Array(0)): string {
  const hash = createHash("sha256").update(text).update(bytes).digest();
  return hash.subarray(0, 16).toString("base64url");
}

/** The header's value. @throws Refusal for what is none. */
export function checkIdempotencyKey(given: string | string[] | undefined): string | undefined {
  if (given === undefined) return undefined;
  if (typeof given === "string" && given.length <= keyLengthMax && /^[\x21-\x7e]+$/u.test(given)) {
    return given;
  }
  throw new Refusal(
    "TRELLIS_MALFORMED_REQUEST",
    `Idempotency-Key is not 1 to ${keyLengthMax} visible characters; nothing was changed`,
  );
}

const keyReused = (): Refusal =>
  new Refusal(
    "TRELLIS_KEY_REUSED",
    "this Idempotency-Key was used for another request; nothing was changed",
  );

/** Records come from peers as well: one that is none counts as absent. */
function readKept(value: unknown): Kept | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { fingerprint, status, body, atMs } = value as Readonly<Record<string, unknown>>;
  const isKept =
    typeof fingerprint === "string" &&
    typeof status === "number" &&
    typeof body === "string" &&
    typeof atMs === "number";
  return isKept ? { fingerprint, status, body, atMs } : undefined;
}
