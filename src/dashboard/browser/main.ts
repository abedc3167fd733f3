/** The page's script: it listens to the replica and shows what that says. */
import type { Page, PageElement, PageEvent } from "../../page/browser.ts";
import type { Snapshot } from "../../insight/snapshot.ts";
import { Charts } from "./charts.ts";
import { element, part, say } from "./elements.ts";
import { type Connection, EventStream, type ServerEvent } from "./event-stream.ts";
import { drawGraph } from "./graph.ts";
import { healthOf, noticesOf, peerName } from "./health.ts";
import { History } from "./history.ts";
import { fillTables } from "./tables.ts";
import { ago, bytes, counted, lasting, short, visible, whole } from "./wording.ts";

declare const document: Page;
declare const sessionStorage: {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
};
declare const matchMedia: (query: string) => Pick<PageElement, "addEventListener">;
declare const addEventListener: (event: string, listener: (event: PageEvent) => void) => void;

/** Where the token is, until the tab is closed. */
const tokenKey = "trellis-token";
/** Notices that are shown. */
const noticesMax = 8;
/** The page says that nothing was heard after so long, in ms. */
const quietMs = 3_500;

/** Names of peers that are remembered. */
const namesMax = 512;

const names = new Map<string, string>();
const history = new History();
const charts = new Charts();
let latest: Snapshot | undefined;
let heardAtMs: number | undefined;
let connection: Connection = { kind: "connecting" };
let isPaused = false;
let notices = 0;

const stream = new EventStream({
  url: "v1/events",
  token: () => sessionStorage.getItem(tokenKey) ?? undefined,
  onEvent: heard,
  onConnection: (now) => {
    connection = now;
    showConnection();
    if (now.kind === "token") askForToken(now.why);
  },
});

function heard({ name, data }: ServerEvent): void {
  if (name !== "status") return;
  const snapshot = JSON.parse(data) as Snapshot;
  if (snapshot.version !== 1) {
    say(part("link"), "this page is older than the replica: load it again");
    return;
  }
  heardAtMs = Date.now();
  latest = snapshot;
  learnNames(snapshot);
  const isNewPoint = history.take(snapshot);
  if (isPaused || document.visibilityState === "hidden") return;
  show(snapshot);
  if (isNewPoint) charts.draw(history.points, nameOf);
}

/** Also of those that are gone while their line is still to be seen. */
const nameOf = (id: string): string => names.get(id) ?? visible(id.slice(0, 24));

function learnNames({ peers }: Snapshot): void {
  for (const peer of peers) names.set(peer.id, peerName(peer));
  for (const oldest of names.keys()) {
    if (names.size <= namesMax) break;
    names.delete(oldest);
  }
}

function show(snapshot: Snapshot): void {
  const { name, actor, uptimeMs, members } = snapshot;
  document.title = `${visible(name)} · Trellis`;
  say(part("name"), visible(name));
  say(
    part("facts"),
    `actor ${actor.slice(0, 8)}, up for ${lasting(uptimeMs)}, ${counted(members, "member")}`,
  );
  const isReady = snapshot.notReady.length === 0;
  const ready = part("ready");
  say(ready, isReady ? "● ready" : "■ not ready");
  ready.setAttribute("data-tone", isReady ? "good" : "bad");
  showTiles(snapshot);
  showNotices(snapshot);
  drawGraph(part("graph"), part("graph-note"), snapshot);
  fillTables(snapshot);
  part("content").removeAttribute("data-empty");
}

function showTiles(snapshot: Snapshot): void {
  const peers = snapshot.peers.filter(({ state }) => state !== "self");
  const linked = peers.filter(({ state }) => state === "streaming");
  const inStep = peers.filter((peer) => healthOf(peer) === "ok").length;
  const latePoint = history.points.at(-1)?.figures;
  const rate = (figure: string): string => {
    const value = latePoint?.get(figure);
    return value === undefined ? "–" : `${short(value)}/s`;
  };
  const { storage, clock } = snapshot;
  tile("peers", `${whole(inStep)} of ${whole(peers.length)}`, `${whole(linked.length)} linked`);
  tile(
    "lag",
    lasting(Math.round(Math.max(0, ...linked.map(({ lagMs }) => lagMs)))),
    `${whole(Math.max(0, ...linked.map(({ lagBatches }) => lagBatches)))} batches at most`,
  );
  tile("changes", rate("changes-local"), `${rate("changes-remote")} from peers`);
  tile("keys", short(snapshot.keys), `${bytes(snapshot.stateBytes)} of arrays`);
  tile(
    "disk",
    storage.kind === "memory" ? "none" : storage.failure === undefined ? "writes" : "refuses",
    storage.kind === "memory" ? "in memory only" : `${whole(storage.pending ?? 0)} slots to write`,
  );
  tile("clock", lasting(Math.round(clock.aheadMs)), "latest stamp ahead of it");
}

