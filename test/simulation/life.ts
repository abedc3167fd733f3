/**
 * One process of a cluster, from its opening to its end: a real replica with its writers and readers,
 * watched at every flush and every join.
 */
import { noCell } from "../../src/crdt/cells.ts";
import type { Environment } from "../../src/environment.ts";
import { counter, orSet } from "../../src/crdt/index.ts";
import { stampsPerMs } from "../../src/crdt/hybrid-logical-clock.ts";
import { openReplica, Replica } from "../../src/replica.ts";
import type { ReplicaOptions } from "../../src/replica-options.ts";
import type { FreeCollections } from "../../src/store/collections/types.ts";
import type { Keyspace } from "../../src/store/keyspace.ts";
import type { Schema } from "../../src/store/schema.ts";
import type { Transport } from "../../src/sync/transport.ts";
import type { MemoryNetwork } from "../../src/sync/transport/memory.ts";
import { type Labels, silentTelemetry } from "../../src/telemetry.ts";
import type { Operation, Write } from "../crdt/specifications.ts";
import { schema as ofEachType, type TypeCase } from "../crdt/type-cases.ts";
import { vectorOf } from "../store/dump.ts";
import type { Sight, Sightings } from "./coverage.ts";
import { covers, type History, type Vector, vectorText } from "./history.ts";
import { watchfulLogger } from "./logs.ts";
import type { HostPlan, Plan } from "./plan.ts";
import { keyspaceOf } from "./keyspace-of.ts";
import type { Seams } from "./seams.ts";
import type { VirtualEnvironment } from "./virtual-environment.ts";
import { tapped } from "./wiretap.ts";

/** All types, two pairs that only transactions move, and counters for bursts. */
export const schema = {
  ...ofEachType,
  left: counter(),
  right: counter(),
  here: orSet(),
  there: orSet(),
  bulk: counter(),
};

/** The collections of a life that is no relay. */
export type LifeCollections = FreeCollections<typeof schema>;

/** Thrown inside transactions on purpose. */
export class Undone extends Error {}

/** The disk of a host, as one process has it. */
export interface LifeDisk {
  /** Whether anything ever went wrong with it. */
  readonly wasTroubled: boolean;
  backend(environment: VirtualEnvironment): NonNullable<ReplicaOptions<Schema>["storage"]>;
}

/** What a life is made of. */
export interface LifeOptions {
  readonly name: string;
  readonly host: HostPlan;
  readonly plan: Plan;
  readonly environment: VirtualEnvironment;
  readonly network: MemoryNetwork;
  readonly history: History;
  readonly sightings: Sightings;
  readonly seams: Seams;
  /** Absent: it has none. */
  readonly disk: LifeDisk | undefined;
  /** A catch-up of several frames begins to come in from that host. */
  readonly onSeries: (from: string) => void;
  /** Something that must not be, found outside the scenario's own turn. */
  readonly fail: (error: unknown) => void;
}

/** Whether a process runs, stands still, says goodbye, or is gone. */
export type LifeState = "running" | "paused" | "closing" | "over";

/** One process. */
export class Life {
  readonly name: string;
  readonly host: HostPlan;
  readonly environment: VirtualEnvironment;
  readonly replica: Replica<Schema>;
  readonly keyspace: Keyspace;
  /** Undefined for a relay. */
  readonly collections: LifeCollections | undefined;
  readonly #plan: Plan;
  readonly #history: History;
  readonly #seams: Seams;
  readonly #fail: (error: unknown) => void;
  state: LifeState = "running";
  /** How often it stood still. */
  pauses = 0;
  /** Writes of the open batch, and some that had no effect. */
  #pending: Write[] = [];
  #vector: Vector | undefined;
  #before: Vector = new Map();
  #lastStamp = 0;
  /** Stamps that came beyond the bound: the clock need not be ahead of them. */
  readonly #held = new Set<number>();
  #heldAtFirst = 0;
  /** Warnings that it gave. */
  warnings = 0;

  /** Opens a replica at its host's address. */
  static async open(options: LifeOptions): Promise<Life> {
    const { host, plan, environment, name, fail, sightings, onSeries, disk } = options;
    const common = {
      name,
      ...(disk ? { storage: disk.backend(environment) } : {}),
      listen: { port: 0 },
      peers: host.dials.map((peer) => `mem://${peer}`),
      clockAheadMsMax: plan.clockAheadMsMax,
      retention: { logEntriesMax: plan.logEntriesMax, peerSilentMsMax: plan.peerSilentMsMax },
      logger: watchfulLogger(name, fail, () => {
        sightings.saw("disks that refuse");
        return disk?.wasTroubled === true;
      }),
      telemetry: {
        ...silentTelemetry,
        count: (figure: string, _: number | undefined, labels: Labels = {}) => {
          const sight = figures.get(figure) ?? ends.get(labels["code"] ?? "");
          if (sight) sightings.saw(sight);
        },
      },
      environment: {
        ...outsideOf(options),
        network: tapped(networkOf(options), {
          name,
          now: environment.now,
          skewMsMax: plan.clockAheadMsMax,
          sightings,
          onSeries,
          fail,
        }),
      },
    };
    if (host.isRelay) {
      return new Life(options, await opened({ ...common, schema: {} }, host), undefined);
    }
    const replica = await opened({ ...common, schema }, host);
    return new Life(options, replica, replica.collections);
  }

