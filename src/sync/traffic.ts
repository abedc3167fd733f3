/** What went over links, by the names of the peers: it outlives the links. */

/** Totals of a link, or of several. Frames are those of changes, bytes those of all messages. */
export interface Traffic {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly framesIn: number;
  readonly framesOut: number;
}

/** Of one link. */
export interface LinkTraffic extends Traffic {
  /** Bytes that were sent and have not left yet. */
  readonly bufferedBytes: number;
}

/** None yet. */
export const noTraffic: Traffic = { bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0 };

/** Both together. */
export const sumOf = (left: Traffic, right: Traffic): Traffic => ({
  bytesIn: left.bytesIn + right.bytesIn,
  bytesOut: left.bytesOut + right.bytesOut,
  framesIn: left.framesIn + right.framesIn,
  framesOut: left.framesOut + right.framesOut,
});

/** What is counted on the links of one replica. */
export interface SyncFigures {
  /** Links that are not over. */
  readonly links: number;
  /** By the names of the peers. */
  readonly traffic: ReadonlyMap<string, Traffic>;
  /** Messages of services, by name. */
  readonly services: ReadonlyMap<string, { readonly in: number; readonly out: number }>;
}

/** What a link leaves, and whose it was. */
export interface PeerTraffic {
  /** What the peer calls itself; undefined if it did not say. */
  readonly hello: { readonly name: string } | undefined;
  readonly traffic: Traffic;
}

/** Names that are told apart. The name is the peer's own word, so there may be any number. */
export const namesMax = 1_000;
/** All that have more to say than that, and those who have said nothing. */
const otherName = "other";
const unknownName = "unknown";

/** Totals of links that are gone. */
export class PastTraffic {
  readonly #byName = new Map<string, Traffic>();

  /** A link is gone. */
  add(link: PeerTraffic): void {
    this.#add(this.#byName, link);
  }

  /** All so far, with that of the links that there are. O(names + links). */
  with(links: Iterable<PeerTraffic>): ReadonlyMap<string, Traffic> {
    const all = new Map(this.#byName);
    for (const link of links) this.#add(all, link);
    return all;
  }

  #add(to: Map<string, Traffic>, { hello, traffic }: PeerTraffic): void {
    const given = hello?.name ?? unknownName;
    const name = to.has(given) || to.size < namesMax ? given : otherName;
    to.set(name, sumOf(to.get(name) ?? noTraffic, traffic));
  }
}
