/**
 * The ways from one replica to the host of the lock authority. Each peer tells how many links it is away from
 * the host of which claim; who is asked hands the request on by the shortest way. To the peer on that way a
 * replica tells no distance of its own, and nobody tells one of `distanceMax`: so ways that lead in a
 * circle, after a link broke, are given up within so many tellings. A request counts its links, too.
 */
import type { Tracer } from "../../telemetry.ts";
import { readTraceparent, type TraceContext } from "../../trace-context.ts";
import type { Call, Reply } from "./authority-message.ts";
import { AuthorityHost } from "./authority-host.ts";
import { RemoteAuthority } from "./remote-authority.ts";
import { type Claim, distanceMax, judge, type Standing, writeStanding } from "./standing.ts";

/** A peer at the other end of a link that stands. */
export interface SeatPeer {
  readonly name: string;
  /** What it understands besides what the first version did. Default nothing. */
  readonly features?: readonly string[];
  /** False if nothing was sent. */
  send(bytes: Uint8Array): boolean;
}

/** A peer with this feature reads requests that name the span that they are made in. */
export const traceFeature = "trace";

/** Answers what a peer asks. */
type AskedFrom = (
  call: Call,
  hops: number,
  from: SeatPeer,
  trace: TraceContext | undefined,
) => Promise<Reply>;

/** One link. */
export interface Link {
  readonly peer: SeatPeer;
  readonly host: AuthorityHost;
  readonly remote: RemoteAuthority;
  /** What the peer told last. */
  standing: Standing | undefined;
  /** What it was told last. */
  told: Uint8Array | undefined;
}

/** All links of a replica. */
export class Routes {
  readonly #links = new Map<SeatPeer, Link>();
  readonly #ask: AskedFrom;
  readonly #tracer: Tracer | undefined;

  /** `ask` answers what peers ask here; requests name the present span of `tracer`. */
  constructor(ask: AskedFrom, tracer: Tracer | undefined) {
    this.#ask = ask;
    this.#tracer = tracer;
  }

  get size(): number {
    return this.#links.size;
  }

  linked(peer: SeatPeer): void {
    const send = (bytes: Uint8Array): boolean => peer.send(bytes);
    const host = new AuthorityHost((call, hops, trace) => this.#ask(call, hops, peer, trace), send);
    const understands = peer.features?.includes(traceFeature) === true;
    const remote = new RemoteAuthority(send, (relayed) =>
      understands ? (readTraceparent(this.#tracer?.present()) ?? relayed) : undefined,
    );
    this.#links.set(peer, { peer, host, remote, standing: undefined, told: undefined });
  }

  unlinked(peer: SeatPeer): void {
    const link = this.#links.get(peer);
    this.#links.delete(peer);
    link?.remote.end();
  }

  /** All of them. */
  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  of(peer: SeatPeer): Link | undefined {
    return this.#links.get(peer);
  }

  /** The link on the shortest way to who has this claim; not the one to `but`. O(links). */
  next(claim: Claim, but?: SeatPeer): Link | undefined {
    let best: Link | undefined;
    for (const link of this.#links.values()) {
      if (link.peer !== but && distanceOf(link, claim) < distanceOf(best, claim)) best = link;
    }
    return best;
  }

  /**
   * Tells every peer who is recorded, and how far away that is, if it was not told so already.
   * True when all of them know.
   */
  tell({ claim, rival }: Omit<Standing, "distance">, isHost: boolean): boolean {
    const best = claim && !isHost ? this.next(claim) : undefined;
    const away = claim && best ? distanceOf(best, claim) + 1 : undefined;
    let isTold = true;
    for (const link of this.#links.values()) {
      const isOnTheWay = link === best || away === undefined || away >= distanceMax;
      const distance = isHost ? 0 : isOnTheWay ? undefined : away;
      const bytes = writeStanding({ claim, rival, distance });
      if (link.told && Buffer.compare(link.told, bytes) === 0) continue;
      if (link.peer.send(bytes)) link.told = bytes;
      else isTold = false;
    }
    return isTold;
  }
}

function distanceOf(link: Link | undefined, claim: Claim): number {
  const { claim: known, distance } = link?.standing ?? {};
  if (!known || distance === undefined) return Number.POSITIVE_INFINITY;
  return judge(claim, known) === "same" ? distance : Number.POSITIVE_INFINITY;
}
