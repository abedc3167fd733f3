/** A cluster of etcd that is killed as a whole, again and again. */
import { describe, expect, test } from "vitest";
import { etcdLocks } from "../../src/escalate/locks/etcd.ts";
import { startEtcd } from "../../src/cli/servers/etcd.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { freshPrefix } from "./proxied-store.ts";
import { growOverRestarts, restarts } from "./restarts.ts";

/** A leader is found five times as soon as usual; what is synchronised to the disk is the same. */
const pulse = { heartbeatMs: 20, electionMs: 200 };

describe.skipIf(isServiceSkipped("etcd"))("restarts", () => {
  test(
    `tokens of etcd grow over ${restarts} restarts of the whole cluster by SIGKILL, and commits stay`,
    { timeout: 240_000 },
    async () => {
      await using cluster = await startEtcd(3, pulse);
      await using client = etcdLocks({ hosts: cluster.addresses, prefix: freshPrefix() });
      const restart = async (): Promise<void> => {
        await Promise.all(cluster.nodes.map((node) => node.kill()));
        await Promise.all(cluster.nodes.map((node) => node.restart()));
      };
      await expect(growOverRestarts(client, restart)).resolves.toBeUndefined();
    },
  );
});
