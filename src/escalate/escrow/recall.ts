/**
 * Asking others for rights over the links. Nothing depends on it: what is asked stands in the pool's record,
 * too, and is seen there later. It has the shape of a service of the links (`sync/service.ts`).
 */
import { ByteReader, ByteWriter, malformed } from "../../store/bytes.ts";
import type { Named } from "./refusals.ts";

/** A peer at the other end of a link that stands. */
export interface RecallPeer {
  readonly name: string;
  /** False if nothing was sent. */
  send(bytes: Uint8Array): boolean;
}

/** What is heard from peers. */
export interface RecallEvents {
  /** A peer waits for rights. */
  wanted(named: Named): void;
  /** A peer has given rights back. */
  given(named: Named, by: number): void;
}

const kinds = { wanted: 1, given: 2 } as const;
const nameBytesMax = 4_096;

/** One replica's part in it. */
export class Recall {
  /** The service's name. */
  readonly name = "rights";
  readonly #events: RecallEvents;
  readonly #peers = new Set<RecallPeer>();

  constructor(events: RecallEvents) {
    this.#events = events;
  }

  /** Whether anybody hears it. */
  get isLinked(): boolean {
    return this.#peers.size > 0;
  }

  /** Rights are waited for here. */
  want(named: Named): void {
    this.#tell(kinds.wanted, named);
  }

  /** Rights were given back here. */
  give(named: Named, by: number): void {
    this.#tell(kinds.given, named, by);
  }

  linked(peer: RecallPeer): void {
    this.#peers.add(peer);
  }

  unlinked(peer: RecallPeer): void {
    this.#peers.delete(peer);
  }

  /** @throws MalformedError */
  received(_peer: RecallPeer, bytes: Uint8Array): void {
    const from = new ByteReader(bytes);
    const kind = from.byte();
    const named = { collection: from.text(nameBytesMax), key: from.text(nameBytesMax) };
    const by = from.varint();
    from.end();
    if (kind === kinds.wanted) this.#events.wanted(named);
    else if (kind === kinds.given) this.#events.given(named, by);
    else malformed(`a message about rights of kind ${kind}`);
  }

  #tell(kind: number, { collection, key }: Named, by = 0): void {
    if (this.#peers.size === 0) return;
    const out = new ByteWriter();
    out.byte(kind);
    out.text(collection);
    out.text(key);
    out.varint(by);
    const bytes = out.take();
    for (const peer of this.#peers) peer.send(bytes);
  }
}
