/** Replicas with fenced values over one store in memory, in virtual time; what is between them is the test's. */
import { createHash } from "node:crypto";
import { fencedRegister } from "../../src/crdt/fenced-register.ts";
import { actorIdFromBytes } from "../../src/crdt/dot.ts";
import { uniqueClaims } from "../../src/crdt/unique-claims.ts";
import { VersionVector } from "../../src/crdt/version-vector.ts";
import { lwwRegister } from "../../src/crdt/lww-register.ts";
import type { Environment } from "../../src/environment.ts";
import { FencedRegisterCollection } from "../../src/escalate/collections/fenced-registers.ts";
import { UniqueClaimsCollection } from "../../src/escalate/collections/unique-claims.ts";
import type { Authority } from "../../src/escalate/fence/authority.ts";
import { type GuardRecord, untouched } from "../../src/escalate/fence/guard.ts";
import { GuardTable } from "../../src/escalate/fence/guard-table.ts";
import { Births, birthsOfThisProcess, type BirthMemory } from "../../src/escalate/fenced/births.ts";
import type { Hash } from "../../src/escalate/fenced/call-identity.ts";
import { FencedWatch, sightingsOfOthers } from "../../src/escalate/fenced/fenced-watch.ts";
import { FencedValues } from "../../src/escalate/fenced.ts";
import { GuardedUpdates } from "../../src/escalate/guarded-updates.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import { NamedLocks } from "../../src/escalate/named-locks.ts";
import { ResilientLocks } from "../../src/escalate/resilience.ts";
import { RecentSightings, RollbackWatch } from "../../src/escalate/rollback-watch.ts";
import type { Conflict } from "../../src/store/conflicts.ts";
import { Exchange } from "../../src/store/exchange.ts";
import { Exchanges } from "../../src/store/exchanges.ts";
import { Keyspace } from "../../src/store/keyspace.ts";
import type { Root } from "../../src/store/nodes.ts";
import { silentLogger, silentTelemetry } from "../../src/telemetry.ts";
import { World, type VirtualEnvironment } from "../simulation/virtual-environment.ts";
import { UnreliableAuthority } from "../locks/unreliable-authority.ts";
import { vectorOf } from "../store/dump.ts";

/** What a coupon is. */
export interface Coupon {
  readonly redeemedBy?: string;
  readonly uses: number;
}

const schema = {
  accounts: fencedRegister<number>(),
  coupon: fencedRegister<Coupon>(),
  notes: fencedRegister(),
  brief: fencedRegister<number>({ idempotencyWindowMs: 60_000 }),
  username: uniqueClaims(),
  free: lwwRegister<string>(),
};

export const sha256 = (bytes: Uint8Array): Uint8Array =>
  createHash("sha256").update(bytes).digest();

/** How to make a replica. */
export interface SiteOptions {
  readonly environment: Environment;
  readonly backend: LockBackend;
  /** What is kept from an earlier life. */
  readonly births?: BirthMemory;
  readonly keyspace?: Keyspace;
  readonly hash?: Hash;
}

/** One replica, as `replica.ts` composes it, without links. */
export class Site {
  readonly environment: Environment;
  readonly keyspace: Keyspace;
  readonly exchanges: Exchanges;
  readonly births: BirthMemory;
  readonly resilient: ResilientLocks;
  readonly watch: FencedWatch;
  readonly updates: GuardedUpdates;
  readonly locks: NamedLocks;
  readonly fenced: FencedValues;
  readonly accounts: FencedRegisterCollection<number>;
  readonly coupon: FencedRegisterCollection<Coupon>;
  readonly notes: FencedRegisterCollection;
  readonly brief: FencedRegisterCollection<number>;
  readonly username: UniqueClaimsCollection;
  readonly conflicts: Conflict[] = [];

  constructor({ environment, backend, births, keyspace, hash = sha256 }: SiteOptions) {
    this.environment = environment;
    this.keyspace = keyspace ?? new Keyspace({ schema, environment });
    this.exchanges = new Exchanges(this.keyspace);
    this.births = births ?? birthsOfThisProcess();
    this.resilient = new ResilientLocks(backend, environment);
    const rollbacks = new RollbackWatch(this.resilient, sightingsOfOthers(new RecentSightings()));
    const known = new Births(this.births, environment);
    this.watch = new FencedWatch(rollbacks, { environment, births: known });
    this.updates = new GuardedUpdates(this.watch, environment);
    this.locks = new NamedLocks(this.watch, environment);
    this.fenced = new FencedValues({
      ...{ keyspace: this.keyspace, watch: this.watch, births: known, environment },
      ...{ updates: this.updates, locks: this.locks, hash },
      ...{ logger: silentLogger, telemetry: silentTelemetry },
      onConflict: (conflict) => void this.conflicts.push(conflict),
      isAway: () => this.resilient.status.calls !== "closed",
    });
    const root = (name: string): Root => {
      const found = this.keyspace.nodes.root(name);
      if (!found) throw new Error(`no collection ${name}`);
      return found;
    };
    this.accounts = new FencedRegisterCollection(this.fenced, root("accounts"), schema.accounts);
    this.coupon = new FencedRegisterCollection(this.fenced, root("coupon"), schema.coupon);
    this.notes = new FencedRegisterCollection(this.fenced, root("notes"), schema.notes);
    this.brief = new FencedRegisterCollection(this.fenced, root("brief"), schema.brief);
    this.username = new UniqueClaimsCollection(this.fenced, root("username"));
  }

