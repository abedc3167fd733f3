/** Finds, among all cells of a run, those that a table or a chart is about. */
import {
  axes,
  type Axis,
  type Cell,
  type CellResult,
  type Measures,
  type Results,
  type StrategyEntry,
} from "../results.ts";
import { type WorkloadName, workloadNames } from "../workload.ts";

/** A cell that could be measured. */
export interface Measured {
  readonly cell: Cell;
  readonly strategy: StrategyEntry;
  readonly measures: Measures;
  /** Of its throughput to that of the yardstick in the same cell. */
  readonly ratio: number | undefined;
}

/** The cells from which one thing at a time is varied, the fastest first; one for each strategy. */
export function baseOf(results: Results, workload: WorkloadName): readonly Measured[] {
  const byStrategy = new Map<string, Measured>();
  for (const each of measuredOf(results, workload)) {
    const before = byStrategy.get(each.cell.strategy);
    const isBetter = before === undefined || before.cell.isDurable !== results.base.isDurable;
    if (isBetter && isAtBase(results, each)) byStrategy.set(each.cell.strategy, each);
  }
  return [...byStrategy.values()].toSorted(
    (left, right) => right.measures.perSecond - left.measures.perSecond,
  );
}

/** The cells that are at the base in all but `axis`, of strategies that have at least two of them. */
export function along(
  results: Results,
  workload: WorkloadName,
  axis: Axis,
): ReadonlyMap<string, readonly Measured[]> {
  const found = measuredOf(results, workload).filter((each) => isAtBase(results, each, axis));
  const names = [...new Set(found.map(({ cell }) => cell.strategy))];
  const isVaried = (cells: readonly Measured[]): boolean =>
    new Set(cells.map(({ cell }) => cell[axis])).size > 1;
  return new Map(
    names
      .map((name) => [name, found.filter(({ cell }) => cell.strategy === name)] as const)
      .filter(([, cells]) => isVaried(cells)),
  );
}

/** The workloads of which something was measured. */
export const workloadsOf = (results: Results): readonly WorkloadName[] =>
  workloadNames.filter((name) => results.cells.some(({ workload }) => workload === name));

/** A cell in a few words, without its strategy and workload. */
export const placeOf = (cell: Cell): string =>
  [
    `zipf ${cell.zipf}`,
    `${cell.callers} callers`,
    `${cell.nodes} nodes`,
    `${cell.roundTripMs} ms`,
    cell.isDurable ? "durable" : "in memory",
  ].join(", ");

/** The cells that could be measured. */
export function measuredOf(results: Results, workload?: WorkloadName): readonly Measured[] {
  const strategies = new Map(results.strategies.map((each) => [each.name, each]));
  return results.cells.flatMap((cell) => {
    const strategy = strategies.get(cell.strategy);
    if (cell.measures === undefined || strategy === undefined) return [];
    if (workload !== undefined && cell.workload !== workload) return [];
    return [{ cell, strategy, measures: cell.measures, ratio: ratioOf(results, cell) }];
  });
}

function ratioOf(results: Results, cell: CellResult): number | undefined {
  const fields = ["workload", "keys", ...axes] as const;
  const yardstick = results.cells.find(
    (other) =>
      other.strategy === results.yardstick && fields.every((field) => other[field] === cell[field]),
  );
  const [mine, its] = [cell.measures?.perSecond, yardstick?.measures?.perSecond];
  return mine === undefined || its === undefined || its === 0 ? undefined : mine / its;
}

function isAtBase({ base }: Results, { cell, strategy }: Measured, except?: Axis): boolean {
  // What is never durable, or always, is at the base as it is.
  const isFixed = strategy.durable === undefined || strategy.volatile === undefined;
  return axes.every(
    (axis) => axis === except || cell[axis] === base[axis] || (axis === "isDurable" && isFixed),
  );
}
