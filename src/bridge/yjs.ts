/**
 * Yjs documents as a data type: `yDoc()`. Loads `yjs`, an optional peer dependency.
 *
 * @see Nicolaescu et al., Near Real-Time Peer-to-Peer Shared Editing on Extensible Data Types (GROUP 2016).
 */
import * as Y from "yjs";
import {
  type DocumentEngine,
  type DocumentListener,
  documentShape,
  documentTags,
  type DocumentType,
  type OpenDocument,
  type Origin,
} from "../crdt/document.ts";

/** A collection of Yjs documents. */
export type YDocType = DocumentType<Y.Doc, Y.Doc>;

/** Name and version of the meaning. */
export const yDocTag: string = documentTags.yjs;

/** Declares a collection of Yjs documents. */
export const yDoc = (): YDocType => ({
  kind: "document",
  tag: yDocTag,
  shape: documentShape,
  engine,
});

const engine: DocumentEngine<Y.Doc, Y.Doc> = {
  open: (listener) => new YjsDocument(listener),
  isUpdate,
  fits: (update) => update.length <= partBytesMin * partsMax || isUpdate(update),
  merge: (updates) =>
    updates.length === 1 ? (updates[0] as Uint8Array) : Y.mergeUpdates([...updates]),
  json,
};

/**
 * What the types at the root hold. Yjs does not keep of which kind they are, and asking for one makes it that for good,
 * so where nobody has, what is in it decides, in a copy.
 */
function json(doc: Y.Doc): unknown {
  const copy = new Y.Doc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  for (const [name, type] of doc.share) {
    const { _map: named, _start: first } = copy.get(name);
    if (type instanceof Y.XmlFragment) copy.getXmlFragment(name);
    else if (type instanceof Y.Map || named.size > 0) copy.getMap(name);
    else if (type instanceof Y.Text || first?.content instanceof Y.ContentString)
      copy.getText(name);
    else copy.getArray(name);
  }
  return plain(copy.toJSON());
}

/** As JSON has it: bytes in base64, integers beyond 2^53 as text. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint")
    return Number.isSafeInteger(Number(value)) ? Number(value) : `${value}`;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64");
  }
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, plain(held)]));
}

/**
 * Structs and deletions of one update. Each is an object of a hundred bytes, whatever it is in the update: where clients
 * write, with names of their own kind, eleven bytes at least, so a document of the greatest weight has no more.
 */
const partsMax = 1_000_000;
/** What one is in an update at least, in bytes. */
const partBytesMin = 2;

/** Reads no more of an update than that. */
class BoundedDecoder extends Y.UpdateDecoderV1 {
  #parts = 0;

  override readInfo(): number {
    this.#count();
    return super.readInfo();
  }

  override readDsClock(): number {
    this.#count();
    return super.readDsClock();
  }

  #count(): void {
    if (++this.#parts > partsMax) throw new RangeError(`an update of more than ${partsMax} parts`);
  }
}

/** JSON within a document may be so deep: what can just be read could not be written again. */
const depthMax = 512;

/**
 * Reads all of it, as taking it in would, and refuses what Yjs takes in but cannot write again, or others could not
 * read: what is empty, or endless, or too deep.
 */
function isUpdate(bytes: Uint8Array): boolean {
  try {
    const { structs, ds } = Y.decodeUpdateV2(bytes, BoundedDecoder);
    for (const struct of structs) {
      if (!isRange(struct.id.clock, struct.length)) return false;
      if (struct instanceof Y.Item && !isShallow(jsonIn(struct.content), depthMax)) return false;
    }
    for (const deleted of ds.clients.values()) {
      if (!deleted.every(({ clock, len }) => isRange(clock, len))) return false;
    }
    return true;
  } catch {
    return false;
  }
}

const isRange = (clock: number, length: number): boolean =>
  length > 0 && Number.isSafeInteger(clock + length);

/** What a content holds of JSON. */
function jsonIn(content: Y.Item["content"]): unknown {
  if (content instanceof Y.ContentAny || content instanceof Y.ContentJSON) return content.arr;
  if (content instanceof Y.ContentEmbed) return content.embed;
  if (content instanceof Y.ContentFormat) return content.value;
  return content instanceof Y.ContentDoc ? content.opts : undefined;
}

