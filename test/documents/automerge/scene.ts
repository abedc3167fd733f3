/** Replicas that serve documents of Automerge, and unmodified clients of them. */
import { Repo } from "@automerge/automerge-repo";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import { WebSocket } from "ws";
import type { DocumentCollection } from "../../../src/store/collections/documents.ts";
import { openReplica, type Replica, type ReplicaOptions, type Schema } from "../../../src/index.ts";
import {
  readCbor,
  writeCbor,
  type CborFields,
  type CborValue,
} from "../../../src/documents/automerge/cbor.ts";

const closers: (() => unknown)[] = [];

/** Closes what was opened, the last first. */
export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

export interface Served {
  readonly replica: Replica<Schema>;
  readonly url: string;
  readonly port: number;
}

export async function served(options: Partial<ReplicaOptions<Schema>> = {}): Promise<Served> {
  const replica = await openReplica<Schema>({
    ...{ schema: {}, listen: { port: 0 }, documents: { automerge: true } },
    ...options,
  });
  closers.push(() => replica.close());
  const port = replica.address?.port ?? 0;
  return { replica, port, url: `ws://127.0.0.1:${port}` };
}

export async function pair(): Promise<[Served, Served]> {
  const one = await served();
  return [one, await served({ peers: [one.url] })];
}

/** The documents of a replica. */
export function documentsOf({ replica }: Served): DocumentCollection {
  const found = replica.collection("automerge");
  if (found?.kind !== "document") throw new Error("no documents of Automerge");
  return found.collection;
}

/** A client as users have it. */
export function repo(url: string, query = "", retryMs = 50): Repo {
  const adapter = new WebSocketClientAdapter(`${url}/automerge${query}`, retryMs);
  // On Node it throws what is not ECONNREFUSED where nobody can catch it; in a browser it passes over all of them.
  adapter.onError = () => undefined;
  const client = new Repo({ network: [adapter] });
  closers.push(() => {
    // It takes its own listener away before it gives up a connection that is not there yet.
    adapter.socket?.addEventListener("error", () => undefined);
    return client.shutdown();
  });
  return client;
}

/** Waits for a condition, with a deadline. */
export async function until(isSo: () => boolean, what = "the condition"): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A connection whose every byte is the test's. */
export class Bare {
  readonly socket: WebSocket;
  readonly heard: ReadonlyMap<string, CborValue>[] = [];
  code: number | undefined;

  constructor(url: string) {
    this.socket = new WebSocket(`${url}/automerge`);
    this.socket.on("message", (data: Buffer) => {
      const message = readCbor(data);
      if (message instanceof Map) this.heard.push(message);
    });
    this.socket.on("error", () => undefined);
    this.socket.on("close", (code) => (this.code = code));
    closers.push(() => this.socket.terminate());
  }

  async opened(): Promise<this> {
    await until(() => this.socket.readyState === WebSocket.OPEN, "a connection");
    return this;
  }

  async joined(senderId = "bare"): Promise<this> {
    await this.opened();
    this.tell({ type: "join", senderId, peerMetadata: {} });
    await until(() => this.types.includes("peer"), "a peer message");
    return this;
  }

  tell(fields: CborFields): void {
    this.socket.send(writeCbor(fields));
  }

  get types(): unknown[] {
    return this.heard.map((message) => message.get("type"));
  }
}
