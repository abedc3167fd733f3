/** Stores on real servers, each client behind a bad network of its own. */
import type { LockBackend } from "../../src/escalate/locks.ts";
import { Proxy } from "../servers/proxy.ts";
import type { LockFaults, LockStore } from "./faults.ts";

/** How clients of a store are made, and what can happen to the store itself. */
export interface ProxiedStore {
  readonly url: string;
  /** `url` goes through the proxy. */
  readonly connect: (url: string, prefix: string) => LockBackend;
  /** All prefixes begin with it: what is stored by one case is in the way of no other. */
  readonly prefix: string;
  readonly faults?: Pick<LockFaults, "restartStore" | "wipeStore">;
  /** One question of each client may wait in the server, and looks as if an answer were on its way. */
  readonly waitsInServer?: boolean;
  readonly close?: () => Promise<void>;
}

/** After so long the one answer that is missing is one that waits in the server. */
const patientMs = 300;

/** A store of clients that can be broken. */
export function openProxied(store: ProxiedStore): LockStore {
  const ways = new Map<LockBackend, Proxy>();
  const wayOf = (client: LockBackend): Proxy => {
    const way = ways.get(client);
    if (!way) throw new Error("not a client of this store");
    return way;
  };
  const quietSince = new Map<LockBackend, { roundTrips: number; sinceMs: number }>();
  let looks = 0;
  return {
    connect: async ({ prefix = "" } = {}) => {
      const proxy = await Proxy.start(store.url);
      const client = store.connect(proxy.through(store.url), store.prefix + prefix);
      ways.set(client, proxy);
      return client;
    },
    close: async () => {
      for (const proxy of ways.values()) await proxy.close();
      await store.close?.();
    },
    faults: {
      ...store.faults,
      crash: async (client) => {
        const { requests, replies } = wayOf(client);
        requests.fate = replies.fate = "lose";
      },
      loseReplies: async (client) => {
        wayOf(client).replies.fate = "lose";
      },
      hang: async (client) => {
        wayOf(client).requests.fate = "lose";
      },
      delayReplies: async (client, delayMs) => {
        wayOf(client).replies.delayMs = delayMs;
      },
      mend: async (client) => {
        const way = wayOf(client);
        const { requests, replies } = way;
        requests.fate = replies.fate = "pass";
        replies.delayMs = 0;
        // What has lost a byte would stay silent.
        const { requestBytesLost, replyBytesLost } = way.traffic;
        if (requestBytesLost + replyBytesLost > 0) way.cut("reset");
      },
      requests: (client) => {
        const { requests, replies, askingConnections, traffic } = wayOf(client);
        const isFair = requests.fate === "pass" && replies.fate === "pass";
        const nowMs = performance.now();
        let quiet = quietSince.get(client);
        if (quiet?.roundTrips !== traffic.roundTrips || askingConnections > 1) {
          quiet = { roundTrips: traffic.roundTrips, sinceMs: nowMs };
          quietSince.set(client, quiet);
        }
        const isWaiting = store.waitsInServer === true && nowMs - quiet.sinceMs > patientMs;
        // While an answer is on its way this does not stand still.
        const isAsking = isFair && askingConnections > 0 && !isWaiting;
        return traffic.roundTrips + (isAsking ? ++looks * 1e-9 : 0);
      },
    },
  };
}
