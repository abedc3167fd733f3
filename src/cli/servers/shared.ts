/** One set of servers for all suites of a run, each started when first asked for. */
import { describeEtcd, startEtcd } from "./etcd.ts";
import type { ServerKind } from "./installed.ts";
import { describeMysql, startMysql } from "./mysql.ts";
import { describePostgres, startPostgres } from "./postgres.ts";
import { describeRedis, startRedis, startRedisMasters } from "./redis.ts";
import type { Cluster, Server } from "./server.ts";
import type { StartOptions } from "./start-options.ts";
import { describeZookeeper, startZookeeper } from "./zookeeper.ts";

/** What suites can ask for: `redlock` is three Redis masters, `etcd` three nodes, the others one server. */
export const serviceNames = ["redis", "redlock", "etcd", "zookeeper", "postgres", "mysql"] as const;

/** One of them. */
export type ServiceName = (typeof serviceNames)[number];

interface Service {
  readonly kind: ServerKind;
  /** Names the servers to use instead of starting any, separated by commas. */
  readonly variable: string;
  readonly start: (options?: StartOptions) => Promise<Server | Cluster>;
  /** How it is set up when it is started so. */
  readonly describe: (isDurable: boolean) => string;
}

/** How each is started, and the variable of the environment in its place. */
export const services: Readonly<Record<ServiceName, Service>> = {
  redis: {
    kind: "redis",
    variable: "TRELLIS_TEST_REDIS_URL",
    start: startRedis,
    describe: describeRedis,
  },
  redlock: {
    kind: "redis",
    variable: "TRELLIS_TEST_REDLOCK_URLS",
    start: async (options) => await startRedisMasters(undefined, options),
    describe: (isDurable) => `three masters of ${describeRedis(isDurable)}`,
  },
  etcd: {
    kind: "etcd",
    variable: "TRELLIS_TEST_ETCD_HOSTS",
    start: async (options) => await startEtcd(undefined, undefined, options),
    describe: describeEtcd,
  },
  zookeeper: {
    kind: "zookeeper",
    variable: "TRELLIS_TEST_ZOOKEEPER_HOSTS",
    start: startZookeeper,
    describe: describeZookeeper,
  },
  postgres: {
    kind: "postgres",
    variable: "TRELLIS_TEST_POSTGRES_URL",
    start: startPostgres,
    describe: describePostgres,
  },
  mysql: {
    kind: "mysql",
    variable: "TRELLIS_TEST_MYSQL_URL",
    start: startMysql,
    describe: describeMysql,
  },
};

/** True if `text` names a service. */
export function isServiceName(text: string): text is ServiceName {
  return serviceNames.some((name) => name === text);
}

/** Starts what is asked for, once. */
export class SharedServers implements AsyncDisposable {
  readonly #started = new Map<ServiceName, Promise<Server | Cluster>>();
  readonly #options: StartOptions;

  constructor(options: StartOptions = {}) {
    this.#options = options;
  }

  /** As the backend of that name takes them: URLs, or hosts with ports for etcd and ZooKeeper. */
  async addresses(name: ServiceName): Promise<readonly string[]> {
    const nodes = await this.nodes(name);
    return nodes.map(({ url, address }) => (name === "etcd" ? address : url));
  }

  /** The servers themselves: those of a suite's own may be killed and paused. */
  async nodes(name: ServiceName): Promise<readonly Server[]> {
    let starting = this.#started.get(name);
    if (starting === undefined) {
      starting = services[name].start(this.#options);
      this.#started.set(name, starting);
    }
    const started = await starting;
    return "nodes" in started ? started.nodes : [started];
  }

  /** Stops all, also those that are still starting. */
  async [Symbol.asyncDispose](): Promise<void> {
    const starts = await Promise.allSettled(this.#started.values());
    this.#started.clear();
    await Promise.all(
      starts.map(async (start) => {
        if (start.status === "fulfilled") await start.value.stop();
      }),
    );
  }
}
