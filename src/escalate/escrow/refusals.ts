/** What callers are told that get no rights, and what the operator is told. */
import {
  ClosedError,
  InsufficientError,
  RightsUnavailableError,
  StoreRolledBackError,
} from "../../errors.ts";
import { type Pool, rightsOf, type Side } from "./pool.ts";

/** Which counter. */
export interface Named {
  readonly collection: string;
  readonly key: string;
}

/** One who holds rights, for people. */
export interface NamedHolder {
  readonly holder: string;
  readonly rights: number;
}

/** Holders with rights, those with most of them first. */
const namedMax = 16;

const quoted = ({ collection, key }: Named): string =>
  `${JSON.stringify(key)} of ${JSON.stringify(collection)}`;

/** The name alone: what is named may be more than that. */
const nameOf = ({ collection, key }: Named): Named => ({ collection, key });

/** Who holds what, as a record has it. */
export function holdersIn(pool: Pool, side: Side): NamedHolder[] {
  const holders: NamedHolder[] = [];
  for (const entry of pool.entries.values()) {
    const rights = rightsOf(entry[side]);
    if (rights === 0) continue;
    const stranded = entry.isClosed ? ", stranded" : "";
    holders.push({ holder: `${entry.name} (${entry.id.slice(-8)}${stranded})`, rights });
  }
  return holders.sort((left, right) => right.rights - left.rights).slice(0, namedMax);
}

export const insufficient = (
  named: Named,
  requested: number,
  available: number,
): InsufficientError =>
  new InsufficientError(
    `${quoted(named)}: ${requested} were asked for, ${available} are left anywhere; nothing was spent`,
    { ...nameOf(named), requested, available },
  );

export function unavailable(
  named: Named,
  requested: number,
  holders: readonly NamedHolder[],
  cause?: unknown,
): RightsUnavailableError {
  const who = holders.map(({ holder, rights }) => `${holder} has ${rights}`).join(", ");
  const why =
    cause instanceof Error
      ? `the pool cannot be asked (${cause.message})`
      : `others did not give them up in time${who === "" ? "" : `: ${who}`}`;
  return new RightsUnavailableError(
    `${quoted(named)}: ${requested} were asked for; ${why}. Nothing was spent`,
    { ...nameOf(named), requested, holders, ...(cause === undefined ? {} : { cause }) },
  );
}

/** The pool has closed this holder, while its process lives. */
export const fenced = (named: Named): RightsUnavailableError =>
  new RightsUnavailableError(
    `${quoted(named)}: this replica's rights were taken from it, by an operator or because its directory ` +
      "was opened again elsewhere; it spends nothing more until it is opened again",
    { ...nameOf(named), requested: 0, holders: [] },
  );

export const rolledBack = (named: Named, resource: string, what: string): StoreRolledBackError =>
  new StoreRolledBackError(
    `the pool of ${quoted(named)} ${what}: the store was set back, wiped or changed for another; the ` +
      "rights that were granted are held, nothing of them is spent",
    { resource },
  );

export const closing = (): ClosedError => new ClosedError("the replica is closed");
