/** Do two runs say the same? Rates differ with the machine's mood; ratios in one run should not. */
import {
  type Agreement,
  agreementMax,
  type Cell,
  type CellResult,
  type Results,
} from "./results.ts";

/** The ratios of `now` beside those of an earlier run; undefined if that was of another profile. */
export function agreementWith(before: Results, now: Results): Agreement | undefined {
  if (before.profile !== now.profile) return undefined;
  const earlier = ratiosOf(before);
  const both = [...ratiosOf(now)].flatMap(([id, { cell, ratio }]) => {
    const same = earlier.get(id);
    return same === undefined ? [] : [{ cell, before: same.ratio, now: ratio }];
  });
  return {
    startedAt: before.startedAt,
    compared: both.length,
    apart: both.filter((each) => isApart(each.before, each.now)),
  };
}

const isApart = (before: number, now: number): boolean =>
  Math.max(before, now) / Math.min(before, now) > 1 + agreementMax;

/** Of each cell, its rate over that of the yardstick, which does the same where it can. */
function ratiosOf({
  cells,
  yardstick,
}: Results): ReadonlyMap<string, { readonly cell: Cell; readonly ratio: number }> {
  const rates = new Map(cells.map((each) => [idOf(each), each.measures?.perSecond]));
  return new Map(
    cells.flatMap((each) => {
      const { measures, error: _, ...cell } = each;
      const rate = rates.get(idOf({ ...cell, strategy: yardstick }));
      if (measures === undefined || rate === undefined || each.strategy === yardstick) return [];
      return [[idOf(each), { cell, ratio: measures.perSecond / rate }] as const];
    }),
  );
}

/** Names a cell. */
const idOf = (cell: Cell | CellResult): string =>
  [
    cell.strategy,
    cell.workload,
    cell.zipf,
    cell.keys,
    cell.callers,
    cell.nodes,
    cell.roundTripMs,
    cell.isDurable,
  ].join("/");
