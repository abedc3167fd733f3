/**
 * One guarded resource on several masters of which a majority is enough: a register that is agreed on
 * again and again, with the owner of the lock as the only proposer.
 *
 * Why is it safe without any clock? Phase 1 locks the resource with a nonce and reads the number of this
 * lock, and the accepted state with its ballot; phase 2 writes the largest number back, only to masters that
 * answered phase 1, and only where that lock is still the last: its number tells, so that a request that
 * comes late or twice is told from the one that was answered. A token is issued when a majority has it. The
 * numbers of a master grow over each lock and each token that it is told. Two majorities share a master,
 * which saw one of the two locks before the other: so tokens are distinct, and whoever comes later has read
 * there what the earlier one had written, or the earlier one was refused there. Who sends the locks of phase
 * 1 is nothing to this: a release does it for the first of the line, and its master tells that one. A state is proposed only under an issued token, and only where its owner still has the lock, so
 * what a majority accepted is seen by all who come later. What only a minority accepted is carried to a
 * majority before anybody is told of it.
 *
 * And what only a minority accepted and the next owner did not read? It must not come back after that one
 * has read: nothing of an overtaken owner is written. So unless all masters are locked and have the same,
 * what was read is proposed anew under the new token, before its owner is told: what is elsewhere is older.
 * That is a round more while a master is away. It cannot be done with phase 2, whose token may come to
 * nothing and be larger than the one that is issued next.
 *
 * It needs masters that never forget: one that lost its last second hands out a token, or a vote, twice.
 *
 * @see Lamport 1998, "The Part-Time Parliament"; Rystsov 2018, arXiv:1802.07000
 */
import type { Environment } from "../../../environment.ts";
import { decodeGuard, encodeGuard } from "../../fence/guard-codec.ts";
import { type GuardRecord, untouched } from "../../fence/guard.ts";
import { RedisReply } from "../redis/reply.ts";
import type { HandedVote } from "./line.ts";
import { type Arguments, cast, type RedlockMasters, type Vote } from "./masters.ts";

/** Names one proposal: an issued token, the owner that it was issued to, and which of its proposals. */
export interface Ballot {
  readonly token: bigint;
  readonly nonce: string;
  readonly number: bigint;
}

/** What masters have accepted. */
export interface Accepted {
  readonly ballot: Ballot;
  readonly bytes: Uint8Array | undefined;
  /** The largest token that was promised to a lease. */
  readonly lease: bigint;
}

/** What was found at a majority; the largest of their tokens. */
export interface Found extends Accepted {
  /** A majority has it: it stays. */
  readonly isChosen: boolean;
}

/** Who owns, and may propose. */
export interface Ownership {
  readonly resource: string;
  readonly nonce: string;
  readonly token: bigint;
  readonly found: Found;
}

/** What became of trying to own. */
export type Taken =
  | { readonly kind: "taken"; readonly ownership: Ownership }
  /** A lease has it, for so long at most. */
  | { readonly kind: "held"; readonly leftMs: number }
  /** Others try, or write, at this moment. */
  | { readonly kind: "split" }
  | { readonly kind: "reborn"; readonly birth: string };

/** How to try. */
export interface Taking {
  readonly birth: string;
  readonly resource: string;
  readonly nonce: string;
  readonly purpose: "lease" | "brief";
  /** In µs. `hand`: how long a master that locks for who is first in line waits for it to come. */
  readonly times: Readonly<Record<"ttl" | "hold" | "wait" | "hand", string>>;
  readonly channel: string;
}

/** One resource of a proposal. */
export interface Proposed {
  readonly resource: string;
  readonly nonce: string;
  readonly token: bigint;
  /** Without a number it is only checked. */
  readonly number?: bigint;
  readonly bytes?: Uint8Array;
}

/** What one master said to a proposal. */
export type Acceptance =
  | { readonly kind: "accepted" }
  | { readonly kind: "refused"; readonly index: number; readonly installed: bigint }
  | { readonly kind: "reborn"; readonly birth: string };

