/**
 * A lock backend behind an eye that knows fenced values. Whatever passes, read or committed, becomes the copy
 * that this replica holds, if it is newer; so a crash right after a commit loses nothing and blocks nobody,
 * since anyone who reads it publishes it. And whatever is behind the copies is refused: they are on disks, of
 * many replicas, and a store that knows less was wiped or set back.
 *
 * The backend's versions count within one lineage. An adopted store starts another, above all that was seen,
 * so a guard is compared by lineage first; `RollbackWatch`, which knows nothing of lineages, leaves these
 * guards to this one.
 */
import { type CopyOrder, isNewer } from "../../crdt/fenced-register.ts";
import type { Environment } from "../../environment.ts";
import { ConflictError, CorruptStorageError, StoreRolledBackError } from "../../errors.ts";
import type {
  AcquireOptions,
  Guarded,
  Lease,
  LockBackend,
  LockGuarantees,
  Operated,
  Operation,
  ReadOptions,
  Section,
} from "../locks.ts";
import type { Sighting, Sightings } from "../rollback-watch.ts";
import type { Births } from "./births.ts";
import type { Copy } from "./copies.ts";
import { decodeEnvelope, sameEnvelope } from "./envelope.ts";
import type { FencedCollection } from "./fenced-target.ts";
import { splitResource } from "./resource-names.ts";

/** What this process saw of one guard last. */
export interface Confirmed {
  readonly lineage: number;
  /** 0: it was never written. */
  readonly version: number;
  /** The largest that was seen in this lineage. */
  readonly token: bigint;
  /** When it was asked, by the wall clock here: it was so then, or later. */
  readonly asOfMs: number;
}

/** Guards that are remembered beside their copies. */
const confirmedMax = 10_000;

/** For a `RollbackWatch` below: it remembers what is not fenced. */
export const sightingsOfOthers = (sightings: Sightings): Sightings => ({
  get: (resource) => (splitResource(resource) ? undefined : sightings.get(resource)),
  set: (resource: string, sighting: Sighting) => {
    if (!splitResource(resource)) sightings.set(resource, sighting);
  },
});

/** Where the copy of a guard is. */
interface Place {
  readonly collection: FencedCollection;
  readonly key: string;
}

/** What was known when something was asked. */
interface Before {
  readonly resource: string;
  readonly askedMs: number;
  readonly place: Place | undefined;
  readonly known: CopyOrder | undefined;
  readonly confirmed: Confirmed | undefined;
}

/** What it is made of. */
export interface FencedWatchOptions {
  readonly environment: Environment;
  /** Which store this replica knows. */
  readonly births: Births;
}

/** Every call throws `StoreRolledBackError` when the store is behind what is known here. */
export class FencedWatch implements LockBackend {
  readonly operate?: NonNullable<LockBackend["operate"]>;
  /** What stands below. */
  readonly backend: LockBackend;
  readonly #environment: Environment;
  readonly #births: Births;
  /** By the prefixes of their guards. */
  readonly #collections = new Map<string, FencedCollection>();
  readonly #confirmed = new Map<string, Confirmed>();

  constructor(backend: LockBackend, { environment, births }: FencedWatchOptions) {
    this.backend = backend;
    this.#environment = environment;
    this.#births = births;
    const operate = backend.operate?.bind(backend);
    if (operate) this.operate = (...call) => this.#operate(operate, ...call);
  }

  /** The guards of a collection are watched from now on. */
  watch(collection: FencedCollection): void {
    this.#collections.set(collection.prefix, collection);
  }

  /** What was seen of a guard last, if that is remembered. */
  confirmed(resource: string): Confirmed | undefined {
    return this.#confirmed.get(resource);
  }

  /** An operator has adopted the store: what was seen of the guard before does not count. */
  forget(resource: string): void {
    this.#confirmed.delete(resource);
  }

  get name(): string {
    return this.backend.name;
  }

  get guarantees(): LockGuarantees {
    return this.backend.guarantees;
  }

  birth(options: ReadOptions = {}): Promise<string> {
    return this.#births.check(this.backend, options);
  }

  async acquire(resource: string, options: AcquireOptions): Promise<Lease> {
    await this.#meet(options.signal);
    const before = this.#before(resource);
    const lease = await this.backend.acquire(resource, options);
    try {
      this.#saw(before, lease.current, lease.token);
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
    return lease;
  }

  async read(resource: string, options: ReadOptions = {}): Promise<Guarded | undefined> {
    await this.#meet(options.signal);
    const before = this.#before(resource);
    const guarded = await this.backend.read(resource, options);
    this.#saw(before, guarded, guarded?.token);
    return guarded;
  }

  async commit(sections: readonly Section[], operationId: string): Promise<readonly Guarded[]> {
    const askedMs = this.#environment.now();
    const guards = await this.backend.commit(sections, operationId);
    for (const [i, { lease, value }] of sections.entries()) {
      const guarded = guards[i];
      if (value && guarded) this.#wrote(lease.resource, guarded, { askedMs, value });
    }
    return guards;
  }

  async compareAndSet(
    resource: string,
    expectedVersion: bigint | undefined,
    value: Uint8Array,
    operationId: string,
  ): Promise<Guarded> {
    await this.#meet();
    await this.#checkExpected(resource, expectedVersion, value);
    const before = this.#before(resource);
    const { backend } = this;
    try {
      const guarded = await backend.compareAndSet(resource, expectedVersion, value, operationId);
      this.#wrote(resource, guarded, { askedMs: before.askedMs, value });
      return guarded;
    } catch (error) {
      // What a refusal tells is as good as a read, and is looked at like one; if it tells nothing, perhaps nothing is there.
      if (error instanceof ConflictError && error.held !== true) {
        if (error.current) this.#saw(before, error.current, error.current.token);
        else if (before.known) await this.read(resource);
      }
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.backend[Symbol.asyncDispose]();
  }

  async #operate(
    operate: NonNullable<LockBackend["operate"]>,
    resource: string,
    operation: Operation,
    operationId: string,
  ): Promise<Operated> {
    await this.#meet();
    return operate(resource, operation, operationId);
  }

  async #meet(signal?: AbortSignal): Promise<void> {
    if (!this.#births.isMet) await this.birth(signal ? { signal } : {});
  }

  /**
   * A compare-and-set that expects less than what is known here would be refused, or the store has gone
   * back to before that: reading tells which.
   */
  async #checkExpected(
    resource: string,
    expectedVersion: bigint | undefined,
    value: Uint8Array,
  ): Promise<void> {
    const place = this.#place(resource);
    const known = place && this.#known(place, resource);
    if (!known) return;
    const { lineage } = decodeEnvelope(value, resource);
    const expected = { lineage, version: Number(expectedVersion ?? 0n) };
    if (!isNewer(known, expected)) return;
    const guarded = await this.read(resource);
    // The same number in another lineage is another version.
    const found = decodeEnvelope(guarded?.value, resource);
    if (guarded?.version === expectedVersion && found.lineage === lineage) return;
    throw new ConflictError(`${resource} is not at the expected version; nothing was written`, {
      ...{ resource, held: false },
      ...(guarded ? { current: guarded } : {}),
    });
  }

