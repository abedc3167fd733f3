import { describe } from "vitest";
import { zookeeperLocks } from "../../src/escalate/locks/zookeeper.ts";
import { isServiceSkipped, service } from "../servers/service.ts";
import { lockConformance } from "./conformance.ts";
import { freshPrefix, openProxiedStore } from "./proxied-store.ts";
import { erase } from "./zookeeper-nodes.ts";
import { isPing } from "./zookeeper-wire.ts";

describe.skipIf(isServiceSkipped("zookeeper"))("ZooKeeper", () => {
  lockConformance({
    name: "zookeeper",
    open: async () => {
      const servers = await service("zookeeper");
      const prefix = freshPrefix();
      const root = `/${prefix.slice(0, -1)}`;
      return openProxiedStore({
        servers,
        prefix,
        isUpkeep: isPing,
        // One session answers in order: 500 who join a line at once wait for each other.
        connect: (hosts, own) => zookeeperLocks({ hosts, prefix: own, answerMs: 3_000 }),
        faults: { wipeStore: () => erase(servers, root) },
        close: () => erase(servers, root),
      });
    },
    ttlMs: 600,
    // A crashed client's nodes live on for a session, of 1 s at least and twice the time to live at most, and two ticks.
    slackMs: 4_000,
    // With its frame it must be below jute.maxbuffer.
    valueBytes: 900 * 1024,
    without: ["operate", "restartStore"],
  });
});
