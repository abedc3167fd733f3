/**
 * The updates of one document as they stand in slots, for reading: under a key writers, and under each its updates
 * by name, `level.number`, or `s` for a snapshot. A long one stands in parts, `name/part/parts`.
 *
 * Every live cell of a slot is an update: if a memory was copied, two write to the slots of one writer.
 */
import { noCell } from "../../crdt/cells.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Container, Root } from "../nodes.ts";

/** What a document may weigh, all its updates together, in bytes: a snapshot must fit into one transaction. */
export const documentBytesMax: number = 10 * 1024 * 1024;
/** Of one update that is read from parts, in bytes. */
export const updateBytesMax: number = 2 * documentBytesMax;
/** Of one slot, in bytes: as text it must fit into a value. */
export const partBytesMax: number = 512 * 1024;
/** The name of the slot of a snapshot. */
export const snapshotName = "s";

/** What the slots of a document weigh. */
export interface Weight {
  /** Of all updates. */
  readonly bytes: number;
  /** Of snapshots among them. */
  readonly snapshotBytes: number;
  readonly slots: number;
}

/** An update where it stands. */
export interface Found {
  readonly update: Uint8Array;
  /** The number of its writer. */
  readonly actor: number;
}

/** The updates of one document, which may not be there yet. */
export class WrittenUpdates {
  readonly #keyspace: Keyspace;
  readonly #root: Root;
  readonly #key: string;

  constructor(keyspace: Keyspace, root: Root, key: string) {
    this.#keyspace = keyspace;
    this.#root = root;
    this.#key = key;
  }

  /** Whether there is any update. O(1). */
  get isEmpty(): boolean {
    const node = this.#root.keys.get(this.#key);
    return node === undefined || this.#keyspace.nodes.total(node) === 0;
  }

  /** All of them, each once; what can be none is passed over. O(bytes). */
  *all(): Generator<Uint8Array> {
    for (const writer of this.#writers()) {
      for (const { update } of this.of(writer)) yield update;
    }
  }

  /** What all of them weigh. O(slots). */
  weigh(): Weight {
    let [bytes, snapshotBytes, slots] = [0, 0, 0];
    for (const writer of this.#writers()) {
      for (const [name, slot] of writer.children) {
        for (const cell of this.live(slot)) {
          const size = this.#sizeOf(cell);
          bytes += size;
          slots++;
          if (String(name).startsWith(snapshotName)) snapshotBytes += size;
        }
      }
    }
    return { bytes, snapshotBytes, slots };
  }

  /** Those of one writer whose names begin so. */
  *of(writer: Container, prefix = ""): Generator<Found> {
    for (const name of writer.children.keys()) {
      const text = String(name);
      if (text.startsWith(prefix)) yield* this.at(writer, text);
    }
  }

  /** The updates whose only or first part has this name. */
  *at(writer: Container, name: string): Generator<Found> {
    const { cells } = this.#keyspace;
    const slot = writer.children.get(name);
    if (slot === undefined) return;
    const [whole, part, told] = name.split("/");
    if (part !== undefined && part !== "0") return;
    const parts = part === undefined ? 1 : Number(told);
    if (!(parts * partBytesMax <= updateBytesMax)) return;
    for (const first of this.live(slot)) {
      const found = [this.#bytesOf(first)];
      for (let next = 1; next < parts; next++) {
        found.push(
          this.#bytesOf(this.#beside(first, writer.children.get(`${whole}/${next}/${told}`))),
        );
      }
      const bytes = found.filter((one) => one !== undefined);
      if (bytes.length < found.length) continue;
      const update = bytes.length === 1 ? bytes[0] : Buffer.concat(bytes);
      if (update !== undefined) yield { update, actor: cells.actor(first) };
    }
  }

  /** The live cells of a slot. */
  *live(slot: number): Generator<number> {
    const { cells, nodes } = this.#keyspace;
    for (let cell = nodes.head(slot); cell !== noCell; cell = cells.next(cell)) {
      if (cells.isLive(cell)) yield cell;
    }
  }

  *#writers(): Generator<Container> {
    const { nodes } = this.#keyspace;
    const node = this.#root.keys.get(this.#key);
    const key = node === undefined ? undefined : nodes.container(node);
    for (const child of key?.children.values() ?? []) {
      const writer = nodes.container(child);
      if (writer !== undefined) yield writer;
    }
  }

  /** The cell of another slot that was written with this one. */
  #beside(first: number, slot: number | undefined): number {
    const { cells } = this.#keyspace;
    if (slot === undefined) return noCell;
    const cell = cells.find(slot, cells.actor(first));
    if (cell === noCell || !cells.isLive(cell)) return noCell;
    return cells.sequence(cell) === cells.sequence(first) ? cell : noCell;
  }

  #bytesOf(cell: number): Uint8Array | undefined {
    const text = cell === noCell ? undefined : this.#keyspace.cells.payload(cell);
    return typeof text === "string" ? bytesOf(text) : undefined;
  }

  #sizeOf(cell: number): number {
    const text = this.#keyspace.cells.payload(cell);
    return typeof text === "string" ? Math.floor(text.length * 0.75) : 0;
  }
}

/** The slots that an update needs, from the name of one: several if it has to be cut. */
export function namesOf(name: string, update: Uint8Array): string[] {
  const parts = Math.ceil(update.length / partBytesMax);
  if (parts <= 1) return [name];
  return Array.from({ length: parts }, (_, part) => `${name}/${part}/${parts}`);
}

/** What a slot holds for bytes. */
export const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "base64");
