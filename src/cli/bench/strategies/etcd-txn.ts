import { setTimeout as sleep } from "node:timers/promises";
import { base64, openEtcd, type Part, put, range } from "../etcd-gateway.ts";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";

const retryMs = 5_000;
const pauseMs = 5;
const pauseMsMax = 80;

/** Reads, and writes if nobody wrote meanwhile; what is only written once is not read before. */
export const strategy: Strategy = {
  name: "etcd-txn",
  title: "etcd: range, a transaction that compares revisions, or again",
  family: "atomic",
  service: "etcd",
  durable: "the logs of a majority of the members, synchronised",
  volatile: "the logs of a majority of the members, not synchronised",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  async open({ servers, node }) {
    const { ask, read, transact, ...etcd } = await openEtcd(servers, node);
    const verbs = verbsOfSections(
      async (keys, work) => {
        const endMs = performance.now() + retryMs;
        for (let pause = pauseMs; ; pause = Math.min(2 * pause, pauseMsMax)) {
          const found = await read(keys);
          const { result, writes = [] } = work(found.map(({ value }) => value));
          const puts = keys.flatMap((key, i) => {
            const value = writes[i];
            return value === undefined ? [] : [put(key, value)];
          });
          if (puts.length === 0) return result;
          const same = keys.map((key, i) => isAt(key, found[i]?.revision ?? "0"));
          if ((await transact(same, puts)).succeeded) return result;
          if (performance.now() > endMs) throw new Error(`${keys.join()} changed at each try`);
          await sleep(Math.random() * pause);
        }
      },
      async (key) => (await read([key]))[0]?.value,
    );
    return {
      ...verbs,
      redeem: async (coupon, customer) =>
        (await transact([isNew(coupon)], [put(coupon, customer)])).succeeded,
      async claim(name, owner) {
        const { succeeded, found } = await transact(
          ...([[isNew(name)], [put(name, owner)], [range(name)]] as const),
        );
        return succeeded || found[0]?.value === owner;
      },
      set: async (key, value) => {
        await ask("/v3/kv/put", { key: base64(key), value: base64(value) });
      },
      ...etcd,
    };
  },
};

const isAt = (key: string, revision: string): Part => ({
  ...{ key: base64(key), target: "MOD", result: "EQUAL", mod_revision: revision },
});

const isNew = (key: string): Part => ({
  ...{ key: base64(key), target: "CREATE", result: "EQUAL", create_revision: "0" },
});
