/**
 * Guards on a majority of masters: `register.ts` agrees, and what a write means is decided here,
 * by the owner, on the record that was agreed on.
 */
import type { Environment } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import type {
  Authority,
  CommitPart,
  CommitReply,
  CommitRequest,
  CompareAndSetRequest,
  NonceRequest,
  OpenReply,
  OpenRequest,
  Present,
  Reborn,
  RenewRequest,
  ResourceRequest,
  WriteReply,
} from "../../fence/authority.ts";
import { elapsedSince } from "../../fence/elapsed.ts";
import { commit, compareAndSet, type GuardRecord } from "../../fence/guard.ts";
import { birthOf } from "./birth.ts";
import { cast, type RedlockMasters } from "./masters.ts";
import { holding, type Owner, type Proposal, proposalOf, withRecord } from "./proposal.ts";
import { recordIn, type RedlockRegister, stateOf, type Taken, type Taking } from "./register.ts";

/** Those in line ask again after this long at most, in ms. */
const askMsMax = 2_000;
/** Those who met others in the midst ask again after up to so long, at random, in ms. */
const splitMsMax = 40;
/** In place of no end: 31 years, in ms. */
const endlessMs = 1e12;
/** Of owners whose records are kept here; a lease that was lost and never given back is dropped in the end. */
const ownersMax = 10_000;

const micros = (ms: number): string => Math.ceil(ms * 1_000).toFixed(0);

/** What the authority is made of. */
export interface RedlockAuthorityParts {
  readonly masters: RedlockMasters;
  readonly register: RedlockRegister;
  readonly environment: Environment;
  /** Where this client hears of turns. */
  readonly channel: string;
  /** How long others who are in the midst of a write are waited for, in ms. */
  readonly patienceMs: number;
}

/** Asks several masters. */
export class RedlockAuthority implements Authority {
  readonly #masters: RedlockMasters;
  readonly #register: RedlockRegister;
  readonly #environment: Environment;
  readonly #channel: string;
  readonly #patienceMs: number;
  readonly #owners = new Map<string, Owner>();
  /** Of each nonce, the last that asked to be the owner and has no answer. */
  readonly #asked = new Map<string, object>();

  constructor(parts: RedlockAuthorityParts) {
    this.#masters = parts.masters;
    this.#register = parts.register;
    this.#environment = parts.environment;
    this.#channel = parts.channel;
    this.#patienceMs = parts.patienceMs;
  }

