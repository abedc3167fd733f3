/**
 * The updates of one document, in the slots under its key.
 *
 * Each writer has a container of its own there. What it writes goes to one of 64 slots, one after the
 * other; when all are taken, what is in them is merged into one slot of the next level, and they are
 * written over. So a document costs a few hundred slots at most, a change costs its own bytes about
 * twice, and a name that a link was told once is used again. When the changes outweigh the document,
 * whoever writes puts the whole in their place, as one update: a *snapshot*. Two who do so at once leave
 * two, which say the same; the next snapshot takes away both.
 *
 * An update longer than a slot may be is cut into parts, which are written in one batch and so are never
 * seen apart.
 */
import type { DocumentEngine } from "../../crdt/document.ts";
import { OverloadedError, UsageError } from "../../errors.ts";
import { latest } from "../collections/registers.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Container, Root } from "../nodes.ts";
import { checkKey } from "../values.ts";

/** What a document may weigh, all its updates together, in bytes: a snapshot must fit into one transaction. */
export const documentBytesMax: number = 10 * 1024 * 1024;
/** Of one update that is read from parts, in bytes. */
export const updateBytesMax: number = 2 * documentBytesMax;
/** Of one slot, in bytes: as text it must fit into a value. */
const partBytesMax = 512 * 1024;
/** Slots of one level of one writer. */
const slotsPerLevel = 64;
/** Where what is added goes, as many as it is: it is merged and cleared with the level, while the lowest is written over. */
const addedLevel = 1;
/** Changes that are left alone beside a snapshot, in bytes. */
const tailBytesMin = 64 * 1024;
/** Changes beside a snapshot, in bytes, however large it is. */
const tailBytesMax = 2 * 1024 * 1024;
/** Slots of one document, beyond which it is made small unless that would cost too much. */
const slotsMax = 512;
/** How many updates are written before the weight is looked at again. */
const glanceEvery = 32;
const snapshotName = "s";

/** What the slots of a document weigh. */
interface Weight {
  /** Of all updates. */
  readonly bytes: number;
  /** Of snapshots among them. */
  readonly snapshotBytes: number;
  readonly slots: number;
}

/** The slots of one document, which may not be there yet. */
export class UpdateSlots {
  readonly #keyspace: Keyspace;
  readonly #root: Root;
  readonly #key: string;
  readonly #engine: Pick<DocumentEngine<unknown, unknown>, "merge">;
  /** Whose slots `#next` is about. */
  #writer = "";
  /** The slot that is written next, by level. */
  #next: number[] = [];
  #appended = 0;
  /** Since the weight was looked at. */
  #appendedBytes = 0;
  #bytes: number | undefined;

  /** @throws InvalidValueError for what cannot be a key. */
  constructor(
    keyspace: Keyspace,
    root: Root,
    key: string,
    engine: Pick<DocumentEngine<unknown, unknown>, "merge">,
  ) {
    this.#keyspace = keyspace;
    this.#root = root;
    this.#key = checkKey(key);
    this.#engine = engine;
  }

  /** Whether there is any update. O(1). */
  get isEmpty(): boolean {
    const node = this.#root.keys.get(this.#key);
    return node === undefined || this.#keyspace.nodes.total(node) === 0;
  }

