/** What holds when clients die, answers are lost, and stores come back different. */
import { expect } from "vitest";
import {
  LeaseLostError,
  LockUnavailableError,
  StaleTokenError,
  StoreRolledBackError,
  UnknownOutcomeError,
} from "../../../src/errors.ts";
import type { LockBackend } from "../../../src/escalate/locks.ts";
import type { LockCase } from "../conformance.ts";
import { aborted, bytes, elapse, operationId, rejection, text, type Trial } from "../trial.ts";
import { expectGrowing } from "./leases.ts";
import { operate } from "./operations.ts";

/** Breaks a client, and mends it when its first request was lost, so that a repetition gets through. */
async function whileBroken<T>(
  trial: Trial,
  client: LockBackend,
  work: () => Promise<T>,
): Promise<T> {
  const asked = trial.faults.requests?.(client) ?? 0;
  await trial.faults.loseReplies?.(client);
  const working = work();
  working.catch(() => undefined);
  await trial.until(() => (trial.faults.requests?.(client) ?? 0) > asked, "a request");
  await elapse(5); // it arrives, unanswered
  await trial.faults.mend?.(client);
  return working;
}

export const faultCases: readonly LockCase[] = [
  {
    name: "the lease of a client that died ends, and tokens grow on",
    needs: ["crash"],
    run: async (trial) => {
      const survivor = await trial.client();
      const tokens: bigint[] = [];
      for (let i = 0; i < 3; i++) {
        const victim = await trial.client();
        tokens.push((await trial.holdBriefly(victim, "r", trial.expiryMs)).token);
        await trial.faults.crash?.(victim);
      }
      tokens.push((await trial.hold(survivor, "r", trial.expiryMs)).token);
      expectGrowing(tokens);
    },
  },
  {
    name: "a client that died in line holds up those behind it for no longer than a lease",
    needs: ["crash"],
    run: async (trial) => {
      const [holder, victim] = await trial.pair();
      const survivor = await trial.client();
      const lease = await trial.hold(holder, "r");
      const lost = trial.holdBriefly(victim, "r", trial.longMs).catch(() => undefined);
      await trial.settled(() => trial.faults.requests?.(victim) ?? 0);
      await trial.faults.crash?.(victim);
      const next = trial.hold(survivor, "r", trial.longMs);
      await trial.settled(() => trial.faults.requests?.(survivor) ?? 0);
      await lease.release();
      await trial.within(next, "the one behind", trial.expiryMs);
      await victim[Symbol.asyncDispose]();
      await lost;
    },
  },
  {
    name: "a renewal that hangs does not keep a lease alive in the eyes of its holder",
    needs: ["hang", "mend"],
    run: async (trial) => {
      const client = await trial.client();
      const lease = await trial.holdBriefly(client, "r");
      const startedMs = performance.now();
      const limitMs = trial.ttlMs + trial.slackMs / 4;
      await trial.faults.hang?.(client);
      const renewal = rejection(lease.renew());
      await trial.within(aborted(lease.lost), "the loss", limitMs);
      expect(performance.now() - startedMs).toBeLessThan(limitMs);
      const refused = await renewal;
      expect(refused instanceof LeaseLostError || refused instanceof LockUnavailableError).toBe(
        true,
      );
      await trial.faults.mend?.(client);
    },
  },
  {
    name: "a lost answer to a write is found again by its id, and the write counts once",
    needs: ["loseReplies", "mend", "requests"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.hold(first, "r");
      const commit = (): Promise<unknown> =>
        first.commit([{ lease, value: bytes("once") }], operationId());
      expect(await whileBroken(trial, first, commit)).toMatchObject([{ version: 1n }]);
      await lease.release();
      const set = (): Promise<unknown> =>
        first.compareAndSet("r", 1n, bytes("twice"), operationId());
      expect(await whileBroken(trial, first, set)).toMatchObject({ version: 2n });
      expect(await second.read("r")).toMatchObject({ version: 2n, value: bytes("twice") });
    },
  },
  {
    name: "a lost answer to an operation is found again by its id, and it counts once",
    needs: ["loseReplies", "mend", "requests", "operate"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      await operate(first, { kind: "add", by: 1n });
      const add = (): Promise<unknown> => operate(first, { kind: "add", by: 1n });
      expect(await whileBroken(trial, first, add)).toMatchObject({ applied: true });
      expect(text(await second.read("r"))).toBe("2");
    },
  },
  {
    name: "a write whose answer stays away is unknown, and asking later under its id has no second effect",
    needs: ["loseReplies", "mend"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.hold(first, "r");
      await trial.faults.loseReplies?.(first);
      const id = operationId();
      const sections = [{ lease, value: bytes("perhaps") }];
      const unknown = await trial.within(
        rejection(first.commit(sections, id)),
        "the outcome",
        trial.longMs,
      );
      expect(unknown).toBeInstanceOf(UnknownOutcomeError);
      expect(unknown).toMatchObject({ operationId: id });
      await trial.faults.mend?.(first);
      expect(await first.commit(sections, id)).toMatchObject([{ version: 1n }]);
      expect((await second.read("r"))?.version).toBe(1n);
    },
  },
  {
    name: "a write without an answer that the next holder overtook is told apart from one that was applied",
    needs: ["hang", "mend"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.holdBriefly(first, "r");
      await trial.faults.hang?.(first);
      const id = operationId();
      const sections = [{ lease, value: bytes("never sent") }];
      const unknown = rejection(first.commit(sections, id));
      await trial.hold(second, "r", trial.expiryMs);
      const outcome = await trial.within(unknown, "the outcome", trial.longMs);
      expect(outcome).toMatchObject({ code: "TRELLIS_UNKNOWN_OUTCOME" });
      await trial.faults.mend?.(first);
      expect(await rejection(first.commit(sections, id))).toBeInstanceOf(StaleTokenError);
      expect(await second.read("r")).toBeUndefined();
    },
  },
  {
    name: "an acquire without an answer may be held, and is called off once that can be said",
    needs: ["loseReplies", "mend"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      await first.birth();
      await trial.faults.loseReplies?.(first);
      const unknown = await trial.within(
        rejection(trial.hold(first, "r")),
        "the acquire",
        trial.longMs,
      );
      expect(unknown).toBeInstanceOf(LockUnavailableError);
      await trial.faults.mend?.(first);
      await trial.hold(second, "r", trial.longMs);
    },
  },
  {
    name: "a grant that comes when its time is over is no lease",
    needs: ["delayReplies", "mend"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      await first.birth();
      await trial.faults.delayReplies?.(first, trial.ttlMs + 50);
      const late = await trial.within(
        rejection(trial.holdBriefly(first, "r", trial.ttlMs)),
        "the acquire",
        trial.longMs,
      );
      expect(["TRELLIS_LOCK_TIMEOUT", "TRELLIS_LOCK_UNAVAILABLE"]).toContain(late.code);
      await trial.faults.mend?.(first);
      await trial.hold(second, "r", trial.expiryMs);
    },
  },
  {
    name: "tokens grow and values stay when the store is killed and starts again",
    needs: ["restartStore"],
    run: async (trial) => {
      const client = await trial.client();
      const tokens: bigint[] = [];
      let version = 0n;
      for (let i = 0; i < 5; i++) {
        const lease = await trial.holdBriefly(client, "r", trial.longMs);
        tokens.push(lease.token);
        expect(lease.current?.version ?? 0n).toBe(version);
        const [written] = await client.commit([{ lease, value: bytes(`${i}`) }], operationId());
        version = written?.version ?? 0n;
        if (i % 2 === 0) await lease.release();
        await trial.faults.restartStore?.();
      }
      expectGrowing(tokens);
      expect(text(await client.read("r"))).toBe("4");
    },
  },
  {
    name: "a store that was wiped is refused by who knew it, and is another to who did not",
    needs: ["wipeStore"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const birth = await first.birth();
      expect(await second.birth()).toBe(birth);
      await first.compareAndSet("r", undefined, bytes("x"), operationId());
      const lease = await trial.hold(first, "held");
      await trial.faults.wipeStore?.();
      const attempts = [
        () => first.read("r"),
        () => first.compareAndSet("r", undefined, bytes("again"), operationId()),
        () => first.commit([{ lease, value: bytes("again") }], operationId()),
        () => trial.hold(second, "r"),
        () => second.birth(),
      ];
      for (const attempt of attempts) {
        expect(await rejection(attempt())).toBeInstanceOf(StoreRolledBackError);
      }
      const third = await trial.client();
      expect(await third.birth()).not.toBe(birth);
      expect(await third.read("r")).toBeUndefined();
    },
  },
];
