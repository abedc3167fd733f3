/**
 * One peer of the shared list: a service with a replica in it, and the page in front. This is all that it takes.
 *
 * Prints where the page is. SIGTERM or SIGINT ends it: what is under way is finished, rights that were not spent go back.
 */
import { parseArgs } from "node:util";
import { boundedCounter, counter, openReplica } from "trellis-state";
import { yDoc } from "trellis-state/bridge/yjs";
import { serveHttp } from "trellis-state/http";
import { embeddedLocks } from "trellis-state/locks/embedded";
import { openPage } from "./page-files.mjs";

const { values: flags } = parseArgs({
  options: {
    name: { type: "string", default: "peer-1" },
    port: { type: "string", default: "7101" },
    /** The port of the other peer. */
    other: { type: "string", default: "7102" },
    storage: { type: "string" },
    /** One peer of the cluster has them. */
    "host-locks": { type: "boolean", default: false },
  },
});
if (flags.storage === undefined) throw new Error("--storage names no directory");

// Before the replica: from when it listens on it should be served.
const page = await openPage({ peer: flags.name, otherUrl: `http://127.0.0.1:${flags.other}/` });
const replica = await openReplica({
  schema: {
    list: yDoc(),
    likes: counter(),
    stock: boundedCounter({ min: 0, initial: 5 }),
  },
  name: flags.name,
  storage: flags.storage,
  listen: { port: Number(flags.port) },
  peers: [`ws://127.0.0.1:${flags.other}`],
  locks: embeddedLocks({ host: flags["host-locks"] }),
  documents: { yjs: "list" },
});
const http = serveHttp(replica, { page });
console.log(`http://127.0.0.1:${flags.port}/`);

let closing;
const close = async () => {
  await http.close();
  await replica.close();
};
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => void (closing ??= close()));
