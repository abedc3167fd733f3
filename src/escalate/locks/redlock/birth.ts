/**
 * Who several masters are together: one id, drawn by whoever comes first, set on all of them. A master
 * without it has forgotten what it promised, so its votes do not count. Setting it takes two steps, so that
 * a client that dies in between leaves something that tells from a master that was wiped.
 */
import { LockUnavailableError } from "../../../errors.ts";
import { RedisSettingsError } from "../redis/settings.ts";
import { cast, type RedlockMasters, textIn, type Vote } from "./masters.ts";

/** Before an id that is not yet on all masters. */
const unsettled = "~";

/**
 * The birth of a store, which is drawn now, as `candidate`, if it has none.
 * @throws LockUnavailableError also when the first use does not reach all masters, or too many were wiped.
 */
export async function birthOf(masters: RedlockMasters, candidate: string): Promise<string> {
  const keys = [masters.keys.birth];
  const ask = (isPatient: boolean): Promise<readonly Vote<string | undefined>[]> =>
    masters.ask("birth", keys, [], { read: textIn, isPatient });
  let votes = await ask(false);
  let known = knownIn(votes, masters);
  if (known === undefined && cast(votes).length < masters.count) {
    votes = await ask(true);
    known = knownIn(votes, masters);
  }
  const badly = votes.find(({ kind, ...vote }) => {
    return kind === "none" && "error" in vote && vote.error instanceof RedisSettingsError;
  });
  if (badly) masters.fail(votes);
  const found = cast(votes);
  if (found.length < masters.majority) masters.fail(votes);
  const settled = found.filter(isSettled);
  if (known !== undefined) {
    // Who drew it died before all masters had it for good; one without it has no vote.
    if (found.includes(pending(known))) {
      await masters.ask("settle", keys, [pending(known), known], { read: textIn });
    }
    return known;
  }
  if (found.length < masters.count) {
    throw new LockUnavailableError("the first use of a store needs all its masters");
  }
  if (settled.length > 0 && found.includes(undefined)) {
    throw new LockUnavailableError(
      `only ${settled.length} of ${masters.count} masters know the birth of the store: the others were wiped`,
    );
  }
  const ids = await masters.inOrder(
    "seed",
    keys,
    ([first]: readonly (string | undefined)[]) => [bare(first) ?? candidate].map(pending),
    textIn,
  );
  const id = bare(ids[0]) ?? candidate;
  const after = await masters.inOrder("settle", keys, () => [pending(id), id], textIn);
  const agreed = mostOf(after, masters.majority);
  if (agreed === undefined) throw new LockUnavailableError("the masters are of different births");
  return agreed;
}

const isSettled = (id: string | undefined): boolean =>
  id !== undefined && !id.startsWith(unsettled);

const knownIn = (
  votes: readonly Vote<string | undefined>[],
  { majority }: RedlockMasters,
): string | undefined => mostOf(cast(votes).filter(isSettled), majority);

const pending = (id: string): string => unsettled + id;

const bare = (id: string | undefined): string | undefined =>
  id?.startsWith(unsettled) === true ? id.slice(unsettled.length) : id;

const mostOf = (ids: readonly (string | undefined)[], majority: number): string | undefined =>
  ids.find((id) => id !== undefined && ids.filter((other) => other === id).length >= majority);
