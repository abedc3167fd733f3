/** Names that have one owner each, cluster-wide. */
import { defaultIdempotencyWindowMs } from "../../crdt/fenced-register.ts";
import type { KeysOptions } from "../../store/collections/keys.ts";
import type { Root } from "../../store/nodes.ts";
import { type FencedCollection, FencedTarget } from "../fenced/fenced-target.ts";
import type { FencedOptions, FencedValues } from "../fenced.ts";

/** A collection of claimed names. */
export class UniqueClaimsCollection {
  readonly #values: FencedValues;
  readonly #collection: FencedCollection;

  /** @throws UsageError for a collection's name that is too long. */
  constructor(values: FencedValues, root: Root) {
    this.#values = values;
    this.#collection = values.open(root, "claim", {
      idempotencyWindowMs: defaultIdempotencyWindowMs,
    });
  }

  /** See the handle. */
  claim(name: string, owner: string, options?: FencedOptions): Promise<void> {
    return this.#values.outside("claim", () => this.at(name).claim(owner, options));
  }

  /** See the handle. */
  release(name: string, owner: string, options?: FencedOptions): Promise<void> {
    return this.#values.outside("release", () => this.at(name).release(owner, options));
  }

  /** See the handle. */
  owner(name: string): string | undefined {
    return this.#values.get(this.#target(name));
  }

  /** See the handle. */
  readOwner(name: string, options?: FencedOptions): Promise<string | undefined> {
    return this.#values.outside("readOwner", () => this.at(name).readOwner(options));
  }

  /** See the handle. */
  delete(name: string, options?: FencedOptions): Promise<void> {
    return this.#values.outside("delete", () => this.at(name).delete(options));
  }

  /** One name. It stays valid for ever. @throws InvalidValueError */
  at(name: string): UniqueClaimHandle {
    return new UniqueClaimHandle(this.#values, this.#target(name));
  }

  /** The names that have an owner here, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#collection.copies.list(options);
  }

  /** Whether the name has an owner here. O(1). */
  has(name: string): boolean {
    return this.#collection.copies.has(name);
  }

  /** How many names have an owner here. O(n). */
  size(): number {
    return this.#collection.copies.size();
  }

  #target(name: string): FencedTarget<string> {
    return new FencedTarget(this.#collection, name);
  }
}

/** One name. */
export class UniqueClaimHandle {
  readonly #values: FencedValues;
  readonly #target: FencedTarget<string>;

  constructor(values: FencedValues, target: FencedTarget<string>) {
    this.#values = values;
    this.#target = target;
  }

  get key(): string {
    return this.#target.key;
  }

  /**
   * Makes `owner` the owner. Repeating one's own claim succeeds.
   * @throws AlreadyClaimedError with the owner; LockTimeoutError, OverloadedError, LockUnavailableError surely
   * not claimed; UnknownOutcomeError it may be: claim again; StoreRolledBackError; UsageError inside a
   * transaction.
   */
  claim(owner: string, options?: FencedOptions): Promise<void> {
    return this.#values.claim(this.#target, owner, options);
  }

  /**
   * Makes the name free. One that is free already stays so, so that a release may be repeated.
   * @throws ConflictError another owns it, and nothing was changed; and as `claim`.
   */
  release(owner: string, options?: FencedOptions): Promise<void> {
    return this.#values.release(this.#target, owner, options);
  }

  /** The owner as of the copy that is here; it may lag. O(1). */
  owner(): string | undefined {
    return this.#values.get(this.#target);
  }

  /** The owner now. Linearizable. @throws LockUnavailableError, StoreRolledBackError */
  readOwner(options?: FencedOptions): Promise<string | undefined> {
    return this.#values.read(this.#target, options);
  }

  /** Makes the name free, whoever owns it. @throws as `release`, without the conflict. */
  delete(options?: FencedOptions): Promise<void> {
    return this.#values.outside("delete", async () => {
      await this.#values.update(this.#target, () => undefined, options);
    });
  }

  /** Whether the name has an owner here. O(1). */
  has(): boolean {
    return this.owner() !== undefined;
  }
}
