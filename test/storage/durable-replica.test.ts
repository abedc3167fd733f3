/** Replicas with storage, whole: what survives, what is said when the disk refuses. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  counter,
  lwwRegister,
  openReplica,
  orSet,
  StorageError,
  UsageError,
  WaitTimeoutError,
} from "../../src/index.ts";
import type { StorageBackend } from "../../src/store/storage.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { WatchedEngine } from "./watched-engine.ts";

const schema = { likes: counter(), tags: orSet(), profile: lwwRegister<string>() };

test("what was written is there after a close, under a new actor", async () => {
  const storage = memoryStorage();
  const first = await openReplica({ schema, storage });
  const { actor } = first.status();
  first.collections.likes.increment("post", 3);
  first.collections.tags.add("post", "crdt");
  first.collections.profile.set("u", "Ada");
  await first.close();
  await using second = await openReplica({ schema, storage });
  expect(second.collections.likes.value("post")).toBe(3);
  expect(second.collections.tags.values("post")).toEqual(["crdt"]);
  expect(second.collections.profile.get("u")).toBe("Ada");
  expect(second.status().actor).not.toBe(actor);
  expect(second.status().storage).toMatchObject({ kind: "durable", location: "memory" });
  second.collections.likes.increment("post");
  expect(second.collections.likes.value("post")).toBe(4);
});

test("five hundred openings that write nothing leave no trace", async () => {
  const storage = memoryStorage();
  for (let i = 0; i < 500; i++) await (await openReplica({ schema, storage })).close();
  await using replica = await openReplica({ schema, storage });
  replica.collections.likes.increment("post");
  // A format byte, a count, one actor of 16 bytes, its sequence.
  expect(Buffer.from(replica.version(), "base64url").length).toBe(19);
});

test("acknowledged by the disk means that it was synced", async () => {
  const { backend, writes } = watched(memoryStorage());
  await using replica = await openReplica({ schema, storage: backend });
  replica.collections.likes.increment("post");
  await replica.acknowledged(replica.version(), { by: "durable" });
  expect(writes).toEqual([{ sync: true }]);
});

test("callers of one turn share one write", async () => {
  const { backend, writes } = watched(memoryStorage());
  await using replica = await openReplica({ schema, storage: backend });
  await Promise.all(
    Array.from({ length: 1_000 }, async () => {
      replica.collections.likes.increment("post");
      await replica.acknowledged(replica.version(), { by: "durable" });
    }),
  );
  expect(writes.length).toBeLessThanOrEqual(2);
});

test("a disk that refuses costs durability only, says so, and is tried again", async () => {
  const full = new StorageError("no space left on the device");
  const disk = watched(memoryStorage());
  const replica = await openReplica({ schema, storage: disk.backend });
  const warnings: string[] = [];
  replica.on("warning", ({ kind }) => warnings.push(kind));
  disk.refusal = full;
  replica.collections.likes.increment("post");
  const durable = replica.acknowledged(replica.version(), { by: "durable" });
  await expect(durable).rejects.toThrow(StorageError);
  await expect(durable).rejects.toMatchObject({ cause: full });
  expect(replica.status().storage).toMatchObject({ failure: full.message, pending: 1 });
  replica.collections.likes.increment("post");
  expect(replica.collections.likes.value("post")).toBe(2);
  await expect.poll(() => warnings).toEqual(["not-durable"]);
  disk.refusal = undefined;
  await replica.acknowledged(replica.version(), { by: "durable" });
  expect(replica.status().storage).not.toHaveProperty("failure");
  expect(disk.writes.length).toBeGreaterThan(0);
  await replica.close();
});

test("without storage nothing is durable", async () => {
  await using replica = await openReplica({ schema });
  const durable = replica.acknowledged(replica.version(), { by: "durable" });
  await expect(durable).rejects.toThrow(UsageError);
});

test("a peer with a disk counts once its disk has it, one without counts at once", async () => {
  const disk = watched(memoryStorage());
  await using hub = await openReplica({ schema, storage: disk.backend, listen: { port: 0 } });
  const url = `ws://127.0.0.1:${hub.address?.port ?? 0}`;
  await using writer = await openReplica({ schema, peers: [url] });
  disk.refusal = new StorageError("no space left on the device");
  writer.collections.likes.increment("post");
  const version = writer.version();
  await hub.waitFor(version);
  const kept = writer.acknowledged(version, { by: 1, timeoutMs: 200 });
  await expect(kept).rejects.toThrow(WaitTimeoutError);
  disk.refusal = undefined;
  await writer.acknowledged(version, { by: 1 });
  hub.collections.likes.increment("post");
  await hub.acknowledged(hub.version(), { by: 1 });
});

test("a peer that leaves syncing to the operating system counts as memory", async () => {
  const directory = await mkdtemp(join(tmpdir(), "trellis-never-"));
  {
    const storage = { directory, fsync: "never" } as const;
    await using hub = await openReplica({ schema, storage, listen: { port: 0 } });
    const url = `ws://127.0.0.1:${hub.address?.port ?? 0}`;
    await using writer = await openReplica({ schema, peers: [url] });
    writer.collections.likes.increment("post");
    const kept = writer.acknowledged(writer.version(), { by: 1 });
    await expect(kept).resolves.toBeUndefined();
  }
  await rm(directory, { recursive: true });
});

test("what a durable peer held when the link began counts, too", async () => {
  const storage = memoryStorage();
  await using first = await openReplica({ schema, storage, listen: { port: 0 } });
  first.collections.likes.increment("post");
  await first.acknowledged(first.version(), { by: "durable" });
  const url = `ws://127.0.0.1:${first.address?.port ?? 0}`;
  await using second = await openReplica({ schema, peers: [url] });
  await second.waitFor(first.version());
  const kept = second.acknowledged(first.version(), { by: 1 });
  await expect(kept).resolves.toBeUndefined();
});

interface Watched {
  readonly backend: StorageBackend;
  readonly writes: { readonly sync: boolean }[];
  /** What every write ends with from now on. */
  refusal: Error | undefined;
}

/** The backend, with a list of the writes that came to their end, and a way to refuse them. */
function watched(inner: StorageBackend): Watched {
  const writes: { readonly sync: boolean }[] = [];
  const made: Watched = {
    backend: {
      open: async () =>
        new WatchedEngine(await inner.open(), async (go, options) => {
          if (made.refusal) throw made.refusal;
          await go();
          writes.push(options);
        }),
    },
    writes,
    refusal: undefined,
  };
  return made;
}
