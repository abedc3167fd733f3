/**
 * What one holder does to the record of a pool. A step is computed from the record as it is, perhaps several
 * times, and changes nothing but that: what came of it is learned when it is written.
 */
import { UsageError } from "../../errors.ts";
import { grantOf } from "./chunk.ts";
import type { Holding, Kept } from "./holding.ts";
import type { Line } from "./line.ts";
import {
  close,
  enter,
  entriesMax,
  freeOf,
  paceOf,
  type Pool,
  type PoolEntry,
  reachOf,
  report,
  sharersOf,
  type Side,
  standingOf,
  wantedByOthers,
} from "./pool.ts";
import { type Opening, openPool, poolResource, savePool } from "./pool-opening.ts";
import { reportShown, unrecorded } from "./shown-report.ts";
import type { Surroundings } from "./surroundings.ts";

/** Who waits for so long says so in the record, in ms. */
const wantsAfterMs = 300;
const nameMax = 64;
/** Paces are kept as spends in so many ms. */
const paceMs = 1_000_000;

/** The pool has closed this holder. */
export class ClosedHere extends Error {}

/** What was known before the record was read. */
export interface Before {
  /** Of the store. */
  readonly birth: string;
  /** Whether somebody has shown that there is a record. */
  readonly isKnown: boolean;
}

/** What a round has found. */
export interface Round {
  readonly pool: Pool;
  readonly entry: PoolEntry;
  /** Rights that were created by holders of whom the record knows nothing. */
  readonly unrecorded: Readonly<Record<Side, number>>;
}

/** The steps of one holder. */
export class PoolSteps {
  readonly #holding: Holding;
  readonly #at: Surroundings;
  readonly #resource: string;
  readonly #sides: readonly Side[];
  readonly #lines: Readonly<Record<Side, Line>>;

  constructor(holding: Holding, at: Surroundings, lines: Readonly<Record<Side, Line>>) {
    this.#holding = holding;
    this.#at = at;
    this.#resource = poolResource(holding);
    this.#sides = holding.up ? ["down", "up"] : ["down"];
    this.#lines = lines;
  }

  /** To be asked before the record is read: somebody may make it, and show that, meanwhile. */
  isKnown(): boolean {
    for (const [, { phase }] of this.#at.figures.of(this.#holding.key)) if (phase > 0) return true;
    return false;
  }

  /** The step of one round. @throws ClosedHere; as of `openPool`; UsageError too many holders */
  next(
    current: Uint8Array | undefined,
    before: Before,
    isAhead: boolean,
  ): { readonly value?: Uint8Array; readonly result: Round } {
    const pool = openPool(current, this.#opening(before));
    const isNew = !pool.entries.has(this.#holding.holder);
    const entry = this.#entry(pool);
    let isChanged = isNew;
    const { kept } = this.#holding;
    for (const side of this.#sides) if (report(entry[side], kept[side])) isChanged = true;
    const isWaitedFor = this.#sides.some((side) => this.#lines[side].size > 0);
    if (isWaitedFor && reportShown(pool, this.#at.figures, this.#holding)) isChanged = true;
    const creations = unrecorded(pool, this.#at.figures, this.#holding);
    for (const side of this.#sides) {
      if (this.#grant(pool, side, creations[side], isAhead)) isChanged = true;
    }
    const result = { pool, entry, unrecorded: creations };
    if (!isChanged) return { result };
    entry.seenMs = this.#at.environment.now();
    return { value: savePool(pool), result };
  }

  /**
   * The last step of a holder that is retired: all that is left goes back. False if it cannot be told whether
   * that was done before, long ago.
   */
  last(
    current: Uint8Array | undefined,
    before: Before,
  ): { readonly value?: Uint8Array; readonly result: boolean } {
    const pool = openPool(current, this.#opening(before));
    const standing = standingOf(pool, this.#holding.holder);
    if (standing === "closed") return { result: true };
    if (standing === "perhaps-closed") return { result: false };
    const entry = this.#entry(pool);
    const { kept } = this.#holding;
    for (const side of this.#sides) {
      // With the rights of rounds whose answers were lost, but not what a key may count as spent yet.
      const { created, spent, reserved } = kept[side];
      const left = created + entry[side].granted - spent - reserved;
      const returned = Math.max(0, left - setAsideIn(kept, side));
      report(entry[side], { created, spent, returned });
    }
    close(pool, entry);
    entry.seenMs = this.#at.environment.now();
    return { value: savePool(pool), result: true };
  }

  #opening({ birth, isKnown }: Before): Opening {
    const { environment, bounds } = this.#at;
    const holding = this.#holding;
    const { collection, key, holder, seen } = holding;
    const granted = { down: holding.down.granted, up: holding.up?.granted ?? 0 };
    return {
      ...{ environment, resource: this.#resource, bounds, birth },
      ...{ collection, key, holder, seen, granted, isKnown },
    };
  }

  #entry(pool: Pool): PoolEntry {
    const { holder } = this.#holding;
    const entry = pool.entries.get(holder);
    const standing = standingOf(pool, holder);
    const isGone = standing === "perhaps-closed" && this.#holding.seen !== undefined;
    if (standing === "closed" || isGone) throw new ClosedHere();
    if (entry) return entry;
    if (pool.entries.size >= entriesMax) {
      throw new UsageError(
        `${this.#resource} has ${entriesMax} holders that were not closed: reclaim what the dead ones hold`,
      );
    }
    return enter(pool, holder, this.#at.name.slice(0, nameMax));
  }

  /** What is granted, and what is waited for. */
  #grant(pool: Pool, side: Side, creations: number, isAhead: boolean): boolean {
    const account = this.#holding.account(side);
    if (!account) return false;
    const nowMs = this.#at.environment.now();
    const share = this.#entry(pool)[side];
    const line = this.#lines[side];
    const free = Math.max(0, freeOf(pool, side));
    // What was granted by a round whose answer was lost.
    const unseen = Math.max(0, share.granted - account.granted);
    const rights = account.rights + unseen;
    const fitting = line.fitting(rights + free);
    const needed = Math.max(0, fitting - rights);
    const isWanted = wantedByOthers(pool, side, this.#holding.holder, nowMs) > 0;
    const { perMs } = this.#holding.rates[side];
    const mayTakeMore = !isWanted && (isAhead || line.size > 0);
    share.pace = Math.round(perMs * paceMs);
    const part = share.pace / Math.max(1, paceOf(pool, side, nowMs));
    const sharers = sharersOf(pool, nowMs);
    const grant = mayTakeMore
      ? grantOf({ free, perMs, part, needed, rights, sharers })
      : Math.min(free, needed);
    // Who waits for a moment only asks over the links.
    const wants = line.hasWaited(wantsAfterMs)
      ? Math.max(0, line.wantedWithin(reachOf(pool, side) + creations) - fitting)
      : 0;
    if (grant === 0 && share.wants === wants) return false;
    share.granted += grant;
    share.wants = wants;
    return true;
  }
}

/** Rights of changes of which it is not known yet whether they are to be. */
const setAsideIn = ({ pending }: Kept, spent: Side): number =>
  pending.reduce((sum, { side, by }) => (side === spent ? sum + by : sum), 0);
