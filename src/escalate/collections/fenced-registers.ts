/** Registers every write of which passes the fence. There is no write that does not. */
import type { FencedRegisterType } from "../../crdt/fenced-register.ts";
import type { KeysOptions } from "../../store/collections/keys.ts";
import type { Root } from "../../store/nodes.ts";
import { type FencedCollection, type FencedHandle, FencedTarget } from "../fenced/fenced-target.ts";
import type {
  Expected,
  FencedOptions,
  FencedValues,
  Peeked,
  Replaced,
  Update,
  UpdateOptions,
  Versioned,
} from "../fenced.ts";

/** A collection of fenced registers. */
export class FencedRegisterCollection<V = unknown> {
  readonly #values: FencedValues;
  readonly #collection: FencedCollection;

  /** @throws UsageError for a collection's name that is too long. */
  constructor(values: FencedValues, root: Root, type: FencedRegisterType<V>) {
    this.#values = values;
    this.#collection = values.open(root, "value", type);
  }

  /** See the handle. */
  update(key: string, change: Update<V>, options?: UpdateOptions): Promise<V | undefined> {
    return this.#values.outside("update", () => this.at(key).update(change, options));
  }

  /** See the handle. */
  delete(key: string, options?: UpdateOptions): Promise<void> {
    return this.#values.outside("delete", () => this.at(key).delete(options));
  }

  /**
   * Replaces the value if what is there is what was expected; `undefined` deletes. Resolves with what was
   * written and its version, if that is known.
   * @throws ConflictError it is not, and nothing was written; and as `update`.
   */
  replace(
    key: string,
    change: { readonly expected: Expected; readonly next: V | undefined },
    options?: UpdateOptions,
  ): Promise<Replaced<V>> {
    return this.#values.outside("replace", () =>
      this.#values.replace(this.#target(key), change, options),
    );
  }

  /** The value now and its version. Linearizable. Throws as `read` does. */
  readVersioned(key: string, options?: FencedOptions): Promise<Versioned<V>> {
    return this.#values.outside("readVersioned", () =>
      this.#values.readVersioned(this.#target(key), options),
    );
  }

  /** The copy that is here and its version; it may lag. O(1). */
  getVersioned(key: string): Versioned<V> {
    return this.#values.getVersioned(this.#target(key));
  }

  /** See the handle. */
  read(key: string, options?: FencedOptions): Promise<V | undefined> {
    return this.#values.outside("read", () => this.at(key).read(options));
  }

  /** See the handle. */
  get(key: string): V | undefined {
    return this.#values.get(this.#target(key));
  }

  /** See the handle. */
  peek(key: string): Peeked<V> {
    return this.#values.peek(this.#target(key));
  }

  /** The register of one key. It stays valid for ever. @throws InvalidValueError */
  at(key: string): FencedRegisterHandle<V> {
    return new FencedRegisterHandle(this.#values, this.#target(key));
  }

  /** The keys that have a value here, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#collection.copies.list(options);
  }

  /** Whether the key has a value here. O(1). */
  has(key: string): boolean {
    return this.#collection.copies.has(key);
  }

  /** How many keys have a value here. O(n). */
  size(): number {
    return this.#collection.copies.size();
  }

  #target(key: string): FencedTarget<V> {
    return new FencedTarget(this.#collection, key);
  }
}

/** The fenced register of one key; what a section is over. */
export class FencedRegisterHandle<V = unknown> implements FencedHandle<V> {
  readonly target: FencedTarget<V>;
  readonly #values: FencedValues;

  constructor(values: FencedValues, target: FencedTarget<V>) {
    this.#values = values;
    this.target = target;
  }

  get key(): string {
    return this.target.key;
  }

  /**
   * Replaces the value by what `change` makes of it; `undefined` deletes. It may run again on another value,
   * so it has no effects outside. Resolves with what was written; a repetition under the same
   * `idempotencyKey` with what the first one wrote, at most 64 KiB.
   * @throws what `change` throws, and then nothing is written; InvalidValueError; LockTimeoutError,
   * OverloadedError, LockUnavailableError surely not applied; UnknownOutcomeError it may have been: with a
   * key, ask again; StoreRolledBackError; UsageError inside a transaction.
   */
  update(change: Update<V>, options?: UpdateOptions): Promise<V | undefined> {
    return this.#values.update(this.target, change, options);
  }

  /** An update to nothing. */
  delete(options?: UpdateOptions): Promise<void> {
    return this.#values.outside("delete", async () => {
      await this.update(() => undefined, options);
    });
  }

  /** The value now, frozen. Linearizable. @throws LockUnavailableError, StoreRolledBackError */
  read(options?: FencedOptions): Promise<V | undefined> {
    return this.#values.read(this.target, options);
  }

  /** The copy that is here, frozen; it may lag. O(1). */
  get(): V | undefined {
    return this.#values.get(this.target);
  }

  /** The copy that is here, its version, and how old it may be. O(1). */
  peek(): Peeked<V> {
    return this.#values.peek(this.target);
  }

  /** Whether there is a value here. O(1). */
  has(): boolean {
    return this.get() !== undefined;
  }
}
