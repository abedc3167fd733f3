/** One etcd. The floor: a transaction a step over the same JSON gateway, with the same puts and no comparison. */
import { Pool } from "undici";
import { nonce, serversOf, value } from "../backends.mjs";
import { built } from "../build.mjs";

const base64 = (text) => Buffer.from(text).toString("base64");
const headers = { "content-type": "application/json" };

/** So many nodes of etcd, as a backend. */
export const etcdBackend = (name, nodes) => ({
  name,
  kind: "etcd",
  async start() {
    const { startEtcd } = await built("src/cli/servers/etcd");
    return serversOf(await startEtcd(nodes));
  },
  async connect([host], { prefix }) {
    const { etcdLocks } = await built("src/escalate/locks/etcd");
    // The same node as the floor: one that follows takes longer than one that leads.
    return etcdLocks({ hosts: [host], prefix });
  },
  async bare([host]) {
    const pool = new Pool(host, { connections: 4, pipelining: 1 });
    const ask = async (path, json) => {
      const body = JSON.stringify(json);
      const reply = await pool.request({ path, method: "POST", headers, body });
      const text = await reply.body.text();
      if (reply.statusCode !== 200) throw new Error(`etcd answered ${text}`);
      return JSON.parse(text);
    };
    const { ID } = await ask("/v3/lease/grant", { TTL: 600 });
    const put = (key, bytes, lease) => ({
      request_put: { key: base64(key), value: base64(bytes), ...(lease ? { lease } : {}) },
    });
    const transact = (...success) => ask("/v3/kv/txn", { compare: [], success, failure: [] });
    const record = Buffer.concat([value, Buffer.alloc(200)]);
    const write = () => transact(put("bare/guard", record));
    return {
      does: "3 transactions of the writes alone over the JSON gateway",
      async cycle() {
        const own = nonce();
        const look = { request_range: { key: base64("bare/guard") } };
        await transact(put(`bare/line/${own}`, "", ID), put("bare/fence", own), look);
        await write();
        await transact({ request_delete_range: { key: base64(`bare/line/${own}`) } });
      },
      set: write,
      close: () => pool.destroy(),
    };
  },
  async describe([host]) {
    const pool = new Pool(host);
    try {
      const { body } = await pool.request({ path: "/version", method: "GET" });
      const { etcdserver } = await body.json();
      return `etcd ${etcdserver}, ${nodes === 1 ? "one node" : `${nodes} nodes`}, each commit synchronised`;
    } finally {
      await pool.destroy();
    }
  },
  tripsMax: { cycle: 3, compareAndSet: 1, handOver: 2 },
  why: {
    time: "the record with its 128 remembered ids is written with each value, in base64 and JSON; each transaction compares up to four keys",
  },
});

/** @type {import("../backends.mjs").BackendPlan} */
export const backend = etcdBackend("etcd", 1);
