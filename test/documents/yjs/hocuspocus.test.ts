/** The unmodified client of Hocuspocus, beside that of y-websocket. */
import {
  HocuspocusProvider,
  HocuspocusProviderWebsocket,
  WebSocketStatus,
} from "@hocuspocus/provider";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import * as Y from "yjs";
import { fullGrant, grantOf } from "../../../src/access.ts";
import { yDoc } from "../../../src/bridge/yjs.ts";
import { openReplica, type Replica } from "../../../src/index.ts";
import type { Client } from "../../../src/documents/client.ts";
import { documentsPerClientMax } from "../../../src/documents/yjs/hocuspocus.ts";
import { updateMessage } from "../../../src/documents/yjs/messages.ts";
import { bufferedBytesMax } from "../../../src/documents/yjs/session.ts";
import { onePeer } from "./in-memory.ts";
import { eventually, YClient } from "./y-client.ts";

const schema = { yjs: yDoc() };
type Peer = Replica<typeof schema>;

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

const urlOf = (peer: Peer): string => `ws://127.0.0.1:${String(peer.address?.port)}`;

async function open(peers: readonly Peer[] = []): Promise<Peer> {
  const authenticate = ({ token }: { readonly token?: string }) =>
    token === "reader" ? grantOf({ subject: "reader" }, ["read:yjs/open"]) : true;
  const peer = await openReplica({
    schema,
    listen: { port: 0, authenticate },
    peers: peers.map(urlOf),
    documents: { yjs: true },
  });
  endings.push(() => peer.close());
  return peer;
}

/** One connection. */
function connection(peer: Peer, query = ""): HocuspocusProviderWebsocket {
  const made = new HocuspocusProviderWebsocket({
    url: `${urlOf(peer)}/hocuspocus${query}`,
    WebSocketPolyfill: WebSocket,
    delay: 100,
    minDelay: 100,
  });
  endings.push(() => made.destroy());
  return made;
}

interface Opened {
  readonly provider: HocuspocusProvider;
  readonly doc: Y.Doc;
  readonly refused: string[];
  readonly closed: string[];
}

/** One document over it. */
function provider(websocketProvider: HocuspocusProviderWebsocket, name = "d"): Opened {
  const doc = new Y.Doc();
  const refused: string[] = [];
  const closed: string[] = [];
  const made = new HocuspocusProvider({
    websocketProvider,
    name,
    document: doc,
    token: "in band, and of no meaning",
    onAuthenticationFailed: ({ reason }) => void refused.push(reason),
    onClose: ({ event }) => void closed.push(event.reason),
  });
  made.attach();
  endings.push(() => made.destroy());
  return { provider: made, doc, refused, closed };
}

function yClient(peer: Peer, name = "d"): YClient {
  const client = new YClient(urlOf(peer), name);
  endings.push(() => client.destroy());
  return client;
}

const textOf = ({ doc }: { readonly doc: Y.Doc }): string => doc.getText("t").toJSON();

test("clients of both kinds on two peers see what each writes, and who is there", async () => {
  const one = await open();
  const two = await open([one]);
  const a = provider(connection(one));
  const b = yClient(two);
  await eventually(() => a.provider.synced && b.isSynced);
  a.doc.getText("t").insert(0, "hocuspocus");
  await eventually(() => b.text() === "hocuspocus");
  b.doc.getText("t").insert(0, "yjs, ");
  await eventually(() => textOf(a) === "yjs, hocuspocus");
  // It was told that each change was taken in.
  await eventually(() => !a.provider.hasUnsyncedChanges);
  a.provider.setAwarenessField("user", { name: "Ada" });
  b.awareness.setLocalStateField("user", { name: "Bob" });
  await eventually(() => b.users().includes("Ada"));
  await eventually(() =>
    JSON.stringify([...(a.provider.awareness?.getStates() ?? [])]).includes("Bob"),
  );
  a.provider.destroy();
  await eventually(() => !b.users().includes("Ada"));
  expect(textOf({ doc: two.collections.yjs.get("d") })).toBe("yjs, hocuspocus");
});

