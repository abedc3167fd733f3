/** A store as the present code writes it: every type, kind of cell and record, by fixed actors. */
import type { Shape } from "../../src/crdt/data-type.ts";
import { VersionVector } from "../../src/crdt/version-vector.ts";
import type { Environment } from "../../src/environment.ts";
import { ByteReader } from "../../src/store/bytes.ts";
import {
  readActor,
  readCell,
  readCollection,
  readMeta,
  readNode,
  readPeer,
  recordKinds,
  recordNumber,
} from "../../src/store/image.ts";
import { Journal, noStoredNumbers } from "../../src/store/journal.ts";
import { childShape } from "../../src/store/nodes.ts";
import { restore } from "../../src/store/restore.ts";
import type { StorageBackend } from "../../src/store/storage.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { type Golden, type GoldenLine, hex } from "./file.ts";
import { Party } from "./party.ts";

/** The party's world, in which turns come to an end. */
function goingOn({ environment }: Party): Environment {
  return {
    now: () => environment.now(),
    monotonic: () => environment.monotonic(),
    schedule: () => environment.schedule(),
    randomBytes: (count) => environment.randomBytes(count),
    defer: (task) => queueMicrotask(task),
  };
}

/** What a peer had that is some batches behind. */
function passed({ keyspace }: Party): VersionVector {
  const vector = new VersionVector();
  for (const [actor] of keyspace.held.entries()) vector.raise(actor, 1);
  return vector;
}

/** Writes a party, from now on and until `close`, to a store in memory. */
async function journalOf(party: Party, storage: StorageBackend): Promise<Journal> {
  return new Journal({
    keyspace: party.keyspace,
    engine: await storage.open(),
    environment: goingOn(party),
    fsync: "interval",
    intervalMs: 50,
    numbers: noStoredNumbers(),
    peers: () => [
      { name: "ws://127.0.0.1:7001", lastSeenMs: 1_700_000_000_000, acknowledged: passed(party) },
    ],
    onChange: () => undefined,
  });
}

/** Every golden image, made anew. */
export async function imageGoldens(): Promise<Golden[]> {
  const storage = memoryStorage();
  const writer = new Party("writer");
  const journal = await journalOf(writer, storage);
  writeAll(writer);
  const shows = JSON.stringify(writer.shows());
  writer.keyspace.close();
  await journal.close();
  const records: [Uint8Array, Uint8Array][] = [];
  const engine = await storage.open();
  for await (const page of engine.read(Uint8Array.of(0), Uint8Array.of(255))) {
    for (const { key, value } of page) records.push([key, value]);
  }
  await engine.close();
  const lines: GoldenLine[] = [
    {
      word: "#",
      text: "a store: every type, live and bare cells, floors, ends, peers, nested maps",
    },
    ...records.map(
      ([key, value]) => ({ word: "record", text: `${hex(key)} ${hex(value)}` }) as const,
    ),
    ...meaningOf(records).map((text) => ({ word: "holds", text }) as const),
    { word: "shows", text: shows },
  ];
  return [{ name: "image.hex", lines }];
}

