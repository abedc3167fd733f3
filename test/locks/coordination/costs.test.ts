/** What each lock costs in calls of the backend, each a round trip: the figures of docs/locks.md. */
import { expect, test } from "vitest";
import { memoryLocks } from "../../../src/escalate/locks/memory.ts";
import type { LockBackend } from "../../../src/escalate/locks.ts";
import type { OutsideLocks } from "../../../src/escalate/outside-locks.ts";
import { openLocks } from "../../../src/locks.ts";

/** The same backend, and what was asked of it. */
function counted(backend: LockBackend): {
  readonly backend: LockBackend;
  readonly calls: string[];
} {
  const calls: string[] = [];
  const told =
    <A extends unknown[], R>(name: string, call: (...args: A) => R) =>
    (...args: A): R => {
      calls.push(name);
      return call(...args);
    };
  return {
    calls,
    backend: {
      name: backend.name,
      guarantees: backend.guarantees,
      birth: told("birth", backend.birth.bind(backend)),
      read: told("read", backend.read.bind(backend)),
      commit: told("commit", backend.commit.bind(backend)),
      compareAndSet: told("compareAndSet", backend.compareAndSet.bind(backend)),
      acquire: told("acquire", async (...args: Parameters<LockBackend["acquire"]>) => {
        const lease = await backend.acquire(...args);
        const release = lease.release.bind(lease);
        return Object.defineProperty(lease, "release", {
          value: (): Promise<void> => {
            calls.push("release");
            return release();
          },
        });
      }),
      [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
    },
  };
}

const nothing = (): void => undefined;

async function jobRun(locks: OutsideLocks): Promise<void> {
  let begun = nothing;
  const running = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const job = locks.singleton("a", () => begun(), { every: 60_000 });
  await running;
  await job.stop();
}

test.each<readonly [string, (locks: OutsideLocks) => Promise<unknown>, number]>([
  ["advisory", (locks) => locks.advisory("a", nothing), 2],
  ["withLock", (locks) => locks.withLock("a", nothing), 2],
  ["withStripe", (locks) => locks.withStripe("a", "k", nothing), 2],
  ["own and release", async (locks) => (await locks.own("a")).release(), 3],
  ["own and hand over", async (locks) => (await locks.own("a")).handOver({ at: 1 }), 4],
  ["a run of a job", jobRun, 3],
  ["a term", (locks) => locks.campaign("a", nothing), 3],
  ["withPermit", (locks) => locks.withPermit("a", 3, nothing), 5],
  ["shared", (locks) => locks.shared("a", nothing), 5],
  ["exclusive", (locks) => locks.exclusive("a", nothing), 5],
  ["withPath of three names", (locks) => locks.withPath("shop/eu/sku-9", "exclusive", nothing), 15],
])("%s, when nobody is in the way", async (_, use, trips) => {
  const { backend, calls } = counted(memoryLocks());
  await using locks = openLocks(backend);
  await use(locks);
  expect({ calls, count: calls.length }).toEqual({ calls, count: trips });
});
