/**
 * One guarded resource on several masters of which a majority is enough: a register that is agreed on
 * again and again, with the owner of the lock as the only proposer.
 *
 * Why is it safe without any clock? Phase 1 locks the resource with a nonce and reads the counter, and the
 * accepted state with its ballot; phase 2 writes one more than the largest counter, only to masters that
 * answered phase 1, and only where no other has locked meanwhile. A token is issued when a majority has it.
 * Two majorities share a master, which saw one of the two locks before the other: so tokens are distinct,
 * and whoever comes later has read there what the earlier one had written, or the earlier one was refused
 * there. A state is proposed only under an issued token, and only where its owner still has the lock, so
 * what a majority accepted is seen by all who come later. What only a minority accepted is carried to a
 * majority before anybody is told of it.
 *
 * It needs masters that never forget: one that lost its last second hands out a token, or a vote, twice.
 *
 * @see Lamport 1998, "The Part-Time Parliament"; Rystsov 2018, arXiv:1802.07000
 */
import type { Environment } from "../../../environment.ts";
import { decodeGuard, encodeGuard } from "../../fence/guard-codec.ts";
import { type GuardRecord, untouched } from "../../fence/guard.ts";
import { RedisReply } from "../redis/reply.ts";
import { cast, type RedlockMasters, type Vote } from "./masters.ts";

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
}

/** What was found at a majority. */
export interface Found extends Accepted {
  /** The largest token that was promised to a lease. */
  readonly lease: bigint;
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
  /** In µs. */
  readonly times: { readonly ttl: string; readonly hold: string; readonly wait: string };
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
      readonly counter: bigint;
      readonly lease: bigint;
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

/** Registers on some masters. */
export class RedlockRegister {
  readonly #masters: RedlockMasters;
  readonly #environment: Environment;

  constructor(masters: RedlockMasters, environment: Environment) {
    this.#masters = masters;
    this.#environment = environment;
  }

  /** Both phases, and the repair of what a minority had. @throws when no majority answers. */
  async take(taking: Taking): Promise<Taken> {
    const { birth, resource, nonce, times, purpose } = taking;
    const attempt = Buffer.from(this.#environment.randomBytes(attemptBytes)).toString("hex");
    const keys = this.#masters.keys.lined(resource);
    const lockArgs = [birth, nonce, attempt, purpose, times.ttl, times.hold, times.wait];
    const votes = await this.#masters.ask("lock", keys, [...lockArgs, taking.channel], {
      read: lockVoteIn,
    });
    const locked = cast(votes).flatMap((vote) => (vote.kind === "locked" ? [vote] : []));
    if (locked.length < this.#masters.majority) {
      await this.#giveUp(taking, attempt, locked.length);
      return this.#whyNot(votes);
    }
    const token = locked.reduce((most, { counter }) => (counter > most ? counter : most), 0n) + 1n;
    const only = indexesOf(votes, ({ kind }) => kind === "locked");
    const promised = cast(
      await this.#masters.ask("promise", keys, [birth, nonce, attempt, `${token}`], {
        ...{ only, read: (reply) => reply === 1 },
      }),
    ).filter(Boolean);
    if (promised.length < this.#masters.majority) {
      await this.#giveUp(taking, attempt, locked.length);
      return { kind: "split" };
    }
    const found = this.#newest(locked);
    const ownership = { resource, nonce, token, found };
    if (found.isChosen) return { kind: "taken", ownership };
    const repair = { resource, nonce, token, number: 0n, ...bytesOf(found) };
    if (!(await this.isAccepted(birth, [repair]))) {
      await this.#giveUp(taking, attempt, locked.length);
      return { kind: "split" };
    }
    return { kind: "taken", ownership };
  }

  /** What all masters say to it. */
  propose(
    birth: string,
    parts: readonly Proposed[],
    { helps = false }: { readonly helps?: boolean } = {},
  ): Promise<readonly Vote<Acceptance>[]> {
    const { keys } = this.#masters;
    const names = [keys.birth, keys.counter, ...parts.map(({ resource }) => keys.guard(resource))];
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
      return this.#rebornIn(cast(votes)) ?? this.#masters.fail(votes);
    const found = this.#newest(states.map((state) => ({ accepted: state, lease: state.lease })));
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
    const reborn = this.#rebornIn(said);
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
  #rebornIn(
    votes: readonly ({ readonly kind: string } | Accepted)[],
  ): { readonly kind: "reborn"; readonly birth: string } | undefined {
    const births = votes.flatMap((vote) => ("birth" in vote ? [String(vote.birth)] : []));
    const [birth] = births;
    // With so many gone no majority of the known birth is left.
    if (birth === undefined || births.length <= this.#masters.count - this.#masters.majority)
      return undefined;
    return { kind: "reborn", birth };
  }

  #newest(votes: readonly { readonly accepted: Accepted; readonly lease: bigint }[]): Found {
    let newest: Accepted = nothing;
    for (const { accepted } of votes) {
      if (isAfter(accepted.ballot, newest.ballot)) newest = accepted;
    }
    const same = votes.filter(({ accepted }) => !isAfter(newest.ballot, accepted.ballot)).length;
    const lease = votes.reduce((most, vote) => (vote.lease > most ? vote.lease : most), 0n);
    const { ballot, bytes } = newest;
    return { ballot, bytes, lease, isChosen: same >= this.#masters.majority };
  }
}

const nothing: Accepted = { ballot: { token: 0n, nonce: "", number: 0n }, bytes: undefined };

const isAfter = (left: Ballot, right: Ballot): boolean =>
  left.token > right.token || (left.token === right.token && left.number > right.number);

const bytesOf = ({ bytes }: Accepted): { readonly bytes?: Uint8Array } => (bytes ? { bytes } : {});

const indexesOf = <T>(votes: readonly Vote<T>[], isSo: (vote: T) => boolean): number[] =>
  votes.flatMap((vote, i) => (vote.kind === "vote" && isSo(vote.vote) ? [i] : []));

/** The record in a state; who holds is not in it. */
export function recordIn({ bytes }: Accepted, resource: string): GuardRecord {
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
  const [counter, lease] = [reply.bigint(), reply.bigint()];
  return { kind, counter, lease, accepted: acceptedIn(reply) };
}

function acceptedIn(reply: RedisReply): Accepted {
  const [token, number, nonce] = [reply.bigint(), reply.bigint(), reply.text()];
  return { ballot: { token, number, nonce }, bytes: reply.bytes() };
}

function stateIn(
  answer: unknown,
):
  | (Accepted & { readonly kind: "state"; readonly lease: bigint })
  | { readonly kind: "reborn"; readonly birth: string } {
  const reply = new RedisReply(answer);
  const kind = reply.text();
  if (kind === "reborn") return { kind, birth: reply.text() };
  const lease = reply.bigint();
  return { kind: "state", lease, ...acceptedIn(reply) };
}

function acceptanceIn(answer: unknown): Acceptance {
  const reply = new RedisReply(answer);
  const kind = reply.text();
  if (kind === "reborn") return { kind, birth: reply.text() };
  if (kind === "accepted") return { kind };
  return { kind: "refused", index: reply.number(), installed: reply.bigint() };
}
