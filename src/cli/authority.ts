/**
 * The command `trellis authority`: which replica has the part of the lock authority, as a directory has it, and
 * moving it: from a directory that no process has open, or from a live host, into a directory that is not open.
 */
import { basename, resolve } from "node:path";
import { systemEnvironment } from "../environment.ts";
import { LockUnavailableError, UsageError } from "../errors.ts";
import { isSeated, readKeptSeat } from "../escalate/embedded/guard-records.ts";
import {
  moveAuthority,
  type Place,
  recordedClaim,
  replaceLostAuthority,
} from "../escalate/embedded/move.ts";
import type { Claim } from "../escalate/embedded/standing.ts";
import { EmbeddedLocks } from "../escalate/locks/embedded.ts";
import { tmpfsWitness } from "../escalate/witness/tmpfs.ts";
import { openReplica } from "../index.ts";
import type { StorageEngine } from "../store/storage.ts";
import { levelStorage } from "../store/storage/level.ts";
import { type DialOptions, dialTarget } from "./dialing.ts";
import { isUrl } from "./flags.ts";

/** The options of `trellis authority move`. */
export interface MoveCommandOptions extends DialOptions {
  /** A directory, or the URL of the live host. */
  readonly from?: string;
  readonly to: string;
  /** In seconds. */
  readonly timeout: number;
  readonly name?: string;
  readonly exclusive?: boolean;
  readonly lost?: boolean;
  readonly yes?: boolean;
}

/** @throws UsageError for what cannot be done; StorageError when a directory is in use: nothing was changed. */
export async function moveAuthorityCommand(options: MoveCommandOptions): Promise<void> {
  const { from, to, lost = false, exclusive = false } = options;
  if (lost === (from !== undefined)) {
    throw new UsageError("move needs the directory or URL that has the part (--from), or --lost");
  }
  if (from !== undefined && isUrl(from)) return take(from, options);
  await using target = await opened(to, options.name);
  if (from === undefined) return await lose(target, options.yes === true);
  await using source = await opened(from);
  const { claim, guards } = await moveAuthority({
    ...{ from: source, to: target, environment: systemEnvironment, isExclusive: exclusive },
  });
  say(`the lock authority is ${described(claim)} now, in ${to}: ${guards} guards.`);
  tellWhatNext(from, to);
}

function tellWhatNext(from: string, to: string): void {
  say(
    `${from} refuses the part for good, also from a copy. Open ${to} as a replica; open the other`,
  );
  say("replicas with embeddedLocks() without host. Who hears of it over a link adopts it.");
}

/** How long until a host that does not give yet is asked again, in ms. */
const askAgainMs = 200;

/** From a host that is open, and stays open. */
async function take(url: string, options: MoveCommandOptions): Promise<void> {
  const { to, timeout } = options;
  const directory = resolve(to);
  const locks = new EmbeddedLocks({});
  await using replica = await openReplica({
    ...{ schema: {}, storage: directory, locks, name: options.name ?? basename(directory) },
    peers: [dialTarget(url, options)],
  });
  const endMs = performance.now() + timeout * 1_000;
  for (;;) {
    try {
      const claim = await locks.takeOver();
      say(`the lock authority is ${described(claim)} now, in ${to}.`);
      return tellWhatNext(url, to);
    } catch (error) {
      // Not linked yet, or its disk refuses.
      if (!(error instanceof LockUnavailableError) || performance.now() > endMs) throw error;
      if (replica.status().peers.some(({ refused }) => refused !== undefined)) throw error;
    }
    await new Promise<void>((next) => {
      setTimeout(next, askAgainMs);
    });
  }
}

async function lose(target: Opened, isSure: boolean): Promise<void> {
  const claim = await recordedClaim(target.engine);
  const { location } = target.engine;
  if (!isSure) {
    throw new UsageError(
      `nothing was changed. ${described(claim)} is recorded as the lock authority. --lost gives up all its guards: ` +
        "values, versions, remembered operations and leases that only it had are gone, and what holders of " +
        "leases do is not kept apart any more from what new ones do. Tokens grow on. Fenced values are refused " +
        "until they are adopted from the copies that replicas have. If it comes back it serves those who have " +
        "not heard of this: be sure that it is gone, and its copies. If its directory is at hand, say --from " +
        `instead. To make ${location} the authority all the same, say --yes`,
    );
  }
  const { claim: next } = await replaceLostAuthority(target, systemEnvironment);
  say(
    `the lock authority is ${described(next)} now, without guards, in ${location}, in the place of`,
  );
  say(`${described(claim)}. Open it as a replica; who hears of it over a link adopts it.`);
}

/** Prints what a directory has recorded. @throws StorageError when it is in use. */
export async function showAuthorityCommand(directory: string): Promise<void> {
  const engine = await levelStorage(resolve(directory)).open({ readOnly: true });
  try {
    const seat = await readKeptSeat(engine);
    const { claim, authority, mark, offer } = seat;
    if (!claim) return say("no lock authority is known here");
    say(`the lock authority is ${described(claim)}, generation ${claim.generation}`);
    if (isSeated(seat)) {
      const how = mark.isClosed
        ? "closed as it should be"
        : "not closed: it is open, or was killed";
      say(`that is this directory; it was ${how}`);
    } else if (authority) say("this directory had the part, and gave it away or lost it");
    if (offer !== undefined) say(`a move to here (${offer.slice(0, 8)}) was begun and is not done`);
  } finally {
    await engine.close();
  }
}

interface Opened extends Place, AsyncDisposable {
  readonly engine: StorageEngine;
}

async function opened(given: string, name?: string): Promise<Opened> {
  const directory = resolve(given);
  const engine = await levelStorage(directory).open();
  const witness = await tmpfsWitness({ directory });
  const close = (): Promise<void> => engine.close();
  return { engine, witness, name: name ?? basename(directory), [Symbol.asyncDispose]: close };
}

const described = ({ host, authority }: Claim): string => `${host} (${authority.slice(0, 8)})`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
