/** A peer that is killed between what it did and what it says of it: retries count once, by a ledger outside. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { counter, openReplica } from "../../src/index.ts";
import { assertBuilt } from "../cli/command.ts";

const script = fileURLToPath(new URL("crash-process.mjs", import.meta.url));

/** One run of the peer. */
class Crashing implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly over: Promise<void>;
  url = "";
  lastStop = "";

  private constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [script, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.over = new Promise((resolve) => {
      this.#child.once("close", () => resolve());
    });
  }

  static async start(...args: readonly string[]): Promise<Crashing> {
    const run = new Crashing(args);
    const line = await new Promise<string>((resolve, reject) => {
      run.#child.stdout?.setEncoding("utf8").once("data", resolve);
      void run.over.then(() => reject(new Error("it ended before it listened")));
    });
    const [port, lastStop = ""] = line.trim().split(" ");
    run.url = `http://127.0.0.1:${port}`;
    run.lastStop = lastStop;
    return run;
  }

  /** The answer; undefined if there was none. */
  async increment(key: string, idempotencyKey: string): Promise<Response | undefined> {
    try {
      return await fetch(`${this.url}/v1/collections/likes/${key}/increment`, {
        method: "POST",
        headers: { "idempotency-key": idempotencyKey },
      });
    } catch {
      return undefined;
    }
  }

  /** Until there is an answer that says that it was done. */
  async surely(key: string, idempotencyKey: string): Promise<Response> {
    for (;;) {
      const response = await this.increment(key, idempotencyKey);
      if (response?.ok === true) return response;
      if (response?.status !== 503) throw new Error(`answered ${response?.status}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Until there is no answer any more: it is done, and nobody says so. */
  async dead(key: string, idempotencyKey: string): Promise<void> {
    for (;;) {
      const response = await this.increment(key, idempotencyKey);
      if (response === undefined) return this.over;
      if (response.status !== 503) throw new Error(`answered ${response.status}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async value(key: string): Promise<unknown> {
    const response = await fetch(`${this.url}/v1/collections/likes/${key}`);
    return ((await response.json()) as { readonly value: unknown }).value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.over;
  }
}

/** A directory that is gone afterwards. */
class Directory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "trellis-http-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Of each kind; a process starts twice for each. */
const kills = Number(process.env["TRELLIS_HTTP_KILLS"] ?? 6);

test.each(["durable", "written"])(
  `killed ${kills} times once it is %s, nothing counts twice and nothing that was answered is lost`,
  async (moment) => {
    assertBuilt();
    using directory = new Directory();
    let answered = 0;
    for (let i = 0; i < kills; i++) {
      {
        await using dying = await Crashing.start(directory.path, "", moment);
        expect(await dying.increment("k", `op-${i}`)).toBeUndefined();
        await dying.over;
      }
      await using peer = await Crashing.start(directory.path, "", "never");
      const response = await peer.surely("k", `op-${i}`);
      const isReplay = response.headers.get("idempotency-replayed") === "true";
      // What the disk has is there with its key; what it has not is not there at all.
      expect(isReplay).toBe(moment === "durable");
      answered++;
      expect(await peer.value("k")).toBe(answered);
    }
  },
  120_000,
);

test("what only a peer has of a crashed replica is told before its keyed writes go on", async () => {
  assertBuilt();
  using directory = new Directory();
  const schema = { likes: counter() };
  await using hub = await openReplica({ schema, listen: { port: 0 } });
  const url = `ws://127.0.0.1:${hub.address?.port ?? 0}`;
  for (let i = 0; i < 8; i++) {
    {
      await using dying = await Crashing.start(directory.path, url, "written");
      await dying.dead("k", `op-${i}`);
    }
    await using peer = await Crashing.start(directory.path, url, "never");
    expect(peer.lastStop).toBe("configured");
    await peer.surely("k", `op-${i}`);
    expect(await peer.value("k")).toBe(i + 1);
  }
  expect(hub.collections.likes.value("k")).toBe(8);
}, 120_000);

test("one that others have dialed waits for the whole gate", async () => {
  assertBuilt();
  using directory = new Directory();
  {
    await using first = await Crashing.start(directory.path, "", "never");
    expect(first.lastStop).toBe("closed");
    await first.surely("k", "before");
  }
  {
    await using alone = await Crashing.start(directory.path, "", "never");
    expect(alone.lastStop).toBe("nobody");
    expect((await alone.increment("k", "at-once"))?.status).toBe(200);
    const schema = { likes: counter() };
    await using visitor = await openReplica({ schema, peers: [alone.url.replace("http", "ws")] });
    await visitor.synced();
    await alone.surely("k", "seen");
  }
  const gateMs = 1_500;
  const startMs = performance.now();
  await using peer = await Crashing.start(directory.path, "", "never", String(gateMs));
  expect(peer.lastStop).toBe("others");
  expect((await peer.increment("k", "early"))?.status).toBe(503);
  await peer.surely("k", "early");
  expect(performance.now() - startMs).toBeGreaterThan(gateMs);
  expect(await peer.value("k")).toBe(4);
}, 60_000);
