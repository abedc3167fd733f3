/**
 * A whole cluster of real replicas in one process under a seed: random writes on a network that
 * breaks, processes that die and come back empty, then healing, and everything that must hold then.
 */
import { Replica } from "../../src/replica.ts";
import { MemoryNetwork, noFaults } from "../../src/sync/transport/memory.ts";
import type { Transport } from "../../src/sync/transport.ts";
import type { Operation } from "../crdt/specifications.ts";
import { schema, typeCases } from "../crdt/type-cases.ts";
import { Oracle, pairKeys, type SimulatedReplica, vectorOf, vectorText } from "./oracle.ts";
import { type Random, type VirtualEnvironment, World } from "./virtual-environment.ts";

/** After healing all must be alike within this much virtual time, in ms. */
const convergeMsMax = 240_000;
/** Silent peers are remembered no longer than this, in ms; at rest nothing is kept for them. */
const silentMsMax = 30_000;
/** Skew of a clock, in ms: any two stay within the bound of the handshake. */
const skewMsMax = 20_000;

type Environment = VirtualEnvironment & { readonly network: Transport };

/** One place in the cluster; the process in it may be replaced. */
interface Place {
  readonly host: string;
  readonly peers: readonly string[];
  environment: Environment;
  replica: SimulatedReplica;
  isPaused: boolean;
}

const keys = ["k", "__proto__", "key of more than a few bytes", ...pairKeys];
const plainKeys = keys.slice(0, 3);

/** Thrown in transactions on purpose. */
class Undone extends Error {}

/** Runs one seed. @throws whatever does not hold; the message begins with the line that replays it. */
export async function simulate(seed: number): Promise<void> {
  const simulation = new Simulation(seed);
  try {
    await simulation.run();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const trace = simulation.trace.slice(-12).join("\n  ");
    throw new Error(`npm run simulate -- --seed ${seed}\n${reason}\n  ${trace}`, { cause: error });
  }
}

class Simulation {
  readonly trace: string[] = [];
  readonly #world: World;
  readonly #random: Random;
  readonly #network: MemoryNetwork;
  readonly #oracle = new Oracle(keys);
  readonly #places: Place[] = [];
  #values = 0;

  constructor(seed: number) {
    this.#world = new World(seed);
    this.#random = this.#world.random;
    this.#network = new MemoryNetwork(this.#world.environment());
  }

  async run(): Promise<void> {
    const random = this.#random;
    const count = 2 + random.below(4);
    const topology = random.pick(topologies);
    this.#say(`${count} replicas as a ${topology.name}`);
    for (let i = 0; i < count; i++) {
      const host = hostOf(i);
      const peers = topology(i, count).map((peer) => `mem://${hostOf(peer)}`);
      this.#places.push({ host, peers, isPaused: false, ...(await this.#open(host, peers)) });
    }
    const steps = 60 + random.below(61);
    for (let i = 0; i < steps; i++) {
      await this.#step();
      this.#run(this.#drawMs());
      this.#checkStep();
    }
    this.#heal();
    this.#converge();
    for (const { replica, environment } of this.#places) {
      this.#oracle.check(replica, environment);
      this.#oracle.checkCauses(replica);
    }
    this.#rest();
    for (const { environment } of this.#places) environment.stop();
  }

  async #open(
    host: string,
    peers: readonly string[],
  ): Promise<{ environment: Environment; replica: SimulatedReplica }> {
    const random = this.#random;
    const virtual = this.#world.environment({ skewMs: this.#drawSkewMs() });
    const network = this.#network.transport(host, virtual);
    const environment = Object.assign(virtual, { network });
    const isTiny = random.chance(0.3);
    const replica = new Replica(
      {
        schema,
        name: host,
        listen: { port: 0 },
        peers,
        retention: {
          peerSilentMsMax: isTiny ? 1_000 : silentMsMax,
          ...(isTiny ? { logEntriesMax: random.below(4) } : {}),
        },
        environment,
      },
      random.chance(0.2) ? undefined : { touches: 8, bytes: 400 },
    );
    await replica.start();
    this.#oracle.born(replica.status().actor);
    return { environment, replica };
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const place = random.pick(this.#places);
    const draw = random.below(100);
    if (draw < 60) this.#write(place);
    else if (draw < 72) this.#transact(place);
    else if (draw < 75) this.#undo(place);
    else if (draw < 84) this.#break();
    else if (draw < 87) this.#network.heal();
    else if (draw < 91) this.#changeFaults();
    else if (draw < 94) await this.#restart(place);
    else if (draw < 96) this.#stall(place);
    else if (draw < 98) this.#pause(place);
    else this.#stepClock(place);
  }

  /** A few writes in one batch, which is closed at once or at the end of the turn. */
  #write(place: Place): void {
    if (place.isPaused) return;
    const { replica, environment } = place;
    const draft = this.#oracle.draft(replica, environment);
    const count = this.#random.chance(0.1) ? 30 : 1 + this.#random.below(4);
    for (let i = 0; i < count; i++) this.#one(replica, draft);
    this.#oracle.keep(draft);
    this.#say(`${place.host} writes ${count}`);
    if (this.#random.chance(0.5)) replica.version();
  }

  #one(replica: SimulatedReplica, draft: ReturnType<Oracle["draft"]>): void {
    const random = this.#random;
    const { collection, draw, perform } = random.pick(typeCases);
    const key = random.pick(plainKeys);
    const operation = this.#withValue(draw(random));
    this.#oracle.note(draft, collection, key, operation);
    perform(replica.collections, key, operation);
  }