type LockVote =
  | {
      readonly kind: "locked";
      /** Of this lock: a master numbers its locks, and they only grow. */
      readonly number: bigint;
      readonly accepted: Accepted;
    }
  | {
      readonly kind: "held";
      readonly purpose: string;
      readonly nonce: string;
      readonly leftMs: number;
    }
  | { readonly kind: "reborn"; readonly birth: string };

const attemptBytes = 8;
/** Of locks that a master made for who was first in line; `scripts.ts` says it too. */
const handedAttempt = "handed";

/** Registers on some masters. */
export class RedlockRegister {
  readonly #masters: RedlockMasters;
  readonly #environment: Environment;

  constructor(masters: RedlockMasters, environment: Environment) {
    this.#masters = masters;
    this.#environment = environment;
  }

  /**
   * Both phases, and the repair of what a minority had. With hands of a majority the first phase was done
   * by whoever gave it back. @throws when no majority answers.
   */
  async take(taking: Taking, hands?: ReadonlyMap<number, HandedVote>): Promise<Taken> {
    const { birth, resource, nonce } = taking;
    const attempt = hands ? handedAttempt : this.#attempt();
    const votes = hands ? this.#handed(hands) : await this.#lock(taking, attempt);
    const locked = cast(votes).flatMap((vote) => (vote.kind === "locked" ? [vote] : []));
    if (locked.length < this.#masters.majority) {
      await this.#giveUp(taking, attempt, locked.length);
      return this.#whyNot(votes);
    }
    const token = locked.reduce((most, { number }) => (number > most ? number : most), 0n);
    const found = this.#newest(locked.map(({ accepted }) => accepted));
    const isAll = locked.length === this.#masters.count;
    const isEmpty = isAll && locked.every(({ accepted }) => !accepted.bytes);
    const isSame = isAll && locked.every(({ accepted }) => isEqual(accepted.ballot, found.ballot));
    const numbers = votes.map((vote) =>
      vote.kind === "vote" && vote.vote.kind === "locked" ? vote.vote.number : undefined,
    );
    if (!(await this.#isPromised(taking, token, { numbers, isEmpty }))) {
      await this.#giveUp(taking, attempt, locked.length);
      return { kind: "split" };
    }
    const ownership = { resource, nonce, token, found };
    // All are locked: what is not there cannot come any more.
    if (isEmpty || isSame) return { kind: "taken", ownership };
    const repair = { resource, nonce, token, number: 0n, ...bytesOf(found) };
    if (!(await this.isAccepted(birth, [repair]))) {
      await this.#giveUp(taking, attempt, locked.length);
      return { kind: "split" };
    }
    return { kind: "taken", ownership };
  }

  /** A majority of those whose locks have these numbers. */
  async #isPromised(
    { birth, resource, nonce, times }: Taking,
    token: bigint,
    locked: { readonly numbers: readonly (bigint | undefined)[]; readonly isEmpty: boolean },
  ): Promise<boolean> {
    const { numbers, isEmpty } = locked;
    const argsOf = (i: number): Arguments => [
      ...[birth, nonce, `${numbers[i]}`, `${token}`, times.ttl, times.hold, isEmpty ? "1" : "0"],
    ];
    const only = [...numbers.keys()].filter((i) => numbers[i] !== undefined);
    const keys = this.#masters.keys.lined(resource);
    const read = (reply: unknown): boolean => reply === 1;
    const votes = await this.#masters.ask("promise", keys, argsOf, { only, read });
    return cast(votes).filter(Boolean).length >= this.#masters.majority;
  }

  #attempt(): string {
    return Buffer.from(this.#environment.randomBytes(attemptBytes)).toString("hex");
  }

