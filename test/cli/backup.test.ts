/** Exports of replicas and what becomes of them when they are imported. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import {
  lwwMap,
  lwwRegister,
  mvRegister,
  openReplica,
  orMap,
  orSet,
  rateWindow,
  SchemaMismatchError,
  UsageError,
} from "../../src/index.ts";
import {
  contentOf,
  exported,
  fillPlainly,
  free,
  imported,
  reopened,
  schema,
  stored,
  urlOf,
  type Write,
  write,
} from "./backup-shop.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-backup-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const place = (name: string): string => join(folder, name);

describe("an export that is imported", () => {
  test("shows applications what the source showed, of every type that never waits", async () => {
    let runs = 0;
    const writes = fc.array(write, { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(writes, writes, fc.boolean(), async (one, other, isZipped) => {
        const [from, to] = [place(`from-${runs}`), place(`to-${runs}`)];
        const file = place(`export-${runs++}.jsonl${isZipped ? ".gz" : ""}`);
        const before = await stored(from, one, other);
        await exported(from, file);
        await imported(file, to);
        expect(await reopened(to)).toEqual(before);
      }),
      { numRuns: 25 },
    );
  }, 120_000);

  test("keeps values that were written beside each other, in their order", async () => {
    const writes = Array.from(
      { length: 5 },
      (_, i): Write =>
        ({ collections: { draft, cart } }) => {
          draft.set("d", `value ${i}`);
          cart.entry("c", "e").alternatives.set(i);
        },
    );
    const from = place("from");
    const before: unknown[] = [];
    {
      await using here = await openReplica({ schema: free, storage: from, listen: { port: 0 } });
      for (const step of writes) {
        await using alone = await openReplica({ schema: free });
        step(alone);
        alone.addPeer(urlOf(here));
        await here.waitFor(alone.version());
      }
      before.push(...here.collections.draft.get("d"));
      expect(before).toHaveLength(5);
    }
    await exported(from, place("file"));
    const { valuesLeftOut } = await imported(place("file"), place("to"));
    expect(valuesLeftOut).toBe(0);
    await using shop = await openReplica({ schema: free, storage: place("to") });
    expect(shop.collections.draft.get("d")).toEqual(before);
    expect(shop.collections.cart.entry("c", "e").alternatives.get()).toHaveLength(5);
  });

  test("goes on in further lines where a key holds much", async () => {
    const elements = Array.from({ length: 30_000 }, (_, i) => `element number ${i}`);
    const notes = elements.slice(0, 20_000);
    const fill: Write = ({ collections: { tags, cart } }) => {
      for (const text of elements) tags.add("many", text);
      for (const text of notes) cart.entry("c", "e").notes.add(text);
    };
    const before = await stored(place("from"), [fill], []);
    const { lines, keys } = await exported(place("from"), place("file"));
    expect(keys).toBe(2);
    expect(lines).toBeGreaterThan(3);
    const { collections } = await imported(place("file"), place("to"));
    expect(collections.map(({ written }) => written).reduce((sum, count) => sum + count)).toBe(2);
    expect(await reopened(place("to"))).toEqual(before);
  });

  test("has guarded values as copies, which are written through their guards if asked", async () => {
    {
      await using shop = await openReplica({ schema, storage: place("from") });
      const { stock, coupon, username } = shop.collections;
      await stock.increment("s", 10);
      await stock.decrement("s", 4);
      await stock.decrement("low", 7);
      await coupon.update("SPRING", () => ({ off: 3 }));
      await coupon.update("GONE", () => 1);
      await coupon.delete("GONE");
      await username.claim("ada", "u:7");
    }
    await exported(place("from"), place("file"));
    const skipped = await imported(place("file"), place("plain"));
    expect(
      skipped.collections.map(({ name: of, written, skipped: left }) => [of, written, left]),
    ).toEqual(
      expect.arrayContaining([
        ["coupon", 0, 1],
        ["stock", 0, 2],
        ["username", 0, 1],
      ]),
    );

    const locks = embeddedLocks({ host: true });
    await using host = await openReplica({
      ...{ schema, listen: { port: 0 }, storage: place("host"), locks },
    });
    const { stock, coupon, username } = host.collections;
    await username.claim("ada", "u:8");
    // Collections that hold something are refused as a whole.
    const into = { join: [urlOf(host)], guarded: true };
    await expect(imported(place("file"), undefined, into)).rejects.toThrow(
      "hold something already",
    );
    const merged = await imported(place("file"), undefined, { ...into, merge: true });
    expect(merged.refused).toMatchObject([{ collection: "username", key: "ada" }]);
    expect(await coupon.read("SPRING")).toEqual({ off: 3 });
    expect(await coupon.read("GONE")).toBeUndefined();
    expect(await username.readOwner("ada")).toBe("u:8");
    expect([stock.value("s"), stock.value("low")]).toEqual([9, -4]);
  });

  test("into a live cluster is written by a new actor that every peer hears of", async () => {
    const before = await stored(place("from"), [fillPlainly], []);
    await exported(place("from"), place("file"));
    await using one = await openReplica({ schema: free, listen: { port: 0 } });
    await using two = await openReplica({ schema: free, peers: [urlOf(one)] });
    await imported(place("file"), undefined, { join: [urlOf(one)] });
    await two.waitFor(one.version());
    expect(contentOf(two)).toEqual(before);
  });
});

describe("a second import", () => {
  test("is refused, and with --merge counters grow while the rest stays", async () => {
    const before = await stored(place("from"), [fillPlainly], []);
    await exported(place("from"), place("file"));
    await imported(place("file"), place("to"));
    await expect(imported(place("file"), place("to"))).rejects.toThrow(UsageError);
    expect(await reopened(place("to"))).toEqual(before);
    await imported(place("file"), place("to"), { merge: true });
    expect(await reopened(place("to"))).toEqual({
      ...(before as object),
      likes: [["a", 14]],
    });
  });

  test("is refused where a collection has another type", async () => {
    await stored(place("from"), [fillPlainly], []);
    await exported(place("from"), place("file"));
    {
      await using other = await openReplica({ schema: { likes: orSet() }, storage: place("to") });
      other.collections.likes.add("a", "x");
    }
    const merge = imported(place("file"), place("to"), { merge: true });
    await expect(merge).rejects.toThrow(SchemaMismatchError);
  });
});

describe("keys that expire", () => {
  const expires = { expireAfterMs: 3_600_000 };
  const mortal = {
    sessions: lwwMap<number>(expires),
    drafts: mvRegister<string>({ expireAfterMs: Number.POSITIVE_INFINITY }),
    carts: orMap({ qty: lwwRegister<number>() }, expires),
    tags: orSet(expires),
    hits: rateWindow({ windowMs: 60_000 }),
  };
  type Deadlines = Readonly<Record<"one" | "two" | "never", number | undefined>>;

  async function filled(to: string): Promise<Deadlines> {
    await using shop = await openReplica({ schema: mortal, storage: to });
    const { sessions, drafts, carts, tags, hits } = shop.collections;
    sessions.set("one", "f", 1);
    drafts.set("two", "text");
    drafts.expireAt("two", Date.now() + 7_200_000);
    drafts.set("never", "text");
    carts.entry("three", "e").qty.set(3);
    tags.add("gone", "x");
    tags.expireAt("gone", 1);
    hits.hit("k");
    // It has expired, and is still held.
    while (tags.has("gone")) await new Promise((resolve) => setTimeout(resolve, 10));
    return {
      one: sessions.expiresAt("one"),
      two: drafts.expiresAt("two"),
      never: drafts.expiresAt("never"),
    };
  }

  test("come with their deadlines, those that have expired do not, and hits are left out", async () => {
    const before = await filled(place("from"));
    const { collections, keys, notExported, leftOut } = await exported(
      place("from"),
      place("file"),
    );
    expect(Object.fromEntries(collections.map((one) => [one.name, one.keys]))).toEqual({
      ...{ sessions: 1, drafts: 2, carts: 1, tags: 0 },
    });
    expect([keys, notExported, leftOut.map(({ name }) => name)]).toEqual([4, [], ["hits"]]);
    await imported(place("file"), place("to"));
    await using shop = await openReplica({ schema: mortal, storage: place("to") });
    const { sessions, drafts, carts, tags } = shop.collections;
    expect([sessions.get("one", "f"), carts.entries("three")]).toEqual([1, [["e", { qty: 3 }]]]);
    expect([drafts.get("two"), drafts.get("never"), tags.keys()]).toEqual([["text"], ["text"], []]);
    expect({
      one: sessions.expiresAt("one"),
      two: drafts.expiresAt("two"),
      never: drafts.expiresAt("never"),
    }).toEqual(before);
  });

  test("that have expired since the export are skipped, and that is told", async () => {
    const atMs = Date.now() + 600_000;
    {
      await using shop = await openReplica({ schema: mortal, storage: place("from") });
      shop.collections.drafts.set("d", "text");
      shop.collections.drafts.expireAt("d", atMs);
      shop.collections.drafts.set("e", "text");
    }
    await exported(place("from"), place("file"));
    vi.useFakeTimers({ toFake: ["Date"], now: atMs });
    onTestFinished(() => void vi.useRealTimers());
    const { collections } = await imported(place("file"), place("to"));
    const skipped = { written: 1, skipped: 1, reason: "expired since they were exported" };
    expect(collections.find(({ name }) => name === "drafts")).toMatchObject(skipped);
  });

  test("keep values that were written beside each other", async () => {
    const atMs = Date.now() + 600_000;
    {
      const listen = { port: 0 };
      await using one = await openReplica({ schema: mortal, storage: place("from"), listen });
      await using two = await openReplica({ schema: mortal });
      for (const { collections } of [one, two]) {
        collections.drafts.set("d", "text");
        collections.drafts.expireAt("d", atMs);
      }
      two.addPeer(urlOf(one));
      await one.waitFor(two.version());
    }
    await exported(place("from"), place("file"));
    await imported(place("file"), place("to"));
    await using shop = await openReplica({ schema: mortal, storage: place("to") });
    const { drafts } = shop.collections;
    expect([drafts.get("d"), drafts.expiresAt("d")]).toEqual([["text", "text"], atMs]);
  });

  test("live as long as the longer of both deadlines when they are there already", async () => {
    const before = await filled(place("from"));
    await exported(place("from"), place("file"));
    const later = Date.now() + 9 * 3_600_000;
    {
      await using shop = await openReplica({ schema: mortal, storage: place("to") });
      const { sessions, drafts } = shop.collections;
      sessions.set("one", "g", 2);
      sessions.expireAt("one", later);
      drafts.set("two", "here");
      drafts.expireAt("two", Date.now() + 60_000);
      drafts.set("never", "here");
      drafts.expireAt("never", later);
    }
    await imported(place("file"), place("to"), { merge: true });
    await using shop = await openReplica({ schema: mortal, storage: place("to") });
    const { sessions, drafts } = shop.collections;
    expect(sessions.expiresAt("one")).toBe(later);
    expect(drafts.expiresAt("two")).toBe(before.two);
    expect([drafts.has("never"), drafts.expiresAt("never")]).toEqual([true, undefined]);
  });
});
