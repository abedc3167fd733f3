/**
 * Peers that dialed us and are gone without a goodbye. A replica knows no address of them and so does not
 * list them, but who looks wants to see whom it misses.
 */
import type { ActorId } from "../crdt/dot.ts";
import type { LinkEvent } from "../sync/link-event.ts";

/** Peers that are remembered, the latest. */
export const departedMax = 64;
/** For so long, in ms. */
export const departedMs = 900_000;

/** One that is gone. */
export interface Departed {
  readonly actor: ActorId;
  readonly name: string;
  readonly lastSeenMs: number;
  /** Why its link ended. */
  readonly reason: string;
}

/** Whom we miss. */
export class DepartedPeers {
  /** By name: who comes back after a restart is another actor of the same name. */
  readonly #departed = new Map<string, Departed>();

  /** A link began or ended; `nowMs` by the wall clock. */
  linked({ peer, actor, url, lastSeenMs, end, isRefusal }: LinkEvent, nowMs: number): void {
    if (peer === undefined) return;
    // Of two links to one peer only one ends so.
    if (end?.code === "duplicate") return;
    this.#departed.delete(peer);
    const isMissed = end !== undefined && end.code !== "leaving" && !isRefusal;
    if (!isMissed || url !== undefined || actor === undefined) return;
    const departed = { actor, name: peer, lastSeenMs: lastSeenMs ?? nowMs, reason: end.reason };
    this.#departed.set(peer, departed);
    for (const oldest of this.#departed.keys()) {
      if (this.#departed.size <= departedMax) break;
      this.#departed.delete(oldest);
    }
  }

  /** Those that are gone not too long ago. */
  missed(nowMs: number): readonly Departed[] {
    return [...this.#departed.values()].filter(({ lastSeenMs }) => nowMs - lastSeenMs < departedMs);
  }
}
