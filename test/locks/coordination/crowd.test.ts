/** Many at once: nobody waits for ever, and a release wakes one. */
import { expect, test } from "vitest";
import { memoryLocks, memoryLockStore } from "../../../src/escalate/locks/memory.ts";
import type { LockBackend } from "../../../src/escalate/locks.ts";
import { openLocks } from "../../../src/locks.ts";
import { type Citizen, pass, Town } from "./town.ts";

test("fifty workers that take two to five of twenty locks at random for a minute never stand still", async () => {
  const town = new Town(1);
  const citizens = Array.from({ length: 10 }, (_, i) => town.citizen(`p${i}`));
  const done: number[] = [];
  const failures: unknown[] = [];
  const over = new AbortController();
  const work = async (citizen: Citizen, worker: number): Promise<void> => {
    done[worker] = 0;
    while (!over.signal.aborted) {
      const count = 2 + town.random.below(4);
      const names = Array.from({ length: count }, () => `r${town.random.below(20)}`);
      const holdMs = town.random.below(20);
      await citizen.locks.withLocks(names, () => pass(citizen, holdMs), { waitMs: 60_000 });
      done[worker]++;
    }
  };
  const working = citizens.flatMap((citizen, i) =>
    Array.from({ length: 5 }, (_, j) =>
      work(citizen, i * 5 + j).catch((error: unknown) => failures.push(error)),
    ),
  );
  for (let i = 0; i < 6; i++) {
    const before = [...done];
    await town.world.settle({ forMs: 10_000 });
    expect(done.filter((count, worker) => count <= (before[worker] ?? 0))).toEqual([]);
  }
  over.abort();
  await town.world.settle({ forMs: 60_000 });
  await Promise.all(working);
  expect(failures).toEqual([]);
});

test("five hundred who wait for one permit ask the store a few times each, however long the line", async () => {
  const store = memoryLockStore();
  let asked = 0;
  const counted = (backend: LockBackend): LockBackend =>
    new Proxy(backend, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...args: unknown[]): unknown => {
          asked++;
          return Reflect.apply(value, target, args);
        };
      },
    });
  const processes = [0, 1, 2, 3, 4].map(() => openLocks(counted(memoryLocks({ store }))));
  let entries = 0;
  const entering = Array.from({ length: 500 }, (_, i) =>
    processes[i % 5]?.withPermit("s", 1, () => void entries++, { waitMs: 60_000 }),
  );
  await Promise.all(entering.filter((one) => one !== undefined));
  expect(entries).toBe(500);
  // The gate, the seat before, one's own, and the list; releases are not counted.
  expect(asked / entries).toBeLessThanOrEqual(5);
  for (const locks of processes) await locks[Symbol.asyncDispose]();
});
