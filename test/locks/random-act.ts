/** What a client does to one register at random, and what it saw: for the checkers of histories. */
import {
  ConflictError,
  LockTimeoutError,
  LockUnavailableError,
  StaleTokenError,
  UnknownOutcomeError,
} from "../../src/errors.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import type { Observed } from "./linearizability.ts";
import { bytes, operationId, text } from "./trial.ts";

/** One thing at random, and what was seen of it. */
export async function act(
  locks: LockBackend,
  client: number,
  i: number,
): Promise<readonly Observed[]> {
  const startedMs = performance.now();
  const known = await locks.read("register").catch(() => undefined);
  const read: Observed[] = known
    ? [
        {
          ...{ client, startedMs, endedMs: performance.now(), kind: "read" },
          ...{ version: known.version, value: text(known) ?? "" },
        },
      ]
    : [];
  if (i % 3 === 0) return read;
  const value = `${client}:${i}`;
  const begunMs = performance.now();
  const event = { client, startedMs: begunMs, kind: "write", value } as const;
  let expected = known?.version ?? 0n;
  let from = text(known) ?? "";
  try {
    if (i % 3 === 1) {
      const written = await locks.compareAndSet(
        "register",
        known?.version,
        bytes(value),
        operationId(),
      );
      const { version } = written;
      return [...read, { ...event, endedMs: performance.now(), expected, from, version }];
    }
    const lease = await locks.acquire("register", { ttlMs: 600, waitMs: 2_000 });
    expected = lease.current?.version ?? 0n;
    from = text(lease.current) ?? "";
    const [written] = await locks.commit([{ lease, value: bytes(value) }], operationId());
    const version = written?.version ?? 0n;
    void lease.release().catch(() => undefined);
    return [...read, { ...event, endedMs: performance.now(), expected, from, version }];
  } catch (error) {
    if (error instanceof UnknownOutcomeError) {
      return [...read, { ...event, endedMs: Infinity, expected, from, version: expected + 1n }];
    }
    if (
      error instanceof ConflictError ||
      error instanceof StaleTokenError ||
      error instanceof LockTimeoutError ||
      error instanceof LockUnavailableError
    ) {
      return read;
    }
    throw error;
  }
}
