/**
 * A served replica that dies at a moment of its own: the test tells when. It prints its port, and is killed
 * with SIGKILL by itself, between what it did and what it says of it.
 *
 *   node crash-process.mjs DIRECTORY PEERS MOMENT
 *
 * MOMENT is `never`, `written` (peers may have it, the disk may not) or `durable` (the disk has it, and the
 * answer is not sent).
 */
import { counter, openReplica } from "../../dist/index.js";
import { serveHttp } from "../../dist/http.js";

const [directory, peers, moment, gateMs] = process.argv.slice(2);
const die = () => process.kill(process.pid, "SIGKILL");

const replica = await openReplica({
  schema: { likes: counter() },
  name: "crashes",
  // Nothing is written before somebody waits for it.
  storage: { directory, intervalMs: 60_000 },
  listen: { port: 0 },
  peers: peers === "" ? [] : [peers],
});
const bind = (name) => replica[name].bind(replica);
const dying = {
  ...Object.fromEntries(
    [
      ...["serve", "transact", "version", "written", "waitFor", "synced"],
      ...["watch", "status", "collection", "inventory"],
    ].map((name) => [name, bind(name)]),
  ),
  lastStop: replica.lastStop,
  acknowledged: async (version, options) => {
    if (moment === "written") {
      // The disk would have been asked here. Links are not.
      if (peers !== "") await replica.acknowledged(version, { by: 1 }).catch(() => undefined);
      die();
    }
    await replica.acknowledged(version, options);
    if (moment === "durable") die();
  },
};
serveHttp(dying, { lagMsMax: 60_000, retryGateMs: Number(gateMs ?? 10_000) });
process.stdout.write(`${replica.address.port} ${replica.lastStop}\n`);
