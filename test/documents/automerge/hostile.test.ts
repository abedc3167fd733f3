/** Whoever comes to `/automerge` and is no client of automerge-repo, or does not read. */
import * as Automerge from "@automerge/automerge";
import { cbor, generateAutomergeUrl, parseAutomergeUrl } from "@automerge/automerge-repo";
import { afterEach, describe, expect, test, vi } from "vitest";
import { MalformedError } from "../../../src/store/bytes.ts";
import { fullGrant } from "../../../src/access.ts";
import { systemEnvironment } from "../../../src/environment.ts";
import { silentLogger, silentTelemetry } from "../../../src/telemetry.ts";
import type { DocumentCollection } from "../../../src/store/collections/documents.ts";
import { automergeProtocol } from "../../../src/documents/automerge/protocol.ts";
import type { AnyDoc } from "../../../src/documents/automerge/served-document.ts";
import { documentsMax } from "../../../src/documents/automerge/session.ts";
import { readCbor, writeCbor } from "../../../src/documents/automerge/cbor.ts";
import { isDocumentId } from "../../../src/documents/automerge/document-id.ts";
import { Bare, closeAll, documentsOf, repo, served, until } from "./scene.ts";

vi.setConfig({ testTimeout: 30_000 });
afterEach(closeAll);

const anId = (): string => parseAutomergeUrl(generateAutomergeUrl()).documentId;

const random = (seed: number): ((below: number) => number) => {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return (state >> 8) % below;
  };
};

test("names of documents are those of automerge-repo and no others", () => {
  for (let i = 0; i < 200; i++) {
    const id = anId();
    expect(isDocumentId(id)).toBe(true);
    expect(isDocumentId(id.slice(1))).toBe(false);
    expect(isDocumentId(`1${id}`)).toBe(false);
    expect(isDocumentId(id.slice(0, -1) + (id.endsWith("z") ? "y" : "z"))).toBe(false);
  }
  for (const text of ["", "1", "1".repeat(20), "0OIl", "é", "z".repeat(28), "z".repeat(1e6)])
    expect(isDocumentId(text)).toBe(false);
});

test("messages read and written are the same as with the client's own encoder", () => {
  const message = {
    ...{ type: "ephemeral", senderId: "é".repeat(40), count: 2 ** 40, one: 1, some: 70_000 },
    data: new Uint8Array(300).fill(7),
    more: { a: "x".repeat(70_000), b: {} },
  };
  expect(cbor.decode(Buffer.from(writeCbor(message)))).toEqual({
    ...message,
    data: Buffer.from(message.data),
  });
  const read = readCbor(cbor.encode({ ...message, list: [1, -5, 1.5, null, true, undefined] }));
  expect(read).toBeInstanceOf(Map);
  if (!(read instanceof Map)) return;
  expect(read.get("more")).toEqual(
    new Map<string, unknown>(Object.entries({ ...message.more, b: new Map() })),
  );
  expect([...(read.get("data") as Uint8Array)]).toEqual([...message.data]);
  expect(read.get("list")).toEqual([1, -5, 1.5, null, true, undefined]);
  expect([read.get("count"), read.get("some")]).toEqual([2 ** 40, 70_000]);
});

