/** One Redis. The floor: a script a step that writes the same fields of one hash, and decides nothing. */
import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import { nonce, operationId, serversOf, value } from "../backends.mjs";
import { built } from "../build.mjs";

const scripts = {
  open: `local token = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'b', ARGV[1], 'f', token, 'n', ARGV[2], 'u', ARGV[3], 'e', ARGV[4])
return { token, redis.call('HGET', KEYS[1], 'd') }`,
  write: `redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2], ARGV[3], ARGV[4])
return ARGV[1]`,
  release: `redis.call('HDEL', KEYS[1], 'n', 'u', 'e')
return 1`,
};
const shaOf = (source) => createHash("sha1").update(source).digest("hex");

/** The three steps on one server, each as one request. */
export async function bareRedis(url) {
  const client = new Redis(url, { lazyConnect: true });
  client.on("error", () => undefined);
  await client.connect();
  await Promise.all(Object.values(scripts).map((source) => client.script("LOAD", source)));
  const run = (name, ...rest) => client.evalshaBuffer(shaOf(scripts[name]), ...rest);
  const [key, counter] = ["{bare}guard", "{bare}token"];
  let version = 0;
  const endUs = () => String(Date.now() * 1_000);
  return {
    open: () => run("open", 2, key, counter, "birth", nonce(), endUs(), endUs()),
    write: () => run("write", 1, key, String(++version), value, `o${version % 128}`, operationId()),
    release: () => run("release", 1, key),
    close: async () => client.disconnect(),
  };
}

/** What a Redis is set to. */
export async function describeRedis(url) {
  const client = new Redis(url);
  try {
    const version = /^redis_version:(\S+)/mu.exec(await client.info("server"))?.[1];
    const [, fsync] = await client.config("GET", "appendfsync");
    return `Redis ${version}, appendonly yes, appendfsync ${fsync}`;
  } finally {
    client.disconnect();
  }
}

/** @type {import("../backends.mjs").BackendPlan} */
export const backend = {
  name: "redis",
  kind: "redis",
  async start() {
    const { startRedis } = await built("src/cli/servers/redis");
    return serversOf(await startRedis());
  },
  async connect([url], { prefix }) {
    const { redisLocks } = await built("src/escalate/locks/redis");
    return redisLocks({ url, prefix });
  },
  async bare([url]) {
    const { open, write, release, close } = await bareRedis(url);
    return {
      does: "3 EVALSHA of the writes alone",
      async cycle() {
        await open();
        await write();
        await release();
      },
      set: write,
      close,
    };
  },
  describe: ([url]) => describeRedis(url),
  tripsMax: { cycle: 3, compareAndSet: 1, handOver: 2 },
  operates: true,
  combinedMin: 5_000,
  why: {
    time: "the script looks at lease, line and id before it writes, 14 to 20 us of the server against 5; the layers above the client are 30 us",
  },
};
