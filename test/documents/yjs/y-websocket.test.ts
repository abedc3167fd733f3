/** The unmodified client of y-websocket, through real peers. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import * as Y from "yjs";
import { grantOf } from "../../../src/access.ts";
import { yDoc } from "../../../src/bridge/yjs.ts";
import { counter, openReplica, type Replica } from "../../../src/index.ts";
import { YClient, eventually } from "./y-client.ts";

const schema = { yjs: yDoc(), likes: counter() };
type Peer = Replica<typeof schema>;

const opened = new Set<Peer>();
const clients: YClient[] = [];
const folders: string[] = [];

interface Opening {
  readonly port?: number;
  readonly storage?: string;
  readonly peers?: readonly Peer[];
}

const urlOf = (peer: Peer): string => `ws://127.0.0.1:${String(peer.address?.port)}`;

async function open({ port = 0, storage, peers = [] }: Opening = {}): Promise<Peer> {
  const authenticate = ({ token }: { readonly token?: string }) =>
    token === "reader" ? grantOf({ subject: "reader" }, ["read:yjs/open"]) : true;
  const peer = await openReplica({
    schema,
    listen: { port, authenticate },
    peers: peers.map(urlOf),
    documents: { yjs: true },
    ...(storage === undefined ? {} : { storage }),
  });
  opened.add(peer);
  return peer;
}

async function close(peer: Peer): Promise<void> {
  opened.delete(peer);
  await peer.close();
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "trellis-yjs-"));
  folders.push(path);
  return path;
}

function client(peer: Peer, name = "d", params: Record<string, string> = {}): YClient {
  const made = new YClient(urlOf(peer), name, params);
  clients.push(made);
  return made;
}

async function pair(): Promise<readonly [Peer, Peer]> {
  const one = await open();
  return [one, await open({ peers: [one] })];
}

/** Cuts the link from one peer to another. Returns what heals it. */
function cut(from: Peer, to: Peer): () => void {
  from.removePeer(urlOf(to));
  return () => from.addPeer(urlOf(to));
}

afterEach(async () => {
  for (const each of clients.splice(0)) each.destroy();
  await Promise.all([...opened].map(close));
  for (const path of folders.splice(0)) await rm(path, { recursive: true, force: true });
});

const contentOf = (doc: Y.Doc): unknown => [
  doc.getText("t").toDelta(),
  doc.getMap("m").toJSON(),
  doc.getArray("a").toJSON(),
];

test("two clients on two peers see each other's text, map, array and what is nested, and the replicas do", async () => {
  const [one, two] = await pair();
  const [a, b] = [client(one), client(two)];
  await eventually(() => a.isSynced && b.isSynced);
  a.doc.getText("t").insert(0, "hello", { bold: true });
  b.doc.getMap("m").set("k", { plain: [1, 2] });
  b.doc.getMap<unknown>("m").set("inner", new Y.Map([["list", Y.Array.from([1, "two"])]]));
  a.doc.getArray("a").push([1, null, "x"]);
  two.collections.yjs.get("d").getArray("a").insert(0, ["of the replica"]);
  one.collections.likes.increment("d");
  await eventually(() => a.doc.getArray("a").length === 4 && b.text() === "hello");
  await eventually(() => JSON.stringify(contentOf(a.doc)) === JSON.stringify(contentOf(b.doc)));
  for (const { collections } of [one, two]) {
    expect(contentOf(collections.yjs.get("d"))).toEqual(contentOf(a.doc));
  }
  expect(b.doc.getMap("m").toJSON()).toEqual({
    k: { plain: [1, 2] },
    inner: { list: [1, "two"] },
  });
  expect(two.collections.likes.value("d")).toBe(1);
});

test("what both sides of a cut wrote meets when it heals", async () => {
  const [one, two] = await pair();
  const [a, b] = [client(one), client(two)];
  await eventually(() => a.isSynced && b.isSynced);
  for (let round = 0; round < 3; round++) {
    a.doc.getText("t").insert(0, `(${round}`);
    await eventually(() => b.text().includes(`(${round}`));
    const heal = cut(two, one);
    a.doc.getText("t").insert(0, `[a${round}]`);
    b.doc.getText("t").insert(b.text().length, `[b${round}]`);
    b.doc.getMap("m").set(`b${round}`, true);
    await eventually(() => one.collections.yjs.get("d").getText("t").length === a.text().length);
    await eventually(() => two.collections.yjs.get("d").getText("t").length === b.text().length);
    expect(a.text()).not.toContain(`[b${round}]`);
    heal();
    await eventually(() => a.text() === b.text() && a.text().includes(`[b${round}]`));
    expect(a.text()).toContain(`[a${round}]`);
  }
  expect(contentOf(a.doc)).toEqual(contentOf(b.doc));
});

test("a peer that goes and comes back with its storage has all, and clients bring what they wrote meanwhile", async () => {
  const storage = await folder();
  const two = await open();
  const one = await open({ storage, peers: [two] });
  const port = one.address?.port ?? 0;
  const [a, b] = [client(one), client(two)];
  await eventually(() => a.isSynced && b.isSynced);
  a.doc.getText("t").insert(0, "stored");
  await eventually(() => b.text() === "stored");
  await close(one);
  await eventually(() => !a.isConnected);
  a.doc.getText("t").insert(0, "offline, ");
  b.doc.getText("t").insert(6, ", meanwhile");
  const again = await open({ port, storage, peers: [two] });
  await eventually(() => a.text() === b.text() && a.text().includes("meanwhile"));
  expect(a.text()).toBe("offline, stored, meanwhile");
  expect(again.collections.yjs.get("d").getText("t").toJSON()).toBe(a.text());
});

