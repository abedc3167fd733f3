/** What differs between two replicas, found through digests of ranges of keys. */
import { describe, expect, test } from "vitest";
import type { Cells } from "../../src/crdt/cells.ts";
import type { Pair } from "../../src/store/compare/differences.ts";
import { fork } from "../../src/store/fork.ts";
import type { Keyspace } from "../../src/store/keyspace.ts";
import { KeyspaceWitness } from "../../src/store/compare/keyspace-witness.ts";
import { sliceUnitsMax } from "../../src/store/compare/pace.ts";
import { type Verification, verify } from "../../src/store/compare/verification.ts";
import type { Witness } from "../../src/store/compare/witness.ts";
import { Party } from "../golden/party.ts";
import { Cluster } from "./cluster.ts";
import { type Dump, dump } from "./dump.ts";
import { Turns } from "./turns.ts";

const whole = { after: undefined, to: undefined };

const witnessOf = (keyspace: Keyspace, environment = new Turns(), isStill = true): Witness =>
  new KeyspaceWitness({ keyspace, environment, isStill });

const compare = (a: Party, b: Party, keysMax = 1_000): Promise<Verification> =>
  verify([witnessOf(a.keyspace), witnessOf(b.keyspace)], {
    environment: new Turns(),
    keysMax,
    timeoutMs: 0,
  });

/** Two replicas that hold the same. */
function alike(write: (party: Party) => void): [Party, Party] {
  const [a, b] = [new Party("a"), new Party("b")];
  write(a);
  b.learn(a);
  return [a, b];
}

/** What was found, as text: `collection: key@who`, or a range. */
const found = ({ collections }: Verification): string[] =>
  collections.flatMap(({ name, differences }) =>
    differences.flatMap(({ after, to, keys, listed }) =>
      listed === undefined
        ? [`${name}: (${after ?? ""}..${to ?? ""}] ${keys.join(":")}`]
        : listed.map(({ key, at }) => `${name}: ${key}@${at}`),
    ),
  );

/** The digest of each key, by collection and key. */
async function digests(keyspace: Keyspace): Promise<Record<string, string>> {
  const witness = witnessOf(keyspace);
  const told: Record<string, string> = {};
  for (const { name, keys } of await witness.begin()) {
    const [all] = await witness.digests(name, whole, []);
    expect(all?.keys).toBe(keys);
    for (const { last, digest } of await witness.split(name, whole, keys + 1)) {
      told[`${name}/${JSON.stringify(last)}`] = Buffer.from(digest).toString("hex");
    }
  }
  return told;
}

/** What is live under a key, as text. A key that is left with nothing but its life has gone, and is not listed. */
const heldUnder = ({ slots }: Dump, key: string): string => {
  const held = Object.entries(slots).filter(([at]) => at === key || at.startsWith(`${key}/`));
  return JSON.stringify(held.every(([at]) => at === `${key}/"life"`) ? [] : held);
};