  /** The vector by actor name, as a hello tells it. */
  vector(): Map<string, number> {
    this.keyspace.flush();
    return new Map(vectorOf(this.keyspace));
  }

  /** The vector that a peer told, in our numbers. */
  translate(vector: ReadonlyMap<string, number>): VersionVector {
    const ours = new VersionVector();
    for (const [name, sequence] of vector) {
      const bytes = Uint8Array.from(Buffer.from(name, "hex"));
      ours.raise(this.keyspace.actors.intern(actorIdFromBytes(bytes)), sequence);
    }
    return ours;
  }
}

/** `into` takes all that `from` has. */
export function join(into: Site, from: Site): void {
  const told = into.vector();
  const sender = new Exchange(from.exchanges, {
    told: from.keyspace.held,
    known: from.translate(told),
  });
  const receiver = new Exchange(into.exchanges, {
    told: into.keyspace.held,
    known: into.translate(from.vector()),
  });
  for (let frame = sender.next(); frame; frame = sender.next()) receiver.receive(frame);
  sender.close();
  receiver.close();
}

/** All of them have what any of them has. */
export function joinAll(sites: readonly Site[]): void {
  for (let round = 0; round < 2; round++) {
    for (const into of sites) for (const from of sites) if (into !== from) join(into, from);
  }
}

const delayMs = 3;
/** How long one answer of the store may take. */
export const answerMs = 50;

/** A store, and replicas one round trip of 3 ms away from it. */
export class Cluster {
  readonly world: World;
  readonly storeEnvironment: VirtualEnvironment;
  readonly table: GuardTable;
  /** What stands in the store, by the names there: to be put back. */
  readonly records = new Map<string, GuardRecord>();
  readonly sites: Site[] = [];

  constructor(seed = 1) {
    this.world = new World(seed);
    this.storeEnvironment = this.world.environment();
    this.table = new GuardTable(this.storeEnvironment, {
      onChange: (resource, record) => void this.records.set(resource, record),
    });
  }

  /** The store, with its delay. */
  get distant(): Authority {
    return distant(this.table, this.storeEnvironment);
  }

  /** Another replica, and the way between it and the store. */
  site(more: Partial<SiteOptions> = {}): Site & { readonly way: UnreliableAuthority } {
    const environment = more.environment ?? this.world.environment();
    const way = new UnreliableAuthority(this.distant);
    const backend = memoryLocks({ store: { authority: way }, environment, answerMs });
    const site = Object.assign(new Site({ environment, backend, ...more }), { way });
    this.sites.push(site);
    return site;
  }

  /** The store has what it had then, and is none the wiser. */
  setBack(records: ReadonlyMap<string, GuardRecord>): void {
    for (const resource of this.records.keys()) {
      const record = records.get(resource) ?? untouched;
      this.table.restore(resource, record);
      this.records.set(resource, record);
    }
  }

  /** What was written, and how often, by the names in the store. */
  get written(): Map<string, readonly [version: bigint, value: Uint8Array | undefined]> {
    const written = [...this.records].filter(([, { version }]) => version > 0n);
    return new Map(written.map(([resource, { version, value }]) => [resource, [version, value]]));
  }

  /** Runs the world until this is settled. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    promise.then(over, over);
    await this.world.settle({ until: () => isOver, forMs: 300_000 });
    if (!isOver) throw new Error("this hangs");
    return promise;
  }
}

function distant(table: Authority, environment: Environment): Authority {
  const slow = <T>(answer: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      answer.then(
        (value) => environment.schedule(delayMs, () => resolve(value)),
        (error: unknown) => environment.schedule(delayMs, () => reject(error)),
      );
    });
  return {
    birth: () => slow(table.birth()),
    open: (request) => slow(table.open(request)),
    turn: (request) => slow(table.turn(request)),
    cancel: (request) => slow(table.cancel(request)),
    renew: (request) => slow(table.renew(request)),
    read: (request) => slow(table.read(request)),
    commit: (request) => slow(table.commit(request)),
    compareAndSet: (request) => slow(table.compareAndSet(request)),
  };
}
