/**
 * Directories that were copied, set back or lost: each opening writes as a new actor, so no dot gets a
 * second meaning and nothing is counted twice, whoever meets whom first. On real directories.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { counter, lwwRegister, openReplica, orSet, type Replica } from "../../src/index.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { World } from "../simulation/virtual-environment.ts";

const schema = { likes: counter(), tags: orSet(), profile: lwwRegister<string>() };
type Shop = Replica<typeof schema>;

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-identity-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);
const urlOf = ({ address }: Shop): string => `ws://127.0.0.1:${address?.port ?? 0}`;

/** All hold what each holds. */
async function settle(...shops: readonly Shop[]): Promise<void> {
  for (const one of shops) for (const other of shops) await one.waitFor(other.version());
}

/** Opens a directory, writes `by` likes in `batches` batches, and closes it. */
async function write(directory: string, batches: number, by = 1): Promise<void> {
  await using shop = await openReplica({ schema, storage: directory });
  for (let batch = 0; batch < batches; batch++) {
    shop.collections.likes.increment("post", by);
    shop.version();
  }
}

test("a directory that was copied and its copy both count, though they write as many batches", async () => {
  await write(at("first"), 5);
  await cp(at("first"), at("copy"), { recursive: true });
  await using hub = await openReplica({ schema, listen: { port: 0 } });
  await using other = await openReplica({ schema, listen: { port: 0 }, peers: [urlOf(hub)] });
  // Each meets another peer first.
  await using first = await openReplica({ schema, storage: at("first"), peers: [urlOf(hub)] });
  await using copy = await openReplica({ schema, storage: at("copy"), peers: [urlOf(other)] });
  expect(first.status().actor).not.toBe(copy.status().actor);
  for (let batch = 0; batch < 3; batch++) {
    first.collections.likes.increment("post", 10);
    copy.collections.likes.increment("post", 100);
    first.version();
    copy.version();
  }
  await settle(hub, other, first, copy);
  for (const shop of [hub, other, first, copy]) {
    expect(shop.collections.likes.value("post")).toBe(5 + 30 + 300);
  }
});

test.each([true, false])(
  "a directory that was set back continues with exact sums, peers up meanwhile: %s",
  async (hasPeers) => {
    await write(at("shop"), 3);
    await cp(at("shop"), at("backup"), { recursive: true });
    const peer = await openReplica({ schema, storage: at("peer"), listen: { port: 0 } });
    const url = urlOf(peer);
    {
      await using shop = await openReplica({ schema, storage: at("shop"), peers: [url] });
      for (let batch = 0; batch < 4; batch++) {
        shop.collections.likes.increment("post", 10);
        shop.version();
      }
      await settle(shop, peer);
    }
    if (!hasPeers) await peer.close();
    // The disk is replaced by the backup, and writes as many batches as were lost.
    await rm(at("shop"), { recursive: true });
    await cp(at("backup"), at("shop"), { recursive: true });
    await write(at("shop"), 4, 1_000);
    await using again = hasPeers
      ? peer
      : await openReplica({ schema, storage: at("peer"), listen: { port: 0 } });
    await using shop = await openReplica({ schema, storage: at("shop"), peers: [urlOf(again)] });
    await settle(shop, again);
    for (const one of [shop, again]) {
      expect(one.collections.likes.value("post")).toBe(3 + 40 + 4_000);
    }
  },
);

test("a replica whose disk is lost gets back what its peers have, and counts on", async () => {
  await using peer = await openReplica({ schema, listen: { port: 0 } });
  {
    await using shop = await openReplica({ schema, storage: at("shop"), peers: [urlOf(peer)] });
    shop.collections.likes.increment("post", 10);
    await settle(shop, peer);
  }
  await rm(at("shop"), { recursive: true });
  await using shop = await openReplica({ schema, storage: at("shop"), peers: [urlOf(peer)] });
  shop.collections.likes.increment("post", 3);
  await settle(shop, peer);
  expect(peer.collections.likes.value("post")).toBe(13);
});

test("a removal that was written is not undone by a peer that slept meanwhile", async () => {
  const sleeper = await openReplica({ schema, storage: at("sleeper"), listen: { port: 0 } });
  {
    await using shop = await openReplica({ schema, storage: at("shop"), peers: [urlOf(sleeper)] });
    shop.collections.tags.add("post", "old");
    await settle(shop, sleeper);
    await sleeper.close();
    shop.collections.tags.remove("post", "old");
    shop.collections.tags.add("post", "new");
  }
  await using awake = await openReplica({ schema, storage: at("sleeper"), listen: { port: 0 } });
  await using shop = await openReplica({ schema, storage: at("shop"), peers: [urlOf(awake)] });
  await settle(shop, awake);
  for (const one of [shop, awake]) expect(one.collections.tags.values("post")).toEqual(["new"]);
});

test("a clock that stepped back an hour loads everything, and its next write still wins", async () => {
  const storage = memoryStorage();
  const world = new World(1);
  const environment = world.environment();
  const open = async (): Promise<Shop> => {
    const opened = openReplica({ schema, storage, environment });
    let shop: Shop | undefined;
    void opened.then((ready) => (shop = ready));
    await world.settle({ forMs: 5_000, until: () => shop !== undefined });
    return opened;
  };
  const first = await open();
  first.collections.profile.set("u", "before");
  const { clock } = first.status();
  const closed = first.close();
  await world.settle({ forMs: 5_000 });
  await closed;
  environment.skewMs -= 3_600_000;
  const second = await open();
  expect(second.collections.profile.get("u")).toBe("before");
  second.collections.profile.set("u", "after");
  second.version();
  expect(second.collections.profile.get("u")).toBe("after");
  expect(second.status().clock.lastStampMs).toBeGreaterThanOrEqual(clock.lastStampMs);
});

test("fifty restarts that wrote cost one entry of the vector each, and the cells of what they touched", async () => {
  const storage = memoryStorage();
  for (let i = 0; i < 50; i++) {
    const shop = await openReplica({ schema, storage });
    shop.collections.likes.increment("post");
    shop.collections.tags.add("post", "tag");
    await shop.close();
  }
  await using shop = await openReplica({ schema, storage });
  expect(shop.collections.likes.value("post")).toBe(50);
  // A format byte, a count, and 50 actors of 16 bytes and a sequence.
  expect(Buffer.from(shop.version(), "base64url").length).toBe(2 + 50 * 17);
  expect(shop.status().removalsKept).toBe(0);
});