describe("digests", () => {
  test("of two replicas are the same exactly when the same cells are live", async () => {
    let same = 0;
    let different = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const cluster = new Cluster({ seed, replicas: 3, isChecked: false });
      for (let steps = 0; steps < 300; steps++) cluster.step();
      if (seed % 2 === 0) cluster.settle();
      for (const { keyspace } of cluster.replicas) keyspace.flush();
      const told = await Promise.all(cluster.replicas.map(({ keyspace }) => digests(keyspace)));
      const held = cluster.replicas.map(({ keyspace }) => dump(keyspace));
      const keys = new Set(told.flatMap((digestOf) => Object.keys(digestOf)));
      for (const key of keys) {
        const seen = new Set(held.map((content) => heldUnder(content, key)));
        expect(new Set(told.map((digestOf) => digestOf[key])).size, `seed ${seed}`).toBe(seen.size);
        if (seen.size === 1) same++;
        else different++;
      }
    }
    // Otherwise the runs prove nothing.
    expect(Math.min(same, different)).toBeGreaterThan(100);
  });

  test("do not depend on which removals are forgotten", async () => {
    const [a, b] = alike(({ collections: { sets, counters } }) => {
      counters.increment("x");
      sets.add("kept", "one");
      sets.add("gone", "two");
    });
    a.collections.sets.remove("gone", "two");
    b.learn(a);
    while (a.keyspace.forgetting.step([], 100));
    expect(a.keyspace.retention.count).not.toBe(b.keyspace.retention.count);
    expect(await digests(a.keyspace)).toEqual(await digests(b.keyspace));
  });

  test("have the name that an actor has now", async () => {
    const party = new Party("a");
    party.keyspace.publish(true);
    party.collections.counters.increment("post");
    party.keyspace.flush();
    const witness = witnessOf(party.keyspace);
    const before = await witness.digests("counters", whole, []);
    fork(party.keyspace, party.keyspace.newActor());
    expect(await witness.digests("counters", whole, [])).not.toEqual(before);
    expect(await witness.digests("counters", whole, [])).toEqual(
      await witnessOf(party.keyspace).digests("counters", whole, []),
    );
  });

  test("tell apart what is alike as text", async () => {
    const contents: ((party: Party) => void)[] = [
      ({ collections }) => collections.sets.add("k", "1"),
      ({ collections }) => collections.sets.add("k", 1),
      ({ collections }) => collections.sets.add("k", true),
      ({ collections }) => collections.sets.add("k", null),
      ({ collections }) => collections.sets.add("k1", ""),
      ({ collections }) => collections.maps.set("k", "1", 1),
      ({ collections }) => collections.maps.set("k", "", 11),
      ({ collections }) => collections.entries.entry("k", "a").notes.add("b"),
      ({ collections }) => collections.entries.entry("k", "a").extras.set("notes", "b"),
    ];
    const seen = new Set<string>();
    for (const content of contents) {
      const party = new Party("same actor");
      content(party);
      party.keyspace.flush();
      for (const digest of Object.values(await digests(party.keyspace))) seen.add(digest);
    }
    expect(seen.size).toBe(contents.length);
  });
});

