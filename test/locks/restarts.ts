/** Tokens and versions over many restarts of a store by SIGKILL. */
import { expect } from "vitest";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { expectGrowing } from "./cases/leases.ts";
import { bytes, operationId, text } from "./trial.ts";

/** Each so many restarts one lease is held over it: its holder, which lives on, must have it end before the next. */
const heldEvery = 10;
const ttlMs = 1_000;
/** For a restart and what it holds up. */
const outageMsMax = 20_000;

/** Of a real server, one after the other. */
export const restarts = 100;

/** Grants, commits and kills in turn. */
export async function growOverRestarts(
  client: LockBackend,
  restart: () => Promise<unknown>,
): Promise<void> {
  const tokens: bigint[] = [];
  for (let i = 0; i < restarts; i++) {
    const lease = await client.acquire("r", { ttlMs, waitMs: outageMsMax });
    tokens.push(lease.token);
    expect(lease.current?.version ?? 0n).toBe(BigInt(i));
    await client.commit([{ lease, value: bytes(`${i}`) }], operationId());
    if (i % heldEvery > 0) await lease.release();
    await restart();
  }
  expectGrowing(tokens);
  expect(tokens).toHaveLength(restarts);
  expect(text(await client.read("r"))).toBe(`${restarts - 1}`);
}