/** What another wrote meanwhile, what was removed and forgotten, and what was removed and was not. */
function writeAll(writer: Party): void {
  const other = new Party("other");
  const batch = (party: Party, write: (of: Party["collections"]) => void): void => {
    write(party.collections);
    party.keyspace.flush();
    party.environment.nowMs += 1;
  };
  batch(writer, ({ sets, registers, entries }) => {
    sets.add("k", "forgotten");
    registers.set("forgotten", 1);
    entries.entry("u:7", "forgotten").chosen.enable();
  });
  batch(writer, ({ sets, registers, entries }) => {
    sets.remove("k", "forgotten");
    registers.delete("forgotten");
    entries.delete("u:7", "forgotten");
  });
  while (writer.keyspace.forgetting.step([], 1_000));
  for (const party of [writer, other]) {
    batch(party, ({ counters, sets, registers, multis, maps, flags, entries }) => {
      if (party === writer) counters.increment("shared", 3);
      else counters.decrement("shared", 2 ** 40);
      for (const element of ["crdt", 7, -0.5, true, null, ""]) sets.add("k", element);
      registers.set("__proto__", { by: party.keyspace.actor.slice(0, 4), list: [1, 0.1, null] });
      multis.set("draft", [party.keyspace.actor.slice(0, 4)]);
      maps.set("u:7", "dark", party === writer);
      flags.enable("on");
      const entry = entries.entry("u:7", "sku:9");
      entry.quantity.set(2);
      entry.notes.add("gift, é");
      entry.options.set("red");
      entry.extras.set("wrap", true);
      entry.chosen.enable();
    });
  }
  writer.learn(other);
  writer.keyspace.endings.learn(other.keyspace.actor, { at: 1, isFinal: false });
  batch(writer, ({ sets, registers, multis, maps, flags, entries }) => {
    sets.remove("k", "crdt");
    sets.add("gone", "x");
    registers.set("text", "x".repeat(40));
    multis.set("one", "value");
    maps.set("u:8", "gone", 1);
    flags.enable("off");
    entries.entry("u:8", "sku:1").notes.add("gone");
  });
  batch(writer, ({ sets, maps, flags, entries }) => {
    sets.clear("gone");
    maps.delete("u:8", "gone");
    flags.disable("off");
    entries.delete("u:8", "sku:1");
  });
}

/** What each record says, in words of its own, in the order of records. */
export function meaningOf(records: readonly (readonly [Uint8Array, Uint8Array])[]): string[] {
  const collections = new Map<number, Shape>();
  const nodes = new Map<number, Shape>();
  const nodeOf = (number: number, from: ByteReader): unknown => {
    const { parent, name } = readNode(from);
    const above = parent < 0 ? collections.get(~parent) : nodes.get(parent);
    if (above === undefined) throw new Error(`node ${number} comes before node ${parent}`);
    const shape = parent < 0 ? above : childShape(above, name);
    if (shape === undefined) throw new Error(`node ${number} cannot be there`);
    nodes.set(number, shape);
    const under = parent < 0 ? { collection: ~parent } : { node: parent };
    if (shape.kind !== "leaf") return { ...under, name };
    const cells: unknown[] = [];
    while (from.left > 0) cells.push(readCell(shape.payload, from));
    return { ...under, name, cells };
  };
  return records.map(([key, value]) => {
    const number = recordNumber(key);
    const from = new ByteReader(value);
    const say = (kind: string, what: unknown): string =>
      `${kind} ${number} ${JSON.stringify(what)}`;
    switch (key[0]) {
      case recordKinds.meta:
        return say("meta", readMeta(from));
      case recordKinds.actor:
        return say("actor", readActor(from));
      case recordKinds.collection: {
        const collection = readCollection(from);
        collections.set(number, collection.shape);
        return say("collection", { name: collection.name, tag: collection.tag });
      }
      case recordKinds.peer:
        return say("peer", readPeer(from));
      default:
        return say("node", nodeOf(number, from));
    }
  });
}

/** The records of a golden file. */
export const recordsIn = ({ lines }: Golden): (readonly [Uint8Array, Uint8Array])[] =>
  lines
    .filter(({ word }) => word === "record")
    .map(({ text }) => {
      const [key = "", value = ""] = text.split(" ");
      return [bytesOfHex(key), bytesOfHex(value)];
    });

/** Opens what a golden file has, with the schema or without. */
export async function restored(golden: Golden, isRelay: boolean): Promise<Party> {
  const storage = memoryStorage();
  const engine = await storage.open();
  const batch = engine.batch();
  for (const [key, value] of recordsIn(golden)) batch.put(key, value);
  await batch.write({ sync: true });
  const party = new Party("later", { isRelay });
  await restore({ keyspace: party.keyspace, engine, environment: goingOn(party) });
  return party;
}

const bytesOfHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
