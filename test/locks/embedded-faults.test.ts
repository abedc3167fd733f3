/** An authority in a process that is killed, and holders in processes that stand still. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { counter, openReplica, type Replica } from "../../src/index.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { assertBuilt } from "../cli/command.ts";
import { until } from "../../src/cli/servers/until.ts";
import { expectGrowing } from "./cases/leases.ts";
import { PausedHolder } from "./paused-holder.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";

const script = fileURLToPath(new URL("authority-process.mjs", import.meta.url));
const schema = { likes: counter() };
const ttlMs = 400;
/** Until a host that was killed is there again, and its peers have found it. */
const outageMsMax = 20_000;
const restarts = 10;

describe("embeddedLocks", () => {
  let directory = "";
  let port = 0;
  let host: ChildProcess | undefined;
  const guests: Replica<typeof schema>[] = [];

  async function start(): Promise<void> {
    host = fork(script, [JSON.stringify({ storage: join(directory, "host"), port })]);
    const signal = AbortSignal.timeout(outageMsMax);
    [port] = (await once(host, "message", { signal })) as [number];
  }

  async function kill(): Promise<void> {
    if (!host || host.exitCode !== null || host.signalCode !== null) return;
    const gone = once(host, "exit");
    host.kill("SIGKILL");
    await gone;
  }

  const reach = (guest: Replica<typeof schema>): Promise<void> =>
    until("the lock authority is in reach", outageMsMax, () => {
      const { locks } = guest.status();
      return locks.kind === "embedded" && locks.isServing;
    });

  async function open(): Promise<{
    readonly guest: Replica<typeof schema>;
    readonly locks: LockBackend;
  }> {
    const locks = embeddedLocks();
    const guest = await openReplica({ schema, locks, peers: [`ws://127.0.0.1:${port}`] });
    guests.push(guest);
    await reach(guest);
    return { guest, locks };
  }

  beforeAll(assertBuilt);
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "trellis-authority-"));
    port = 0;
    await start();
  });
  afterEach(async () => {
    await Promise.all(guests.splice(0).map((guest) => guest.close()));
    await kill();
    await rm(directory, { recursive: true });
  });

  test("a holder process that stood still past its lease knows it at once, and commits nothing", async () => {
    const { locks } = await open();
    await using holder = await PausedHolder.start({
      backend: "embedded",
      maker: "embeddedLocks",
      options: {},
      resource: "stopped",
      ttlMs,
      replica: { peers: [`ws://127.0.0.1:${port}`] },
    });
    await holder.pause();
    const lease = await locks.acquire("stopped", { ttlMs: 20_000, waitMs: 10_000 });
    expect(lease.token > holder.token).toBe(true);
    expect(await holder.resume()).toEqual({ isLost: true, outcome: "TRELLIS_STALE_TOKEN" });
    expect(await locks.read("stopped")).toBeUndefined();
    await locks.commit([{ lease, value: bytes("fresh") }], operationId());
  });

  test(
    `tokens grow over ${restarts} restarts by SIGKILL, and commits stay`,
    { timeout: 120_000 },
    async () => {
      const tokens: bigint[] = [];
      for (let i = 0; i < restarts; i++) {
        // One that saw many links break waits long before it dials again.
        const { guest, locks } = await open();
        const lease = await locks.acquire("r", { ttlMs, waitMs: outageMsMax });
        tokens.push(lease.token);
        expect(lease.current?.version ?? 0n).toBe(BigInt(i));
        await locks.commit([{ lease, value: bytes(`${i}`) }], operationId());
        await kill();
        await guest.close();
        await start();
      }
      expectGrowing(tokens);
      const { locks } = await open();
      expect(text(await locks.read("r"))).toBe(`${restarts - 1}`);
    },
  );

  test.runIf(process.platform === "linux")(
    "a copy of its directory serves nobody, until an operator says that it is the only one",
    async () => {
      const { locks } = await open();
      await locks.compareAndSet("r", undefined, bytes("x"), operationId());
      const copy = join(directory, "copy");
      await cp(join(directory, "host"), copy, { recursive: true });
      const attempt = async (exclusive: boolean): Promise<string> => {
        const own = embeddedLocks();
        await using replica = await openReplica({
          ...{ schema, locks: own },
          storage: { directory: copy, exclusive },
        });
        replica.collections.likes.increment("post");
        return own.read("r").then(text, (error: Error) => error.message) as Promise<string>;
      };
      expect(await attempt(false)).toContain("in use by process");
      expect(await attempt(true)).toContain("in use by process");
      await locks.compareAndSet("r", 1n, bytes("y"), operationId());
      await kill();
      expect(await attempt(false)).toContain("it was set back");
      expect(await attempt(true)).toBe("x");
      await start();
      const { locks: again } = await open();
      const refused = await rejection(again.read("r"));
      expect(refused.message).toContain("it was set back");
    },
  );

  test("is reached over a replica in between, that knows nothing of it but the way", async () => {
    const between = await openReplica({
      ...{ schema: {}, name: "between", listen: { port: 0 } },
      peers: [`ws://127.0.0.1:${port}`],
    });
    const locks = embeddedLocks();
    const far = await openReplica({
      ...{ schema, name: "far", locks },
      peers: [`ws://127.0.0.1:${between.address?.port}`],
    });
    guests.push(far);
    try {
      await reach(far);
      const lease = await locks.acquire("r", { ttlMs: 10_000, waitMs: 10_000 });
      await locks.commit([{ lease, value: bytes("far") }], operationId());
      const { locks: near } = await open();
      expect(text(await near.read("r"))).toBe("far");
      await kill();
      await until("the way is gone", outageMsMax, () => {
        const status = far.status().locks;
        return status.kind === "embedded" && !status.isServing;
      });
      await start();
      await reach(far);
      expect(text(await locks.read("r"))).toBe("far");
    } finally {
      await between.close();
    }
  });

  test("while it is away locks fail fast, free operations go on, and it is found again", async () => {
    const { guest, locks } = await open();
    await locks.compareAndSet("r", undefined, bytes("x"), operationId());
    await kill();
    await until("the link is over", outageMsMax, () => {
      const status = guest.status().locks;
      return status.kind === "embedded" && !status.isServing;
    });
    const beganMs = performance.now();
    expect(await rejection(locks.read("r"))).toMatchObject({ code: "TRELLIS_LOCK_UNAVAILABLE" });
    expect(performance.now() - beganMs).toBeLessThan(1_000);
    guest.collections.likes.increment("post");
    await start();
    await reach(guest);
    expect(text(await locks.read("r"))).toBe("x");
  });
});
