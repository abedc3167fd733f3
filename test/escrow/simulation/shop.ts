/** One process that sells: a keyspace, the real escrow over the real layers, a way to the store that may be bad. */
import { boundedCounter, type BoundedCounterType } from "../../../src/crdt/bounded-counter.ts";
import { actorIdFromBytes } from "../../../src/crdt/dot.ts";
import { VersionVector } from "../../../src/crdt/version-vector.ts";
import type { BoundedCounterCollection } from "../../../src/escalate/collections/bounded-counters.ts";
import { Escrow } from "../../../src/escalate/escrow.ts";
import type { EscrowStorage } from "../../../src/escalate/escrow/opening.ts";
import type { RecallPeer } from "../../../src/escalate/escrow/recall.ts";
import type { Authority } from "../../../src/escalate/fence/authority.ts";
import { PoolStrategy } from "../../../src/escalate/escrow/pool-strategy.ts";
import { GuardedUpdates } from "../../../src/escalate/guarded-updates.ts";
import type { LockBackend } from "../../../src/escalate/locks.ts";
import { memoryLocks } from "../../../src/escalate/locks/memory.ts";
import { ResilientLocks } from "../../../src/escalate/resilience.ts";
import { RecentSightings, RollbackWatch } from "../../../src/escalate/rollback-watch.ts";
import { Exchange } from "../../../src/store/exchange.ts";
import { Exchanges } from "../../../src/store/exchanges.ts";
import { Keyspace } from "../../../src/store/keyspace.ts";
import { silentLogger, silentTelemetry } from "../../../src/telemetry.ts";
import type { VirtualEnvironment } from "../../simulation/virtual-environment.ts";
import { vectorOf } from "../../store/dump.ts";

/** What is sold: some without an upper bound, some with one. */
export interface Schema {
  readonly [collection: string]: BoundedCounterType;
  readonly stock: BoundedCounterType<undefined>;
  readonly seats: BoundedCounterType<number>;
}

/** So many times a few. */
export const schemaOf = (scale = 1): Schema => ({
  stock: boundedCounter({ min: 0, initial: 60 * scale }),
  seats: boundedCounter({ min: 0, max: 40 * scale, initial: 25 * scale }),
});
export type SchemaName = "stock" | "seats";

const answerMs = 100;

/** What a process is made of. */
export interface ShopOptions {
  readonly name: string;
  readonly environment: VirtualEnvironment;
  readonly authority: Authority;
  readonly schema?: Schema;
}

/** A process. */
export class Shop {
  readonly name: string;
  readonly environment: VirtualEnvironment;
  readonly keyspace: Keyspace;
  readonly exchanges: Exchanges;
  readonly escrow: Escrow;
  readonly updates: GuardedUpdates;
  readonly stock: BoundedCounterCollection<undefined>;
  readonly seats: BoundedCounterCollection<number>;
  readonly warnings: string[] = [];
  isOpen = false;
  /** Guarded updates that were asked for. */
  updatesAsked = 0;
  /** Calls of the backend. */
  calls = 0;
  readonly #peers = new Map<Shop, RecallPeer>();

  constructor({ name, environment, authority, schema: given = schemaOf() }: ShopOptions) {
    this.name = name;
    this.environment = environment;
    this.keyspace = new Keyspace({ schema: given, environment });
    this.exchanges = new Exchanges(this.keyspace);
    const bare = memoryLocks({ store: { authority }, environment, answerMs, prefix: "" });
    const resilient = new ResilientLocks(this.#counted(bare), environment);
    const backend = new RollbackWatch(resilient, new RecentSightings());
    this.updates = new GuardedUpdates(backend, environment, () => new PoolStrategy(environment));
    const update = this.updates.update.bind(this.updates);
    this.updates.update = (...asked) => {
      this.updatesAsked++;
      return update(...asked);
    };
    this.escrow = new Escrow({
      ...{ environment, name, keyspace: this.keyspace, backend, updates: this.updates },
      ...{ logger: silentLogger, telemetry: silentTelemetry },
      onWarning: (message) => this.warnings.push(message),
    });
    const rootOf = (collection: SchemaName) => {
      const root = this.keyspace.nodes.root(collection);
      if (!root) throw new Error(`no collection ${collection}`);
      return root;
    };
    this.stock = this.escrow.collection(rootOf("stock"), given.stock);
    this.seats = this.escrow.collection(rootOf("seats"), given.seats);
  }

  #counted(backend: LockBackend): LockBackend {
    return new Proxy(backend, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name, target);
        if (typeof found !== "function") return found;
        return (...call: unknown[]): unknown => {
          // A lease is released, too.
          this.calls += name === "acquire" ? 2 : 1;
          return Reflect.apply(found, target, call);
        };
      },
    });
  }

  async open(storage?: EscrowStorage): Promise<void> {
    await this.escrow.start(storage);
    this.isOpen = true;
  }

  /** Gives back and ends, as a replica does. */
  async close(): Promise<void> {
    this.isOpen = false;
    await this.escrow.leave();
    this.keyspace.close();
    await this.updates.close();
  }

  get isAlive(): boolean {
    return this.isOpen && !this.environment.isStopped;
  }

  /** Takes all that another has. */
  join(from: Shop): void {
    const translate = (into: Shop, other: Shop): VersionVector => {
      const vector = new VersionVector();
      other.keyspace.flush();
      for (const [actor, sequence] of vectorOf(other.keyspace)) {
        const bytes = Uint8Array.from(Buffer.from(actor, "hex"));
        vector.raise(into.keyspace.actors.intern(actorIdFromBytes(bytes)), sequence);
      }
      return vector;
    };
    const sender = new Exchange(from.exchanges, {
      told: from.keyspace.held,
      known: translate(from, this),
    });
    const receiver = new Exchange(this.exchanges, {
      told: this.keyspace.held,
      known: translate(this, from),
    });
    for (let frame = sender.next(); frame; frame = sender.next()) receiver.receive(frame);
    sender.close();
    receiver.close();
  }

  /** Messages about rights go to `other` while `isUp`. */
  link(other: Shop, isUp: () => boolean): void {
    const peer: RecallPeer = {
      name: other.name,
      send: (bytes) => {
        if (!isUp() || !other.isAlive) return false;
        const copy = Uint8Array.from(bytes);
        other.environment.schedule(2, () => {
          if (other.isAlive) other.escrow.service.received(peer, copy);
        });
        return true;
      },
    };
    this.#peers.set(other, peer);
    this.escrow.service.linked(peer);
  }

  unlink(other: Shop): void {
    const peer = this.#peers.get(other);
    this.#peers.delete(other);
    if (peer) this.escrow.service.unlinked(peer);
  }
}
