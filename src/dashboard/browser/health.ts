/** How a peer does, in a word and in a sentence. */
import type { Snapshot, SnapshotPeer } from "../../insight/snapshot.ts";
import { ago, counted, lasting, visible } from "./wording.ts";

/** From good to bad. */
export type Health = "ok" | "behind" | "stalled" | "connecting" | "away" | "refused";

/** Behind for longer than that, in ms, is worth a word, and for longer than that a warning. */
const behindMs = 1_000;
const stalledMs = 5_000;
/** A link at rest is heard of every 5 s. */
const silentMs = 12_000;
/** Clocks that are further apart are worth a word, in ms. */
const offsetMsMax = 1_000;

export function healthOf({ state, lagMs, silentMs: silence = 0 }: SnapshotPeer): Health {
  switch (state) {
    case "streaming":
      if (lagMs > stalledMs || silence > silentMs) return "stalled";
      return lagMs > behindMs ? "behind" : "ok";
    case "refused":
      return "refused";
    case "waiting":
    case "closed":
      return "away";
    default:
      return "connecting";
  }
}

/** The word for it. */
export const healthWord: Readonly<Record<Health, string>> = {
  ok: "in step",
  behind: "behind",
  stalled: "stalled",
  connecting: "connecting",
  away: "away",
  refused: "refused",
};

/** How bad that is. */
export const toneOf: Readonly<Record<Health, "good" | "warn" | "bad">> = {
  ok: "good",
  behind: "warn",
  stalled: "bad",
  connecting: "warn",
  away: "bad",
  refused: "bad",
};

/** What it is called here. */
export const peerName = ({ name, url, actor }: SnapshotPeer): string =>
  visible(name ?? url?.replace(/^wss?:\/\/|\/$/gu, "") ?? actor?.slice(0, 8) ?? "stranger");

/** How far it is behind. */
export function lagText(peer: SnapshotPeer): string {
  if (peer.state !== "streaming") return healthWord[healthOf(peer)];
  if (peer.lagBatches === 0 && peer.lagMs < 1) return "in step";
  const late = peer.lagMs < 1 ? "" : `, ${lasting(Math.round(peer.lagMs))}`;
  return `${counted(peer.lagBatches, "batch", "batches")}${late}`;
}

/** Why it is as it is, where there is a reason. */
export const reasonOf = ({ refused, lastEnd }: SnapshotPeer): string | undefined =>
  refused ?? lastEnd;

/** What somebody should look at, the worst first. */
export function noticesOf(snapshot: Snapshot): readonly string[] {
  const peers = snapshot.peers.filter(({ state }) => state !== "self");
  return [
    ...snapshot.notReady.map((reason) => `Not ready: ${visible(reason)}.`),
    ...peers.flatMap(peerNotice),
    ...backendNotices(snapshot),
    ...(snapshot.forks > 0
      ? [`Somebody else wrote as our actor ${counted(snapshot.forks, "time")}: see the events.`]
      : []),
    ...snapshot.rights.flatMap(({ collection, key, stopped }) =>
      stopped === undefined
        ? []
        : [`Rights of ${visible(collection)} ${visible(key)} are stopped: ${visible(stopped)}`],
    ),
  ];
}

function peerNotice(peer: SnapshotPeer): string[] {
  const health = healthOf(peer);
  const name = peerName(peer);
  const notices: string[] = [];
  if (health === "stalled" || health === "behind") {
    const silent = peer.silentMs === undefined ? "" : `, heard ${ago(peer.silentMs)}`;
    notices.push(`${name} is ${healthWord[health]}: ${lagText(peer)}${silent}.`);
  } else if (health !== "ok") {
    const why = reasonOf(peer);
    notices.push(
      `${name} is ${healthWord[health]}${why === undefined ? "." : `: ${visible(why)}.`}`,
    );
  }
  const { clockOffsetMs } = peer;
  if (typeof clockOffsetMs === "number" && Math.abs(clockOffsetMs) > offsetMsMax) {
    const side = clockOffsetMs > 0 ? "ahead of" : "behind";
    notices.push(`The clock of ${name} is ${lasting(Math.abs(clockOffsetMs))} ${side} ours.`);
  }
  return notices;
}

function backendNotices({ backend }: Snapshot): string[] {
  if (backend.kind === "embedded" && !backend.isServing) {
    return [`The lock authority, ${visible(backend.host)}, cannot be asked from here.`];
  }
  if (backend.kind === "backend" && backend.calls !== "closed") {
    return [`Calls of the lock backend are turned away: its breaker is ${backend.calls}.`];
  }
  return [];
}
