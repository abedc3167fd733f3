/** `trellis export` and `trellis import`, run as users run them. */
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openReplica } from "../../src/index.ts";
import { fillPlainly, free, stored, urlOf } from "./backup-shop.ts";
import { assertBuilt, run } from "./command.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-backup-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const place = (name: string): string => join(folder, name);

describe("trellis export, as it is run", () => {
  beforeAll(assertBuilt);

  test("of a live peer under writes is one consistent state", async () => {
    await using one = await openReplica({ schema: free, listen: { port: 0 } });
    await using two = await openReplica({ schema: free, peers: [urlOf(one)] });
    const isOver = new AbortController();
    // What is written as one unit is there as one, from both replicas.
    const writing = [one, two].map(async (shop, at) => {
      const { likes, tags } = shop.collections;
      for (let i = 0; !isOver.signal.aborted; i++) {
        shop.transact(() => {
          likes.increment(`pair ${i % 100} of ${at}`);
          likes.increment(`twin ${i % 100} of ${at}`);
          tags.add(`set ${at}`, i);
        });
        await new Promise((next) => setImmediate(next));
      }
    });
    for (let round = 0; round < 3; round++) {
      const before = one.version();
      const outcome = await run("export", urlOf(one), "--json");
      expect(outcome.status).toBe(0);
      const lines = outcome.output
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Line);
      const totals = new Map(lines.map(({ k, total }) => [k, total]));
      const torn = [...totals].filter(
        ([key = "", total]) =>
          key.startsWith("pair ") && totals.get(`twin ${key.slice(5)}`) !== total,
      );
      expect(torn).toEqual([]);
      for (const at of [0, 1]) {
        const added = lines
          .filter(({ k }) => k === `set ${at}`)
          .flatMap(({ elements = [] }) => elements);
        const sum = [...totals].reduce(
          (all, [key = "", total = 0]) =>
            all + (key.startsWith("pair ") && key.endsWith(` ${at}`) ? total : 0),
          0,
        );
        expect(added).toHaveLength(sum);
      }
      expect(lines[0]?.at).not.toBe(before);
      await one.waitFor(lines[0]?.at ?? "");
    }
    isOver.abort();
    await Promise.all(writing);
    // It was there to read, and nothing of it stays.
    expect(one.status().members).toBe(2);
  }, 60_000);

  test("writes gzip by the name, says what it wrote, and import says what it read", async () => {
    await stored(place("from"), [fillPlainly], []);
    const out = await run("export", place("from"), "--out", place("file.gz"), "--json");
    expect(out).toMatchObject({ status: 0, errors: "" });
    expect(JSON.parse(out.output)).toMatchObject({ keys: 3, lines: 3 });
    expect(gunzipSync(await readFile(place("file.gz"))).toString()).toContain('"total":7');
    const back = await run("import", place("file.gz"), place("to"));
    expect(back).toMatchObject({ status: 0, errors: "" });
    expect(back.output).toContain("3 keys are imported");
    const again = await run("import", place("file.gz"), place("to"));
    expect(again.status).toBe(2);
    expect(again.errors).toContain("--merge");
    await appendFile(place("file.gz"), "x");
    const cut = await run("import", place("file.gz"), place("other"));
    expect(cut.status).toBe(1);
  });

  test("of a peer that is not there ends soon, and says so", async () => {
    const outcome = await run("export", "ws://127.0.0.1:9", "--timeout", "2");
    expect(outcome).toMatchObject({ status: 1, output: "" });
    expect(outcome.errors).toMatch(
      /^error: ws:\/\/127\.0\.0\.1:9 cannot be reached: .*ECONNREFUSED/u,
    );
  });
});

interface Line {
  readonly at?: string;
  readonly k?: string;
  readonly total?: number;
  readonly elements?: readonly unknown[];
}
