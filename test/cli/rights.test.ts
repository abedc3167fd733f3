/** What an operator sees of rights, and decides, from the command line. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { boundedCounter, openReplica } from "../../src/index.ts";
import type { ListedPool } from "../../src/escalate/escrow/reclaim.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { assertBuilt, run } from "./command.ts";

const schema = { stock: boundedCounter({ min: 0 }) };
let folder = "";

beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-rights-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("holders are listed, and what one has left is freed once the risk was read", async () => {
  await using shop = await openReplica({
    ...{ schema, name: "host", storage: join(folder, "host"), listen: { port: 0 } },
    locks: embeddedLocks({ host: true }),
  });
  const place = ["--join", `ws://127.0.0.1:${shop.address?.port ?? 0}`];
  const { stock } = shop.collections;
  expect((await run("rights", "stock", "sku:9", ...place)).output).toContain("nobody has used");
  stock.increment("sku:9", 100);
  await stock.decrement("sku:9", 10);

  const listed = await run("rights", "stock", "sku:9", ...place, "--json");
  expect(listed.errors).toBe("");
  const pool = JSON.parse(listed.output) as ListedPool;
  const [holder] = pool.holders;
  expect(holder).toMatchObject({ name: "host", state: "open" });
  expect((await run("rights", "show", "stock", "sku:9", ...place)).output).toContain("host");

  const id = holder?.id ?? "";
  const asked = await run("rights", "reclaim", "stock", "sku:9", id, ...place);
  expect(asked.status).toBe(2);
  expect(asked.errors).toContain("nothing was changed");
  expect(asked.errors).toContain("can be sold again");
  const absent = await run("rights", "reclaim", "stock", "sku:9", "nobody", ...place, "--yes");
  expect(absent.errors).toContain("has no holder nobody");
  const done = await run("rights", "reclaim", "stock", "sku:9", id, ...place, "--yes");
  expect(done.errors).toBe("");
  expect(done.output).toContain("are free again");
}, 30_000);

test("a place that is none is refused before anything is asked", async () => {
  const { status, errors } = await run("rights", "stock", "sku:9");
  expect(status).toBe(2);
  expect(errors).toContain("say where the pool is");
  const wrong = await run("rights", "stock", "sku:9", "--locks", "paper://127.0.0.1:1");
  expect(wrong.status).toBe(2);
  expect(wrong.errors).toContain("names no lock backend");
});
