/** What one replica shows and holds, compared with the history. */
import { isDeepStrictEqual } from "node:util";
import { mixedCases } from "../crdt/type-cases.ts";
import { assertWhole, type Dump, dump } from "../store/dump.ts";
import type { History } from "./history.ts";
import type { Life } from "./life.ts";
import type { Plan } from "./plan.ts";

/** Everything that a reader of one replica sees. */
export function checkReads(life: Life, history: History, plan: Plan): void {
  named(life, () => {
    life.checkWhole();
    checkShown(life, history, plan);
    checkSums(life, history);
  });
}

/** Everything that can be said of one replica at any time; what all must agree on is returned. */
export function checkLife(life: Life, history: History, plan: Plan): Dump {
  checkReads(life, history, plan);
  const dumped = dump(life.keyspace);
  named(life, () => {
    checkCells(life, history, dumped);
    assertWhole(life.keyspace);
  });
  return dumped;
}

/** A failure says whose it is. */
function named(life: Life, check: () => void): void {
  try {
    check();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${life.name}: ${reason}`, { cause: error });
  }
}

/** Each key shows what its type means of the writes that are visible here. */
function checkShown(life: Life, history: History, plan: Plan): void {
  const { collections, environment } = life;
  if (collections === undefined) return;
  const reader = { nowMs: environment.now(), aheadMsMax: plan.clockAheadMsMax };
  for (const of of mixedCases) {
    const { collection, specification, costs } = of;
    for (const key of plan.keys) {
      // An empty document is not made only to see that it is.
      if (costs !== undefined && !history.isWritten(collection, key)) continue;
      const meant = specification(history.of(collection, key, life.sees), reader);
      const shown = life.shown(of, key);
      if (isDeepStrictEqual(shown, meant)) continue;
      const texts = `${JSON.stringify(shown)} is shown, ${JSON.stringify(meant)} is meant`;
      throw new Error(`${collection}/${JSON.stringify(key)}: ${texts}`);
    }
  }
}

/** Counters are what the ledger says, to the last one. */
function checkSums(life: Life, history: History): void {
  const { collections } = life;
  if (collections === undefined) return;
  // The open batch is not in the vector yet, but shows.
  life.replica.version();
  for (const [name, sum] of history.sums(life.vector)) {
    const slash = name.indexOf("/");
    const collection = collections[name.slice(0, slash) as "counters" | "left" | "right" | "bulk"];
    const value = collection.value(name.slice(slash + 1));
    if (value !== sum) throw new Error(`${name} is ${value}, the ledger says ${sum}`);
  }
}

/** A cell of a dot holds the same everywhere, and somebody made that dot. */
function checkCells({ vector }: Life, history: History, { slots }: Dump): void {
  for (const [path, cells] of Object.entries(slots)) {
    for (const { actor, sequence, value, payload } of cells) {
      if (sequence > (vector.get(actor) ?? 0)) continue;
      history.batch(actor, sequence);
      const content = payload === undefined ? `${value}` : `${value} ${JSON.stringify(payload)}`;
      history.meant(`${path}@${actor}:${sequence}`, content);
    }
  }
}
