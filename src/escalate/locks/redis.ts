/**
 * Guards in one Redis, as scripts: fenced, durable where the server is told to be.
 *
 * What makes it so? The server says "done" only after the write is on its disk (`appendonly yes`,
 * `appendfsync always`), and it evicts nothing. Less loses the last second with the power, and
 * `fencing: "until-restart"` says that one can live with it. What no setting helps against: a replica that
 * is promoted before it had the last writes grants tokens a second time, so do not promote one.
 */
import type { Redis } from "ioredis";
import { type Environment, systemEnvironment } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import { AuthorityClient } from "../fence/authority-client.ts";
import type { LockBackend } from "../locks.ts";
import { RedisAuthority } from "./redis/authority.ts";
import { RedisConnection } from "./redis/connection.ts";
import { RedisKeys } from "./redis/keys.ts";
import { redisScripts } from "./redis/scripts.ts";
import { checkRedisSettings, loadRedisScripts } from "./redis/settings.ts";
import { RedisTurns } from "./redis/turns.ts";

/** How to open. */
export interface RedisLocksOptions {
  /** `redis://127.0.0.1:6379`; this or `client`. */
  readonly url?: string;
  /**
   * Its settings are taken for two connections that are made here: one that falls silent must be given
   * up, which other users of the client would feel, and word of turns needs a second. It is not closed.
   */
  readonly client?: Redis;
  /** Before every key, and the hash tag of them all unless it has one. Default `trellis/`. */
  readonly prefix?: string;
  /** What the server must be set to, as is checked on each connection. Default `durable`. */
  readonly fencing?: "durable" | "until-restart";
  /** How long one answer may take, in ms. Default 2,000. */
  readonly answerMs?: number;
  /** Clocks, timers and randomness, for tests. */
  readonly environment?: Environment;
}

/** Of a deadline: a silent connection is given up in time for the same request to be asked on another. */
const silentPart = 0.75;
const nameBytes = 16;

/**
 * A lock backend in Redis 5 or newer. It connects on first use.
 * @throws UsageError without a url or client, or with both; InvalidValueError for a prefix with stray braces.
 */
export function redisLocks(options: RedisLocksOptions): LockBackend {
  const { prefix = "trellis/", fencing = "durable", answerMs = 2_000 } = options;
  const { url, client, environment = systemEnvironment } = options;
  if ((url === undefined) === (client === undefined)) {
    throw new UsageError("redisLocks needs a url or a client, and not both");
  }
  const draw = (): string => Buffer.from(environment.randomBytes(nameBytes)).toString("hex");
  const keys = new RedisKeys(prefix);
  const connecting = {
    ...(client ? { client } : { url: url ?? "" }),
    ...{ environment, silentMs: answerMs * silentPart },
  };
  const turns = new RedisTurns(connecting, keys.channel(draw()));
  const connection = new RedisConnection(
    connecting,
    async (made) => {
      await checkRedisSettings(made, fencing === "durable");
      await loadRedisScripts(made, redisScripts);
    },
    () => turns.drop(),
  );
  return new AuthorityClient({
    name: "redis",
    guarantees: { fencing, faultTolerant: false, atomicCommits: true },
    authority: new RedisAuthority({ keys, connection, turns, newBirth: draw() }),
    ...{ environment, answerMs, prefix: "" },
    disconnect: async () => {
      await Promise.all([connection.close(), turns.close()]);
    },
  });
}
