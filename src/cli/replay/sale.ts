/** Selling in one process: so many customers at once, each served as fast as the shop answers. */
import {
  AlreadyClaimedError,
  InsufficientError,
  LockUnavailableError,
  type Replica,
  RightsUnavailableError,
} from "../../index.ts";
import { Ledger } from "./ledger.ts";
import { shopKeys, type ShopSchema } from "./shop.ts";

type Shop = Replica<ShopSchema>;

/** How a sale ended: all that was wanted is sold, nothing is left anywhere, or what is left is out of reach. */
export type SaleEnd = "done" | "sold-out" | "out-of-reach";

/** What to sell. */
export interface Sale {
  /** Stops after so many. */
  readonly units: number;
  /** Customers at once. */
  readonly customers: number;
  /** Where the books are. */
  readonly ledger: string;
  /** How long one customer waits for units that others hold, in ms. */
  readonly waitMs: number;
  /** Told how many were sold so far. */
  readonly onSold: (sold: number) => void;
}

/** What came of it. */
export interface Sold {
  readonly sold: number;
  readonly end: SaleEnd;
}

/** Sells one unit a customer until there is a reason to stop. */
export async function sell(shop: Shop, sale: Sale): Promise<Sold> {
  using ledger = new Ledger(sale.ledger);
  const { stock } = shop.collections;
  let left = sale.units;
  let sold = 0;
  let end: SaleEnd = "done";
  const serve = async (): Promise<void> => {
    while (left > 0 && end === "done") {
      left--;
      ledger.note("begun");
      try {
        await stock.decrement(shopKeys.sku, 1, { waitMs: sale.waitMs });
        ledger.note("sold");
        sale.onSold(++sold);
      } catch (error) {
        end = endOf(error);
        ledger.note("refused");
      }
    }
  };
  await Promise.all(Array.from({ length: sale.customers }, serve));
  return { sold, end };
}

/** Refusals end a sale, and surely took nothing; anything else is a fault, and may have. */
function endOf(error: unknown): SaleEnd {
  if (error instanceof InsufficientError) return "sold-out";
  if (error instanceof RightsUnavailableError || error instanceof LockUnavailableError) {
    return "out-of-reach";
  }
  throw error;
}

/** Whether this customer's was the redemption that counts. */
export async function redeem(shop: Shop, customer: string): Promise<boolean> {
  const coupon = await shop.collections.coupon.update(
    shopKeys.coupon,
    (current) => current ?? { redeemedBy: customer },
  );
  return coupon?.redeemedBy === customer;
}

/** Whether the name is this customer's now. */
export async function claim(shop: Shop, customer: string): Promise<boolean> {
  try {
    await shop.collections.username.claim(shopKeys.username, customer);
    return true;
  } catch (error) {
    if (error instanceof AlreadyClaimedError) return false;
    throw error;
  }
}
