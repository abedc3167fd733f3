/**
 * Machines that were copied with their memory, or that went on from a snapshot of it: two processes
 * write as one actor, until a peer knows better.
 */
import { describe, expect, test } from "vitest";
import { fork } from "../../src/store/fork.ts";
import { keyspaceOf } from "../simulation/keyspace-of.ts";
import { Random, World } from "../simulation/virtual-environment.ts";
import { typeCases } from "../crdt/type-cases.ts";
import { assertWhole, dump } from "../store/dump.ts";
import { join, Replica } from "../store/replica.ts";
import { type Resident, Village } from "../storage/village.ts";

async function settle(village: Village, ...all: readonly Resident[]): Promise<void> {
  await village.until(() => {
    const texts = all.map(({ replica }) => JSON.stringify(dump(keyspaceOf(replica))));
    return texts.every((text) => text === texts[0]);
  });
}

const likes = (...all: readonly Resident[]): number[] =>
  all.map(({ replica }) => replica.collections.likes.value("post"));

const actorsOf = ({ replica }: Resident): number => [...keyspaceOf(replica).held.entries()].length;

describe("copies of a machine that had not met anybody", () => {
  test("count what each has counted, though they draw the same randomness", async () => {
    const village = new Village();
    const hub = await village.open("hub", []);
    const one = await village.open("one", ["hub"], { draws: new Random(7) });
    village.network.cut("two", "hub");
    const two = await village.open("two", ["hub"], { draws: new Random(7) });
    expect(two.replica.status().actor).toBe(one.replica.status().actor);
    for (let batch = 0; batch < 3; batch++) {
      one.replica.collections.likes.increment("post", 10);
      one.replica.version();
    }
    one.replica.collections.tags.add("post", "one");
    await settle(village, hub, one);
    const warnings: string[] = [];
    two.replica.on("warning", ({ kind }) => warnings.push(kind));
    for (let batch = 0; batch < 4; batch++) {
      two.replica.collections.likes.increment("post", 100);
      two.replica.version();
    }
    two.replica.collections.tags.add("post", "two");
    village.network.heal();
    await settle(village, hub, one, two);
    expect(likes(hub, one, two)).toEqual([430, 430, 430]);
    for (const { replica } of [hub, one, two]) {
      expect(replica.collections.tags.values("post").toSorted()).toEqual(["one", "two"]);
    }
    expect(warnings).toEqual(["forked"]);
    expect([one, two].map(({ replica }) => replica.status().forks)).toEqual([0, 1]);
    expect(actorsOf(hub)).toBe(2);
  });

  test("are told apart also when they meet each other first, and when twenty start at once", async () => {
    const village = new Village();
    const hub = await village.open("hub", []);
    const copies: Resident[] = [];
    for (let i = 0; i < 20; i++) {
      copies.push(await village.open(`copy ${i}`, ["hub"], { draws: new Random(7) }));
    }
    for (let round = 1; round <= 2; round++) {
      for (const { replica } of copies) replica.collections.likes.increment("post");
      const sum = round * copies.length;
      await village.until(() => likes(hub, ...copies).every((likesThere) => likesThere === sum));
    }
    const names = copies.map(({ replica }) => replica.status().actor);
    expect(new Set(names).size).toBe(copies.length);
  });
});

describe("a machine that goes on from a snapshot", () => {
  /** `one` lived on and published; `two` is as `one` was after `shared`, and wrote on alone. */
  async function resumed(
    village: Village,
  ): Promise<{ hub: Resident; one: Resident; two: Resident }> {
    const hub = await village.open("hub", []);
    const one = await village.open("one", ["hub"], { draws: new Random(7) });
    await village.done(one.replica.synced());
    village.network.cut("two", "hub");
    const two = await village.open("two", ["hub"], { draws: new Random(7) });
    for (const { replica } of [one, two]) {
      for (let batch = 0; batch < 3; batch++) {
        replica.collections.likes.increment("post");
        replica.collections.likes.increment(`post ${batch}`);
        replica.collections.tags.add("post", `shared ${batch}`);
        replica.version();
      }
    }
    await settle(village, hub, one);
    // What is in the snapshot had been published by then, and its links had ended.
    keyspaceOf(two.replica).publish(true);
    return { hub, one, two };
  }

  test("keeps both histories: what it had published, and what it wrote since", async () => {
    const village = new Village();
    const { hub, one, two } = await resumed(village);
    one.replica.collections.likes.increment("post", 10);
    one.replica.collections.tags.remove("post", "shared 0");
    one.replica.version();
    one.replica.collections.likes.increment("post", 10);
    one.replica.collections.profile.set("u", "one");
    await settle(village, hub, one);
    for (let batch = 0; batch < 5; batch++) {
      two.replica.collections.likes.increment("post", 100);
      two.replica.collections.likes.increment("post 0", 100);
      two.replica.collections.likes.increment("new", 1);
      two.replica.version();
    }
    two.replica.collections.tags.remove("post", "shared 1");
    two.replica.collections.tags.add("post", "two");
    two.replica.collections.likes.decrement("post 0", 500);
    village.network.heal();
    await settle(village, hub, one, two);
    expect(likes(hub, one, two)).toEqual([523, 523, 523]);
    for (const { replica } of [hub, one, two]) {
      const { likes: counters, tags } = replica.collections;
      expect(["post 0", "post 1", "new"].map((key) => counters.value(key))).toEqual([1, 1, 5]);
      expect(tags.values("post").toSorted()).toEqual(["shared 2", "two"]);
    }
    expect([one, two].map(({ replica }) => replica.status().forks)).toEqual([0, 1]);
    // And both go on.
    one.replica.collections.likes.increment("post");
    two.replica.collections.likes.increment("post");
    await village.pass(1);
    await settle(village, hub, one, two);
    expect(likes(hub, one, two)).toEqual([525, 525, 525]);
  });

  test("takes another actor also if it has written nothing since", async () => {
    const village = new Village();
    const { hub, one, two } = await resumed(village);
    one.replica.collections.likes.increment("post", 10);
    await settle(village, hub, one);
    village.network.heal();
    await settle(village, hub, one, two);
    expect(likes(hub, one, two)).toEqual([13, 13, 13]);
    two.replica.collections.likes.increment("post");
    await village.pass(1);
    await settle(village, hub, one, two);
    expect(likes(hub, one, two)).toEqual([14, 14, 14]);
    expect(two.replica.status().forks).toBe(1);
  });
});

