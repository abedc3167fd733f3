/** `redlockLocks` while masters and networks fail at random; and what one master believes. */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  ConflictError,
  LockTimeoutError,
  LockUnavailableError,
  StaleTokenError,
  UnknownOutcomeError,
} from "../../src/errors.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { redlockLocks } from "../../src/escalate/locks/redlock.ts";
import {
  type RedlockScriptName,
  redlockScripts,
} from "../../src/escalate/locks/redlock/scripts.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { startRedisMasters } from "../../src/cli/servers/redis.ts";
import type { Cluster } from "../../src/cli/servers/server.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { beginningOf, isLinearizable, type Observed, versionFaults } from "./linearizability.ts";
import { answerMs } from "./redis-subject.ts";
import { openBehind } from "./redlock-behind.ts";
import { bytes, elapse, operationId, text } from "./trial.ts";

describe.skipIf(isServiceSkipped("redlock"))("redlockLocks", () => {
  let cluster: Cluster;
  const opened: AsyncDisposable[] = [];

  beforeAll(async () => {
    cluster = await startRedisMasters();
  });
  afterAll(async () => {
    await cluster.stop();
  });
  afterEach(async () => {
    for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
  });

  test("whatever clients do while masters and networks fail, some order of it explains what they saw", async () => {
    const seed = Date.now() % 100_000;
    const random = new Random(seed);
    const clients = await Promise.all(
      Array.from({ length: 4 }, () => openBehind(cluster.urls, (one) => void opened.push(one))),
    );
    for (const { locks } of clients) await locks.birth();
    const history: Observed[] = [];
    const judge = redlockLocks({ urls: cluster.urls, fencing: "durable", answerMs });
    opened.push(judge);
    const before = performance.now();
    const endMs = before + 8_000;
    const actors = clients.map(async ({ locks }, client) => {
      for (let i = 0; performance.now() < endMs; i++) {
        history.push(...(await act(locks, client, i)));
        await elapse(random.below(20));
      }
    });
    while (performance.now() < endMs) {
      const victim = random.pick(clients);
      const proxy = random.pick(victim.proxies);
      const fault = random.below(10);
      if (fault === 0) {
        const node = random.pick(cluster.nodes);
        await node.kill();
        await node.restart();
      } else if (fault < 5) proxy.requests.fate = "lose";
      else proxy.replies.fate = "lose";
      await elapse(50 + random.below(150));
      proxy.requests.fate = proxy.replies.fate = "pass";
      proxy.cut("reset");
    }
    await Promise.all(actors);
    const startedMs = performance.now();
    const last = await judge.read("register");
    const seen: Observed = {
      ...{ client: -1, startedMs, endedMs: performance.now(), kind: "read" },
      ...{ version: last?.version ?? 0n, value: text(last) ?? "" },
    };
    const writes = history.filter(({ kind, endedMs }) => kind === "write" && endedMs < Infinity);
    expect(writes.length, `seed ${seed}`).toBeGreaterThan(20);
    expect(versionFaults(history, seen), `seed ${seed}`).toEqual([]);
    expect(isLinearizable(beginningOf(history, 60), 200_000), `seed ${seed}`).not.toBe(false);
  }, 60_000);

  test("a master believes only who locked it last, and carries nothing on behind the back of the next", async () => {
    const keys = ["birth", "guard:m", "line:m", "waiters:m", "token"].map((end) => `own:${end}`);
    const admin = new Redis(cluster.node(0).url);
    try {
      await admin.set("own:birth", "b");
      const run = async (name: RedlockScriptName, ...args: readonly string[]): Promise<unknown> => {
        const [birth = "", guard = ""] = keys;
        const used = name === "accept" ? [birth, guard] : keys;
        const { source } = redlockScripts[name];
        const reply = await admin.eval(source, used.length, ...used, "b", ...args);
        return Array.isArray(reply) ? reply.join(" ") : reply;
      };
      const lock = async (nonce: string): Promise<unknown> => {
        const locked = await run("lock", nonce, "1", "lease", "1000", "1000000", "0", "0", "c");
        await admin.hset("own:guard:m", "u", "0"); // its time is over
        return locked;
      };
      const promise = async (
        nonce: string,
        number: string,
        token: string,
        isEmpty = "0",
      ): Promise<unknown> => {
        const promised = await run("promise", nonce, number, token, "1000", "1000000", isEmpty);
        await admin.hset("own:guard:m", "u", "0");
        return promised;
      };
      expect(await lock("slow")).toBe("locked 1 0 0 0  ");
      expect(await lock("quick")).toBe("locked 2 0 0 0  ");
      expect(await promise("slow", "1", "2")).toBe(0);
      expect(await promise("quick", "1", "2")).toBe(0); // another lock
      expect(await promise("quick", "2", "3")).toBe(1);
      expect(await promise("quick", "2", "3")).toBe(0); // not larger
      expect(await run("accept", "0", "slow", "2", "1", "state")).toBe("refused 0 3");
      await run("cancel", "quick", "");
      expect(await run("accept", "0", "quick", "3", "1", "state")).toBe("refused 0 0");
      expect(await run("accept", "1", "quick", "3", "1", "state")).toBe("refused 0 0"); // nothing is known here
      expect(await lock("quick")).toBe("locked 4 0 0 0  "); // and goes on
      expect(await run("accept", "1", "quick", "5", "1", "state")).toBe("refused 0 0"); // not promised yet
      expect(await promise("quick", "4", "5")).toBe(1);
      expect(await run("accept", "0", "quick", "5", "1", "state")).toBe("accepted");
      await run("cancel", "quick", "");
      expect(await run("accept", "0", "quick", "5", "2", "more")).toBe("refused 0 5");
      expect(await run("accept", "1", "quick", "5", "2", "more")).toBe("accepted");
      expect(await lock("next")).toBe("locked 6 5 5 2 quick more");
      expect(await run("accept", "1", "quick", "5", "3", "late")).toBe("refused 0 0");
      expect(await run("accept", "1", "quick", "5", "2", "more")).toBe("accepted"); // it is there
      expect(await promise("next", "6", "6")).toBe(1);
      expect(await run("accept", "1", "elsewhere", "7", "1", "newer")).toBe("accepted");
      expect(await run("accept", "0", "next", "6", "1", "older")).toBe("refused 0 6");
      expect(await lock("again")).toBe("locked 8 6 7 1 elsewhere newer"); // beyond what was accepted
      expect(await promise("again", "8", "8")).toBe(1);
      expect(await run("accept", "1", "elsewhere", "7", "2", "newest")).toBe("refused 0 8");
      await run("cancel", "again", "");
      expect(await lock("last")).toBe("locked 9 8 7 1 elsewhere newer");
    } finally {
      admin.disconnect();
    }
  });
});

