/**
 * A whole cluster in one process under a seed: random writes on a network that breaks, processes that
 * stop and start, clocks that step; then healing, and everything that must hold at rest.
 */
import { MemoryNetwork, noFaults } from "../../src/sync/transport/memory.ts";
import type { TypeCase } from "../crdt/type-cases.ts";
import type { Dump } from "../store/dump.ts";
import { checkLife, checkReads } from "./checks.ts";
import { StorageError } from "../../src/errors.ts";
import { Chaos } from "./chaos.ts";
import { Sightings } from "./coverage.ts";
import { HostDisk } from "./disk.ts";
import { Promises } from "./promises.ts";
import { History, vectorText } from "./history.ts";
import { Life } from "./life.ts";
import { Mirrors } from "./mirrors.ts";
import { drawPlan, type HostPlan, type Plan } from "./plan.ts";
import { checkRest } from "./rest.ts";
import type { Seams } from "./seams.ts";
import { Sessions } from "./sessions.ts";
import { Traffic } from "./traffic.ts";
import { type Random, World } from "./virtual-environment.ts";

/** What a run did. */
export interface Outcome {
  /** The same for the same seed, to the byte. */
  readonly hash: number;
  readonly plan: Plan;
  readonly sightings: Sightings;
}

/** Of so many clients that waited, one reads everything. */
const readsEvery = 4;
/** Healed links must have made all alike by then, in ms. */
const convergeMsMax = 240_000;
/** Turns in one stretch of time, at most. */
const turnsMax = 300_000;
/** A clean close takes no longer, in ms: a second for peers, and one for connections. */
const openMsMax = 5_000;
const closeMsMax = 2_500;
/** For a disk that is slow, in ms: the write that runs, and the last one. */
const slowCloseMsMax = 5_000;
const hourMs = 3_600_000;

/** How to run a seed. */
export interface SimulateOptions {
  /** Takes a line for everything that happens. */
  readonly log?: (line: string) => void;
  readonly seams?: Seams;
}

/** Runs one seed. @throws Error for whatever does not hold; its first line replays the run. */
export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
  const scenario = new Scenario(seed, options);
  try {
    return await scenario.run();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`npm run simulate -- --seed ${seed}\n  ${reason}`, { cause: error });
  } finally {
    scenario.stop();
  }
}

/** One run. */
export class Scenario {
  readonly world: World;
  readonly network: MemoryNetwork;
  readonly plan: Plan;
  readonly history: History = new History();
  /** Every process there was. */
  readonly lives: Life[] = [];
  /** The process at each host, if there is one. */
  readonly present: Map<string, Life> = new Map();
  readonly mirrors: Mirrors;
  readonly sightings: Sightings = new Sightings();
  /** Connections of machines that went without a word; some of them the network keeps for ever. */
  vanished = 0;
  readonly #random: Random;
  readonly #seams: Seams;
  readonly #log: ((line: string) => void) | undefined;
  readonly #traffic: Traffic;
  readonly #chaos: Chaos;
  readonly #sessions: Sessions;
  readonly #failures: unknown[] = [];
  /** By host; they outlive its processes. */
  readonly #disks = new Map<string, HostDisk>();
  readonly #promises = new Promises();
  /** Processes that say goodbye. */
  readonly #closing = new Set<Life>();
  /** All that run are being closed. */
  isEnding = false;
  #checks = 0;
  #hash = 0x811c9dc5;

