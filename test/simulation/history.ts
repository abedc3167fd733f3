/**
 * Everything that was ever written in a run, with what each write had seen: what the oracles compare
 * replicas with. It is told by the scenario and by the moment of a flush, and asks no replica.
 */
import type { Operation, Write } from "../crdt/specifications.ts";

/** A vector by the names of actors. */
export type Vector = ReadonlyMap<string, number>;

/** One batch: what one dot stands for. */
export interface Batch {
  readonly actor: string;
  readonly sequence: number;
  readonly held: Vector;
  readonly stamp: number;
  readonly writes: readonly Write[];
}

/** One movement of a counter. */
interface Entry {
  readonly actor: string;
  readonly sequence: number;
  readonly by: number;
}

export const covers = (vector: Vector, other: Vector): boolean => {
  for (const [actor, sequence] of other) {
    if ((vector.get(actor) ?? 0) < sequence) return false;
  }
  return true;
};

/** A vector as text, the same for equal vectors. */
export const vectorText = (vector: Vector): string =>
  [...vector]
    .map(([actor, sequence]) => `${actor.slice(0, 8)}:${sequence}`)
    .toSorted()
    .join(" ");

/** All batches, all writes by key, and a ledger of counters beside them. */
export class History {
  readonly #batches = new Map<string, Batch[]>();
  readonly #byKey = new Map<string, Write[]>();
  readonly #ledger = new Map<string, Entry[]>();
  /** What each cell of each dot was first seen to hold. */
  readonly #meanings = new Map<string, string>();
  #order = 0;

  /** How many writes were begun. */
  get writes(): number {
    return this.#order;
  }

  /** A write that is about to be made in the batch `actor`:`sequence`. */
  draft(
    at: { readonly actor: string; readonly sequence: number; readonly held: Vector },
    where: { readonly collection: string; readonly key: string },
    operation: Operation,
  ): Write {
    const { actor, sequence, held } = at;
    const order = this.#order++;
    const stamp = Number.POSITIVE_INFINITY;
    return { ...where, operation, actor, sequence, order, held, stamp };
  }

  /** The write was made, and not undone. */
  keep(write: Write): void {
    const name = `${write.collection}/${write.key}`;
    append(this.#byKey, name, write);
    if (write.operation.name !== "increment") return;
    const { actor, sequence } = write;
    append(this.#ledger, name, { actor, sequence, by: write.operation.by });
  }

  /** A counter was moved apart from the writes: only the ledger is told. */
  book(name: string, entry: Entry): void {
    append(this.#ledger, name, entry);
  }

  /** A batch was closed. @throws Error if its dot has a meaning already, or leaves a gap. */
  close(batch: Batch): void {
    const { actor, sequence } = batch;
    const batches = this.#batches.get(actor) ?? [];
    this.#batches.set(actor, batches);
    if (sequence <= batches.length) throw new Error(`dot ${actor}:${sequence} has two meanings`);
    if (sequence > batches.length + 1) throw new Error(`dot ${actor}:${sequence} leaves a gap`);
    const before = batches.at(-1)?.stamp ?? 0;
    if (batch.stamp < before) throw new Error(`the stamps of ${actor} go back`);
    batches.push(batch);
  }

  /** The batch of a dot. @throws Error if nobody made it. */
  batch(actor: string, sequence: number): Batch {
    const batch = this.#batches.get(actor)?.[sequence - 1];
    if (batch === undefined) throw new Error(`nobody made ${actor}:${sequence}`);
    return batch;
  }

  /** Actors that made a batch. */
  hasWritten(actor: string): boolean {
    return this.#batches.has(actor);
  }

  /** Whether anybody wrote to a key. */
  isWritten(collection: string, key: string): boolean {
    return this.#byKey.has(`${collection}/${key}`);
  }

  /** The writes to a key that are visible. */
  of(collection: string, key: string, isVisible: (write: Write) => boolean): Write[] {
    return (this.#byKey.get(`${collection}/${key}`) ?? []).filter(isVisible);
  }

  /** Every counter of the ledger, and what it must be. */
  *sums(vector: Vector): Generator<readonly [name: string, sum: number]> {
    for (const [name, entries] of this.#ledger) {
      let sum = 0n;
      for (const { actor, sequence, by } of entries) {
        if ((vector.get(actor) ?? 0) >= sequence) sum += BigInt(by);
      }
      yield [name, Number(sum)];
    }
  }

  /** A cell of a dot was seen. @throws Error if it was seen with another content before. */
  meant(cell: string, content: string): void {
    const before = this.#meanings.get(cell);
    if (before === undefined) this.#meanings.set(cell, content);
    else if (before !== content) {
      throw new Error(`${cell} has two meanings: ${before} and ${content}`);
    }
  }
}

function append<T>(lists: Map<string, T[]>, name: string, item: T): void {
  const list = lists.get(name);
  if (list) list.push(item);
  else lists.set(name, [item]);
}
