/** What a run says of the rules: who broke which, and who did not answer. */
import type { Results, StrategyEntry, Violations } from "../results.ts";
import { count, counted, duration } from "./numbers.ts";

/** A strategy that broke rules. */
export interface Broken {
  readonly strategy: StrategyEntry;
  readonly total: number;
  /** Cells and faults in which it did. */
  readonly places: number;
  /** Which, and how often. */
  readonly kinds: string;
}

const kinds: Readonly<Record<Exclude<keyof Violations, "total">, string>> = {
  oversold: "oversold",
  doubled: "given twice",
  lost: "lost",
  conjured: "from nowhere",
  divergent: "divergent",
};

/** The kinds of violations that there were, in words. */
export const kindsOf = (violations: Violations): string =>
  Object.entries(kinds)
    .map(([kind, words]) => ({ words, times: violations[kind as keyof typeof kinds] }))
    .filter(({ times }) => times > 0)
    .map(({ words, times }) => `${count(times)} ${words}`)
    .join(", ");

/** Who broke rules, over all cells and faults. */
export function brokenOf(results: Results): readonly Broken[] {
  return results.strategies.flatMap((strategy) => {
    const found = [
      ...results.cells.map(({ strategy: name, measures }) => ({ name, measures })),
      ...results.faults.map((fault) => ({ name: fault.strategy, measures: fault })),
    ]
      .filter(({ name }) => name === strategy.name)
      .flatMap(({ measures }) => measures?.violations ?? [])
      .filter(({ total }) => total > 0);
    if (found.length === 0) return [];
    const all = found.reduce(sum);
    return [{ strategy, total: all.total, places: found.length, kinds: kindsOf(all) }];
  });
}

/** The verdict in a few sentences. */
export function verdictLines(results: Results): readonly string[] {
  const { strategies, cells, faults, scaling, seconds } = results;
  const skipped = strategies.filter((each) => each.skipped !== undefined).length;
  const errored = cells.filter(({ error }) => error !== undefined).length;
  const took = [
    counted(strategies.length - skipped, "strategy", "strategies"),
    `${counted(cells.length - errored, "cell")} measured`,
    ...(faults.length > 0 ? [counted(faults.length, "fault")] : []),
    ...(scaling.length > 0 ? [counted(scaling.length, "series of scale", "series of scale")] : []),
    duration(seconds),
  ];
  const missing = [
    ...(skipped > 0 ? [`${counted(skipped, "strategy", "strategies")} skipped`] : []),
    ...(errored > 0 ? [`${counted(errored, "cell")} without a result`] : []),
  ];
  return [
    `${took.join(", ")}${missing.length > 0 ? ` (${missing.join(", ")})` : ""}.`,
    ...rulesLines(results),
  ];
}

function rulesLines(results: Results): readonly string[] {
  const broken = brokenOf(results);
  const isStrawman = ({ strategy }: Broken): boolean => strategy.isStrawman === true;
  const serious = broken.filter((each) => !isStrawman(each));
  const straw = broken.filter(isStrawman);
  const told = (all: readonly Broken[]): string =>
    all
      .map(
        ({ strategy, total, kinds: which }) => `${strategy.name} ${count(total)} times (${which})`,
      )
      .join("; ");
  const hasStrawman = results.strategies.some(
    (each) => each.isStrawman && each.skipped === undefined,
  );
  if (serious.length > 0) {
    return [
      `Invariants broken: by ${told(serious)}${straw.length > 0 ? `; and by the strawman, as it must: ${told(straw)}` : ""}.`,
    ];
  }
  if (straw.length > 0) {
    return [
      `Invariants broken: none, except by the strawman, which is here to show that it would be seen: ${told(straw)}.`,
    ];
  }
  return hasStrawman
    ? [
        "Invariants broken: none; not by the strawman either, so it is not shown that it would be seen.",
      ]
    : ["Invariants broken: none. No strawman took part, so it is not shown that it would be seen."];
}

const sum = (left: Violations, right: Violations): Violations => ({
  total: left.total + right.total,
  oversold: left.oversold + right.oversold,
  doubled: left.doubled + right.doubled,
  lost: left.lost + right.lost,
  conjured: left.conjured + right.conjured,
  divergent: left.divergent + right.divergent,
});
