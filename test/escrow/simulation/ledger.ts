/**
 * The outside ledger: what callers were told, and nothing else. It never asks a replica what it believes.
 *
 * An operation that began may have taken effect until its caller is told that it surely has not. So what has
 * surely been sold is compared with all that may have been stocked, at every step.
 */
import type { SchemaName } from "./shop.ts";

/** One counter. */
export interface Account {
  readonly min: number;
  readonly max: number;
  readonly initial: number;
  /** Surely taken, or put back. */
  taken: number;
  added: number;
  /** Of what was begun and not refused. */
  takenAtMost: number;
  addedAtMost: number;
  /** Begun by processes that were killed, and not told of. */
  takenUnknown: number;
  addedUnknown: number;
}

/** How an operation ended. */
export type Told = "done" | "refused" | "unknown";

/** An operation that is under way. */
export interface Begun {
  /** Ends it, once. */
  end(told: Told): void;
}

/** Of all counters. */
export class Ledger {
  readonly faults: string[] = [];
  readonly counts: Record<string, number> = {};
  readonly #accounts = new Map<string, Account>();
  /** Keys of callers that were told that theirs counts, and those that began. */
  readonly #keys = new Map<string, "begun" | "taken">();

  account(collection: SchemaName, key: string): Account {
    return this.#accounts.get(`${collection}/${key}`) as Account;
  }

  get accounts(): ReadonlyMap<string, Account> {
    return this.#accounts;
  }

  open(
    collection: SchemaName,
    key: string,
    bounds: Pick<Account, "min" | "max" | "initial">,
  ): void {
    this.#accounts.set(`${collection}/${key}`, {
      ...bounds,
      ...{ taken: 0, added: 0, takenAtMost: 0, addedAtMost: 0, takenUnknown: 0, addedUnknown: 0 },
    });
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  /** Somebody begins to take (`by` below 0) or to add. */
  begin(collection: SchemaName, key: string, by: number, idempotencyKey?: string): Begun {
    const account = this.account(collection, key);
    const known = idempotencyKey === undefined ? undefined : this.#keys.get(idempotencyKey);
    if (idempotencyKey !== undefined && known === undefined)
      this.#keys.set(idempotencyKey, "begun");
    // Asked again it is the same operation.
    const counts = known === undefined;
    if (counts && by < 0) account.takenAtMost -= by;
    if (counts && by > 0) account.addedAtMost += by;
    let isOver = false;
    return {
      end: (told) => {
        if (isOver) throw new Error("an operation ended twice");
        isOver = true;
        this.count(`${by < 0 ? "take" : "add"} ${told}`);
        if (told === "done") this.#done(account, `${collection}/${key}`, by, idempotencyKey);
        else if (told === "unknown" && counts) {
          if (by < 0) account.takenUnknown -= by;
          else account.addedUnknown += by;
        } else if (told === "refused" && counts && idempotencyKey === undefined) {
          if (by < 0) account.takenAtMost += by;
          else account.addedAtMost -= by;
        }
      },
    };
  }

  /** So much could be taken for certain, whoever asks, if nothing is stranded. */
  surelyLeft(collection: SchemaName, key: string): number {
    const { initial, min, added, takenAtMost } = this.account(collection, key);
    return initial - min + added - takenAtMost;
  }

  #done(account: Account, name: string, by: number, idempotencyKey: string | undefined): void {
    if (idempotencyKey !== undefined) {
      if (this.#keys.get(idempotencyKey) === "taken") return;
      this.#keys.set(idempotencyKey, "taken");
    }
    if (by < 0) account.taken -= by;
    else account.added += by;
    const { initial, min, max, taken, added, takenAtMost, addedAtMost } = account;
    if (taken > initial - min + addedAtMost) {
      this.faults.push(`${name}: ${taken} taken of ${initial - min} and ${addedAtMost} added`);
    }
    if (added > max - initial + takenAtMost) {
      this.faults.push(
        `${name}: ${added} added where there was room for ${max - initial + takenAtMost}`,
      );
    }
  }
}
