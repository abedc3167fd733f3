/** What a client makes of answers that do not come, and of clocks that do not go as they should. */
import { describe, expect, test } from "vitest";
import { LeaseLostError, LockUnavailableError } from "../../src/errors.ts";
import type { Authority } from "../../src/escalate/fence/authority.ts";
import { GuardTable } from "../../src/escalate/fence/guard-table.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import { RecentSightings, RollbackWatch } from "../../src/escalate/rollback-watch.ts";
import { type VirtualEnvironment, World } from "../simulation/virtual-environment.ts";
import { run } from "./scene.ts";
import { bytes, rejection } from "./trial.ts";

/** A client whose requests pass through `change`. */
function open(change: (table: GuardTable) => Partial<Authority> = () => ({})): {
  world: World;
  environment: VirtualEnvironment;
  table: GuardTable;
  client: LockBackend;
} {
  const world = new World(1);
  const environment = world.environment();
  const table = new GuardTable(world.environment());
  const authority: Authority = {
    birth: () => table.birth(),
    open: (request) => table.open(request),
    turn: (request) => table.turn(request),
    cancel: (request) => table.cancel(request),
    renew: (request) => table.renew(request),
    read: (request) => table.read(request),
    commit: (request) => table.commit(request),
    compareAndSet: (request) => table.compareAndSet(request),
    operate: (request) => table.operate(request),
    ...change(table),
  };
  const client = memoryLocks({ store: { authority }, environment, answerMs: 100 });
  return { world, environment, table, client };
}

const never = (): Promise<never> => new Promise(() => undefined);
const away = (): Promise<never> => Promise.reject(new LockUnavailableError("not connected"));

describe("the client of an authority", () => {
  test("does not call a write refused because of a lease when an earlier copy may still arrive", async () => {
    let asked = 0;
    const { world, client } = open((table) => ({
      compareAndSet: (request) => (asked++ === 0 ? never() : table.compareAndSet(request)),
    }));
    await run(world, client.acquire("r", { ttlMs: 10_000, waitMs: 0 }));
    const outcome = rejection(client.compareAndSet("r", undefined, bytes("x"), "id"));
    expect(await run(world, outcome)).toMatchObject({ code: "TRELLIS_UNKNOWN_OUTCOME" });
    const sure = rejection(client.compareAndSet("r", undefined, bytes("x"), "other"));
    expect(await run(world, sure)).toMatchObject({ code: "TRELLIS_CONFLICT", held: true });
  });

  test("does not call an operation refused by its bounds when an earlier copy may still arrive", async () => {
    let asked = 0;
    const { world, client } = open((table) => ({
      operate: (request) => (asked++ === 0 ? never() : table.operate(request)),
    }));
    const add = { kind: "add", by: -1n, min: 0n } as const;
    const outcome = rejection(client.operate?.("r", add, "id") ?? never());
    expect(await run(world, outcome)).toMatchObject({ code: "TRELLIS_UNKNOWN_OUTCOME" });
  });

  test("says unavailable, not unknown, when surely nothing was sent", async () => {
    const { world, client } = open(() => ({ compareAndSet: away }));
    const outcome = rejection(client.compareAndSet("r", undefined, bytes("x"), "id"));
    expect(await run(world, outcome)).toBeInstanceOf(LockUnavailableError);
  });

  test("says unavailable, not timed out, when nobody can say that it was not granted", async () => {
    const { world, client } = open(() => ({ cancel: never }));
    await run(world, client.acquire("r", { ttlMs: 10_000, waitMs: 0 }));
    const outcome = rejection(client.acquire("r", { ttlMs: 10_000, waitMs: 50 }));
    expect(await run(world, outcome)).toBeInstanceOf(LockUnavailableError);
  });
});

