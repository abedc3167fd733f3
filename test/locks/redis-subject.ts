/** `redisLocks` as a subject of the suite: each client behind a network of its own. */
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { redisLocks } from "../../src/escalate/locks/redis.ts";
import { Proxy } from "../../src/cli/servers/proxy.ts";
import { until } from "../../src/cli/servers/until.ts";
import type { LockFaults, LockStore, LockSubject } from "./faults.ts";

/** Short, so that what is lost is soon known to be; longer than the delays of the suite. */
export const answerMs = 800;

/** How long a reply that is to be lost may take to come, in ms. */
const lossMsMax = 1_000;

/** Of one client of a store. */
export interface Way {
  /** One a server. */
  readonly proxies: readonly Proxy[];
  /** Commands that were sent. */
  readonly sent: () => number;
}

/** What a bad network does to clients. */
export function networkFaults(
  wayOf: (client: LockBackend) => Way,
): Required<
  Pick<LockFaults, "crash" | "loseReplies" | "hang" | "delayReplies" | "mend" | "requests">
> {
  const each = (change: (proxy: Proxy) => void) => async (client: LockBackend) =>
    wayOf(client).proxies.forEach(change);
  return {
    crash: each((proxy) => {
      proxy.requests.fate = proxy.replies.fate = "lose";
      proxy.cut("reset");
    }),
    loseReplies: each((proxy) => {
      proxy.forget();
      proxy.replies.fate = "lose";
    }),
    hang: each((proxy) => (proxy.requests.fate = proxy.replies.fate = "lose")),
    delayReplies: async (client, delayMs) =>
      wayOf(client).proxies.forEach((proxy) => (proxy.replies.delayMs = delayMs)),
    mend: async (client) => {
      for (const proxy of wayOf(client).proxies) await mend(proxy);
    },
    requests: (client) => wayOf(client).sent(),
  };
}

async function mend(proxy: Proxy): Promise<void> {
  const { requests, replies } = proxy;
  if (replies.fate === "lose" && requests.fate === "pass" && proxy.traffic.requestBytes > 0) {
    const isLost = (): boolean => proxy.traffic.replyBytesLost > 0;
    await until("a reply is lost", lossMsMax, isLost);
  }
  requests.fate = replies.fate = "pass";
  replies.delayMs = 0;
}

/** A client to hand in, through a proxy, and how many commands those that are made of it have sent. */
export function countedRedis({ port }: Proxy): { client: Redis; sent: () => number } {
  const client = new Redis({ host: "127.0.0.1", port, lazyConnect: true });
  let [sent, owed] = [0, 0];
  const count = (made: Pick<Redis, "sendCommand">): void => {
    const send = made.sendCommand.bind(made);
    made.sendCommand = (command, stream) => {
      sent++;
      owed++;
      const over = (): void => void owed--;
      command.promise.then(over, over);
      return send(command, stream);
    };
  };
  const duplicate = client.duplicate.bind(client);
  client.duplicate = (override) => {
    const made = duplicate(override);
    count(made);
    return made;
  };
  // While an answer is owed the count does not stand still, however long the server takes.
  return { client, sent: () => sent + (owed > 0 ? performance.now() * 1e-9 : 0) };
}

/** Removes all keys that begin with a prefix. */
export async function removeKeys(url: string, prefix: string): Promise<void> {
  const admin = new Redis(url);
  try {
    let cursor = "0";
    do {
      const [next, keys] = await admin.scan(cursor, "MATCH", `${prefix}*`, "COUNT", 1_000);
      if (keys.length > 0) await admin.unlink(keys);
      cursor = next;
    } while (cursor !== "0");
  } finally {
    admin.disconnect();
  }
}

/** An empty part of a Redis. */
export async function openRedisStore(
  url: string,
  extra: Pick<LockFaults, "restartStore"> = {},
): Promise<LockStore> {
  const root = `${randomUUID()}/`;
  const ways = new Map<LockBackend, Way>();
  const wayOf = (client: LockBackend): Way => {
    const way = ways.get(client);
    if (!way) throw new Error("not a client of this store");
    return way;
  };
  return {
    connect: async ({ prefix = "trellis/" } = {}) => {
      const proxy = await Proxy.start(url);
      const { client, sent } = countedRedis(proxy);
      const locks = redisLocks({ client, prefix: root + prefix, answerMs });
      ways.set(locks, { proxies: [proxy], sent });
      return locks;
    },
    close: async () => {
      for (const { proxies } of ways.values()) for (const proxy of proxies) await proxy.close();
      await removeKeys(url, root);
    },
    faults: {
      ...networkFaults(wayOf),
      ...extra,
      wipeStore: () => removeKeys(url, root),
    },
  };
}

/** The subject, on a server that cannot be killed. */
export const redisSubject = (url: () => Promise<string>): LockSubject => ({
  name: "redis",
  open: async () => openRedisStore(await url()),
  ttlMs: 300,
  without: ["restartStore"],
});
