/** The life of a key that may expire, in words: what the cells beside its content say. */
import {
  contentName,
  isExpiring,
  lifeName,
  neverMs,
  readExpired,
  readUntil,
} from "../../crdt/expiring.ts";
import { plainOf, typeOf } from "../../crdt/type-of.ts";
import { isOver } from "../../store/expiry/life.ts";
import type { Provenance, ToldCell } from "../../store/provenance.ts";

const contentJson = JSON.stringify(contentName);
const lifeJson = JSON.stringify(lifeName);

/** What was told of a key, taken apart. */
export interface KeyLife {
  /** Of what the key holds, under the tag of that. */
  readonly content: Provenance;
  /** Beside it: deadlines, and marks that say it is expired. Undefined where keys do not expire. */
  readonly life: readonly ToldCell[] | undefined;
}

/** Takes it apart. O(told cells). */
export function keyLife(found: Provenance): KeyLife {
  const type = typeOf(found.tag);
  if (!type || !isExpiring(type)) return { content: found, life: undefined };
  const { tag } = plainOf(type);
  const cells = found.cells
    .filter(({ path }) => path[0] === contentJson)
    .map((cell) => ({ ...cell, path: cell.path.slice(1) }));
  return {
    content: { ...found, tag, cells },
    life: found.cells.filter(({ path }) => path[0] === lifeJson),
  };
}

/** What one of its cells is, and says. */
export function lifeWords({ isLive, value }: ToldCell): {
  readonly what: string;
  readonly says: string;
} {
  if (!isLive) return { what: "removal", says: "" };
  const [untilMs, expiredMs] = [readUntil(Number(value)), readExpired(Number(value))];
  if (untilMs === neverMs) return { what: "deadline", says: "never" };
  if (untilMs > 0) return { what: "deadline", says: timeOf(untilMs) };
  return { what: "expired", says: expiredMs > 0 ? `up to ${timeOf(expiredMs)}` : "" };
}

/** What they say together; nothing where keys do not expire. */
export function lifeSentences(life: KeyLife["life"]): string[] {
  if (life === undefined) return [];
  const said = life.filter(({ isLive }) => isLive).map(({ value }) => Number(value));
  const untilMs = said.reduce((latest, payload) => Math.max(latest, readUntil(payload)), 0);
  const expiredMs = said.reduce((latest, payload) => Math.max(latest, readExpired(payload)), 0);
  if (isOver({ untilMs, expiredMs })) {
    return [`The key has expired, up to ${timeOf(expiredMs)}: nothing of it shows any more.`];
  }
  const isLost = expiredMs > 0 ? ` It was expired up to ${timeOf(expiredMs)}; later wins.` : "";
  const hasDeadline = untilMs > 0 && untilMs !== neverMs;
  return [`The key ${hasDeadline ? `expires ${timeOf(untilMs)}` : "has no deadline"}.${isLost}`];
}

/** A peer may have written a time that is none. */
function timeOf(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? `${ms} ms` : time.toISOString();
}