  /** All updates, each once; what can be none is passed over. O(bytes). */
  read(): Uint8Array[] {
    const updates: Uint8Array[] = [];
    for (const writer of this.#writers()) updates.push(...this.#updatesOf(writer));
    return updates;
  }

  /** The updates that these slots are, or are a part of. */
  readSlots(slots: Iterable<number>): Uint8Array[] {
    const { nodes } = this.#keyspace;
    const updates: Uint8Array[] = [];
    const cut = new Set<string>();
    for (const slot of slots) {
      const writer = nodes.container(nodes.parent(slot));
      const name = String(nodes.name(slot));
      if (writer === undefined) continue;
      const [whole, , parts] = name.split("/");
      const of = `${String(writer.name)}/${whole}`;
      if (parts !== undefined && cut.has(of)) continue;
      cut.add(of);
      const update = parts === undefined ? this.#part(slot) : this.#joined(writer, name);
      if (update !== undefined) updates.push(update);
    }
    return updates;
  }

  /**
   * Writes one more update. O(update), now and then O(64 of them).
   * @throws OverloadedError beyond `documentBytesMax`, ClosedError; nothing is written then.
   */
  append(update: Uint8Array): void {
    this.#checkRoom(update.length);
    this.#appended++;
    this.#appendedBytes += update.length;
    // What is cut is not to be merged and cut again with every 64th change.
    this.#put(update.length > partBytesMax ? 1 : 0, update);
  }

  /**
   * Writes updates as they are, each to a slot of its own, whoever made them: nothing is merged, so the library is not
   * asked. Passes over those that are there. Returns the slots. O(bytes).
   * @throws OverloadedError beyond `documentBytesMax` if something is there, UsageError in a transaction, ClosedError;
   * nothing is written then. OverloadedError for an update that no transaction could have written; those before it are.
   */
  add(updates: readonly Uint8Array[]): number[] {
    const keyspace = this.#keyspace;
    if (keyspace.isTransacting)
      throw new UsageError("updates are added in transactions of their own");
    const present = new Map(this.read().map((update) => [textOf(update), update.length]));
    const isNew = present.size === 0;
    let bytes = sum(present.values());
    const added = updates.filter((update) => {
      const text = textOf(update);
      if (present.has(text)) return false;
      present.set(text, update.length);
      bytes += update.length;
      return true;
    });
    if (added.length === 0) return [];
    if (!isNew && bytes > documentBytesMax) throw this.#overloaded();
    this.#bytes = undefined;
    return groupsOf(added).flatMap((group) => keyspace.transact(() => this.#addAll(group)));
  }

  /** Whether the updates weigh so much that a snapshot should take their place. O(slots), but seldom. */
  isHeavy(): boolean {
    if (this.#bytes !== undefined && this.#appended % glanceEvery !== 0) return false;
    const { bytes, snapshotBytes, slots } = this.#weigh();
    const tail = bytes - snapshotBytes;
    if (tail > Math.min(tailBytesMax, Math.max(tailBytesMin, snapshotBytes))) return true;
    return slots > slotsMax && tail * 8 > snapshotBytes;
  }

  /** All updates together, in bytes. O(slots). */
  weigh(): number {
    return this.#weigh().bytes;
  }

  /** Puts a snapshot, which contains all of them, in the place of all updates. */
  replace(snapshot: Uint8Array): void {
    const keyspace = this.#keyspace;
    keyspace.transact(() => {
      const node = this.#root.keys.get(this.#key);
      if (node !== undefined) keyspace.clearAll(node);
      this.#write(this.#own(), snapshotName, snapshot);
    });
    this.#next = [];
    this.#bytes = snapshot.length;
    this.#appendedBytes = 0;
  }

  #addAll(updates: readonly Uint8Array[]): number[] {
    const writer = this.#own();
    const first = afterAll(writer, addedLevel);
    // As when somebody comes back to it: whoever writes here next merges all of them.
    this.#next[addedLevel] = slotsPerLevel;
    return updates.flatMap((update, i) =>
      this.#write(writer, `${addedLevel}.${first + i}`, update),
    );
  }

  #checkRoom(more: number): void {
    const known = (this.#bytes ?? this.#weigh().bytes) + this.#appendedBytes;
    if (known + more <= documentBytesMax || this.#weigh().bytes + more <= documentBytesMax) return;
    throw this.#overloaded();
  }

  #overloaded(): OverloadedError {
    return new OverloadedError(
      `the document ${JSON.stringify(this.#key)} of ${this.#root.name} would weigh more than ` +
        `${documentBytesMax} bytes; nothing was written`,
      {},
    );
  }

  #weigh(): Weight {
    let [bytes, snapshotBytes, slots] = [0, 0, 0];
    for (const writer of this.#writers()) {
      for (const [name, slot] of writer.children) {
        const text = latest(this.#keyspace, slot);
        if (typeof text !== "string") continue;
        const size = Math.floor(text.length * 0.75);
        bytes += size;
        slots++;
        if (String(name).startsWith(snapshotName)) snapshotBytes += size;
      }
    }
    this.#bytes = bytes;
    this.#appendedBytes = 0;
    return { bytes, snapshotBytes, slots };
  }

  #put(level: number, update: Uint8Array): void {
    const writer = this.#own();
    if ((this.#next[level] ?? 0) >= slotsPerLevel) this.#fold(writer, level);
    const at = this.#next[level] ?? 0;
    this.#next[level] = at + 1;
    this.#write(writer, `${level}.${at}`, update);
  }

  /** Merges what is in all slots of a level into one of the next. */
  #fold(writer: Container, level: number): void {
    const prefix = `${level}.`;
    const names = [...writer.children.keys()].filter((name) => String(name).startsWith(prefix));
    const updates = this.#updatesOf(writer, prefix);
    this.#next[level] = 0;
    if (updates.length > 0) this.#put(level + 1, this.#engine.merge(updates));
    // Those of the lowest level are written over soon.
    if (level === 0) return;
    for (const name of names) this.#keyspace.clear(writer.children.get(name) as number);
  }

  /** Our container. */
  #own(): Container {
    const keyspace = this.#keyspace;
    const { actor, nodes } = keyspace;
    const key = nodes.container(keyspace.key(this.#root, this.#key));
    if (key === undefined) throw new Error("assertion: a document that is no container");
    const node = key.children.get(actor) ?? keyspace.child(key, actor);
    const own = nodes.container(node);
    if (own === undefined) throw new Error("assertion: a writer that is no container");
    if (this.#writer !== actor) {
      this.#writer = actor;
      this.#next = levelsOf(own);
    }
    return own;
  }

  /** Returns the slots. */
  #write(writer: Container, name: string, update: Uint8Array): number[] {
    const keyspace = this.#keyspace;
    const assign = (slot: string, bytes: Uint8Array): number => {
      const node = writer.children.get(slot) ?? keyspace.child(writer, slot);
      keyspace.assign(node, textOf(bytes));
      return node;
    };
    if (update.length <= partBytesMax) return [assign(name, update)];
    const parts = Math.ceil(update.length / partBytesMax);
    return keyspace.transact(() =>
      Array.from({ length: parts }, (_, part) => {
        const from = part * partBytesMax;
        return assign(`${name}/${part}/${parts}`, update.subarray(from, from + partBytesMax));
      }),
    );
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

  #updatesOf(writer: Container, prefix = ""): Uint8Array[] {
    const updates: Uint8Array[] = [];
    for (const [name, slot] of writer.children) {
      const text = String(name);
      if (!text.startsWith(prefix)) continue;
      const [, part] = text.split("/");
      if (part !== undefined && part !== "0") continue;
      const update = part === undefined ? this.#part(slot) : this.#joined(writer, text);
      if (update !== undefined) updates.push(update);
    }
    return updates;
  }

  /** An update that was cut, from all its parts, of which `name` is one. */
  #joined(writer: Container, name: string): Uint8Array | undefined {
    const [whole, , told] = name.split("/");
    const parts = Number(told);
    if (!(parts * partBytesMax <= updateBytesMax)) return undefined;
    const found: Uint8Array[] = [];
    for (let part = 0; part < parts; part++) {
      const slot = writer.children.get(`${whole}/${part}/${told}`);
      const bytes = slot === undefined ? undefined : this.#part(slot);
      if (bytes === undefined) return undefined;
      found.push(bytes);
    }
    return Buffer.concat(found);
  }

  #part(slot: number): Uint8Array | undefined {
    const text = latest(this.#keyspace, slot);
    return typeof text === "string" ? bytesOf(text) : undefined;
  }
}

/** Whoever comes back to slots of its own does not know which was written last: they count as full. */
function levelsOf(own: Container): number[] {
  const next: number[] = [];
  for (const name of own.children.keys()) {
    const level = Number.parseInt(String(name), 10);
    if (Number.isInteger(level) && level < 16) next[level] = slotsPerLevel;
  }
  return next;
}

/** The first number of a level after which no slot has one. */
function afterAll(own: Container, level: number): number {
  let after = 0;
  for (const name of own.children.keys()) {
    const [of, at = ""] = String(name).split(".");
    if (of === String(level)) after = Math.max(after, Number.parseInt(at, 10) + 1);
  }
  return after;
}

/** In order, as much at a time as a transaction may write. */
function groupsOf(updates: readonly Uint8Array[]): Uint8Array[][] {
  const groups: Uint8Array[][] = [];
  let bytes = 0;
  for (const update of updates) {
    bytes += update.length;
    const last = groups.at(-1);
    if (last !== undefined && bytes <= documentBytesMax) last.push(update);
    else {
      groups.push([update]);
      bytes = update.length;
    }
  }
  return groups;
}

const sum = (numbers: Iterable<number>): number => {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
};

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "base64");
