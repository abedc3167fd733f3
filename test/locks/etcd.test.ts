import { describe } from "vitest";
import { etcdLocks } from "../../src/escalate/locks/etcd.ts";
import { isServiceSkipped, service } from "../servers/service.ts";
import { lockConformance } from "./conformance.ts";
import { erase } from "./etcd-keys.ts";
import { freshPrefix, openProxiedStore } from "./proxied-store.ts";

describe.skipIf(isServiceSkipped("etcd"))("etcd", () => {
  lockConformance({
    name: "etcd",
    open: async () => {
      const servers = await service("etcd");
      const prefix = freshPrefix();
      return openProxiedStore({
        servers,
        prefix,
        connect: (hosts, own) => etcdLocks({ hosts, prefix: own, answerMs: 1_500 }),
        faults: { wipeStore: () => erase(servers, prefix) },
        close: () => erase(servers, prefix),
      });
    },
    ttlMs: 600,
    // A crashed client's keys live on for up to twice its time to live, at least 2 s and what etcd takes to see it.
    slackMs: 4_000,
    without: ["operate", "restartStore"],
  });
});