/** A connection that is looked at from our end. */
class BareClient implements Client {
  readonly grant = fullGrant;
  readonly remoteAddress = "memory";
  readonly sent: string[] = [];
  bufferedBytes = 0;
  code: number | undefined;

  send(bytes: Uint8Array): void {
    this.sent.push(Buffer.from(bytes).toString("hex"));
  }

  close(code: number): void {
    this.code = code;
  }
}

const opening = (name: string): Uint8Array =>
  Buffer.concat([Uint8Array.of(name.length), Buffer.from(name), Uint8Array.of(2, 0, 0)]);

test("who is behind is told of its changes when it has read, of each once", () => {
  const { world, peer } = onePeer();
  const client = new BareClient();
  const receiver = peer.hocuspocus.accept(client, "");
  receiver.message(opening("d"));
  client.bufferedBytes = 2 * bufferedBytesMax;
  const before = client.sent.length;
  const doc = new Y.Doc();
  doc.on("update", (update: Uint8Array) => {
    receiver.message(Buffer.concat([Uint8Array.of(1, 100), updateMessage(update)]));
  });
  for (let at = 0; at < 5; at++) doc.getText("t").insert(0, "x");
  world.run({ forMs: 10 });
  expect([peer.text(), client.sent.length - before]).toEqual(["xxxxx", 0]);
  client.bufferedBytes = 0;
  receiver.drained();
  // The name, the kind, that it was taken in.
  expect(client.sent.filter((message) => message === "01640801")).toHaveLength(5);
});

test("a connection has so many documents and no more, and leaves all of them when it ends", () => {
  const { world, peer } = onePeer();
  const client = new BareClient();
  const receiver = peer.hocuspocus.accept(client, "");
  for (let at = 0; at < documentsPerClientMax + 10; at++) receiver.message(opening(`d${at}`));
  const denied = Buffer.from("too many documents").toString("hex");
  expect(client.sent.filter((message) => message.endsWith(denied))).toHaveLength(10);
  receiver.closed();
  peer.documents.get("d1").getText("t").insert(0, "nobody hears it");
  const before = client.sent.length;
  world.run({ forMs: 10 });
  expect([client.sent.length, client.code]).toEqual([before, undefined]);
});

test("who opens a removed document again in the turn of its removal sees who comes next", () => {
  const { world, peer } = onePeer();
  peer.documents.get("d").getText("t").insert(0, "remove me");
  const client = new BareClient();
  const receiver = peer.hocuspocus.accept(client, "");
  receiver.message(opening("d"));
  const update = Y.encodeStateAsUpdate(new Y.Doc());
  receiver.message(Buffer.concat([Uint8Array.of(1, 100), updateMessage(update)]));
  peer.documents.delete("d");
  receiver.message(opening("d"));
  world.run({ forMs: 10 });
  const before = client.sent.length;
  peer.client("d").tell([7, 1, { name: "Ada" }]);
  world.run({ forMs: 10 });
  expect(client.sent.slice(before).join()).toContain(Buffer.from("Ada").toString("hex"));
});

test("several documents share a connection, and one that is left leaves the others", async () => {
  const peer = await open();
  const socket = connection(peer);
  const [a, b] = [provider(socket, "a"), provider(socket, "b")];
  await eventually(() => a.provider.synced && b.provider.synced);
  a.doc.getText("t").insert(0, "in a");
  b.doc.getText("t").insert(0, "in b");
  const { yjs } = peer.collections;
  await eventually(() => textOf({ doc: yjs.get("a") }) === "in a");
  await eventually(() => textOf({ doc: yjs.get("b") }) === "in b");
  a.provider.destroy();
  b.doc.getText("t").insert(0, "still ");
  await eventually(() => textOf({ doc: yjs.get("b") }) === "still in b");
  expect(b.closed).toEqual([]);
});

