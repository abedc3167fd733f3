/**
 * Links between all nodes, for libraries that merge but leave the network to others. It knows nothing of what it
 * carries. What is broadcast in one turn of the event loop goes in one frame; what arrives in one turn is handed over
 * together, so the more a node lags behind, the more it takes at once.
 *
 * A link that opens begins with a greeting from each side, which says what its sender has; what that lacks is the
 * answer. A node that is gone may have told only some of us: so whoever sees a link break asks the others for a
 * greeting, and answers that.
 */
import { once } from "node:events";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import type { Client } from "./strategy.ts";

const redialMs = 50;
const handshakeMs = 1_000;
/** More waiting for one node than this, and the link is dropped: what it lacks is found out when it opens again. */
const bufferedBytesMax = 64 * 1024 * 1024;
const frames = { perMessageDeflate: false, maxPayload: 256 * 1024 * 1024 };
/** Of what one turn collects; more goes at once. */
const turnBytesMax = 1024 * 1024;
/** How long it may be, where what an operation does takes long. */
const turnMsMax = 5;
const lengthBytes = 4;

const asking = 0;
const greeting = 1;
const updating = 2;

/** What a mesh wants to know of whoever it carries updates for. */
export interface MeshOptions {
  /** Says what is here. Default nothing. */
  readonly greet?: () => Uint8Array;
  /** The updates that whoever greeted so may lack. */
  readonly answer: (greeting: Uint8Array) => readonly Uint8Array[];
  /** Makes one of the updates of one turn. Default they are sent as they are. */
  readonly merge?: (updates: readonly Uint8Array[]) => Uint8Array;
  /** Takes updates of others. They may come twice, and after a break before older ones. */
  readonly receive: (updates: readonly Uint8Array[]) => void;
}

/** One node's side of it. */
export interface Mesh extends Required<Pick<Client, "url" | "join" | "close">> {
  /** Sends an update to all that there is a link to, at the end of this turn. */
  readonly broadcast: (update: Uint8Array) => void;
}

/** Listens on a free port of 127.0.0.1. */
export async function openMesh({
  greet = () => new Uint8Array(),
  answer,
  merge,
  receive,
}: MeshOptions): Promise<Mesh> {
  const server = new WebSocketServer({ ...frames, host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  const closing = new AbortController();
  const take = byTurn((updates) => {
    if (!closing.signal.aborted) receive(updates);
  });
  const links = new Set<WebSocket>();

  const hear = (link: WebSocket, frame: Uint8Array): void => {
    if (closing.signal.aborted) return;
    const parts = partsOf(frame);
    switch (frame[0]) {
      case asking:
        return post(link, frameOf(greeting, [greet()]));
      case greeting:
        return post(link, frameOf(updating, parts.flatMap(answer)));
      default:
        return parts.forEach(take);
    }
  };
  const keep = (link: WebSocket): void => {
    links.add(link);
    link.on("error", ignore);
    link.on("message", (message) => hear(link, bytesOf(message)));
    link.once("close", () => {
      links.delete(link);
      for (const other of links) post(other, frameOf(asking, []));
    });
    post(link, frameOf(greeting, [greet()]));
  };
  server.on("connection", keep);

  return {
    url: `ws://${address.address}:${address.port}`,
    async join(urls) {
      const dialled = urls.map(async (url) => {
        await new Promise<void>((resolve) => {
          dial(url, closing.signal, (link) => {
            keep(link);
            resolve();
          });
        });
      });
      await Promise.all(dialled);
    },
    broadcast: byTurn((updates) => {
      const frame = frameOf(updating, merge === undefined ? updates : [merge(updates)]);
      for (const link of links) post(link, frame);
    }),
    async close() {
      closing.abort();
      for (const link of links) link.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Hands over a link each time that there is one, until `signal` ends it. */
function dial(url: string, signal: AbortSignal, opened: (link: WebSocket) => void): void {
  if (signal.aborted) return;
  const link = new WebSocket(url, { ...frames, handshakeTimeout: handshakeMs });
  const end = (): void => link.terminate();
  signal.addEventListener("abort", end);
  link.on("error", ignore);
  link.once("open", () => opened(link));
  link.once("close", () => {
    signal.removeEventListener("abort", end);
    setTimeout(dial, redialMs, url, signal, opened);
  });
}

function post(link: WebSocket, frame: Uint8Array): void {
  if (link.bufferedAmount > bufferedBytesMax) link.terminate();
  else link.send(frame);
}

/** Collects what comes in one turn of the event loop, for `handOver`. */
function byTurn(handOver: (updates: readonly Uint8Array[]) => void): (update: Uint8Array) => void {
  let updates: Uint8Array[] = [];
  let bytes = 0;
  let startMs = 0;
  const flush = (): void => {
    const collected = updates;
    [updates, bytes] = [[], 0];
    if (collected.length > 0) handOver(collected);
  };
  return (update) => {
    const nowMs = performance.now();
    if (updates.push(update) === 1) {
      startMs = nowMs;
      setImmediate(flush);
    }
    bytes += update.length;
    if (bytes > turnBytesMax || nowMs - startMs > turnMsMax) flush();
  };
}

/** 'close' follows every error. */
function ignore(): void {}

function frameOf(kind: number, parts: readonly Uint8Array[]): Buffer {
  const frame = Buffer.allocUnsafe(
    parts.reduce((bytes, part) => bytes + lengthBytes + part.length, 1),
  );
  let end = frame.writeUInt8(kind);
  for (const part of parts) {
    end = frame.writeUInt32LE(part.length, end);
    frame.set(part, end);
    end += part.length;
  }
  return frame;
}

function partsOf(frame: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 1; at < frame.length;) {
    const start = at + lengthBytes;
    at = start + view.getUint32(at, true);
    parts.push(frame.subarray(start, at));
  }
  return parts;
}

function bytesOf(message: RawData): Uint8Array {
  if (Array.isArray(message)) return Buffer.concat(message);
  return message instanceof ArrayBuffer ? new Uint8Array(message) : message;
}
