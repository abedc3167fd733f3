/** A ZooKeeper that is killed again and again. */
import { describe, expect, test } from "vitest";
import { zookeeperLocks } from "../../src/escalate/locks/zookeeper.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { startZookeeper } from "../../src/cli/servers/zookeeper.ts";
import { freshPrefix } from "./proxied-store.ts";
import { growOverRestarts, restarts } from "./restarts.ts";

/** It accepts before it serves, and is silent then: the client tries again after so long. */
const answerMs = 400;

describe.skipIf(isServiceSkipped("zookeeper"))("restarts", () => {
  test(
    `tokens of ZooKeeper grow over ${restarts} restarts by SIGKILL, and commits stay`,
    { timeout: 360_000 },
    async () => {
      await using server = await startZookeeper();
      const hosts = [server.address];
      await using client = zookeeperLocks({ hosts, prefix: freshPrefix(), answerMs });
      const restart = async (): Promise<void> => {
        await server.kill();
        await server.restart();
      };
      await expect(growOverRestarts(client, restart)).resolves.toBeUndefined();
    },
  );
});
