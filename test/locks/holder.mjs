// The process of paused-holder.ts: holds, says its token, and commits when it is told to.
import process from "node:process";

const { backend, maker, options, resource, ttlMs, replica } = JSON.parse(process.argv[2]);
const module = await import(`trellis-state/locks/${backend}`);
const locks = module[maker](options);
if (replica) {
  const { openReplica } = await import("trellis-state");
  const opened = await openReplica({ schema: {}, ...replica, locks });
  while (!opened.status().locks.isServing) await new Promise((resolve) => setTimeout(resolve, 5));
  // What it gives back last goes with the links.
  process.once("disconnect", () => void opened.close());
}
const lease = await locks.acquire(resource, { ttlMs, waitMs: 0 });
const told = new Promise((resolve) => {
  // The first line after a pause: what does the lease say?
  process.once("message", () => resolve(lease.lost.aborted));
});
process.send(`held ${lease.token}`);
const isLost = await told;
const value = new TextEncoder().encode("stale");
const outcome = await locks.commit([{ lease, value }], "late").then(
  () => "committed",
  (error) => error.code,
);
process.send(`awoke ${JSON.stringify({ isLost, outcome })}`);
await locks[Symbol.asyncDispose]();
process.disconnect();