  #place(resource: string): Place | undefined {
    const split = splitResource(resource);
    const collection = split && this.#collections.get(split.prefix);
    return split && collection ? { collection, key: split.key } : undefined;
  }

  /** The most that is known of a guard: from its copy, or because it was seen and could not be published. */
  #known({ collection, key }: Place, resource: string): CopyOrder | undefined {
    const { copies } = collection;
    const copy = copies.keyspace.isClosed ? undefined : copies.newest(key);
    const confirmed = this.#confirmed.get(resource);
    if (!copy || !confirmed) return copy ?? confirmed;
    return isNewer(confirmed, copy) ? confirmed : copy;
  }

  /** What an answer is held against: what is known when it is asked for, not what is learned meanwhile. */
  #before(resource: string): Before {
    const place = this.#place(resource);
    return {
      resource,
      askedMs: this.#environment.now(),
      place,
      known: place && this.#known(place, resource),
      confirmed: this.#confirmed.get(resource),
    };
  }

  /** The store shows this: is it as new as all that was known? */
  #saw(
    { resource, askedMs, place, known, confirmed }: Before,
    guarded: Guarded | undefined,
    token: bigint | undefined,
  ): void {
    if (!place) return;
    const { lineage, value } = decodeEnvelope(guarded?.value, resource);
    const found = { lineage, version: versionOf(guarded, resource) };
    if (known && isNewer(known, found)) {
      throw rolledBack(
        `${this.name} has ${resource} at version ${found.version} of lineage ${lineage}; here ` +
          `version ${known.version} of lineage ${known.lineage} is known`,
        resource,
      );
    }
    if (token !== undefined && token < tokenFor(confirmed, found)) {
      throw rolledBack(
        `${this.name} has ${resource} at token ${token}; it was at ${confirmed?.token} before`,
        resource,
      );
    }
    this.#confirm(resource, { ...found, token: token ?? 0n, asOfMs: askedMs });
    if (guarded) publish(place, { ...found, value });
  }

  #wrote(
    resource: string,
    guarded: Guarded,
    { askedMs, value }: { readonly askedMs: number; readonly value: Uint8Array },
  ): void {
    sameEnvelope(value, guarded.value);
    const place = this.#place(resource);
    if (!place) return;
    const envelope = decodeEnvelope(value, resource);
    const written = { lineage: envelope.lineage, version: versionOf(guarded, resource) };
    this.#confirm(resource, { ...written, token: guarded.token, asOfMs: askedMs });
    publish(place, { ...written, value: envelope.value });
  }

  #confirm(resource: string, found: Confirmed): void {
    const before = this.#confirmed.get(resource);
    // Answers come in another order than they were made in: the later one counts.
    if (before && isNewer(before, found)) return;
    const seen = tokenFor(before, found);
    const token = seen > found.token ? seen : found.token;
    this.#confirmed.delete(resource);
    this.#confirmed.set(resource, { ...found, token });
    if (this.#confirmed.size <= confirmedMax) return;
    const oldest = this.#confirmed.keys().next();
    if (oldest.done !== true) this.#confirmed.delete(oldest.value);
  }
}

/**
 * The token that must not be undercut. A guard that was never written is forgotten by some stores when its lease is given back, and
 * its token with it.
 */
function tokenFor(seen: Confirmed | undefined, found: CopyOrder): bigint {
  if (seen?.lineage !== found.lineage) return 0n;
  return seen.version === 0 && found.version > 0 ? 0n : seen.token;
}

/** Never before the commit, and only what is newer than what is shown here. */
function publish({ collection, key }: Place, copy: Copy): void {
  collection.copies.publish(key, copy);
}

/** Copies have numbers. A guard that was written a million times a second gets there in 285 years. */
function versionOf(guarded: Guarded | undefined, resource: string): number {
  const version = Number(guarded?.version ?? 0n);
  if (Number.isSafeInteger(version)) return version;
  throw new CorruptStorageError(`${resource} is at version ${version}, which is none`, {
    path: resource,
  });
}

const rolledBack = (what: string, resource: string): StoreRolledBackError =>
  new StoreRolledBackError(
    `${what}: the store was wiped, set back or replaced; nothing was changed. An operator who knows ` +
      "that it is the right store may adopt it",
    { resource },
  );