  /** Both counters of the pair in one transaction, with something else between. */
  #transact(place: Place): void {
    if (place.isPaused) return;
    const { replica, environment } = place;
    const draft = this.#oracle.draft(replica, environment);
    const by = 1 + this.#random.below(1_000);
    this.#say(`${place.host} moves the pair by ${by}`);
    replica.transact(() => {
      for (const key of pairKeys) {
        this.#oracle.note(draft, "counters", key, { name: "increment", by });
        replica.collections.counters.increment(key, by);
        for (let i = this.#random.below(12); i > 0; i--) this.#one(replica, draft);
      }
    });
    this.#oracle.keep(draft);
  }

  #undo(place: Place): void {
    if (place.isPaused) return;
    const { replica, environment } = place;
    const draft = this.#oracle.draft(replica, environment);
    const before = replica.version();
    this.#say(`${place.host} undoes a transaction`);
    try {
      replica.transact(() => {
        replica.collections.counters.increment(pairKeys[0], 7);
        for (let i = 0; i < 3; i++) this.#one(replica, draft);
        throw new Undone("on purpose");
      });
    } catch (error) {
      if (!(error instanceof Undone)) throw error;
    }
    if (replica.version() !== before) throw new Error("an undone transaction moved the version");
  }

  /** A value of this run's own, so that a seed alone runs as it did among others. */
  #withValue(operation: Operation): Operation {
    if (operation.name === "in-entry") {
      return { ...operation, inner: this.#withValue(operation.inner) };
    }
    if (operation.name !== "set" && operation.name !== "set-field") return operation;
    const number = this.#values++;
    if (typeof operation.value !== "string") {
      return { ...operation, value: { nested: [number, "é", null] } };
    }
    const padding = this.#random.chance(0.1) ? "x".repeat(this.#random.below(600)) : "";
    return { ...operation, value: `v${number}${padding}` };
  }

  #break(): void {
    const [one, other] = [this.#random.pick(this.#places), this.#random.pick(this.#places)];
    if (one === other) return;
    const kind = this.#random.pick(["cut", "deaf", "half-open"]);
    this.#say(`${one.host} and ${other.host}: ${kind}`);
    if (kind === "cut") return this.#network.cut(one.host, other.host);
    this.#network.silence(one.host, other.host);
    if (kind === "half-open") this.#network.silence(other.host, one.host);
  }

  #changeFaults(): void {
    const random = this.#random;
    const isBad = random.chance(0.6);
    this.#network.faults = isBad
      ? {
          lossRate: random.pick([0, 0.02, 0.1]),
          duplicateRate: random.pick([0, 0.1, 0.3]),
          reorderRate: random.pick([0, 0, 0.05]),
          delayMsMin: 1,
          delayMsMax: random.pick([1, 20, 300]),
        }
      : noFaults;
    this.#say(isBad ? "the network is bad" : "the network is good");
  }

  /** All that only this process held is lost; after a clean close nothing is that a peer could take. */
  async #restart(place: Place): Promise<void> {
    const { host, environment, replica, peers } = place;
    if (!place.isPaused && this.#random.chance(0.4)) {
      this.#say(`${host} closes and begins again`);
      let isClosed = false;
      const closing = replica.close().finally(() => {
        isClosed = true;
      });
      const ended = await this.#world.settle({ forMs: 10_000, until: () => isClosed });
      if (ended !== "until") throw new Error(`${host} does not close`);
      await closing;
    } else {
      this.#say(`${host} is killed and begins again`);
    }
    environment.stop();
    this.#network.kill(host, { quietly: this.#random.chance(0.3) });
    this.#network.resume(host);
    place.isPaused = false;
    this.#run(this.#drawMs());
    Object.assign(place, await this.#open(host, peers));
  }

  #stall({ host }: Place): void {
    this.#say(`${host} reads nothing, or again`);
    if (this.#random.chance(0.5)) this.#network.stall(host);
    else this.#network.resume(host);
  }

  #pause(place: Place): void {
    place.isPaused = !place.isPaused;
    this.#say(`${place.host} ${place.isPaused ? "stands still" : "goes on"}`);
    if (place.isPaused) {
      place.replica.version();
      place.environment.pause();
    } else place.environment.resume();
  }

  #stepClock(place: Place): void {
    if (place.isPaused) return;
    // The open batch takes its stamp from the clock that it was written under.
    place.replica.version();
    place.environment.skewMs = this.#drawSkewMs();
    this.#say(`the clock of ${place.host} is off by ${place.environment.skewMs} ms`);
  }

  /** At every step no transaction shows in part; now and then one replica is looked at closely. */
  #checkStep(): void {
    for (const { replica } of this.#places) this.#oracle.checkPair(replica);
    if (!this.#random.chance(0.15)) return;
    const place = this.#random.pick(this.#places);
    if (place.isPaused) return;
    this.#oracle.check(place.replica, place.environment, [this.#random.pick(typeCases)]);
    this.#oracle.checkCauses(place.replica);
  }

  #heal(): void {
    this.#say("healing");
    this.#network.faults = noFaults;
    this.#network.heal();
    for (const place of this.#places) {
      this.#network.resume(place.host);
      if (place.isPaused) place.environment.resume();
      place.isPaused = false;
    }
  }

  #converge(): void {
    const untilMs = this.#world.nowMs + convergeMsMax;
    for (;;) {
      const vectors = this.#places.map(({ replica }) => vectorText(vectorOf(replica)));
      if (new Set(vectors).size === 1) return;
      if (this.#world.nowMs >= untilMs) throw new Error(`no convergence: ${this.#states()}`);
      this.#run(500);
      for (const { replica } of this.#places) this.#oracle.checkPair(replica);
    }
  }

  /** Nothing but heartbeats, and nothing kept for anybody. */
  #rest(): void {
    // Links that nobody needed to converge may still be made anew.
    this.#run(60_000);
    const before = this.#framesOut();
    this.#run(60_000);
    if (this.#framesOut() !== before) {
      throw new Error(`frames at rest: ${before} and then ${this.#framesOut()}`);
    }
    for (const { host, replica } of this.#places) {
      const { removalsKept } = replica.status();
      if (removalsKept > 0) throw new Error(`${host} keeps ${removalsKept} removals at rest`);
    }
    for (const { replica, environment } of this.#places) this.#oracle.check(replica, environment);
  }

  #framesOut(): string {
    return this.#places
      .map(({ host, replica }) => {
        const frames = replica.status().peers.map(({ framesOut }) => framesOut);
        return `${host} ${frames.join("+")}`;
      })
      .join(", ");
  }

  #states(): string {
    return this.#places
      .map(({ host, replica }) => {
        const peers = replica.status().peers.map(({ name, state, refused, lastEnd }) => {
          return `${name} ${state} ${refused ?? lastEnd ?? ""}`;
        });
        return `${host} {${vectorText(vectorOf(replica))}} [${peers.join("; ")}]`;
      })
      .join(" ");
  }

  #run(forMs: number): void {
    if (this.#world.run({ forMs }) === "turns")
      throw new Error("the cluster does not come to rest");
  }

  #drawMs(): number {
    const random = this.#random;
    return random.below(random.pick([1, 5, 20, 20, 200, 200, 2_000, 20_000]));
  }

  #drawSkewMs(): number {
    return this.#random.below(2 * skewMsMax) - skewMsMax;
  }

  #say(line: string): void {
    this.trace.push(`${this.#world.nowMs.toFixed(0)} ms: ${line}`);
  }
}

const hostOf = (place: number): string => "abcde".charAt(place);

/** Whom the replica at a place dials. */
type Topology = (place: number, count: number) => number[];

const star: Topology = (place) => (place === 0 ? [] : [0]);
const chain: Topology = (place) => (place === 0 ? [] : [place - 1]);
const ring: Topology = (place, count) => [(place + 1) % count];
const mesh: Topology = (place, count) =>
  Array.from({ length: count }, (_, other) => other).filter((other) => other !== place);
const topologies: readonly Topology[] = [star, chain, ring, mesh];
