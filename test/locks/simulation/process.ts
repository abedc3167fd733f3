/** One process that uses locks in every way at random, and tells the ledger what came of it. */
import {
  ConflictError,
  LeaseLostError,
  LockTimeoutError,
  LockUnavailableError,
  StaleTokenError,
  UnknownOutcomeError,
} from "../../../src/errors.ts";
import { GuardedUpdates } from "../../../src/escalate/guarded-updates.ts";
import type { Guarded, Lease, LockBackend } from "../../../src/escalate/locks.ts";
import { NamedLocks } from "../../../src/escalate/named-locks.ts";
import { ResilientLocks } from "../../../src/escalate/resilience.ts";
import type { Random, VirtualEnvironment } from "../../simulation/virtual-environment.ts";
import { type Ledger, type Told, withName } from "./ledger.ts";

/** Values that are appended to. */
export const lists = ["list a", "list b"] as const;
/** Two numbers whose sum stays. */
export const accounts = ["account a", "account b"] as const;
/** A number that the store adds to. */
export const sum = "sum";
/** What only one may do. */
export const job = "job";

/** How long a store may take to answer. */
export const answerMs = 100;

const numberIn = (guarded: Guarded | undefined): number =>
  Number(new TextDecoder().decode(guarded?.value ?? new Uint8Array(0)));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What an error told its caller of a write. */
function toldBy(error: unknown): Told {
  if (error instanceof UnknownOutcomeError) return "unknown";
  const sure = [
    ConflictError,
    StaleTokenError,
    LockTimeoutError,
    LockUnavailableError,
    LeaseLostError,
  ];
  if (sure.some((Class) => error instanceof Class)) return "refused";
  throw error;
}

/** Lives until it is told to stop, or killed. */
export class Process {
  readonly environment: VirtualEnvironment;
  readonly backend: LockBackend;
  readonly updates: GuardedUpdates;
  readonly locks: NamedLocks;
  isAtRest = false;
  failure: string | undefined;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly #held = new Set<Lease>();
  #ids = 0;
  readonly #name: string;

  constructor(options: {
    readonly name: string;
    readonly environment: VirtualEnvironment;
    /** Of this process alone. */
    readonly locks: LockBackend;
    readonly ledger: Ledger;
    readonly random: Random;
    readonly nowMs: () => number;
  }) {
    const { environment } = options;
    this.#name = options.name;
    this.environment = environment;
    this.#ledger = options.ledger;
    this.#random = options.random;
    this.#nowMs = options.nowMs;
    this.backend = new ResilientLocks(options.locks, environment);
    this.updates = new GuardedUpdates(this.backend, environment);
    this.locks = new NamedLocks(this.backend, environment);
  }

  /** Acts, several things at a time, until `isOver`. */
  async live(isOver: () => boolean): Promise<void> {
    const strand = async (): Promise<void> => {
      while (!isOver()) {
        await this.#sleep(this.#random.next() * 60);
        await this.#act();
      }
    };
    try {
      await Promise.all([strand(), strand(), strand()]);
    } catch (error) {
      this.failure = error instanceof Error ? (error.stack ?? error.message) : "no error";
    }
    this.isAtRest = true;
  }

  async #act(): Promise<void> {
    const { atomicCommits } = this.backend.guarantees;
    const acts = [
      () => this.#section(),
      () => this.#section(),
      () => this.#set(),
      () => this.#update(),
      ...(this.backend.operate ? [() => this.#add()] : []),
      ...(atomicCommits ? [() => this.#transfer(), () => this.#audit()] : []),
      () => this.#job(),
    ];
    await this.#random.pick(acts)();
    for (const lease of this.#held) this.#believe(lease);
  }

  /** Reads under a lease, takes its time, writes, and sometimes forgets to release. */
  async #section(): Promise<void> {
    const resource = this.#random.pick(lists);
    const lease = await this.#acquire(resource);
    if (!lease) return;
    await this.#think(lease);
    const name = this.#ledger.begin(resource, this.#nowMs(), lease.token);
    const value = withName(lease.current?.value, name);
    await this.#tell(name, () => this.backend.commit([{ lease, value }], name));
    await this.#letGo(lease);
  }

  async #set(): Promise<void> {
    const resource = this.#random.pick(lists);
    const startedMs = this.#nowMs();
    const present = await this.backend.read(resource).catch(() => "away" as const);
    if (present === "away") return;
    this.#saw(resource, present, startedMs);
    const name = this.#ledger.begin(resource, this.#nowMs());
    const value = withName(present?.value, name);
    await this.#tell(name, () =>
      this.backend.compareAndSet(resource, present?.version, value, name),
    );
  }

  async #update(): Promise<void> {
    const resource = this.#random.pick(lists);
    const name = this.#ledger.begin(resource, this.#nowMs());
    await this.#tell(name, () =>
      this.updates.update(
        resource,
        (current) => ({ value: withName(current, name), result: name }),
        { waitMs: this.#random.below(1_500), exclusive: this.#random.chance(0.1), ttlMs: 400 },
      ),
    );
  }

