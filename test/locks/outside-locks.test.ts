/** `replica.locks`, and a replica over a backend that was handed in. */
import { expect, test } from "vitest";
import { counter, LockTimeoutError, openReplica, UsageError } from "../../src/index.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import { until } from "../servers/until.ts";

const schema = { likes: counter() };

test("one at a time runs under a lock, with tokens that grow", async () => {
  await using replica = await openReplica({ schema });
  const tokens: bigint[] = [];
  let inside = 0;
  const run = async (): Promise<void> =>
    replica.locks.withLock("report/daily", async ({ token }) => {
      expect(++inside).toBe(1);
      tokens.push(token);
      await Promise.resolve();
      inside--;
    });
  await Promise.all([run(), run(), run()]);
  expect(tokens.length).toBe(3);
  expect(tokens.every((token, i) => i === 0 || token > (tokens[i - 1] ?? 0n))).toBe(true);
  const both = replica.locks.withLocks(["b", "a"], (leases) => leases.map((one) => one.resource));
  expect(await both).toEqual(["lock/b", "lock/a"]);
});

test("a backend that was handed in is used, shown, and disposed of with the replica", async () => {
  const locks = memoryLocks();
  const replica = await openReplica({ schema, locks });
  expect(replica.status().locks).toMatchObject({
    kind: "backend",
    name: "memory",
    calls: "closed",
  });
  const lease = await locks.acquire("lock/job", { ttlMs: 60_000, waitMs: 0 });
  const late = replica.locks.withLock("job", () => undefined, { waitMs: 10 });
  await expect(late).rejects.toThrow(LockTimeoutError);
  await lease.release();
  await replica.close();
  await expect(locks.read("lock/job")).rejects.toThrow("closed");
});

test("closing does not wait for ever for who holds a lock", async () => {
  const replica = await openReplica({ schema, locks: memoryLocks() });
  let isIn = false;
  let letGo = (): void => undefined;
  const holding = replica.locks.withLock("job", async () => {
    isIn = true;
    await new Promise<void>((resolve) => {
      letGo = resolve;
    });
  });
  await until("the lock is held", 5_000, () => isIn);
  await replica.close();
  await expect(replica.locks.withLock("other", () => 1)).rejects.toThrow("closed");
  letGo();
  await holding.catch(() => undefined);
});

test("what is no backend is refused", async () => {
  const locks = { acquire: () => undefined } as unknown as ReturnType<typeof memoryLocks>;
  await expect(openReplica({ schema, locks })).rejects.toThrow(UsageError);
});
