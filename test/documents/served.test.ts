/** Documents behind the port of a replica: opened with it, closed with it, and refused where they cannot be. */
import { Repo } from "@automerge/automerge-repo";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { yDoc } from "../../src/bridge/yjs.ts";
import {
  counter,
  openReplica,
  type Replica,
  type ReplicaOptions,
  type Schema,
  SchemaMismatchError,
  UsageError,
} from "../../src/index.ts";
import { authenticate, codeOf, dial, enter, until } from "./toy.ts";

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Served {
  readonly replica: Replica<Schema>;
  readonly url: string;
}

async function served(options: Partial<ReplicaOptions<Schema>> = {}): Promise<Served> {
  const replica = await openReplica<Schema>({
    ...{ schema: {}, listen: { port: 0 }, documents: { yjs: true } },
    ...options,
  });
  open.push(() => replica.close());
  return { replica, url: `ws://127.0.0.1:${replica.address?.port}` };
}

function editor(url: string, params: Record<string, string> = {}): WebsocketProvider {
  const provider = new WebsocketProvider(`${url}/yjs`, "notes", new Y.Doc(), {
    ...{ params, disableBc: true, maxBackoffTime: 100 },
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
  });
  open.push(() => provider.destroy());
  return provider;
}

const textOf = (provider: WebsocketProvider): string => provider.doc.getText("t").toJSON();

describe("clients of y-websocket", () => {
  test("edit one document through two replicas, and it is a value of both", async () => {
    const one = await served();
    const two = await served({ peers: [one.url] });
    const [left, right] = [editor(one.url), editor(two.url)];
    await until(() => left.synced && right.synced);
    left.doc.getText("t").insert(0, "hello");
    await until(() => textOf(right) === "hello");
    right.doc.getText("t").insert(5, " there");
    await until(() => textOf(left) === "hello there");
    expect(one.replica.inventory()).toEqual([{ name: "yjs", tag: yDoc().tag, keys: 1 }]);
    const collection = two.replica.collection("yjs");
    expect(collection?.kind === "document" && collection.collection.json("notes")).toEqual({
      t: "hello there",
    });
  });

  test("show their token in the query, and are refused without it", async () => {
    const { url } = await served({ listen: { port: 0, authenticate } });
    expect(await dial(`${url}/yjs/notes`)).toBe(401);
    const mine = editor(url, { token: "all" });
    await until(() => mine.synced);
  });

  test("edit documents of the collection that was named, which the schema may have", async () => {
    const schema = { pages: yDoc(), likes: counter() };
    const { replica, url } = await served({ schema, documents: { yjs: "pages" } });
    const provider = editor(url);
    await until(() => provider.synced);
    provider.doc.getText("t").insert(0, "hello");
    const { pages } = (replica as unknown as Replica<typeof schema>).collections;
    await until(() => pages.has("notes") && pages.get("notes").getText("t").length === 5);
    pages.get("notes").getText("t").insert(5, "!");
    await until(() => textOf(provider) === "hello!");
    expect(replica.inventory().map(({ name }) => name)).not.toContain("yjs");
  });

  test("are told to come back when the replica closes, and none come in any more", async () => {
    const { replica, url } = await served();
    const socket = await enter(`${url}/yjs/notes`);
    const code = codeOf(socket);
    await replica.close();
    expect(await code).toBe(1001);
    await expect(dial(`${url}/yjs/notes`)).rejects.toThrow("ECONNREFUSED");
  });
});

test("clients of automerge-repo edit one document through two replicas", async () => {
  const one = await served({ documents: { automerge: true } });
  const two = await served({ documents: { automerge: true }, peers: [one.url] });
  const [left, right] = [one, two].map(({ url }) => {
    const adapter = new WebSocketClientAdapter(`${url}/automerge`);
    const repo = new Repo({ network: [adapter] });
    open.push(() => repo.shutdown());
    return repo;
  });
  const mine = left?.create<{ text: string }>({ text: "hello" });
  // Who asks for it earlier is told that there is none.
  await until(() => two.replica.inventory().some(({ keys }) => keys === 1));
  const theirs = mine && (await right?.find<{ text: string }>(mine.url));
  expect(theirs?.doc().text).toBe("hello");
  theirs?.change((doc) => void (doc.text = "hello there"));
  await until(() => mine?.doc().text === "hello there");
  expect(one.replica.inventory()).toMatchObject([{ name: "automerge", keys: 1 }]);
});

describe("what cannot be served is refused at opening", () => {
  test.each<readonly [string, Partial<ReplicaOptions<Schema>>]>([
    ["without a port", { listen: undefined } as object],
    ["of a library that there is not", { documents: { yjs: true, word: true } as object }],
    ["neither true nor a name", { documents: { yjs: 1 } as object }],
    ["an empty name", { documents: { yjs: "" } }],
    ["two libraries in one collection", { documents: { yjs: "automerge", automerge: true } }],
  ])("%s", async (_, options) => {
    await expect(served(options)).rejects.toThrow(UsageError);
  });

  test("a collection of another type", async () => {
    const refused = served({ schema: { yjs: counter() } });
    const error = await refused.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SchemaMismatchError);
    expect(String(error)).toContain('documents.yjs: the collection "yjs" is counter/1');
  });

  test("but not what nobody asks for", async () => {
    const { url } = await served({ documents: { yjs: false } });
    const socket = new WebSocket(`${url}/yjs/notes`);
    open.push(() => socket.terminate());
    // It is a link, which hears the hello of one.
    expect(await new Promise((resolve) => socket.once("message", resolve))).toBeInstanceOf(Buffer);
  });
});