  async #add(): Promise<void> {
    this.#ledger.adds();
    try {
      const operated = await this.backend.operate?.(sum, { kind: "add", by: 1n }, this.#id());
      this.#ledger.added(operated?.applied === true ? "applied" : "refused");
    } catch (error) {
      this.#ledger.added(toldBy(error));
    }
  }

  /** Moves money from one to the other: both or neither. */
  async #transfer(): Promise<void> {
    const leases = await this.#acquireBoth();
    if (!leases) return;
    const [from, to] = leases;
    const amount = 1 + this.#random.below(9);
    await this.#think(from);
    try {
      await this.backend.commit(
        [
          { lease: from, value: bytes(`${numberIn(from.current) - amount}`) },
          { lease: to, value: bytes(`${numberIn(to.current) + amount}`) },
        ],
        this.#id(),
      );
      this.#ledger.count("transfers");
    } catch (error) {
      toldBy(error);
    }
    await this.#letGo(from);
    await this.#letGo(to);
  }

  /** Reads both in one section, which a commit of nothing confirms. */
  async #audit(): Promise<void> {
    const leases = await this.#acquireBoth();
    if (!leases) return;
    const [a, b] = leases;
    try {
      await this.backend.commit([{ lease: a }, { lease: b }], this.#id());
      const total = numberIn(a.current) + numberIn(b.current);
      if (total !== 0) this.#ledger.faults.push(`the accounts sum up to ${total}`);
      this.#ledger.count("audits");
    } catch (error) {
      toldBy(error);
    }
    await this.#letGo(a);
    await this.#letGo(b);
  }

  async #job(): Promise<void> {
    const options = { ttlMs: 200 + this.#random.below(300), waitMs: this.#random.below(1_000) };
    try {
      await this.locks.withLock(
        job,
        async (lease) => {
          this.#held.add(lease);
          for (let i = this.#random.below(12); i > 0 && !lease.lost.aborted; i--) {
            this.#believe(lease);
            await this.#sleep(this.#random.next() * 100);
          }
          this.#believe(lease);
          this.#held.delete(lease);
        },
        options,
      );
      this.#ledger.count("jobs");
    } catch (error) {
      toldBy(error);
    }
  }

  async #acquire(resource: string): Promise<Lease | undefined> {
    const ttlMs = 150 + this.#random.below(400);
    const startedMs = this.#nowMs();
    try {
      const lease = await this.backend.acquire(resource, {
        ttlMs,
        waitMs: this.#random.below(800),
      });
      this.#ledger.opened(resource, lease.token, lease.current?.value);
      if (lists.some((list) => list === resource)) this.#saw(resource, lease.current, startedMs);
      this.#held.add(lease);
      return lease;
    } catch (error) {
      toldBy(error);
      return undefined;
    }
  }

  #saw(resource: string, present: Guarded | undefined, startedMs: number): void {
    const sight = { resource, version: present?.version ?? 0n, startedMs, endedMs: this.#nowMs() };
    this.#ledger.saw(sight, present?.value);
  }

  async #acquireBoth(): Promise<readonly [Lease, Lease] | undefined> {
    const [first, second] = accounts;
    const a = await this.#acquire(first);
    if (!a) return undefined;
    const b = await this.#acquire(second);
    if (b) return this.#random.chance(0.5) ? [a, b] : [b, a];
    await this.#letGo(a);
    return undefined;
  }

  /** Sometimes longer than the lease lives, sometimes renewing it. */
  async #think(lease: Lease): Promise<void> {
    for (let i = this.#random.below(5); i > 0; i--) {
      await this.#sleep(this.#random.next() * 150);
      this.#believe(lease);
      if (this.#random.chance(0.5)) await lease.renew().catch(toldBy);
      this.#believe(lease);
    }
  }

  #believe(lease: Lease): void {
    if (!lease.lost.aborted) this.#ledger.believes(lease.resource, lease.token);
  }

  async #letGo(lease: Lease): Promise<void> {
    this.#held.delete(lease);
    if (this.#random.chance(0.2)) return;
    await lease.release().catch(toldBy);
  }

  async #tell(name: string, write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
      this.#ledger.end(name, "applied", this.#nowMs());
    } catch (error) {
      this.#ledger.end(name, toldBy(error), this.#nowMs());
    }
  }

  #id(): string {
    return `${this.#name}-${this.#ids++}`;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.environment.schedule(ms, resolve);
    });
  }
}
