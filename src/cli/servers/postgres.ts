import { join } from "node:path";
import { exchange } from "./exchange.ts";
import { unprivileged } from "./installed.ts";
import { reservePort } from "./port.ts";
import { makeDirectory, prepare, Server } from "./server.ts";
import type { StartOptions } from "./start-options.ts";

/** The protocol's version, then what we are and where we want to. */
const startup = Buffer.concat([
  Buffer.from([0, 0, 0, 0, 0, 3, 0, 0]),
  Buffer.from("user\0postgres\0database\0postgres\0\0"),
]);
startup.writeUInt32BE(startup.length);

/** The last message of a start: the session takes queries. */
const readyForQuery = Buffer.from([...Buffer.from("Z"), 0, 0, 0, 5, ...Buffer.from("I")]);

/** One PostgreSQL, as initdb sets it up; everybody is trusted to be `postgres`. If not durable, it synchronises nothing. */
export async function startPostgres({ isDurable = true }: StartOptions = {}): Promise<Server> {
  const reservation = await reservePort();
  const { port } = reservation;
  const identity = unprivileged("postgres");
  const directory = await makeDirectory("postgres", identity);
  const data = join(directory, "data");
  await prepare(
    { directory, identity },
    ...["initdb", "-D", data, "-U", "postgres", "-A", "trust"],
    ...["-E", "UTF8", "--locale=C", "--no-sync"],
  );
  return await Server.start({
    kind: "postgres",
    port,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    directory,
    command: [
      "postgres",
      ...["-D", data, "-p", String(port)],
      ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
      // What is said here cannot be changed by a statement any more, so it is left as it comes otherwise.
      ...(isDurable ? [] : ["-c", "fsync=off", "-c", "synchronous_commit=off"]),
    ],
    identity,
    // The fast end; SIGTERM would wait for every client.
    stopSignal: "SIGINT",
    reservations: [reservation],
    isReady: async (signal) => {
      const isWhole = (bytes: Buffer): boolean => bytes.includes(readyForQuery);
      return (await exchange(port, startup, isWhole, signal)).length > 0;
    },
  });
}

/** How a PostgreSQL is set up. */
export function describePostgres(isDurable: boolean): string {
  return `PostgreSQL, fsync ${onOff(isDurable)}, synchronous_commit ${onOff(isDurable)}`;
}

const onOff = (isOn: boolean): string => (isOn ? "on" : "off");
