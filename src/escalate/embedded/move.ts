/**
 * Moves the lock authority, or puts another one in its place. How is it never in two places? The part is given
 * away before it is taken, and each step is one synchronised write:
 *
 *   1. where it goes    an _offer_: the id of this move
 *   2. where it is      a _seal_ with that id and the claim of the next generation: it serves no more, for good
 *   3. where it goes    all guards, the authority and that claim, in one write: it serves from now on
 *   4. where it was     the guards go
 *
 * After a crash between two of them the same move is run again and goes on where it was: until 3 nobody
 * serves, and only who has the offer can take what is sealed for it. Both are open here, under their locks.
 *
 * Guards keep their birth, so whoever knew them goes on: values, versions, tokens, remembered ids, and
 * leases, which live on for as long as they may have had left at any time, counted from the next start.
 */
import type { Environment } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import { foreignKinds } from "../../store/image.ts";
import type { StorageEngine, StoredRecord, WriteBatch } from "../../store/storage.ts";
import { objection, type Witness } from "../witness.ts";
import {
  type AuthorityRecord,
  authorityKey,
  claimKey,
  guardKey,
  isSeated,
  type KeptSeat,
  markKey,
  offerKey,
  readGuards,
  readKeptSeat,
  writeAuthority,
  writeMark,
  writeOffer,
} from "./guard-records.ts";
import { Serials } from "./serials.ts";
import { type Claim, replacesMax, writeClaim } from "./standing.ts";

/** A store of a replica, open here and nowhere else. */
export interface Place {
  readonly engine: StorageEngine;
  /** For people: of the replica that it belongs to. */
  readonly name: string;
  readonly witness: Witness;
}

/** What is to be moved. */
export interface MoveOptions {
  readonly from: Place;
  readonly to: Place;
  readonly environment: Environment;
  /** As `exclusive` of a replica's storage, for `from`. */
  readonly isExclusive?: boolean;
}

/** What came of it. */
export interface Moved {
  readonly claim: Claim;
  readonly guards: number;
}

const idBytes = 16;
/** In the place of the id of a move that was ended. */
const sealedForGood = "done";

const drawn = (environment: Environment): string =>
  Buffer.from(environment.randomBytes(idBytes)).toString("hex");

/**
 * Moves it; again after a crash.
 * @throws UsageError when that cannot be: nothing was changed; StorageError: run it again.
 */
export async function moveAuthority(options: MoveOptions): Promise<Moved> {
  const { from, to, environment } = options;
  const [source, target] = [await readKeptSeat(from.engine), await readKeptSeat(to.engine)];
  let { authority } = source;
  if (!authority || (authority.seal === "" && !isSeated(source))) {
    throw new UsageError(`${from.engine.location} is not the lock authority${whoIs(source)}`);
  }
  // Step 3 was done, whatever came after it.
  const isThere =
    target.authority?.birth === authority.birth &&
    target.authority.generation > authority.generation;
  if (isThere && authority.seal !== "") {
    await end(from.engine, authority);
    const claim = target.claim ?? nextClaim(authority, source, to.name);
    return { claim, guards: await count(to.engine) };
  }
  if (isSeated(target) && target.authority?.birth !== authority.birth) {
    throw new UsageError(`${to.engine.location} is a lock authority itself${whoIs(target)}`);
  }
  if (authority.seal !== "" && authority.seal !== target.offer) {
    if (authority.seal === sealedForGood || options.isExclusive !== true) {
      throw new UsageError(
        `${from.engine.location} gave the part away in another move${whoIs(source)}; go on with that one` +
          (authority.seal === sealedForGood ? "" : ", or if its place is lost, say --exclusive"),
      );
    }
    // Above what the other place may have become.
    authority = { ...authority, generation: authority.generation + 1, seal: "" };
  }
  const next = nextClaim(authority, source, to.name);
  // Whatever is there is to be readable before anything is given away.
  await readGuards(from.engine, authority.birth, 0);
  const offer = await offerTo(to.engine, environment);
  let { mark } = source;
  if (authority.seal === "")
    mark = { ...mark, serial: await seal(options, { ...source, authority }, next, offer) };
  const guards = await installGuards(to.engine, {
    ...{ claim: next, serial: mark.serial },
    guards: guardsOf(from.engine),
  });
  await end(from.engine, { ...authority, seal: offer });
  return { claim: next, guards };
}

/** The claim of who is to have it next. */
export function nextClaim(
  { birth, generation, epoch }: AuthorityRecord,
  { claim }: KeptSeat,
  host: string,
): Claim {
  const replaces = claim?.authority === birth ? claim.replaces : [];
  const known = claim?.authority === birth ? claim.epoch : 0;
  return {
    ...{ authority: birth, generation: generation + 1, epoch: Math.max(epoch, known) },
    ...{ replaces, host, isDurable: true, isEstablished: true },
  };
}

