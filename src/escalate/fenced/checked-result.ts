/** What is kept for those who repeat a call under its key. */
import { InvalidValueError, OverloadedError } from "../../errors.ts";
import { copyValue, type Json } from "../../store/values.ts";
import type { LockBackend } from "../locks.ts";
import type { FencedTarget } from "./fenced-target.ts";
import { keysMax, memoryBytesMax, resultBytesMax } from "./key-memory.ts";

/** A frozen copy. @throws InvalidValueError for what is no JSON, or more than 64 KiB of it. */
export function checkedResult(result: unknown, what: string): Json | undefined {
  if (result === undefined) return undefined;
  const copy = copyValue(result);
  const bytes = Buffer.byteLength(JSON.stringify(copy));
  if (bytes <= resultBytesMax) return copy;
  const reason = `has ${bytes} bytes of JSON, more than the ${resultBytesMax} that are kept`;
  throw new InvalidValueError(`${what} ${reason}; nothing was changed`, { path: "result", reason });
}

/** @throws InvalidValueError when the store would not take these in one write. */
export function checkFits(
  values: readonly (Uint8Array | undefined)[],
  { name, guarantees: { commitMax = {} } }: LockBackend,
): void {
  const { bytes: bytesMax = Infinity } = commitMax;
  const bytes = values.reduce((sum, value) => sum + (value?.length ?? 0), 0);
  if (bytes <= bytesMax) return;
  const reason = `and what is kept beside it are ${bytes} bytes, more than the ${bytesMax} that ${name} takes at once`;
  throw new InvalidValueError(`the value ${reason}; nothing was changed`, {
    ...{ path: "value", reason },
  });
}

/** Of what a store takes at once, keys and results have at most this part: the rest is for the value. */
const keysShare = 1 / 4;

/** What a value may remember in this store, in bytes. */
export const keysBytesMax = ({ guarantees: { commitMax = {} } }: LockBackend): number =>
  Math.min(memoryBytesMax, (commitMax.bytes ?? Infinity) * keysShare);

/** No key is forgotten before its time, so a new one has to wait. */
export const keysAreFull = (target: FencedTarget | undefined): OverloadedError =>
  new OverloadedError(
    `${target?.what ?? "the value"} remembers ${keysMax} idempotency keys, or as many results as fit; ` +
      "nothing was run. Calls without a key go on",
  );
