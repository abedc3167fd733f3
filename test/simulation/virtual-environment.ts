/**
 * The world under a seed: a virtual clock, timers, the ends of turns, randomness. A run is a sequence
 * of turns on one thread; the same seed and the same calls give the same run, to the byte.
 *
 *   const world = new World(seed);
 *   const environment = world.environment({ skewMs: -30_000 });  // one for each replica
 *   const network = new MemoryNetwork(world.environment());
 *   world.run({ forMs: 10_000, until: () => converged() });
 *
 * A turn is one timer's task. What it deferred runs right after it, at the same virtual instant, and
 * what that deferred in the turn after, as `setImmediate` has it. `run` is synchronous and fast, but
 * promises do not go on meanwhile; `settle` is the same with a real turn of the event loop after
 * each virtual one. An error that a task throws comes out of either.
 */
import type { Environment, Timer } from "../../src/environment.ts";

/** Virtual time starts at this wall clock, in ms since the Unix epoch. */
export const epochMs = 1_700_000_000_000;

/** Small, fast, seeded randomness (sfc32). Not for secrets. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = 0x9e3779b9;
    for (let i = 0; i < 12; i++) this.bits();
  }

  /** 32 random bits. */
  bits(): number {
    const result = (this.#a + this.#b + this.#counter++) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) >>> 0;
    return result;
  }

  /** At least 0, below 1. */
  next(): number {
    return this.bits() / 2 ** 32;
  }

  /** An integer, at least 0 and below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) bytes[i] = this.bits() & 0xff;
    return bytes;
  }

  /** Randomness of its own, which draws do not disturb. */
  fork(): Random {
    return new Random(this.bits() * 2 ** 21 + (this.bits() >>> 11));
  }
}

interface Task {
  readonly atMs: number;
  /** Tasks of one instant run in the order in which they were asked for. */
  readonly order: number;
  readonly owner: VirtualEnvironment;
  run: (() => void) | undefined;
}

/** Why a run ended. */
export type Ended = "until" | "time" | "idle" | "turns";

/** How long to run; whatever comes first ends it. Without `forMs`, until nothing is left to do. */
export interface RunOptions {
  /** Virtual time, in ms. The clock is moved on by all of it, unless something else ends the run. */
  readonly forMs?: number;
  /** Asked after every turn, and before the first. */
  readonly until?: () => boolean;
  /** Turns. Default 1,000,000. */
  readonly turnsMax?: number;
}

/** One process's view of the world. */
export class VirtualEnvironment implements Environment {
  /** Wall clock less true time, in ms. May be set at any time: the clock steps. */
  skewMs: number;
  readonly #world: World;
  readonly #random: Random;
  #isPaused = false;
  #isStopped = false;
  readonly #held: (() => void)[] = [];

  constructor(world: World, random: Random, skewMs: number) {
    this.#world = world;
    this.#random = random;
    this.skewMs = skewMs;
  }

