/**
 * Fenced values: each lives in a guard of the strong store and is written there only, by one conditional
 * write, so all that is done to it has one order. Replicas hold copies to read from; a copy is made of what
 * was committed, by whoever committed it or read it, and is never what decides.
 *
 * What if the caller dies, or never hears the answer? Under an idempotency key the call may be made again, by
 * anyone, on any replica: the key and the result were written together with the value, so the repetition
 * finds them and runs nothing.
 *
 * @see Li et al. 2012, "Making Geo-Replicated Systems Fast as Possible, Consistent when Necessary", OSDI
 */
import type { Environment } from "../environment.ts";
import { UsageError } from "../errors.ts";
import type { Conflict } from "../store/conflicts.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { Root } from "../store/nodes.ts";
import { checkKey, copyValue, type Json } from "../store/values.ts";
import { type Logger, spanned, type Telemetry } from "../telemetry.ts";
import { EscalatedCalls } from "./escalated-calls.ts";
import { type Adopted, adoptGuards } from "./fenced/adoption.ts";
import { Thrown, untilDecided } from "./fenced/attempts.ts";
import type { Births } from "./fenced/births.ts";
import { withinBound } from "./fenced/bounded-change.ts";
import { type CallIdentity, type Hash, identify } from "./fenced/call-identity.ts";
import { checkedResult, checkFits, keysAreFull, keysBytesMax } from "./fenced/checked-result.ts";
import { Copies } from "./fenced/copies.ts";
import { decodeEnvelope, encodeEnvelope } from "./fenced/envelope.ts";
import {
  callOf,
  type FencedCollection,
  type FencedHandle,
  type FencedTarget,
} from "./fenced/fenced-target.ts";
import type { FencedWatch } from "./fenced/fenced-watch.ts";
import { Claims } from "./fenced/claims.ts";
import { nothingKnown, orderOf, replacing } from "./fenced/conditional.ts";
import type {
  Expected,
  FencedOptions,
  FencedVersion,
  Peeked,
  Replaced,
  Update,
  UpdateContext,
  UpdateOptions,
  Versioned,
} from "./fenced/operations.ts";
import { type FencedKind, resourcePrefix } from "./fenced/resource-names.ts";
import { type EscalateOptions, type FencedSection, Sections } from "./fenced/sections.ts";
import type { Change, Changed, GuardedUpdates, Updated } from "./guarded-updates.ts";
import type { Guarded } from "./locks.ts";
import { defaultWaitMs, type NamedLocks } from "./named-locks.ts";
import { guardAttributes } from "./spans.ts";

export type * from "./fenced/operations.ts";

/** What fenced values are made of. */
export interface FencedValuesOptions {
  readonly keyspace: Keyspace;
  /** The backend; `updates` and `locks` go through it, too. */
  readonly watch: FencedWatch;
  readonly births: Births;
  readonly updates: GuardedUpdates;
  readonly locks: NamedLocks;
  readonly environment: Environment;
  /** SHA-256. */
  readonly hash: Hash;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  /** Lines of the log may name keys. Default false. */
  readonly logKeys?: boolean;
  /** A claim lost. */
  readonly onConflict: (conflict: Conflict) => void;
  /** Whether the backend is known to be away, so that asking again makes no sense. Default never. */
  readonly isAway?: () => boolean;
}

/** What to adopt: all, one collection, or one key of it. */
export interface Adoptable {
  readonly collection?: string;
  readonly key?: string;
}

/** The fenced values of one replica. */
export class FencedValues {
  readonly #options: FencedValuesOptions;
  readonly #collections = new Map<string, FencedCollection>();
  readonly #sections: Sections;
  readonly #claims: Claims;
  readonly #calls: EscalatedCalls;
  readonly #isAway: () => boolean;

