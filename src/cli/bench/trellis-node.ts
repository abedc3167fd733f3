/** A node of a service that embeds Trellis: one replica, linked to all others. */
import { setTimeout as sleep } from "node:timers/promises";
import { type LockBackend, openReplica, type Replica, type Schema } from "../../index.ts";
import { embeddedLocks } from "../../escalate/locks/embedded.ts";
import type { Client, NodeContext } from "./strategy.ts";

/** How long to wait for the locks of another node, in ms. */
const locksMs = 10_000;
const lookEveryMs = 5;

/** What a strategy adds to its verbs. */
export type TrellisNode<S extends Schema> = Required<Pick<Client, "url" | "join" | "close">> & {
  readonly replica: Replica<S>;
  readonly locks: LockBackend;
};

/** Opens one. Without `locks` they are embedded, and the first node hosts them. */
export async function openTrellisNode<S extends Schema>(
  { node, directory }: NodeContext,
  {
    schema,
    locks = embeddedLocks({ host: node === 0 }),
    isGuarded = false,
  }: {
    readonly schema: S;
    readonly locks?: LockBackend;
    /** Something of it needs the locks, so whoever joins waits until they serve. */
    readonly isGuarded?: boolean;
  },
): Promise<TrellisNode<S>> {
  const replica = await openReplica({
    schema,
    locks,
    name: `node-${node}`,
    listen: { port: 0 },
    ...(directory === undefined ? {} : { storage: directory }),
  });
  const { address } = replica;
  if (address === undefined) throw new Error("the replica is bound to no port");
  return {
    replica,
    locks,
    url: `ws://${address.host}:${address.port}`,
    async join(urls) {
      for (const url of urls) replica.addPeer(url);
      if (isGuarded) await untilServed(replica);
    },
    close: async () => await replica.close(),
  };
}

async function untilServed<S extends Schema>(replica: Replica<S>): Promise<void> {
  const endMs = performance.now() + locksMs;
  for (;;) {
    const { locks } = replica.status();
    if (locks.kind === "backend" || (locks.kind === "embedded" && locks.isServing)) return;
    if (performance.now() > endMs) throw new Error(`no locks after ${locksMs} ms`);
    await sleep(lookEveryMs);
  }
}