test("when all have gone, a document is there for who comes next", async () => {
  const storage = await folder();
  const first = await open({ storage });
  const a = client(first, "a/long name & more");
  await eventually(() => a.isSynced);
  for (let at = 0; at < 300; at++) a.doc.getText("t").insert(at, "x");
  await eventually(
    () => first.collections.yjs.get("a/long name & more").getText("t").length === 300,
  );
  a.destroy();
  await close(first);
  const b = client(await open({ storage }), "a/long name & more");
  await eventually(() => b.isSynced);
  expect(b.text()).toBe("x".repeat(300));
});

test("who is there is seen through other peers, and gone when the connection is", async () => {
  const [one, two] = await pair();
  const three = await open({ peers: [two] });
  const [a, b] = [client(one), client(three)];
  a.awareness.setLocalStateField("user", { name: "Ada" });
  b.awareness.setLocalStateField("user", { name: "Bob" });
  await eventually(() => a.users().includes("Bob") && b.users().includes("Ada"));
  // It comes later, and is told who is there.
  const c = client(two);
  await eventually(() => c.users().includes("Ada") && c.users().includes("Bob"));
  a.breakOff();
  await eventually(() => !b.users().includes("Ada") && !c.users().includes("Ada"));
  // The same client again, with the clock that it had: it must not be taken for its own past.
  a.connect();
  const startMs = performance.now();
  await eventually(() => b.users().includes("Ada") && c.users().includes("Ada"));
  expect(performance.now() - startMs).toBeLessThan(5_000);
});

test("who may only read sees all and changes nothing; who may not, does not come in", async () => {
  const peer = await open();
  const [writer, reader] = [client(peer, "open"), client(peer, "open", { token: "reader" })];
  writer.doc.getText("t").insert(0, "seen");
  await eventually(() => reader.text() === "seen");
  reader.doc.getText("t").insert(0, "not ");
  writer.doc.getText("t").insert(4, " on");
  await eventually(() => reader.text() === "not seen on");
  expect(writer.text()).toBe("seen on");
  expect(reader.denials).toHaveLength(1);
  expect(reader.isConnected).toBe(true);
  const outside = client(peer, "closed", { token: "reader" });
  await eventually(() => outside.failures > 0);
  expect(outside.isSynced).toBe(false);
});

test("of a document that is removed no client is left to bring it back", async () => {
  const [one, two] = await pair();
  const [a, b] = [client(one), client(two)];
  a.doc.getText("t").insert(0, "remove me");
  await eventually(() => b.text() === "remove me");
  one.collections.yjs.delete("d");
  await eventually(() => a.closedFor.length > 0 && b.closedFor.length > 0);
  expect([a.closedFor, b.closedFor]).toEqual([[4410], [4410]]);
  await eventually(() => !two.collections.yjs.has("d"));
  const next = client(two);
  await eventually(() => next.isSynced);
  expect([next.text(), one.collections.yjs.has("d")]).toEqual(["", false]);
});

test("bytes that are no message end the connection for good, and nobody else's", async () => {
  const peer = await open();
  const good = client(peer);
  good.doc.getText("t").insert(0, "whole");
  await eventually(() => good.isSynced);
  const codes = new Map<string, unknown>();
  const hostile = [[], [0], [0, 2, 200], [0, 9], [0, 2, 2, 1, 1], [1, 3, 1, 0, 0]];
  for (const bytes of hostile) {
    const socket = new WebSocket(`${urlOf(peer)}/yjs/d`);
    const code = new Promise((resolve) => void socket.once("close", resolve));
    socket.on("open", () => socket.send(Uint8Array.from(bytes)));
    codes.set(String(bytes), await code);
  }
  expect(codes).toEqual(new Map(hostile.map((bytes) => [String(bytes), 4400])));
  good.doc.getText("t").insert(0, "still ");
  await eventually(() => peer.collections.yjs.get("d").getText("t").toJSON() === "still whole");
  expect(good.isConnected).toBe(true);
});

test("a client whose document is longer than a message may be is told so for good", async () => {
  const peer = await open();
  const large = client(peer);
  large.doc.getText("t").insert(0, "x".repeat(11 * 1024 * 1024));
  await eventually(() => large.closedFor.length > 0);
  expect([large.closedFor, peer.collections.yjs.has("d")]).toEqual([[4413], false]);
});

test("a client that stops reading is sent little, holds up nobody, and catches up", async () => {
  const peer = await open();
  const [writer, other] = [client(peer), client(peer)];
  await eventually(() => writer.isSynced && other.isSynced);
  const slow = client(peer);
  await eventually(() => slow.isSynced);
  slow.pause();
  const before = slow.bytesRead;
  const roundBytes = 250_000;
  const rounds = 80;
  for (let at = 0; at < rounds; at++) {
    writer.doc.getMap("m").set("v", String(at).padEnd(roundBytes, "z"));
    await eventually(() => String(other.doc.getMap("m").get("v")).startsWith(`${at}z`));
  }
  expect(slow.doc.getMap("m").get("v")).not.toBe(other.doc.getMap("m").get("v"));
  slow.resume();
  await eventually(() => slow.doc.getMap("m").get("v") === other.doc.getMap("m").get("v"));
  // A bounded buffer, what the kernel holds, and one difference: not all that was written.
  expect(slow.bytesRead - before).toBeLessThan((roundBytes * rounds) / 2);
});