  private constructor(
    options: LifeOptions,
    replica: Replica<Schema>,
    collections: LifeCollections | undefined,
  ) {
    this.name = options.name;
    this.host = options.host;
    this.environment = options.environment;
    this.replica = replica;
    this.collections = collections;
    this.keyspace = keyspaceOf(replica);
    this.#lastStamp = this.keyspace.clock.last;
    this.#noteHeld();
    this.#plan = options.plan;
    this.#history = options.history;
    this.#seams = options.seams;
    this.#fail = options.fail;
    this.replica.on("warning", () => this.warnings++);
    this.keyspace.listeners.add({
      flushed: () => this.#guarded(() => this.#flushed()),
      joined: (nodes) => this.#guarded(() => this.#joined(nodes)),
    });
  }

  /** What it holds, by the names of actors. */
  get vector(): Vector {
    this.#vector ??= new Map(vectorOf(this.keyspace));
    return this.#vector;
  }

  /** Whether calls can be made: it is open, and not standing still. */
  get isRunning(): boolean {
    return this.state === "running";
  }

  /** Whether the write is visible here. */
  readonly sees = (write: Write): boolean =>
    (this.vector.get(write.actor) ?? 0) >= write.sequence ||
    (write.actor === this.keyspace.actor && this.#pending.includes(write));

  /** Notes a write and makes it. */
  write({ collection, perform }: TypeCase, key: string, operation: Operation): void {
    if (this.collections === undefined) throw new Error("assertion: a relay does not write");
    const { collections } = this;
    this.#history.keep(this.#draft({ collection, key }, operation));
    this.#perform(() => perform(collections, key, operation));
  }

  #perform(perform: () => void): void {
    if (this.#seams.perform) this.#seams.perform(perform);
    else perform();
  }

  #transact(writes: () => void): void {
    const transact = (inside: () => void): void => this.replica.transact(inside);
    if (this.#seams.transact) this.#seams.transact(transact, writes);
    else transact(writes);
  }

  /** What is read of a key. */
  shown({ collection, read }: TypeCase, key: string): unknown {
    if (this.collections === undefined) throw new Error("assertion: a relay is not read");
    const shown = read(this.collections, key);
    return this.#seams.shown ? this.#seams.shown(collection, shown) : shown;
  }

  /** Stamps that are ahead of its clock, or were: it had not accepted them. */
  get held(): ReadonlySet<number> {
    return this.#held;
  }

  /** Stamps that came from beyond the bound. */
  get heldStamps(): number {
    return this.#held.size - this.#heldAtFirst;
  }

  /** Counts `count` keys of the bulk collection once each, in the open batch. */
  burst(first: number, count: number): void {
    const { bulk } = this.collections ?? {};
    const { actor, held, me } = this.keyspace;
    const sequence = held.at(me) + 1;
    for (let key = first; key < first + count; key++) {
      this.#history.book(`bulk/${key}`, { actor, sequence, by: 1 });
      bulk?.increment(String(key));
    }
  }

  /** Makes writes in one transaction; `isUndone` throws at its end, and nothing may remain. */
  transact(
    writes: readonly {
      readonly of: TypeCase;
      readonly key: string;
      readonly operation: Operation;
    }[],
    isUndone: boolean,
  ): void {
    const { collections } = this;
    if (collections === undefined) throw new Error("assertion: a relay does not write");
    const drafts: Write[] = [];
    try {
      this.#transact(() => {
        for (const { of, key, operation } of writes) {
          drafts.push(this.#draft({ collection: of.collection, key }, operation));
          this.#perform(() => of.perform(collections, key, operation));
        }
        if (isUndone) throw new Undone("on purpose");
        for (const write of drafts) this.#history.keep(write);
      });
    } catch (error) {
      if (!(error instanceof Undone)) throw error;
      this.#pending = this.#pending.filter((write) => !drafts.includes(write));
      // A stamp that was taken for it is not given again.
      this.#lastStamp = this.keyspace.clock.last;
    }
  }

  /** No transaction shows in part. */
  checkWhole(): void {
    const { collections } = this;
    const { isClosed, isTransacting } = this.keyspace;
    if (collections === undefined || isClosed || isTransacting) return;
    for (const key of pairKeys) {
      const [left, right] = [collections.left.value(key), collections.right.value(key)];
      if (left !== right) throw new Error(`half a transaction shows: ${key} ${left}, ${right}`);
      const { here, there } = collections;
      const isWhole =
        here.size(key) === there.size(key) &&
        here.values(key).every((element) => there.has(key, element));
      if (isWhole) continue;
      const shown = `[${here.values(key).join()}], [${there.values(key).join()}]`;
      throw new Error(`half a transaction shows: ${key} ${shown}`);
    }
  }

