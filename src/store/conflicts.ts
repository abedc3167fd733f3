/** Which concurrent writes lost: told, since last-writer-wins would otherwise drop them silently. */
import type { DataType, Name } from "../crdt/data-type.ts";
import { isExpiring } from "../crdt/expiring.ts";
import { liveCells } from "./collections/registers.ts";
import type { Keyspace } from "./keyspace.ts";
import type { Schema } from "./schema.ts";
import type { Json } from "./values.ts";

/** A register that was written concurrently. */
export interface Conflict {
  readonly collection: string;
  readonly key: string;
  /** Below the key: a map's field; an entry, its field, and what is under that. */
  readonly path: readonly Name[];
  /** What the register shows. */
  readonly value: Json;
  /** What was written concurrently and does not show; kept until somebody writes again. */
  readonly lost: readonly Json[];
}

/** The conflict in a stamped slot, if it is one of last writer wins. */
export function conflictIn(keyspace: Keyspace, schema: Schema, slot: number): Conflict | undefined {
  const { nodes, cells } = keyspace;
  const root = nodes.rootOf(slot);
  if (nodes.isAside(slot)) return undefined;
  const path: Name[] = [];
  let at = slot;
  for (let parent = nodes.parent(at); parent >= 0; parent = nodes.parent(at)) {
    path.unshift(nodes.name(at));
    at = parent;
  }
  const type = schema[root.name];
  const isWrapped = type !== undefined && isExpiring(type);
  if (isWrapped) path.shift();
  if (!isLastWriterWins(isWrapped ? type.base : type, path)) return undefined;
  const [winner, ...losers] = liveCells(keyspace, slot).map((cell) => cells.payload(cell) as Json);
  if (winner === undefined || losers.length === 0) return undefined;
  const key = String(nodes.name(at));
  return { collection: root.name, key, path, value: winner, lost: losers };
}

function isLastWriterWins(type: DataType | undefined, path: readonly Name[]): boolean {
  if (type === undefined) return false;
  if ("fields" in type) {
    const fields = type.fields as Readonly<Record<string, DataType>>;
    return isLastWriterWins(fields[String(path[1])], []);
  }
  return type.tag.startsWith("lww-");
}
