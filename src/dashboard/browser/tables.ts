/** The tables of the page. */
import type { Snapshot, SnapshotPeer } from "../../insight/snapshot.ts";
import { type Cell, fill, part, say } from "./elements.ts";
import { healthOf, healthWord, peerName, reasonOf, toneOf } from "./health.ts";
import { ago, bytes, counted, lasting, short, signed, traffic, visible, whole } from "./wording.ts";

/** Fills every table. */
export function fillTables(snapshot: Snapshot): void {
  const { peers, hotKeys, collections, hotSpots, locks, errors } = snapshot;
  const others = peers.filter(({ state }) => state !== "self");
  fill(part("table-peers"), others.map(peerRow), "No peers.");
  fill(
    part("table-hot-keys"),
    hotKeys.map(({ key, collection, touches, error, localShare }) => [
      visible(key),
      visible(collection),
      // What may be too high says by how much.
      error >= 0.5 ? `${whole(touches)} (−${whole(error)})` : whole(touches),
      `${Math.round(localShare * 100)} %`,
    ]),
    "Nothing was written since this page was opened.",
  );
  fill(
    part("table-collections"),
    collections.map(({ name, type, keys, bytes: weight }) => [
      visible(name),
      visible(type),
      whole(keys),
      weight === undefined ? "–" : bytes(weight),
    ]),
    "No collections.",
  );
  fill(part("table-contention"), hotSpots.map(spotRow), "No guarded value is contended.");
  fill(part("table-locks"), locks.map(lockRow), "No lock was taken here.");
  fill(part("table-rights"), rightsRows(snapshot), "No bounded counter was used here.");
  fill(
    part("table-errors"),
    errors.map(({ code, times, lastMs }) => [
      visible(code),
      whole(times),
      ago(snapshot.atMs - lastMs),
    ]),
    "None since the start.",
  );
  fill(part("table-events"), eventRows(snapshot), "Nothing happened yet.");
  say(part("locks-note"), backendText(snapshot));
  say(
    part("collections-note"),
    `${counted(snapshot.keys, "key")}, ${bytes(snapshot.stateBytes)} of arrays; strings and values come on top.` +
      (snapshot.collectionsLeftOut > 0 ? ` ${whole(snapshot.collectionsLeftOut)} more.` : ""),
  );
}

function peerRow(peer: SnapshotPeer): Cell[] {
  const health = healthOf(peer);
  const isLinked = peer.state === "streaming";
  // Of who dialed us and is gone there is no more than when that was.
  const isGone = peer.state === "closed" && peer.url === undefined;
  const why = reasonOf(peer);
  const { clockOffsetMs } = peer;
  return [
    peerName(peer),
    { text: healthWord[health], tone: toneOf[health] },
    isLinked ? whole(peer.lagBatches) : "–",
    isLinked ? lasting(Math.round(peer.lagMs)) : "–",
    peer.silentMs === undefined ? "never" : ago(peer.silentMs),
    typeof clockOffsetMs === "number" ? signed(clockOffsetMs) : "–",
    isGone ? "–" : traffic(peer.bytesOut),
    isGone ? "–" : traffic(peer.bytesIn),
    isGone ? "–" : peer.isDurable ? "on disk" : "in memory",
    why === undefined ? "" : visible(why),
  ];
}

const spotRow = (spot: Snapshot["hotSpots"][number]): Cell[] => [
  visible(spot.resource),
  spot.recentConflicts < 0.05
    ? { text: "0", tone: "muted" }
    : { text: short(spot.recentConflicts), tone: spot.recentConflicts > 10 ? "bad" : "warn" },
  whole(spot.conflicts),
  whole(spot.calls),
  whole(spot.queued),
  whole(spot.leases),
  lasting(spot.roundTripMs),
];

