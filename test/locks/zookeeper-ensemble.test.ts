/** An ensemble of ZooKeeper that loses nodes in mid-load. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { zookeeperLocks } from "../../src/escalate/locks/zookeeper.ts";
import type { Cluster } from "../servers/server.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { startZookeepers, zookeeperMode } from "../servers/zookeeper.ts";
import { inRole, loseNodes } from "./node-loss.ts";
import { freshPrefix } from "./proxied-store.ts";

const slowMs = 60_000;
const answerMsMax = 1_000;

describe.skipIf(isServiceSkipped("zookeeper"))("an ensemble of ZooKeeper", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startZookeepers();
  }, slowMs);
  afterAll(async () => {
    await cluster.stop();
  }, slowMs);

  const a = (role: "leader" | "follower") =>
    inRole((node) => zookeeperMode(node, AbortSignal.timeout(answerMsMax)), role);

  for (const how of ["kill", "pause"] as const) {
    test(
      `the leader and then a follower, lost by a ${how} in mid-load, cost no commit and no token`,
      { timeout: slowMs },
      async () => {
        const prefix = freshPrefix();
        const connect = (hosts: readonly string[]) =>
          zookeeperLocks({ hosts, prefix, answerMs: 1_000 });
        const losses = [a("leader"), a("follower")];
        await expect(loseNodes({ cluster, connect, how, losses })).resolves.toBeUndefined();
      },
    );
  }

  test("it is said to tolerate the loss of one only if so many hosts are named", () => {
    const { addresses: hosts } = cluster;
    const claim = (some: readonly string[]) =>
      zookeeperLocks({ hosts: some }).guarantees.faultTolerant;
    expect([claim(hosts), claim(hosts.slice(0, 2))]).toEqual([true, false]);
  });
});
