/** Enable-wins flags by key. */
import type { CollectionKeys, KeysOptions } from "./keys.ts";

/** A collection of flags. */
export class FlagCollection {
  readonly #keys: CollectionKeys;

  constructor(keys: CollectionKeys) {
    this.#keys = keys;
  }

  /** Turns the flag on; it wins over concurrent disables. O(1). @throws InvalidValueError */
  enable(key: string): void {
    this.#keys.keyspace.mark(this.#keys.make(key));
  }

  /** Turns off what is seen here. O(1). */
  disable(key: string): void {
    this.#keys.remove(key);
  }

  /** Whether the flag is on. O(1). */
  isEnabled(key: string): boolean {
    return this.#keys.has(key);
  }

  /** The same as `disable`. */
  delete(key: string): void {
    this.#keys.remove(key);
  }

  /** The flag of one key. It stays valid for ever. */
  at(key: string): FlagHandle {
    return new FlagHandle(this, key);
  }

  /** The keys whose flag is on, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#keys.list(options);
  }

  /** Whether the flag is on. O(1). */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** How many flags are on. O(1). */
  size(): number {
    return this.#keys.size();
  }
}

/** The flag of one key. */
export class FlagHandle {
  readonly #flags: FlagCollection;
  readonly key: string;

  constructor(flags: FlagCollection, key: string) {
    this.#flags = flags;
    this.key = key;
  }

  enable(): void {
    this.#flags.enable(this.key);
  }

  disable(): void {
    this.#flags.disable(this.key);
  }

  isEnabled(): boolean {
    return this.#flags.isEnabled(this.key);
  }

  delete(): void {
    this.#flags.delete(this.key);
  }

  has(): boolean {
    return this.#flags.has(this.key);
  }
}
