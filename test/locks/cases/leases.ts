/** Leases: one at a time, with tokens that grow, lost in time and never revived. */
import { expect } from "vitest";
import {
  ClosedError,
  LeaseLostError,
  LockTimeoutError,
  StaleTokenError,
} from "../../../src/errors.ts";
import type { LockCase } from "../conformance.ts";
import { aborted, bytes, operationId, rejection, text, type Trial } from "../trial.ts";

/** Acquires again and again, by all clients in turn, and returns the tokens in the order of grants. */
async function tokensOf(trial: Trial, rounds: number): Promise<bigint[]> {
  const clients = [await trial.client(), await trial.client(), await trial.client()];
  const tokens: bigint[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const client of clients) {
      const lease = await trial.hold(client, "tokens", trial.slackMs);
      tokens.push(lease.token);
      await lease.release();
    }
  }
  return tokens;
}

/** That each is larger than the one before. */
export const expectGrowing = (tokens: readonly bigint[]): void => {
  for (const [i, token] of tokens.entries()) {
    expect(typeof token).toBe("bigint");
    const before = tokens[i - 1];
    if (before !== undefined && token <= before) {
      expect.unreachable(`token ${token} came after ${before}, in ${tokens.join(", ")}`);
    }
  }
};

export const leaseCases: readonly LockCase[] = [
  {
    name: "while a lease lives nobody else is granted it, and after its release somebody is",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.hold(first, "r");
      expect(await rejection(trial.hold(second, "r"))).toBeInstanceOf(LockTimeoutError);
      expect(await rejection(trial.hold(first, "r"))).toBeInstanceOf(LockTimeoutError);
      await trial.hold(second, "another");
      await lease.release();
      expect((await trial.hold(second, "r")).token > lease.token).toBe(true);
    },
  },
  {
    name: "tokens grow strictly over releases",
    run: async (trial) => expectGrowing(await tokensOf(trial, 20)),
  },
  {
    name: "tokens grow strictly over expiries",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const tokens: bigint[] = [];
      for (const client of [first, second, first]) {
        const lease = await trial.holdBriefly(client, "r", trial.expiryMs);
        tokens.push(lease.token);
      }
      expectGrowing(tokens);
    },
  },
  {
    name: "a lease is lost, by its own clock, before anybody else is granted it",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.holdBriefly(first, "r");
      expect(lease.lost.aborted).toBe(false);
      const next = await trial.hold(second, "r", trial.expiryMs);
      expect(lease.lost.aborted).toBe(true);
      expect(lease.lost.reason).toBeInstanceOf(LeaseLostError);
      expect(next.token > lease.token).toBe(true);
    },
  },
  {
    name: "a lease that is renewed outlives its time to live, and others stay out",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.holdBriefly(first, "r");
      const startedMs = performance.now();
      while (performance.now() - startedMs < trial.ttlMs * 2) {
        await lease.renew();
        expect(await rejection(trial.hold(second, "r"))).toBeInstanceOf(LockTimeoutError);
      }
      expect(lease.lost.aborted).toBe(false);
      await lease.release();
    },
  },
  {
    name: "no renewal helps beyond maxHoldMs",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const { ttlMs } = trial;
      const lease = await first.acquire("r", { ttlMs, maxHoldMs: ttlMs * 2, waitMs: 0 });
      const startedMs = performance.now();
      while (!lease.lost.aborted) {
        expect(performance.now() - startedMs).toBeLessThan(ttlMs * 2 + trial.slackMs);
        await lease.renew().catch((error: unknown) => expect(error).toBeInstanceOf(LeaseLostError));
      }
      await trial.hold(second, "r", trial.expiryMs);
    },
  },
  {
    name: "a lease that has ended is not revived, though nobody took it",
    run: async (trial) => {
      const client = await trial.client();
      const lease = await trial.holdBriefly(client, "r");
      await trial.within(aborted(lease.lost), "the loss");
      expect(await rejection(lease.renew())).toBeInstanceOf(LeaseLostError);
      expect(lease.lost.aborted).toBe(true);
    },
  },
  {
    name: "a release by a former owner changes nothing",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const third = await trial.client();
      const former = await trial.holdBriefly(first, "r");
      const owner = await trial.hold(second, "r", trial.expiryMs);
      await former.release();
      expect(await rejection(trial.hold(third, "r"))).toBeInstanceOf(LockTimeoutError);
      await owner.renew();
      const [guarded] = await second.commit(
        [{ lease: owner, value: bytes("theirs") }],
        operationId(),
      );
      expect(text(guarded)).toBe("theirs");
    },
  },
  {
    name: "releasing and disposing twice is harmless, and nothing goes on after it",
    run: async (trial) => {
      const client = await trial.client();
      const lease = await trial.hold(client, "r");
      await Promise.all([lease.release(), lease.release()]);
      await lease.release();
      await lease[Symbol.asyncDispose]();
      expect(lease.lost.aborted).toBe(false);
      expect(await rejection(lease.renew())).toBeInstanceOf(ClosedError);
      const late = client.commit([{ lease, value: bytes("late") }], operationId());
      expect(await rejection(late)).toBeInstanceOf(StaleTokenError);
      expect(await client.read("r")).toBeUndefined();
    },
  },
  {
    name: "a lease opens the guard as it is then",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.hold(first, "r");
      expect(lease.current).toBeUndefined();
      const [written] = await first.commit([{ lease, value: bytes("one") }], operationId());
      expect(written).toMatchObject({ version: 1n, token: lease.token });
      await lease.release();
      const next = await trial.hold(second, "r");
      expect(text(next.current)).toBe("one");
      expect(next.current?.version).toBe(1n);
    },
  },
];
