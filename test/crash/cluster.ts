/**
 * A small cluster of durable replicas in virtual time, under a seed, in which a replica crashes at one
 * point: at a step of a durable write, or at a message that it sends. It is started again on what its
 * disk kept, sometimes crashes once more, and all must come to hold the same; nothing that was
 * acknowledged may be missing, nothing may count twice, and what was found on a disk was the state at
 * one moment. With no point to crash at, a run counts them.
 */
import { ClosedError, WaitTimeoutError } from "../../src/errors.ts";
import type { FsyncPolicy } from "../../src/store/journal.ts";
import { MemoryNetwork } from "../../src/sync/transport/memory.ts";
import { crashKinds } from "../storage/cached-file.ts";
import { LogDisk, type LogDiskOptions } from "../storage/log-disk.ts";
import { checkLife } from "../simulation/checks.ts";
import { Sightings } from "../simulation/coverage.ts";
import { covers, History, type Vector, vectorText } from "../simulation/history.ts";
import { Life } from "../simulation/life.ts";
import { hostName, type HostPlan, type Plan } from "../simulation/plan.ts";
import type { Seams } from "../simulation/seams.ts";
import { Traffic } from "../simulation/traffic.ts";
import { Random, World } from "../simulation/virtual-environment.ts";
import { Host, type Tamper } from "./host.ts";
import { type Point, pointed, Points } from "./points.ts";

/** Changes a run so that its checks must fail. */
export interface Sabotage {
  readonly tamper?: Tamper;
  readonly lies?: LogDiskOptions["lies"];
  readonly environment?: Seams["environment"];
}

/** What a run came across. */
export interface CrashOutcome {
  /** Points that there were. */
  readonly points: number;
  /** Where it crashed, in order; empty if the run was over before. */
  readonly crashes: readonly Point[];
  /** What was acknowledged, and so was looked for. */
  readonly promises: number;
}

/** How to run. */
export interface CrashOptions {
  /** Where to crash, from 1 on; absent: nowhere. */
  readonly point?: number | undefined;
  readonly sabotage?: Sabotage | undefined;
  readonly log?: ((line: string) => void) | undefined;
}

const steps = 14;
const convergeMsMax = 240_000;
const openMsMax = 10_000;
/** Longer than the word of a crash needs to get around, in ms. */
const awayMsMin = 20;
const waitMs = 30_000;

/** Runs a seed. @throws Error for whatever does not hold; its first line replays the run. */
export async function crashRun(seed: number, options: CrashOptions = {}): Promise<CrashOutcome> {
  const cluster = new Cluster(seed, options);
  try {
    return await cluster.run();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const at = options.point === undefined ? "" : ` --point ${options.point}`;
    throw new Error(`npm run crash -- --seed ${seed}${at}\n  ${reason}`, { cause: error });
  } finally {
    cluster.stop();
  }
}

class Cluster {
  readonly #options: CrashOptions;
  readonly #world: World;
  readonly #random: Random;
  /** Of the crash: what it draws does not disturb the others. */
  readonly #fate: Random;
  readonly #network: MemoryNetwork;
  readonly #plan: Plan;
  readonly #hosts: readonly Host[];
  readonly #history = new History();
  readonly #sightings = new Sightings();
  readonly #traffic: Traffic;
  readonly #points: Points;
  readonly #crashes: Point[] = [];
  readonly #failures: unknown[] = [];
  /** What more than one disk has, somebody was told. */
  readonly #spread: Vector[] = [];
  #promises = 0;
  /** All machines crash together. */
  readonly #isOutage: boolean;

  constructor(seed: number, options: CrashOptions) {
    this.#options = options;
    const { point = 0 } = options;
    this.#world = new World(seed);
    this.#random = this.#world.random;
    this.#fate = new Random(seed * 2 ** 20 + point);
    this.#isOutage = this.#fate.chance(0.25);
    this.#network = new MemoryNetwork(this.#world.environment());
    this.#plan = drawPlan(this.#random);
    this.#points = new Points(point === 0 ? undefined : point, (host, at) => this.#crash(host, at));
    this.#hosts = this.#plan.hosts.map((plan) => this.#machine(plan));
    this.#traffic = new Traffic(this.#random, this.#plan);
  }

