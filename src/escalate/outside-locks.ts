/**
 * Locks for what stands outside Trellis: a report that is made once, a file, a call to another service. Their
 * names are apart from those of guarded values, so that nothing reaches a value but by its collection.
 *
 * Four jobs that locks are taken for, each with what it promises (`docs/locks.md`): fewer duplicates (`advisory`), a job that runs
 * once (`singleton`), ownership of a shard (`own`, `campaign`), and coordination as such (the others).
 */
import { LockTimeoutError, LockUnavailableError, UsageError } from "../errors.ts";
import {
  type CandidateOptions,
  Elections,
  type Leader,
  type Term,
} from "./coordination/election.ts";
import { type Mode, permits, seatingOf } from "./coordination/modes.ts";
import {
  type Owner,
  type Ownership,
  type OwnOptions,
  Ownerships,
} from "./coordination/ownership.ts";
import type { Parts } from "./coordination/parts.ts";
import type { Seat } from "./coordination/seat-list.ts";
import {
  type HeldSeat,
  type Seating,
  type SeatOptions,
  Seats,
  seatsMax,
} from "./coordination/seats.ts";
import {
  type LastRun,
  lastRunOf,
  type Run,
  type Singleton,
  SingletonJob,
  type SingletonOptions,
} from "./coordination/singleton.ts";
import { stripeOf } from "./coordination/stripes.ts";
import type { EscalatedCall, EscalatedCalls } from "./escalated-calls.ts";
import type { Lease } from "./locks.ts";
import type { WithLockOptions } from "./named-locks.ts";

/** Before each name, in the store. */
const prefixes = {
  lock: "lock/",
  advisory: "advisory/",
  singleton: "singleton/",
  own: "own/",
  election: "election/",
  semaphore: "semaphore/",
  shared: "shared/",
  path: "path/",
  stripe: "stripe/",
} as const;

/** What came of an advisory lock. */
export type Advised<T> = { readonly ran: true; readonly value: T } | { readonly ran: false };

/** Who is in, in a shared lock, a semaphore or a level of a hierarchy. */
export type HeldBy = Pick<HeldSeat, "token" | "lost">;

/** Names of a path. */
const levelsMax = 16;

/** `replica.locks`. */
export class OutsideLocks {
  readonly #parts: Parts;
  readonly #calls: EscalatedCalls;
  readonly #seats: Seats;
  readonly #elections: Elections;
  readonly #ownerships: Ownerships;

  constructor(parts: Parts, calls: EscalatedCalls) {
    this.#parts = parts;
    this.#calls = calls;
    this.#seats = new Seats(parts);
    this.#elections = new Elections(parts);
    this.#ownerships = new Ownerships(parts);
  }

  /**
   * Runs `run` while this process holds the lock, which is renewed meanwhile. A lock that is lost all the same
   * tells by `lease.lost`; whatever must not happen twice has to check `lease.token` where it happens.
   * @throws LockTimeoutError surely not granted, and not run; LockUnavailableError not run, but it may be
   * held; LeaseLostError it ran, and another may have run at the same time; UsageError out of order with
   * what the caller holds; OverloadedError, ClosedError; the reason of `signal`; what `run` throws.
   */
  withLock<T>(
    name: string,
    run: (lease: Lease) => T | Promise<T>,
    options?: WithLockOptions,
  ): Promise<T> {
    const resource = prefixes.lock + name;
    return this.#escalated([resource], () => this.#parts.named.withLock(resource, run, options));
  }

  /** The same for several at once, taken in the order that all agree on. The leases come in that of the names. */
  withLocks<T>(
    names: readonly string[],
    run: (leases: readonly Lease[]) => T | Promise<T>,
    options?: WithLockOptions,
  ): Promise<T> {
    const resources = names.map((name) => prefixes.lock + name);
    return this.#escalated(resources, () => this.#parts.named.withLocks(resources, run, options));
  }

  /**
   * Runs `run` unless somebody else is at it: fewer duplicates, and no more than that. It does not wait, it does not renew, so
   * after `ttlMs` another may run as well, and where the store cannot be reached it runs without a lock. One round trip
   * to take, one to give back.
   * @throws what `run` throws; ClosedError.
   */
  async advisory<T>(
    name: string,
    run: () => T | Promise<T>,
    { ttlMs = 10_000 }: { readonly ttlMs?: number } = {},
  ): Promise<Advised<T>> {
    let lease: Lease | undefined;
    try {
      lease = await this.#parts.backend.acquire(prefixes.advisory + name, { ttlMs, waitMs: 0 });
    } catch (error) {
      if (error instanceof LockTimeoutError) return { ran: false };
      if (!(error instanceof LockUnavailableError)) throw error;
    }
    try {
      return { ran: true, value: await run() };
    } finally {
      await lease?.[Symbol.asyncDispose]();
    }
  }

