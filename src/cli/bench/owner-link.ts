/**
 * Links between nodes that ask each other: one WebSocket between every two, dialled by the later one and again when it
 * breaks. All messages of one turn of the event loop travel in one frame.
 */
import { once } from "node:events";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { until } from "../servers/until.ts";

/** How long a node may take to answer, or to be there at all, in ms. */
const answerMs = 5_000;
const sweepEveryMs = 250;
const handshakeMs = 1_000;
const redialMs = 50;

interface Request {
  readonly id: number;
  readonly verb: string;
  readonly args: readonly unknown[];
}

type Reply = { readonly id: number } & ({ readonly result?: unknown } | { readonly error: string });

type Message = Request | Reply;

/** Who dialled says which node it is, before all else. */
interface Hello {
  readonly hello: number;
}

interface Asked {
  readonly request: Request;
  readonly dueMs: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Answers what another node asks, at once or later. */
export type Answer = (verb: string, args: readonly unknown[]) => unknown;

/** What links are made of. */
export interface LinkOptions {
  /** From 0. */
  readonly node: number;
  readonly nodes: number;
  readonly answer: Answer;
}

/** The links of one node to all others. */
export class OwnerLinks implements AsyncDisposable {
  readonly url: string;
  readonly #node: number;
  readonly #server: WebSocketServer;
  readonly #peers: readonly Peer[];
  readonly #sweeping: NodeJS.Timeout;
  #isClosed = false;

  private constructor({ node, nodes, answer }: LinkOptions, server: WebSocketServer) {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port was given");
    this.url = `ws://127.0.0.1:${address.port}`;
    this.#node = node;
    this.#peers = Array.from({ length: nodes }, (_, number) => new Peer(number, answer));
    this.#server = server.on("connection", (socket) => {
      socket.on("error", () => undefined);
      socket.once("message", (text) => {
        const { hello } = read(text) as Hello;
        this.#peers[hello]?.attach(socket);
      });
    });
    this.#sweeping = setInterval(() => {
      for (const peer of this.#peers) peer.sweep(performance.now());
    }, sweepEveryMs).unref();
  }

  /** Listens on a free port of 127.0.0.1. */
  static async open(options: LinkOptions): Promise<OwnerLinks> {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
    await once(server, "listening");
    return new OwnerLinks(options, server);
  }

  /** Dials the first nodes, in their order. @throws Error if one is not there in time. */
  async join(urls: readonly string[]): Promise<void> {
    await Promise.all(
      urls.map(async (url, number) => {
        const peer = this.#peers[number];
        if (peer === undefined) throw new Error(`there is no node ${number}`);
        this.#dial(url, peer);
        await until(`node ${number} is reached`, answerMs, () => peer.isLinked);
      }),
    );
  }

  /** Asks another node. @throws Error if it throws, or is not there, or the link breaks meanwhile: it may be done. */
  ask(node: number, verb: string, args: readonly unknown[]): Promise<unknown> {
    const peer = this.#peers[node];
    return peer?.ask(verb, args) ?? Promise.reject(new Error(`there is no node ${node}`));
  }

  /** Ends all links; what was asked fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweeping);
    for (const peer of this.#peers) peer.close();
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #dial(url: string, peer: Peer): void {
    if (this.#isClosed) return;
    const socket = new WebSocket(url, { handshakeTimeout: handshakeMs, perMessageDeflate: false });
    socket.on("error", () => undefined);
    socket.on("open", () => {
      if (this.#isClosed) return socket.terminate();
      socket.send(JSON.stringify({ hello: this.#node } satisfies Hello));
      peer.attach(socket);
    });
    socket.on("close", () => setTimeout(() => this.#dial(url, peer), redialMs).unref());
  }
}

/** Another node: the link to it, while there is one, and what it was asked. */
class Peer {
  readonly #number: number;
  readonly #answer: Answer;
  readonly #asked = new Map<number, Asked>();
  #link: Link | undefined;
  #requests = 0;

  constructor(number: number, answer: Answer) {
    this.#number = number;
    this.#answer = answer;
  }

  get isLinked(): boolean {
    return this.#link !== undefined;
  }

  /** Without a link it waits for one. */
  ask(verb: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const request = { id: this.#requests++, verb, args };
      const dueMs = performance.now() + answerMs;
      this.#asked.set(request.id, { request, dueMs, resolve, reject });
      this.#link?.send(request);
    });
  }

  /** From now on this is the link. What waited for one is sent. */
  attach(socket: WebSocket): void {
    if (this.#link !== undefined) this.close();
    const link = new Link(socket);
    this.#link = link;
    socket.on("message", (frame) => {
      // Both ends are this file, so no more is looked at.
      for (const message of read(frame) as readonly Message[]) this.#hear(message, link);
    });
    socket.on("close", () => {
      if (this.#link === link) this.close();
    });
    for (const { request } of this.#asked.values()) link.send(request);
  }

  /** Ends the link. What was asked over it may be done or not. */
  close(): void {
    this.#link?.socket.terminate();
    this.#link = undefined;
    this.#fail(`the link to node ${this.#number} broke`, Number.POSITIVE_INFINITY);
  }

  /** Fails what should be answered by now. */
  sweep(nowMs: number): void {
    this.#fail(`node ${this.#number} did not answer within ${answerMs} ms`, nowMs);
  }

  #fail(why: string, nowMs: number): void {
    for (const [id, { dueMs, reject }] of this.#asked) {
      // They stand in the order in which they were asked.
      if (dueMs > nowMs) return;
      this.#asked.delete(id);
      reject(new Error(why));
    }
  }

  #hear(message: Message, link: Link): void {
    if ("verb" in message) return this.#serve(message, link);
    const asked = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if ("error" in message) asked?.reject(new Error(message.error));
    else asked?.resolve(message.result);
  }

  #serve({ id, verb, args }: Request, link: Link): void {
    const failed = (error: unknown): void => link.send({ id, error: String(error) });
    try {
      const result = this.#answer(verb, args);
      if (!(result instanceof Promise)) return link.send({ id, result });
      // Over the link on which it came: who is there after it may be another.
      result.then((later: unknown) => link.send({ id, result: later }), failed);
    } catch (error) {
      failed(error);
    }
  }
}

/** One socket, and what is to be sent over it at the end of this turn. */
class Link {
  readonly socket: WebSocket;
  #messages: Message[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
  }

  send(message: Message): void {
    if (this.#messages.push(message) > 1) return;
    setImmediate(() => {
      const frame = JSON.stringify(this.#messages);
      this.#messages = [];
      if (this.socket.readyState === WebSocket.OPEN) this.socket.send(frame);
    });
  }
}

// As it comes unless another form is asked for.
const read = (frame: RawData): unknown => JSON.parse((frame as Buffer).toString());
