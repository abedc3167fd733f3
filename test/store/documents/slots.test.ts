/** Updates in slots: whatever is folded, cut, put into a snapshot or joined, what was written is read, and costs no more than told. */
import { deepStrictEqual } from "node:assert/strict";
import { expect, test } from "vitest";
import { OverloadedError } from "../../../src/errors.ts";
import { UpdateSlots } from "../../../src/store/documents/update-slots.ts";
import { documentBytesMax } from "../../../src/store/documents/written-updates.ts";
import { Exchanges } from "../../../src/store/exchanges.ts";
import { fork } from "../../../src/store/fork.ts";
import { Keyspace } from "../../../src/store/keyspace.ts";
import { Random, type VirtualEnvironment, World } from "../../simulation/virtual-environment.ts";
import { assertWhole } from "../dump.ts";
import { underSeeds } from "../seeds.ts";
import { bagDoc, bagEngine, decoded, encoded, longWord } from "./bag.ts";
import { joinInto } from "./joining.ts";

const schema = { bags: bagDoc() };

/** One who writes to the slots of one document, and what it must find there. */
class Writer {
  readonly keyspace: Keyspace;
  readonly exchanges: Exchanges;
  slots: UpdateSlots;
  readonly known = new Set<string>();

  constructor(environment: VirtualEnvironment) {
    this.keyspace = new Keyspace({ schema, environment });
    this.exchanges = new Exchanges(this.keyspace);
    this.slots = this.#open();
  }

  append(word: string): void {
    this.slots.append(encoded([word]));
    this.known.add(word);
  }

  snapshot(): void {
    this.slots.replace(encoded(this.read()));
  }

  /** Whoever let the document go, and comes back. */
  reload(): void {
    this.slots = this.#open();
  }

  read(): Set<string> {
    return new Set(this.slots.read().flatMap((update) => decoded(update)));
  }

  /** Throws unless it reads what it knows. */
  check(): void {
    const read = this.read();
    const missing = [...this.known].filter((word) => !read.has(word));
    deepStrictEqual([missing, read.size], [[], this.known.size]);
  }

  /** Live slots of the document. */
  get used(): number {
    const { nodes } = this.keyspace;
    const key = nodes.root("bags")?.keys.get("k");
    const children = (node: number | undefined): number[] =>
      node === undefined ? [] : [...(nodes.container(node)?.children.values() ?? [])];
    return children(key)
      .flatMap((writer) => children(writer))
      .filter((slot) => this.keyspace.isLive(slot)).length;
  }

  /** Takes all that another has; returns what the reader of the touched slots alone is told. */
  join(from: Writer): Set<string> {
    let touched: readonly number[] = [];
    const listener = {
      flushed: (): void => undefined,
      joined: (slots: readonly number[]): void => void (touched = [...touched, ...slots]),
    };
    this.keyspace.listeners.add(listener);
    joinInto(this, from);
    this.keyspace.listeners.delete(listener);
    for (const word of from.known) this.known.add(word);
    const live = touched.filter((slot) => this.keyspace.isLive(slot));
    return new Set(this.slots.readSlots(live).flatMap((update) => decoded(update)));
  }

  #open(): UpdateSlots {
    const root = this.keyspace.nodes.root("bags");
    if (root === undefined) throw new Error("assertion: no collection");
    return new UpdateSlots(this.keyspace, root, "k", bagEngine);
  }
}

const writers = (seed: number, count: number): Writer[] => {
  const world = new World(seed);
  return Array.from({ length: count }, () => new Writer(world.environment()));
};

const one = (): Writer => writers(1, 1)[0] as Writer;

test("whoever comes back to a document a hundred times, for one change each, finds all of them", () => {
  const writer = one();
  for (let i = 0; i < 100; i++) {
    writer.append(`word ${i}`);
    writer.keyspace.flush();
    writer.reload();
  }
  writer.check();
  expect(writer.used).toBeLessThanOrEqual(2 * 64);
});

