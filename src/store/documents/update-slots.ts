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
 *
 * If a memory was copied, two write to the slots of one writer, both as he would. So every live cell of a
 * slot is an update, and nobody writes over one that is not its own before it has merged it.
 */
import type { DocumentEngine } from "../../crdt/document.ts";
import { OverloadedError, UsageError } from "../../errors.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Container, Root } from "../nodes.ts";
import { checkKey } from "../values.ts";
import {
  documentBytesMax,
  type Found,
  namesOf,
  partBytesMax,
  snapshotName,
  textOf,
  type Weight,
  WrittenUpdates,
} from "./written-updates.ts";

/** Slots of one level of one writer. */
const slotsPerLevel = 64;
/**
 * Where what is added goes, as many as it is: it is merged and cleared with the level, while the lowest is written
 * over.
 */
const addedLevel = 1;
/** Changes that are left alone beside a snapshot, in bytes. */
const tailBytesMin = 64 * 1024;
/** Changes beside a snapshot, in bytes, however large it is. */
const tailBytesMax = 2 * 1024 * 1024;
/** Slots of one document, beyond which it is made small unless that would cost too much. */
const slotsMax = 512;
/** How many updates are written before the weight is looked at again. */
const glanceEvery = 32;
/** What a snapshot has to save for a change's sake, as a part of what all updates weigh. */
const roomMin = 1 / 4;

/** What is needed of a library here. */
type Merger = Pick<DocumentEngine<unknown, unknown>, "isUpdate" | "fits" | "merge">;

/** The slots of one document, which may not be there yet. */
export class UpdateSlots {
  readonly #keyspace: Keyspace;
  readonly #root: Root;
  readonly #key: string;
  readonly #engine: Merger;
  readonly #written: WrittenUpdates;
  /** Whose slots `#next` is about. */
  #writer = "";
  /** The slot that is written next, by level; none where nobody has looked since we came. */
  #next: number[] = [];
  #appended = 0;
  /** What came since the weight was looked at; some of it in the place of other. */
  #moreBytes = 0;
  #bytes: number | undefined;

  /** @throws InvalidValueError for what cannot be a key. */
  constructor(keyspace: Keyspace, root: Root, key: string, engine: Merger) {
    this.#keyspace = keyspace;
    this.#root = root;
    this.#key = checkKey(key);
    this.#engine = engine;
    this.#written = new WrittenUpdates(keyspace, root, this.#key);
  }

  /** Whether there is any update. O(1). */
  get isEmpty(): boolean {
    return this.#written.isEmpty;
  }

