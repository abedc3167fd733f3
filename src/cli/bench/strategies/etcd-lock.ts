import { base64, type Etcd, openEtcd, type Part, put } from "../etcd-gateway.ts";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";

const ttlSeconds = 10;

/** The lock that etcd itself offers, around a read and a write. */
export const strategy: Strategy = {
  name: "etcd-lock",
  title: "etcd: /v3/lock/lock, range, put if it is still held, /v3/lock/unlock",
  family: "lock",
  service: "etcd",
  durable: "the logs of a majority of the members, synchronised",
  volatile: "the logs of a majority of the members, not synchronised",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  async open({ servers, node }) {
    const { ask, read, transact, ...etcd } = await openEtcd(servers, node);
    const session = await openSession(ask);
    const turns = new Turns();

    const verbs = verbsOfSections(
      async (keys, work) => {
        // In one order, so that nobody waits in a circle.
        const ordered = keys.toSorted();
        return await turns.take(ordered, async () => {
          const { lease } = session;
          const tried: string[] = [];
          try {
            for (const key of ordered) {
              // Before: whose answer is lost may hold it.
              tried.push(`lock/${key}/${BigInt(lease).toString(16)}`);
              await ask("/v3/lock/lock", { name: base64(`lock/${key}`), lease });
            }
            const found = await read(keys);
            const { result, writes = [] } = work(found.map(({ value }) => value));
            const puts = keys.flatMap((key, i) => {
              const value = writes[i];
              return value === undefined ? [] : [put(key, value)];
            });
            const isStored =
              puts.length === 0 || (await transact(tried.map(isThere), puts)).succeeded;
            if (!isStored) throw new Error(`the lock of ${keys.join()} was lost`);
            return result;
          } finally {
            // What cannot be given back ends with the lease.
            await Promise.allSettled(
              tried.map(async (key) => await ask("/v3/lock/unlock", { key: base64(key) })),
            );
          }
        });
      },
      async (key) => (await read([key]))[0]?.value,
    );
    return {
      ...verbs,
      ...etcd,
      async close() {
        await session.end();
        await etcd.close();
      },
    };
  },
};

const isThere = (key: string): Part => ({
  ...{ key: base64(key), target: "CREATE", result: "GREATER", create_revision: "0" },
});

/** A lease that is kept alive, and another one when it was not. */
async function openSession(ask: Etcd["ask"]) {
  const grant = async (): Promise<string> =>
    (await ask<{ readonly ID: string }>("/v3/lease/grant", { TTL: ttlSeconds })).ID;
  let lease = await grant();
  const beat = async (): Promise<void> => {
    const { result } = await ask<{ readonly result: { readonly TTL?: string } }>(
      ...(["/v3/lease/keepalive", { ID: lease }] as const),
    );
    if (result.TTL === undefined) lease = await grant();
  };
  // What fails once is tried again in time.
  const timer = setInterval(() => void beat().catch(() => undefined), (ttlSeconds * 1_000) / 4);
  return {
    get lease() {
      return lease;
    },
    async end() {
      clearInterval(timer);
      await ask("/v3/lease/revoke", { ID: lease }).catch(() => undefined);
    },
  };
}

/** A lock of etcd is held by a lease: who shares one shares the locks, too, and must wait for each other here. */
class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs it once all that came before it for one of the keys has ended. */
  async take<T>(keys: readonly string[], run: () => Promise<T>): Promise<T> {
    const running = Promise.all(keys.map(async (key) => await this.#last.get(key))).then(run);
    const ended = running.then(
      () => undefined,
      () => undefined,
    );
    for (const key of keys) this.#last.set(key, ended);
    try {
      return await running;
    } finally {
      for (const key of keys) if (this.#last.get(key) === ended) this.#last.delete(key);
    }
  }
}
