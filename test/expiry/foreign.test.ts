/** A replica without a schema does its part: what it knows of the types is what their tags tell. */
import { expect, test } from "vitest";
import { lwwRegister, openReplica, type Replica, type Schema } from "../../src/index.ts";
import { expiring } from "../../src/crdt/expiring.ts";
import { rateWindow } from "../../src/crdt/rate-window.ts";
import type { Keyspace } from "../../src/store/keyspace.ts";
import { keyspaceOf } from "../simulation/keyspace-of.ts";
import type { VirtualEnvironment } from "../simulation/virtual-environment.ts";
import { Village } from "../storage/village.ts";
import { boundMs, left, lifetimeMs, open } from "./scene.ts";

const peerSilentMsMax = 20_000;

interface Relay {
  readonly host: string;
  readonly environment: VirtualEnvironment;
  readonly replica: Replica<Schema>;
  readonly keyspace: Keyspace;
}

async function openRelay(village: Village, host: string, peers: string[] = []): Promise<Relay> {
  const environment = village.world.environment();
  const replica = await village.done(
    openReplica<Schema>({
      ...{ schema: {}, name: host, listen: { port: 0 }, clockAheadMsMax: boundMs },
      peers: peers.map((peer) => `mem://${peer}`),
      retention: { peerSilentMsMax },
      environment: village.outside(host, environment),
      storage: village.disk(host).backend(environment),
    }),
  );
  return { host, environment, replica, keyspace: keyspaceOf(replica) };
}

const keysOf = ({ replica }: Relay, name: string): number | undefined =>
  replica.inventory().find((entry) => entry.name === name)?.keys;

test("it shows keys until they expire, and not after", async () => {
  const village = new Village();
  const relay = await openRelay(village, "r");
  const a = await open(village, "a", { peers: ["r"], peerSilentMsMax });
  a.collections.sessions.add("k", "x");
  a.collections.pinned.set("p", "x");
  await village.pass(500);
  expect(relay.replica.status().keys).toMatchObject({ sessions: 1, pinned: 1 });
  await village.pass(lifetimeMs);
  expect(relay.keyspace.cells.count).toBeGreaterThan(2);
  expect(relay.replica.status().keys).toMatchObject({ sessions: 0, pinned: 1 });
  const sessions = relay.replica.collection("sessions");
  expect([keysOf(relay, "sessions"), sessions?.collection.has("k")]).toEqual([0, false]);
});

test("it lets keys expire, and hits go, when all that have a schema are gone", async () => {
  const village = new Village();
  const relay = await openRelay(village, "r");
  const a = await open(village, "a", { peers: ["r"], peerSilentMsMax });
  a.collections.sessions.add("k", "x");
  a.collections.hits.hit("k", 3);
  await village.pass(1_000);
  village.crash(a);
  expect(keysOf(relay, "sessions")).toBe(1);
  await village.pass(lifetimeMs + boundMs + 6_000);
  expect(keysOf(relay, "sessions")).toBe(0);
  await village.pass(200_000);
  expect(relay.keyspace.cells.count).toBe(0);
});

test("so it does with what its disk had", async () => {
  const village = new Village();
  const first = await openRelay(village, "r");
  const a = await open(village, "a", { peers: ["r"], peerSilentMsMax });
  a.collections.sessions.add("k", "x");
  a.collections.hits.hit("k", 3);
  await village.pass(1_000);
  village.crash(a);
  village.crash(first);
  const again = await openRelay(village, "r");
  expect([keysOf(again, "sessions"), keysOf(again, "hits")]).toEqual([1, 1]);
  await village.pass(200_000);
  expect(again.keyspace.cells.count).toBe(0);
});

test("a collection that is opened late knows what is there already", async () => {
  const village = new Village();
  const a = await open(village, "a");
  const opened = a.replica.collection("late", lwwRegister({ expireAfterMs: lifetimeMs }));
  if (opened?.kind !== "lww-register") throw new Error("it is none");
  opened.collection.set("k", 1);
  expect(opened.deadlines?.expiresAt("k")).toBeGreaterThan(0);
  expect(a.replica.status().keys).toMatchObject({ late: 1 });
  await village.pass(60_000);
  expect([opened.collection.has("k"), left(a)]).toEqual([false, 0]);
});

test("a shape that is not that of the tag is no collection of ours", async () => {
  const village = new Village();
  const relay = await openRelay(village, "r");
  const plain = lwwRegister();
  for (const [name, { tag }] of Object.entries({
    a: expiring(plain, { expireAfterMs: 1 }),
    b: rateWindow({ windowMs: 1_000 }),
  })) {
    relay.keyspace.nodes.adopt(name, tag, plain.shape);
    expect(relay.replica.collection(name)).toBeUndefined();
  }
});