  #draft(
    where: { readonly collection: string; readonly key: string },
    operation: Operation,
  ): Write {
    const { actor, held, me } = this.keyspace;
    const at = { actor, sequence: held.at(me) + 1, held: this.vector };
    const write = this.#history.draft(at, where, operation);
    this.#pending.push(write);
    return write;
  }

  #flushed(): void {
    const { actor, held, me, clock } = this.keyspace;
    const sequence = held.at(me);
    this.#vector = undefined;
    const writes = this.#pending;
    this.#pending = [];
    for (const write of writes) {
      write.stamp = clock.last;
      if (write.actor === actor && write.sequence === sequence) continue;
      throw new Error(`${actor}:${sequence} carries writes of ${write.actor}:${write.sequence}`);
    }
    if (clock.last < this.#lastStamp) throw new Error(`the clock of ${this.name} goes back`);
    this.#lastStamp = clock.last;
    this.#history.close({ actor, sequence, held: this.vector, stamp: clock.last, writes });
    this.#moved();
  }

  #joined(nodes: readonly number[]): void {
    this.#vector = undefined;
    this.#checkClock(nodes);
    this.#moved();
  }

  /** The vector only grows, by batches that somebody made, none without its causes. */
  #moved(): void {
    const [before, now] = [this.#before, this.vector];
    this.#before = now;
    if (!covers(now, before)) throw new Error(`${vectorText(before)} fell to ${vectorText(now)}`);
    for (const [actor, sequence] of now) {
      const known = before.get(actor) ?? 0;
      // Of one actor's batches, the last has seen all that those before had.
      if (sequence === known) continue;
      const { held } = this.#history.batch(actor, sequence);
      if (covers(now, held)) continue;
      throw new Error(`${actor}:${sequence} is held without its causes: ${vectorText(held)}`);
    }
    this.checkWhole();
  }

  /** Stamps that were on the disk and too far ahead when it was read. */
  #noteHeld(): void {
    const { cells, clock, nodes } = this.keyspace;
    for (let node = 0; node < nodes.limit; node++) {
      if (!nodes.isUsed(node) || nodes.payload(node) !== "stamped") continue;
      for (const cell of cells.cellsOf(node)) {
        if (cells.value(cell) > clock.last) this.#held.add(cells.value(cell));
      }
    }
    this.#heldAtFirst = this.#held.size;
  }

  /** What came in is behind the next local stamp, or was too far ahead to be. */
  #checkClock(nodes: readonly number[]): void {
    const { keyspace, environment } = this;
    const { cells, clock } = keyspace;
    const horizon = (environment.now() + this.#plan.clockAheadMsMax) * stampsPerMs;
    for (const node of nodes) {
      if (!keyspace.nodes.isUsed(node) || keyspace.nodes.payload(node) !== "stamped") continue;
      for (let cell = keyspace.nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
        const stamp = cells.value(cell);
        if (!cells.isLive(cell) || stamp <= clock.last || this.#held.has(stamp)) continue;
        if (stamp <= horizon) throw new Error(`the clock has not heard of stamp ${stamp}`);
        this.#held.add(stamp);
      }
    }
    if (clock.last < this.#lastStamp) throw new Error(`the clock of ${this.name} goes back`);
    if (clock.last > Math.max(this.#lastStamp, horizon)) {
      throw new Error(`the clock of ${this.name} follows stamp ${clock.last} beyond the bound`);
    }
    this.#lastStamp = clock.last;
  }

  /** What is wrong in a listener must not end in somebody's `catch`. */
  #guarded(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#fail(
        new Error(`${this.name}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        }),
      );
    }
  }
}

/** Figures that tell of a sight. */
const figures: ReadonlyMap<string, Sight> = new Map([
  ["trellis_stamps_held_total", "held stamps"],
  ["trellis_lww_losers_total", "conflicts"],
]);

/** Ends of links that do. */
const ends: ReadonlyMap<string, Sight> = new Map([
  ["silent", "silent links"],
  ["stalled", "stalled links"],
  ["duplicate", "crossing links"],
  ["protocol", "gaps"],
]);

const networkOf = ({ network, host, environment, seams }: LifeOptions): Transport => {
  const transport = network.transport(host.name, environment);
  return seams.transport?.(transport, host.name) ?? transport;
};

/** The world as the replica sees it. */
function outsideOf({ environment, host, seams }: LifeOptions): Environment {
  const outside: Environment = {
    now: environment.now,
    monotonic: environment.monotonic,
    schedule: (delayMs, task) => environment.schedule(delayMs, task),
    defer: (task) => environment.defer(task),
    randomBytes: (count) => environment.randomBytes(count),
  };
  return seams.environment?.(outside, host.name) ?? outside;
}

/** Keys of the pairs. */
export const pairKeys = ["p", "q"] as const;

/** As a service opens it, unless the frames are to be smaller. */
async function opened<S extends Schema>(
  options: ReplicaOptions<S>,
  { limits }: HostPlan,
): Promise<Replica<S>> {
  if (limits === undefined) return openReplica<S>(options);
  const replica = new Replica<S>(options, limits);
  await replica.start();
  return replica;
}
