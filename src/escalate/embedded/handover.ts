/**
 * Moving the part over a link, while both ends are open: the steps of `move.ts`. Who is to have it asks
 * (`give`), with the id that is on its disk; the host seals and says so, now and whenever it is asked with that
 * id; then it is asked for its guards (`take`), page by page, and they are written at once. Only over a direct
 * link: once it is sealed no way leads to the host.
 */
import type { Environment } from "../../environment.ts";
import { LockUnavailableError, TrellisError } from "../../errors.ts";
import type { StorageEngine, StoredRecord } from "../../store/storage.ts";
import type { Call, GuardBytes, Replies } from "./authority-message.ts";
import type { DurableAuthority } from "./durable-authority.ts";
import { checkGuard, guardKey, readKeptSeat, resourceOf } from "./guard-records.ts";
import { guardsMax } from "./handover-codec.ts";
import { guardsOf, installGuards, nextClaim, offerTo } from "./move.ts";
import type { RemoteAuthority } from "./remote-authority.ts";
import type { Claim } from "./standing.ts";

/** Bytes of guards in one answer, about: one of the largest goes alone. */
const pageBytes = 1024 * 1024;

/**
 * Gives the part away, if it is here or was given away in this move already.
 * @throws LockUnavailableError otherwise.
 */
export async function give(
  { move, host }: Extract<Call, { kind: "give" }>,
  engine: StorageEngine | undefined,
  authority: DurableAuthority | undefined,
): Promise<Replies["give"]> {
  if (!engine) throw unavailable("it keeps no guards on a disk");
  const seat = await readKeptSeat(engine);
  if (seat.authority?.seal === move) {
    // Not what is recorded: meanwhile that may be of another authority.
    const claim = nextClaim(seat.authority, seat, host);
    return { kind: "given", claim, serial: seat.mark.serial };
  }
  if (!authority?.record) throw unavailable("this replica is not the lock authority");
  const claim = nextClaim(authority.record, seat, host);
  return { kind: "given", claim, serial: await authority.seal(move, claim) };
}

/** A page of what was given away in this move. @throws LockUnavailableError when nothing was. */
export async function take(
  { move, after }: Extract<Call, { kind: "take" }>,
  engine: StorageEngine | undefined,
): Promise<Replies["take"]> {
  const seal = engine && (await readKeptSeat(engine)).authority?.seal;
  if (!engine || seal !== move) throw unavailable("nothing was given away in this move");
  const guards: GuardBytes[] = [];
  let bytes = 0;
  for await (const page of guardsOf(engine, after)) {
    for (const { key, value } of page) {
      const resource = resourceOf(key);
      if (after !== "" && resource === after) continue;
      if (guards.length === guardsMax || (bytes > 0 && bytes + value.length > pageBytes)) {
        return { kind: "guards", guards, isLast: false };
      }
      guards.push({ resource, bytes: Uint8Array.from(value) });
      bytes += value.length;
    }
  }
  return { kind: "guards", guards, isLast: true };
}

/**
 * Takes the part into the store `engine` from the first of these that gives it. The authority that was there before
 * has to be at rest. @throws LockUnavailableError when nobody gives it, or not to the end: begin again; StorageError.
 */
export async function takePart(
  links: readonly RemoteAuthority[],
  to: {
    readonly engine: StorageEngine;
    readonly environment: Environment;
    /** Of the replica. */
    readonly name: string;
  },
): Promise<Claim> {
  const { engine, environment, name: host } = to;
  const move = await offerTo(engine, environment);
  let refusal: Error = unavailable("there is no link");
  for (const remote of links) {
    try {
      const { claim, serial } = await remote.ask({ kind: "give", move, host });
      const guards = takenFrom(remote, move, claim.authority);
      await installGuards(engine, { claim, serial, guards });
      return claim;
    } catch (error) {
      refusal =
        error instanceof TrellisError
          ? error
          : unavailable(`the move did not end (${String(error)}); begin it again`);
    }
  }
  throw refusal;
}

/** All guards of a move, of this birth, from the other end of a link. @throws MalformedError for what is none. */
async function* takenFrom(
  remote: RemoteAuthority,
  move: string,
  birth: string,
): AsyncIterable<readonly StoredRecord[]> {
  let after = "";
  for (;;) {
    const { guards, isLast } = await remote.ask({ kind: "take", move, after });
    for (const { resource, bytes } of guards) checkGuard(bytes, resource, birth);
    yield guards.map(({ resource, bytes }) => ({ key: guardKey(resource), value: bytes }));
    const last = guards.at(-1);
    if (isLast || !last) return;
    after = last.resource;
  }
}

const unavailable = (why: string): LockUnavailableError =>
  new LockUnavailableError(`the part was not given away: ${why}`, { backend: "embedded" });