  constructor(seed: number, { log, seams = {} }: SimulateOptions) {
    this.world = new World(seed);
    this.#random = this.world.random;
    this.#log = log;
    this.#seams = seams;
    this.plan = drawPlan(this.#random);
    this.network = new MemoryNetwork(this.world.environment());
    for (const { name, isDurable, fsync } of this.plan.hosts) {
      if (isDurable) this.#disks.set(name, new HostDisk(this.#random.fork(), fsync));
    }
    this.#traffic = new Traffic(this.#random, this.plan);
    this.#chaos = new Chaos(this.#random, this.plan, this.network, this.world);
    const { fail, lives, world, sightings } = this;
    const check = (life: Life): void => {
      if (this.#checks++ % readsEvery === 0) this.#look(life);
    };
    const mayRefuse = ({ host }: Life): boolean => this.#disks.get(host.name)?.wasTroubled === true;
    this.#sessions = new Sessions({ lives, world, sightings, seams, check, mayRefuse, fail });
    this.mirrors = new Mirrors({ fail, seams, answer: (life) => this.#traffic.answer(life) });
  }

  /** Processes that can be called. */
  get running(): Life[] {
    return [...this.present.values()].filter(({ isRunning }) => isRunning);
  }

  async run(): Promise<Outcome> {
    const { plan } = this;
    this.say(`${plan.topology} of ${plan.hosts.length}: ${JSON.stringify(plan)}`);
    for (const host of plan.hosts) if (this.#random.chance(0.9)) await this.#open(host);
    for (let step = 0; step < plan.steps; step++) {
      await this.#step(step);
      await this.advance(this.#drawMs());
      this.#sessions.checkEnds();
      if (this.#random.chance(0.06)) this.#look(this.#random.pick(this.running));
    }
    await this.#heal();
    await this.converge();
    await checkRest(this);
    return {
      hash: this.#hash,
      plan,
      sightings: this.sightings,
    };
  }

  /** Nothing of the run goes on. */
  stop(): void {
    for (const { environment } of this.lives) environment.stop();
  }

  /** Something that must not be was found. It is thrown at the next step. */
  readonly fail = (error: unknown): void => {
    this.#failures.push(error);
  };

  /** A line for who replays the run. */
  say(line: string): void {
    this.#log?.(`${this.world.nowMs.toFixed(0).padStart(7)} ms  ${line}`);
  }

  /** Everything that can be said of one process now; what all must agree on is returned. */
  check(life: Life): Dump {
    return checkLife(life, this.history, this.plan);
  }

  /** What a reader can say of it. */
  read(life: Life): void {
    checkReads(life, this.history, this.plan);
  }

  /** The same; sometimes more. */
  #look(life: Life | undefined): void {
    if (life?.isRunning !== true) return;
    if (this.#checks++ % 3 === 0) this.check(life);
    else this.read(life);
  }

  /** Some write of a process, if it can write. */
  write(life: Life, cases?: readonly TypeCase[]): void {
    if (life.isRunning && life.collections)
      this.say(`${life.name} ${this.#traffic.one(life, cases)}`);
  }

  /** Virtual time goes on. After each turn promises do, too. @throws what was found meanwhile. */
  async advance(forMs: number, until?: () => boolean): Promise<boolean> {
    const { world, network } = this;
    const endMs = world.nowMs + forMs;
    for (let turns = 0; turns < turnsMax; turns++) {
      // Enough for a chain of awaits; what takes longer goes on after the next turn.
      for (let hops = this.#hops; hops > 0; hops--) await Promise.resolve();
      this.#mix(world.nowMs * 1_000 + network.messages + network.bytes);
      if (this.#failures.length > 0) throw this.#failures[0];
      if (until?.() === true) return true;
      const ended = world.run({ forMs: Math.max(0, endMs - world.nowMs), turnsMax: 1 });
      if (ended !== "turns") return until?.() === true;
    }
    throw new Error(`more than ${turnsMax} turns within ${forMs} ms`);
  }

  /** A disk is written to, and a process closed, by longer chains. */
  get #hops(): number {
    return this.#disks.size > 0 || this.#closing.size > 0 || this.isEnding ? 64 : 3;
  }

  async #step(step: number): Promise<void> {
    const { plan } = this;
    const random = this.#random;
    const host = random.pick(plan.hosts);
    const life = this.present.get(host.name);
    if (life === undefined) {
      if (random.chance(0.5)) await this.#open(host);
      return;
    }
    if (plan.burstSteps.includes(step)) return this.#burst();
    const draw = random.below(100);
    if (draw < 60) this.#act(life, draw);
    else if (draw < 67) this.say(this.#chaos.breakLink());
    else if (draw < 74) this.#mend();
    else if (draw < 81) this.say(this.#chaos.changeWeather());
    else if (draw < 85) this.say(this.#chaos.stall(host.name));
    else if (draw < 88) this.#pause(life);
    else if (draw < 92) this.say(this.#chaos.stepClock(life));
    else if (draw < 94) this.#kill(life);
    else if (draw < 95) this.#close(life);
    else if (draw < 98) this.#trouble(life);
    else this.#act(life, 50);
  }

  /** Something that a process does itself. */
  #act(life: Life, draw: number): void {
    if (!life.isRunning) return;
    if (draw >= 50 || life.collections === undefined) this.#session(life);
    else if (draw < 32) this.say(`${life.name} ${this.#traffic.write(life)}`);
    else this.#transact(life);
    // Else the batch stays open until the turn ends, or something comes in.
    if (this.#random.chance(0.4)) life.replica.version();
  }

  #transact(life: Life): void {
    const isUndone = this.#random.chance(0.25);
    this.say(`${life.name} ${this.#traffic.transact(life, isUndone)}`);
    if (isUndone) this.sightings.saw("undone transactions");
  }

  #session(life: Life): void {
    const random = this.#random;
    const timeoutMs = random.pick([0, 50, 1_000, 30_000]);
    const others = this.running.filter((other) => other !== life);
    if (this.#disks.has(life.host.name) && random.chance(0.4)) {
      const { name } = life.host;
      this.#sessions.keep(life, timeoutMs, (vector) => this.#promises.keep(name, vector));
    } else if (others.length > 0 && random.chance(0.7)) {
      this.#sessions.follow(life, random.pick(others), timeoutMs);
    } else {
      this.#sessions.spread(life, random.pick([1, 1, 2, "majority", "all"]), timeoutMs);
    }
  }

  /** Something becomes of its disk; some stand still while it is slow. */
  #trouble(life: Life): void {
    const disk = this.#disks.get(life.host.name);
    if (disk === undefined) return;
    this.say(`the disk of ${life.name} ${disk.trouble()}`);
    if (disk.isFull) this.sightings.saw("full disks");
    if (!disk.isSlow) return;
    this.sightings.saw("slow disks");
    if (!life.isRunning || this.#random.chance(0.6)) return;
    life.replica.version();
    this.#pause(life);
    this.sightings.saw("slow disks of who stands still");
  }

  #burst(): void {
    const writers = this.running.filter(({ collections }) => collections !== undefined);
    if (writers.length === 0) return;
    const life = this.#random.pick(writers);
    this.say(`${life.name} ${this.#traffic.burst(life)}`);
    this.sightings.saw("bursts");
  }

  #mend(): void {
    this.network.heal();
    this.say("all links are mended");
  }

  #pause(life: Life): void {
    if (life.isRunning || life.state === "paused") this.say(this.#chaos.pause(life));
  }

  async #open(host: HostPlan): Promise<void> {
    const generation = this.lives.filter((life) => life.host === host).length + 1;
    const isLate = generation > 1 && this.#disks.has(host.name) && this.#random.chance(0.15);
    if (isLate) this.sightings.saw("clocks an hour back");
    const environment = this.world.environment({
      skewMs: isLate ? -hourMs : this.#chaos.drawSkewMs(0.5),
    });
    const { plan, network, history, sightings, fail } = this;
    const name = `${host.name}${generation}`;
    const common = { plan, network, history, sightings, fail, seams: this.#seams };
    const say = (line: string): void => this.say(line);
    const onSeries = (from: string): void => this.#chaos.interrupt(host.name, from, say);
    const disk = this.#disks.get(host.name);
    const life = await this.#meanwhile(
      Life.open({ ...common, name, host, environment, onSeries, disk }),
    );
    if (generation > 1) sightings.saw("restarts");
    if (life.vector.size > 0) sightings.saw("restarts from a disk");
    const before = this.lives.findLast((other) => other.host === host);
    if (disk && this.#promises.check(life, before)) sightings.saw("writes that a crash lost");
    if (host.isRelay) sightings.saw("relays");
    if (this.lives.some(({ keyspace }) => keyspace.actor === life.keyspace.actor)) {
      throw new Error(`${life.keyspace.actor} lives twice`);
    }
    this.lives.push(life);
    this.present.set(host.name, life);
    this.mirrors.watch(life);
    this.say(`${name} begins as ${life.keyspace.actor.slice(0, 8)}`);
  }

  /** What a process does before it can be called, while the others go on. */
  async #meanwhile<T>(promise: Promise<T>): Promise<T> {
    const opening = { isDone: false };
    const done = promise.finally(() => {
      opening.isDone = true;
    });
    done.catch(this.fail);
    for (let ms = 0; !opening.isDone && ms < openMsMax; ms++) {
      // Opening is a longer chain of awaits than `advance` waits for.
      for (let hops = 0; hops < 64; hops++) await Promise.resolve();
      if (!opening.isDone) await this.advance(1);
    }
    if (!opening.isDone) throw new Error(`a process does not open in ${openMsMax} ms`);
    return done;
  }

  /** The process is gone, with all that it had not passed on. */
  #kill(life: Life): void {
    const quietly = this.#random.chance(0.4);
    this.say(`${life.name} is killed${quietly ? ", and nobody is told" : ""}`);
    this.#end(life, quietly);
  }

  #end(life: Life, quietly: boolean): void {
    life.state = "over";
    life.environment.stop();
    this.#closing.delete(life);
    if (quietly) this.vanished += this.network.connections;
    this.network.kill(life.host.name, { quietly });
    this.network.resume(life.host.name);
    this.present.delete(life.host.name);
    this.#disks.get(life.host.name)?.crash();
    this.#promises.end(life);
  }

  /** Says goodbye. Where the network is good, what it had is with somebody else afterwards. */
  #close(life: Life): void {
    if (!life.isRunning) return;
    this.say(`${life.name} closes`);
    life.replica.version();
    life.state = "closing";
    this.#closing.add(life);
    const startMs = this.world.nowMs;
    const closed = async (): Promise<void> => {
      const disk = this.#disks.get(life.host.name);
      await life.replica.close().catch((error: unknown) => {
        if (!(error instanceof StorageError) || disk?.wasTroubled !== true) throw error;
      });
      this.say(`${life.name} is closed`);
      const tookMs = this.world.nowMs - startMs;
      const mostMs = closeMsMax + (disk?.wasTroubled === true ? slowCloseMsMax : 0);
      if (tookMs > mostMs) throw new Error(`${life.name} took ${tookMs} ms to close`);
      this.#end(life, false);
    };
    closed().catch(this.fail);
  }

  async #heal(): Promise<void> {
    const { network } = this;
    if (this.running.some(({ replica }) => replica.status().removalsKept > 0)) {
      this.sightings.saw("removals kept");
    }
    this.say("everything is mended");
    this.#chaos.end();
    for (const disk of this.#disks.values()) disk.mend();
    network.faults = noFaults;
    network.heal();
    for (const { name } of this.plan.hosts) network.resume(name);
    await this.advance(closeMsMax + slowCloseMsMax, () => this.#closing.size === 0);
    if (this.#closing.size > 0) throw new Error(`${this.#closing.size} processes do not close`);
    for (const host of this.plan.hosts) if (!this.present.has(host.name)) await this.#open(host);
    for (const life of this.present.values()) {
      if (life.state === "paused") this.say(this.#chaos.pause(life));
      life.environment.skewMs = this.#chaos.drawSkewMs(0.5);
    }
  }

  /** All get to hold the same. @throws Error if they do not in time. */
  async converge(): Promise<void> {
    const isAlike = (): boolean => {
      const vectors = this.running.map(({ replica, vector }) => {
        replica.version();
        return vectorText(vector);
      });
      return new Set(vectors).size === 1;
    };
    for (let waitedMs = 0; waitedMs < convergeMsMax; waitedMs += 200) {
      if (isAlike()) return this.say("all are alike");
      await this.advance(200);
    }
    const states = this.running.map(({ name, vector, replica }) => {
      const peers = replica.status().peers.map((peer) => {
        return `${peer.name} ${peer.state} ${peer.refused ?? peer.lastEnd ?? ""}`;
      });
      return `${name} {${vectorText(vector)}} [${peers.join("; ")}]`;
    });
    throw new Error(`no convergence within ${convergeMsMax} ms: ${states.join(" ")}`);
  }

  #drawMs(): number {
    const random = this.#random;
    return random.next() * random.pick([0, 0, 2, 20, 20, 100, 100, 600, 3_000, 20_000]);
  }

  /** FNV-1a, a word at a time. */
  #mix(word: number): void {
    this.#hash = Math.imul(this.#hash ^ (word >>> 0), 0x01000193) >>> 0;
  }
}