describe("a lease is lost", () => {
  const ttlMs = 10_000;

  test("on the first line after a pause, before any timer has run", async () => {
    const { world, environment, client } = open();
    const lease = await run(world, client.acquire("r", { ttlMs, waitMs: 0 }));
    environment.pause();
    await world.settle({ forMs: ttlMs });
    expect(lease.lost.aborted).toBe(true);
    expect(await rejection(lease.renew())).toBeInstanceOf(LeaseLostError);
  });

  test("when the wall clock went on while the monotonic one stood still, as in a suspended machine", async () => {
    const { world, environment, client } = open();
    const lease = await run(world, client.acquire("r", { ttlMs, waitMs: 0 }));
    environment.skewMs += ttlMs;
    expect(lease.lost.aborted).toBe(true);
  });

  test("in time though the wall clock was set back", async () => {
    const { world, environment, client } = open();
    const lease = await run(world, client.acquire("r", { ttlMs, waitMs: 0 }));
    environment.skewMs -= 3_600_000;
    await world.settle({ forMs: ttlMs - 150 });
    expect(lease.lost.aborted).toBe(false);
    await world.settle({ forMs: 100 });
    expect(lease.lost.aborted).toBe(true);
  });

  test("counting from before the request was sent, not from its answer", async () => {
    const slow = 4_000;
    const world = new World(1);
    const environment = world.environment();
    const after = <T>(answer: T): Promise<T> =>
      new Promise((resolve) => void environment.schedule(slow, () => resolve(answer)));
    const table = new GuardTable(environment);
    const authority: Authority = {
      birth: () => table.birth(),
      open: async (request) => after(await table.open(request)),
      turn: (request) => table.turn(request),
      cancel: (request) => table.cancel(request),
      renew: async (request) => after(await table.renew(request)),
      read: (request) => table.read(request),
      commit: (request) => table.commit(request),
      compareAndSet: (request) => table.compareAndSet(request),
    };
    const client = memoryLocks({ store: { authority }, environment, answerMs: ttlMs });
    const lease = await run(world, client.acquire("r", { ttlMs, waitMs: 0 }));
    await run(world, lease.renew());
    const leftMs = ttlMs * 0.99 - slow;
    await world.settle({ forMs: leftMs - 100 });
    expect(lease.lost.aborted).toBe(false);
    await world.settle({ forMs: 100 });
    expect(lease.lost.aborted).toBe(true);
  });
});

test("a store that was set back is refused by who saw more, though its birth is the same", async () => {
  const restored: Awaited<ReturnType<GuardTable["read"]>>[] = [];
  const { world, client } = open((table) => ({
    read: async (request) => restored[0] ?? table.read(request),
  }));
  const watch = new RollbackWatch(client, new RecentSightings());
  await run(world, watch.compareAndSet("r", undefined, bytes("1"), "1"));
  await run(world, watch.compareAndSet("r", 1n, bytes("2"), "2"));
  expect(await run(world, watch.read("r"))).toMatchObject({ version: 2n });
  const present = { value: bytes("1"), version: 1n, token: 0n };
  restored.push({ kind: "present", present });
  expect(await run(world, rejection(watch.read("r")))).toMatchObject({
    code: "TRELLIS_STORE_ROLLED_BACK",
    resource: "r",
  });
  const set = rejection(watch.compareAndSet("r", 1n, bytes("3"), "3"));
  expect(await run(world, set)).toMatchObject({ code: "TRELLIS_STORE_ROLLED_BACK" });
});

test("a store that was set back is also noticed by what a refusal says is there", async () => {
  let isSetBack = false;
  const { world, client } = open((table) => ({
    compareAndSet: async (request) =>
      isSetBack
        ? {
            ...{ kind: "moved", index: 0, installed: 0n, forgotten: false },
            present: { value: bytes("1"), version: 1n, token: 0n },
          }
        : table.compareAndSet(request),
  }));
  const watch = new RollbackWatch(client, new RecentSightings());
  await run(world, watch.compareAndSet("r", undefined, bytes("1"), "1"));
  await run(world, watch.compareAndSet("r", 1n, bytes("2"), "2"));
  isSetBack = true;
  const set = rejection(watch.compareAndSet("r", 2n, bytes("3"), "3"));
  expect(await run(world, set)).toMatchObject({ code: "TRELLIS_STORE_ROLLED_BACK" });
});

test("a store that forgets the token of what was never written is not taken for another", async () => {
  const { world, client } = open();
  const watch = new RollbackWatch(client, new RecentSightings());
  const lease = await run(world, watch.acquire("r", { ttlMs: 10_000, waitMs: 0 }));
  await run(world, lease.release());
  await run(world, watch.compareAndSet("r", undefined, bytes("1"), "1"));
  expect(await run(world, watch.read("r"))).toMatchObject({ version: 1n, token: 0n });
  await run(world, watch.compareAndSet("r", 1n, bytes("2"), "2"));
  expect(await run(world, watch.read("r"))).toMatchObject({ version: 2n });
});
