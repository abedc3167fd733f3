/**
 * A backend behind an eye that remembers. A store that was restored from a backup has the same birth as
 * before and answers in good faith, but it is behind what was seen of it: versions and tokens of a guard
 * only grow. Whoever knows more says so, and takes nothing from it.
 */
import { ConflictError, StoreRolledBackError } from "../errors.ts";
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
} from "./locks.ts";

/** What was seen of one guard. */
export interface Sighting {
  readonly version: bigint;
  readonly token: bigint;
}

/** Remembers the largest that was seen of each resource. A replica keeps it on its disk. */
export interface Sightings {
  get(resource: string): Sighting | undefined;
  set(resource: string, sighting: Sighting): void;
}

/** Resources that are remembered in memory. */
const sightingsMax = 10_000;

/** Sightings of this process only, of the resources that were seen last. */
export class RecentSightings implements Sightings {
  readonly #sightings = new Map<string, Sighting>();

  get(resource: string): Sighting | undefined {
    return this.#sightings.get(resource);
  }

  set(resource: string, sighting: Sighting): void {
    this.#sightings.delete(resource);
    this.#sightings.set(resource, sighting);
    if (this.#sightings.size <= sightingsMax) return;
    const oldest = this.#sightings.keys().next();
    if (oldest.done !== true) this.#sightings.delete(oldest.value);
  }
}

/** Every call throws `StoreRolledBackError` when the store is behind what was known before the call. */
export class RollbackWatch implements LockBackend {
  readonly operate?: NonNullable<LockBackend["operate"]>;
  readonly #backend: LockBackend;
  readonly #sightings: Sightings;

  constructor(backend: LockBackend, sightings: Sightings) {
    this.#backend = backend;
    this.#sightings = sightings;
    const operate = backend.operate?.bind(backend);
    if (operate) this.operate = (...call) => this.#operate(operate, ...call);
  }

  get name(): string {
    return this.#backend.name;
  }

  get guarantees(): LockGuarantees {
    return this.#backend.guarantees;
  }

  birth(options: ReadOptions = {}): Promise<string> {
    return this.#backend.birth(options);
  }

  async acquire(resource: string, options: AcquireOptions): Promise<Lease> {
    const known = this.#sightings.get(resource);
    const lease = await this.#backend.acquire(resource, options);
    const { current, token } = lease;
    try {
      this.#check(resource, known, { version: current?.version ?? 0n, token });
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
    return lease;
  }

  async read(resource: string, options: ReadOptions = {}): Promise<Guarded | undefined> {
    const known = this.#sightings.get(resource);
    const guarded = await this.#backend.read(resource, options);
    // Tokens of a guard that was never written are told to nobody.
    const token = guarded?.token ?? (known?.version === 0n ? known.token : 0n);
    this.#check(resource, known, { version: guarded?.version ?? 0n, token });
    return guarded;
  }

  async commit(sections: readonly Section[], operationId: string): Promise<readonly Guarded[]> {
    const guards = await this.#backend.commit(sections, operationId);
    for (const [i, { version, token }] of guards.entries()) {
      const resource = sections[i]?.lease.resource;
      if (resource !== undefined) this.#note(resource, { version, token });
    }
    return guards;
  }

  async compareAndSet(
    resource: string,
    expectedVersion: bigint | undefined,
    value: Uint8Array,
    operationId: string,
  ): Promise<Guarded> {
    const known = this.#sightings.get(resource);
    if (known && known.version > (expectedVersion ?? 0n)) {
      // It would be refused, or the store has gone back to before that: reading tells which.
      await this.read(resource);
    }
    const backend = this.#backend;
    try {
      const guarded = await backend.compareAndSet(resource, expectedVersion, value, operationId);
      this.#note(resource, guarded);
      return guarded;
    } catch (error) {
      // What a refusal tells is as good as a read, and is looked at like one; if it tells nothing, perhaps nothing is there.
      if (error instanceof ConflictError && error.held !== true) {
        if (error.current) this.#check(resource, known, error.current);
        else if (known) await this.read(resource);
      }
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#backend[Symbol.asyncDispose]();
  }

  async #operate(
    operate: NonNullable<LockBackend["operate"]>,
    resource: string,
    operation: Operation,
    operationId: string,
  ): Promise<Operated> {
    const operated = await operate(resource, operation, operationId);
    this.#note(resource, operated.guarded);
    return operated;
  }

  #check(resource: string, known: Sighting | undefined, found: Sighting): void {
    if (known && (found.version < known.version || found.token < tokenFor(known, found))) {
      throw new StoreRolledBackError(
        `${this.name} has ${resource} at version ${found.version}, token ${found.token}; it was at ` +
          `version ${known.version}, token ${known.token} before: the store was set back`,
        { resource },
      );
    }
    this.#note(resource, found);
  }

  #note(resource: string, { version, token }: Sighting): void {
    const known = this.#sightings.get(resource) ?? { version: 0n, token: 0n };
    if (known.version >= version && known.token >= token) return;
    const seen = tokenFor(known, { version, token });
    this.#sightings.set(resource, {
      version: known.version > version ? known.version : version,
      token: seen > token ? seen : token,
    });
  }
}

/** A guard that was never written is forgotten by some stores when its lease is given back, and its token with it. */
const tokenFor = (known: Sighting, found: Sighting): bigint =>
  known.version === 0n && found.version > 0n ? 0n : known.token;