describe("what is no message", () => {
  const map = (hex: string): Buffer => Buffer.from(`a16464617461${hex}`, "hex");
  test.each([
    ["nothing", Buffer.alloc(0)],
    ["a list of 2^32 values", Buffer.from("9affffffff", "hex")],
    ["a map of 2^63 names", Buffer.from("bb7fffffffffffffff", "hex")],
    ["bytes that are not there", map("5b00000000ffffffff")],
    ["lists without an end", Buffer.alloc(100_000, 0x81)],
    ["a tag", map("d81c80")],
    ["a reference", map("d81d00")],
    ["a record of cbor-x", map("d9dff9820183")],
    ["a class of cbor-x", map("d81b8266446174650a")],
    ["a length that is not told", map("5f4100ff")],
    ["text that is none", map("61ff")],
    ["a name that is no text", Buffer.from("a10102", "hex")],
    ["more after it", Buffer.from("a0a0", "hex")],
    ["too many values", Buffer.concat([Buffer.from("9a00020000", "hex"), Buffer.alloc(131_072)])],
  ])("%s is refused", (_, bytes) => {
    expect(() => readCbor(bytes)).toThrow(MalformedError);
  });

  test("ends only the connection that it came by, whatever it is", async () => {
    const one = await served();
    const client = repo(one.url);
    const handle = client.create<{ text: string }>({ text: "kept" });
    await until(() => documentsOf(one).has(handle.documentId), "the document");
    const state = Automerge.initSyncState();
    const [, data] = Automerge.generateSyncMessage(handle.doc(), state);
    const good = writeCbor({
      ...{ type: "sync", senderId: "bare", targetId: "x", documentId: handle.documentId },
      data: data ?? new Uint8Array(),
    });
    const next = random(1);
    let ended = 0;
    for (let round = 0; round < 40; round++) {
      const bare = await new Bare(one.url).joined();
      for (let i = 0; i < 5; i++) {
        const bytes = Buffer.from(good);
        for (let k = 0; k <= next(4); k++) bytes[next(bytes.length)] = next(256);
        bare.socket.send(bytes.subarray(0, next(5) === 0 ? next(bytes.length) : bytes.length));
      }
      bare.tell({ type: "leave", senderId: "bare" });
      await until(() => bare.code !== undefined, "the end of the connection");
      expect([1000, 1002, 1007]).toContain(bare.code);
      if (bare.code !== 1000) ended++;
    }
    expect(ended).toBeGreaterThan(20);
    handle.change((doc) => Automerge.splice(doc, ["text"], 4, 0, "!"));
    await until(
      () => JSON.stringify(documentsOf(one).json(handle.documentId)) === '{"text":"kept!"}',
      "the edit",
    );
  });

  test("ends the connection before what it brings is inflated a thousand times", async () => {
    const one = await served();
    let doc = Automerge.init<{ blob?: Uint8Array }>();
    doc = Automerge.change(doc, (draft) => void (draft.blob = new Uint8Array(64 * 1024 * 1024)));
    const data = Automerge.encodeSyncMessage({
      ...{ heads: Automerge.getHeads(doc), need: [], have: [] },
      changes: [Automerge.save(doc)],
    });
    const documentId = anId();
    const bare = await new Bare(one.url).joined();
    bare.tell({ type: "sync", senderId: "bare", targetId: "x", documentId, data });
    await until(() => bare.code !== undefined, "the end of the connection");
    expect(bare.code).toBe(1007);
    expect(documentsOf(one).has(documentId)).toBe(false);
  });

  test("has its code", async () => {
    const one = await served();
    const ends = async (send: (bare: Bare) => void, joins = true): Promise<unknown[]> => {
      const bare = await (joins ? new Bare(one.url).joined() : new Bare(one.url).opened());
      send(bare);
      await until(() => bare.code !== undefined, "the end of the connection");
      return [bare.code, ...bare.types];
    };
    const documentId = anId();
    const [, request] = Automerge.generateSyncMessage(Automerge.init(), Automerge.initSyncState());
    const data = request ?? new Uint8Array();
    const sync = { type: "sync", senderId: "bare", targetId: "x", documentId, data };
    expect(await ends((bare) => bare.tell(sync), false)).toEqual([1002]);
    expect(await ends((bare) => bare.tell({ ...sync, senderId: "other" }))).toEqual([1002, "peer"]);
    expect(await ends((bare) => bare.tell({ ...sync, documentId: "x" }))).toEqual([1007, "peer"]);
    expect(await ends((bare) => bare.tell({ ...sync, data: Uint8Array.of(1) }))).toEqual([
      1007,
      "peer",
    ]);
    expect(await ends((bare) => bare.tell({ type: "leave", senderId: "bare" }))).toEqual([
      1000,
      "peer",
    ]);
    const old = cbor.encode({ type: "join", senderId: "bare", supportedProtocolVersions: ["7"] });
    expect(await ends((bare) => bare.socket.send(old), false)).toEqual([1002, "error"]);
  });

  test("and what is no business of ours is passed over", async () => {
    const one = await served();
    const bare = await new Bare(one.url).joined();
    for (const type of [
      "remote-heads-changed",
      "remote-subscription-change",
      "doc-unavailable",
      "error",
      "what",
    ])
      bare.tell({ type, senderId: "bare" });
    const word = {
      type: "ephemeral",
      senderId: "bare",
      sessionId: "s",
      count: 1,
      documentId: anId(),
    };
    bare.tell({ ...word, data: new Uint8Array(17 * 1024) });
    bare.tell({ ...word, senderId: "another", data: new Uint8Array(1) });
    bare.tell({ type: "join", senderId: "bare" });
    await until(
      () => bare.types.filter((type) => type === "peer").length === 2,
      "another peer message",
    );
    expect(bare.code).toBeUndefined();
  });
});

