/**
 * Automerge documents as a data type: `automergeDoc()`. Loads `@automerge/automerge`, an optional peer dependency.
 *
 * A document is a value here: each change makes another object. Still, one that was handed out may be changed with
 * `Automerge.change` itself: it is the library's way to tell of that which lets us take the outcome for ours. What
 * is handed out is frozen (all but bytes), so that nobody changes an object in place and finds it nowhere else.
 *
 * @see Kleppmann and Beresford, A Conflict-Free Replicated JSON Datatype (IEEE TPDS 2017), arXiv:1608.03960.
 */
import * as Automerge from "@automerge/automerge";
import {
  type DocumentEngine,
  type DocumentListener,
  documentShape,
  documentTags,
  type DocumentType,
  type OpenDocument,
  type Origin,
} from "../crdt/document.ts";
import { chunksOf } from "./automerge-chunks.ts";
import { isBounded } from "./automerge-bounds.ts";

/** A collection of Automerge documents. */
export type AutomergeDocType<T> = DocumentType<Automerge.Doc<T>, T>;

/** Name and version of the meaning. */
export const automergeDocTag: string = documentTags.automerge;

/**
 * Declares a collection of Automerge documents.
 * @typeParam T what is in them. Nobody checks that: clients write what they like.
 */
export const automergeDoc = <T = Record<string, unknown>>(): AutomergeDocType<T> => ({
  kind: "document",
  tag: automergeDocTag,
  shape: documentShape,
  engine: engineOf<T>(),
});

const engineOf = <T>(): DocumentEngine<Automerge.Doc<T>, T> => ({
  open: (listener) => new AutomergeDocument<T>(listener),
  isUpdate,
  fits: (update) => isBounded([update]),
  // Chunks one after the other are an update. What they rest on is not here, so they cannot be made one.
  merge: (updates) => (updates.length === 1 ? (updates[0] as Uint8Array) : concat(updates)),
  json: (native) => plain(Automerge.toJS(native)),
});

/** What was found to be an update; bytes do not change. */
const known = new WeakSet<Uint8Array>();

/**
 * Each chunk is read on its own: where one cannot be, Automerge leaves out all that follow and says nothing.
 * What a chunk rests on need not be there.
 */
function isUpdate(bytes: Uint8Array): boolean {
  if (known.has(bytes)) return true;
  if (!isBounded([bytes])) return false;
  const chunks = chunksOf(bytes);
  if (chunks === undefined || !chunks.every(isChunk)) return false;
  known.add(bytes);
  return true;
}

function isChunk(bytes: Uint8Array): boolean {
  try {
    Automerge.free(Automerge.load(bytes, { allowMissingChanges: true }));
    return true;
  } catch {
    return false;
  }
}

