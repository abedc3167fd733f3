/**
 * One ZooKeeper. The floor: create a node of the line and read the line, write the fence, write the
 * value, remove the node; in as many round trips as ours, since reads go out behind the write before.
 */
import { connect } from "node:net";
import zookeeper from "node-zookeeper-client";
import { nonce, serversOf, value } from "../backends.mjs";
import { built } from "../build.mjs";

const { createClient, CreateMode } = zookeeper;
const any = -1;

const hostOf = (address) => (address.includes("://") ? new URL(address).host : address);

/** @type {import("../backends.mjs").BackendPlan} */
export const backend = {
  name: "zookeeper",
  kind: "zookeeper",
  async start() {
    const { startZookeeper } = await built("src/cli/servers/zookeeper");
    return serversOf(await startZookeeper());
  },
  async connect(hosts, { prefix }) {
    const { zookeeperLocks } = await built("src/escalate/locks/zookeeper");
    return zookeeperLocks({ hosts, prefix });
  },
  async bare([address]) {
    const client = createClient(hostOf(address), { sessionTimeout: 30_000 });
    await new Promise((resolve) => {
      client.once("connected", resolve);
      client.connect();
    });
    const ask = (start) =>
      new Promise((resolve, reject) => {
        start((error, answer) => (error ? reject(error) : resolve(answer)));
      });
    const root = `/bare-${nonce()}`;
    const [line, guard] = [`${root}/line`, `${root}/guard`];
    await ask((done) => client.mkdirp(line, done));
    const record = Buffer.concat([value, Buffer.alloc(200)]);
    await ask((done) => client.create(guard, record, done));
    const multi = (...sets) =>
      ask((done) => {
        const parts = client.transaction();
        for (const [path, data] of sets) parts.setData(path, data, any);
        parts.commit(done);
      });
    return {
      does: "create, multi, multi, remove",
      async cycle() {
        const own = nonce();
        const [made] = await Promise.all([
          ask((done) =>
            client.create(
              `${line}/${own}-`,
              Buffer.alloc(0),
              CreateMode.EPHEMERAL_SEQUENTIAL,
              done,
            ),
          ),
          ask((done) => client.getChildren(line, done)),
        ]);
        await Promise.all([
          multi([line, Buffer.from(own)]),
          ask((done) => client.getData(guard, done)),
        ]);
        await multi([guard, record]);
        await ask((done) => client.remove(made, any, done));
      },
      set: () => multi([guard, record]),
      async close() {
        client.close();
      },
    };
  },
  async describe([address]) {
    const { hostname, port } = new URL(`tcp://${hostOf(address)}`);
    const text = await new Promise((resolve, reject) => {
      let said = "";
      connect({ host: hostname, port: Number(port) })
        .on("connect", function ask() {
          this.end("srvr");
        })
        .on("data", (chunk) => (said += chunk))
        .on("close", () => resolve(said))
        .on("error", reject);
    });
    const version = /Zookeeper version: ([^-,\s]+)/u.exec(text)?.[1] ?? "of unknown version";
    return `ZooKeeper ${version}, one server, forceSync as by default: yes`;
  },
  tripsMax: { cycle: 5, compareAndSet: 1, handOver: 2 },
  why: {
    time: "the record with its 128 remembered ids is written with each value; each transaction checks up to three nodes beside",
  },
};
