/** Fenced registers and unique claims of Trellis, over whatever locks there are. */
import {
  AlreadyClaimedError,
  fencedRegister,
  type FencedRegisterType,
  type LockBackend,
  uniqueClaims,
  type UniqueClaimsType,
} from "../../index.ts";
import type { Client, NodeContext } from "./strategy.ts";
import { openTrellisNode } from "./trellis-node.ts";

interface Coupon {
  readonly by: string;
}

/** Everything that a service guards. */
export type GuardedSchema = {
  readonly units: FencedRegisterType<number>;
  readonly profiles: FencedRegisterType<string>;
  readonly coupons: FencedRegisterType<Coupon>;
  readonly names: UniqueClaimsType;
};

/** The schema; over locks that may forget, that has to be accepted. */
export const guardedSchema = (weakFence = false): GuardedSchema => ({
  units: fencedRegister<number>({ weakFence }),
  profiles: fencedRegister<string>({ weakFence }),
  coupons: fencedRegister<Coupon>({ weakFence }),
  names: uniqueClaims({ weakFence }),
});

/** As long as a service would let a customer wait, in ms. */
export const waitMs = 5_000;
/** Keys that are filled or counted at once. */
const keysAtOnce = 64;

/** A node whose every verb is the call that a service makes for it. */
export async function openGuardedNode(context: NodeContext, locks?: LockBackend): Promise<Client> {
  const { replica, ...node } = await openTrellisNode(context, {
    // Locks in memory forget, which has to be accepted by name.
    schema: guardedSchema(context.directory === undefined),
    isGuarded: true,
    ...(locks === undefined ? {} : { locks }),
  });
  const { units: accounts, profiles, coupons, names } = replica.collections;
  return {
    ...node,
    ...inBulk(
      async (key, units) => await accounts.update(key, () => units, { waitMs }),
      async (key) => await accounts.read(key),
    ),
    async add(key, amount) {
      await accounts.update(key, (now = 0) => now + amount, { waitMs });
    },
    async take(key, units) {
      try {
        await accounts.update(
          key,
          (now = 0) => {
            if (now < units) throw refused;
            return now - units;
          },
          { waitMs },
        );
        return true;
      } catch (error) {
        if (error === refused) return false;
        throw error;
      }
    },
    async redeem(coupon, customer) {
      let isMine = false;
      await coupons.update(
        coupon,
        (used) => {
          isMine = used === undefined;
          return used ?? { by: customer };
        },
        { waitMs },
      );
      return isMine;
    },
    async claim(name, owner) {
      try {
        await names.claim(name, owner, { waitMs });
        return true;
      } catch (error) {
        if (error instanceof AlreadyClaimedError) return false;
        throw error;
      }
    },
    get: (key) => profiles.get(key),
    async set(key, value) {
      await profiles.update(key, () => value, { waitMs });
    },
    async move(from, to, units) {
      const [a, b] = [accounts.at(from), accounts.at(to)];
      return await replica.escalate(
        [a, b],
        (section) => {
          const [left = 0, right = 0] = section.values;
          if (left < units) return false;
          section.set(a, left - units);
          section.set(b, right + units);
          return true;
        },
        { waitMs },
      );
    },
  };
}

const refused = new Error("there is not so much");

/** Filling and counting, many keys at once but not all. */
export function inBulk(
  write: (key: string, units: number) => Promise<unknown>,
  read: (key: string) => Promise<unknown>,
): Required<Pick<Client, "fill" | "count">> {
  return {
    async fill(keys, units) {
      await inTurn(keys, async (key) => await write(key, units));
    },
    count: async (keys) => await inTurn(keys, async (key) => Number((await read(key)) ?? 0)),
  };
}

async function inTurn<T>(
  keys: readonly string[],
  work: (key: string) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  for (let start = 0; start < keys.length; start += keysAtOnce) {
    results.push(...(await Promise.all(keys.slice(start, start + keysAtOnce).map(work))));
  }
  return results;
}
