/**
 * Telling those who watch what changed: whole batches, after they took effect.
 *
 * A watcher holds one pending change a key and field, never a queue: who is slow gets fewer, newer
 * changes. While nobody watches, nothing is computed.
 */
import type { Name } from "../crdt/data-type.ts";
import type { Keyspace } from "./keyspace.ts";

/** Something under a key changed. */
export interface Change {
  readonly key: string;
  /** The element, field or entry, where the collection has such. */
  readonly field?: Name;
  /** Whether the latest change to it was made here. */
  readonly origin: "local" | "remote";
  /** Covers the change: `waitFor` it elsewhere. */
  readonly version: string;
}

/** Which changes to tell. */
export interface WatchOptions {
  readonly key?: string;
  readonly prefix?: string;
  /** Ends the iteration when aborted. */
  readonly signal?: AbortSignal;
}

/** One consumer of changes. */
export class Watcher implements AsyncIterableIterator<Change> {
  readonly #collection: number;
  readonly #options: WatchOptions;
  readonly #pending = new Map<string, Change>();
  readonly #ended: (watcher: Watcher) => void;
  #waiting: ((result: IteratorResult<Change>) => void)[] = [];
  #isEnded = false;

  constructor(collection: number, options: WatchOptions, ended: (watcher: Watcher) => void) {
    this.#collection = collection;
    this.#options = options;
    this.#ended = ended;
    options.signal?.addEventListener("abort", this.#abort, { once: true });
    if (options.signal?.aborted === true) this.end();
  }

  /** The number of the collection that is watched. */
  get collection(): number {
    return this.#collection;
  }

  /** Whether a change of this key is wanted. */
  wants(key: string): boolean {
    const { key: only, prefix } = this.#options;
    return (only === undefined || key === only) && (prefix === undefined || key.startsWith(prefix));
  }

  /** Hands a change to who waits, or keeps it in place of an older one of the same name. */
  tell(change: Change): void {
    const waiting = this.#waiting.shift();
    if (waiting) {
      waiting({ done: false, value: change });
      return;
    }
    const name = `${typeof change.field}:${JSON.stringify([change.key, change.field ?? null])}`;
    this.#pending.delete(name);
    this.#pending.set(name, change);
  }

  next(): Promise<IteratorResult<Change>> {
    for (const [name, change] of this.#pending) {
      this.#pending.delete(name);
      return Promise.resolve({ done: false, value: change });
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<Change>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** No more changes; who waits is told so. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#pending.clear();
    this.#options.signal?.removeEventListener("abort", this.#abort);
    for (const waiting of this.#waiting) waiting({ done: true, value: undefined });
    this.#waiting = [];
    this.#ended(this);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #abort = (): void => this.end();
}

/** All watchers of one keyspace. */
export class Watchers {
  readonly #keyspace: Keyspace;
  readonly #version: () => string;
  readonly #watchers = new Set<Watcher>();

  constructor(keyspace: Keyspace, version: () => string) {
    this.#keyspace = keyspace;
    this.#version = version;
  }

  /** A new watcher of one collection. */
  watch(collection: number, options: WatchOptions): Watcher {
    const watcher = new Watcher(collection, options, (ended) => this.#watchers.delete(ended));
    if (options.signal?.aborted !== true) this.#watchers.add(watcher);
    return watcher;
  }

  /** A local batch was closed. */
  flushed(): void {
    if (this.#watchers.size > 0) this.#tell(this.#keyspace.lastBatch(), "local");
  }

  /** Something was joined. */
  joined(slots: Iterable<number>): void {
    if (this.#watchers.size > 0) this.#tell(slots, "remote");
  }

  /** Ends all. */
  close(): void {
    for (const watcher of [...this.#watchers]) watcher.end();
  }

  #tell(slots: Iterable<number>, origin: Change["origin"]): void {
    // Costs as much as there are actors, and mostly nobody asks: made when it is first read.
    let token: string | undefined;
    const version = (): string => (token ??= this.#version());
    for (const slot of slots) {
      const { nodes } = this.#keyspace;
      if (!nodes.isUsed(slot)) continue;
      const keyNode = nodes.keyOf(slot);
      const collection = nodes.rootOf(keyNode).index;
      const key = String(nodes.name(keyNode));
      for (const watcher of this.#watchers) {
        if (watcher.collection !== collection || !watcher.wants(key)) continue;
        watcher.tell({
          key,
          ...this.#field(slot, keyNode),
          origin,
          get version() {
            return version();
          },
        });
      }
    }
  }

  /** The name right below the key that the slot is, or is under. */
  #field(slot: number, keyNode: number): { readonly field?: Name } {
    const { nodes } = this.#keyspace;
    if (slot === keyNode || nodes.isOpaque(keyNode)) return {};
    let at = slot;
    let below: number | undefined;
    for (let parent = nodes.parent(at); parent !== keyNode; parent = nodes.parent(at)) {
      below = at;
      at = parent;
    }
    if (!nodes.isEnvelope(keyNode)) return { field: nodes.name(at) };
    return below === undefined ? {} : { field: nodes.name(below) };
  }
}
