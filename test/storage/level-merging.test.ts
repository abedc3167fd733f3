/** Processes that are killed while LevelDB makes tables and merges them: at any moment, and at each step. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { levelStorage } from "../../src/store/storage/level.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { killedWriter, type Killing, prefixOf } from "./killed-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "trellis-merging-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** About 1 MiB, after which a log becomes a table; after four, tables are merged. */
const tableBatches = 200;
const countMax = 9 * tableBatches;

let stores = 0;
const newDirectory = (): string => join(folder, `store-${stores++}`);

/** Kills a writer, twice on the same directory; gives what is missing of what it was promised. */
async function missingAfter(killing: Killing, place: string): Promise<string[]> {
  const directory = newDirectory();
  const missing: string[] = [];
  for (const time of ["first", "second"]) {
    const last = await killedWriter(directory, killing);
    const engine = await levelStorage(directory).open();
    const count = await prefixOf(engine, `${place}, ${time} time`);
    await engine.close();
    if (count <= last) missing.push(`${place}, ${time} time: ${count} batches, ${last} promised`);
  }
  rmSync(directory, { recursive: true });
  return missing;
}

test("a process that is killed while tables are merged leaves a prefix with all that it was promised", async () => {
  const seed = 53;
  const random = new Random(seed);
  for (let round = 0; round < 3; round++) {
    const count = tableBatches + random.below(countMax - tableBatches);
    const killing = { syncEvery: random.pick([20, 1_000_000]), count };
    expect(await missingAfter(killing, `seed ${seed}, round ${round}`)).toEqual([]);
  }
}, 120_000);

const strace = spawnSync("strace", ["-V"]).status === 0;
/** Calls by which LevelDB makes, names, synchronises and deletes files. */
const steps = [
  ...[1, 2, 3, 5, 8].map((when) => `unlink:when=${when}`),
  ...[2, 3].map((when) => `rename:when=${when}`),
  ...[2, 3, 4, 6, 8].map((when) => `fdatasync:when=${when}`),
] as const;

test.skipIf(!strace).each(steps)(
  "so does one that is killed at a step of merging (%s; needs strace)",
  async (step) => {
    const [call = "", when = ""] = step.split(":");
    const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:${when}`];
    const under = ["strace", "-f", "-qqq", "-o", "/dev/null", ...inject];
    const killing = { syncEvery: 1_000_000, count: countMax, under };
    expect(await missingAfter(killing, step)).toEqual([]);
  },
  120_000,
);
