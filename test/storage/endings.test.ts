/** Facts about actors that ended: who writes them, whom they reach, and which waits they end. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { actorIdFromBytes } from "../../src/crdt/dot.ts";
import { type Ending, endingCode, endingOf, joinEndings } from "../../src/crdt/ending.ts";
import { VersionLostError, WaitTimeoutError } from "../../src/errors.ts";
import { strangersMax } from "../../src/store/endings.ts";
import { Keyspace } from "../../src/store/keyspace.ts";
import { keyspaceOf } from "../simulation/keyspace-of.ts";
import { World } from "../simulation/virtual-environment.ts";
import { type Resident, Village } from "./village.ts";

const ending: fc.Arbitrary<Ending> = fc.record({ at: fc.nat(5), isFinal: fc.boolean() });

test("facts join as a semilattice does, and are one integer each", () => {
  fc.assert(
    fc.property(ending, ending, ending, (a, b, c) => {
      expect(joinEndings(a, a)).toEqual(a);
      expect(joinEndings(a, joinEndings(b, c))).toEqual(joinEndings(joinEndings(a, b), c));
      expect(endingOf(endingCode(a))).toEqual(a);
    }),
  );
  fc.assert(
    fc.property(ending, ending, (a, b) => {
      // An actor ends once: two final facts about one are the same.
      fc.pre(!(a.isFinal && b.isFinal));
      expect(joinEndings(a, b)).toEqual(joinEndings(b, a));
    }),
  );
  expect(endingOf(endingCode(undefined))).toBeUndefined();
});

const known = (of: Resident, actor: string): Ending | undefined => {
  const { endings } = keyspaceOf(of.replica);
  for (const [name, fact] of endings.entries()) if (name === actor) return fact;
  return undefined;
};

describe("an actor that ended", () => {
  test("is said to have by a clean close: to peers, to their peers, and on the disk", async () => {
    const village = new Village();
    const hub = await village.open("hub", []);
    const far = await village.open("far", ["hub"]);
    const shop = await village.open("shop", ["hub"], { isDurable: true });
    const { actor } = shop.replica.status();
    shop.replica.collections.likes.increment("post");
    shop.replica.version();
    shop.replica.collections.likes.increment("post");
    const version = shop.replica.version();
    await village.done(far.replica.waitFor(version));
    await village.done(shop.replica.close());
    await village.until(() => known(far, actor) !== undefined);
    const again = await village.open("shop", [], { isDurable: true });
    for (const one of [hub, far, again]) {
      expect(known(one, actor)).toEqual({ at: 2, isFinal: true });
    }
  });

  test("is said to have by who reopens after a crash, also to peers that come much later", async () => {
    const village = new Village();
    const shop = await village.open("shop", [], { isDurable: true });
    const { actor } = shop.replica.status();
    shop.replica.collections.likes.increment("post");
    await village.done(shop.replica.acknowledged(shop.replica.version(), { by: "durable" }));
    village.crash(shop);
    const again = await village.open("shop", [], { isDurable: true });
    expect(known(again, actor)).toEqual({ at: 1, isFinal: false });
    const peer = await village.open("peer", ["shop"], { isDurable: true });
    await village.until(() => known(peer, actor) !== undefined);
    expect(known(peer, actor)).toEqual({ at: 1, isFinal: false });
    await village.done(peer.replica.acknowledged(again.replica.version(), { by: "durable" }));
    await village.pass(1_000);
    village.crash(peer);
    const reopened = await village.open("peer", [], { isDurable: true });
    expect(known(reopened, actor)).toEqual({ at: 1, isFinal: false });
  });

  test("leaves no fact if it wrote nothing and closed", async () => {
    const village = new Village();
    const peer = await village.open("peer", []);
    peer.replica.collections.likes.increment("post");
    for (let i = 0; i < 3; i++) {
      const shop = await village.open("shop", ["peer"], { isDurable: true });
      await village.done(shop.replica.waitFor(peer.replica.version()));
      await village.done(shop.replica.acknowledged(shop.replica.version(), { by: "durable" }));
      await village.done(shop.replica.close());
    }
    const shop = await village.open("shop", ["peer"], { isDurable: true });
    expect([...keyspaceOf(peer.replica).endings.entries()]).toEqual([]);
    expect([...keyspaceOf(shop.replica).endings.entries()]).toEqual([]);
  });

  test("is part of what peers compare: equal vectors with unequal facts are not the same", async () => {
    const village = new Village();
    const a = await village.open("a", []);
    a.replica.collections.likes.increment("post");
    const { actor } = a.replica.status();
    const b = await village.open("b", ["a"]);
    const c = await village.open("c", ["a"]);
    for (const one of [b, c]) await village.done(one.replica.waitFor(a.replica.version()));
    village.network.cut("a", "c");
    await village.done(a.replica.close());
    expect([known(b, actor)?.at, known(c, actor)]).toEqual([1, undefined]);
    c.replica.addPeer("mem://b");
    await village.until(() => known(c, actor) !== undefined);
    expect(known(c, actor)).toEqual({ at: 1, isFinal: true });
  });
});

describe("a wait for what was lost", () => {
  /** A version that was told to a client, and that no disk and no peer had when its writer crashed. */
  async function lost(village: Village): Promise<{ version: string; actor: string }> {
    const shop = await village.open("shop", [], { isDurable: true });
    shop.replica.collections.likes.increment("post");
    await village.done(shop.replica.acknowledged(shop.replica.version(), { by: "durable" }));
    shop.replica.collections.likes.increment("post");
    const version = shop.replica.version();
    const { actor } = shop.replica.status();
    village.disk("shop").isFull = true;
    village.crash(shop);
    village.disk("shop").isFull = false;
    return { version, actor };
  }

  test("fails at once, where it was written and elsewhere", async () => {
    const village = new Village();
    const { version, actor } = await lost(village);
    const again = await village.open("shop", [], { isDurable: true });
    const here = again.replica.waitFor(version);
    await expect(village.done(here)).rejects.toThrow(VersionLostError);
    await expect(here).rejects.toMatchObject({ actor, sequence: 2 });
    const peer = await village.open("peer", ["shop"]);
    const startedMs = village.world.nowMs;
    await expect(village.done(peer.replica.waitFor(version))).rejects.toThrow(VersionLostError);
    expect(village.world.nowMs - startedMs).toBeLessThan(1_000);
  });

  test("goes on while a member that may have it is away, and ends when it comes and does not", async () => {
    const village = new Village();
    const { version } = await lost(village);
    const again = await village.open("shop", ["peer"], { isDurable: true });
    const soon = again.replica.waitFor(version, { timeoutMs: 5_000 });
    await expect(village.done(soon)).rejects.toThrow(WaitTimeoutError);
    const later = again.replica.waitFor(version, { timeoutMs: 50_000 });
    await village.open("peer", []);
    await expect(village.done(later)).rejects.toThrow(VersionLostError);
  });

  test("goes on if a member says that it has it: peers saw what the disk lost", async () => {
    const village = new Village();
    const peer = await village.open("peer", []);
    const shop = await village.open("shop", ["peer"], { isDurable: true });
    await village.done(shop.replica.synced());
    village.disk("shop").isFull = true;
    shop.replica.collections.likes.increment("post");
    const version = shop.replica.version();
    await village.done(peer.replica.waitFor(version));
    village.crash(shop);
    village.disk("shop").isFull = false;
    const again = await village.open("shop", ["peer"], { isDurable: true });
    await village.done(again.replica.waitFor(version));
    expect(again.replica.collections.likes.value("post")).toBe(1);
  });

  test("of an actor that closed fails for what it never wrote", async () => {
    const village = new Village();
    const shop = await village.open("shop", []);
    const peer = await village.open("peer", ["shop"]);
    shop.replica.collections.likes.increment("post");
    await village.done(peer.replica.waitFor(shop.replica.version()));
    village.network.silence("shop", "peer");
    shop.replica.collections.likes.increment("post");
    const version = shop.replica.version();
    const { actor } = shop.replica.status();
    village.crash(shop);
    keyspaceOf(peer.replica).endings.learn(actorIdFromBytes(Buffer.from(actor, "hex")), {
      at: 1,
      isFinal: true,
    });
    await expect(village.done(peer.replica.waitFor(version))).rejects.toThrow(VersionLostError);
  });
});

test("facts about actors of whom nothing is held are kept in bounded number", () => {
  const keyspace = new Keyspace({ schema: {}, environment: new World(1).environment() });
  const name = (number: number): ReturnType<typeof actorIdFromBytes> => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32BE(number);
    return actorIdFromBytes(bytes);
  };
  for (let i = 1; i <= 3 * strangersMax; i++) {
    keyspace.endings.learn(name(i), { at: 0, isFinal: false });
  }
  expect([...keyspace.endings.entries()]).toHaveLength(strangersMax);
  expect(keyspace.endings.of(name(1))).toBeUndefined();
  expect(keyspace.endings.of(name(3 * strangersMax))).toBeDefined();
});
