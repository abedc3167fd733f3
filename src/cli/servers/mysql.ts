import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exchange } from "./exchange.ts";
import { unprivileged } from "./installed.ts";
import { reservePort } from "./port.ts";
import { makeDirectory, prepare, Server } from "./server.ts";
import type { StartOptions } from "./start-options.ts";

const database = "trellis";

/** One MariaDB, as it is installed; `root` needs no password. If not durable, it writes its log once a second. */
export async function startMysql({ isDurable = true }: StartOptions = {}): Promise<Server> {
  const reservation = await reservePort();
  const { port } = reservation;
  const identity = unprivileged("mysql");
  const directory = await makeDirectory("mysql", identity);
  const data = join(directory, "data");
  const first = join(directory, "first.sql");
  await writeFile(first, `CREATE DATABASE IF NOT EXISTS ${database};\n`);
  await prepare(
    { directory, identity },
    ...["mariadb-install-db", "--no-defaults", `--datadir=${data}`, "--skip-test-db"],
    "--auth-root-authentication-method=normal",
  );
  return await Server.start({
    kind: "mysql",
    port,
    url: `mysql://root@127.0.0.1:${port}/${database}`,
    directory,
    command: [
      "mariadbd",
      ...["--no-defaults", `--datadir=${data}`, `--port=${port}`, "--bind-address=127.0.0.1"],
      ...[`--socket=${join(directory, "socket")}`, `--pid-file=${join(directory, "pid")}`],
      ...["--skip-log-bin", "--skip-name-resolve", "--innodb-buffer-pool-size=32M"],
      ...["--innodb-log-file-size=16M", `--init-file=${first}`],
      `--innodb-flush-log-at-trx-commit=${flushes(isDurable)}`,
    ],
    identity,
    stopSignal: "SIGTERM",
    reservations: [reservation],
    // The greeting comes first, without a question, and only from a server that lets us in.
    isReady: async (signal) => {
      const reply = await exchange(port, "", (bytes) => bytes.length > 5, signal);
      return reply.includes("MariaDB");
    },
  });
}

/** How a MariaDB is set up. */
export function describeMysql(isDurable: boolean): string {
  return `MariaDB, innodb_flush_log_at_trx_commit ${flushes(isDurable)}, no binary log`;
}

/** At each commit, or never. */
const flushes = (isDurable: boolean): number => (isDurable ? 1 : 0);
