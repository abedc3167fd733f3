/** What the processes of the sale soak keep. */
import { boundedCounter, fencedRegister, uniqueClaims } from "../../src/index.ts";
import type { LocksChoice } from "../../src/cli/replay/locks-choice.ts";
import type { Accounts } from "./sale-judge.ts";

/** `weakFence`: over locks that may forget. */
export const saleSchema = (weakFence: boolean) => ({
  stock: boundedCounter({ min: 0, weakFence }),
  coupon: fencedRegister<string>({ weakFence }),
  accounts: fencedRegister<number>({ weakFence }),
  username: uniqueClaims({ weakFence }),
});

/** The types of the shop. */
export type SaleSchema = ReturnType<typeof saleSchema>;

/** One that is restocked as it goes, and one that is stocked once, of which every sale has a key. */
export const skus = { plain: "sku:plain", keyed: "sku:keyed" } as const;

/** 100 accounts; etcd commits at most 42 values at once. */
export const accounts: Accounts = {
  groups: Array.from({ length: 4 }, (_, group) =>
    Array.from({ length: 25 }, (__, i) => `account-${group}-${i}`),
  ),
  opening: 1_000,
};

/** Names that are claimed, by many. */
export const names: readonly string[] = Array.from({ length: 12 }, (_, i) => `name-${i}`);

/** Lets others in again if a holder dies, in ms. Pauses are longer and shorter. */
export const ttlMs = 1_500;

/** How one process opens its replica and keeps its books. */
export interface OpenSale {
  readonly name: string;
  readonly directory: string;
  readonly books: string;
  readonly port: number;
  readonly peers: readonly string[];
  readonly locks: LocksChoice;
  /** Of what it does. */
  readonly seed: number;
  /** Somebody answers for the directory. */
  readonly exclusive?: boolean;
  /** The memory of the machine that this is taken for: a folder in `/dev/shm`. */
  readonly memory?: string;
}
