/** The client of y-websocket as it is, on the sockets of `ws`, and what a test wants to know of it. */
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import type { Awareness } from "y-protocols/awareness";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

/** One document at one peer. */
export class YClient {
  readonly doc: Y.Doc = new Y.Doc();
  /** Codes with which the peer closed it for good. */
  readonly closedFor: number[] = [];
  readonly denials: string[] = [];
  failures = 0;
  readonly #provider: WebsocketProvider;
  readonly #sockets: { readonly all: WebSocket[] };

  constructor(peer: string, name: string, params: Record<string, string> = {}) {
    const sockets: WebSocket[] = [];
    this.#sockets = { all: sockets };
    class Noted extends WebSocket {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        super(...args);
        sockets.push(this);
      }
    }
    this.#provider = new WebsocketProvider(`${peer}/yjs`, encodeURIComponent(name), this.doc, {
      // It is written for a browser's.
      WebSocketPolyfill: Noted as never,
      disableBc: true,
      params,
      maxBackoffTime: 200,
    });
    this.#provider.on("closed", ({ code }) => void this.closedFor.push(code));
    this.#provider.on("connection-error", () => void this.failures++);
    // It would print what it is denied.
    this.#provider.messageHandlers[2] = () => void this.denials.push("denied");
  }

  get isSynced(): boolean {
    return this.#provider.synced;
  }

  get isConnected(): boolean {
    return this.#provider.wsconnected;
  }

  get awareness(): Awareness {
    return this.#provider.awareness;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  text(): string {
    return this.doc.getText("t").toJSON();
  }

  /** The names of those it sees, itself among them. */
  users(): unknown[] {
    return [...this.awareness.getStates().values()].map((state) => nameIn(state));
  }

  /** The connection is gone without a word. */
  breakOff(): void {
    this.#provider.shouldConnect = false;
    this.#sockets.all.at(-1)?.terminate();
  }

  connect(): void {
    this.#provider.connect();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#provider.destroy();
    this.awareness.destroy();
    this.doc.destroy();
    for (const socket of this.#sockets.all) socket.terminate();
  }

  get #socket(): Socket {
    const socket: unknown = Reflect.get(this.#sockets.all.at(-1) ?? {}, "_socket");
    return socket as Socket;
  }
}

const nameIn = (state: Readonly<Record<string, unknown>>): unknown => {
  const { user } = state;
  return typeof user === "object" && user !== null ? Reflect.get(user, "name") : undefined;
};

/** Waits until it is so. @throws after 20 s */
export async function eventually(isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`it never came to be that ${String(isSo)}`);
    await sleep(10);
  }
}