  async run(): Promise<CrashOutcome> {
    this.#say(JSON.stringify(this.#hosts.map(({ name, options }) => [name, options.plan.fsync])));
    for (let step = 0; step < steps; step++) {
      await this.#startAll();
      this.#act();
      await this.#settle(this.#random.next() * this.#random.pick([1, 10, 40, 120]));
    }
    await this.#converge();
    this.#check();
    const { count } = this.#points;
    return { points: count, crashes: this.#crashes, promises: this.#promises };
  }

  stop(): void {
    for (const { environment } of this.#hosts) environment?.stop();
  }

  #machine(plan: HostPlan): Host {
    const { sabotage } = this.#options;
    const random = this.#random.fork();
    const at = (point: Point): void => this.#points.pass(plan.name, point);
    const lies = sabotage?.lies;
    const disk = plan.isDurable
      ? new LogDisk({ random, at, ...(lies === undefined ? {} : { lies }) })
      : undefined;
    return new Host({ plan, disk, tamper: sabotage?.tamper });
  }

  readonly #fail = (error: unknown): void => {
    this.#failures.push(error);
  };

  #say(line: string): void {
    this.#options.log?.(`${this.#world.nowMs.toFixed(1).padStart(8)} ms  ${line}`);
  }

  /** Virtual time goes on. @throws what was found meanwhile. */
  async #settle(forMs: number, until?: () => boolean): Promise<void> {
    const isOver = (): boolean => this.#failures.length > 0 || until?.() === true;
    await this.#world.settle({ forMs, until: isOver });
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  // Processes.

  /** Starts whoever is due. */
  async #startAll(): Promise<void> {
    for (const host of this.#hosts) {
      if ((host.startMs ?? Number.POSITIVE_INFINITY) <= this.#world.nowMs) await this.#start(host);
    }
  }

  async #start(host: Host): Promise<void> {
    host.startMs = undefined;
    const environment = this.#world.environment();
    host.environment = environment;
    const name = `${host.name}${++host.lives}`;
    const { sabotage } = this.#options;
    const opening = Life.open({
      name,
      host: host.options.plan,
      plan: this.#plan,
      environment,
      network: this.#network,
      history: this.#history,
      sightings: this.#sightings,
      seams: {
        transport: (transport) =>
          pointed(
            transport,
            (point) => this.#points.pass(host.name, point),
            () => environment.isStopped,
          ),
        ...(sabotage?.environment ? { environment: sabotage.environment } : {}),
      },
      disk: host.options.disk && host,
      onSeries: () => undefined,
      fail: this.#fail,
    });
    const began = async (): Promise<void> => {
      const life = await opening;
      if (environment.isStopped) return;
      host.life = life;
      host.keyspace = life.keyspace;
    };
    began().catch(this.#fail);
    await this.#settle(openMsMax, () => host.life !== undefined || environment.isStopped);
    const { life } = host;
    if (environment.isStopped) return;
    if (life === undefined) throw new Error(`${name} does not open in ${openMsMax} ms`);
    this.#say(`${name} begins as ${life.keyspace.actor.slice(0, 8)}`);
    host.checkFound(life);
    checkLife(life, this.#history, this.#plan);
  }

  /** Called from wherever the point is: within a write, within a sending. */
  #crash(name: string, point: Point): void {
    const victim = this.#hosts.find((host) => host.name === name);
    if (victim?.environment === undefined || victim.environment.isStopped) return;
    if (this.#crashes.length > 0 && !victim.hasCrashed) {
      // The second time it is the same one's turn.
      this.#points.target = this.#points.count + 1;
      return;
    }
    this.#say(`${name} crashes: ${point}${this.#isOutage ? ", and all others" : ""}`);
    this.#crashes.push(point);
    for (const host of this.#isOutage ? this.#hosts : [victim]) this.#end(host);
    if (this.#crashes.length < 2 && this.#fate.chance(0.5)) {
      this.#points.target = this.#points.count + 1 + this.#fate.below(25);
    }
  }

  #end(host: Host): void {
    const { environment } = host;
    host.life = undefined;
    host.keyspace = undefined;
    host.hasCrashed = true;
    environment?.stop();
    host.options.disk?.crash(this.#fate.pick(crashKinds));
    host.startMs = this.#world.nowMs + awayMsMin + this.#fate.next() * this.#fate.pick([5, 300]);
    // What it has sent is on its way.
    this.#world.environment().schedule(awayMsMin / 2, () => this.#network.kill(host.name));
  }

  #close(host: Host, life: Life): void {
    this.#say(`${life.name} closes`);
    life.state = "closing";
    host.life = undefined;
    const { environment } = host;
    const closed = async (): Promise<void> => {
      await life.replica.close();
      if (environment?.isStopped === true) return;
      environment?.stop();
      host.keyspace = undefined;
      this.#network.kill(host.name);
      host.startMs = this.#world.nowMs + awayMsMin;
    };
    closed().catch(this.#fail);
  }

  // What they do.

  #act(): void {
    const random = this.#random;
    const host = random.pick(this.#hosts);
    const draw = random.below(20);
    const { life } = host;
    if (life === undefined) return;
    if (draw === 0) return this.#close(host, life);
    if (draw < 15) this.#say(`${life.name} ${this.#traffic.write(life)}`);
    else this.#say(`${life.name} ${this.#traffic.transact(life, random.chance(0.2))}`);
    if (random.chance(0.5) && host.options.disk) this.#waitDurable(host, life);
    if (random.chance(0.3)) this.#waitSpread(life);
  }

  #waitDurable(host: Host, life: Life): void {
    const token = life.replica.version();
    const { vector } = life;
    const acknowledged = life.replica.acknowledged(token, { by: "durable", timeoutMs: waitMs });
    this.#told(acknowledged, () => host.promised(vector));
  }

  #waitSpread(life: Life): void {
    const token = life.replica.version();
    const { vector } = life;
    const by = this.#random.pick([1, "all"] as const);
    const acknowledged = life.replica.acknowledged(token, { by, timeoutMs: waitMs });
    // Who has no disk forgets at its end; who leaves it alone counts as memory, which an outage takes.
    const survives = this.#hosts.every(({ options: { disk, plan }, name }) => {
      const isSafe = name === life.host.name || plan.fsync !== "never" || !this.#isOutage;
      return disk !== undefined && isSafe;
    });
    this.#told(acknowledged, () => {
      if (survives) this.#spread.push(vector);
    });
  }

  #told(acknowledged: Promise<void>, keep: () => void): void {
    const told = async (): Promise<void> => {
      await acknowledged;
      this.#promises++;
      keep();
    };
    told().catch((error: unknown) => {
      if (error instanceof WaitTimeoutError || error instanceof ClosedError) return;
      this.#fail(error);
    });
  }

  // The end.

  async #converge(): Promise<void> {
    const endMs = this.#world.nowMs + convergeMsMax;
    for (let stepMs = 50; this.#world.nowMs < endMs; stepMs = Math.min(1_000, stepMs * 1.5)) {
      await this.#startAll();
      const lives = this.#hosts.flatMap(({ life }) => life ?? []);
      const vectors = lives.map(({ replica, vector }) => {
        replica.version();
        return vectorText(vector);
      });
      if (lives.length === this.#hosts.length && new Set(vectors).size === 1) return;
      await this.#settle(stepMs);
    }
    const states = this.#hosts.map(({ name, life }) => {
      return `${name} ${life ? vectorText(life.vector) : "is away"}`;
    });
    throw new Error(`no convergence within ${convergeMsMax} ms: ${states.join("; ")}`);
  }

  #check(): void {
    const texts = new Map<string, string>();
    for (const { life } of this.#hosts) {
      if (life === undefined) throw new Error("assertion: all run at the end");
      texts.set(JSON.stringify(checkLife(life, this.#history, this.#plan)), life.name);
      for (const vector of this.#spread) {
        if (covers(life.vector, vector)) continue;
        const lost = `${vectorText(vector)} was with others, ${vectorText(life.vector)} is there`;
        throw new Error(`${life.name} lacks what was acknowledged: ${lost}`);
      }
    }
    if (texts.size > 1) throw new Error(`replicas differ: ${[...texts].join("\n  ")}`);
  }
}

/** Two or three machines, most of them with a disk. */
function drawPlan(random: Random): Plan {
  const count = 2 + random.below(2);
  const areAllDurable = random.chance(0.5);
  return {
    topology: "chain",
    hosts: Array.from({ length: count }, (_, host) => ({
      name: hostName(host),
      dials: host === 0 ? [] : [hostName(random.below(host))],
      isRelay: false,
      limits: random.chance(0.3) ? { touches: 3, bytes: 200 } : undefined,
      isEager: false,
      isDurable: areAllDurable || host === 0 || random.chance(0.6),
      fsync: random.pick<FsyncPolicy>(["always", "interval", "never"]),
    })),
    steps,
    keys: ["k", "__proto__", "another"],
    clockAheadMsMax: 60_000,
    logEntriesMax: random.pick([0, 3, 1_000]),
    peerSilentMsMax: random.pick([0, 500, 25_000]),
    burstSteps: [],
    burstTouches: 0,
    interruptions: 0,
  };
}
