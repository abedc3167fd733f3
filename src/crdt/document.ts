/**
 * A document of another library (Yjs, Automerge) as a data type of ours.
 *
 * What stands under a key is the library's own updates, each in a slot under whoever wrote it. They
 * commute, and one may be joined again, so the state under the key is whatever updates are live there:
 * a writer may put one update in the place of several that it contains. So the library's merge is only
 * asked for what it is good at, and causality, transport and storage are the same as for every other type.
 */
import { type DataType, type ItemsShape, stampedShape } from "./data-type.ts";

/** Who made a change: whatever was given to `change` or `apply`, or what the library tells of a change made by itself. */
export type Origin = unknown;

/**
 * One document in memory, as its library has it.
 * @typeParam D what the library gives to read
 * @typeParam C what it gives to change
 */
export interface OpenDocument<D, C> {
  /** The library's own object, as it is now. */
  readonly native: D;
  /** Whether somebody listens to the object or to a part of it, so that it must not be let go. O(document) at most. */
  readonly isObserved: boolean;
  /** Names all that the document contains, deletions and what waits for other updates too: equal texts, equal content. O(document). */
  readonly version: string;
  /** Changes it. What `change` throws, it throws; what was changed before that, stays. */
  change<R>(change: (content: C) => R, origin: Origin): R;
  /**
   * Has the library itself make another object of it, as its own sync protocol does where documents are values; where
   * they are not, it is the same object. In one step, told as one change.
   * @throws what `step` throws; the document may be half changed then.
   */
  advance<R>(step: (native: D) => readonly [native: D, result: R], origin: Origin): R;
  /**
   * Takes in updates, in one step, and tells the change that they made. O(updates).
   * @throws whatever, for one that cannot be taken in; nothing is told then, and the object is to be given up.
   */
  apply(updates: readonly Uint8Array[], origin: Origin): void;
  /** All there is, as one update. O(document). */
  snapshot(): Uint8Array;
  /** The object is given up. Should somebody go on and change it, that is told, so that it can be refused. */
  close(): void;
}

/** Who is told of a document. */
export interface DocumentListener {
  /** After a change, with an update that contains it. What it throws goes to whoever changed the document. */
  changed(update: Uint8Array, origin: Origin): void;
  /** Somebody who observes the object threw, while updates were taken in or it was given up. */
  observerFailed(error: unknown): void;
}

/** What a library has to give. */
export interface DocumentEngine<D, C> {
  /** An empty document. It keeps its listener in memory, not the other way round. */
  open(listener: DocumentListener): OpenDocument<D, C>;
  /** Whether these bytes are an update. Never throws. O(update). */
  isUpdate(bytes: Uint8Array): boolean;
  /**
   * Whether an update that the library made is one for its size, also once it is unpacked: else nobody would take it.
   * Never throws. O(1) for a small one.
   */
  fits(update: Uint8Array): boolean;
  /** One update that contains all of these; each is one, what comes of it may not fit. */
  merge(updates: readonly Uint8Array[]): Uint8Array;
  /** The content as JSON, for people and for HTTP. */
  json(native: D): unknown;
}

/** A collection of documents. */
export interface DocumentType<D = unknown, C = unknown> extends DataType {
  readonly kind: "document";
  readonly engine: DocumentEngine<D, C>;
}

/** Under a key: writers, and under each its updates, by name. */
export const documentShape: ItemsShape = {
  kind: "items",
  names: "string",
  isOpaque: true,
  item: { kind: "items", names: "string", item: stampedShape },
};

/** Whether it is a collection of documents, whosever. */
export const isDocumentType = (type: DataType): type is DocumentType =>
  "kind" in type && type.kind === "document";

/** Name and version of the meaning of each type that we have a bridge for, by its library. */
export const documentTags = { yjs: "y-doc/1", automerge: "automerge-doc/1" } as const;

/** Whether documents of ours have this tag: who has no schema, or not the library, knows them by it. */
export const isDocumentTag = (tag: string): boolean =>
  Object.values<string>(documentTags).includes(tag);
