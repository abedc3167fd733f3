/** Opening, closing, and what is left afterwards. */
import { expect } from "vitest";
import { ClosedError } from "../../../src/errors.ts";
import type { LockCase } from "../conformance.ts";
import { bytes, operationId, rejection } from "../trial.ts";

/** Timers and sockets that keep the process alive. */
const handles = (): number =>
  process
    .getActiveResourcesInfo()
    .filter((kind) => /^(?:Timeout|TCP|TLS|Socket|Pipe)/u.test(kind) && kind !== "PipeWrap").length;

export const lifetimeCases: readonly LockCase[] = [
  {
    name: "a store has one birth for all its clients, and guarantees are said at once",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const births = await Promise.all([first.birth(), second.birth(), first.birth()]);
      expect(new Set(births).size).toBe(1);
      expect(births[0]).not.toBe("");
      expect(first.name).not.toBe("");
      expect(["durable", "until-restart", "advisory"]).toContain(first.guarantees.fencing);
    },
  },
  {
    name: "closing gives back what is held, ends who waits, and refuses what comes",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const third = await trial.client();
      const lease = await trial.hold(first, "r");
      const other = await trial.hold(second, "other");
      const waiting = rejection(trial.hold(first, "other", trial.longMs));
      await trial.settled(() => trial.faults.requests?.(first) ?? 0);
      await trial.within(Promise.resolve(first[Symbol.asyncDispose]()), "closing", trial.longMs);
      await first[Symbol.asyncDispose]();
      expect(await trial.within(waiting, "the waiter")).toBeInstanceOf(ClosedError);
      await trial.hold(third, "r");
      const calls = [
        () => trial.hold(first, "r"),
        () => first.read("r"),
        () => first.birth(),
        () => first.commit([{ lease, value: bytes("x") }], operationId()),
        () => first.compareAndSet("r", undefined, bytes("x"), operationId()),
      ];
      for (const call of calls) expect(await rejection(call())).toBeInstanceOf(ClosedError);
      await other.release();
      await trial.hold(third, "other");
    },
  },
  {
    name: "a backend that was never used closes, and one that was leaves no timer and no socket",
    run: async (trial) => {
      const unused = await trial.client();
      await unused[Symbol.asyncDispose]();
      const before = handles();
      const [first, second] = await trial.pair();
      await trial.hold(first, "r");
      const leaving = new AbortController();
      const { signal } = leaving;
      const options = { ttlMs: trial.longMs, waitMs: trial.longMs, signal };
      const left = rejection(second.acquire("r", options));
      const waiting = rejection(trial.hold(second, "r", trial.longMs));
      await trial.settled(() => trial.faults.requests?.(second) ?? 0);
      leaving.abort(new Error("left"));
      await left;
      await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
      await waiting;
      await trial.until(() => handles() <= before, "nothing left");
    },
  },
];