/** One thing at random, and what was seen of it. */
async function act(locks: LockBackend, client: number, i: number): Promise<readonly Observed[]> {
  const startedMs = performance.now();
  const known = await locks.read("register").catch(() => undefined);
  const read: Observed[] = known
    ? [
        {
          ...{ client, startedMs, endedMs: performance.now(), kind: "read" },
          ...{ version: known.version, value: text(known) ?? "" },
        },
      ]
    : [];
  if (i % 3 === 0) return read;
  const value = `${client}:${i}`;
  const begunMs = performance.now();
  const event = { client, startedMs: begunMs, kind: "write", value } as const;
  let expected = known?.version ?? 0n;
  let from = text(known) ?? "";
  try {
    if (i % 3 === 1) {
      const written = await locks.compareAndSet(
        "register",
        known?.version,
        bytes(value),
        operationId(),
      );
      const { version } = written;
      return [...read, { ...event, endedMs: performance.now(), expected, from, version }];
    }
    const lease = await locks.acquire("register", { ttlMs: 600, waitMs: 2_000 });
    expected = lease.current?.version ?? 0n;
    from = text(lease.current) ?? "";
    const [written] = await locks.commit([{ lease, value: bytes(value) }], operationId());
    const version = written?.version ?? 0n;
    void lease.release().catch(() => undefined);
    return [...read, { ...event, endedMs: performance.now(), expected, from, version }];
  } catch (error) {
    if (error instanceof UnknownOutcomeError) {
      return [...read, { ...event, endedMs: Infinity, expected, from, version: expected + 1n }];
    }
    if (
      error instanceof ConflictError ||
      error instanceof StaleTokenError ||
      error instanceof LockTimeoutError ||
      error instanceof LockUnavailableError
    ) {
      return read;
    }
    throw error;
  }
}
