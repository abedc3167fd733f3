// The process of embedded-faults.test.ts: a replica that is the lock authority, until it is killed.
import process from "node:process";
import { openReplica } from "trellis-state";
import { embeddedLocks } from "trellis-state/locks/embedded";

const { storage, port } = JSON.parse(process.argv[2]);
const locks = embeddedLocks({ host: true });
const replica = await openReplica({ schema: {}, name: "host", storage, listen: { port }, locks });
process.send(replica.address.port);
process.on("disconnect", () => process.exit());