  /**
   * Runs `run` again and again, at one of all processes that ask for it, with `every` between the beginnings. It begins as soon as
   * it is due; what it throws is told to `onError`, and the next run comes when it is due.
   */
  singleton(name: string, run: (run: Run) => unknown, options: SingletonOptions): Singleton {
    if (!(options.every > 0)) throw new UsageError(`every is ${options.every}, not a time in ms`);
    return new SingletonJob(this.#parts, prefixes.singleton + name, run, options);
  }

  /** When a singleton job began last. One round trip. @throws LockUnavailableError */
  async lastRun(name: string): Promise<LastRun | undefined> {
    return lastRunOf((await this.#parts.backend.read(prefixes.singleton + name))?.value);
  }

  /**
   * Makes this process the owner of a resource until it leaves it, dies or is cut off.
   * @throws LockTimeoutError another owns it; LockUnavailableError, UnknownOutcomeError, ClosedError; the reason of `signal`.
   */
  own(name: string, options?: OwnOptions): Promise<Ownership> {
    const resource = prefixes.own + name;
    return this.#escalated([resource], () => this.#ownerships.own(resource, options));
  }

  /** Who owns a resource. One round trip. @throws LockUnavailableError */
  owner(name: string): Promise<Owner | undefined> {
    return this.#ownerships.owner(prefixes.own + name);
  }

  /**
   * Stands for election, and runs `lead` for each term that is won, until `lead` returns within its term.
   * @throws what `lead` throws; LockUnavailableError, ClosedError; the reason of `signal`.
   */
  campaign<T>(
    name: string,
    lead: (term: Term) => T | Promise<T>,
    options?: CandidateOptions,
  ): Promise<T> {
    return this.#elections.campaign(prefixes.election + name, lead, options);
  }

  /** Who leads. One round trip. @throws LockUnavailableError */
  leader(name: string): Promise<Leader | undefined> {
    return this.#elections.leader(prefixes.election + name);
  }

  /**
   * Runs `run` while this process holds one of `count` permits, 1 to 256: never more at a time, also where leases run out. All
   * who use one name give the same count.
   * @throws as `withLock` does.
   */
  withPermit<T>(
    name: string,
    count: number,
    run: (held: HeldBy) => T | Promise<T>,
    options?: SeatOptions,
  ): Promise<T> {
    if (!Number.isSafeInteger(count) || count < 1 || count > seatsMax) {
      throw new UsageError(`${count} is no number of permits: 1 to ${seatsMax} are`);
    }
    return this.#seated(
      [{ resource: prefixes.semaphore + name, seating: permits(count) }],
      run,
      options,
    );
  }

  /** Who holds permits, as was written last: some may have left since. One round trip. */
  permitHolders(name: string): Promise<readonly Seat[]> {
    return this.#seats.list(prefixes.semaphore + name);
  }

  /** Runs `run` beside others that share the lock, and beside nobody who has it alone. @throws as `withLock` does. */
  shared<T>(
    name: string,
    run: (held: HeldBy) => T | Promise<T>,
    options?: SeatOptions,
  ): Promise<T> {
    return this.#moded(prefixes.shared + name, "shared", run, options);
  }

  /** Runs `run` beside nobody that shares the lock or has it alone. @throws as `withLock` does. */
  exclusive<T>(
    name: string,
    run: (held: HeldBy) => T | Promise<T>,
    options?: SeatOptions,
  ): Promise<T> {
    return this.#moded(prefixes.shared + name, "exclusive", run, options);
  }

  /**
   * Runs `run` with a name of a hierarchy, such as `shop/eu/sku-9`, and all below it, shared or alone. Intentions are taken at the
   * names above, from the top. The token is that of the name itself.
   * @throws as `withLock` does.
   */
  withPath<T>(
    path: string,
    mode: "shared" | "exclusive",
    run: (held: HeldBy) => T | Promise<T>,
    options?: SeatOptions,
  ): Promise<T> {
    const names = path.split("/");
    if (names.includes("") || names.length > levelsMax) {
      throw new UsageError(
        `${JSON.stringify(path)} is no path: up to ${levelsMax} names, with / between`,
      );
    }
    const intention: Mode = mode === "shared" ? "intent-shared" : "intent-exclusive";
    const steps = names.map((_, i) => ({
      resource: prefixes.path + names.slice(0, i + 1).join("/"),
      seating: seatingOf(i === names.length - 1 ? mode : intention),
    }));
    return this.#seated(steps, run, options);
  }

  /**
   * As `withLock` for one of many keys, which share `count` locks: so what the store keeps is bounded. Keys of one stripe wait for each
   * other; one who holds a key waits for no other of the same name.
   */
  withStripe<T>(
    name: string,
    key: string,
    run: (lease: Lease) => T | Promise<T>,
    { count = 1_024, ...options }: WithLockOptions & { readonly count?: number } = {},
  ): Promise<T> {
    const resource = `${prefixes.stripe}${name}/${stripeOf(key, count)}`;
    return this.#escalated([resource], () => this.#parts.named.withLock(resource, run, options));
  }

  #moded<T>(
    resource: string,
    mode: Mode,
    run: (held: HeldBy) => T | Promise<T>,
    options?: SeatOptions,
  ): Promise<T> {
    return this.#seated([{ resource, seating: seatingOf(mode) }], run, options);
  }

  #seated<T>(
    steps: readonly { readonly resource: string; readonly seating: Seating }[],
    run: (held: HeldBy) => T | Promise<T>,
    options?: SeatOptions,
  ): Promise<T> {
    const resources = steps.map(({ resource }) => resource);
    return this.#escalated(resources, () => this.#seats.with(steps, run, options));
  }

  #escalated<T>(resources: readonly string[], work: () => Promise<T>): Promise<T> {
    const [resource] = resources;
    const call: EscalatedCall = {
      ...{ operation: "lock", route: "lock", resources: resources.length },
      ...(resource === undefined ? {} : { resource }),
    };
    return this.#calls.run(call, work);
  }
}