describe("verify", () => {
  test("finds nothing where nothing differs, also between replicas without a schema", async () => {
    const [a] = alike(({ collections: { counters, sets } }) => {
      for (let i = 0; i < 1_000; i++) counters.increment(`post ${i}`);
      sets.add("tags", "crdt");
    });
    const relay = new Party("relay", { isRelay: true });
    relay.learn(a);
    expect(await compare(a, relay)).toMatchObject({ verdict: "same", lags: [] });
    expect(found(await compare(a, relay))).toEqual([]);
  });

  test("finds each key that differs, who has it, and who lacks how many batches", async () => {
    const [a, b] = alike(({ collections: { counters } }) => {
      for (let i = 0; i < 5_000; i++) counters.increment(`post ${i}`);
    });
    a.collections.counters.increment("post 17");
    a.keyspace.flush();
    a.collections.counters.increment("post 4711");
    a.collections.counters.increment("only a");
    b.collections.counters.increment("only b");
    b.collections.flags.enable("on");
    const verification = await compare(a, b);
    expect(verification.verdict).toBe("behind");
    expect(found(verification)).toEqual([
      "counters: only a@a",
      "counters: only b@b",
      "counters: post 17@both",
      "counters: post 4711@both",
      "flags: on@b",
    ]);
    const batches = Object.fromEntries(verification.lags.map((lag) => [lag.actor, lag.batches]));
    expect(batches).toEqual({ [a.keyspace.actor]: [3, 1], [b.keyspace.actor]: [0, 1] });
  });

  test.each<[string, string, (cells: Cells, cell: number) => void]>([
    ["a total", "counters", (cells, cell) => cells.setValue(cell, 99)],
    ["a stamp", "registers", (cells, cell) => cells.setValue(cell, cells.value(cell) + 1)],
    ["a value", "registers", (cells, cell) => cells.setPayload(cell, "another")],
    ["a sequence", "flags", (cells, cell) => cells.setSequence(cell, 2)],
  ])("says so when the same writes have made something else: %s", async (_, name, damage) => {
    const [a, b] = alike(({ collections: { counters, registers, flags } }) => {
      for (let i = 0; i < 100; i++) {
        counters.increment(`key ${i}`);
        registers.set(`key ${i}`, i);
        flags.enable(`key ${i}`);
      }
    });
    const { cells, nodes } = b.keyspace;
    damage(cells, nodes.head(nodes.root(name)?.keys.get("key 7") ?? 0));
    const verification = await compare(a, b);
    expect(verification).toMatchObject({ verdict: "diverged", lags: [] });
    expect(found(verification)).toEqual([`${name}: key 7@both`]);
  });

  test("tells one name with two types, and looks no further", async () => {
    const [a, b] = [new Party("a", { isRelay: true }), new Party("b")];
    a.keyspace.nodes.addRoot("flags", "counter/1", { kind: "leaf", payload: "sum" });
    b.collections.flags.enable("on");
    const { verdict, collections } = await compare(a, b);
    expect(verdict).toBe("behind");
    expect(collections.find(({ name }) => name === "flags")).toEqual({
      name: "flags",
      tags: ["counter/1", "flag/1"],
      keys: [0, 1],
      differences: [],
    });
  });

  test("lists so many keys and no more, and the rest as ranges in which all of it is", async () => {
    const [a, b] = alike(({ collections: { counters } }) => {
      for (let i = 0; i < 20_000; i++) counters.increment(`post ${i}`);
    });
    for (let i = 0; i < 10_000; i++) a.collections.counters.increment(`post ${i}`);
    for (let i = 0; i < 5_000; i++) b.collections.counters.increment(`reply ${i}`);
    const { collections } = await compare(a, b, 20);
    const differences = collections.find(({ name }) => name === "counters")?.differences ?? [];
    const listed = differences.flatMap((difference) => difference.listed ?? []);
    expect(listed.length).toBeGreaterThanOrEqual(20);
    expect(listed.length).toBeLessThan(20 + 2 * 16);
    const ranges = differences.filter((difference) => difference.listed === undefined);
    expect(ranges.length).toBeLessThan(70);
    for (let i = 0; i < 20_000; i++) {
      const [key, isChanged] =
        i < 10_000 ? [`post ${i}`, true] : [`reply ${i - 10_000}`, i < 15_000];
      const isTold =
        listed.some((one) => one.key === key) ||
        ranges.some(
          ({ after, to }) =>
            (after === undefined || after < key) && (to === undefined || key <= to),
        );
      if (isChanged && !isTold) throw new Error(`${key} is in no range`);
    }
    const total = (side: 0 | 1): number => ranges.reduce((sum, { keys }) => sum + keys[side], 0);
    expect(total(1) - total(0)).toBeGreaterThan(4_900);
  });

  test("any name is compared in one order", async () => {
    // By UTF-16 code units U+1F600 comes before U+FF61, by UTF-8 bytes after it.
    const odd = [
      "",
      "__proto__",
      "constructor",
      "é",
      "e\u0301",
      "z",
      "Z",
      "ı",
      "\u{1F600}",
      "\uFF61",
    ];
    const names = [...odd, ...Array.from({ length: 300 }, (_, i) => `${odd[i % odd.length]}${i}`)];
    const [a, b] = alike(({ collections: { counters, sets } }) => {
      for (const name of names) counters.increment(name);
      for (const name of names) sets.add("set", name);
    });
    const third = new Party("c");
    for (const name of names.toReversed()) third.collections.counters.increment(name);
    third.learn(a);
    a.learn(third);
    b.learn(a);
    expect(await digests(a.keyspace)).toEqual(await digests(third.keyspace));
    for (const name of names) a.collections.counters.increment(name);
    const counted = await compare(a, b);
    expect(found(counted).toSorted()).toEqual(
      names.map((name) => `counters: ${name}@both`).toSorted(),
    );
  });
});