  birth(): Promise<string> {
    return birthOf(this.#masters, this.#random(16).toString("hex"));
  }

  async open(request: OpenRequest): Promise<OpenReply | Reborn> {
    const { birth = "", resource, nonce, ttlMs, maxHoldMs = endlessMs, waitMs } = request;
    if (waitMs > 0) await this.#masters.ready(nonce);
    const times = {
      ...{ ttl: micros(ttlMs), hold: micros(maxHoldMs), wait: micros(waitMs) },
      hand: micros(Math.min(ttlMs, this.#patienceMs / 2)),
    };
    const taking = {
      birth,
      resource,
      nonce,
      times,
      purpose: "lease",
      channel: this.#channel,
    } as const;
    const taken = await this.#takeLast(taking);
    if (taken.kind === "reborn") return taken;
    if (taken.kind !== "taken") {
      const leftMs =
        taken.kind === "split"
          ? this.#pauseMs()
          : Math.min(Math.max(0, taken.leftMs), askMsMax) + this.#pauseMs();
      return { kind: "held", place: waitMs > 0 ? 0 : -1, leftMs };
    }
    this.#masters.line.leave(nonce);
    const { found, ...ownership } = taken.ownership;
    const record = recordIn(found, resource);
    this.#keep(nonce, { ownership, record, number: 0n, pending: undefined, turn: settled });
    const { value, version } = record;
    const { token } = ownership;
    return { kind: "opened", token, present: { value, version, token } };
  }

  /** Where nobody holds it, it can be had a while later; but not by one who has asked again meanwhile. */
  async #takeLast(taking: Taking): Promise<Taken> {
    const { nonce } = taking;
    const waitedMs = elapsedSince(this.#environment);
    const asked = {};
    const isLast = (): boolean => this.#asked.get(nonce) === asked;
    this.#asked.set(nonce, asked);
    try {
      let taken = await this.#register.take(taking, this.#masters.line.take(nonce));
      while (taken.kind === "split" && isLast() && waitedMs() < this.#patienceMs / 2) {
        await this.#sleep();
        if (isLast()) taken = await this.#register.take(taking);
      }
      return isLast() ? taken : { kind: "split" };
    } finally {
      if (isLast()) this.#asked.delete(nonce);
    }
  }

  turn({ nonce }: NonceRequest): Promise<void> {
    return this.#masters.line.turn(nonce);
  }

  async cancel({ birth = "", resource, nonce }: NonceRequest): Promise<void> {
    this.#masters.line.leave(nonce);
    this.#owners.delete(nonce);
    this.#asked.delete(nonce);
    await this.#register.cancel(birth, resource, nonce);
  }

  renew({ birth = "", resource, fence, ttlMs }: RenewRequest): Promise<boolean> {
    return this.#register.renew(birth, { resource, ...fence }, micros(ttlMs));
  }

  async read({
    birth = "",
    resource,
  }: ResourceRequest): Promise<{ readonly kind: "present"; readonly present: Present } | Reborn> {
    const found = await this.#agreed(birth, resource);
    if (found.kind === "reborn") return found;
    const { value, version } = found.record;
    return { kind: "present", present: { value, version, token: found.lease } };
  }

  async compareAndSet(request: CompareAndSetRequest): Promise<WriteReply> {
    const { birth = "", resource } = request;
    const taken = await this.#takeBriefly(birth, resource);
    if (taken.kind === "reborn") return taken;
    if (taken.kind === "held") return this.#held(birth, request);
    const { nonce, token, found } = taken.ownership;
    try {
      const record = { ...recordIn(found, resource), token: found.lease };
      const outcome = compareAndSet(record, { ...request, nowMs: 0 });
      if (outcome.kind !== "written") return outcome;
      const reply = { kind: "written", version: outcome.version, token: found.lease } as const;
      if (outcome.record.version !== outcome.version) return reply; // remembered
      const bytes = stateOf(outcome.record, birth);
      const part = { resource, nonce, token, number: 1n, bytes };
      if (await this.#register.isAccepted(birth, [part])) return reply;
      throw new Error(`a majority has not accepted a write of ${resource}`);
    } finally {
      this.#giveBack(birth, resource, nonce);
    }
  }

  async commit({ birth = "", parts, operationId }: CommitRequest): Promise<CommitReply> {
    const owners = parts.map(({ fence }) => this.#owners.get(fence.nonce));
    const known = owners.filter((owner) => owner !== undefined);
    return await this.#exclusively(known, async () => {
      for (const { pending } of known) {
        // What may be with a minority comes first: a majority accepts it, or nothing more of its owner.
        if (!pending) continue;
        const refused = await this.#propose(pending);
        if (refused && pending.operationId === operationId) {
          return await this.#resolve({ birth, parts, operationId }, pending, refused);
        }
        if (refused) this.#forget(pending);
      }
      const records: GuardRecord[] = [];
      for (const [i, part] of parts.entries()) {
        const owner = owners[i];
        if (owner && this.#isOwner(owner, part)) records.push(holding(owner));
        else {
          const found = await this.#agreed(birth, part.resource);
          if (found.kind === "reborn") return found;
          records.push(found.record);
        }
      }
      const outcome = commit(
        parts.map((part, i) => withRecord(part, records[i])),
        operationId,
      );
      if (outcome.kind !== "committed") return outcome;
      const { versions } = outcome;
      if (outcome.records.every((record, i) => record === records[i]))
        return { kind: "committed", versions };
      const proposal = proposalOf({ birth, parts, operationId }, known, outcome.records);
      const refused = await this.#propose(proposal);
      if (!refused) return { kind: "committed", versions };
      return await this.#resolve({ birth, parts, operationId }, proposal, refused);
    });
  }

  #isOwner({ ownership }: Owner, { fence }: CommitPart): boolean {
    return ownership.token === fence.token && this.#owners.has(fence.nonce);
  }

  #forget({ owners }: Proposal): void {
    for (const { ownership } of owners) this.#owners.delete(ownership.nonce);
  }

  /** Nothing when a majority has accepted it; otherwise who refused it. @throws when that is not known. */
  async #propose(proposal: Proposal): Promise<Refusals | Reborn | undefined> {
    const { birth, parts, owners, records } = proposal;
    for (const owner of owners) owner.pending = proposal;
    const votes = await this.#register.propose(birth, parts);
    const said = cast(votes);
    const accepted = said.filter(({ kind }) => kind === "accepted").length;
    if (accepted >= this.#masters.majority) {
      for (const [i, owner] of owners.entries()) {
        owner.pending = undefined;
        const { number } = parts[i] ?? {};
        if (number === undefined) continue;
        owner.number = number;
        owner.record = records[i] ?? owner.record;
      }
      return undefined;
    }
    const refusals = said.flatMap((vote) => (vote.kind === "refused" ? [vote] : []));
    // One that was not reached by an open refuses for a reason of its own.
    const ofIndex = (index: number): number => refusals.filter((one) => one.index === index).length;
    const [first] = refusals.toSorted((a, b) => ofIndex(b.index) - ofIndex(a.index));
    if (!first || refusals.length <= this.#masters.count - this.#masters.majority) {
      // One that was wiped says nothing of what the others have.
      return this.#register.rebornIn(said) ?? this.#masters.fail(votes);
    }
    const isSure = refusals.length === this.#masters.count;
    return { kind: "refusals", index: first.index, installed: first.installed, isSure };
  }

  /** A majority has another owner: was it written, by an earlier sending or a minority that was carried on? */
  async #resolve(
    { birth = "", parts, operationId }: CommitRequest,
    proposal: Proposal,
    refused: Refusals | Reborn,
  ): Promise<CommitReply> {
    if (refused.kind === "reborn") return refused;
    const { index, installed } = refused;
    const records: GuardRecord[] = [];
    let isSettled = true;
    for (const part of parts) {
      // Whatever keeps us from looking, something was sent.
      const found = await this.#agreed(birth, part.resource).catch((cause: unknown) => {
        throw new Error(`nobody says what became of a write of ${part.resource}`, { cause });
      });
      if (found.kind === "reborn") return found;
      records.push(found.record);
      // Whoever proposed after us has seen all that will ever be of ours.
      isSettled &&= found.token > part.fence.token;
    }
    const outcome = commit(
      parts.map((part, i) => withRecord(part, records[i])),
      operationId,
    );
    if (outcome.kind === "committed") return { kind: "committed", versions: outcome.versions };
    if (!isSettled && !refused.isSure)
      throw new Error("a minority may have accepted a write of a stale holder");
    this.#forget(proposal);
    return { kind: "stale", index, installed, forgotten: outcome.forgotten };
  }

  /** The record that a majority agrees on, with the token of whoever proposed it. */
  async #agreed(
    birth: string,
    resource: string,
  ): Promise<
    | {
        readonly kind: "agreed";
        readonly record: GuardRecord;
        readonly lease: bigint;
        readonly token: bigint;
      }
    | Reborn
  > {
    const waitedMs = elapsedSince(this.#environment);
    for (;;) {
      const found = await this.#register.read(birth, resource);
      if (found && "kind" in found) return found;
      if (found) {
        const { ballot, lease } = found;
        const record = recordIn(found, resource);
        return { kind: "agreed", record, lease, token: ballot.token };
      }
      // Its owner is in the midst of it, or gone; then we own it for a moment.
      const taken = await this.#tryBriefly(birth, resource);
      if (taken.kind === "reborn") return taken;
      if (taken.kind === "taken") this.#giveBack(birth, resource, taken.ownership.nonce);
      else await this.#pause(waitedMs, resource);
    }
  }

  /** For a write: waits while others write, not while a lease holds. */
  async #takeBriefly(
    birth: string,
    resource: string,
  ): Promise<Exclude<Taken, { readonly kind: "split" }>> {
    const waitedMs = elapsedSince(this.#environment);
    for (;;) {
      const taken = await this.#tryBriefly(birth, resource);
      if (taken.kind !== "split") return taken;
      await this.#pause(waitedMs, resource);
    }
  }

  #tryBriefly(birth: string, resource: string): Promise<Taken> {
    const time = micros(this.#patienceMs / 2);
    return this.#register.take({
      ...{ birth, resource, nonce: this.#random(16).toString("hex"), purpose: "brief" },
      ...{ times: { ttl: time, hold: time, wait: "0", hand: "0" }, channel: "" },
    });
  }

  /** Who writes without a lease is told that one holds, unless it was applied before. */
  async #held(birth: string, request: CompareAndSetRequest): Promise<WriteReply> {
    const found = await this.#agreed(birth, request.resource);
    if (found.kind === "reborn") return found;
    const holder = { token: found.lease, nonce: "", untilMs: 1, endMs: 1 };
    const outcome = compareAndSet({ ...found.record, holder }, { ...request, nowMs: 0 });
    if (outcome.kind !== "written") return outcome;
    return { kind: "written", version: outcome.version, token: found.lease };
  }

  /** Behind the caller's back: it runs out by itself too. */
  #giveBack(birth: string, resource: string, nonce: string): void {
    this.#register.cancel(birth, resource, nonce).catch(() => undefined);
  }

  async #pause(waitedMs: () => number, resource: string): Promise<void> {
    if (waitedMs() >= this.#patienceMs) {
      throw new LockUnavailableError(
        `others were in the midst of writing ${resource} all the time`,
      );
    }
    await this.#sleep();
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#environment.schedule(this.#pauseMs(), resolve);
    });
  }

  #pauseMs(): number {
    return 1 + ((this.#random(1)[0] ?? 0) / 256) * splitMsMax;
  }

  #random(count: number): Buffer {
    return Buffer.from(this.#environment.randomBytes(count));
  }

  #keep(nonce: string, owner: Owner): void {
    this.#owners.set(nonce, owner);
    if (this.#owners.size <= ownersMax) return;
    const oldest = this.#owners.keys().next();
    if (oldest.done !== true) this.#owners.delete(oldest.value);
  }

  async #exclusively<T>(owners: readonly Owner[], work: () => Promise<T>): Promise<T> {
    const before = owners.map(({ turn }) => turn);
    const working = Promise.allSettled(before).then(work);
    for (const owner of owners) owner.turn = working;
    return await working;
  }
}

interface Refusals {
  readonly kind: "refusals";
  readonly index: number;
  readonly installed: bigint;
  /** None has accepted, and none will. */
  readonly isSure: boolean;
}

const settled: Promise<void> = Promise.resolve();
