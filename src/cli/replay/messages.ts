/** What the coordinator asks of a replica's process, and what it is answered. */
import type { LocksChoice } from "./locks-choice.ts";
import type { SaleEnd } from "./sale.ts";
import type { SiteCollection, Visit } from "./site.ts";

/** A request to a replica's process. */
export type Command =
  /** Opens the replica on a free port, durable if there is a directory. Answered by `opened`. */
  | {
      readonly kind: "open";
      readonly name: string;
      readonly logLevel: string;
      readonly directory?: string;
      /** It is a shop, over these locks. */
      readonly locks?: LocksChoice;
    }
  /** Adds a link to be dialed. Answered by `done`. */
  | { readonly kind: "dial"; readonly url: string }
  /** Takes a dialed link away. Answered by `done`. */
  | { readonly kind: "hang-up"; readonly url: string }
  /** Waits until exactly so many links carry changes. Answered by `done`. */
  | { readonly kind: "await-links"; readonly links: number }
  /**
   * Writes visits, of which the replica took `before` earlier. Answered by `done`: by a durable
   * replica once they are on its disk.
   */
  | { readonly kind: "apply"; readonly visits: readonly Visit[]; readonly before: number }
  /** How many visits a durable replica holds of those it was given. Answered by `taken`. */
  | { readonly kind: "taken" }
  /** Answered by `version`. */
  | { readonly kind: "version" }
  /** Waits until all of the versions are held. Answered by `done`. */
  | { readonly kind: "await-versions"; readonly versions: readonly string[] }
  /** Answered by `figures`. */
  | { readonly kind: "figures" }
  /** Reads a part of a collection, from the key at `offset`. Answered by `page`. */
  | { readonly kind: "read"; readonly collection: SiteCollection; readonly offset: number }
  /** Waits until its lock backend can be asked. Answered by `done`. */
  | { readonly kind: "await-locks" }
  /** Adds units to the stock. Answered by `done`. */
  | { readonly kind: "restock"; readonly units: number }
  /** Waits until the stock is so large, as far as it is known there. Answered by `done`. */
  | { readonly kind: "await-stock"; readonly units: number }
  /** Sells until so many are sold here, or there is a reason to stop. Answered by `sold`. */
  | {
      readonly kind: "sell";
      readonly units: number;
      readonly customers: number;
      readonly ledger: string;
      readonly waitMs: number;
    }
  /** Redeems the coupon and claims the name for so many customers at once. Answered by `won`. */
  | { readonly kind: "contest"; readonly customers: readonly string[] }
  /** Answered by `shop`. */
  | { readonly kind: "shop" }
  /** Closes the replica. Answered by `done`; the process ends once it is let go. */
  | { readonly kind: "close" };

/** A key and what is under it: a sum, the elements in order, or a value. */
export type Entry = readonly [key: string, value: number | string | readonly string[]];

/** Figures of a replica since it was opened. */
export interface Figures {
  /** Single writes: increments, adds and sets. */
  readonly operations: number;
  /** Requests that it knows of, its own and those of others: the sum of all counters. */
  readonly requestsKnown: number;
  readonly framesIn: number;
  readonly framesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The most batches that a peer was seen to lack. */
  readonly lagBatchesMax: number;
}

/** What a shop says of itself. */
export interface ShopFigures {
  readonly stock: number;
  /** Who redeemed the coupon, as its copy here has it. */
  readonly redeemedBy: string | undefined;
  /** Who has the name, as its copy here has it. */
  readonly owner: string | undefined;
  /** Units that nobody can sell until a holder comes back or an operator decides. */
  readonly stranded: number;
}

/** An answer. */
export type Reply =
  | { readonly kind: "opened"; readonly url: string }
  | { readonly kind: "done" }
  | { readonly kind: "taken"; readonly count: number }
  | { readonly kind: "version"; readonly version: string }
  | { readonly kind: "figures"; readonly figures: Figures }
  | { readonly kind: "sold"; readonly sold: number; readonly end: SaleEnd }
  /** The customers who were told that it is theirs. */
  | {
      readonly kind: "won";
      readonly redeemed: readonly string[];
      readonly claimed: readonly string[];
    }
  | { readonly kind: "shop"; readonly figures: ShopFigures }
  /** `next` is missing on the last page. */
  | { readonly kind: "page"; readonly entries: readonly Entry[]; readonly next?: number };

/** Sent unasked while a sale is under way. */
export interface SoldSoFar {
  readonly sold: number;
}

/** Whether a message says how far a sale is. */
export const isSoldSoFar = (message: unknown): message is SoldSoFar =>
  typeof message === "object" && message !== null && "sold" in message;
