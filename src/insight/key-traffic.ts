/**
 * What is written to which keys, counted only while somebody looks: before and after that the keyspace
 * does not know of it.
 */
import type { Environment } from "../environment.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { KeyspaceListener } from "../store/keyspace-listener.ts";
import { type HotKey, HotKeys, type Origin } from "./hot-keys.ts";

/** Collections whose keys are counted. */
export const collectionsMax = 64;
/** Slots of one batch or join that are looked at; of more, every second, third and so on. */
const slotsMax = 4_096;

/** A hot key of some collection. */
export interface HotKeyOf extends HotKey {
  readonly collection: string;
}

/** Slots that were changed since somebody looks. */
export interface ChangeTotals {
  readonly local: number;
  readonly remote: number;
}

/** Counts changes, by key. */
export class KeyTraffic {
  readonly #keyspace: Keyspace;
  readonly #environment: Environment;
  readonly #sketches = new Map<number, HotKeys>();
  readonly #totals = { local: 0, remote: 0 };
  #lookers = 0;

  constructor(keyspace: Keyspace, environment: Environment) {
    this.#keyspace = keyspace;
    this.#environment = environment;
  }

  /** Whether anybody looks. */
  get isFed(): boolean {
    return this.#lookers > 0;
  }

  get totals(): ChangeTotals {
    return { ...this.#totals };
  }

  /** Counts from now on, until the function that it returns is called. The last one to go ends the counting. */
  look(): () => void {
    if (this.#lookers++ === 0) this.#keyspace.listeners.add(this.#listener);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      if (--this.#lookers > 0) return;
      this.#keyspace.listeners.delete(this.#listener);
      this.#sketches.clear();
    };
  }

  /** The hottest of all collections, at most `count`. O(collections * countersMax). */
  top(count: number): readonly HotKeyOf[] {
    const nowMs = this.#environment.monotonic();
    const { roots } = this.#keyspace.nodes;
    return [...this.#sketches]
      .flatMap(([index, sketch]) =>
        sketch.top(count, nowMs).map((each) => ({ collection: roots[index]?.name ?? "", ...each })),
      )
      .toSorted((left, right) => right.touches - left.touches)
      .slice(0, count);
  }

  readonly #listener: KeyspaceListener = {
    flushed: () => this.#take([...this.#keyspace.lastBatch()], "local"),
    joined: (slots) => this.#take(slots, "remote"),
  };

  #take(slots: readonly number[], origin: Origin): void {
    this.#totals[origin] += slots.length;
    const step = Math.max(1, Math.ceil(slots.length / slotsMax));
    const { nodes } = this.#keyspace;
    for (let at = 0; at < slots.length; at += step) {
      const slot = slots[at];
      if (slot === undefined || !nodes.isUsed(slot)) continue;
      const key = nodes.keyOf(slot);
      this.#sketch(nodes.rootOf(key).index)?.touched(String(nodes.name(key)), origin, step);
    }
  }

  #sketch(index: number): HotKeys | undefined {
    const known = this.#sketches.get(index);
    if (known || this.#sketches.size >= collectionsMax) return known;
    const sketch = new HotKeys(this.#environment.monotonic());
    this.#sketches.set(index, sketch);
    return sketch;
  }
}
