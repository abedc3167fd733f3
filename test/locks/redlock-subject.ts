/** `redlockLocks` as a subject of the suite: each client behind a network of its own to each master. */
import { randomUUID } from "node:crypto";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { redlockLocks } from "../../src/escalate/locks/redlock.ts";
import { Proxy } from "../../src/cli/servers/proxy.ts";
import type { LockFaults, LockStore, LockSubject } from "./faults.ts";
import { answerMs, countedRedis, networkFaults, removeKeys, type Way } from "./redis-subject.ts";

/** An empty part of some masters. */
export async function openRedlockStore(
  urls: readonly string[],
  extra: Pick<LockFaults, "restartStore"> = {},
): Promise<LockStore> {
  const root = `${randomUUID()}/`;
  const ways = new Map<LockBackend, Way>();
  const wayOf = (client: LockBackend): Way => {
    const way = ways.get(client);
    if (!way) throw new Error("not a client of this store");
    return way;
  };
  const wipe = async (): Promise<void> => {
    for (const url of urls) await removeKeys(url, root);
  };
  return {
    connect: async ({ prefix = "trellis/" } = {}) => {
      const proxies = await Promise.all(urls.map((url) => Proxy.start(url)));
      const counted = proxies.map(countedRedis);
      const clients = counted.map(({ client }) => client);
      const locks = redlockLocks({
        ...{ clients, prefix: root + prefix, fencing: "durable", answerMs },
      });
      // In rounds: all masters are asked at once.
      const sent = (): number => counted.reduce((sum, each) => sum + each.sent(), 0) / urls.length;
      ways.set(locks, { proxies, sent });
      return locks;
    },
    close: async () => {
      for (const { proxies } of ways.values()) for (const proxy of proxies) await proxy.close();
      await wipe();
    },
    faults: { ...networkFaults(wayOf), ...extra, wipeStore: wipe },
  };
}

/** The subject, on masters that cannot be killed. */
export const redlockSubject = (urls: () => Promise<readonly string[]>): LockSubject => ({
  name: "redlock",
  open: async () => openRedlockStore(await urls()),
  ttlMs: 400,
  waiters: 100,
  without: ["restartStore", "operate", "order"],
});
