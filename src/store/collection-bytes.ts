/**
 * How much memory does each collection take? Nobody keeps count of it: an estimate is made by a walk through
 * all names and cells, a slice in each turn of the event loop, when somebody asks and the last one is old.
 */
import { noCell } from "../crdt/cells.ts";
import type { Environment } from "../environment.ts";
import type { Keyspace } from "./keyspace.ts";
import { type Json, sizeOf } from "./values.ts";

/** Names in one slice, and bytes of their values: about a millisecond. */
const sliceNodes = 5_000;
const sliceBytes = 1024 * 1024;
/** A walk begins so long after the last one began, in ms: then it takes a part of a percent of the time. */
export const walkEveryMs = 60_000;
/** What a name takes besides its characters: the string, and its place in a map, in bytes. */
const nameBytes = 24 + 32;

/** Weighs the collections of one keyspace. */
export class CollectionBytes {
  readonly #keyspace: Keyspace;
  readonly #environment: Environment;
  #latest: ReadonlyMap<string, number> = new Map();
  #beganMs = Number.NEGATIVE_INFINITY;

  constructor(keyspace: Keyspace, environment: Environment) {
    this.#keyspace = keyspace;
    this.#environment = environment;
  }

  /** By collection, as the last walk that came to its end found it. Begins another if it is time. */
  read(): ReadonlyMap<string, number> {
    const nowMs = this.#environment.monotonic();
    if (nowMs - this.#beganMs >= walkEveryMs && !this.#keyspace.isClosed) {
      this.#beganMs = nowMs;
      this.#walk(1, []);
    }
    return this.#latest;
  }

  /** Goes on at a node; `sums` are by the numbers of the collections. */
  #walk(from: number, sums: number[]): void {
    const { nodes, cells, isClosed } = this.#keyspace;
    if (isClosed) return;
    const end = Math.min(nodes.limit, from + sliceNodes);
    let node = from;
    let weighed = 0;
    // The arrays are as large as they have to be for all.
    const shareBytes = (nodes.bytes + cells.bytes) / Math.max(1, nodes.count);
    for (; node < end && weighed < sliceBytes; node++) {
      if (!nodes.isUsed(node)) continue;
      const { index } = nodes.rootOf(node);
      const bytes = this.#weigh(node);
      weighed += bytes;
      sums[index] = (sums[index] ?? 0) + shareBytes + bytes;
    }
    if (node < nodes.limit) this.#environment.defer(() => this.#walk(node, sums));
    else this.#latest = new Map(nodes.roots.map(({ name, index }) => [name, sums[index] ?? 0]));
  }

  /** Its name, and what its cells carry. */
  #weigh(node: number): number {
    const { nodes, cells } = this.#keyspace;
    const name = nodes.name(node);
    let bytes = nameBytes + (typeof name === "string" ? name.length : 0);
    if (nodes.isContainer(node) || nodes.payload(node) !== "stamped") return bytes;
    for (let cell = nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
      const payload = cells.payload(cell) as Json | undefined;
      if (payload !== undefined) bytes += sizeOf(payload);
    }
    return bytes;
  }
}
