/** Documents of another library, by key. */
import type { DocumentType, Origin } from "../../crdt/document.ts";
import { InvalidValueError, OverloadedError, TrellisError } from "../../errors.ts";
import { type DocumentFollower, fromAfar, type HeldDocument } from "../documents/held-document.ts";
import { Shelf, type ShelfListener } from "../documents/shelf.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Root } from "../nodes.ts";
import { Keys, type KeysOptions } from "./keys.ts";

/** Somebody who follows a document, which stays in memory for that long. */
export interface Following<D, C> {
  /** The document as it is now. */
  readonly native: D;
  /** Takes in updates, as `DocumentCollection.apply` does; whoever is told of them is told this origin. */
  apply(updates: readonly Uint8Array[], origin: Origin): void;
  /** Changes it, as `DocumentCollection.change` does. */
  change<R>(change: (content: C) => R, origin: Origin): R;
  /**
   * Has the library make another object of it, as its own sync protocol does.
   * @throws what `step` throws; the document is replaced then by what is written.
   */
  advance<R>(step: (native: D) => readonly [native: D, result: R], origin: Origin): R;
  /** Follows it no more. Harmless twice. */
  stop(): void;
}

/** Where a change came from. */
export type DocumentOrigin = "local" | "remote";

/**
 * A collection of documents: `Y.Doc` with `yDoc()`, Automerge's with `automergeDoc()`.
 * @typeParam D what is read
 * @typeParam C what is changed
 */
export class DocumentCollection<D = unknown, C = unknown> {
  readonly #keys: Keys;
  readonly #shelf: Shelf<D, C>;
  readonly #type: DocumentType<D, C>;

  constructor(keyspace: Keyspace, root: Root, type: DocumentType<D, C>, listener: ShelfListener) {
    this.#keys = new Keys(keyspace, root);
    this.#shelf = new Shelf(keyspace, root, type, listener);
    this.#type = type;
  }

  /**
   * The library's own object: of Yjs the `Y.Doc`, which may be changed, of Automerge the document as it is now.
   * An empty one if there is none; nothing is written by that. Read from its updates at the first use, O(document);
   * else O(1).
   */
  get(key: string): D {
    return this.#hold(key).open.native;
  }

  /**
   * Changes the document, in one step: of Yjs a `Y.Doc` within one of its transactions, of Automerge a draft.
   * @throws what `change` throws. Of Automerge nothing is changed then; Yjs keeps what was changed before it.
   * @throws OverloadedError beyond 10 MiB of updates, ClosedError; the object is replaced by what is written then.
   */
  change<R>(key: string, change: (content: C) => R): R {
    return this.#hold(key).open.change(change, undefined);
  }

  /**
   * Takes in an update of the library (`Y.encodeStateAsUpdate`, `Automerge.save`): what it has and the document
   * lacks.
   * @throws InvalidValueError for bytes that are none, or cannot be taken in; nothing is changed. Else as `change` does.
   */
  apply(key: string, update: Uint8Array): void {
    this.#apply(this.#hold(key), [update], undefined);
  }

  /**
   * Writes updates as they are, for who brings a document from elsewhere without reading it. Nobody looks whether
   * they are updates: those that are none are passed over by whoever reads the document, as those of peers are.
   * What is there already is not written again. In one transaction of its own if all is no more than a document may
   * weigh, which is 10 MiB, else in several. O(document).
   * @throws OverloadedError if something is there, and with these it would weigh more; UsageError inside a
   * transaction; ClosedError. Nothing is written then.
   */
  add(key: string, updates: readonly Uint8Array[]): void {
    this.#shelf.add(key, updates);
  }

  /** The whole document as one update of the library. O(document). */
  encode(key: string): Uint8Array {
    return this.#hold(key).open.snapshot();
  }

  /** The content as JSON, where the library has such; what only it knows is left out. O(document). */
  json(key: string): unknown {
    return this.#type.engine.json(this.get(key));
  }

  /**
   * Calls `listener` after each batch that changed the document, here or elsewhere. The document stays in memory
   * until the function that is returned is called.
   */
  observe(key: string, listener: (native: D, origin: DocumentOrigin) => void): () => void {
    const held = this.#hold(key);
    const call = (origin: DocumentOrigin): void => this.#tell(held, listener, origin);
    const follower: DocumentFollower = {
      changed: (updates) =>
        call(updates.every(({ origin }) => origin === fromAfar) ? "remote" : "local"),
      replaced: (why) => call(why === "removed" ? "remote" : "local"),
    };
    held.follow(follower);
    return () => void held.followers.delete(follower);
  }