/** As JSON has it: counters as numbers, dates in ISO 8601, bytes in base64, integers beyond 2^53 as text. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint")
    return Number.isSafeInteger(Number(value)) ? Number(value) : `${value}`;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return base64(value);
  // Counters, dates, and strings that are no text.
  if (tellsJson(value)) return value.toJSON();
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, plain(held)]));
}

const tellsJson = (value: object): value is { toJSON(): unknown } =>
  "toJSON" in value && typeof value.toJSON === "function";

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");

class AutomergeDocument<T> implements OpenDocument<Automerge.Doc<T>, T> {
  /** Nobody listens to a value. */
  readonly isObserved = false;
  readonly #listener: DocumentListener;
  #doc: Automerge.Doc<T>;
  /** What the listener was told of, and what is in `#doc`. */
  #heads: Automerge.Heads = [];
  #isBusy = false;
  #isClosed = false;
  /** Whether somebody may have the object. */
  #isLent = false;
  /** Whether changes wait in it for others that nobody was told of. */
  #hasUntold = false;

  constructor(listener: DocumentListener) {
    this.#listener = listener;
    this.#doc = Automerge.init<T>({
      // It is the object that has the function, so we last as long as it does.
      patchCallback: (_, { after }) => {
        if (!this.#isBusy && !this.#isClosed) this.#settle(after, undefined);
      },
    });
  }

  get native(): Automerge.Doc<T> {
    this.#isLent = true;
    const doc = this.#isBusy ? this.#doc : this.#present();
    freeze(doc);
    return doc;
  }

  get version(): string {
    return Automerge.getHeads(this.#doc).toSorted().join(" ");
  }

  change<R>(change: (content: T) => R, origin: Origin): R {
    return this.advance((doc) => {
      const results: R[] = [];
      const next = Automerge.change(doc, (content) => void results.push(change(content)));
      return [next, results[0] as R];
    }, origin);
  }

  advance<R>(
    step: (native: Automerge.Doc<T>) => readonly [native: Automerge.Doc<T>, result: R],
    origin: Origin,
  ): R {
    if (this.#isBusy) throw new RangeError("the document is in the midst of a change");
    const doc = this.#present();
    const [next, result] = this.#undisturbed(() => step(doc));
    this.#settle(next, origin);
    return result;
  }

  apply(updates: readonly Uint8Array[], origin: Origin): void {
    const good = updates.filter(isUpdate);
    if (good.length > 0) {
      const all = concat(good);
      const doc = this.#present();
      const next = this.#undisturbed(() => Automerge.loadIncremental(doc, all));
      this.#settle(next, origin, all);
    }
    if (good.length < updates.length) throw new RangeError("the bytes are no update of Automerge");
  }

  /**
   * With the changes that wait for others. Automerge takes in changes, which no client of its own would make, that it
   * saves so that it cannot load them again; then, or where it is too much when inflated, it is all changes, one after
   * the other.
   */
  snapshot(): Uint8Array {
    const saved = Automerge.save(this.#doc);
    return isBounded([saved]) && isChunk(saved)
      ? saved
      : concat(Automerge.getAllChanges(this.#doc));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // Else it is for the garbage collector, which knows little of what lies outside its heap.
    if (!this.#isLent && !this.#isBusy) Automerge.free(this.#doc);
  }

  /** Runs what tells us itself what comes of it. */
  #undisturbed<R>(run: () => R): R {
    this.#isBusy = true;
    try {
      return run();
    } finally {
      this.#isBusy = false;
    }
  }

  /** The document, also after somebody changed it so that nobody was told: with a callback of their own, or to no effect. */
  #present(): Automerge.Doc<T> {
    if (this.#isClosed) return this.#doc;
    const heads = Automerge.getBackend(this.#doc).getHeads();
    if (isSame(heads, this.#heads)) return this.#doc;
    const doc = this.#doc;
    const copy = this.#undisturbed(() => Automerge.merge(Automerge.clone(doc), doc));
    this.#settle(copy, undefined);
    return this.#doc;
  }

  /**
   * Tells what is new. Changes that wait for others are in no document yet, so if there may be some, what came is told
   * as it is: others must have them as well, whoever brings the rest. Where it is not known what came, they are told
   * with the rest, as ours.
   */
  #settle(next: Automerge.Doc<T>, origin: Origin, came?: Uint8Array): void {
    const before = this.#heads;
    this.#doc = next;
    this.#heads = Automerge.getHeads(next);
    if (this.#isClosed) return;
    const hadUntold = this.#hasUntold;
    const isWaiting = Automerge.getMissingDeps(next, []).length > 0;
    this.#hasUntold = isWaiting && (hadUntold || came === undefined);
    const isNew = !isSame(before, this.#heads);
    if (came !== undefined && isWaiting) this.#listener.changed(came, origin);
    if (isNew && (hadUntold || came === undefined || !isWaiting))
      this.#listener.changed(Automerge.saveSince(next, before), hadUntold ? undefined : origin);
  }
}

/**
 * What is frozen is so with all that is in it: Automerge copies whatever is on the way to a change, and nothing else.
 * Its own option to freeze fails where bytes take the place of something.
 */
function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  // Bytes cannot be frozen.
  if (ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  for (const held of Object.values(value)) freeze(held);
}

/** Automerge sorts them. */
const isSame = (one: Automerge.Heads, other: Automerge.Heads): boolean =>
  one.length === other.length && one.every((head, at) => head === other[at]);

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