  constructor(options: FencedValuesOptions) {
    const { watch, locks, environment, hash, telemetry, isAway = () => false } = options;
    this.#options = options;
    this.#calls = new EscalatedCalls(options);
    this.#isAway = isAway;
    this.#claims = new Claims(options, (target, step, given) =>
      this.#until(target, step, { ...given, isKeyed: true }),
    );
    this.#sections = new Sections({
      ...{ watch, locks, environment, hash, isAway, telemetry },
      isOurs: ({ collection }) => this.#collections.get(collection.name) === collection,
    });
  }

  /**
   * A collection is opened: its guards are watched from now on.
   * @throws UsageError for too long a name, or a window that is none.
   */
  open(
    root: Root,
    kind: FencedKind,
    { idempotencyWindowMs }: { readonly idempotencyWindowMs: number },
  ): FencedCollection {
    if (!(idempotencyWindowMs > 0 && Number.isFinite(idempotencyWindowMs))) {
      throw new UsageError(
        `collection ${JSON.stringify(root.name)} keeps keys for ${idempotencyWindowMs} ms, which is no time`,
      );
    }
    const prefix = resourcePrefix(kind, root.name);
    const copies = new Copies(this.#options.keyspace, root);
    const collection = { name: root.name, prefix, copies, idempotencyWindowMs };
    this.#collections.set(root.name, collection);
    this.#options.watch.watch(collection);
    return collection;
  }

  /**
   * Replaces a value by what `change` makes of it. Linearizable. Resolves with what was written.
   * @throws what `change` throws, and then nothing is written; InvalidValueError; LockTimeoutError surely not
   * applied; OverloadedError too many in line, or too many keys: nothing was run; LockUnavailableError surely
   * not applied; UnknownOutcomeError it may have been: with a key, ask again; StoreRolledBackError;
   * UsageError inside a transaction.
   */
  update<V>(
    target: FencedTarget<V>,
    change: Update<V>,
    options: UpdateOptions = {},
  ): Promise<V | undefined> {
    const update = async (): Promise<unknown> => {
      const { result } = await this.#update(target, change as Update<unknown>, options);
      return result;
    };
    return this.outside("update", update) as Promise<V | undefined>;
  }

  /**
   * Replaces a value if what is there is what was expected. Linearizable.
   * @throws ConflictError it is not, and nothing is written; and as `update`.
   */
  replace<V>(
    target: FencedTarget<V>,
    { expected, next }: { readonly expected: Expected; readonly next: V | undefined },
    options: UpdateOptions = {},
  ): Promise<Replaced<V>> {
    return this.outside("replace", async () => {
      const change = replacing(target, expected, next) as Update<unknown>;
      const { result, wrote, guarded } = await this.#update(target, change, options);
      const isLast = wrote !== undefined && guarded && Buffer.compare(wrote, guarded.value) === 0;
      const version = isLast ? orderOf(guarded, target.resource) : undefined;
      return { value: result as V | undefined, version };
    });
  }

  /** The value now, and its version. Linearizable. Throws as `read` does. */
  readVersioned<V>(target: FencedTarget<V>, options: FencedOptions = {}): Promise<Versioned<V>> {
    const read = (): Promise<unknown> => this.#read(target, options);
    return this.outside("readVersioned", read) as Promise<Versioned<V>>;
  }

  /** The copy that is here, and its version; it may lag. O(1). */
  getVersioned<V>({ collection, key }: FencedTarget<V>): Versioned<V> {
    const copy = collection.copies.newest(key);
    const { lineage, version } = copy ?? nothingKnown;
    return { value: copy?.value as V | undefined, version: { lineage, version } };
  }

  /** The value now. Linearizable. @throws LockUnavailableError, StoreRolledBackError, UsageError */
  read<V>(target: FencedTarget<V>, options: FencedOptions = {}): Promise<V | undefined> {
    return this.outside("read", async () => {
      const { value } = await this.#read(target, options);
      return value as V | undefined;
    });
  }

  /** The copy that is here; it may lag. O(1). */
  get<V>({ collection, key }: FencedTarget<V>): V | undefined {
    return collection.copies.newest(key)?.value as V | undefined;
  }

  /** The copy that is here, and how old it may be. O(1). */
  peek<V>({ collection, key, resource }: FencedTarget<V>): Peeked<V> {
    const copy = collection.copies.newest(key);
    const confirmed = this.#options.watch.confirmed(resource);
    if (!copy) return { value: undefined, version: 0, asOfMs: confirmed?.asOfMs ?? 0 };
    const { lineage, version, value, stampMs } = copy;
    const isSame = confirmed?.lineage === lineage && confirmed.version === version;
    const stamp = Math.min(stampMs, this.#options.environment.now());
    const asOfMs = isSame ? Math.max(confirmed.asOfMs, stamp) : stamp;
    return { value: value as V | undefined, version, asOfMs };
  }

  /**
   * Makes `owner` the owner of a name that has none, or has this one.
   * @throws AlreadyClaimedError with the owner; and as `update`.
   */
  claim(target: FencedTarget<string>, owner: string, options: FencedOptions = {}): Promise<void> {
    return this.outside("claim", () => this.#claims.claim(target, owner, options));
  }

  /** Makes a name free. One that is free already stays so. @throws ConflictError another owns it; and as `update`. */
  release(target: FencedTarget<string>, owner: string, options: FencedOptions = {}): Promise<void> {
    return this.outside("release", () => this.#claims.release(target, owner, options));
  }

  /**
   * Runs `fn` over several values and commits what it sets in one atomic step, if nothing of all of them was
   * changed by others meanwhile; else it runs again, once a grant, until `waitMs` is over.
   * @throws what `fn` throws, and then nothing is written; LockTimeoutError not granted in time, and nothing
   * written; StaleTokenError, LeaseLostError, ConflictError overtaken when the time was over: nothing was
   * written, but `fn` ran; OverloadedError too many keys: nothing was run; UnknownOutcomeError it may have been
   * committed: with a key, ask again; LockUnavailableError, StoreRolledBackError nothing was written; UsageError.
   */
  escalate<const H extends readonly FencedHandle[], R>(
    handles: H,
    fn: (section: FencedSection<H>) => R | Promise<R>,
    options: EscalateOptions = {},
  ): Promise<R> {
    return this.outside("escalate", async () => {
      checkFunction(fn, "escalate");
      const resources = Array.isArray(handles) ? handles.length : 0;
      return this.#calls.run({ operation: "section", route: "fenced", resources }, () =>
        this.#sections.run(handles, fn, options),
      );
    });
  }

  /**
   * Takes the store for the right one, though it is behind what is known here: an operator has found out
   * why. All values go back to their newest copies, or only those of one collection, or one key.
   */
  adopt(which: Adoptable = {}): Promise<Adopted> {
    return this.outside("adopt", () => this.#adopt(which));
  }

  /**
   * Runs what waits for the guard. Inside a transaction that is refused at once, so that the transaction is
   * undone; everything else is told by the promise.
   * @throws UsageError
   */
  outside<T>(call: string, run: () => Promise<T>): Promise<T> {
    const { keyspace } = this.#options;
    if (keyspace.isTransacting) {
      throw new UsageError(
        `${call} waits for the guard, so it cannot be part of a transaction; nothing was changed`,
      );
    }
    const open = async (): Promise<T> => {
      keyspace.assertOpen();
      return run();
    };
    return open();
  }

  async #adopt(which: Adoptable): Promise<Adopted> {
    const { watch, births, environment, logger, logKeys = false } = this.#options;
    const beganMs = environment.monotonic();
    const collections = [...this.#collections.values()].filter(
      ({ name }) => which.collection === undefined || name === which.collection,
    );
    if (collections.length === 0) {
      throw new UsageError(`no fenced collection ${JSON.stringify(which.collection)}`);
    }
    const isAnother = await births.adopt(watch.backend);
    const total = { adopted: 0, unchanged: 0 };
    for (const collection of collections) {
      const keys = which.key === undefined ? undefined : [checkKey(which.key)];
      const { adopted, unchanged } = await adoptGuards(watch, environment, collection, keys);
      total.adopted += adopted;
      total.unchanged += unchanged;
    }
    const { collection, key } = which;
    const latencyMs = Math.round(environment.monotonic() - beganMs);
    const fields = { collection, ...(logKeys ? { key } : {}), ...total, isAnother, latencyMs };
    logger.warn(fields, "a store was adopted");
    return total;
  }

  // How updates are made.

  async #update(
    target: FencedTarget,
    change: Update<unknown>,
    { idempotencyKey, ...options }: UpdateOptions,
  ): Promise<{
    readonly result: Json | undefined;
    /** The bytes that this call made; undefined if it wrote nothing. */
    readonly wrote: Uint8Array | undefined;
    readonly guarded: Guarded | undefined;
  }> {
    const { environment, hash } = this.#options;
    checkFunction(change, "update");
    const resources = [target.resource];
    const identity = identify({ environment, hash, kind: "update", resources, idempotencyKey });
    const isKeyed = identity.hash !== undefined;
    const step = this.#step(target, change, identity);
    let wrote: Uint8Array | undefined;
    const noting: Change<Json | undefined> = async (...given) => {
      const changed = await step(...given);
      wrote = changed.value;
      return changed;
    };
    const updated = await this.#until(target, noting, { ...options, operation: "update", isKeyed });
    return { ...updated, wrote };
  }

  /** What an update does to the bytes of a guard. It may run again. */
  #step(
    target: FencedTarget,
    change: Update<unknown>,
    identity: CallIdentity,
  ): Change<Json | undefined> {
    const { hash } = identity;
    const { environment, telemetry, watch } = this.#options;
    const { resource, collection } = target;
    /** What the caller's function makes of a value, copied and checked. */
    const changed = async (
      current: Json | undefined,
      version: FencedVersion | undefined,
    ): Promise<Json | undefined> => {
      const context: UpdateContext = {
        get operationId() {
          return identity.operationId;
        },
        version,
      };
      try {
        const next = await withinBound(change(current, context), environment);
        if (next === undefined) return undefined;
        return hash === undefined ? copyValue(next) : checkedResult(next, "a value under a key");
      } catch (error) {
        throw new Thrown(error);
      }
    };
    return async (bytes, _, version): Promise<Changed<Json | undefined>> => {
      const envelope = decodeEnvelope(bytes, resource);
      const found = hash === undefined ? undefined : envelope.memory.find(hash);
      if (found) {
        telemetry.count("trellis_fenced_repetitions_total", 1, { collection: collection.name });
        return { result: found.result };
      }
      const before = envelope.memory.at(environment.now(), collection.idempotencyWindowMs);
      if (hash !== undefined && before.isFull(keysBytesMax(watch)))
        throw new Thrown(keysAreFull(target));
      const { lineage } = envelope;
      const order = version === undefined ? undefined : { lineage, version: Number(version) };
      const value = await changed(envelope.value, order);
      // Nothing is there, and nothing shall be.
      if (value === undefined && envelope.value === undefined && hash === undefined) {
        return { result: undefined };
      }
      const atMs = environment.now();
      const memory = hash === undefined ? before : before.with({ hash, atMs, result: value });
      const next = encodeEnvelope({ ...envelope, value, memory });
      checkFits([next], watch);
      return { value: next, result: value };
    };
  }

  async #until<R>(
    target: FencedTarget,
    step: Change<R>,
    options: FencedOptions & { readonly operation: string; readonly isKeyed: boolean },
  ): Promise<Updated<R>> {
    const { resource, collection, what } = target;
    const { environment, updates, telemetry, locks } = this.#options;
    if (locks.isHeldHere(resource)) {
      throw new UsageError(
        `${what} is in the section around this call, which would wait for itself: use the section's set`,
      );
    }
    const { waitMs = defaultWaitMs, signal, operation, isKeyed } = options;
    const given = signal === undefined ? {} : { signal };
    const attempt = (leftMs: number): Promise<Updated<R>> =>
      updates.update(resource, step, { waitMs: leftMs, ...given });
    const isAway = this.#isAway;
    telemetry.count("trellis_fenced_updates_total", 1, { collection: collection.name });
    return this.#calls.run(callOf(operation, target), () =>
      untilDecided(attempt, { environment, waitMs, signal, isKeyed, isAway }),
    );
  }

  async #read(target: FencedTarget, options: FencedOptions): Promise<Versioned<Json>> {
    const { environment, watch, telemetry } = this.#options;
    const { waitMs = defaultWaitMs, signal } = options;
    const attributes = guardAttributes(telemetry.tracer, watch.name, target.resource);
    const attempt = async (): Promise<Versioned<Json>> => {
      const guarded = await spanned(telemetry, "trellis.read", attributes, () =>
        watch.read(target.resource, signal === undefined ? {} : { signal }),
      );
      const { value } = decodeEnvelope(guarded?.value, target.resource);
      return { value, version: orderOf(guarded, target.resource) };
    };
    const isAway = this.#isAway;
    return this.#calls.run(callOf("read", target), () =>
      untilDecided(attempt, { environment, waitMs, signal, isKeyed: true, isAway }),
    );
  }
}

function checkFunction(given: unknown, call: string): void {
  if (typeof given === "function") return;
  throw new UsageError(`${call} takes a function, not ${typeof given}; nothing was changed`);
}