  #lock(taking: Taking, attempt: string): Promise<readonly Vote<LockVote>[]> {
    const { birth, resource, nonce, times, purpose, channel } = taking;
    const keys = this.#masters.keys.lined(resource);
    const args = [
      ...[birth, nonce, attempt, purpose, times.ttl, times.hold],
      ...[times.wait, times.hand, channel],
    ];
    return this.#masters.ask("lock", keys, args, { read: lockVoteIn });
  }

  /** As if each that told had been asked. */
  #handed(hands: ReadonlyMap<number, HandedVote>): readonly Vote<LockVote>[] {
    return Array.from({ length: this.#masters.count }, (_, i): Vote<LockVote> => {
      const hand = hands.get(i);
      if (!hand) return { kind: "none", error: "it has not told" };
      return { kind: "vote", vote: lockedIn(new RedisReply(hand)) };
    });
  }

  /** What all masters say to it. */
  propose(
    birth: string,
    parts: readonly Proposed[],
    { helps = false }: { readonly helps?: boolean } = {},
  ): Promise<readonly Vote<Acceptance>[]> {
    const { keys } = this.#masters;
    const names = [keys.birth, ...parts.map(({ resource }) => keys.guard(resource))];
    const args = parts.flatMap(({ nonce, token, number, bytes }) => [
      ...[nonce, `${token}`, number === undefined ? "" : `${number}`],
      bytes ?? "",
    ]);
    return this.#masters.ask("accept", names, [birth, helps ? "1" : "0", ...args], {
      read: acceptanceIn,
    });
  }

  /** A majority has accepted it. */
  async isAccepted(
    birth: string,
    parts: readonly Proposed[],
    options: { readonly helps?: boolean } = {},
  ): Promise<boolean> {
    const votes = cast(await this.propose(birth, parts, options));
    return votes.filter(({ kind }) => kind === "accepted").length >= this.#masters.majority;
  }

  /**
   * What a majority has, carried there if need be. `undefined`: an owner is in the midst of it.
   * @throws when no majority answers.
   */
  async read(
    birth: string,
    resource: string,
  ): Promise<Found | { readonly kind: "reborn"; readonly birth: string } | undefined> {
    const keys = this.#masters.keys.lined(resource);
    const votes = await this.#masters.ask("read", keys, [birth], { read: stateIn });
    const states = cast(votes).flatMap((vote) => ("ballot" in vote ? [vote] : []));
    if (states.length < this.#masters.majority)
      return this.rebornIn(cast(votes)) ?? this.#masters.fail(votes);
    const found = this.#newest(states);
    if (found.isChosen) return found;
    const part = { resource, ...found.ballot, ...bytesOf(found) };
    return (await this.isAccepted(birth, [part], { helps: true }))
      ? { ...found, isChosen: true }
      : undefined;
  }

  async renew(
    birth: string,
    { resource, nonce, token }: Omit<Ownership, "found">,
    ttl: string,
  ): Promise<boolean> {
    const keys = this.#masters.keys.lined(resource);
    const votes = await this.#masters.ask("renew", keys, [birth, nonce, `${token}`, ttl], {
      read: (reply) => reply === 1,
    });
    const said = cast(votes);
    if (said.filter(Boolean).length >= this.#masters.majority) return true;
    if (said.filter((isAlive) => !isAlive).length > this.#masters.count - this.#masters.majority)
      return false;
    return this.#masters.fail(votes);
  }

  /** Gives back, or leaves the line. @throws when no majority answers. */
  async cancel(birth: string, resource: string, nonce: string): Promise<void> {
    const keys = this.#masters.keys.lined(resource);
    const votes = await this.#masters.ask("cancel", keys, [birth, nonce, ""], { read: Boolean });
    if (cast(votes).length < this.#masters.majority) this.#masters.fail(votes);
  }

  /** What an attempt that failed has locked is in the way of others. */
  async #giveUp(
    { birth, resource, nonce }: Taking,
    attempt: string,
    locked: number,
  ): Promise<void> {
    if (locked === 0) return;
    const keys = this.#masters.keys.lined(resource);
    await this.#masters.ask("cancel", keys, [birth, nonce, attempt], { read: Boolean });
  }

  #whyNot(votes: readonly Vote<LockVote>[]): Taken {
    const said = cast(votes);
    const reborn = this.rebornIn(said);
    if (reborn) return reborn;
    const held = said.flatMap((vote) => (vote.kind === "held" ? [vote] : []));
    const leases = held.filter(({ purpose }) => purpose === "lease");
    const owner = leases.find(({ nonce }) => {
      return leases.filter((other) => other.nonce === nonce).length >= this.#masters.majority;
    });
    if (owner) {
      return { kind: "held", leftMs: Math.max(...leases.map(({ leftMs }) => leftMs)) };
    }
    if (said.length < this.#masters.majority) return this.#masters.fail(votes);
    return { kind: "split" };
  }

  /** Of the masters that said anything, most are of another birth. */
  rebornIn(
    votes: readonly ({ readonly kind: string } | Accepted)[],
  ): { readonly kind: "reborn"; readonly birth: string } | undefined {
    const births = votes.flatMap((vote) => ("birth" in vote ? [String(vote.birth)] : []));
    const [birth] = births;
    // With so many gone no majority of the known birth is left.
    if (birth === undefined || births.length <= this.#masters.count - this.#masters.majority)
      return undefined;
    return { kind: "reborn", birth };
  }

  #newest(votes: readonly Accepted[]): Found {
    let newest = nothing;
    for (const vote of votes) if (isAfter(vote.ballot, newest.ballot)) newest = vote;
    const same = votes.filter(({ ballot }) => isEqual(ballot, newest.ballot)).length;
    const lease = votes.reduce((most, vote) => (vote.lease > most ? vote.lease : most), 0n);
    const { ballot, bytes } = newest;
    return { ballot, bytes, lease, isChosen: same >= this.#masters.majority };
  }
}

const nothing: Accepted = {
  ballot: { token: 0n, nonce: "", number: 0n },
  ...{ bytes: undefined, lease: 0n },
};

const isAfter = (left: Ballot, right: Ballot): boolean =>
  left.token > right.token || (left.token === right.token && left.number > right.number);

const isEqual = (left: Ballot, right: Ballot): boolean =>
  left.token === right.token && left.number === right.number;

const bytesOf = ({ bytes }: Pick<Accepted, "bytes">): { readonly bytes?: Uint8Array } =>
  bytes ? { bytes } : {};

/** The record in a state; who holds is not in it. */
export function recordIn({ bytes }: Pick<Accepted, "bytes">, resource: string): GuardRecord {
  if (!bytes) return untouched;
  const { value, version, operations } = decodeGuard(bytes, `the state of ${resource}`);
  return { ...untouched, value, version, operations };
}

/** The state of a record. */
export const stateOf = ({ value, version, operations }: GuardRecord, birth: string): Uint8Array =>
  encodeGuard({ birth, value, version, operations, token: 0n, nonce: undefined });

function lockVoteIn(answer: unknown): LockVote {
  const reply = new RedisReply(answer);
  const kind = reply.text();
  if (kind === "reborn") return { kind, birth: reply.text() };
  if (kind === "held") {
    return { kind, purpose: reply.text(), nonce: reply.text(), leftMs: reply.number() };
  }
  if (kind !== "locked") throw new Error(`Redis answered ${kind}, which is not known here`);
  return lockedIn(reply);
}

function lockedIn(reply: RedisReply): LockVote {
  return { kind: "locked", number: reply.bigint(), accepted: acceptedIn(reply) };
}

function acceptedIn(reply: RedisReply): Accepted {
  const lease = reply.bigint();
  const [token, number, nonce] = [reply.bigint(), reply.bigint(), reply.text()];
  return { ballot: { token, number, nonce }, bytes: reply.bytes(), lease };
}

function stateIn(
  answer: unknown,
): (Accepted & { readonly kind: "state" }) | { readonly kind: "reborn"; readonly birth: string } {
  const reply = new RedisReply(answer);
  const kind = reply.text();
  if (kind === "reborn") return { kind, birth: reply.text() };
  return { kind: "state", ...acceptedIn(reply) };
}

function acceptanceIn(answer: unknown): Acceptance {
  const reply = new RedisReply(answer);
  const kind = reply.text();
  if (kind === "reborn") return { kind, birth: reply.text() };
  if (kind === "accepted") return { kind };
  return { kind: "refused", index: reply.number(), installed: reply.bigint() };
}
