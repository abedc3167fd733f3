/** What tools are shown of a peer. */
import type { ActorId } from "../crdt/dot.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Dialer } from "./dialer.ts";
import type { Link } from "./link.ts";
import type { Stranger } from "./peer-memory.ts";
import type { SessionState } from "./session.ts";
import { noTraffic, sumOf, type Traffic } from "./traffic.ts";

/**
 * Where a peer is: a state of its link, `waiting` to be dialed, `refused` (nothing will change until
 * somebody does something), or `self` when its address is our own.
 */
export type PeerState = SessionState["kind"] | "waiting" | "refused" | "self";

/** A peer, as it is now. */
export interface PeerView extends Traffic {
  /** Unknown until it said hello. */
  readonly actor: ActorId | undefined;
  readonly name: string | undefined;
  /** The address that we dial; absent when it dials us. */
  readonly url: string | undefined;
  readonly state: PeerState;
  /** Why it was refused, or refused us. */
  readonly refused?: string;
  /** Why its last link ended, while there is none. */
  readonly lastEnd?: string;
  /** What it has for certain. */
  readonly acknowledged: VersionVector | undefined;
  /** Whether it keeps that on a disk. */
  readonly isDurable: boolean;
  /** Batches that it has not acknowledged. */
  readonly lagBatches: number;
  /** For how long the oldest frame has been on the way to it, in ms. */
  readonly lagMs: number;
  /** When anything was last heard of it, by the wall clock in ms. */
  readonly lastSeenMs: number | undefined;
  /** How far its wall clock was ahead of ours when its hello came, in ms, less what that took on the way. */
  readonly clockOffsetMs: number | undefined;
  /** Bytes of a series that is half received from it. */
  readonly stagedBytes: number;
  /** Bytes for it that the network has not taken yet. */
  readonly bufferedBytes: number;
}

/** What there is to say while there is no link. */
const noLink = {
  traffic: { ...noTraffic, bufferedBytes: 0 },
  peer: undefined,
  acknowledged: undefined,
  lagBatches: 0,
  lagMs: 0,
  lastSeenMs: undefined,
  clockOffsetMs: undefined,
  stagedBytes: 0,
};

const noDialer = { actor: undefined, name: undefined, past: noTraffic, refused: undefined };

/** The view of a peer by its link, by its dialer, or both. */
export function peerView(link: Link | undefined, dialer: Dialer | undefined): PeerView {
  const now = link ?? noLink;
  const { actor, name, past, refused } = dialer ?? noDialer;
  const lastEnd = link ? undefined : dialer?.lastEnd?.reason;
  return {
    actor: now.peer?.actor ?? actor,
    name: now.peer?.name ?? name,
    url: dialer?.target.url,
    state: stateOf(link, dialer),
    ...(refused === undefined ? {} : { refused }),
    ...(lastEnd === undefined ? {} : { lastEnd }),
    acknowledged: now.acknowledged,
    isDurable: now.peer?.isDurable === true,
    lagBatches: now.lagBatches,
    lagMs: now.lagMs,
    ...sumOf(past, now.traffic),
    lastSeenMs: now.lastSeenMs,
    clockOffsetMs: now.clockOffsetMs,
    stagedBytes: now.stagedBytes,
    bufferedBytes: now.traffic.bufferedBytes,
  };
}

/** The view of a peer that dialed us and was refused. */
export const strangerView = ({ hello, reason, lastSeenMs }: Stranger): PeerView => ({
  ...noTraffic,
  actor: hello.actor,
  name: hello.name,
  url: undefined,
  state: "refused",
  refused: reason,
  acknowledged: undefined,
  isDurable: hello.isDurable,
  lagBatches: 0,
  lagMs: 0,
  lastSeenMs,
  clockOffsetMs: undefined,
  stagedBytes: 0,
  bufferedBytes: 0,
});

function stateOf(link: Link | undefined, dialer: Dialer | undefined): PeerState {
  if (dialer?.isSelf) return "self";
  if (link?.state === "streaming") return "streaming";
  if (dialer?.refused !== undefined) return "refused";
  return link?.state ?? "waiting";
}
