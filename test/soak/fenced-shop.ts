/** A replica of the soak of fenced values, over any backend. */
import {
  AlreadyClaimedError,
  fencedRegister,
  openReplica,
  type Replica,
  uniqueClaims,
} from "../../src/index.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { etcdLocks } from "../../src/escalate/locks/etcd.ts";
import { mysqlLocks } from "../../src/escalate/locks/mysql.ts";
import { postgresLocks } from "../../src/escalate/locks/postgres.ts";
import { redisLocks } from "../../src/escalate/locks/redis.ts";
import { zookeeperLocks } from "../../src/escalate/locks/zookeeper.ts";
import type { Intent, Told } from "./fenced-ledger.ts";

/** The test's Redis does not write before it answers; it is not restarted here. */
const weakFence = true;
const schema = {
  accounts: fencedRegister<number>({ weakFence }),
  coupons: fencedRegister<{ readonly by: string }>({ weakFence }),
  names: uniqueClaims({ weakFence }),
};

/** A replica with these collections. */
export type Shop = Replica<typeof schema>;

/** Backends that the soak runs on. */
export const lockNames = ["embedded", "redis", "etcd", "zookeeper", "postgres", "mysql"] as const;

/** Where the locks are. */
export interface LockPlace {
  readonly name: (typeof lockNames)[number];
  readonly servers: readonly string[];
  readonly prefix: string;
}

function locksAt({ name, servers, prefix }: LockPlace, isHost: boolean): LockBackend {
  const [url = ""] = servers;
  switch (name) {
    case "embedded":
      return embeddedLocks({ host: isHost });
    case "redis":
      return redisLocks({ url, prefix });
    case "etcd":
      return etcdLocks({ hosts: servers, prefix });
    case "zookeeper":
      return zookeeperLocks({ hosts: servers, prefix });
    case "postgres":
      return postgresLocks({ url, prefix });
    case "mysql":
      return mysqlLocks({ url, prefix });
  }
}

/** The one that the others are linked with; with `directory` it can be the lock authority. */
export const openHub = (place: LockPlace, directory: string): Promise<Shop> =>
  openReplica({
    ...{ schema, name: "hub", listen: { port: 0 }, storage: directory },
    locks: locksAt(place, true),
  });

/** One that lives in memory. */
export const openGuest = (place: LockPlace, name: string, hub: string): Promise<Shop> =>
  openReplica({ schema, name, peers: [hub], locks: locksAt(place, false) });

/** Short, so that who is stopped for seconds is overtaken. */
const ttlMs = 1_000;
const waitMs = 5_000;

export const accountName = (i: number): string => `account ${i}`;

/** Asks for it once. */
export async function ask(shop: Shop, intent: Intent): Promise<Told> {
  const { accounts, coupons, names } = shop.collections;
  const { key } = intent;
  if (intent.kind === "redeem") {
    const coupon = await coupons.update(intent.what, (now) => now ?? { by: key }, {
      ...{ idempotencyKey: key, waitMs },
    });
    return coupon ? { key, by: coupon.by } : { key };
  }
  if (intent.kind === "claim") {
    try {
      await names.claim(intent.what, key, { waitMs });
      return { key, by: key };
    } catch (error) {
      if (!(error instanceof AlreadyClaimedError)) throw error;
      return { key, by: error.owner };
    }
  }
  const [from, to] = [
    accounts.at(accountName(intent.from)),
    accounts.at(accountName(intent.to)),
  ] as const;
  await shop.escalate(
    [from, to],
    async (section) => {
      const [a = 0, b = 0] = section.values;
      // Time to be stopped in.
      await new Promise((resolve) => {
        setTimeout(resolve, intent.amount);
      });
      section.set(from, a - intent.amount);
      section.set(to, b + intent.amount);
    },
    { idempotencyKey: key, waitMs, ttlMs },
  );
  return { key };
}