test("a store whose machine draws its old actor again goes on as another one", async () => {
  const village = new Village();
  for (let opening = 1; opening <= 3; opening++) {
    const shop = await village.open("shop", [], { isDurable: true, draws: new Random(7) });
    expect(likes(shop)).toEqual([opening - 1]);
    shop.replica.collections.likes.increment("post");
    await village.done(shop.replica.close());
  }
  const shop = await village.open("shop", [], { isDurable: true, draws: new Random(7) });
  expect(likes(shop)).toEqual([3]);
  expect(actorsOf(shop)).toBe(3);
});

/**
 * Hits stand under the name of their writer, all in one cell, and what of them was published is not told
 * apart: what a fork does to them is in docs/expiry.md.
 */
const forkedTypes = typeCases.filter(
  ({ collection }) => !["rates", "documents", "drafts"].includes(collection),
);

/** Random batches, some of them undone, some removals forgotten: made alike by all of `replicas`. */
function write(random: Random, ...replicas: readonly Replica[]): void {
  for (let batch = random.below(8); batch > 0; batch--) {
    const calls = Array.from({ length: 1 + random.below(5) }, () => {
      const of = random.pick(forkedTypes);
      return { of, key: random.pick(["k", "l", "m"]), operation: of.draw(random) };
    });
    const [isUndone, forgets] = [random.chance(0.2), random.chance(0.2)];
    for (const { keyspace, collections } of replicas) {
      const perform = (): void => {
        for (const { of, key, operation } of calls) of.perform(collections, key, operation);
      };
      const undone = (): void =>
        keyspace.transact(() => {
          perform();
          throw new Error("undone");
        });
      if (isUndone) expect(undone).toThrow("undone");
      else perform();
      keyspace.flush();
      if (forgets) keyspace.forgetting.step([], 1_000);
    }
  }
}

/** What a replica holds after a fork, and what one would that had been another from the beginning. */
function divergent(seed: number): { forked: unknown[]; separate: unknown[] } {
  const [one, two] = [1, 2].map(() => new Replica("twin", new World(seed).environment()));
  const other = new Replica("other", new World(seed + 1_000_000).environment());
  if (one === undefined || two === undefined) throw new Error("assertion: there are two");
  const random = new Random(seed);
  write(random, one, two);
  two.keyspace.publish(true);
  join(other, one);
  write(random, one);
  write(random, two, other);
  fork(two.keyspace, other.keyspace.actor);
  const states = (replica: Replica): unknown => {
    assertWhole(replica.keyspace);
    const { slots, held } = dump(replica.keyspace, "all");
    // A stamp counts also what was undone before.
    const cells = Object.entries(slots).map(([path, chain]) => [
      path,
      chain.map((cell) => (cell.payload === undefined ? cell : { ...cell, value: 0 })),
    ]);
    return { cells, held };
  };
  const alone = [two, other].map(states);
  for (const replica of [two, other]) join(replica, one);
  const joined = [two, other].map(states);
  write(random, two, other);
  const later = [two, other].map(states);
  const [forked, separate] = [0, 1].map((i) => [alone[i], joined[i], later[i]]);
  return { forked: forked ?? [], separate: separate ?? [] };
}

test("under random histories a fork leaves what another replica would have had", () => {
  const runs = 200;
  for (let seed = 1; seed <= runs; seed++) {
    const { forked, separate } = divergent(seed);
    expect(forked, `seed ${seed}`).toEqual(separate);
  }
});