const isShallow = (value: unknown, depth: number): boolean =>
  typeof value !== "object" ||
  value === null ||
  value instanceof Uint8Array ||
  (depth > 0 && Object.values(value).every((inner) => isShallow(inner, depth - 1)));

class YjsDocument implements OpenDocument<Y.Doc, Y.Doc> {
  readonly native: Y.Doc = new Y.Doc();
  readonly #listener: DocumentListener;
  /** An update was refused: nothing is told any more of an object that may have half of it. */
  #isSpoiled = false;
  /** What could not be written of a change. */
  #failure: { readonly error: unknown } | undefined;

  constructor(listener: DocumentListener) {
    this.#listener = listener;
    this.native.on("update", this.#changed);
  }

  get isObserved(): boolean {
    const { native } = this;
    // Ours is one of them.
    if (listenersOf(native) > 1) return true;
    if ([...native.share.values()].some((type) => observersOf(type) > 0)) return true;
    for (const structs of native.store.clients.values()) {
      for (const { content } of structs as readonly { readonly content?: unknown }[]) {
        if (content instanceof Y.ContentType && observersOf(content.type) > 0) return true;
      }
    }
    return false;
  }

  get version(): string {
    const { pendingStructs, pendingDs } = this.native.store;
    const waiting = pendingStructs && Y.parseUpdateMetaV2(pendingStructs.update);
    const clients = (ends: ReadonlyMap<number, number> | undefined): [number, number][] =>
      [...(ends ?? [])].toSorted(([one], [other]) => one - other);
    return JSON.stringify([
      Buffer.from(Y.encodeSnapshot(Y.snapshot(this.native))).toString("base64"),
      clients(waiting?.from),
      clients(waiting?.to),
      pendingDs !== null,
    ]);
  }

  change<R>(change: (content: Y.Doc) => R, origin: Origin): R {
    return this.native.transact(() => change(this.native), origin);
  }

  advance<R>(step: (native: Y.Doc) => readonly [native: Y.Doc, result: R], origin: Origin): R {
    return this.change((native) => step(native)[1], origin);
  }

  apply(updates: readonly Uint8Array[], origin: Origin): void {
    let refused: { readonly error: unknown } | undefined;
    const take = (transaction: Y.Transaction): void => {
      withoutCleanup(transaction);
      try {
        for (const update of updates) Y.applyUpdateV2(this.native, update, origin, BoundedDecoder);
      } catch (error) {
        refused = { error };
        this.#isSpoiled = true;
      }
    };
    try {
      this.native.transact(take, origin);
    } catch (error) {
      // What throws at the end of a transaction is who observes it, or who listens to us.
      if (this.#failure === undefined) this.#listener.observerFailed(error);
    }
    refused ??= this.#failure;
    if (refused) throw refused.error;
  }

  snapshot(): Uint8Array {
    return Y.encodeStateAsUpdate(this.native);
  }

  close(): void {
    try {
      this.native.destroy();
    } catch (error) {
      this.#listener.observerFailed(error);
    }
    // That took away all who listen, but whoever still changes it is to know that it was given up.
    this.#isSpoiled = false;
    this.native.on("update", this.#changed);
  }

  readonly #changed = (update: Uint8Array, origin: unknown): void => {
    if (this.#isSpoiled) return;
    try {
      this.#listener.changed(update, origin);
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  };
}

/**
 * Yjs removes formatting that has become idle after an update of others, as a change of its own. Every replica would
 * write that, at every read; clients that edit do it as well.
 */
const withoutCleanup = (transaction: Y.Transaction): void => {
  Object.defineProperty(transaction, "_needFormattingCleanup", {
    configurable: true,
    get: () => false,
    set: () => {
      // Asked for in vain.
    },
  });
};

/** A document listens to these itself. */
const ownEvents = new Set(["load", "sync"]);

/** There is no public way to ask. */
const listenersOf = (doc: Y.Doc): number => {
  let count = 0;
  for (const [event, listeners] of doc._observers as Map<string, Set<unknown>>) {
    if (!ownEvents.has(event)) count += listeners.size;
  }
  return count;
};

const observersOf = (type: Pick<Y.Map<unknown>, "_eH" | "_dEH">): number =>
  type._eH.l.length + type._dEH.l.length;