test("a client has so many documents open and no more, and the log says so once", async () => {
  const warnings: string[] = [];
  const warn = (_: object, message?: string): void => void warnings.push(String(message));
  const one = await served({ logger: { ...silentLogger, warn } });
  const bare = await new Bare(one.url).joined();
  const [, data] = Automerge.generateSyncMessage(Automerge.init(), Automerge.initSyncState());
  if (data === null) throw new Error("Automerge has nothing to say");
  for (let at = 0; at < documentsMax + 3; at++)
    bare.tell({ type: "request", senderId: "bare", documentId: anId(), data });
  const unavailable = (): number => bare.types.filter((type) => type === "doc-unavailable").length;
  await until(() => unavailable() === documentsMax + 3, "an answer to each");
  expect(warnings).toEqual([expect.stringContaining("documents open")]);
});

test("a client that stops reading costs what waits for it and no more, and catches up when it reads again", async () => {
  const documents = documentsOf(await served());
  const protocol = automergeProtocol({
    // Its tag says that it is one of Automerge.
    documents: documents as DocumentCollection<AnyDoc, Record<string, unknown>>,
    ...{ collection: "automerge", environment: systemEnvironment },
    ...{ telemetry: silentTelemetry, logger: silentLogger },
    gossip: () => ({ tell: () => undefined }),
  });
  const waiting: Uint8Array[] = [];
  const client = {
    ...{ grant: fullGrant, remoteAddress: "here" },
    get bufferedBytes(): number {
      return waiting.reduce((sum, { length }) => sum + length, 0);
    },
    send: (bytes: Uint8Array) => void waiting.push(bytes),
    close: () => undefined,
  };
  const receiver = protocol.accept(client, "");
  const documentId = anId();
  documents.change(documentId, (draft) => Object.assign(draft as object, { blob: null }));
  receiver.message(writeCbor({ type: "join", senderId: "slow" }));
  let [doc, state] = [Automerge.init<{ blob?: Uint8Array }>(), Automerge.initSyncState()];
  const reply = (): void => {
    const [told, data] = Automerge.generateSyncMessage(doc, state);
    state = told;
    if (data !== null)
      receiver.message(writeCbor({ type: "sync", senderId: "slow", documentId, data }));
  };
  /** Reads what waits. */
  const read = (): void => {
    for (const bytes of waiting.splice(0)) {
      const message = readCbor(bytes);
      const data: unknown = message instanceof Map ? message.get("data") : undefined;
      if (!(data instanceof Uint8Array)) continue;
      [doc, state] = Automerge.receiveSyncMessage(doc, state, data);
      reply();
    }
    receiver.drained();
  };
  const reads = (): boolean => {
    read();
    return "blob" in doc;
  };
  reply();
  await until(reads, "the document");
  const next = random(5);
  for (let i = 0; i < 60; i++) {
    const blob = Uint8Array.from({ length: 100_000 }, () => next(256));
    documents.change(documentId, (draft) => Object.assign(draft as object, { blob }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    // Of Automerge's protocol there is but one message at a time that was not answered; here each is asked for.
    receiver.message(writeCbor({ type: "sync", senderId: "slow", documentId, data: ask(doc) }));
  }
  expect(client.bufferedBytes).toBeLessThan(8 * 1024 * 1024);
  expect(waiting.length).toBeLessThan(20);
  const { blob: last } = documents.get(documentId) as { blob: Uint8Array };
  await until(() => {
    read();
    return doc.blob !== undefined && Buffer.from(doc.blob).equals(last);
  }, "it to catch up");
  receiver.closed();
  protocol.close();
});

/** What somebody says who has forgotten all that was said. */
const ask = (doc: AnyDoc): Uint8Array => {
  const [, data] = Automerge.generateSyncMessage(doc, Automerge.initSyncState());
  return data ?? new Uint8Array();
};

test("what many say in one turn is one batch, and the bad message of one ends only that one", async () => {
  const documents = documentsOf(await served());
  const protocol = automergeProtocol({
    documents: documents as DocumentCollection<AnyDoc, Record<string, unknown>>,
    ...{ collection: "automerge", environment: systemEnvironment },
    ...{ telemetry: silentTelemetry, logger: silentLogger },
    gossip: () => ({ tell: () => undefined }),
  });
  const documentId = anId();
  documents.change(documentId, (draft) => Object.assign(draft as object, { start: 1 }));
  const start = documents.encode(documentId);
  const ended: string[] = [];
  const join = (senderId: string): ((name: string, spoil?: boolean) => void) => {
    const client = {
      ...{ grant: fullGrant, remoteAddress: "here", bufferedBytes: 0 },
      send: () => undefined,
      close: (code: number) => void ended.push(`${senderId} ${code}`),
    };
    const receiver = protocol.accept(client, "");
    receiver.message(writeCbor({ type: "join", senderId }));
    let doc = Automerge.load<Record<string, unknown>>(start);
    return (name, spoil = false) => {
      // Its first change is known as another one.
      const actor = Automerge.getActorId(doc);
      const from = spoil ? Automerge.load<Record<string, unknown>>(start, { actor }) : doc;
      doc = Automerge.change(from, (draft) => void (draft[name] = 1));
      const change = Automerge.getLastLocalChange(doc) ?? new Uint8Array();
      const said = { heads: Automerge.getHeads(doc), need: [], have: [], changes: [change] };
      const data = Automerge.encodeSyncMessage(said);
      receiver.message(writeCbor({ type: "sync", senderId, documentId, data }));
      if (name === "last") receiver.closed();
    };
  };
  const [one, two, three] = ["one", "two", "three"].map(join);
  await until(() => JSON.stringify(documents.json(documentId)) === '{"start":1}');
  let told = 0;
  documents.observe(documentId, () => told++);
  const names = (): string[] => Object.keys(documents.json(documentId) as object).toSorted();
  for (let i = 0; i < 10; i++) for (const say of [one, two, three]) say?.(`${i}`);
  await until(() => told > 0, "a batch");
  expect([names().length, told]).toEqual([11, 1]);
  one?.("a");
  two?.("b");
  two?.("c", true);
  two?.("d");
  three?.("last");
  await until(() => ended.length > 0, "the end of one");
  expect(ended).toEqual(["two 1007"]);
  expect(names()).toEqual([
    ...Array.from({ length: 10 }, (_, i) => `${i}`),
    "a",
    "b",
    "last",
    "start",
  ]);
  one?.("e");
  await until(() => names().includes("e"), "a change after it");
});
