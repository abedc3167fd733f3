/** What there is to count of rights: mostly kept in each holding anyway, so it is added up when it is asked for. */
import type { Counters } from "./counters.ts";
import type { Former } from "./former-holders.ts";
import { rightsOf, type Side, sides } from "./pool.ts";
import type { RightsRefusal } from "./rights-tally.ts";

/** One side of all counters of a collection, as of this opening. */
export interface SideFigures {
  readonly side: Side;
  /** Can be spent here now. */
  held: number;
  /** Of them, what a crash would strand. */
  reserved: number;
  /** With closed holders, as the pools said last. */
  stranded: number;
  granted: number;
  returned: number;
  created: number;
  spent: number;
}

/** One collection. */
export interface RightsFigures {
  readonly collection: string;
  /** `up` only with an upper bound. */
  readonly sides: readonly SideFigures[];
  /** Calls that wait now. */
  waiting: number;
  /** Counters from which nothing is spent any more. */
  stopped: number;
  /** With earlier openings of this directory. */
  unsettled: number;
  /** Calls that waited so far, recalls, and calls that got nothing. */
  readonly waits: number;
  readonly recalls: number;
  readonly refusals: Readonly<Record<RightsRefusal, number>>;
}

/** O(counters that were used here). */
export function figuresOf(
  collections: Iterable<Counters>,
  former: Iterable<Former>,
): RightsFigures[] {
  const byName = new Map<string, RightsFigures>();
  for (const counters of collections) byName.set(counters.name, figuresOfOne(counters));
  for (const { holding } of former) {
    const figures = byName.get(holding.collection);
    if (figures) figures.unsettled += rightsOf(holding.kept.down);
  }
  return [...byName.values()];
}

function figuresOfOne({ name, type, tally, contacts }: Counters): RightsFigures {
  const counted = type.max === undefined ? (["down"] as const) : sides;
  const figures: RightsFigures = {
    collection: name,
    sides: counted.map((side) => ({
      ...{ side, held: 0, reserved: 0, stranded: 0 },
      ...{ granted: 0, returned: 0, created: 0, spent: 0 },
    })),
    ...{ waiting: 0, stopped: 0, unsettled: 0 },
    waits: tally?.waits ?? 0,
    recalls: tally?.recalls ?? 0,
    refusals: tally?.refusals ?? { insufficient: 0, affordable: 0, unreachable: 0 },
  };
  for (const { holding, waiting, stranded } of contacts) {
    figures.waiting += waiting;
    if (holding.stopped) figures.stopped++;
    for (const sum of figures.sides) {
      const account = holding.account(sum.side);
      if (!account) continue;
      sum.held += account.rights + account.blocking;
      sum.reserved += account.reserved;
      sum.stranded += stranded[sum.side];
      sum.granted += account.granted;
      sum.returned += account.returned;
      sum.created += account.created;
      sum.spent += account.spent;
    }
  }
  return figures;
}
