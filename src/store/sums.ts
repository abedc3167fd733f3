/** Counters at the edge of the safe integers. */
import { type Cells, noCell } from "../crdt/cells.ts";
import { isSafe } from "../crdt/counter.ts";
import { CounterRangeError } from "../errors.ts";
import type { Nodes } from "./nodes.ts";

/** A counter's value. Beyond the safe integers adding is not exact, and must not depend on the order. */
export function exactTotal(nodes: Nodes, cells: Cells, node: number): number {
  let quick = 0;
  let isExact = true;
  for (let cell = nodes.head(node); cell !== noCell && isExact; cell = cells.next(cell)) {
    quick += cells.value(cell);
    isExact = isSafe(quick);
  }
  if (isExact) return quick;
  let total = 0n;
  for (let cell = nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
    total += BigInt(cells.value(cell));
  }
  return Number(total);
}

/** Refuses to move a counter out of the safe integers. */
export function outOfRange(nodes: Nodes, node: number, by: number): never {
  const key = String(nodes.name(node));
  const collection = nodes.rootOf(node).name;
  const value = nodes.total(node);
  throw new CounterRangeError(
    `${collection} ${JSON.stringify(key)} at ${value} cannot move by ${by} within the safe ` +
      "integers; nothing was changed",
    { collection, key, by, value },
  );
}
