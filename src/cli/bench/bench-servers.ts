/** The servers of a run, one kind at a time: started for it, or somebody's own by their URL. */
import { UsageError } from "../../errors.ts";
import { isInstalled } from "../servers/installed.ts";
import { processCpuMs } from "../servers/process-tree.ts";
import { Cluster, type Server } from "../servers/server.ts";
import { isServiceName, type ServiceName, services } from "../servers/shared.ts";

/** A service as strategies reach it. */
export interface RunningService {
  readonly addresses: readonly string[];
  /** Those that may be killed; none if they are somebody else's. */
  readonly own: readonly Server[];
  /** How it is set up. */
  readonly description: string;
}

/** URLs of services that run already, by their names. */
export type GivenServers = ReadonlyMap<ServiceName, readonly string[]>;

/**
 * Adds one URL to those before it: `redis://host:port`, `redlock://host:port,host:port,host:port`,
 * `etcd://host:port,…`, `zookeeper://host:port,…`, `postgres://…`, `mysql://…`.
 * @throws UsageError
 */
export function serverUrl(text: string, before: GivenServers = new Map()): GivenServers {
  const [scheme = "", rest = ""] = text.split("://", 2);
  const hosts = rest.split(",").filter(Boolean);
  if (!isServiceName(scheme) || hosts.length === 0) {
    throw new UsageError(
      `${JSON.stringify(text)} names no server: it begins with ${Object.keys(services).join("://, ")}://`,
    );
  }
  return new Map([...before, [scheme, addressesOf(scheme, text, hosts)]]);
}

/** As the strategies of that service take them. */
function addressesOf(name: ServiceName, url: string, hosts: readonly string[]): readonly string[] {
  if (name === "redlock") return hosts.map((host) => `redis://${host}`);
  return name === "etcd" || name === "zookeeper" ? hosts : [url];
}

/** Starts and stops them. */
export class BenchServers implements AsyncDisposable {
  readonly #given: GivenServers;
  #running: { readonly key: string; readonly servers: readonly Server[] } | undefined;

  constructor(given: GivenServers) {
    this.#given = given;
  }

  /** Why nothing can be measured on it, if so. */
  missing(name: ServiceName): string | undefined {
    if (this.#given.has(name) || isInstalled(services[name].kind)) return undefined;
    return `${services[name].kind} is not installed on this machine, and no URL was given by --server`;
  }

  /** Whether it can be had without durability: a server of somebody else's is as it is set. */
  canBeVolatile(name: ServiceName): boolean {
    return !this.#given.has(name);
  }

  /** The service, which runs when this resolves; the one before it does not any more, if it was ours. */
  async use(name: ServiceName, isDurable: boolean): Promise<RunningService> {
    const given = this.#given.get(name);
    if (given !== undefined) {
      await this.stop();
      return { addresses: given, own: [], description: "yours, as it is set" };
    }
    const key = `${name}/${isDurable}`;
    if (this.#running?.key !== key) {
      await this.stop();
      const started = await services[name].start({ isDurable });
      const servers = started instanceof Cluster ? started.nodes : [started];
      this.#running = { key, servers };
    }
    const own = this.#running?.servers ?? [];
    return {
      addresses: own.map(({ url, address }) => (name === "etcd" ? address : url)),
      own,
      description: services[name].describe(isDurable),
    };
  }

  /** What the running servers have used of the processors, in ms; null if they are somebody else's. */
  cpuMs(): number | null {
    if (this.#running === undefined) return null;
    const pids = this.#running.servers.flatMap((server) => server.pids());
    return pids.reduce((sum, pid) => sum + processCpuMs(pid), 0);
  }

  /** Ends what was started. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await Promise.all((running?.servers ?? []).map(async (server) => await server.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
