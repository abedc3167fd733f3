/**
 * How far peers are, on the disk: so that removals which they have not heard of are kept over a restart,
 * too. What is there may be old, which is safe: then more is kept for them.
 */
import type { Environment } from "../environment.ts";
import { type ImageWriter, recordKey } from "./image.ts";
import type { KnownPeer } from "./known-peer.ts";
import type { WriteBatch } from "./storage.ts";

/** How old may it be, in ms? */
const agedMs = 10_000;

/** One peer as the store has it. */
export interface StoredPeer {
  readonly number: number;
  readonly record: Uint8Array;
}

/** What peer records are made of. */
export interface PeerRecordsOptions {
  readonly environment: Environment;
  readonly peers: () => readonly KnownPeer[];
  /** What the store has, by name. */
  readonly stored: Map<string, StoredPeer>;
  readonly writer: ImageWriter;
  /** An actor's number in the store; undefined for one of whom nothing is held. */
  readonly actorNumber: (actor: number) => number | undefined;
}

/** Writes the peers of one replica. */
export class PeerRecords {
  readonly #options: PeerRecordsOptions;
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(options: PeerRecordsOptions) {
    this.#options = options;
  }

  /** Whether what was written has become old, or lacks somebody: who knows of us is told after a crash. */
  get isDue(): boolean {
    const { environment, peers, stored } = this.#options;
    if (environment.monotonic() - this.#writtenMs >= agedMs) return true;
    return peers().some(({ name }) => !stored.has(name));
  }

  /** Whether anything is not as it was written. O(peers x actors). */
  get isChanged(): boolean {
    const { stored } = this.#options;
    const now = this.#now();
    return (
      now.size !== stored.size || [...now].some(([name, peer]) => !isSame(peer, stored.get(name)))
    );
  }

  /** Puts what changed; the function that is returned is to be called once that is written. */
  put(batch: WriteBatch): () => void {
    const { environment, stored } = this.#options;
    const now = this.#now();
    for (const [name, { number }] of stored) {
      if (!now.has(name)) batch.delete(recordKey("peer", number));
    }
    for (const [name, peer] of now) {
      if (!isSame(peer, stored.get(name))) batch.put(recordKey("peer", peer.number), peer.record);
    }
    const atMs = environment.monotonic();
    return () => {
      this.#writtenMs = atMs;
      stored.clear();
      for (const [name, peer] of now) stored.set(name, peer);
    };
  }

  #now(): Map<string, StoredPeer> {
    const { peers, stored, writer, actorNumber } = this.#options;
    const now = new Map<string, StoredPeer>();
    const used = new Set([...stored.values()].map(({ number }) => number));
    let next = 0;
    for (const { name, lastSeenMs, acknowledged } of peers()) {
      while (used.has(next)) next++;
      const entries = [...acknowledged.entries()].flatMap(([actor, sequence]) => {
        const number = actorNumber(actor);
        return number === undefined ? [] : [[number, sequence] as const];
      });
      const record = writer.peer({ name, lastSeenMs, acknowledged: entries });
      const number = stored.get(name)?.number ?? next++;
      now.set(name, { number, record });
    }
    return now;
  }
}

const isSame = ({ record }: StoredPeer, other: StoredPeer | undefined): boolean =>
  other !== undefined && Buffer.compare(record, other.record) === 0;
