/** Files that are no whole exports are refused before anything is written. */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ExportFileError } from "../../src/cli/backup/export-file-error.ts";
import { TrellisError } from "../../src/index.ts";
import { exported, fillPlainly, imported, stored } from "./backup-shop.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-backup-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const place = (name: string): string => join(folder, name);

describe("a file that is no whole export", () => {
  /** Importing it names what is wrong, and nothing is there afterwards. */
  async function refused(bytes: Uint8Array | string): Promise<ExportFileError> {
    await writeFile(place("bad"), bytes);
    const outcome = await imported(place("bad"), place("to")).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(ExportFileError);
    expect(existsSync(place("to"))).toBe(false);
    expect((await readdir(folder)).filter((file) => file.includes("importing"))).toEqual([]);
    return outcome as ExportFileError;
  }

  test("is refused wherever it was cut, plain or zipped", async () => {
    await stored(place("from"), [fillPlainly], []);
    await exported(place("from"), place("file"));
    const whole = await readFile(place("file"));
    // Without the end of its last line it is whole all the same.
    for (let length = 0; length < whole.length - 1; length += 7) {
      expect(await refused(whole.subarray(0, length))).toBeInstanceOf(ExportFileError);
    }
    const zipped = gzipSync(whole);
    for (let length = 3; length < zipped.length; length += 13) {
      await refused(zipped.subarray(0, length));
    }
    await refused(Buffer.concat([whole, whole]));
  }, 60_000);

  test("is refused whichever byte of it was changed", async () => {
    await stored(place("from"), [fillPlainly], []);
    await exported(place("from"), place("file"));
    const whole = await readFile(place("file"));
    const length = whole.lastIndexOf('{"trellis":"end"');
    await fc.assert(
      fc.asyncProperty(fc.nat(length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const changed = Uint8Array.from(whole);
        changed[at] = ((changed[at] ?? 0) + by) % 256;
        await writeFile(place("bad"), changed);
        // A changed header may also be one of another format.
        await expect(imported(place("bad"), place("to"))).rejects.toBeInstanceOf(TrellisError);
        expect(existsSync(place("to"))).toBe(false);
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  const header = JSON.stringify({
    ...{ trellis: "export", format: 1, version: "0", time: "", at: "" },
    collections: [
      { name: "likes", type: "counter/1", keys: 1 },
      { name: "profile", type: "lww-register/1", keys: 1 },
      { name: "tags", type: "or-set/1", keys: 1 },
    ],
  });
  const deep = `${"[".repeat(3_000_000)}${"]".repeat(3_000_000)}`;
  const hostile: readonly (readonly [what: string, line: string, said: string])[] = [
    ["deep JSON", `{"c":"profile","k":"a","value":${deep},"stamp":1}`, "nested deeper"],
    ["a deep line", deep, "no object"],
    ["a long key", `{"c":"likes","k":"${"x".repeat(1_025)}","total":1}`, "longer than 1024"],
    ["a lone surrogate", '{"c":"tags","k":"a","elements":["\\ud800"]}', "lone surrogate"],
    ["__proto__ in its place", '{"__proto__":{},"c":"likes","k":"a","total":1}', "not exactly"],
    ["the name of a method", '{"c":"constructor","k":"a","total":1}', "the header does not"],
    ["a total beyond", '{"c":"likes","k":"a","total":9007199254740993}', "no safe integer"],
    ["a fraction", '{"c":"likes","k":"a","total":1.5}', "no safe integer"],
    ["an infinite value", '{"c":"profile","k":"a","value":1e999,"stamp":1}', "is Infinity"],
    ["no stamp", '{"c":"profile","k":"a","value":1,"stamp":-1}', "a stamp that is none"],
    ["another content", '{"c":"likes","k":"a","elements":["x"]}', "not exactly total"],
    ["an object in a set", '{"c":"tags","k":"a","elements":[{}]}', "cannot hold"],
    ["an empty set", '{"c":"tags","k":"a","elements":[]}', "no elements"],
    ["no JSON", "{", "no JSON"],
    ["nothing", "", "no JSON"],
    ["an end that is none", '{"trellis":"export"}', "no line of an export"],
  ];
  test.each(hostile)("is refused with its line for %s", async (_, line, said) => {
    const error = await refused(`${header}\n${line}\n`);
    expect(error.line).toBe(2);
    expect(error.message).toContain("line 2: ");
    expect(error.message).toContain(said);
  });

  test("is refused for a line without end, in bounded memory", async () => {
    const error = await refused(gzipSync(Buffer.alloc(64 * 1024 * 1024, "x")));
    expect(error.message).toContain("longer than");
  });

  test("is refused if it has a key twice, or out of order", async () => {
    const line = (key: string): string => `{"c":"likes","k":"${key}","total":1}`;
    expect((await refused(`${header}\n${line("a")}\n${line("a")}\n`)).line).toBe(3);
    expect((await refused(`${header}\n${line("b")}\n${line("a")}\n`)).line).toBe(3);
  });
});
