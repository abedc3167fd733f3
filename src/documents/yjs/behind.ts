/**
 * What a client lacks that reads too slowly to be sent everything: told by a state vector, not by a queue.
 *
 * The vector is that of the document when the client fell behind, set back by every update that it was not sent
 * since; also by those that the object had and nobody had been told of. So the difference to it has everything,
 * and of deletions a difference has all there are.
 */
import * as Y from "yjs";

/** The clocks from which on an update has something, by client. O(update). */
export const clocksFrom = (update: Uint8Array): ReadonlyMap<number, number> =>
  Y.parseUpdateMeta(update).from;

/** What one client was sent of a document before it fell behind. */
export class Behind {
  #vector: Map<number, number>;

  /** `vector` as Yjs encodes it. @throws whatever, if it is none. */
  constructor(vector: Uint8Array) {
    this.#vector = Y.decodeStateVector(vector);
  }

  /** It was not sent what begins there. */
  missed(from: ReadonlyMap<number, number>): void {
    for (const [client, clock] of from) {
      const known = this.#vector.get(client);
      if (known !== undefined && known > clock) this.#vector.set(client, clock);
    }
  }

  /** All that it lacks, as one update. O(document). */
  lacks(doc: Y.Doc): Uint8Array {
    return Y.encodeStateAsUpdate(doc, Y.encodeStateVector(this.#vector));
  }
}