test("what was written without a connection arrives with the next", async () => {
  const peer = await open();
  const socket = connection(peer);
  const a = provider(socket);
  await eventually(() => a.provider.synced);
  socket.disconnect();
  await eventually(() => socket.status === WebSocketStatus.Disconnected);
  a.doc.getText("t").insert(0, "offline");
  peer.collections.yjs.get("d").getText("t").insert(0, "online ");
  await socket.connect();
  await eventually(() => textOf(a).includes("online") && !a.provider.hasUnsyncedChanges);
  expect(textOf({ doc: peer.collections.yjs.get("d") })).toBe(textOf(a));
});

test("rights are those of the token in the URL", async () => {
  const peer = await open();
  peer.collections.yjs.get("open").getText("t").insert(0, "seen");
  const socket = connection(peer, "?token=reader");
  const [reader, outside] = [provider(socket, "open"), provider(socket, "closed")];
  await eventually(() => textOf(reader) === "seen" && outside.refused.length > 0);
  expect(reader.provider.authorizedScope).toBe("readonly");
  expect(outside.refused).toEqual(["forbidden"]);
  reader.doc.getText("t").insert(0, "not ");
  peer.collections.yjs.get("open").getText("t").insert(4, " on");
  await eventually(() => textOf(reader) === "not seen on");
  expect(reader.provider.hasUnsyncedChanges).toBe(true);
  expect(textOf({ doc: peer.collections.yjs.get("open") })).toBe("seen on");
});

test("a document that is removed is closed, and the others of the connection go on", async () => {
  const peer = await open();
  const socket = connection(peer);
  const [a, b] = [provider(socket, "a"), provider(socket, "b")];
  a.doc.getText("t").insert(0, "remove me");
  const { yjs } = peer.collections;
  await eventually(() => textOf({ doc: yjs.get("a") }) === "remove me");
  yjs.delete("a");
  await eventually(() => a.closed.length > 0);
  a.doc.getText("t").insert(0, "do not ");
  b.doc.getText("t").insert(0, "on");
  await eventually(() => textOf({ doc: yjs.get("b") }) === "on");
  expect([yjs.has("a"), b.closed]).toEqual([false, []]);
});

test("a document that would be too large is closed, once, and the others of the connection go on", async () => {
  const peer = await open();
  const socket = connection(peer);
  const [a, b] = [provider(socket, "a"), provider(socket, "b")];
  const half = "x".repeat(6_000_000);
  a.doc.getText("t").insert(0, half);
  await eventually(() => textOf({ doc: peer.collections.yjs.get("a") }) === half);
  a.doc.getText("t").insert(0, half);
  b.doc.getText("t").insert(0, "on");
  const { yjs } = peer.collections;
  await eventually(() => textOf({ doc: yjs.get("b") }) === "on");
  await eventually(() => a.closed.length > 0);
  expect([a.closed.length, b.closed]).toEqual([1, []]);
  expect(socket.status).toBe(WebSocketStatus.Connected);
  expect(textOf({ doc: yjs.get("a") })).toBe(half);
});

test("bytes that are no message end the connection, and nobody else's", async () => {
  const peer = await open();
  const good = provider(connection(peer));
  good.doc.getText("t").insert(0, "whole");
  await eventually(() => !good.provider.hasUnsyncedChanges);
  const hostile = [[], [5, 1], [1, 0xff, 0], [1, 100], [1, 100, 0, 2, 2, 1, 1], [1, 100, 1, 1]];
  const codes: unknown[] = [];
  for (const bytes of hostile) {
    const socket = new WebSocket(`${urlOf(peer)}/hocuspocus`);
    const code = new Promise((resolve) => void socket.once("close", resolve));
    socket.on("open", () => {
      socket.send(opening("d"));
      socket.send(Uint8Array.from(bytes));
    });
    codes.push(await code);
  }
  expect(codes).toEqual(hostile.map(() => 4400));
  good.doc.getText("t").insert(0, "still ");
  await eventually(() => textOf({ doc: peer.collections.yjs.get("d") }) === "still whole");
});
