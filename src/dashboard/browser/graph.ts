/** The replica in the middle, its peers on both sides, and how far each is behind. */
import type { PageElement } from "../../page/browser.ts";
import type { Snapshot, SnapshotPeer } from "../../insight/snapshot.ts";
import { drawing } from "./elements.ts";
import { type Health, healthOf, healthWord, lagText, peerName, toneOf } from "./health.ts";
import { ago, clipped, counted, visible } from "./wording.ts";

/** Peers that are drawn; the table has them all. */
export const drawnMax = 16;
/** Below that all peers stand on one side, in pixels. */
const narrowPx = 640;
const rowPx = 74;
const marginPx = 46;
/** Width of a letter, about. */
const letterPx = 7.6;

interface Place {
  readonly x: number;
  readonly y: number;
}

/** Draws it anew into `svg`, and says in words what it shows. */
export function drawGraph(svg: PageElement, caption: PageElement, snapshot: Snapshot): void {
  const all = snapshot.peers
    .filter(({ state }) => state !== "self")
    .toSorted((left, right) => peerName(left).localeCompare(peerName(right)));
  const worstFirst = all.toSorted((left, right) => rank(right) - rank(left));
  const kept = new Set(worstFirst.slice(0, drawnMax));
  const peers = all.filter((peer) => kept.has(peer));
  const widthPx = Math.max(280, svg.clientWidth);
  const isNarrow = widthPx < narrowPx;
  const left = isNarrow ? [] : peers.slice(0, Math.floor(peers.length / 2));
  const right = peers.slice(left.length);
  const rows = Math.max(1, left.length, right.length);
  const heightPx = Math.max(isNarrow ? 150 : 170, rows * rowPx + marginPx);
  const self = { x: isNarrow ? 44 : widthPx / 2, y: heightPx / 2 };
  const sideX = isNarrow ? { left: 0, right: widthPx * 0.5 } : sides(widthPx);
  const column = (
    side: readonly SnapshotPeer[],
    x: number,
  ): readonly (readonly [SnapshotPeer, Place])[] =>
    side.map((peer, row) => [peer, { x, y: (heightPx * (row + 0.5)) / side.length }]);
  const places = [...column(left, sideX.left), ...column(right, sideX.right)];
  svg.setAttribute("viewBox", `0 0 ${widthPx} ${heightPx}`);
  svg.setAttribute("height", String(heightPx));
  svg.setAttribute("aria-label", inWords(snapshot, all));
  svg.replaceChildren(
    ...places.map(([peer, place]) => link(peer, self, place, isNarrow)),
    ...places.map(([peer, place]) =>
      node(peer, place, { isLeft: place.x < self.x, letters: sideRoom(place, widthPx), isNarrow }),
    ),
    drawing(
      "g",
      { class: "self" },
      drawing("circle", { cx: self.x, cy: self.y, r: 24 }),
      drawing("text", { x: self.x, y: self.y + 5, class: "here" }, "here"),
      drawing(
        "text",
        {
          x: self.x,
          y: self.y + 44,
          class: isNarrow ? "name start" : "name",
          ...(isNarrow ? { dx: -36 } : {}),
        },
        clipped(visible(snapshot.name), isNarrow ? 12 : 28),
      ),
    ),
  );
  const unseen = all.length - peers.length + snapshot.peersLeftOut;
  caption.textContent =
    all.length === 0
      ? "No peers: this replica is alone."
      : unseen > 0
        ? `${counted(unseen, "more peer")} not drawn, all of them better off than these.`
        : "";
}

const sides = (widthPx: number): { readonly left: number; readonly right: number } => ({
  left: Math.max(190, widthPx * 0.2),
  right: Math.min(widthPx - 190, widthPx * 0.8),
});

const sideRoom = ({ x }: Place, widthPx: number): number =>
  Math.max(6, Math.floor((Math.min(x < widthPx / 2 ? x : widthPx - x, 320) - 24) / letterPx));

const order: readonly Health[] = ["ok", "connecting", "behind", "away", "refused", "stalled"];
const rank = (peer: SnapshotPeer): number => order.indexOf(healthOf(peer));

function inWords({ name }: Snapshot, peers: readonly SnapshotPeer[]): string {
  const counts = order.map((health) => [
    peers.filter((peer) => healthOf(peer) === health).length,
    healthWord[health],
  ]);
  const said = counts.filter(([count]) => count !== 0).map((each) => each.join(" "));
  return `${visible(name)} and its peers: ${said.join(", ") || "none"}; the table below has the figures`;
}

function link(peer: SnapshotPeer, from: Place, to: Place, isNarrow: boolean): PageElement {
  const health = healthOf(peer);
  const middle = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
  // The line is flat beside the peer; where it rises towards the middle, so does what stands above it.
  const beside = {
    x: to.x + (from.x - to.x) * 0.24,
    y: to.y + Math.min(0, (from.y - to.y) * 0.25),
  };
  const isBroken = health === "away" || health === "refused";
  const bend = (from.x + to.x) / 2;
  const path = `M${from.x} ${from.y} C${bend} ${from.y} ${bend} ${to.y} ${to.x} ${to.y}`;
  return drawing(
    "g",
    { class: `link ${health} ${toneOf[health]}` },
    drawing("path", { d: path }),
    ...(isBroken ? [cross(middle)] : []),
    // On a phone there is no room on the line: it stands with the name.
    ...(isNarrow
      ? []
      : [drawing("text", { x: beside.x, y: beside.y - 8, class: "lag" }, lagText(peer))]),
  );
}

const cross = ({ x, y }: Place): PageElement =>
  drawing("path", { class: "cross", d: `M${x - 6} ${y - 6} l12 12 m0 -12 l-12 12` });

/** Shapes differ, for who does not tell colours apart. */
const shapes: Readonly<Record<"good" | "warn" | "bad", string>> = {
  good: "M-11 0 a11 11 0 1 0 22 0 a11 11 0 1 0 -22 0",
  warn: "M0 -13 L13 10 L-13 10 Z",
  bad: "M-10 -10 h20 v20 h-20 Z",
};

/** Where the texts of a node go, and how long they may be. */
interface Side {
  readonly isLeft: boolean;
  readonly letters: number;
  readonly isNarrow: boolean;
}

function node(peer: SnapshotPeer, { x, y }: Place, how: Side): PageElement {
  const { isLeft, letters, isNarrow } = how;
  const health = healthOf(peer);
  const tone = toneOf[health];
  const side = isLeft ? -20 : 20;
  const heard = peer.silentMs === undefined ? "never heard" : `heard ${ago(peer.silentMs)}`;
  const place = { x: side, class: isLeft ? "name end" : "name start" };
  return drawing(
    "g",
    { class: `peer ${tone}`, transform: `translate(${x} ${y})` },
    drawing("path", { d: shapes[tone] }),
    drawing("text", { ...place, y: -1 }, clipped(peerName(peer), letters)),
    drawing(
      "text",
      { ...place, y: 15, class: `${place.class} ${isNarrow ? "said" : "more"}` },
      clipped(isNarrow ? lagText(peer) : heard, letters + 2),
    ),
  );
}
