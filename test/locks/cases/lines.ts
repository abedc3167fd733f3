/** Standing in line: order, one wake-up at a time, and leaving without a trace. */
import { setMaxListeners } from "node:events";
import { expect } from "vitest";
import { LockTimeoutError } from "../../../src/errors.ts";
import type { Lease, LockBackend } from "../../../src/escalate/locks.ts";
import type { LockCase } from "../conformance.ts";
import { rejection } from "../trial.ts";

const settled = Symbol("settled");

/** A release may make those in line ask the store so often, however many they are. */
const questionsMax = 4;

export const lineCases: readonly LockCase[] = [
  {
    name: "those who stand in line are granted one after the other, in the order of arrival",
    needs: ["order"],
    run: async (trial) => {
      const holder = await trial.client();
      const clients = [await trial.client(), await trial.client(), await trial.client()];
      for (const client of clients) await client.birth();
      const lease = await trial.hold(holder, "r");
      const granted: number[] = [];
      const waiting: Promise<void>[] = [];
      for (let i = 0; i < 9; i++) {
        const client = clients[i % 3] ?? holder;
        waiting.push(
          trial.hold(client, "r", trial.longMs).then((next) => {
            granted.push(i);
            return next.release();
          }),
        );
        await trial.settled(() => trial.faults.requests?.(client) ?? 0);
      }
      await lease.release();
      await trial.within(Promise.all(waiting), "the line", trial.longMs);
      expect(granted).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    },
  },
  {
    name: "a release wakes one of a long line, and the store is asked little",
    run: async (trial) => {
      const holder = await trial.client();
      const clients = [await trial.client(), await trial.client(), await trial.client()];
      const asked = (): number =>
        clients.reduce((sum, client) => sum + (trial.faults.requests?.(client) ?? 0), 0);
      const lease = await trial.hold(holder, "r");
      const leaving = new AbortController();
      setMaxListeners(trial.waiters, leaving.signal);
      const granted: Lease[] = [];
      const options = { ttlMs: trial.longMs, waitMs: trial.longMs, signal: leaving.signal };
      const stand = async (client: LockBackend): Promise<void> => {
        const next = await client.acquire("r", options).catch(() => undefined);
        if (next) granted.push(next);
      };
      const waiting = Array.from({ length: trial.waiters }, (_, i) =>
        stand(clients[i % clients.length] ?? holder),
      );
      await trial.settled(asked, trial.joinedMs);
      const before = asked();
      await lease.release();
      await trial.until(() => granted.length > 0, "the first grant", trial.longMs);
      const endMs = performance.now() + trial.ttlMs;
      await trial.until(() => performance.now() > endMs, "a while");
      expect(granted).toHaveLength(1);
      // The count has fractions for what is under way.
      const questions = Math.floor(asked() - before);
      if (trial.faults.requests) expect(questions).toBeLessThanOrEqual(questionsMax);
      leaving.abort(settled);
      await trial.within(Promise.all(waiting), "leaving", trial.longMs);
      await granted[0]?.release();
      await (await trial.hold(holder, "r", trial.expiryMs)).release();
    },
  },
  {
    name: "who gives up in line is told so at once, and leaves nothing in the way",
    run: async (trial) => {
      const [holder, quitter] = await trial.pair();
      const next = await trial.client();
      const lease = await trial.hold(holder, "r");
      const leaving = new AbortController();
      const reason = new Error("no more");
      const { longMs } = trial;
      const waiting = quitter.acquire("r", {
        ttlMs: longMs,
        waitMs: longMs,
        signal: leaving.signal,
      });
      const other = trial.hold(next, "r", longMs);
      await trial.settled(() => trial.faults.requests?.(quitter) ?? 0);
      leaving.abort(reason);
      expect(await trial.within(rejection(waiting), "leaving", trial.slackMs)).toBe(reason);
      await lease.release();
      const granted = await trial.within(other, "the next", trial.slackMs);
      await granted.release();
      await (await trial.hold(holder, "r", trial.slackMs)).release();
    },
  },
  {
    name: "a signal that is aborted already asks nothing",
    run: async (trial) => {
      const client = await trial.client();
      const before = trial.faults.requests?.(client);
      const reason = new Error("too late");
      const signal = AbortSignal.abort(reason);
      const options = { ttlMs: trial.longMs, waitMs: 0, signal };
      expect(await rejection(client.acquire("r", options))).toBe(reason);
      expect(trial.faults.requests?.(client)).toBe(before);
    },
  },
  {
    name: "a wait ends when its time is over, and leaves nothing in the way",
    run: async (trial) => {
      const [holder, waiter] = await trial.pair();
      const lease = await trial.hold(holder, "r");
      const startedMs = performance.now();
      const late = await trial.within(rejection(trial.hold(waiter, "r", trial.ttlMs)), "the wait");
      expect(late).toBeInstanceOf(LockTimeoutError);
      expect(late).toMatchObject({ resource: "r", waitMs: trial.ttlMs });
      expect(performance.now() - startedMs).toBeGreaterThan(trial.ttlMs - 5);
      await lease.release();
      await (await trial.hold(holder, "r")).release();
    },
  },
  {
    name: "a compare-and-set does not slip in between one holder and the next",
    run: async (trial) => {
      const [holder, next] = await trial.pair();
      const hasty = await trial.client();
      const lease = await trial.hold(holder, "r");
      const waiting = trial.hold(next, "r", trial.longMs);
      await trial.settled(() => trial.faults.requests?.(next) ?? 0);
      const [, set] = await Promise.all([
        lease.release(),
        rejection(hasty.compareAndSet("r", undefined, new Uint8Array(1), "hasty")),
      ]);
      expect(set).toMatchObject({ code: "TRELLIS_CONFLICT", held: true });
      expect((await waiting).current).toBeUndefined();
    },
  },
];