  readonly now = (): number => Math.floor(epochMs + this.#world.nowMs + this.skewMs);

  readonly monotonic = (): number => this.#world.nowMs;

  schedule(delayMs: number, task: () => void): Timer {
    return this.#world.schedule(this, Math.max(0, delayMs), task);
  }

  defer(task: () => void): void {
    this.#world.defer(this, task);
  }

  randomBytes(count: number): Uint8Array {
    return this.#random.bytes(count);
  }

  /** The process is killed: nothing that it asked for happens any more. */
  stop(): void {
    this.#isStopped = true;
    this.#held.length = 0;
  }

  /** The process stands still, as under SIGSTOP: what is due waits. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Goes on; what was due meanwhile is due now, in the old order. */
  resume(): void {
    this.#isPaused = false;
    for (const task of this.#held.splice(0)) this.#world.defer(this, task);
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** For the world: runs a task that is due, as far as this process can. */
  perform(task: () => void): void {
    if (this.#isStopped) return;
    if (this.#isPaused) this.#held.push(task);
    else task();
  }
}

/** A virtual clock and what is due on it. */
export class World {
  readonly seed: number;
  /** For the scenario itself. */
  readonly random: Random;
  readonly #randomness: Random;
  #nowMs = 0;
  #orders = 0;
  readonly #tasks: Task[] = [];
  #deferred: { readonly owner: VirtualEnvironment; readonly task: () => void }[] = [];

  constructor(seed: number) {
    this.seed = seed;
    const random = new Random(seed);
    this.random = random.fork();
    this.#randomness = random.fork();
  }

  /** True time since the start, in ms. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Another process, with randomness of its own. */
  environment(options: { readonly skewMs?: number } = {}): VirtualEnvironment {
    return new VirtualEnvironment(this, this.#randomness.fork(), options.skewMs ?? 0);
  }

  /** Runs turns at once. */
  run(options: RunOptions = {}): Ended {
    const endMs = this.#nowMs + (options.forMs ?? Number.POSITIVE_INFINITY);
    const turnsMax = options.turnsMax ?? 1_000_000;
    for (let turns = 0; turns < turnsMax; turns++) {
      if (options.until?.() === true) return "until";
      const ended = this.#turn(endMs);
      if (ended) return ended;
    }
    return "turns";
  }

  /** Runs turns with a real turn of the event loop after each, so that promises go on. */
  async settle(options: RunOptions = {}): Promise<Ended> {
    const endMs = this.#nowMs + (options.forMs ?? Number.POSITIVE_INFINITY);
    const turnsMax = options.turnsMax ?? 1_000_000;
    for (let turns = 0; turns < turnsMax; turns++) {
      await realTurn();
      if (options.until?.() === true) return "until";
      const ended = this.#turn(endMs);
      if (ended) return ended;
    }
    return "turns";
  }

  /** For environments. */
  schedule(owner: VirtualEnvironment, delayMs: number, run: () => void): Timer {
    const task: Task = { atMs: this.#nowMs + delayMs, order: this.#orders++, owner, run };
    this.#push(task);
    return {
      cancel: () => {
        task.run = undefined;
      },
    };
  }

  /** For environments. */
  defer(owner: VirtualEnvironment, task: () => void): void {
    this.#deferred.push({ owner, task });
  }

  #turn(endMs: number): Ended | undefined {
    if (this.#deferred.length > 0) {
      const deferred = this.#deferred;
      this.#deferred = [];
      for (const { owner, task } of deferred) owner.perform(task);
      return undefined;
    }
    const next = this.#next();
    if (next === undefined || next.atMs > endMs) {
      if (endMs === Number.POSITIVE_INFINITY) return "idle";
      this.#nowMs = endMs;
      return "time";
    }
    this.#pop();
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.owner.perform(() => {
      const { run } = next;
      next.run = undefined;
      run?.();
    });
    return undefined;
  }

  /** The next task that was not taken back. */
  #next(): Task | undefined {
    for (;;) {
      const [first] = this.#tasks;
      if (first === undefined || (first.run && !first.owner.isStopped)) return first;
      this.#pop();
    }
  }

  // A binary heap.

  #push(task: Task): void {
    const tasks = this.#tasks;
    let at = tasks.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (isBefore(tasks[above] as Task, task)) break;
      tasks[at] = tasks[above] as Task;
      at = above;
    }
    tasks[at] = task;
  }

  #pop(): void {
    const tasks = this.#tasks;
    const last = tasks.pop();
    if (last === undefined || tasks.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= tasks.length) break;
      if (below + 1 < tasks.length && isBefore(tasks[below + 1] as Task, tasks[below] as Task)) {
        below++;
      }
      if (isBefore(last, tasks[below] as Task)) break;
      tasks[at] = tasks[below] as Task;
      at = below;
    }
    tasks[at] = last;
  }
}

const isBefore = (left: Task, right: Task): boolean =>
  left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);

const realTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