function tile(id: string, text: string, more: string): void {
  say(part(`tile-${id}`), text);
  say(part(`tile-${id}-more`), more);
}

/** How many there are is said aloud when that changes; what they say moves every second. */
function showNotices(snapshot: Snapshot): void {
  const all = noticesOf(snapshot);
  const list = part("notices");
  const shown = all.slice(0, noticesMax);
  if (all.length > noticesMax) shown.push(`${counted(all.length - noticesMax, "more")} below.`);
  const items = [...list.querySelectorAll("li")];
  if (items.length !== shown.length) {
    list.replaceChildren(...shown.map((text) => element("li", {}, text)));
  } else for (const [at, item] of items.entries()) say(item, shown[at] ?? "");
  list.hidden = shown.length === 0;
  say(part("all-well"), all.length === 0 ? "Nothing needs attention." : "");
  notices = all.length;
}

function showConnection(): void {
  const silentMs = heardAtMs === undefined ? undefined : Date.now() - heardAtMs;
  const last = silentMs === undefined ? "" : `, last heard ${ago(silentMs)}`;
  const isQuiet = silentMs !== undefined && silentMs > quietMs;
  const { text, tone } = inWords(last, isQuiet);
  const link = part("link");
  say(link, text);
  link.setAttribute("data-tone", tone);
  document.documentElement.setAttribute("data-stale", String(tone === "bad"));
  const attention =
    notices === 0 ? "" : `${counted(notices, "thing needs", "things need")} attention.`;
  say(part("spoken"), tone === "bad" ? "The replica is not heard any more." : attention);
}

function inWords(last: string, isQuiet: boolean): { readonly text: string; readonly tone: string } {
  switch (connection.kind) {
    case "connecting":
      return { text: `▲ connecting${last}`, tone: last === "" ? "warn" : "bad" };
    case "live":
      return isQuiet
        ? { text: `■ silent${last}`, tone: "bad" }
        : { text: isPaused ? "▲ paused" : "● live", tone: isPaused ? "warn" : "good" };
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((connection.retryAtMs - Date.now()) / 1_000));
      return { text: `■ not reached${last}; next try in ${seconds} s`, tone: "bad" };
    }
    case "token":
      return { text: "■ needs a token", tone: "bad" };
  }
}

const whyToken = {
  missing: "This replica wants a token with the right observe.",
  refused: "That token was refused. Is it spelled right, and not too old?",
  "not-enough": "That token lacks the right observe.",
} as const;

function askForToken(why: keyof typeof whyToken): void {
  if (why !== "missing") sessionStorage.removeItem(tokenKey);
  say(part("token-why"), whyToken[why]);
  const dialog = part("token-dialog");
  if (!dialog.open) dialog.showModal();
  part("token").focus();
}

part("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = part("token");
  const token = (field.value ?? "").trim();
  if (token === "") return;
  sessionStorage.setItem(tokenKey, token);
  field.value = "";
  part("token-dialog").close();
  stream.start();
});

// Without a token there is nothing to see, so it can be closed only for another try.
part("token-dialog").addEventListener("close", () => {
  if (connection.kind === "token") part("again").hidden = false;
});

part("again").addEventListener("click", () => {
  part("again").hidden = true;
  stream.start();
});

part("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  part("pause").setAttribute("aria-pressed", String(isPaused));
  say(part("pause"), isPaused ? "Go on" : "Pause");
  if (!isPaused) showAll();
  showConnection();
});

function showAll(): void {
  if (latest === undefined) return;
  show(latest);
  charts.draw(history.points, nameOf);
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && !isPaused) showAll();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  charts.restyle(history.points, nameOf),
);
addEventListener("resize", () => {
  if (latest) drawGraph(part("graph"), part("graph-note"), latest);
});

charts.draw(history.points, nameOf);
setInterval(showConnection, 1_000);
stream.start();