describe("slices", () => {
  test("no turn of the event loop has more than its share of many keys", async () => {
    const party = new Party("a");
    for (let i = 0; i < 100_000; i++) party.collections.counters.increment(`post ${i}`);
    for (let i = 0; i < 100_000; i++) party.collections.sets.add("one", i);
    party.keyspace.flush();
    for (const collection of ["counters", "sets"]) {
      const turns = new Turns();
      const witness = witnessOf(party.keyspace, turns);
      let keysLooked = 0;
      let mostInTurn = 0;
      let [turn, inTurn] = [0, 0];
      const isLive = party.keyspace.isLive.bind(party.keyspace);
      party.keyspace.isLive = (node) => {
        if (turn !== turns.count) [turn, inTurn] = [turns.count, 0];
        mostInTurn = Math.max(mostInTurn, ++inTurn);
        keysLooked++;
        return isLive(node);
      };
      await witness.split(collection, whole, 64);
      party.keyspace.isLive = isLive;
      expect(keysLooked).toBeGreaterThanOrEqual(200_000);
      // A key that is only gathered is a tenth of the work.
      expect(mostInTurn).toBeLessThanOrEqual(sliceUnitsMax * 10 + 1);
      expect(turns.count).toBeGreaterThan((3 * 100_000) / sliceUnitsMax / 2);
    }
  });

  test("large values count for what they take", async () => {
    const party = new Party("a");
    for (let i = 0; i < 10; i++) party.collections.registers.set(`${i}`, "x".repeat(1_000_000));
    party.keyspace.flush();
    const turns = new Turns();
    await witnessOf(party.keyspace, turns).split("registers", whole, 1);
    expect(turns.count).toBeGreaterThanOrEqual(9);
  });

  test("nobody works on for who has gone", async () => {
    const party = new Party("a");
    for (let i = 0; i < 10_000; i++) party.collections.counters.increment(`post ${i}`);
    const witness = witnessOf(party.keyspace);
    const answer = witness.split("counters", whole, 64);
    await witness.close();
    await expect(answer).rejects.toMatchObject({ code: "TRELLIS_CLOSED" });
  });
});

describe("replicas that move", () => {
  /** A witness that lets something happen each time it is asked for its vector. */
  const moving = (party: Party, happens: (time: number) => void): Witness => {
    const witness = witnessOf(party.keyspace, new Turns(), false);
    let time = 0;
    return {
      isStill: false,
      begin: () => witness.begin(),
      vector: () => {
        happens(++time);
        return witness.vector();
      },
      split: (...asked) => witness.split(...asked),
      digests: (...asked) => witness.digests(...asked),
      close: () => witness.close(),
    };
  };

  const verifyMoving = (witnesses: Pair<Witness>, timeoutMs = 10_000): Promise<Verification> =>
    verify(witnesses, { environment: new Turns(), keysMax: 1_000, timeoutMs });

  const many = (): [Party, Party] =>
    alike(({ collections: { counters } }) => {
      for (let i = 0; i < 1_000; i++) counters.increment(`post ${i}`);
    });

  test("are the same once what was on its way has arrived", async () => {
    const [a, b] = many();
    a.collections.counters.increment("post 3");
    const verification = await verifyMoving([
      witnessOf(a.keyspace, new Turns(), false),
      moving(b, (time) => {
        if (time === 4) b.learn(a);
      }),
    ]);
    expect(verification).toMatchObject({ verdict: "same", lags: [] });
  });

  test("that always write, and hear of each other late, are the same as far as they can be", async () => {
    const [a, b] = many();
    a.collections.counters.increment("post 3");
    const verification = await verifyMoving([
      moving(a, (time) => a.collections.counters.increment(`post ${time % 7}`)),
      moving(b, () => b.learn(a)),
    ]);
    expect(verification.verdict).toBe("same");
  });

  test("a replica that hears of nothing is behind as soon as both are at rest", async () => {
    const [a, b] = many();
    let writes = 0;
    const verification = await verifyMoving([
      moving(a, (time) => {
        if (time > 4) return;
        writes++;
        a.collections.counters.increment("post 3");
      }),
      witnessOf(b.keyspace, new Turns(), false),
    ]);
    expect(verification.verdict).toBe("behind");
    expect(found(verification)).toEqual(["counters: post 3@both"]);
    expect(verification.lags).toEqual([{ actor: a.keyspace.actor, batches: [1 + writes, 1] }]);
  });

  test("that never come to rest are said to move when the time is over", async () => {
    const [a, b] = many();
    let looks = 0;
    const verification = await verifyMoving([
      moving(a, () => {
        looks++;
        a.collections.counters.increment("post 3");
      }),
      witnessOf(b.keyspace, new Turns(), false),
    ]);
    expect(verification.verdict).toBe("moving");
    expect(looks).toBeLessThan(50);
  });
});
