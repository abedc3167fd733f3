/**
 * What a power failure leaves of a LevelDB directory: its log, byte for byte, without what the write
 * cache had kept. Whatever pages are missing, what is read is a prefix of what was written, with all
 * that was synchronised.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CorruptStorageError } from "../../src/errors.ts";
import type { StorageEngine } from "../../src/store/storage.ts";
import { examineLogs } from "../../src/store/storage/level-log.ts";
import { levelStorage } from "../../src/store/storage/level.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { crashed, type CrashKind, crashKinds } from "./cached-file.ts";
import { batchOf, contentOf } from "./conformance.ts";

const folder = mkdtempSync(join(tmpdir(), "trellis-cached-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const batches = 40;
const syncedBatches = 25;
const opened = 8;
const examined = 300;
const kindsOfLoss: readonly CrashKind[] = crashKinds.filter((kind) => kind !== "process");

/** A directory as a process has it that wrote and synchronised, and wrote. */
interface Written {
  readonly directory: string;
  readonly log: string;
  readonly bytes: Uint8Array;
  /** Where each batch ends. */
  readonly ends: readonly number[];
  readonly syncedLength: number;
}

const nameOf = (at: number): string => `batch ${String(at).padStart(3, "0")}`;

/** From a few bytes to several blocks. */
const fillingOf = (at: number): string => "x".repeat(at % 13 === 6 ? 70_000 : (at * 397) % 2_500);

async function write(): Promise<Written> {
  const live = join(folder, "live");
  const engine = await levelStorage(live).open();
  const log = String(readdirSync(join(live, "records")).find((name) => name.endsWith(".log")));
  const ends: number[] = [];
  for (let at = 0; at < batches; at++) {
    const sync = at + 1 === syncedBatches;
    await batchOf(engine, { [`${nameOf(at)} a`]: fillingOf(at), [`${nameOf(at)} b`]: "" }).write({
      sync,
    });
    ends.push(readFileSync(join(live, "records", log)).length);
  }
  const directory = join(folder, "as it was");
  cpSync(live, directory, { recursive: true });
  await engine.close();
  const bytes = Uint8Array.from(readFileSync(join(directory, "records", log)));
  return { directory, log, bytes, ends, syncedLength: ends[syncedBatches - 1] ?? 0 };
}

/** How many batches are read; they must be whole, and the first ones. */
async function countOf(engine: StorageEngine): Promise<number> {
  const content = await contentOf(engine);
  const count = content.length / 2;
  const expected = Array.from({ length: count }, (_, at) => [
    [`${nameOf(at)} a`, fillingOf(at)],
    [`${nameOf(at)} b`, ""],
  ]).flat();
  expect(content).toEqual(expected);
  return count;
}

let written: Written;
beforeAll(async () => {
  written = await write();
});

let copies = 0;
/** Opens the directory with other bytes in its log, and counts what is there. */
async function openWith(bytes: Uint8Array): Promise<number> {
  const directory = join(folder, `copy ${copies++}`);
  cpSync(written.directory, directory, { recursive: true });
  writeFileSync(join(directory, "records", written.log), bytes);
  const engine = await levelStorage(directory).open();
  try {
    return await countOf(engine);
  } finally {
    await engine.close();
    rmSync(directory, { recursive: true });
  }
}

/** How many batches the adapter would keep. It must not call this damage. */
function examine(bytes: Uint8Array, place: string): number {
  const { last, damage } = examineLogs([{ name: "log", bytes }]);
  expect(damage, `at ${place}`).toBeUndefined();
  return last ?? 0;
}

describe("a log of which the end is lost", () => {
  test("is a prefix with all that was synchronised, wherever it is cut", () => {
    const { bytes, ends, syncedLength } = written;
    expect(bytes.length - syncedLength).toBeGreaterThan(70_000);
    for (let length = syncedLength; length <= bytes.length; length++) {
      // Every byte around each end; in the middle of a long batch all are alike.
      const isNear = ends.some((end) => Math.abs(end - length) < 12);
      if (!isNear && length % 509 > 0) continue;
      const place = `${length} of ${bytes.length} bytes`;
      const whole = ends.filter((end) => end <= length).length;
      expect(examine(bytes.subarray(0, length), place), `at ${place}`).toBe(whole);
    }
  });

  test.each(kindsOfLoss)(
    "is a prefix with all that was synchronised, when unsynchronised pages are lost (%s)",
    async (kind) => {
      const { bytes, syncedLength } = written;
      const counts = new Set<number>();
      for (let seed = 1; seed <= examined; seed++) {
        const left = crashed(bytes, syncedLength, kind, new Random(seed));
        const place = `${kind}, seed ${seed}`;
        const count = examine(left, place);
        expect(count, `at ${place}`).toBeGreaterThanOrEqual(syncedBatches);
        counts.add(count);
        // LevelDB itself reads some of them.
        const read = seed <= opened ? await openWith(left) : count;
        expect(read, `at ${place}`).toBe(count);
      }
      expect(counts.size).toBeGreaterThan(3);
    },
    60_000,
  );
});

describe("a log that lacks what was synchronised", () => {
  test("is refused, and the error says what to do, as long as a later batch can tell", async () => {
    const { bytes, syncedLength } = written;
    for (let seed = 1; seed <= opened; seed++) {
      const random = new Random(seed);
      const left = bytes.slice();
      const from = random.below(syncedLength - 4_096);
      if (random.chance(0.5)) left.fill(0, from, from + 4_096);
      else left.copyWithin(from, random.below(syncedLength - 4_096) + 1, syncedLength - 4_000);
      if (Buffer.compare(left, bytes) === 0) continue;
      const opening = openWith(left);
      await expect(opening, `seed ${seed}`).rejects.toThrow(CorruptStorageError);
      await expect(opening, `seed ${seed}`).rejects.toThrow(/\.log .*trellis repair/u);
    }
  });
});
