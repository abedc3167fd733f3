/**
 * What every replica must show, worked out apart from the replicas: the history of all writes with
 * what each had seen, and a ledger of increments beside it. A replica is asked for its vector only.
 */
import { deepStrictEqual } from "node:assert/strict";
import { defaultClockAheadMsMax, stampsPerMs } from "../../src/crdt/hybrid-logical-clock.ts";
import type { Replica } from "../../src/replica.ts";
import { type NamedVector, parseVersionToken } from "../../src/store/version-token.ts";
import type { Operation, Write } from "../crdt/specifications.ts";
import { type CollectionName, type schema, type TypeCase, typeCases } from "../crdt/type-cases.ts";
import type { VirtualEnvironment } from "./virtual-environment.ts";

/** The replicas of a simulation. */
export type SimulatedReplica = Replica<typeof schema>;

/** Two counters that only transactions move, by the same amount. */
export const pairKeys = ["left", "right"] as const;

/** An increment, and in which batch it was. */
interface Booking {
  readonly actor: string;
  readonly sequence: number;
  readonly by: number;
}

/** A batch that is about to be written on one replica. */
export interface Draft {
  readonly actor: string;
  readonly sequence: number;
  readonly held: NamedVector;
  readonly stamp: number;
  readonly writes: Write[];
}

/** The vector that a replica holds; closes its open batch. */
export const vectorOf = (replica: SimulatedReplica): NamedVector =>
  parseVersionToken(replica.version());

/** A vector as text, the same for equal vectors. */
export const vectorText = (vector: NamedVector): string =>
  [...vector]
    .map(([actor, sequence]) => `${actor}:${sequence}`)
    .toSorted()
    .join(" ");

/** The history of a simulation. */
export class Oracle {
  readonly #keys: readonly string[];
  readonly #writes: Write[] = [];
  readonly #byKey = new Map<string, Write[]>();
  readonly #ledger = new Map<string, Booking[]>();
  /** Stamps that were issued, by their ms. */
  readonly #stamps = new Map<number, Set<number>>();
  /** Dots that were given to a batch. */
  readonly #dots = new Set<string>();
  #order = 0;

  constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  /**
   * Begins to note a batch. Call it just before the writes, in the same turn. A clock may be moved on
   * by a few ms: a replica does not tell the counter of its last stamp, and must not need to.
   */
  draft(replica: SimulatedReplica, environment: VirtualEnvironment): Draft {
    const held = vectorOf(replica);
    const { actor, clock } = replica.status();
    const sequence = (parsedAt(held, actor) ?? 0) + 1;
    const stamp = this.#nextStamp(clock.lastStampMs, environment);
    return { actor, sequence, held, stamp, writes: [] };
  }

  /** Notes one write of a batch. */
  note(draft: Draft, collection: CollectionName, key: string, operation: Operation): void {
    const { actor, sequence, held, stamp } = draft;
    const order = this.#order++;
    draft.writes.push({ collection, key, operation, actor, sequence, order, held, stamp });
  }

  /** The batch was written. */
  keep({ actor, sequence, stamp, writes }: Draft): void {
    if (writes.some(({ operation }) => isStamped(operation))) {
      const ms = Math.floor(stamp / stampsPerMs);
      this.#stamps.set(ms, (this.#stamps.get(ms) ?? new Set()).add(stamp));
    }
    for (const write of writes) {
      this.#writes.push(write);
      append(this.#byKey, `${write.collection}/${write.key}`, write);
      const { operation } = write;
      if (operation.name !== "increment") continue;
      append(this.#ledger, write.key, { actor, sequence, by: operation.by });
    }
  }

  /** A process has begun. @throws Error if its actor was there before. */
  born(actor: string): void {
    if (this.#dots.has(actor)) throw new Error(`actor ${actor} lives twice`);
    this.#dots.add(actor);
  }

  /** Whether a replica shows a transaction in part. */
  checkPair(replica: SimulatedReplica): void {
    const { counters } = replica.collections;
    const [left, right] = pairKeys.map((key) => counters.value(key));
    if (left !== right) throw new Error(`half of a transaction shows: ${left} and ${right}`);
  }

  /** A replica shows what its types mean of the writes that its vector covers; `cases` default to all. */
  check(
    replica: SimulatedReplica,
    environment: VirtualEnvironment,
    cases: readonly TypeCase[] = typeCases,
  ): void {
    this.checkPair(replica);
    const vector = vectorOf(replica);
    const isKnown = ({ actor, sequence }: Booking | Write): boolean =>
      (parsedAt(vector, actor) ?? 0) >= sequence;
    const reader = { nowMs: environment.now(), aheadMsMax: defaultClockAheadMsMax };
    for (const { collection, read, specification } of cases) {
      for (const key of this.#keys) {
        const history = (this.#byKey.get(`${collection}/${key}`) ?? []).filter(isKnown);
        const shown = read(replica.collections, key);
        const expected = specification(history, reader);
        deepStrictEqual(shown, expected, `${collection}/${key}: ${text(shown, expected)}`);
      }
    }
    for (const [key, bookings] of this.#ledger) {
      const booked = bookings.filter(isKnown).reduce((sum, { by }) => sum + by, 0);
      const shown = replica.collections.counters.value(key);
      if (shown !== booked) throw new Error(`counters/${key} is ${shown}, booked are ${booked}`);
    }
  }

  /** A replica that holds a write holds all that the write had seen. */
  checkCauses(replica: SimulatedReplica): void {
    const vector = vectorOf(replica);
    for (const { actor, sequence, held } of this.#writes) {
      if ((parsedAt(vector, actor) ?? 0) < sequence) continue;
      for (const [cause, until] of held) {
        if ((parsedAt(vector, cause) ?? 0) >= until) continue;
        throw new Error(`${actor}:${sequence} is held without its cause ${cause}:${until}`);
      }
    }
  }

  /** What the clock gives next: exact, since all that it may have heard of was noted here. */
  #nextStamp(lastMs: number, environment: VirtualEnvironment): number {
    const nowMs = environment.now();
    if (nowMs > lastMs) return nowMs * stampsPerMs;
    const [last, ...others] = this.#stamps.get(lastMs) ?? [];
    if (last !== undefined && others.length === 0) return last + 1;
    environment.skewMs += lastMs + 1 - nowMs;
    return environment.now() * stampsPerMs;
  }
}

const text = (shown: unknown, expected: unknown): string =>
  `${JSON.stringify(shown)} is shown, ${JSON.stringify(expected)} is meant`;

function append<T>(lists: Map<string, T[]>, name: string, item: T): void {
  const list = lists.get(name);
  if (list) list.push(item);
  else lists.set(name, [item]);
}

/** Actors are branded in vectors, and text in a history. */
function parsedAt(vector: ReadonlyMap<string, number>, actor: string): number | undefined {
  return vector.get(actor);
}

/** Whether the clock is asked for a stamp. */
export function isStamped(operation: Operation): boolean {
  if (operation.name === "in-entry") return isStamped(operation.inner);
  return operation.name === "set" || operation.name === "set-field";
}
