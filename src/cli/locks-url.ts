/** A lock backend as a URL names it: what commands and configuration take. */
import { UsageError } from "../errors.ts";
import type { LockBackend } from "../escalate/locks.ts";

const forms =
  "redis://host:port, redlock://host:port,host:port,host:port (with ?acceptAdvisory to guard " +
  "what must hold by what may forget), etcd://host:port,..., " +
  "zookeeper://host:port,..., postgres://user@host:port/database or mysql://user@host:port/database";

/**
 * The backend of a URL. Clients of servers are optional packages: only the one that is needed is loaded.
 * @throws UsageError for a URL that is none of these, or a client that is not installed.
 */
export async function locksOfUrl(url: string): Promise<LockBackend> {
  const [scheme = "", rest = ""] = url.split("://", 2);
  const hosts = (/^[^/?]*/u.exec(rest)?.[0] ?? "").split(",").filter(Boolean);
  if (hosts.length === 0) throw unknown(url);
  try {
    return await open(scheme, url, hosts);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) {
      throw error;
    }
    throw new UsageError(`the client of ${scheme} is not installed beside trellis-state`, {
      cause: error,
    });
  }
}

async function open(scheme: string, url: string, hosts: readonly string[]): Promise<LockBackend> {
  switch (scheme) {
    case "redis":
    case "rediss":
      return (await import("../escalate/locks/redis.ts")).redisLocks({ url });
    case "redlock": {
      const { redlockLocks } = await import("../escalate/locks/redlock.ts");
      const urls = hosts.map((host) => `redis://${host}`);
      return redlockLocks({ urls, acceptAdvisory: url.endsWith("?acceptAdvisory") });
    }
    case "etcd":
      return (await import("../escalate/locks/etcd.ts")).etcdLocks({ hosts });
    case "zookeeper":
      return (await import("../escalate/locks/zookeeper.ts")).zookeeperLocks({ hosts });
    case "postgres":
    case "postgresql":
      return (await import("../escalate/locks/postgres.ts")).postgresLocks({ url });
    case "mysql":
      return (await import("../escalate/locks/mysql.ts")).mysqlLocks({ url });
    default:
      throw unknown(url);
  }
}

const unknown = (url: string): UsageError =>
  new UsageError(`${JSON.stringify(url)} names no lock backend: ${forms}`);
