/** What a shop keeps besides its pages: stock, a coupon, a name. Their rules hold whoever sells where. */
import {
  boundedCounter,
  type BoundedCounterType,
  fencedRegister,
  type FencedRegisterType,
  uniqueClaims,
  type UniqueClaimsType,
} from "../../index.ts";
import { type SiteSchema, siteSchema } from "./site.ts";

/** A coupon that was redeemed; one that was not is absent. */
export interface Coupon {
  readonly redeemedBy: string;
}

/** The types of a shop. */
export type ShopSchema = SiteSchema & {
  /** Units left, never below 0. */
  readonly stock: BoundedCounterType<undefined>;
  /** To be redeemed once. */
  readonly coupon: FencedRegisterType<Coupon>;
  /** One owner each. */
  readonly username: UniqueClaimsType;
};

/** The schema of a shop. `weakFence`: over locks that may forget, which was accepted. */
export const shopSchema = (weakFence: boolean): ShopSchema => ({
  ...siteSchema,
  stock: boundedCounter({ min: 0, weakFence }),
  coupon: fencedRegister<Coupon>({ weakFence }),
  username: uniqueClaims({ weakFence }),
});

/** What is sold, redeemed and claimed. */
export const shopKeys = { sku: "sku:9", coupon: "SPRING", username: "ada" } as const;
