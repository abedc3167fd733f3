/** Scripts of faults that have bitten stores of this kind; docs/invariants.md says which is which. */
import { expect, test } from "vitest";
import { orSet } from "../../src/crdt/index.ts";
import { VersionVector } from "../../src/crdt/version-vector.ts";
import { SchemaMismatchError, TrellisError } from "../../src/errors.ts";
import { ByteWriter, MalformedError } from "../../src/store/bytes.ts";
import { openCollections } from "../../src/store/collections/open.ts";
import { ClonedError, Exchange } from "../../src/store/exchange.ts";
import { Exchanges } from "../../src/store/exchanges.ts";
import { Keyspace } from "../../src/store/keyspace.ts";
import { drawCase } from "../crdt/type-cases.ts";
import { Cluster, type End } from "./cluster.ts";
import { assertWhole, dump, dumpWhole } from "./dump.ts";
import type { Replica } from "./replica.ts";

function cluster(replicas: number): { cluster: Cluster; all: Replica[] } {
  const made = new Cluster({ seed: 1, replicas, keys: [] });
  return { cluster: made, all: made.replicas };
}

/** Both ends hear each other's hello; returns the end of `from`. */
function linked(made: Cluster, from: Replica, to: Replica): End {
  const [end, other] = made.connect(from, to).ends;
  made.deliver(end);
  made.deliver(other);
  return end;
}

function sync(made: Cluster, one: Replica, other: Replica): void {
  linked(made, one, other);
  made.settle();
  for (const link of made.links.slice()) made.cut(link);
}

test("a removal alone, with all live frames lost, still travels by the next catch-up", () => {
  const { cluster: made, all } = cluster(2);
  const [a, b] = all as [Replica, Replica];
  a.collections.sets.add("k", "e");
  a.collections.flags.enable("f");
  sync(made, a, b);
  const end = linked(made, a, b);
  a.collections.sets.remove("k", "e");
  a.collections.flags.disable("f");
  expect(end.exchange?.next()).toBeDefined();
  for (const link of made.links.slice()) made.cut(link);
  sync(made, b, a);
  expect([b.collections.sets.has("k", "e"), b.collections.flags.isEnabled("f")]).toEqual([
    false,
    false,
  ]);
});

test("an add and its removal, coalesced, take an older add away from who holds it", () => {
  const { cluster: made, all } = cluster(2);
  const [a, b] = all as [Replica, Replica];
  a.collections.sets.add("k", "e");
  sync(made, a, b);
  for (let i = 0; i < 3; i++) {
    a.collections.sets.remove("k", "e");
    a.keyspace.flush();
    a.collections.sets.add("k", "e");
    a.keyspace.flush();
  }
  a.collections.sets.remove("k", "e");
  sync(made, a, b);
  expect(b.collections.sets.values("k")).toEqual([]);
  expect(dump(b.keyspace)).toEqual(dump(a.keyspace));
});

test("a value that was seen and replaced never comes back, though its stamp is larger", () => {
  const { cluster: made, all } = cluster(3);
  const [a, b, c] = all as [Replica, Replica, Replica];
  a.environment.skewMs = 50_000;
  b.environment.skewMs = -50_000;
  a.collections.registers.set("k", "first, stamped late");
  sync(made, a, b);
  sync(made, a, c);
  b.collections.registers.delete("k");
  b.keyspace.flush();
  b.collections.registers.set("k", "second");
  sync(made, b, c);
  sync(made, a, c);
  for (const it of [b, c]) expect(it.collections.registers.get("k")).toBe("second");
  b.collections.registers.delete("k");
  sync(made, b, a);
  sync(made, c, a);
  sync(made, b, c);
  for (const it of all) expect(it.collections.registers.get("k")).toBeUndefined();
});

test("a delete that came by another path holds when the entry comes late", () => {
  const { cluster: made, all } = cluster(3);
  const [a, b, c] = all as [Replica, Replica, Replica];
  a.collections.entries.entry("k", "x").notes.add("n");
  sync(made, a, b);
  b.collections.entries.delete("k", "x");
  // c hears of the removal first, from b, and then of the entry, from a.
  sync(made, b, c);
  sync(made, a, c);
  for (const it of [b, c, a]) expect(it.collections.entries.has("k", "x")).toBe(false);
  expect(dump(a.keyspace)).toEqual(dump(c.keyspace));
});

