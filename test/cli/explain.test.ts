/** What operations need, as the command prints it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Explanation } from "../../src/index.ts";
import { assertBuilt, run } from "./command.ts";

const library = new URL("../../dist/index.js", import.meta.url).href;
let folder = "";

beforeAll(async () => {
  assertBuilt();
  folder = await mkdtemp(join(tmpdir(), "trellis-explain-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function moduleOf(name: string, code: string): Promise<string> {
  const path = join(folder, name);
  const types = "boundedCounter, counter, fencedRegister, orSet, uniqueClaims";
  await writeFile(path, `import { ${types} } from ${JSON.stringify(library)};\n${code}\n`);
  return path;
}

test("each operation has its route and the reason for it", async () => {
  const path = await moduleOf(
    "shop.mjs",
    `export const schema = { likes: counter(), tags: orSet(), stock: boundedCounter({ min: 0 }),
       seats: boundedCounter({ min: 0, max: 9 }), coupon: fencedRegister(), name: uniqueClaims() };`,
  );
  const { status, output, errors } = await run("explain", path, "--json");
  expect(errors).toBe("");
  expect(status).toBe(0);
  const rows = JSON.parse(output) as Explanation[];
  const routes = Object.fromEntries(
    rows.map(({ collection, operation, route }) => [`${collection}.${operation}`, route]),
  );
  expect(routes).toMatchObject({
    "likes.increment": "free",
    "tags.remove": "free",
    "stock.increment": "free",
    "stock.decrement": "escrow",
    "seats.increment": "escrow",
    "seats.decrement": "escrow",
    "coupon.update": "fenced",
    "coupon.get": "free",
    "name.claim": "fenced",
  });
  expect(rows.every(({ why }) => why.length > 10)).toBe(true);
  const shown = await run("explain", path);
  expect(shown.output).toContain("stock.decrement");
  expect(shown.output).toContain("escrow");
});

test("an export of another name is asked for, and what is no schema is refused", async () => {
  const path = await moduleOf("named.mjs", "export const mine = { likes: counter() };");
  const refused = await run("explain", path);
  expect(refused.status).toBe(2);
  expect(refused.errors).toContain("exports mine, but no schema: name it with --export");
  expect((await run("explain", path, "--export", "mine")).output).toContain("likes.increment");
  const wrong = await run(
    "explain",
    await moduleOf("wrong.mjs", "export const schema = { a: 1 };"),
  );
  expect(wrong.status).toBe(2);
  expect(wrong.errors).toContain('collection "a" is no data type');
  const missing = await run("explain", join(folder, "absent.mjs"));
  expect(missing.status).toBe(2);
  expect(missing.errors).toContain("cannot be loaded");
});
