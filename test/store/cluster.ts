/**
 * A cluster without a network: keyspaces, and links whose frames wait until the test delivers them.
 *
 * Everything is drawn from one seed. Beside the replicas stands a history of all writes, each with
 * what its replica held when it was made; after every step what a replica shows is compared with
 * what the specifications make of the writes that its vector covers.
 */
import { deepStrictEqual } from "node:assert/strict";
import { defaultClockAheadMsMax } from "../../src/crdt/hybrid-logical-clock.ts";
import { VersionVector } from "../../src/crdt/version-vector.ts";
import { Exchange } from "../../src/store/exchange.ts";
import { type Stage, type StagePoint } from "../../src/store/stage.ts";
import {
  flagComplete,
  flagFirst,
  flagLast,
  flagRenumber,
  type FrameLimits,
} from "../../src/store/frame.ts";
import type { Operation, Write } from "../crdt/specifications.ts";
import { drawCase, mixedCases, type TypeCase } from "../crdt/type-cases.ts";
import { type Random, World } from "../simulation/virtual-environment.ts";
import { assertWhole, dump, dumpWhole, vectorOf } from "./dump.ts";
import { Replica } from "./replica.ts";
import { mixedWeights, type Weights } from "./weights.ts";

/** Thrown inside transactions on purpose. */
export class Undone extends Error {}

interface Hello {
  readonly kind: "hello";
  readonly vector: ReadonlyMap<string, number>;
  readonly stage: StagePoint | undefined;
}
type Message =
  | Hello
  | { readonly kind: "frame"; readonly bytes: Uint8Array }
  | { readonly kind: "acknowledgement" };

/** One side of a link. */
export interface End {
  readonly replica: Replica;
  readonly peer: Replica;
  /** What we told at the start. */
  readonly told: VersionVector;
  readonly stage: Stage | undefined;
  exchange: Exchange | undefined;
  readonly inbox: Message[];
}

/** A link that is up; what is in its inboxes is on the way. */
export interface Link {
  readonly ends: readonly [End, End];
}

/** What a cluster is made of. */
export interface ClusterOptions {
  readonly seed: number;
  readonly replicas?: number;
  /** Only these types are written. */
  readonly cases?: readonly TypeCase[];
  readonly keys?: readonly string[];
  readonly weights?: Weights;
  /** Where frames are cut. */
  readonly limits?: FrameLimits;
  /** Whether every step is checked. Default true. */
  readonly isChecked?: boolean;
}

/** Replicas, links and the history. */
export class Cluster {
  readonly random: Random;
  readonly world: World;
  readonly replicas: Replica[] = [];
  readonly links: Link[] = [];
  readonly writes: Write[] = [];
  /** How often what was tried happened: a run that never cuts a series proves nothing about it. */
  readonly happened = { plain: 0, series: 0, complete: 0, resumed: 0, renumbered: 0 };
  /** What was done, for the message of a failure. */
  readonly trace: string[] = [];
  readonly #cases: readonly TypeCase[];
  readonly #keys: readonly string[];
  readonly #weights: Weights;
  readonly #limits: FrameLimits | undefined;
  readonly #isChecked: boolean;
  readonly #byKey = new Map<string, Write[]>();
  #order = 0;
  #names = 0;