test("what one half of a transaction shows, the other half shows, at every frame", () => {
  const made = new Cluster({ seed: 2, replicas: 2, keys: [], limits: { touches: 2, bytes: 40 } });
  const [a, b] = made.replicas as [Replica, Replica];
  a.collections.flags.enable("start");
  b.collections.flags.enable("start");
  sync(made, a, b);
  for (let i = 1; i <= 20; i++) {
    a.keyspace.transact(() => {
      a.collections.counters.increment("one");
      a.collections.registers.set("padding", "x".repeat(i * 10));
      a.collections.counters.decrement("other");
    });
  }
  const halves = (): number[] => [
    b.collections.counters.value("one"),
    -b.collections.counters.value("other"),
  ];
  for (let frames = 0; frames < 100 && b.collections.counters.value("one") < 20; frames++) {
    const end = linked(made, a, b);
    made.send(end);
    for (const { ends } of made.links)
      while (made.deliver(ends[1])) expect(halves()[0]).toBe(halves()[1]);
    for (const link of made.links.slice()) made.cut(link);
  }
  expect(halves()).toEqual([20, 20]);
});

test.each([
  { aheadMs: 59_999, wins: true },
  { aheadMs: 60_000, wins: true },
  { aheadMs: 60_001, wins: false },
  { aheadMs: 365 * 86_400_000, wins: false },
])("a write stamped $aheadMs ms ahead wins over an honest one: $wins", ({ aheadMs, wins }) => {
  const { cluster: made, all } = cluster(3);
  const [skewed, honest, reader] = all as [Replica, Replica, Replica];
  for (const it of all) it.environment.skewMs = 0;
  skewed.environment.skewMs = aheadMs;
  skewed.collections.registers.set("k", "skewed");
  honest.collections.registers.set("k", "honest");
  skewed.keyspace.flush();
  honest.keyspace.flush();
  const before = reader.keyspace.clock.now();
  sync(made, skewed, reader);
  sync(made, honest, reader);
  expect(reader.collections.registers.get("k")).toBe(wins ? "skewed" : "honest");
  expect(reader.collections.multis.get("k")).toEqual([]);
  const led = [before, honest.keyspace.clock.last, ...(wins ? [skewed.keyspace.clock.last] : [])];
  expect(reader.keyspace.clock.last).toBe(Math.max(...led));
  // A held stamp is passed on, and gone as soon as somebody who has seen it writes.
  reader.collections.registers.set("k", "after");
  sync(made, reader, skewed);
  sync(made, reader, honest);
  for (const it of all) expect(it.collections.registers.get("k")).toBe("after");
});

test("every received stamp within the bound moves the clock, by plain frames and by complete states", () => {
  const { cluster: made, all } = cluster(3);
  const [fast, late, empty] = all as [Replica, Replica, Replica];
  for (const it of all) it.environment.skewMs = 0;
  fast.environment.skewMs = 30_000;
  late.collections.flags.enable("known");
  sync(made, late, fast);
  fast.collections.registers.set("k", 1);
  sync(made, fast, late);
  sync(made, fast, empty);
  for (const it of [late, empty]) {
    expect(it.keyspace.clock.last).toBe(fast.keyspace.clock.last);
    it.collections.registers.set("k", 2);
    it.keyspace.flush();
    expect(it.keyspace.clock.last).toBeGreaterThan(fast.keyspace.clock.last);
  }
});

test("a peer that returns after 30 days with its old stamps is joined", () => {
  const { cluster: made, all } = cluster(2);
  const [away, home] = all as [Replica, Replica];
  away.collections.registers.set("k", "old");
  away.collections.registers.set("only", "old");
  away.keyspace.flush();
  made.world.run({ forMs: 30 * 86_400_000 });
  home.collections.registers.set("k", "new");
  sync(made, away, home);
  expect([home.collections.registers.get("k"), home.collections.registers.get("only")]).toEqual([
    "new",
    "old",
  ]);
});

test("a peer that knows more of our actor than we do is noticed, and nothing of its frame is joined", () => {
  const { cluster: made, all } = cluster(2);
  const [a, b] = all as [Replica, Replica];
  a.collections.counters.increment("k");
  sync(made, a, b);
  const receiver = new Exchange(a.exchanges, {
    told: a.keyspace.held,
    known: a.translate(b.vector()),
  });
  const out = new ByteWriter();
  for (const byte of [3, 0, 1, 0]) out.byte(byte);
  out.raw(Buffer.from(a.keyspace.actor, "hex"));
  for (const byte of [0, 0, 1, 0, 9]) out.byte(byte);
  const before = dumpWhole(a.keyspace);
  expect(() => receiver.receive(out.take())).toThrow(ClonedError);
  expect(dumpWhole(a.keyspace)).toEqual(before);
});

