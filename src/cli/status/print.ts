/** A status as lines of text: the troubles first. */
import { quoted, shown, table } from "../table.ts";
import { type Report, type ReportedPeer, troublesOf } from "./report.ts";

/** Bytes a second to and from one peer, as two statuses tell. */
export interface Rates {
  readonly in: number;
  readonly out: number;
}

/** What is printed besides a status. */
export interface PrintOptions {
  readonly url: string;
  /** Rows of each table. */
  readonly rowsMax: number;
  readonly nowMs: number;
  /** By peer, as `rateKey` names it; undefined where only one status is known. */
  readonly rates?: ReadonlyMap<string, Rates>;
}

const nameLengthShown = 40;
const text = (told: string): string => (told === "" ? "" : quoted(told, nameLengthShown));

/** What a peer is told apart by. */
export const rateKey = ({ url, actor }: ReportedPeer): string => url || actor;

/** All of it. */
export function printed(report: Report, options: PrintOptions): string {
  const { name, version, actor, members, peers, locks, rights } = report;
  const { url, rowsMax } = options;
  const troubles = troublesOf(report);
  const waiting = rights.filter((one) => one.waiting > 0 || one.stopped !== undefined);
  return [
    `${quoted(name, nameLengthShown)} at ${url}${version === undefined ? "" : `, version ${version}`}: ${shown(members)} members, actor ${actor.slice(0, 8)}`,
    ...troubles.slice(0, rowsMax).map((trouble) => `WRONG: ${printable(trouble)}`),
    ...(troubles.length === 0 ? ["nothing is wrong"] : []),
    ...(peers.length === 0 ? ["no peers"] : [peersTable(peers, options)]),
    `storage: ${printable(report.storage)}${report.pending > 0 ? `, ${shown(report.pending)} changes to be written` : ""}`,
    `locks: ${printable(locks.text)}${locks.queued > 0 ? `, ${shown(locks.queued)} wait` : ""}`,
    `clock: stamps ${shown(Math.round(report.aheadMs))} ms ahead; removals kept: ${shown(report.removalsKept)}; memory: ${shown(report.bytes)} bytes`,
    ...collectionsText(report, rowsMax),
    ...hotKeysText(report, rowsMax),
    ...(rights.length === 0 ? [] : [`rights: ${shown(rights.length)} counters are used here`]),
    ...waiting
      .slice(0, rowsMax)
      .map(
        ({ collection, key, rights: held, waiting: callers, stopped }) =>
          `  ${text(collection)} ${text(key)}: ${shown(held)} rights, ${shown(callers)} callers wait` +
          (stopped === undefined ? "" : `, stopped: ${printable(stopped)}`),
      ),
  ].join("\n");
}

function peersTable(
  peers: readonly ReportedPeer[],
  { rates, rowsMax, nowMs }: PrintOptions,
): string {
  const flow = rates ? ["in B/s", "out B/s"] : ["bytes in", "bytes out"];
  const rows = peers.slice(0, rowsMax).map((peer) => {
    const rate = rates?.get(rateKey(peer));
    return [
      ...[text(peer.name), text(peer.url), peer.isRefused ? "refused" : peer.state],
      ...[peer.lagBatches, Math.round(peer.lagMs)],
      ...(rates
        ? [Math.round(rate?.in ?? 0), Math.round(rate?.out ?? 0)]
        : [peer.bytesIn, peer.bytesOut]),
      peer.lastSeenMs === undefined
        ? ""
        : `${shown(Math.max(0, Math.round(nowMs - peer.lastSeenMs)))} ms ago`,
    ];
  });
  const more = peers.length - rows.length;
  if (more > 0) rows.push([`and ${shown(more)} more`]);
  return table(["peer", "url", "state", "lag batches", "lag ms", ...flow, "heard of"], rows);
}

function collectionsText({ keys }: Report, rowsMax: number): string[] {
  if (keys.length === 0) return ["no collections"];
  const most = keys.toSorted((one, other) => other[1] - one[1]).slice(0, rowsMax);
  const more = keys.length - most.length;
  const isTyped = most.some(([, , type]) => type !== "");
  const typed = (type: string): string[] => (isTyped ? [printable(type)] : []);
  return [
    table(
      ["collection", ...typed("type"), "keys"],
      [
        ...most.map(([name, count, type]) => [text(name), ...typed(type), count]),
        ...(more > 0 ? [[`and ${shown(more)} more`, ...typed(""), ""]] : []),
      ],
    ),
  ];
}

function hotKeysText({ hotKeys }: Report, rowsMax: number): string[] {
  if (hotKeys.length === 0) return [];
  const rows = hotKeys
    .slice(0, rowsMax)
    .map(({ collection, key, touches }) => [text(collection), text(key), Math.round(touches)]);
  return [table(["hot in", "key", "changes lately"], rows)];
}

/** Text of a peer's, which may hold anything. */
export const printable = (told: string): string => told.replaceAll(/\p{C}/gu, "\uFFFD");
