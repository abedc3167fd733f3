/**
 * What this replica holds of one counter. A spend is counted here at once, is on the disk before it is
 * acknowledged, is shown to peers after that, and is told to the pool at the next contact.
 *
 * With an upper bound the rights of one side are what the other side spends: a decrement makes room for an
 * increment. One record has both, so they are one step.
 */
import type { HolderFigures } from "../../crdt/bounded-counter.ts";
import { Account } from "./account.ts";
import { Rate } from "./chunk.ts";
import type { HolderId } from "./holder-id.ts";
import { type Side, sides } from "./pool.ts";

/** What was last seen of the pool: a store that is behind it was set back. */
export interface Seen {
  readonly birth: string;
  readonly lineage: string;
  readonly revision: number;
}

/** A change that counts once its caller's key is claimed. */
export interface Pending {
  /** The claim's own name: 8 bytes in hexadecimal digits. */
  readonly operation: string;
  /** The key's hash: 16 bytes in hexadecimal digits. */
  readonly hash: string;
  /** What it spends: `up` for an increment, which without an upper bound spends nothing. */
  readonly side: Side;
  readonly by: number;
  readonly windowMs: number;
}

/** One side, as a disk has it. */
export interface KeptAccount {
  readonly granted: number;
  readonly returned: number;
  readonly created: number;
  readonly spent: number;
  /** Spent, or not: a crash leaves it unknown. */
  readonly reserved: number;
}

/**
 * `open`: its process may spend. `retired`: nobody spends from it any more, all that is left goes back to
 * the pool. `held`: it was open, and nobody can tell whether this is the newest state there ever was.
 */
export type HoldingState = "open" | "retired" | "held";

/** A holding as a disk has it, or, without one, as it is now. */
export interface Kept {
  readonly state: HoldingState;
  /** Absent before the pool was heard of. */
  readonly seen: Seen | undefined;
  readonly down: KeptAccount;
  readonly up: KeptAccount;
  readonly pending: readonly Pending[];
}

/** Told once a turn of what has changed. */
export interface Dirty {
  changed(holding: Holding): void;
}

/** What a holding is made of. */
export interface HoldingOptions {
  readonly collection: string;
  readonly key: string;
  readonly holder: HolderId;
  readonly isDurable: boolean;
  readonly hasMax: boolean;
  readonly nowMs: number;
  readonly dirty: Dirty;
}

/** What to show to peers, of what a disk has. */
export const shownOf = (kept: Kept): HolderFigures => ({
  created: kept.down.created,
  spent: kept.down.spent,
  phase: kept.seen ? 1 : 0,
});

/** One counter here. Its hot fields first. */
export class Holding {
  readonly down: Account;
  /** Only with an upper bound. */
  readonly up: Account | undefined;
  isDirty = false;
  readonly #dirty: Dirty;
  /** Called when rights run low. */
  onLow: () => void = ignore;
  readonly collection: string;
  readonly key: string;
  readonly holder: HolderId;
  readonly isDurable: boolean;
  readonly rates: { readonly down: Rate; readonly up: Rate };
  state: HoldingState = "open";
  /** Why nothing is spent from it any more. */
  stopped: Error | undefined;
  seen: Seen | undefined;
  readonly pending: Map<string, Pending> = new Map();
  /** What increments without an upper bound are to create, once their keys are claimed. */
  rising = 0;
  /** A write that has it is under way. */
  isWriting = false;
  /** The disk has heard of it, if there is one. */
  isRecorded: boolean;
  /** What peers were shown of it. */
  shown: { readonly created: number; readonly spent: number } = { created: 0, spent: 0 };
  #kept: Kept;

  constructor(options: HoldingOptions) {
    const { collection, key, holder, isDurable, hasMax, nowMs, dirty } = options;
    this.down = new Account(isDurable);
    this.up = hasMax ? new Account(isDurable) : undefined;
    this.#dirty = dirty;
    this.collection = collection;
    this.key = key;
    this.holder = holder;
    this.isDurable = isDurable;
    this.isRecorded = !isDurable;
    this.rates = { down: new Rate(nowMs), up: new Rate(nowMs) };
    this.#kept = this.snapshot();
  }

  account(side: Side): Account | undefined {
    return side === "down" ? this.down : this.up;
  }

  /** Spends at once, without waiting for a disk. */
  trySpend(side: Side, by: number): boolean {
    const account = side === "down" ? this.down : this.up;
    if (account === undefined) return false;
    const left = account.block - by;
    if (left < account.low) return this.#trySlowly(account, side, by);
    account.block = left;
    account.spent += by;
    if (this.up !== undefined) this.#create(side === "down" ? this.up : this.down, by);
    if (!this.isDirty) this.touch();
    return true;
  }

