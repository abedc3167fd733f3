/** The built `trellis authority`: directories and live hosts, in processes of their own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openReplica, type Replica, type Schema } from "../../src/index.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { bytes, operationId, rejection, text } from "../locks/trial.ts";
import { until } from "../../src/cli/servers/until.ts";
import { assertBuilt, type Outcome, Run } from "./command.ts";

const reachMsMax = 20_000;

let folder = "";
const replicas: Replica<Schema>[] = [];

beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-move-"));
});
afterEach(async () => {
  await Promise.all(replicas.splice(0).map((replica) => replica.close()));
  await rm(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);

async function trellis(...args: readonly string[]): Promise<Outcome> {
  await using run = new Run(["authority", ...args]);
  return await run.outcome;
}

interface Opened {
  readonly replica: Replica<Schema>;
  readonly locks: LockBackend;
}

async function open(
  name: string,
  options: { readonly host?: boolean; readonly peers?: readonly string[] } = {},
): Promise<Opened> {
  const { host = false, peers = [] } = options;
  const locks = embeddedLocks({ host });
  const replica = await openReplica({
    ...{ schema: {}, name, locks, peers },
    ...{ storage: at(name), listen: { port: 0 } },
  });
  replicas.push(replica);
  return { replica, locks };
}

const urlOf = ({ replica }: Opened): string => `ws://127.0.0.1:${replica.address?.port}`;

const inReach = ({ replica }: Opened): Promise<void> =>
  until("the lock authority is in reach", reachMsMax, () => {
    const { locks } = replica.status();
    return locks.kind === "embedded" && locks.isServing;
  });

/** A directory that is the authority and has one value. */
async function prepare(): Promise<void> {
  const { replica, locks } = await open("a", { host: true });
  await locks.compareAndSet("r", undefined, bytes("x"), operationId());
  await replica.close();
}

test("moves it from a directory to another, which serves then; the first one says where it is", async () => {
  await prepare();
  const { status, output } = await trellis("move", "--from", at("a"), "--to", at("b"));
  expect(output).toContain("the lock authority is b (");
  expect(status).toBe(0);
  expect((await trellis("show", at("b"))).output).toContain("that is this directory");
  expect((await trellis("show", at("a"))).output).toContain("gave it away");
  // The same move again finds that it is done.
  expect(await trellis("move", "--from", at("a"), "--to", at("b"))).toMatchObject({ status: 0 });
  const { locks } = await open("b", { host: true });
  expect(text(await locks.read("r"))).toBe("x");
  const refused = await rejection(open("a", { host: true }));
  expect(refused.message).toContain("the lock authority of this cluster is b");
});

test("moves it from a live host, which goes on as a replica and asks the new one", async () => {
  await prepare();
  const host = await open("a", { host: true });
  const { status, errors } = await trellis("move", "--from", urlOf(host), "--to", at("b"));
  expect(errors).toBe("");
  expect(status).toBe(0);
  const next = await open("b", { peers: [urlOf(host)] });
  expect(text(await next.locks.read("r"))).toBe("x");
  await inReach(host);
  expect(text(await host.locks.read("r"))).toBe("x");
  expect(host.replica.status().locks).toMatchObject({ host: "b", isHost: false });
});

test("replaces a lost one only when it is told that the risk is known", async () => {
  await prepare();
  const host = await open("a");
  const next = await open("b", { peers: [urlOf(host)] });
  await inReach(next);
  await host.replica.close();
  await next.replica.close();
  const asked = await trellis("move", "--lost", "--to", at("b"));
  expect([asked.status, asked.errors]).toEqual([2, expect.stringContaining("nothing was changed")]);
  expect(asked.errors).toContain("nothing was changed");
  expect(asked.errors).toContain("gives up all its guards");
  expect((await trellis("show", at("b"))).output).toContain("the lock authority is a (");
  expect(await trellis("move", "--lost", "--yes", "--to", at("b"))).toMatchObject({ status: 0 });
  const after = await open("b");
  expect(await after.locks.read("r")).toBeUndefined();
});

test("refuses what it cannot do, in one sentence, and changes nothing", async () => {
  await prepare();
  const host = await open("a");
  const outcomes = await Promise.all([
    trellis("move", "--from", at("a"), "--to", at("b")),
    trellis("move", "--to", at("c")),
    trellis("move", "--lost", "--from", at("d"), "--to", at("e")),
    trellis("move", "--from", "ws://127.0.0.1:9", "--to", at("f"), "--timeout", "1"),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual([1, 2, 2, 1]);
  expect(outcomes.map(({ errors }) => errors)).toEqual([
    expect.stringContaining("in use by process"),
    expect.stringContaining("--from"),
    expect.stringContaining("--lost"),
    expect.stringContaining("there is no link"),
  ]);
  expect(text(await host.locks.read("r"))).toBe("x");
});
