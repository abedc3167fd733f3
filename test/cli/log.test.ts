import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  columns,
  lineBytesMax,
  parseAccessLog,
  parseLine,
  readAccessLog,
} from "../../src/cli/replay/log.ts";
import { InvalidValueError } from "../../src/errors.ts";

const header = columns.join("\t");
const good = "1431857103\t276e3d28ca5a\tGET\t/index.html\t200\t4877\thttp://example.org/";
const never = new AbortController().signal;

async function* chunks(text: string | Buffer, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let start = 0; start < bytes.length; start += size) {
    yield await Promise.resolve(bytes.subarray(start, start + size));
  }
}

const parse = (text: string | Buffer, size = 7): ReturnType<typeof parseAccessLog> =>
  parseAccessLog(chunks(text, size), never);

describe("a line of the log", () => {
  test("becomes a request", () => {
    expect(parseLine(good, 2)).toEqual({
      time: 1_431_857_103,
      visitor: "276e3d28ca5a",
      method: "GET",
      path: "/index.html",
      status: 200,
      bytes: 4877,
      referrer: "http://example.org/",
    });
  });

  test("may have no referrer", () => {
    expect(parseLine("1\tv\tGET\t/\t200\t0\t", 2).referrer).toBe("");
  });

  test.each([
    ["1\tv\tGET\t/\t200\t0", "has 6 columns, not 7"],
    ["1\tv\tGET\t/\t200\t0\t\t", "has 8 columns, not 7"],
    ["", "has 1 columns, not 7"],
    ["x\tv\tGET\t/\t200\t0\t", 'time "x"'],
    ["-1\tv\tGET\t/\t200\t0\t", 'time "-1"'],
    ["1.5\tv\tGET\t/\t200\t0\t", 'time "1.5"'],
    ["1\t\tGET\t/\t200\t0\t", 'visitor "" is empty'],
    ["1\tv\tget\t/\t200\t0\t", 'method "get"'],
    ["1\tv\tGET\t\t200\t0\t", 'path "" is empty'],
    [`1\tv\tGET\t/${"é".repeat(512)}\t200\t0\t`, "longer than 1024 bytes"],
    ["1\tv\tGET\t/\t600\t0\t", 'status "600"'],
    ["1\tv\tGET\t/\t200\t9007199254740993\t", "bytes"],
  ])("%j is refused with its number and its column", (line, reason) => {
    expect(() => parseLine(line, 17)).toThrow(InvalidValueError);
    expect(() => parseLine(line, 17)).toThrow(/^line 17: /u);
    expect(() => parseLine(line, 17)).toThrow(reason);
  });
});

describe("a log", () => {
  test("is split alike however its bytes come in", async () => {
    const text = `${header}\n${good}\n${good.replace("index", "☕")}\n`;
    const whole = await parse(text, 1_000);
    expect(whole.map(({ path }) => path)).toEqual(["/index.html", "/☕.html"]);
    for (let size = 1; size < 20; size++) expect(await parse(text, size)).toEqual(whole);
  });

  test("may lack its last line end, and may have those of Windows", async () => {
    expect(await parse(`${header}\r\n${good}\r\n${good}`)).toHaveLength(2);
  });

  test("may have no requests, but not no header", async () => {
    expect(await parse(`${header}\n`)).toEqual([]);
    await expect(parse("")).rejects.toThrow("line 1: is missing");
    await expect(parse(`${good}\n`)).rejects.toThrow("line 1: is not the header");
  });

  test("is refused at its first wrong line", async () => {
    await expect(parse(`${header}\n${good}\n\n${good}\n`)).rejects.toThrow(
      /^line 3: has 1 columns/u,
    );
    await expect(parse(Buffer.from(`${header}\n${good}\n/\xff\n`, "latin1"))).rejects.toThrow(
      /^line 3: is not UTF-8/u,
    );
  });

  test("is refused early when it has no line ends", async () => {
    await expect(parse("x".repeat(lineBytesMax * 2), 4_096)).rejects.toThrow(
      `line 1: is longer than ${lineBytesMax} bytes`,
    );
  });

  test("ends its reading when told so", async () => {
    const stopped = AbortSignal.abort(new Error("stop"));
    await expect(parseAccessLog(chunks(`${header}\n`, 9), stopped)).rejects.toThrow("stop");
  });
});

describe("a file", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "trellis-log-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const write = async (name: string, bytes: string | Buffer): Promise<string> => {
    const file = join(folder, name);
    await writeFile(file, bytes);
    return file;
  };

  test("is read plain and gzip alike, whatever its name", async () => {
    const text = `${header}\n${good}\n`.concat(`${good}\n`.repeat(5_000));
    const plain = await readAccessLog(await write("plain.gz", text), never);
    const zipped = await readAccessLog(await write("zipped.tsv", gzipSync(text)), never);
    expect(plain).toHaveLength(5_001);
    expect(zipped).toEqual(plain);
  });

  test("that is cut off inside gzip is refused", async () => {
    const zipped = gzipSync(`${header}\n${good}\n`);
    const file = await write("cut.gz", zipped.subarray(0, zipped.length - 9));
    await expect(readAccessLog(file, never)).rejects.toThrow("cannot be unpacked");
  });

  test("that does not exist is the error of the file system", async () => {
    await expect(readAccessLog(join(folder, "none"), never)).rejects.toThrow("ENOENT");
  });
});