  /** For who speaks to clients: every update as it is, and the document kept in memory. */
  follow(key: string, follower: DocumentFollower): Following<D, C> {
    const held = this.#hold(key);
    held.follow(follower);
    const present = (): HeldDocument<D, C> => this.#hold(key);
    return {
      get native(): D {
        return present().open.native;
      },
      apply: (updates, origin) => this.#apply(present(), updates, origin),
      change: (change, origin) => present().open.change(change, origin),
      advance: (step, origin) => this.#attempt(present(), ({ open }) => open.advance(step, origin)),
      stop: () => void held.followers.delete(follower),
    };
  }

  /**
   * Removes what is seen here. A change that is made elsewhere meanwhile survives, and may rest on what is
   * gone; a client that still has the document brings all of it back. Objects of it are given up.
   */
  delete(key: string): void {
    if (!this.#keys.has(key)) return;
    this.#keys.remove(key);
    this.#shelf.removed(key);
  }

  /** The document of one key. It stays valid for ever. */
  at(key: string): DocumentHandle<D, C> {
    return new DocumentHandle(this, key);
  }

  /** The keys that have a document, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#keys.list(options);
  }

  /** Whether anything was written to the document. O(1). */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** How many keys have a document. O(1). */
  size(): number {
    return this.#keys.size();
  }

  #hold(key: string): HeldDocument<D, C> {
    return this.#shelf.hold(key);
  }

  #apply(held: HeldDocument<D, C>, updates: readonly Uint8Array[], origin: Origin): void {
    if (!updates.every((update) => this.#type.engine.isUpdate(update))) this.#refuse();
    try {
      this.#applyOrMakeRoom(held, updates, origin);
    } catch (error) {
      // Whatever a library throws at bytes that are well formed, and say nothing that can be.
      if (!(error instanceof TrellisError)) this.#refuse();
      throw error;
    }
  }

  #applyOrMakeRoom(held: HeldDocument<D, C>, updates: readonly Uint8Array[], origin: Origin): void {
    const apply = (): void => this.#attempt(held, ({ open }) => open.apply(updates, origin));
    try {
      apply();
    } catch (error) {
      // An update counts once, however often it is taken in.
      if (!(error instanceof OverloadedError) || !this.#shelf.makeRoom(held)) throw error;
      apply();
    }
  }

  /** What throws midway leaves no document that could be used. */
  #attempt<R>(held: HeldDocument<D, C>, attempt: (held: HeldDocument<D, C>) => R): R {
    try {
      return attempt(held);
    } catch (error) {
      held.replace("refused");
      throw error;
    }
  }

  #refuse(): never {
    throw new InvalidValueError("the bytes are no update of this library; nothing was changed", {
      path: "update",
      reason: "is no update of this library",
    });
  }

  #tell(
    held: HeldDocument<D, C>,
    listener: (native: D, origin: DocumentOrigin) => void,
    origin: DocumentOrigin,
  ): void {
    try {
      listener(held.open.native, origin);
    } catch (error) {
      this.#shelf.observerFailed(error);
    }
  }
}

/** The document of one key. */
export class DocumentHandle<D = unknown, C = unknown> {
  readonly #documents: DocumentCollection<D, C>;
  readonly key: string;

  constructor(documents: DocumentCollection<D, C>, key: string) {
    this.#documents = documents;
    this.key = key;
  }

  /** As `DocumentCollection.get`. */
  get(): D {
    return this.#documents.get(this.key);
  }

  /** As `DocumentCollection.change`. */
  change<R>(change: (content: C) => R): R {
    return this.#documents.change(this.key, change);
  }

  /** As `DocumentCollection.apply`. */
  apply(update: Uint8Array): void {
    this.#documents.apply(this.key, update);
  }

  encode(): Uint8Array {
    return this.#documents.encode(this.key);
  }

  json(): unknown {
    return this.#documents.json(this.key);
  }

  /** As `DocumentCollection.observe`. */
  observe(listener: (native: D, origin: DocumentOrigin) => void): () => void {
    return this.#documents.observe(this.key, listener);
  }

  has(): boolean {
    return this.#documents.has(this.key);
  }

  delete(): void {
    this.#documents.delete(this.key);
  }
}
