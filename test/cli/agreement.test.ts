import { describe, expect, test } from "vitest";
import { Agreement, differencesMax } from "../../src/cli/replay/agreement.ts";
import type { Entry } from "../../src/cli/replay/messages.ts";
import type { SiteCollection, Visit } from "../../src/cli/replay/site.ts";
import { lastReferrers, tally } from "../../src/cli/replay/tally.ts";

const visits: readonly Visit[] = [
  { path: "/a", visitor: "v1", referrer: "r1" },
  { path: "/a", visitor: "v2", referrer: "r2" },
  { path: "/a", visitor: "v1", referrer: "r1" },
  { path: "/a", visitor: "v1", referrer: "" },
  { path: "__proto__", visitor: "v2", referrer: "" },
];

type Content = Readonly<Record<SiteCollection, readonly Entry[]>>;

const right: Content = {
  hits: [
    ["/a", 4],
    ["__proto__", 1],
  ],
  visitors: [
    ["/a", ["v1", "v2"]],
    ["__proto__", ["v2"]],
  ],
  referrers: [["/a", "r1"]],
};

async function* reading(entries: readonly Entry[]): AsyncGenerator<Entry> {
  await Promise.resolve();
  yield* entries;
}

async function compare(...replicas: readonly Content[]) {
  const agreement = new Agreement(tally(visits));
  const digests: string[] = [];
  for (const [index, content] of replicas.entries()) {
    digests.push(
      await agreement.compare(`replica-${index + 1}`, (collection) => reading(content[collection])),
    );
  }
  return { ...agreement.verdict(), digests };
}

describe("the tally", () => {
  test("counts hits, visitors and referrers per path", () => {
    const { requests, hits, visitors, referrers } = tally(visits);
    expect(requests).toBe(5);
    expect([...hits]).toEqual([
      ["/a", 4],
      ["__proto__", 1],
    ]);
    expect([...(visitors.get("/a") ?? [])]).toEqual(["v1", "v2"]);
    expect([...(referrers.get("/a") ?? [])]).toEqual(["r2", "r1"]);
    expect(referrers.has("__proto__")).toBe(false);
  });

  test("keeps the last referrer, and one that names none changes nothing", () => {
    expect([...lastReferrers(tally(visits))]).toEqual([["/a", "r1"]]);
  });
});

describe("replicas", () => {
  test("agree when each holds what the tally has", async () => {
    const { agrees, checked, registersLastInLog, digests } = await compare(right, right);
    expect(agrees).toBe(true);
    expect(checked).toEqual({ counters: 2, hits: 5, sets: 2, visitors: 3, registers: 1 });
    expect(registersLastInLog).toBe(1);
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/u);
    expect(digests[1]).toBe(digests[0]);
  });

  test("agree on a register that concurrent writers left at an earlier referrer", async () => {
    const other: Content = { ...right, referrers: [["/a", "r2"]] };
    expect(await compare(other, other)).toMatchObject({ agrees: true, registersLastInLog: 0 });
  });

  test.each<[string, Partial<Content>, string]>([
    [
      "a counter",
      {
        hits: [
          ["/a", 3],
          ["__proto__", 1],
        ],
      },
      "3",
    ],
    ["a counter that is missing", { hits: [["/a", 4]] }, "no such key"],
    ["a counter too many", { hits: [...right.hits, ["/b", 1]] }, "1"],
    ["a counter told twice", { hits: [...right.hits, ["/a", 4]] }, "the key again"],
    [
      "a lost element",
      {
        visitors: [
          ["/a", ["v1"]],
          ["__proto__", ["v2"]],
        ],
      },
      'missing ["v2"]',
    ],
    [
      "an extra element",
      {
        visitors: [
          ["/a", ["v1", "v2", "v3"]],
          ["__proto__", ["v2"]],
        ],
      },
      '["v3"]',
    ],
    [
      "a doubled element",
      {
        visitors: [
          ["/a", ["v1", "v2", "v2"]],
          ["__proto__", ["v2"]],
        ],
      },
      "3;",
    ],
    ["a referrer of no request", { referrers: [["/a", "r3"]] }, '"r3"'],
    ["a register too many", { referrers: [...right.referrers, ["__proto__", "r1"]] }, '"r1"'],
    ["a register that is missing", { referrers: [] }, "no such key"],
  ])("differ in %s even when all of them have the same", async (_, part, found) => {
    const wrong: Content = { ...right, ...part };
    const { agrees, differences } = await compare(wrong, wrong);
    expect(agrees).toBe(false);
    expect(differences).toHaveLength(2);
    expect(differences[0]?.found).toContain(found);
  });

  test("differ when a register is not the same on each, and the digests tell", async () => {
    const other: Content = { ...right, referrers: [["/a", "r2"]] };
    const { agrees, differences, digests } = await compare(right, other);
    expect(agrees).toBe(false);
    expect(differences).toEqual([
      { replica: "replica-2", collection: "referrers", key: "/a", expected: "r1", found: '"r2"' },
    ]);
    expect(digests[1]).not.toBe(digests[0]);
  });

  test("that hold nothing differ in every key, and only the first differences are kept", async () => {
    const nothing: Content = { hits: [], visitors: [], referrers: [] };
    const { differences, differencesCount } = await compare(nothing, nothing, nothing);
    expect(differencesCount).toBe(15);
    expect(differences).toHaveLength(differencesMax);
  });

  test("that were never compared do not agree", async () => {
    expect((await compare()).agrees).toBe(false);
  });
});
