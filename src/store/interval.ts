/**
 * Which slots does a peer lack? Found in each changed actor's log, from where the peer is:
 * the cost is what changed, not what exists.
 */
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Keyspace } from "./keyspace.ts";

/** Slots to send, ascending and each once. Reused from frame to frame. */
export class Selection {
  #nodes = new Int32Array(1024);
  #count = 0;

  /** The chosen slots, until the next selection. */
  get nodes(): Int32Array {
    return this.#nodes.subarray(0, this.#count);
  }

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
  }

  add(node: number): void {
    if (this.#count === this.#nodes.length) {
      const grown = new Int32Array(this.#count * 2);
      grown.set(this.#nodes);
      this.#nodes = grown;
    }
    this.#nodes[this.#count++] = node;
  }

  /** Sorts, and drops repetitions. */
  settle(): void {
    const nodes = this.nodes;
    let sorted = true;
    for (let i = 1; i < nodes.length && sorted; i++) {
      sorted = (nodes[i - 1] as number) < (nodes[i] as number);
    }
    if (sorted) return;
    nodes.sort();
    let kept = 0;
    for (let i = 0; i < nodes.length; i++) {
      if (kept === 0 || nodes[i] !== nodes[kept - 1]) nodes[kept++] = nodes[i] as number;
    }
    this.#count = kept;
  }
}

/** How far one selection got. */
export interface Selected {
  /** Nothing that changed was left out. */
  readonly whole: boolean;
  /** Where the peer will be, for each of `actors`. */
  readonly have: readonly number[];
}

/**
 * Chooses what changed after `from` at `actors`, oldest first per actor, whole batches, about
 * `touchesMax` touches (at least one batch). Every other actor must be covered by `from`.
 */
export function select(
  keyspace: Keyspace,
  actors: readonly number[],
  from: VersionVector,
  touchesMax: number,
  into: Selection,
): Selected {
  into.clear();
  const have: number[] = [];
  let left = touchesMax;
  let whole = true;
  for (const actor of actors) {
    if (left <= 0) {
      whole = false;
      have.push(from.at(actor));
      continue;
    }
    const { taken, stoppedBefore } = takeLog(keyspace, actor, from.at(actor), left, into);
    left -= taken;
    whole &&= stoppedBefore === undefined;
    have.push(stoppedBefore === undefined ? keyspace.held.at(actor) : stoppedBefore - 1);
  }
  into.settle();
  return { whole, have };
}

function takeLog(
  keyspace: Keyspace,
  actor: number,
  after: number,
  touchesMax: number,
  into: Selection,
): { readonly taken: number; readonly stoppedBefore: number | undefined } {
  const { cells } = keyspace;
  const log = cells.log(actor);
  let taken = 0;
  for (let batch = log.batchAfter(after); batch < log.batches; batch++) {
    const sequence = log.sequence(batch);
    if (taken >= touchesMax) return { taken, stoppedBefore: sequence };
    const end = log.end(batch);
    for (let entry = log.start(batch); entry < end; entry++) {
      const cell = log.cell(entry);
      if (!cells.isAt(cell, actor, sequence)) continue;
      into.add(cells.slot(cell));
      taken++;
    }
  }
  return { taken, stoppedBefore: undefined };
}
