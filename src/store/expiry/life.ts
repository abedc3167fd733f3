/** Reads the life of a key (`crdt/expiring.ts`): until when it lives, and up to where it is expired. */
import { noCell } from "../../crdt/cells.ts";
import { contentName, lifeName, readExpired, readUntil } from "../../crdt/expiring.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Root } from "../nodes.ts";

/** What all cells of a life say together; ms since the Unix epoch, 0 for nothing. */
export interface Life {
  readonly untilMs: number;
  readonly expiredMs: number;
}

/** The slot of a key's content; undefined if there is none. */
export const contentOf = ({ nodes }: Keyspace, key: number): number | undefined =>
  nodes.container(key)?.children.get(contentName);

/** The slot of a key's life; undefined if there is none. */
export const lifeSlotOf = ({ nodes }: Keyspace, key: number): number | undefined =>
  nodes.container(key)?.children.get(lifeName);

/** What a life says. O(cells), mostly one. */
export function lifeIn({ cells, nodes }: Keyspace, slot: number | undefined): Life {
  let [untilMs, expiredMs] = [0, 0];
  if (slot === undefined) return { untilMs, expiredMs };
  for (let cell = nodes.head(slot); cell !== noCell; cell = cells.next(cell)) {
    if (!cells.isLive(cell)) continue;
    const payload = cells.payload(cell);
    untilMs = Math.max(untilMs, readUntil(payload));
    expiredMs = Math.max(expiredMs, readExpired(payload));
  }
  return { untilMs, expiredMs };
}

/** Whether a life is over: it is expired up to all its deadlines. Nothing said is no end. */
export const isOver = ({ untilMs, expiredMs }: Life): boolean =>
  expiredMs > 0 && untilMs <= expiredMs;

/** Whether the key has expired, whatever is left of it. O(cells), mostly one. */
export function hasExpired(keyspace: Keyspace, key: number): boolean {
  const slot = lifeSlotOf(keyspace, key);
  if (slot === undefined) return false;
  const head = keyspace.nodes.head(slot);
  // Almost always there is one cell.
  if (head !== noCell && keyspace.cells.next(head) === noCell) {
    return keyspace.cells.isLive(head) && readExpired(keyspace.cells.payload(head)) > 0;
  }
  return isOver(lifeIn(keyspace, slot));
}

/** How many keys of a collection show. O(keys) if they may expire. */
export function keysShown(keyspace: Keyspace, { shape, keys, live }: Root): number {
  if (shape.kind !== "fields" || shape.isEnvelope !== true) return live;
  let shown = 0;
  for (const key of keys.values()) {
    if (keyspace.isLive(key) && !hasExpired(keyspace, key)) shown++;
  }
  return shown;
}