test("frames that claim far numbers cost no memory", () => {
  const { all } = cluster(1);
  const [it] = all as [Replica];
  const before = process.memoryUsage().arrayBuffers;
  for (const far of [2 ** 22 + 1, 2 ** 30, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    for (let at = 1; at < 8; at++) {
      const out = new ByteWriter();
      out.byte(3);
      for (let i = 1; i < at; i++) out.byte(i % 2);
      out.varint(far);
      out.raw(new Uint8Array(64));
      const receiver = new Exchange(it.exchanges, {
        told: it.keyspace.held,
        known: it.translate(new Map()),
      });
      let error: unknown;
      try {
        receiver.receive(out.take());
      } catch (caught) {
        error = caught;
      }
      receiver.close();
      expect(error instanceof MalformedError || error instanceof TrellisError).toBe(true);
    }
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 2 ** 20);
});

test("a thousand actors in the vector cost nothing in a frame of one change, and rest is silence", () => {
  const { cluster: made, all } = cluster(2);
  const [a, b] = all as [Replica, Replica];
  const peers = new Cluster({ seed: 7, replicas: 1, keys: [], isChecked: false });
  for (let i = 0; i < 300; i++) {
    peers.recreate(0);
    const [it] = peers.replicas as [Replica];
    it.collections.counters.increment(`k${i % 7}`);
    const [to, from] = [
      new Exchange(a.exchanges, { told: a.keyspace.held, known: a.translate(it.vector()) }),
      new Exchange(it.exchanges, { told: it.keyspace.held, known: it.translate(a.vector()) }),
    ];
    for (let frame = from.next(); frame; frame = from.next()) to.receive(frame);
    to.close();
  }
  const end = linked(made, a, b);
  made.settle();
  a.collections.counters.increment("k1");
  const frame = end.exchange?.next();
  expect(frame?.length).toBeLessThan(100);
  expect(end.exchange?.next()).toBeUndefined();
});

test("a replica without a schema holds what it does not know, and passes it on", () => {
  const { cluster: made, all } = cluster(2);
  const [one, other] = all as [Replica, Replica];
  for (let i = 0; i < 50; i++) {
    const typeCase = drawCase(made.random);
    typeCase.perform(one.collections, "k", typeCase.draw(made.random));
  }
  const blank = new Keyspace({ schema: {}, environment: made.world.environment() });
  const middle = new Exchanges(blank);
  const pass = (from: Exchanges, to: Exchanges): void => {
    from.keyspace.flush();
    const none = new VersionVector();
    const sender = new Exchange(from, { told: from.keyspace.held, known: none });
    const receiver = new Exchange(to, { told: to.keyspace.held, known: none });
    for (let frame = sender.next(); frame; frame = sender.next()) receiver.receive(frame);
  };
  pass(one.exchanges, middle);
  pass(middle, other.exchanges);
  expect(dump(other.keyspace)).toEqual(dump(one.keyspace));
  expect(dump(blank)).toEqual(dump(one.keyspace));
});

test("one name with two types is refused, and nothing of the frame was joined", () => {
  const { cluster: made, all } = cluster(1);
  const [it] = all as [Replica];
  it.collections.flags.enable("f");
  it.keyspace.flush();
  const strange = new Keyspace({
    schema: { flags: orSet() },
    environment: made.world.environment(),
  });
  const { flags } = openCollections(strange, { flags: orSet() });
  flags.add("f", "e");
  strange.flush();
  const none = new VersionVector();
  const sender = new Exchange(new Exchanges(strange), { told: strange.held, known: none });
  const receiver = new Exchange(it.exchanges, { told: it.keyspace.held, known: none });
  const before = dumpWhole(it.keyspace);
  expect(() => receiver.receive(sender.next() ?? new Uint8Array())).toThrow(SchemaMismatchError);
  expect(dumpWhole(it.keyspace)).toEqual(before);
});

test("one counter under two numbers in one frame is refused", () => {
  const { all } = cluster(1);
  const [it] = all as [Replica];
  const out = new ByteWriter();
  for (const byte of [3, 1, 0]) out.byte(byte);
  for (const text of ["counters", "counter/1", '"sum"']) out.text(text);
  for (const byte of [1, 0]) out.byte(byte);
  out.raw(new Uint8Array(16).fill(7));
  // Numbers 0 and 1 are both "k"; each has the same actor's total of 5.
  for (const byte of [0, 2, 0, 0, 128, 1, 107, 5, 128, 1, 107]) out.byte(byte);
  for (const byte of [1, 0, 1, 0, 2, 0, 20, 1, 0, 20]) out.byte(byte);
  const none = new VersionVector();
  const receiver = new Exchange(it.exchanges, { told: it.keyspace.held, known: none });
  expect(() => receiver.receive(out.take())).toThrow(MalformedError);
  expect(it.collections.counters.value("k")).toBe(0);
  assertWhole(it.keyspace);
});
