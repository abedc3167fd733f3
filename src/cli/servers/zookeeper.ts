import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exchange } from "./exchange.ts";
import { zookeeperJar } from "./installed.ts";
import { reservePort } from "./port.ts";
import { makeDirectory, Server } from "./server.ts";

/** So that sessions of one second are granted: the least is two ticks. */
const tickMs = 500;

/** One ZooKeeper by itself. */
export async function startZookeeper(): Promise<Server> {
  const reservation = await reservePort();
  const { port } = reservation;
  const directory = await makeDirectory("zookeeper");
  const settings = {
    tickTime: tickMs,
    dataDir: join(directory, "data"),
    clientPort: port,
    clientPortAddress: "127.0.0.1",
    "admin.enableServer": false,
    "4lw.commands.whitelist": "*",
    maxClientCnxns: 0,
    minSessionTimeout: 2 * tickMs,
    maxSessionTimeout: 60_000,
  };
  const configuration = join(directory, "zoo.cfg");
  const logging = join(directory, "log4j.properties");
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(configuration, lines.join(""));
  await writeFile(
    logging,
    `log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n
`,
  );
  return await Server.start({
    kind: "zookeeper",
    port,
    url: `127.0.0.1:${port}`,
    directory,
    command: [
      "java",
      ...["-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
      `-Dlog4j.configuration=file:${logging}`,
      "-Dzookeeper.jmx.log4j.disable=true",
      ...["-cp", zookeeperJar, "org.apache.zookeeper.server.quorum.QuorumPeerMain"],
      configuration,
    ],
    stopSignal: "SIGTERM",
    reservations: [reservation],
    isReady: async (signal) => {
      const reply = await exchange(port, "srvr", (bytes) => bytes.includes("Mode: "), signal);
      return reply.includes("Mode: standalone");
    },
  });
}