test("what three writers append, fold, cut, replace and join is read by each who has seen it", () => {
  underSeeds({ runs: 6 }, (seed) => {
    const random = new Random(seed);
    const all = writers(seed, 3);
    let [words, long] = [0, 0];
    const isLarge = seed % 3 === 0;
    for (let step = 0; step < 150; step++) {
      const writer = random.pick(all);
      const drawn = random.next();
      if (drawn < 0.55) {
        for (let i = random.below(40); i >= 0; i--) writer.append(`${words++}`);
      } else if (drawn < 0.6) {
        const isCut = isLarge && long++ < 4;
        writer.append(longWord(`${words++}`, isCut ? 700_000 : 2_000));
        if (isCut && writer.slots.isHeavy()) writer.snapshot();
      } else if (drawn < 0.66) writer.snapshot();
      else if (drawn < 0.72) writer.reload();
      else if (drawn < 0.76) writer.keyspace.flush();
      else {
        const from = random.pick(all);
        if (from === writer) continue;
        const before = new Set(writer.known);
        const told = writer.join(from);
        const missing = [...from.known].filter((word) => !before.has(word) && !told.has(word));
        deepStrictEqual(missing, [], "not told by the slots that a join touched");
      }
      if (step % 10 === 0) writer.check();
      if (step % 50 === 49) assertWhole(writer.keyspace);
    }
    for (const writer of all) writer.check();
    expect(words).toBeGreaterThan(0);
  });
});

/** Two who draw the same randomness: one memory, copied. They have the same history up to `shared` words. */
function twins(seed: number, shared: number): [Writer, Writer] {
  const twin = (): Writer => {
    const writer = new Writer(new World(seed).environment());
    for (let i = 0; i < shared; i++) writer.append(`shared ${i}`);
    writer.keyspace.flush();
    return writer;
  };
  const [left, right] = [twin(), twin()];
  expect(left.keyspace.actor).toBe(right.keyspace.actor);
  return [left, right];
}

test("copies of a memory that write the same slots lose nothing, however they are joined", () => {
  underSeeds({ runs: 6 }, (seed) => {
    const random = new Random(seed);
    const shared = random.pick([0, 1, 40, 70, 130]);
    const isPublic = random.chance(0.5);
    const [left, right] = twins(seed, shared);
    for (const { keyspace } of [left, right]) {
      if (isPublic) keyspace.publish(true);
      else keyspace.publication.publish(0, true);
    }
    for (const [name, twin] of [
      ["left", left],
      ["right", right],
    ] as const) {
      for (let i = random.below(100); i >= 0; i--) twin.append(`${name} ${i}`);
      if (random.chance(0.4)) twin.append(longWord(name, 600_000));
      if (random.chance(0.2)) twin.snapshot();
      twin.keyspace.flush();
    }
    fork(right.keyspace, right.keyspace.newActor());
    right.check();
    const third = writers(seed + 1_000_000, 1)[0] as Writer;
    for (let step = 0; step < 24; step++) {
      const [into, from] = [random.pick([left, right, third]), random.pick([left, right, third])];
      if (into !== from) into.join(from);
      into.check();
      if (random.chance(0.5)) {
        for (let i = random.below(70); i >= 0; i--) into.append(`more ${step} ${i}`);
      }
      if (step % 12 === 0) into.append(longWord(`long ${step}`, 530_000));
      if (random.chance(0.1)) into.snapshot();
      if (random.chance(0.1)) into.reload();
    }
    for (const writer of [left, right, third]) writer.check();
    assertWhole(third.keyspace);
    for (const writer of [left, right]) writer.join(third);
    left.join(right);
    right.join(left);
    expect([...left.read()].toSorted()).toEqual([...right.read()].toSorted());
  });
});

test("beyond the bound an update is refused, and all that was there stays", () => {
  const writer = one();
  for (let i = 0; i < 10; i++) writer.append(longWord(`${i}`, documentBytesMax / 10 - 100));
  expect(() => writer.slots.append(encoded([longWord("more", 2_000)]))).toThrow(OverloadedError);
  writer.check();
});
