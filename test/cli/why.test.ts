/** What makes up a value, told by the command: from directories, and from peers over real sockets. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { yDoc } from "../../src/bridge/yjs.ts";
import type { Why } from "../../src/cli/why.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import {
  boundedCounter,
  counter,
  fencedRegister,
  lwwMap,
  lwwRegister,
  openReplica,
  orSet,
  rateWindow,
} from "../../src/index.ts";
import { assertBuilt, run } from "./command.ts";

const schema = { likes: counter(), tags: orSet<string | number>(), profile: lwwRegister<string>() };
let folder = "";

beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-why-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function why(...args: readonly string[]): Promise<Why> {
  const { status, output, errors } = await run("why", ...args, "--json");
  expect([status, errors]).toEqual([0, ""]);
  return JSON.parse(output) as Why;
}

describe("trellis why", () => {
  test("names the writers of a value, which write lost, and who has seen them", async () => {
    const storage = join(folder, "one");
    const listen = { port: 0 };
    {
      await using one = await openReplica({ schema, name: "one", storage, listen });
      await using two = await openReplica({ schema, name: "two" });
      one.collections.profile.set("u", "of one");
      two.collections.profile.set("u", "of two");
      const url = `ws://127.0.0.1:${one.address?.port ?? 0}`;
      two.addPeer(url);
      await one.waitFor(two.version());
      await two.waitFor(one.version());
      await one.acknowledged(one.version(), { by: 1 });
      const { found, members, replica } = await why(url, "profile", "u");
      expect(replica).toEqual({ name: "one", actor: one.status().actor });
      expect(found?.cells.map(({ value }) => value)).toEqual([
        JSON.stringify(one.collections.profile.get("u")),
        expect.stringContaining("of "),
      ]);
      expect(members).toMatchObject([{ name: "two", acknowledged: [1, 1] }]);
      const { output } = await run("why", url, "profile", "u");
      expect(output).toMatch(/wins +│ "of (?:one|two)" +│ "(?:one|two)"/u);
      expect(output).toMatch(/lost/u);
      expect(output).toContain("1 of 1");
    }
    const { found, actors } = await why(storage, "profile", "u");
    expect(found?.count).toBe(2);
    expect(actors.map(({ ending }) => ending?.at)).toEqual([1, 1]);
  });

  test("names the writers of a document, not its slots", async () => {
    const schemaOf = { notes: yDoc() };
    await using one = await openReplica({ schema: schemaOf, name: "one", listen: { port: 0 } });
    const url = `ws://127.0.0.1:${one.address?.port ?? 0}`;
    await using two = await openReplica({ schema: schemaOf, name: "two", peers: [url] });
    two.collections.notes.change("n", (doc) => doc.getText("t").insert(0, "of two"));
    for (let i = 0; i < 3; i++) {
      one.collections.notes.change("n", (doc) => doc.getText("t").insert(0, `${i} `));
    }
    // It is cut into two slots, and is one update all the same.
    one.collections.notes.change("n", (doc) => doc.getMap("m").set("b", new Uint8Array(700_000)));
    await one.waitFor(two.version());
    const { output } = await run("why", url, "notes", "n");
    expect(output).toMatch(/"one" \([0-9a-f]{8}\) +│ 4 +│/u);
    expect(output).toMatch(/"two" \([0-9a-f]{8}\) +│ 1 +│/u);
    expect(output).not.toContain("AAAA");
  });

  test("goes below a key by names, of whatever kind", async () => {
    const storage = join(folder, "one");
    {
      await using one = await openReplica({ schema, storage });
      one.collections.tags.add("t", 5);
      one.collections.tags.add("t", "5");
    }
    expect((await why(storage, "tags", "t")).found?.cells.map(({ path }) => path)).toEqual([
      ["5"],
      ['"5"'],
    ]);
    expect((await why(storage, "tags", "t", "json:5")).found?.count).toBe(1);
    expect((await why(storage, "tags", "t", "5")).found?.cells[0]?.path).toEqual(['"5"']);
  });

  test("says of what is guarded which commit the copy is of, and what holders did", async () => {
    const guarded = { coupon: fencedRegister(), stock: boundedCounter({ min: 0 }) };
    const storage = join(folder, "one");
    {
      const locks = embeddedLocks({ host: true });
      await using one = await openReplica({ schema: guarded, storage, locks });
      await one.collections.coupon.update("c", () => [1]);
      await one.collections.coupon.update("c", () => [2]);
      one.collections.stock.increment("s", 9);
      await one.collections.stock.decrement("s", 2);
    }
    const coupon = await run("why", storage, "coupon", "c");
    expect(coupon.output).toContain("version 2 of lineage 1: [2]");
    expect(coupon.output).toContain("These are copies");
    const stock = await run("why", storage, "stock", "s");
    expect(stock.output).toContain("created 9, spent 2");
  });

  test("says when a key expires, or up to when it has, also of what is below it", async () => {
    const mortal = {
      sessions: lwwMap<number>({ expireAfterMs: 3_600_000 }),
      pinned: orSet({ expireAfterMs: Number.POSITIVE_INFINITY }),
      hits: rateWindow({ windowMs: 60_000 }),
    };
    const storage = join(folder, "one");
    let expiresAtMs = 0;
    {
      await using one = await openReplica({ schema: mortal, storage, listen: { port: 0 } });
      const { sessions, pinned, hits } = one.collections;
      sessions.set("s", "user", 7);
      expiresAtMs = sessions.expiresAt("s") ?? 0;
      pinned.add("p", "x");
      sessions.set("gone", "user", 7);
      sessions.expireAt("gone", 1_000);
      hits.hit("k", 5);
      while (sessions.has("gone")) await new Promise((resolve) => setTimeout(resolve, 10));
      const url = `ws://127.0.0.1:${one.address?.port ?? 0}`;
      const asked = await run("why", url, "sessions", "s", "user");
      expect(asked.output).toContain(`The key expires ${new Date(expiresAtMs).toISOString()}.`);
    }
    const { output } = await run("why", storage, "sessions", "s");
    expect(output).toContain("lww-map/1, expiring");
    expect(output).toMatch(/"user" +│ wins +│ 7 /u);
    expect(output).toMatch(/\(life\) +│ deadline +│ 20/u);
    expect(output).toContain(`The key expires ${new Date(expiresAtMs).toISOString()}.`);
    expect((await run("why", storage, "sessions", "s", "user")).output).toContain(
      "The key expires",
    );
    expect((await run("why", storage, "sessions", "s", "none")).status).toBe(1);
    expect((await run("why", storage, "pinned", "p")).output).toContain("has no deadline");
    const gone = (await run("why", storage, "sessions", "gone")).output;
    expect(gone).toContain("has expired, up to 1970-01-01T00:00:01.000Z");
    expect((await why(storage, "sessions", "s")).found?.cells.map(({ path }) => path)).toEqual([
      ['"life"'],
      ['"content"', '"user"'],
    ]);
    expect((await run("why", storage, "hits", "k")).output).toMatch(/counts +│ \[\d+,5\]/u);
  });

  test("ends with status 1 where nothing is, and with 2 for what cannot be asked", async () => {
    const storage = join(folder, "one");
    {
      await using one = await openReplica({ schema, storage });
      one.collections.likes.increment("a");
    }
    expect(await run("why", storage, "likes", "b")).toMatchObject({ status: 1, errors: "" });
    expect((await run("why", storage, "likes", "x".repeat(1_025))).status).toBe(1);
    expect((await run("why", storage, "tags", "t", "json:{")).status).toBe(2);
    expect((await run("why", "http://127.0.0.1", "tags", "t")).status).toBe(2);
  });
});
