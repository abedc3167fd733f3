/** That a link began or ended, for those who are told of it. */
import type { ActorId } from "../crdt/dot.ts";
import type { Link } from "./link.ts";
import { isRefusal, type LinkEnd } from "./refusal.ts";

/** A link began to stream, or ended. */
export interface LinkEvent {
  /** The name of the peer, or its address; undefined if neither is known. */
  readonly peer: string | undefined;
  /** Absent before its hello was fine. */
  readonly actor?: ActorId;
  /** The address that we dial; absent when it dials us. */
  readonly url?: string;
  /** When anything was last heard of it, by the wall clock in ms. */
  readonly lastSeenMs?: number;
  /** Absent: it began. */
  readonly end?: LinkEnd;
  /** Nothing will change until somebody does something. */
  readonly isRefusal: boolean;
}

/** Who is told of links. */
export interface LinkListener {
  /** Called when a link begins to stream, and when one ends; not of observers. Never throws. */
  readonly onLink?: (event: LinkEvent) => void;
}

/** Tells of a link; `end` is absent when it begins. */
export function tellLink({ onLink }: LinkListener, link: Link, end?: LinkEnd): void {
  onLink?.({
    peer: link.hello?.name ?? link.url,
    ...(link.actor === undefined ? {} : { actor: link.actor }),
    ...(link.url === undefined ? {} : { url: link.url }),
    ...(link.lastSeenMs === undefined ? {} : { lastSeenMs: link.lastSeenMs }),
    isRefusal: end !== undefined && isRefusal(end),
    ...(end === undefined ? {} : { end }),
  });
}