/** Step 2. Returns the serial of that write: older copies of the store are behind it. */
async function seal(
  { from, isExclusive = false }: MoveOptions,
  { authority, mark }: KeptSeat,
  claim: Claim,
  offer: string,
): Promise<number> {
  if (!authority) throw new Error("assertion: nothing to seal");
  const { engine, witness } = from;
  const testimony = await witness.recall(authority.birth);
  const why = objection(mark, testimony, isExclusive);
  if (testimony.kind === "in-use") {
    throw new UsageError(
      `${engine.location}: ${why}. Stop that, and move its directory; nothing was changed`,
    );
  }
  if (why !== undefined) {
    throw new UsageError(
      `${engine.location} may not be the newest state of the lock authority: ${why}. If no copy of it runs ` +
        "anywhere, and there never was a newer state of it, say --exclusive; nothing was changed",
    );
  }
  const serial = Math.max(mark.serial, testimony.kind === "left" ? testimony.serial : 0);
  const stand = await witness.take(authority.birth, testimony.turn, serial);
  if (!stand) throw new UsageError(`a copy of ${engine.location} was opened at the same time`);
  try {
    const serials = new Serials(stand, serial);
    const batch = engine.batch();
    batch.put(authorityKey(), writeAuthority({ ...authority, seal: offer }));
    batch.put(claimKey(), writeClaim(claim));
    serials.put(batch, true);
    await written(batch);
    serials.written();
    return serial + 1;
  } finally {
    stand.leave();
  }
}

/** Step 3. Returns how many there are. @throws StorageError: nothing was written. */
export async function installGuards(
  engine: StorageEngine,
  options: {
    readonly claim: Claim;
    /** Of the seal. */
    readonly serial: number;
    readonly guards: AsyncIterable<readonly StoredRecord[]>;
  },
): Promise<number> {
  const { claim, serial } = options;
  const { authority: birth, epoch, generation } = claim;
  const batch = engine.batch();
  try {
    for await (const page of guardsOf(engine)) for (const { key } of page) batch.delete(key);
    let guards = 0;
    for await (const page of options.guards) {
      for (const { key, value } of page) batch.put(key, value);
      guards += page.length;
    }
    batch.put(authorityKey(), writeAuthority({ birth, epoch, generation, seal: "" }));
    batch.put(claimKey(), writeClaim(claim));
    batch.put(markKey(), writeMark({ serial, isClosed: true }));
    batch.delete(offerKey());
    await batch.write({ sync: true });
    return guards;
  } catch (error) {
    batch.discard();
    throw error;
  }
}

/** Step 1: the id of the move to here, drawn now unless one was begun. */
export async function offerTo(engine: StorageEngine, environment: Environment): Promise<string> {
  const { offer } = await readKeptSeat(engine);
  if (offer !== undefined) return offer;
  const next = drawn(environment);
  await putOne(engine, offerKey(), writeOffer(next));
  return next;
}

/** What to know before an authority is given up. */
export interface Lost {
  /** What `to` has recorded: it is what is given up. */
  readonly lost: Claim;
  readonly claim: Claim;
}

/** Who has the part as far as `to` knows. @throws UsageError when it knows of nobody. */
export async function recordedClaim(engine: StorageEngine): Promise<Claim> {
  const { claim } = await readKeptSeat(engine);
  if (claim) return claim;
  throw new UsageError(
    `${engine.location} knows of no lock authority; open it with embeddedLocks({ host: true })`,
  );
}

/**
 * Makes another authority, without guards, in the place of one that is lost for good. Its epoch is above all
 * that was seen, so tokens grow on. Everybody who hears of it adopts it; the lost one, if it comes back, serves until
 * it hears of it. @throws UsageError; StorageError, and nothing was changed.
 */
export async function replaceLostAuthority(
  { engine, name }: Pick<Place, "engine" | "name">,
  environment: Environment,
): Promise<Lost> {
  const { authority } = await readKeptSeat(engine);
  const lost = await recordedClaim(engine);
  const birth = drawn(environment);
  const claim: Claim = {
    ...{ authority: birth, generation: 0, epoch: Math.max(lost.epoch, authority?.epoch ?? 0) },
    replaces: [lost.authority, ...lost.replaces].slice(0, replacesMax),
    ...{ host: name, isDurable: true, isEstablished: true },
  };
  const batch = engine.batch();
  for await (const page of guardsOf(engine)) for (const { key } of page) batch.delete(key);
  const { epoch, generation } = claim;
  batch.put(authorityKey(), writeAuthority({ birth, epoch, generation, seal: "" }));
  batch.put(claimKey(), writeClaim(claim));
  batch.put(markKey(), writeMark({ serial: 0, isClosed: true }));
  batch.delete(offerKey());
  await written(batch);
  return { lost, claim };
}

/** Step 4: what the guards were is elsewhere now. */
async function end(engine: StorageEngine, authority: AuthorityRecord): Promise<void> {
  const batch = engine.batch();
  batch.put(authorityKey(), writeAuthority({ ...authority, seal: sealedForGood }));
  for await (const page of guardsOf(engine)) for (const { key } of page) batch.delete(key);
  await written(batch);
}

async function count(engine: StorageEngine): Promise<number> {
  let guards = 0;
  for await (const page of guardsOf(engine)) guards += page.length;
  return guards;
}

/** The records of guards, from the one of this resource on. */
export const guardsOf = (
  engine: StorageEngine,
  from = "",
): AsyncIterable<readonly StoredRecord[]> =>
  engine.read(guardKey(from), Uint8Array.of(foreignKinds.guard + 1));

async function putOne(engine: StorageEngine, key: Uint8Array, value: Uint8Array): Promise<void> {
  const batch = engine.batch();
  batch.put(key, value);
  await written(batch);
}

async function written(batch: WriteBatch): Promise<void> {
  try {
    await batch.write({ sync: true });
  } catch (error) {
    batch.discard();
    throw error;
  }
}

const whoIs = ({ claim }: KeptSeat): string =>
  claim ? `; as far as it knows that is ${claim.host} (${claim.authority.slice(0, 8)})` : "";
