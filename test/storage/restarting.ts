/** Restarts of one replica, and what its store has then: records by kind, and their bytes. */
import assert from "node:assert/strict";
import { counter, lwwRegister, openReplica, orSet } from "../../src/index.ts";
import { type RecordKind, recordKinds } from "../../src/store/image.ts";
import type { StorageBackend, StorageEngine } from "../../src/store/storage.ts";
import { parseVersionToken } from "../../src/store/version-token.ts";

/** What is restarted. */
export const schema = { likes: counter(), tags: orSet(), profile: lwwRegister<string>() };

/** What a store has. */
export interface Records {
  readonly count: Readonly<Record<RecordKind, number>>;
  readonly bytes: number;
}

async function recordsOf(engine: StorageEngine): Promise<Records> {
  const count = { meta: 0, actor: 0, collection: 0, node: 0, peer: 0 };
  let bytes = 0;
  const kinds = Object.entries(recordKinds) as [RecordKind, number][];
  for (const [kind, letter] of kinds) {
    for await (const page of engine.read(Uint8Array.of(letter), Uint8Array.of(letter + 1))) {
      count[kind] += page.length;
      for (const { key, value } of page) bytes += key.length + value.length;
    }
  }
  return { count, bytes };
}

/** Opens a store, counts, and closes it. */
export async function lookInto(storage: StorageBackend): Promise<Records> {
  const engine = await storage.open();
  try {
    return await recordsOf(engine);
  } finally {
    await engine.close();
  }
}

/** Writes one counter and one element that are there already, and a register. */
export async function restart(storage: StorageBackend, at: number): Promise<void> {
  await using shop = await openReplica({ schema, storage });
  assert.equal(parseVersionToken(shop.version()).size, at);
  shop.collections.likes.increment("post");
  shop.collections.tags.add("post", "tag");
  shop.collections.profile.set("u", `Ada ${at}`);
}