  /** All updates, each once; what can be none is passed over. O(bytes). */
  read(): Uint8Array[] {
    return [...this.#written.all()];
  }

  /** The updates that these slots are, or are a part of: they have just come. */
  readSlots(slots: Iterable<number>): Uint8Array[] {
    const { nodes } = this.#keyspace;
    const updates: Uint8Array[] = [];
    const seen = new Set<string>();
    for (const slot of slots) {
      const writer = nodes.container(nodes.parent(slot));
      if (writer === undefined) continue;
      const [whole = "", part, parts] = String(nodes.name(slot)).split("/");
      const name = part === undefined ? whole : `${whole}/0/${parts}`;
      const path = `${String(writer.name)}/${name}`;
      if (seen.has(path)) continue;
      seen.add(path);
      for (const { update } of this.#written.at(writer, name)) {
        updates.push(update);
        this.#moreBytes += update.length;
      }
    }
    return updates;
  }

  /**
   * Writes one more update. O(update), now and then O(64 of them).
   * @throws OverloadedError beyond `documentBytesMax`, or for one that does not fit; ClosedError. Nothing is written then.
   */
  append(update: Uint8Array): void {
    this.#checkRoom(update);
    this.#appended++;
    this.#moreBytes += update.length;
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
    if (keyspace.isTransacting) {
      throw new UsageError("updates are added in transactions of their own");
    }
    const present = new Set<string>();
    let bytes = 0;
    const isNew = (update: Uint8Array): boolean => {
      const before = present.size;
      if (present.add(textOf(update)).size > before) bytes += update.length;
      return present.size > before;
    };
    const there = this.read().filter(isNew);
    const added = updates.filter(isNew);
    if (added.length === 0) return [];
    if (there.length > 0 && bytes > documentBytesMax) throw this.#overloaded();
    this.#bytes = undefined;
    const write = (some: readonly Uint8Array[]): number[] =>
      keyspace.transact(() => this.#addAll(some));
    return bytes <= documentBytesMax ? write(added) : added.flatMap((update) => write([update]));
  }

  /** Whether the updates weigh so much that a snapshot should take their place. O(slots), but seldom. */
  isHeavy(): boolean {
    if (this.#bytes !== undefined && this.#appended % glanceEvery !== 0) return false;
    const { bytes, snapshotBytes, slots } = this.#weigh();
    const tail = bytes - snapshotBytes;
    if (tail > Math.min(tailBytesMax, Math.max(tailBytesMin, snapshotBytes))) return true;
    return slots > slotsMax && tail * 8 > snapshotBytes;
  }

  /**
   * After a change was refused: whether a snapshot would make room, as where most was deleted. O(1) mostly.
   * One that would not is not to be written again with each change that is refused.
   */
  saves(snapshot: Uint8Array): boolean {
    return snapshot.length <= this.#known * (1 - roomMin);
  }

  /**
   * Puts a snapshot, which contains all of them, in the place of all updates. Returns false for one that is too large:
   * nothing is written then.
   * @throws OverloadedError if there are so many slots that clearing them does not fit into one transaction.
   */
  replace(snapshot: Uint8Array): boolean {
    if (snapshot.length > documentBytesMax || !this.#engine.fits(snapshot)) return false;
    const keyspace = this.#keyspace;
    keyspace.transact(() => {
      const node = this.#root.keys.get(this.#key);
      if (node !== undefined) keyspace.clearAll(node);
      this.#write(this.#own(), namesOf(snapshotName, snapshot), snapshot);
    });
    this.#next = [];
    this.#bytes = snapshot.length;
    this.#moreBytes = 0;
    return true;
  }

  /** What all updates weigh at most. */
  get #known(): number {
    return (this.#bytes ?? this.#weigh().bytes) + this.#moreBytes;
  }

  #addAll(updates: readonly Uint8Array[]): number[] {
    const writer = this.#own();
    const first = afterAll(writer, addedLevel);
    // Whoever writes here next merges all of them.
    this.#next[addedLevel] = slotsPerLevel;
    return updates.flatMap((update, i) => {
      const names = namesOf(`${addedLevel}.${first + i}`, update);
      this.#write(writer, names, update);
      return names.flatMap((name) => writer.children.get(name) ?? []);
    });
  }

  #checkRoom(update: Uint8Array): void {
    if (!this.#engine.fits(update)) {
      throw new OverloadedError(
        `a change of the document ${JSON.stringify(this.#key)} of ${this.#root.name} would be too large once it ` +
          "is unpacked; nothing was written",
        {},
      );
    }
    const more = update.length;
    if (this.#known + more <= documentBytesMax || this.#weigh().bytes + more <= documentBytesMax)
      return;
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
    const weight = this.#written.weigh();
    this.#bytes = weight.bytes;
    this.#moreBytes = 0;
    return weight;
  }

  #put(level: number, update: Uint8Array): void {
    const writer = this.#own();
    let at = this.#nextOf(writer, level);
    while (at < slotsPerLevel && this.#isTaken(writer, level, namesOf(`${level}.${at}`, update)))
      at++;
    if (at >= slotsPerLevel) {
      this.#fold(writer, level);
      at = 0;
    }
    this.#next[level] = at + 1;
    this.#write(writer, namesOf(`${level}.${at}`, update), update);
  }

  /** Whoever comes back writes behind all that is live: what was written last there, nobody knows. */
  #nextOf(writer: Container, level: number): number {
    const known = this.#next[level];
    if (known !== undefined) return known;
    const prefix = `${level}.`;
    let next = 0;
    for (const [name, slot] of writer.children) {
      const text = String(name);
      if (!text.startsWith(prefix) || !this.#keyspace.isLive(slot)) continue;
      const at = Number.parseInt(text.slice(prefix.length), 10);
      if (at >= next) next = at + 1;
    }
    return next;
  }

  /** Whether something is there that was not merged into the next level: of the lowest, only what others put there. */
  #isTaken(writer: Container, level: number, names: readonly string[]): boolean {
    return names.some((name) => {
      const slot = writer.children.get(name);
      if (slot === undefined) return false;
      return level > 0 ? this.#keyspace.isLive(slot) : this.#isOthers(slot);
    });
  }

  #isOthers(slot: number): boolean {
    const { cells, me } = this.#keyspace;
    return [...this.#written.live(slot)].some((cell) => cells.actor(cell) !== me);
  }

  /** Merges what is in all slots of a level into one of the next. */
  #fold(writer: Container, level: number): void {
    const prefix = `${level}.`;
    const names = [...writer.children.keys()].filter((name) => String(name).startsWith(prefix));
    const merged = this.#merged([...this.#written.of(writer, prefix)]);
    // Whether all of the lowest level was merged before is not known to whoever has come back.
    const isBack = this.#next[level] === undefined;
    this.#next[level] = 0;
    for (const part of merged) this.#put(level + 1, part);
    for (const name of names) {
      const slot = writer.children.get(name);
      if (slot === undefined) continue;
      // Ours of the lowest level are written over soon.
      if (level > 0 || isBack || this.#isOthers(slot)) this.#keyspace.clear(slot);
    }
  }

  /** As few updates as may be. What others put in our place may be anything: what cannot be merged is left out. */
  #merged(found: readonly Found[]): Uint8Array[] {
    const { me } = this.#keyspace;
    const own = found.filter(({ actor }) => actor === me).map(({ update }) => update);
    const others = found
      .filter(({ actor, update }) => actor !== me && this.#engine.isUpdate(update))
      .map(({ update }) => update);
    if (others.length > 0) {
      try {
        return this.#fitting([...own, ...others]);
      } catch {
        // Ours can be.
      }
    }
    return this.#fitting(own);
  }

  /** One update of all, or of each half. */
  #fitting(updates: readonly Uint8Array[]): Uint8Array[] {
    if (updates.length === 0) return [];
    const whole = this.#engine.merge(updates);
    if (updates.length === 1 || this.#engine.fits(whole)) return [whole];
    const half = Math.ceil(updates.length / 2);
    return [...this.#fitting(updates.slice(0, half)), ...this.#fitting(updates.slice(half))];
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
      this.#next = [];
    }
    return own;
  }

  /** Writes an update into the slots of these names, cut into as many parts. */
  #write(writer: Container, names: readonly string[], update: Uint8Array): void {
    const keyspace = this.#keyspace;
    const write = (): void => {
      for (const [part, name] of names.entries()) {
        const node = writer.children.get(name) ?? keyspace.child(writer, name);
        const from = part * partBytesMax;
        keyspace.assign(node, textOf(update.subarray(from, from + partBytesMax)));
      }
    };
    if (names.length > 1) keyspace.transact(write);
    else write();
  }
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
