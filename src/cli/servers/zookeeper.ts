import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exchange } from "./exchange.ts";
import { zookeeperJar } from "./installed.ts";
import { type Reservation, reservePort, reservePorts } from "./port.ts";
import { Cluster, type Launch, makeDirectory, Server } from "./server.ts";
import type { StartOptions } from "./start-options.ts";

/** So that sessions of one second are granted: the least is two ticks. */
const tickMs = 500;
/** In ticks: to find a leader and learn from it, and to be left behind by it. */
const initLimit = 20;
const syncLimit = 4;

type Settings = Readonly<Record<string, string | number | boolean>>;

/** One ZooKeeper by itself. If not durable, it does not synchronise its log. */
export async function startZookeeper({ isDurable = true }: StartOptions = {}): Promise<Server> {
  return await Server.start(await zookeeper([await reservePort()], { isDurable }));
}

/** An ensemble; three serve on without any one of them. */
export async function startZookeepers(
  count = 3,
  { isDurable = true }: StartOptions = {},
): Promise<Cluster> {
  const ports = await reservePorts(3 * count);
  const nodes = Array.from({ length: count }, (_, i) => ports.slice(3 * i, 3 * i + 3));
  const members = nodes.map(([, quorum, election], i) => {
    return [`server.${i + 1}`, `127.0.0.1:${quorum?.port}:${election?.port}`] as const;
  });
  const settings = { initLimit, syncLimit, ...Object.fromEntries(members) };
  return await Cluster.start(
    await Promise.all(
      nodes.map(
        async (node, i) => await zookeeper(node, { isDurable, ensemble: settings, id: i + 1 }),
      ),
    ),
  );
}

/** How a ZooKeeper is set up. */
export function describeZookeeper(isDurable: boolean): string {
  return `ZooKeeper, one server, forceSync ${forceSync(isDurable)}`;
}

const forceSync = (isDurable: boolean): string => (isDurable ? "yes" : "no");

interface Setup {
  readonly isDurable: boolean;
  readonly ensemble?: Settings;
  readonly id?: number;
}

/** What it is at present; undefined while it is none of them. */
export async function zookeeperMode(
  { port }: Pick<Server, "port">,
  signal: AbortSignal,
): Promise<"standalone" | "leader" | "follower" | undefined> {
  const reply = await exchange(
    port,
    "srvr",
    (bytes) => /Mode: \w+\n|not currently serving/u.test(bytes.toString()),
    signal,
  );
  const mode = /Mode: (\w+)/u.exec(reply.toString())?.[1];
  return mode === "standalone" || mode === "leader" || mode === "follower" ? mode : undefined;
}

async function zookeeper(
  reservations: readonly Reservation[],
  { isDurable, ensemble = {}, id }: Setup,
): Promise<Launch> {
  const port = Number(reservations[0]?.port);
  const directory = await makeDirectory("zookeeper");
  const dataDir = join(directory, "data");
  const settings: Settings = {
    tickTime: tickMs,
    dataDir,
    clientPort: port,
    clientPortAddress: "127.0.0.1",
    "admin.enableServer": false,
    "4lw.commands.whitelist": "*",
    maxClientCnxns: 0,
    minSessionTimeout: 2 * tickMs,
    maxSessionTimeout: 60_000,
    ...ensemble,
  };
  const configuration = join(directory, "zoo.cfg");
  const logging = join(directory, "log4j.properties");
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(configuration, lines.join(""));
  await mkdir(dataDir);
  if (id !== undefined) await writeFile(join(dataDir, "myid"), `${id}\n`);
  await writeFile(
    logging,
    `log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n
`,
  );
  return {
    kind: "zookeeper",
    port,
    url: `127.0.0.1:${port}`,
    directory,
    command: [
      "java",
      ...["-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
      `-Dlog4j.configuration=file:${logging}`,
      "-Dzookeeper.jmx.log4j.disable=true",
      `-Dzookeeper.forceSync=${forceSync(isDurable)}`,
      ...["-cp", zookeeperJar, "org.apache.zookeeper.server.quorum.QuorumPeerMain"],
      configuration,
    ],
    stopSignal: "SIGTERM",
    reservations,
    isReady: async (signal) => (await zookeeperMode({ port }, signal)) !== undefined,
  };
}
