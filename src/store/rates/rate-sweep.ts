/**
 * Removes hits that are over. Ours when their last bucket is. Those of others, should they not do it
 * themselves, once they have not changed for a window and as much as clocks may differ: that is told by a
 * clock that never steps, so no wrong wall clock takes hits away that count.
 */
import { noCell } from "../../crdt/cells.ts";
import { countHits, readHits } from "../../crdt/rate-window.ts";
import { fraction } from "../../environment.ts";
import { Chores } from "../expiry/chores.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Root } from "../nodes.ts";
import type { SlotFollower, TouchedSlots } from "../touched-slots.ts";
import type { WindowClock } from "./window-clock.ts";

/** Replicas that do another's work do it at different times, in ms. */
const jitterMs = 5_000;

/** What it works with. */
export interface RateSweepOptions {
  readonly keyspace: Keyspace;
  readonly touched: TouchedSlots;
  /** Whether the actor is us, or was. */
  readonly isOurs: (actor: number) => boolean;
}

/** The hits of one keyspace that will be over some time. */
export class RateSweep implements SlotFollower {
  readonly #options: RateSweepOptions;
  readonly #chores: Chores;
  readonly #clocks = new Map<Root, WindowClock>();
  /** Slots of others: which batch had touched them last when they were first looked at. */
  readonly #sequences = new Map<number, number>();

  constructor(options: RateSweepOptions) {
    const { environment } = options.keyspace;
    this.#options = options;
    this.#chores = new Chores({
      environment,
      now: () => environment.monotonic(),
      begin: () => {
        for (const clock of this.#clocks.values()) clock.read();
      },
      look: (slot, nowMs) => this.#look(slot, nowMs),
    });
  }

  /** Slots with hits. */
  get size(): number {
    return this.#chores.size;
  }

  /**
   * A collection, and the clock that says which of its buckets count; it may hold some already. O(slots).
   */
  add(root: Root, clock: WindowClock): void {
    this.#clocks.set(root, clock);
    this.#options.touched.follow(root, this);
    this.#load(root);
  }

  /** Begins, with all that a store may have brought. O(slots). */
  start(): void {
    for (const root of this.#clocks.keys()) this.#load(root);
    this.#chores.start();
  }

  #load(root: Root): void {
    const { nodes } = this.#options.keyspace;
    for (const key of root.keys.values()) {
      for (const slot of nodes.container(key)?.children.values() ?? []) this.touched(slot);
    }
  }

  stop(): void {
    this.#chores.stop();
  }

  touched(slot: number): void {
    const { keyspace } = this.#options;
    if (!keyspace.isLive(slot)) return;
    const clock = this.#clocks.get(keyspace.nodes.rootOf(slot));
    if (clock === undefined) return;
    const nowMs = keyspace.environment.monotonic();
    if (this.#isOurs(slot)) {
      // Long after the last hit it is looked at once or twice, and not at each hit.
      this.#chores.plan(slot, nowMs + clock.fadingMs);
    } else if (!this.#sequences.has(slot)) {
      this.#sequences.set(slot, this.#sequence(slot));
      this.#chores.plan(slot, nowMs + this.#othersMs(clock));
    }
  }

  forgot(node: number): void {
    this.#chores.drop(node);
    this.#sequences.delete(node);
  }

  #look(slot: number, nowMs: number): number | undefined {
    const { keyspace } = this.#options;
    const { nodes } = keyspace;
    const isHere = nodes.isUsed(slot) && !nodes.isContainer(slot) && keyspace.isLive(slot);
    const clock = isHere ? this.#clocks.get(nodes.rootOf(slot)) : undefined;
    const before = this.#sequences.get(slot);
    this.#sequences.delete(slot);
    if (clock === undefined) return undefined;
    if (this.#isOurs(slot)) {
      if (this.#count(slot, clock) > 0) return nowMs + clock.bucketMs;
    } else {
      const sequence = this.#sequence(slot);
      if (sequence !== before) {
        this.#sequences.set(slot, sequence);
        return nowMs + this.#othersMs(clock);
      }
    }
    keyspace.clear(slot);
    return undefined;
  }

  #count(slot: number, clock: WindowClock): number {
    const { cells } = this.#options.keyspace;
    let count = 0;
    for (const cell of cells.cellsOf(slot)) {
      if (cells.isLive(cell)) count += countHits(readHits(cells.payload(cell)), clock.counts);
    }
    return count;
  }

  #isOurs(slot: number): boolean {
    const { cells } = this.#options.keyspace;
    return cells.cellsOf(slot).every((cell) => this.#options.isOurs(cells.actor(cell)));
  }

  /** Some batch that changes when the slot does. */
  #sequence(slot: number): number {
    const { cells, nodes } = this.#options.keyspace;
    let sum = 0;
    for (let cell = nodes.head(slot); cell !== noCell; cell = cells.next(cell)) {
      sum += cells.sequence(cell);
    }
    return sum;
  }

  #othersMs(clock: WindowClock): number {
    const { clock: hybrid, environment } = this.#options.keyspace;
    return clock.fadingMs + hybrid.aheadMsMax + fraction(environment) * jitterMs;
  }
}
