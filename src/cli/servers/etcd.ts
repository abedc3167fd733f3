import { join } from "node:path";
import { reservePorts } from "./port.ts";
import { Cluster, type Launch, makeDirectory, type Server } from "./server.ts";
import type { StartOptions } from "./start-options.ts";

interface Member {
  readonly name: string;
  readonly peerUrl: string;
}

/** How soon a leader is missed. */
export interface EtcdPulse {
  readonly heartbeatMs: number;
  readonly electionMs: number;
}

const unsafe = "--unsafe-no-fsync";

/** As etcd has it. */
const usualPulse: EtcdPulse = { heartbeatMs: 100, electionMs: 1_000 };

/** A cluster of etcd; three nodes serve on without any one of them. If not durable, nothing is synchronised. */
export async function startEtcd(
  count = 3,
  pulse: EtcdPulse = usualPulse,
  { isDurable = true }: StartOptions = {},
): Promise<Cluster> {
  const ports = await reservePorts(2 * count);
  const nodes = Array.from({ length: count }, (_, index) => ({
    name: `n${index}`,
    reservations: ports.slice(2 * index, 2 * index + 2),
  }));
  const members = nodes.map(({ name, reservations }) => ({
    name,
    peerUrl: `http://127.0.0.1:${reservations[1]?.port}`,
  }));
  return await Cluster.start(
    await Promise.all(
      nodes.map(async ({ name, reservations }) => {
        const launch = await etcd(name, reservations, members, pulse);
        return isDurable ? launch : { ...launch, command: [...launch.command, unsafe] };
      }),
    ),
  );
}

/** How the members of a cluster are set up. */
export function describeEtcd(isDurable: boolean): string {
  return `etcd, three members, ${isDurable ? "each entry synchronised" : unsafe}`;
}

/** What a member is at present. */
export async function etcdRole(
  { url }: Pick<Server, "url">,
  signal: AbortSignal,
): Promise<"leader" | "follower"> {
  const response = await fetch(`${url}/v3/maintenance/status`, {
    ...{ method: "POST", body: "{}", signal },
  });
  const { leader, header } = (await response.json()) as {
    readonly leader: string;
    readonly header: { readonly member_id: string };
  };
  return leader === header.member_id ? "leader" : "follower";
}

async function etcd(
  name: string,
  reservations: Launch["reservations"],
  members: readonly Member[],
  pulse: EtcdPulse,
): Promise<Launch> {
  const port = Number(reservations[0]?.port);
  const url = `http://127.0.0.1:${port}`;
  const peerUrl = String(members.find((member) => member.name === name)?.peerUrl);
  const directory = await makeDirectory("etcd");
  const settings = {
    name,
    "data-dir": join(directory, "data"),
    "listen-client-urls": url,
    "advertise-client-urls": url,
    "listen-peer-urls": peerUrl,
    "initial-advertise-peer-urls": peerUrl,
    "initial-cluster": members.map((member) => `${member.name}=${member.peerUrl}`).join(","),
    "initial-cluster-state": "new",
    "heartbeat-interval": pulse.heartbeatMs,
    "election-timeout": pulse.electionMs,
    logger: "zap",
    "log-level": "warn",
  };
  return {
    kind: "etcd",
    port,
    url,
    directory,
    command: ["etcd", ...Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`)],
    stopSignal: "SIGTERM",
    reservations,
    // A member is healthy once it has a leader, so not before a majority runs.
    isReady: async (signal) => {
      const response = await fetch(`${url}/health`, { signal });
      const text = await response.text();
      return response.ok && text.includes('"true"');
    },
  };
}