  /** Spends; it counts once the disk has it. */
  spend(side: Side, by: number): boolean {
    const account = side === "down" ? this.down : this.up;
    if (account === undefined || !account.take(by)) return false;
    account.spent += by;
    if (this.up !== undefined) this.#create(side === "down" ? this.up : this.down, by);
    if (!this.isDirty) this.touch();
    if (account.isLow) this.onLow();
    return true;
  }

  /** Without an upper bound: creates rights. Without a disk they can be spent once the pool has them. */
  create(by: number): void {
    this.down.created += by;
    if (this.isDurable) this.down.learnUsable(this.down.created);
    if (!this.isDirty) this.touch();
  }

  /** Takes rights for a change that counts once its key is claimed. Without an upper bound an increment needs none. */
  reserve(pending: Pending): boolean {
    const account = this.account(pending.side);
    if (account !== undefined && !account.take(pending.by)) return false;
    this.#setAside(pending);
    if (!this.isDirty) this.touch();
    return true;
  }

  /** It counts, or it does not. */
  settle({ operation, side, by }: Pending, isDone: boolean): void {
    if (!this.pending.delete(operation)) return;
    const account = this.account(side);
    if (account === undefined) {
      this.rising -= by;
      if (isDone) this.create(by);
    } else {
      account.pending -= by;
      if (!isDone) account.gain(by);
      else {
        account.spent += by;
        if (this.up !== undefined) this.#create(side === "down" ? this.up : this.down, by);
      }
    }
    if (!this.isDirty) this.touch();
  }

  /** Something is to be written. */
  touch(): void {
    this.isDirty = true;
    this.#dirty.changed(this);
  }

  /** Nothing is spent from here on: the pool, or this process, says so. */
  stop(why: Error): void {
    this.stopped ??= why;
    for (const side of sides) this.account(side)?.end();
  }

  /** All goes back to the pool, and nothing is spent any more: to be written before that is told. */
  retire(why: Error): void {
    this.state = "retired";
    this.stop(why);
    this.touch();
  }

  /** As a disk had it, of a process that is gone. Nothing is spent from it. */
  restore(kept: Kept, state: HoldingState, why: Error): void {
    this.state = state;
    this.isRecorded = true;
    this.stopped = why;
    this.seen = kept.seen;
    for (const side of sides) {
      const account = this.account(side);
      if (!account) continue;
      const { granted, returned, created, spent, reserved } = kept[side];
      Object.assign(account, { granted, returned, created, spent });
      account.end(reserved);
    }
    for (const pending of kept.pending) this.#setAside(pending);
    this.#kept = this.snapshot();
  }

  // For the journal.

  /** As it is now. */
  snapshot(): Kept {
    const { state, seen, pending } = this;
    const [down, up] = [keep(this.down), this.up ? keep(this.up) : nothing];
    return { state, seen, down, up, pending: pending.size === 0 ? none : [...pending.values()] };
  }

  /** Before a snapshot that is written: sets aside what is spent without waiting. */
  provision(nowMs: number): void {
    for (const side of sides) {
      const account = this.account(side);
      if (account === undefined) continue;
      this.rates[side].observe(account.spent, nowMs);
      if (this.state === "open") account.provision();
    }
  }

  /** The disk has it. */
  written(kept: Kept): void {
    this.#kept = kept;
    this.isRecorded = true;
    this.down.provided();
    this.up?.provided();
  }

  /** The disk has refused. */
  refused(): void {
    this.down.unprovided();
    this.up?.unprovided();
  }

  /** What may be told to others: what the disk has, or all if there is none. */
  get kept(): Kept {
    return this.isDurable ? this.#kept : this.snapshot();
  }

  #setAside(pending: Pending): void {
    this.pending.set(pending.operation, pending);
    const account = this.account(pending.side);
    if (account === undefined) this.rising += pending.by;
    else account.pending += pending.by;
  }

  #create(account: Account, by: number): void {
    account.created += by;
    account.learnUsable(account.created);
  }

  #trySlowly(account: Account, side: Side, by: number): boolean {
    account.tried += by;
    // Not again until there is more.
    account.low = 0;
    const isEnough = account.block >= by;
    if (account.isLow || !isEnough) this.onLow();
    // With the next write more of it can be spent at once.
    if (this.isDurable && account.spare > 0 && !this.isDirty) this.touch();
    return isEnough && this.trySpend(side, by);
  }
}

const ignore = (): void => undefined;
const none: readonly Pending[] = [];
const nothing: KeptAccount = { granted: 0, returned: 0, created: 0, spent: 0, reserved: 0 };

const keep = ({ granted, returned, created, spent, reserved }: Account): KeptAccount => ({
  ...{ granted, returned, created, spent, reserved },
});
