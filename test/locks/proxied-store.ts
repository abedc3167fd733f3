/** A store on real servers, with a bad network of its own before each client. */
import type { LockBackend } from "../../src/escalate/locks.ts";
import { Proxy, type ProxyOptions } from "../servers/proxy.ts";
import { until } from "../servers/until.ts";
import type { LockFaults, LockStore } from "./faults.ts";

/** How long a reply that is to be lost may take to come, in ms. */
const lossMsMax = 5_000;

/** After so long, in ms, the one answer that is missing is one that waits in the server. */
const patientMs = 300;

let stores = 0;

/** A prefix that no other case of this run, or of one before, uses. */
export const freshPrefix = (): string => `test-${process.pid}-${Date.now()}-${stores++}/`;

/** How to open one. */
export interface ProxiedStoreOptions extends ProxyOptions {
  /** As the backend takes them. */
  readonly servers: readonly string[];
  /** A client that knows the servers under other addresses, in the same order. */
  readonly connect: (servers: readonly string[], prefix: string) => LockBackend;
  /** What else can go wrong. */
  readonly faults?: LockFaults;
  /** Removes what was stored. */
  readonly close?: (prefix: string) => Promise<void>;
  readonly prefix?: string;
  /** One question of each client may wait in the server; it looks as if an answer were on its way. */
  readonly waitsInServer?: boolean;
}

/** An empty store in which each client has proxies of its own. */
export function openProxiedStore(options: ProxiedStoreOptions): LockStore {
  const { servers, connect, prefix = freshPrefix(), waitsInServer = false } = options;
  const quietSince = new Map<LockBackend, { readonly asked: number; readonly sinceMs: number }>();
  const ways = new Map<LockBackend, readonly Proxy[]>();
  const wayOf = (client: LockBackend): readonly Proxy[] => ways.get(client) ?? [];
  let looks = 0;
  return {
    connect: async ({ prefix: own = "" } = {}) => {
      const proxies = await Promise.all(servers.map((server) => Proxy.start(server, options)));
      const through = proxies.map((proxy, i) => proxy.through(servers[i] ?? ""));
      const client = connect(through, prefix + own);
      ways.set(client, proxies);
      return client;
    },
    close: async () => {
      await Promise.all([...ways.values()].flat().map((proxy) => proxy.close()));
      await options.close?.(prefix);
    },
    faults: {
      crash: async (client) => {
        for (const { requests, replies } of wayOf(client)) requests.fate = replies.fate = "lose";
      },
      loseReplies: async (client) => {
        for (const { replies } of wayOf(client)) replies.fate = "lose";
      },
      hang: async (client) => {
        for (const { requests } of wayOf(client)) requests.fate = "lose";
      },
      delayReplies: async (client, delayMs) => {
        for (const { replies } of wayOf(client)) replies.delayMs = delayMs;
      },
      mend: async (client) => {
        for (const proxy of wayOf(client)) await mend(proxy);
      },
      requests: (client) => {
        const way = wayOf(client);
        const asked = way.reduce((sum, { traffic }) => sum + traffic.roundTrips, 0);
        const asking = way.reduce(
          (sum, proxy) => sum + (isFair(proxy) ? proxy.askingConnections : 0),
          0,
        );
        const nowMs = performance.now();
        const quiet = quietSince.get(client);
        if (quiet?.asked !== asked || asking > 1) quietSince.set(client, { asked, sinceMs: nowMs });
        const isPatient = quiet !== undefined && nowMs - quiet.sinceMs > patientMs;
        const moved = way.reduce((sum, { traffic }) => sum + traffic.replyBytes, 0) * 1e-12;
        // While an answer is on its way, or comes in parts, this never stands still.
        const isAsking = asking > 1 || (asking > 0 && !(waitsInServer && isPatient));
        return asked + moved + (isAsking ? ++looks * 1e-9 : 0);
      },
      ...options.faults,
    },
  };
}

const isFair = ({ requests, replies }: Proxy): boolean =>
  requests.fate === "pass" && replies.fate === "pass";

async function mend(proxy: Proxy): Promise<void> {
  const { requests, replies } = proxy;
  const isToLose = requests.fate === "pass" && replies.fate === "lose";
  if (isToLose) {
    // What was asked is answered, and that answer is the one that shall be lost.
    const isDone = (): boolean => proxy.askingConnections === 0 || proxy.traffic.replyBytesLost > 0;
    await until("replies are lost", lossMsMax, isDone);
  }
  Object.assign(requests, { fate: "pass", delayMs: 0 });
  Object.assign(replies, { fate: "pass", delayMs: 0 });
  // What has lost a byte stays silent otherwise.
  const { requestBytesLost, replyBytesLost } = proxy.traffic;
  if (requestBytesLost + replyBytesLost > 0) proxy.cut("reset");
}