const lockRow = (lock: Snapshot["locks"][number]): Cell[] => [
  visible(lock.resource),
  lock.heldMs === undefined
    ? { text: "free here", tone: "muted" }
    : { text: `held for ${lasting(Math.round(lock.heldMs))}`, tone: "good" },
  whole(lock.waiting),
  `${lasting(lock.meanWaitMs)} (${lasting(lock.longestWaitMs)})`,
  `${lasting(lock.meanHoldMs)} (${lasting(lock.longestHoldMs)})`,
  whole(lock.granted),
  troubled(lock.timeouts + lock.failures, "warn"),
  troubled(lock.losses, "bad"),
];

const troubled = (count: number, tone: "warn" | "bad"): Cell =>
  count === 0 ? "0" : { text: whole(count), tone };

/** What is here, then what the pool said of everybody. */
function rightsRows({ rights, pools, atMs }: Snapshot): Cell[][] {
  const rows: Cell[][] = [];
  const shown = new Set<string>();
  for (const pool of pools) {
    const { collection, key, free, holders, unnamed } = pool;
    shown.add(JSON.stringify([collection, key]));
    const here = rights.find((each) => each.collection === collection && each.key === key);
    const counter = `${visible(collection)} ${visible(key)}`;
    rows.push([
      counter,
      "free in the pool",
      whole(free.down),
      free.up === undefined ? "–" : whole(free.up),
      ago(atMs - pool.atMs),
    ]);
    for (const { name, holder, isOurs, isClosed, down, up } of holders) {
      const up2 = free.up === undefined ? "–" : whole(up);
      const who = `${visible(name)} (${holder.slice(-8)})`;
      rows.push([
        counter,
        isClosed
          ? { text: `${who}, closed: stranded`, tone: "bad" }
          : isOurs
            ? {
                text: `${who}, here${here?.waiting ? `, ${whole(here.waiting)} waiting` : ""}`,
                tone: "good",
              }
            : who,
        whole(isOurs && here ? here.rights : down),
        isOurs && here?.upRights !== undefined ? whole(here.upRights) : up2,
        isOurs ? "now" : ago(atMs - pool.atMs),
      ]);
    }
    if (unnamed > 0) rows.push([counter, counted(unnamed, "more holder"), "", "", ""]);
  }
  for (const { collection, key, rights: down, upRights, waiting } of rights) {
    if (shown.has(JSON.stringify([collection, key]))) continue;
    rows.push([
      `${visible(collection)} ${visible(key)}`,
      waiting > 0 ? { text: `here, ${whole(waiting)} waiting`, tone: "warn" } : "here",
      whole(down),
      upRights === undefined ? "–" : whole(upRights),
      "now",
    ]);
  }
  return rows;
}

const eventTones = { note: "muted", warning: "warn", error: "bad" } as const;

const eventRows = ({ events, atMs }: Snapshot): Cell[][] =>
  events.map(({ kind, severity, code, subject, text, times, lastMs }) => [
    ago(atMs - lastMs),
    { text: severity, tone: eventTones[severity] },
    kind,
    visible(code),
    subject === "" ? "–" : visible(subject),
    whole(times),
    visible(text),
  ]);

function backendText({ backend, totals: { locks } }: Snapshot): string {
  const counts = `${whole(locks.held)} held, ${whole(locks.waiting)} waited for here.`;
  switch (backend.kind) {
    case "none":
      return `No lock authority is known. ${counts}`;
    case "embedded": {
      const where = backend.isHost ? "this replica" : visible(backend.host);
      const how = backend.isServing ? "serving" : "not to be asked from here";
      return `The lock authority is ${where}, ${how}, ${backend.isDurable ? "on disk" : "in memory only"}. ${counts}`;
    }
    case "backend":
      return (
        `Backend ${visible(backend.name)}: breaker of calls ${backend.calls}, of leases ${backend.leases}; ` +
        `${whole(backend.active)} calls under way, ${whole(backend.queued)} in line. ${counts}`
      );
  }
}