  constructor(options: ClusterOptions) {
    this.world = new World(options.seed);
    this.random = this.world.random;
    this.#cases = options.cases ?? mixedCases;
    this.#keys = options.keys ?? ["k", "__proto__"];
    this.#weights = options.weights ?? mixedWeights;
    this.#limits = options.limits;
    this.#isChecked = options.isChecked ?? true;
    for (let i = 0; i < (options.replicas ?? 3); i++) this.replicas.push(this.#newReplica());
  }

  /** One random step, and the check of all that it touched. */
  step(): void {
    const { random } = this;
    switch (this.#draw()) {
      case "write":
        return this.write(random.pick(this.replicas));
      case "send":
        return this.#withEnd((end) => this.send(end));
      case "deliver":
        return this.#withEnd((end) => this.deliver(end));
      case "connect": {
        const [one, other] = [random.pick(this.replicas), random.pick(this.replicas)];
        if (one !== other && this.linkOf(one, other) === undefined) this.connect(one, other);
        return;
      }
      case "cut":
        if (this.links.length > 0) this.cut(random.pick(this.links));
        return;
      case "forget":
        return this.forget(random.pick(this.replicas), random.chance(0.5));
      case "recreate":
        return this.recreate(random.below(this.replicas.length));
      case "clock":
        return this.#moveClocks();
    }
  }

  /** A few writes in one batch, or in a transaction that may throw. */
  write(replica: Replica): void {
    const { random } = this;
    const count = 1 + random.below(3);
    const isTransaction = random.chance(0.3);
    const throws = isTransaction && random.chance(0.4);
    this.trace.push(`${replica.name} writes ${count}${throws ? ", undone" : ""}`);
    if (isTransaction) {
      replica.keyspace.flush();
      this.#transaction(replica, count, throws);
    } else for (let i = 0; i < count; i++) this.#one(replica);
    if (random.chance(0.5)) replica.keyspace.flush();
    this.check(replica);
  }

  /** Notes a write that a test makes itself; call it just before the write. */
  note(replica: Replica, where: { collection: string; key: string }, operation: Operation): Write {
    const { keyspace } = replica;
    const write: Write = {
      ...where,
      operation,
      actor: keyspace.actor,
      sequence: keyspace.held.at(keyspace.me) + 1,
      order: this.#order++,
      held: new Map(vectorOf(keyspace)),
      stamp: Number.POSITIVE_INFINITY,
    };
    replica.pending.push(write);
    return write;
  }

  /** Puts noted writes into the history. */
  keep(...writes: readonly Write[]): void {
    for (const write of writes) {
      this.writes.push(write);
      const name = `${write.collection}/${write.key}`;
      const known = this.#byKey.get(name);
      if (known) known.push(write);
      else this.#byKey.set(name, [write]);
    }
  }

  linkOf(one: Replica, other: Replica): Link | undefined {
    return this.links.find(({ ends }) => ends.every((end) => [one, other].includes(end.replica)));
  }

  /** A new link: both sides have said hello, neither has heard the other. */
  connect(one: Replica, other: Replica): Link {
    this.trace.push(`${one.name} connects to ${other.name}`);
    const link: Link = { ends: [this.#end(one, other), this.#end(other, one)] };
    const [left, right] = link.ends;
    left.inbox.push(helloOf(right));
    right.inbox.push(helloOf(left));
    this.links.push(link);
    return link;
  }

  /** What is on the way is lost; half-received series stay. */
  cut(link: Link): void {
    const [left, right] = link.ends;
    this.trace.push(`${left.replica.name} - ${right.replica.name} is cut`);
    this.links.splice(this.links.indexOf(link), 1);
    for (const end of link.ends) {
      if (end.exchange === undefined) continue;
      const stage = end.exchange.close();
      if (stage) end.replica.stages.set(end.peer, stage);
      else end.replica.stages.delete(end.peer);
    }
  }

  /** Puts the next frame on the way, if there is one. */
  send(end: End): boolean {
    const bytes = end.exchange?.next();
    if (bytes === undefined) return false;
    this.trace.push(`${end.replica.name} sends to ${end.peer.name}: ${bytes.length} bytes`);
    this.#count(bytes[0] ?? 0);
    this.#other(end).inbox.push({ kind: "frame", bytes });
    return true;
  }

  /** Delivers the oldest message to this end, if there is one. */
  deliver(end: End): boolean {
    const message = end.inbox.shift();
    if (message === undefined) return false;
    if (message.kind === "hello") {
      end.exchange = new Exchange(end.replica.exchanges, {
        told: end.told,
        known: end.replica.translate(message.vector),
        resume: message.stage,
        stage: end.stage,
      });
      if (end.exchange.isCatchingUp) this.happened.resumed++;
      return true;
    }
    if (end.exchange === undefined) throw new Error("assertion: a frame before the hello");
    if (message.kind === "acknowledgement") {
      end.exchange.acknowledge(1);
      return true;
    }
    this.trace.push(`${end.replica.name} receives from ${end.peer.name}`);
    end.exchange.receive(message.bytes);
    this.#other(end).inbox.push({ kind: "acknowledgement" });
    this.check(end.replica);
    return true;
  }

  /** Forgets what the peers of present links have passed, or all. */
  forget(replica: Replica, regardless: boolean): void {
    this.trace.push(`${replica.name} forgets${regardless ? " all" : ""}`);
    replica.keyspace.flush();
    replica.keyspace.forgetting.step(regardless ? [] : this.#passed(replica), 1_000);
    this.check(replica);
  }

  /** The replica is lost, with all that only it had; an empty one takes its place. */
  recreate(index: number): void {
    const lost = this.replicas[index];
    if (lost === undefined) return;
    for (const link of this.links.filter(({ ends }) => ends.some((end) => end.replica === lost))) {
      this.cut(link);
    }
    lost.environment.stop();
    for (const other of this.replicas) {
      const stage = other.stages.get(lost);
      if (stage) Exchange.discard(other.keyspace, stage);
      other.stages.delete(lost);
    }
    this.replicas[index] = this.#newReplica();
    this.trace.push(`${lost.name} is lost, ${this.replicas[index]?.name} is new`);
  }

  /** Links all to all, and delivers everything until nothing is left to say. */
  heal(messagesMax = 20_000): void {
    this.trace.push("healing");
    for (const [i, one] of this.replicas.entries()) {
      for (const other of this.replicas.slice(i + 1)) {
        if (this.linkOf(one, other) === undefined) this.connect(one, other);
      }
    }
    this.settle(messagesMax);
    const [first, ...others] = this.replicas;
    for (const other of others) {
      deepStrictEqual(dump(other.keyspace), first && dump(first.keyspace));
    }
    for (const replica of this.replicas) this.check(replica);
  }

  /** Sends and delivers until nothing is left to say. */
  settle(messagesMax = 20_000): void {
    let messages = 0;
    for (let moved = true; moved;) {
      moved = false;
      for (const end of this.links.flatMap(({ ends }) => ends)) {
        while (this.deliver(end)) moved = true;
        while (this.send(end)) {
          moved = true;
          if (messages++ > messagesMax) throw new Error("the cluster does not come to rest");
        }
      }
    }
  }

  /** Every removal is forgotten once all have passed it. */
  assertForgotten(): void {
    for (const replica of this.replicas) {
      while (replica.keyspace.forgetting.step(this.#passed(replica), 100));
      deepStrictEqual(replica.keyspace.retention.count, 0);
      this.check(replica);
    }
  }

  /** What a replica shows is what the specifications say of the writes that it has seen. */
  check(replica: Replica): void {
    if (!this.#isChecked) return;
    assertWhole(replica.keyspace);
    this.#assertClosed(replica);
    for (const { collection, read, specification, costs } of this.#cases) {
      for (const key of this.#keys) {
        const written = this.#byKey.get(`${collection}/${key}`) ?? [];
        // An empty document is not made only to see that it is.
        if (written.length === 0 && costs !== undefined) continue;
        const history = replica.visible(written);
        const reader = { nowMs: replica.environment.now(), aheadMsMax: defaultClockAheadMsMax };
        deepStrictEqual(read(replica.collections, key), specification(history, reader));
      }
    }
  }

  /** A replica that holds a write holds all that the write had seen. */
  #assertClosed(replica: Replica): void {
    const vector = new Map(vectorOf(replica.keyspace));
    for (const write of this.writes) {
      if (replica.closed.has(write) || (vector.get(write.actor) ?? 0) < write.sequence) continue;
      for (const [actor, sequence] of write.held) {
        if ((vector.get(actor) ?? 0) < sequence) {
          throw new Error(`${replica.name} holds an effect of ${write.actor} without its causes`);
        }
      }
      replica.closed.add(write);
    }
  }

  #one(replica: Replica): void {
    const { random } = this;
    const { collection, draw, perform } = drawCase(random, this.#cases);
    const key = random.pick(this.#keys);
    const operation = draw(random);
    this.keep(this.note(replica, { collection, key }, operation));
    perform(replica.collections, key, operation);
    // A removal that found nothing is no write, and opens no batch.
  }

  #transaction(replica: Replica, count: number, throws: boolean): void {
    const before = throws ? dumpWhole(replica.keyspace) : undefined;
    const noted: Write[] = [];
    try {
      replica.keyspace.transact(() => {
        for (let i = 0; i < count; i++) {
          const { collection, draw, perform } = drawCase(this.random, this.#cases);
          const key = this.random.pick(this.#keys);
          const operation = draw(this.random);
          noted.push(this.note(replica, { collection, key }, operation));
          perform(replica.collections, key, operation);
        }
        if (throws) throw new Undone("on purpose");
      });
      this.keep(...noted);
    } catch (error) {
      if (!(error instanceof Undone)) throw error;
      replica.pending = [];
      deepStrictEqual(dumpWhole(replica.keyspace), before);
    }
  }

  #count(flags: number): void {
    const { happened } = this;
    if ((flags & (flagFirst | flagLast | flagComplete)) === (flagFirst | flagLast))
      happened.plain++;
    else happened.series++;
    if ((flags & flagComplete) !== 0 && (flags & flagFirst) !== 0) happened.complete++;
    if ((flags & flagRenumber) !== 0) happened.renumbered++;
  }

  #passed(replica: Replica): VersionVector[] {
    return this.links
      .flatMap(({ ends }) => ends)
      .filter((end) => end.replica === replica)
      .map((end) => end.exchange?.acknowledged ?? new VersionVector());
  }

  #end(replica: Replica, peer: Replica): End {
    replica.keyspace.flush();
    return {
      replica,
      peer,
      told: replica.keyspace.held.clone(),
      stage: replica.stages.get(peer),
      exchange: undefined,
      inbox: [],
    };
  }

  #other(end: End): End {
    for (const { ends } of this.links) {
      const [left, right] = ends;
      if (left === end) return right;
      if (right === end) return left;
    }
    throw new Error("assertion: an end without a link");
  }

  #withEnd(action: (end: End) => unknown): void {
    if (this.links.length > 0) action(this.random.pick(this.random.pick(this.links).ends));
  }

  /** Clocks go on, and now and then one steps, in either direction, perhaps beyond the bound. */
  #moveClocks(): void {
    const { random } = this;
    this.world.run({ forMs: random.below(5_000) });
    if (random.chance(0.3)) {
      random.pick(this.replicas).environment.skewMs = (random.below(200) - 100) * 1_000;
    }
  }

  #newReplica(): Replica {
    const skewMs = (this.random.below(20) - 10) * 1_000;
    return new Replica(`r${this.#names++}`, this.world.environment({ skewMs }), this.#limits);
  }

  #draw(): keyof Weights {
    const entries = Object.entries(this.#weights) as [keyof Weights, number][];
    let left = this.random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return "write";
  }
}

const helloOf = (end: End): Hello => ({
  kind: "hello",
  vector: new Map(
    [...end.told.entries()].map(([actor, n]) => [end.replica.keyspace.actors.name(actor), n]),
  ),
  stage: end.stage && { series: end.stage.series, frames: end.stage.frames.length },
});
