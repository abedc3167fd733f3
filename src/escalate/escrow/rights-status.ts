/** What to show of rights: what is here, and what earlier openings have left. */
import type { Counters } from "./counters.ts";
import type { Former } from "./former-holders.ts";
import type { HoldingState } from "./holding.ts";
import { rightsOf } from "./pool.ts";

/** An earlier opening of this directory. */
export interface FormerStatus {
  readonly holder: string;
  /** As far as its disk knows. */
  readonly rights: number;
  /** `retired`: on the way back to the pool; `held`: spent by nobody until an operator answers for them. */
  readonly state: HoldingState;
}

/** One counter. */
export interface RightsStatus {
  readonly collection: string;
  readonly key: string;
  /** To decrement, here and now. */
  readonly rights: number;
  /** Of them, what is spent without waiting for the disk: a crash strands it. */
  readonly reserved: number;
  /** To increment; only with an upper bound. */
  readonly upRights?: number;
  /** Callers that wait for rights. */
  readonly waiting: number;
  /** Why nothing is spent here any more. */
  readonly stopped?: string;
  readonly holders: readonly FormerStatus[];
}

/** Counters that are shown. */
const shownMax = 1_000;

/** O(counters). */
export function statusOf(
  collections: Iterable<Counters>,
  former: Iterable<Former>,
): readonly RightsStatus[] {
  const held = new Map<string, FormerStatus[]>();
  const names = new Map<string, { readonly collection: string; readonly key: string }>();
  const nameOf = (collection: string, key: string): string => JSON.stringify([collection, key]);
  for (const { holding } of former) {
    const { collection, key, holder, state, kept } = holding;
    const name = nameOf(collection, key);
    names.set(name, { collection, key });
    held.set(name, [...(held.get(name) ?? []), { holder, rights: rightsOf(kept.down), state }]);
  }
  const statuses: RightsStatus[] = [];
  for (const counters of collections) {
    for (const { holding, waiting } of counters.contacts) {
      if (statuses.length >= shownMax) return statuses;
      const { collection, key, down, up, stopped } = holding;
      const name = nameOf(collection, key);
      names.delete(name);
      statuses.push({
        ...{
          collection,
          key,
          rights: down.rights + down.blocking,
          reserved: down.reserved,
          waiting,
        },
        ...(up ? { upRights: up.rights + up.blocking } : {}),
        ...(stopped ? { stopped: stopped.message } : {}),
        holders: held.get(name) ?? [],
      });
    }
  }
  for (const [name, named] of names) {
    if (statuses.length >= shownMax) break;
    statuses.push({ ...named, rights: 0, reserved: 0, waiting: 0, holders: held.get(name) ?? [] });
  }
  return statuses;
}
