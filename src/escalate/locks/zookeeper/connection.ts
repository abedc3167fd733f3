/**
 * One session of ZooKeeper, by way of `node-zookeeper-client`. What does that library leave to its user?
 * It has no deadlines: a server that hangs is waited for without end, pings are sent and not missed when they
 * are not answered, and what is asked while there is no connection is queued and sent much later. It does not
 * close while it connects. In a transaction it takes version 0 for "any version". What it had read of a message
 * when a connection broke it takes for the beginning of the next one, and throws where nobody catches. So here
 * every request has a deadline, after which the connection is cut (the session lives on, and what was asked on
 * the old connection cannot come after what is asked on the new one), and so has silence; nothing is asked
 * without a connection; and no record of ours is ever at version 0.
 */
import { createClient } from "node-zookeeper-client";
import type { Environment, Timer } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import { elapsedSince } from "../../fence/elapsed.ts";

/** What a node's statistics say, as far as they matter here; 64-bit numbers as bytes. */
export interface NodeStat {
  readonly mzxid: Buffer;
  readonly version: number;
  readonly ephemeralOwner: Buffer;
}

/** The error is an instance of a class of the client, with a code. */
type Callback<T extends readonly unknown[]> = (error: unknown, ...results: T) => void;

/** What was done by one part of a transaction. */
export interface PartResult {
  readonly stat?: NodeStat;
  readonly path?: string;
}

/** Parts of which all are done or none. */
export interface ZookeeperTransaction {
  create(path: string, data: Buffer): unknown;
  setData(path: string, data: Buffer, version: number): unknown;
  check(path: string, version?: number): unknown;
  commit(callback: (error: unknown, results: readonly PartResult[]) => void): void;
}

/** What this needs of a client of `node-zookeeper-client`. */
export interface ZookeeperClient {
  connect(): void;
  close(): void;
  create(path: string, data: Buffer, mode: number, callback: Callback<[string]>): void;
  remove(path: string, version: number, callback: (error: unknown) => void): void;
  getChildren(path: string, callback: Callback<[string[]]>): void;
  getData(path: string, callback: Callback<[Buffer, NodeStat]>): void;
  getData(
    path: string,
    watcher: (event: { readonly type: number }) => void,
    callback: Callback<[Buffer, NodeStat]>,
  ): void;
  mkdirp(path: string, callback: Callback<[string]>): void;
  transaction(): ZookeeperTransaction;
  getState(): { readonly name: string };
  getSessionId(): Buffer;
  getSessionTimeout(): number;
  on(event: "state", listener: () => void): unknown;
  removeListener(event: "state", listener: () => void): unknown;
}

/** What came of a request: its results, or the code of what ZooKeeper refused it with. */
export type Reply<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: number };

/** Codes of refusals that matter here. */
export const refusals = { noNode: -101, nodeExists: -110 } as const;
/** Connection lost, timed out, session expired, session moved: it may have been done. */
const unsure: ReadonlySet<unknown> = new Set([-4, -7, -112, -118]);
/** Between attempts to connect again when no server answers, at most, in ms. */
const spinMs = 100;

/** How to connect. */
export interface ConnectionOptions {
  readonly hosts: readonly string[];
  /** Handed in: it is neither cut nor closed. */
  readonly client: ZookeeperClient | undefined;
  readonly sessionMs: number;
  readonly environment: Environment;
  readonly answerMs: number;
}

/** One session. */
export class ZookeeperConnection {
  readonly #client: ZookeeperClient;
  readonly #isOurs: boolean;
  readonly #environment: Environment;
  readonly #answerMs: number;
  readonly #sessionMs: number;
  readonly #listeners = new Set<() => void>();
  readonly #changed = (): void => this.#change();
  /** Ms since before the last request that was answered was sent. */
  #elapsedMs: () => number;
  #isStarted = false;
  #isOver = false;
  #silence: Timer | undefined;

  constructor({ hosts, client, sessionMs, environment, answerMs }: ConnectionOptions) {
    this.#isOurs = client === undefined;
    const options = { sessionTimeout: sessionMs, spinDelay: spinMs, retries: 0 };
    this.#client = client ?? createClient(hosts.join(","), options);
    this.#environment = environment;
    this.#answerMs = answerMs;
    this.#sessionMs = sessionMs;
    this.#elapsedMs = elapsedSince(environment);
    this.#client.on("state", this.#changed);
  }

  /** The session is over, or it must be by now: nothing lives under it. */
  get isOver(): boolean {
    if (!this.#isOver && this.#elapsedMs() > this.timeoutMs * 2 && !this.#isConnected) this.end();
    return this.#isOver;
  }

  /** As the server granted it; as it was asked for until then. */
  get timeoutMs(): number {
    return this.#isStarted && this.#isConnected
      ? this.#client.getSessionTimeout()
      : this.#sessionMs;
  }

  get sessionId(): Buffer {
    return this.#client.getSessionId();
  }

  /** Connects if it must. @throws LockUnavailableError when that takes longer than an answer may: nothing was sent. */
  async ready(): Promise<void> {
    if (this.#isConnected) return;
    if (this.isOver) throw unreachable("its session is over");
    if (!this.#isStarted && this.#isOurs) {
      this.#isStarted = true;
      this.#client.connect();
    }
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        timer.cancel();
        this.#listeners.delete(look);
      };
      const look = (): void => {
        if (!this.#isConnected && !this.#isOver) return;
        done();
        if (this.#isConnected) resolve();
        else reject(unreachable("its session is over"));
      };
      const timer = this.#environment.schedule(this.#answerMs, () => {
        done();
        // A server that accepts and says nothing is not left by the client itself.
        this.#cut();
        reject(unreachable(`no connection within ${this.#answerMs} ms`));
      });
      this.#listeners.add(look);
    });
  }

  /** Sends now, in the order of the calls. @throws what is neither an answer nor a refusal: it may have been done. */
  ask<T>(send: (client: ZookeeperClient, callback: Callback<[T]>) => void): Promise<Reply<T>> {
    return new Promise((resolve, reject) => {
      if (!this.#isConnected) {
        reject(unreachable("the connection is lost"));
        return;
      }
      const elapsedMs = elapsedSince(this.#environment);
      const why = `ZooKeeper did not answer within ${this.#answerMs} ms`;
      const timer = this.#environment.schedule(this.#answerMs, () => {
        reject(new Error(why));
        this.#cut();
      });
      const answered: Callback<[T]> = (error, value) => {
        timer.cancel();
        if (!error) {
          this.#elapsedMs = elapsedMs;
          resolve({ ok: true, value });
          return;
        }
        const code = codeOf(error);
        if (code === undefined || unsure.has(code)) {
          reject(new Error("the connection to ZooKeeper ended before an answer", { cause: error }));
          return;
        }
        this.#elapsedMs = elapsedMs;
        resolve({ ok: false, code });
      };
      try {
        send(this.#client, answered);
      } catch (error) {
        // Nobody waits for an answer then: the connection is not to blame.
        timer.cancel();
        reject(error);
      }
    });
  }

  /** Calls when its session is over. */
  onOver(listener: () => void): void {
    const look = (): void => {
      if (!this.#isOver) return;
      this.#listeners.delete(look);
      listener();
    };
    this.#listeners.add(look);
  }

  /** Nothing more is asked; the server ends the session by itself. */
  end(): void {
    this.#isOver = true;
    this.#silence?.cancel();
    for (const listener of this.#listeners) listener();
    if (this.#isOurs) this.#sever();
  }

  /** Ends the session, and all that lives under it. */
  async close(): Promise<void> {
    this.#isOver = true;
    if (this.#isOurs && this.#isConnected) {
      await new Promise<void>((resolve) => {
        const timer = this.#environment.schedule(this.#answerMs, resolve);
        this.#listeners.add(() => {
          if (this.#isConnected) return;
          timer.cancel();
          resolve();
        });
        this.#client.close();
      });
    }
    this.#client.removeListener("state", this.#changed);
    this.#silence?.cancel();
    if (this.#isOurs) this.#sever();
  }

  get #isConnected(): boolean {
    return this.#client.getState().name === "SYNC_CONNECTED";
  }

  #change(): void {
    // Half a message of the old connection would be read as the beginning of the new one.
    const manager = managerOf(this.#client);
    if (manager && !this.#isConnected) manager.pendingBuffer = null;
    this.#silence?.cancel();
    if (this.#isOurs && this.#isConnected) this.#listen();
    if (this.#client.getState().name === "EXPIRED" && !this.#isOver) this.end();
    else for (const listener of this.#listeners) listener();
  }

  /** Who only waits asks nothing, so nothing of it has a deadline: what is silent for too long is left. */
  #listen(): void {
    const { timeoutMs } = this;
    const socket = managerOf(this.#client)?.socket;
    const heard = socket?.bytesRead;
    // A ping is answered after a third of the session, but a short one is not left sooner than an answer may come.
    const limitMs = Math.max((timeoutMs * 2) / 3, Math.min(timeoutMs, this.#answerMs));
    const look = (): void => {
      if (this.#isOver || socket !== managerOf(this.#client)?.socket) return;
      if (socket?.bytesRead === heard) this.#cut();
      else this.#listen();
    };
    // Who stood still itself has not read yet what came meanwhile.
    this.#silence = this.#environment.schedule(limitMs, () => this.#environment.defer(look));
  }

  /** Drops the connection; the client connects again, to the next server, with the same session. */
  #cut(): void {
    if (this.#isOurs) managerOf(this.#client)?.socket?.destroy();
  }

  /** Has the client do nothing more: its own `close` waits for a server. */
  #sever(): void {
    const manager = managerOf(this.#client);
    if (!manager) return;
    manager.connect = () => undefined;
    clearTimeout(manager.connectTimeoutHandler ?? undefined);
    manager.socket?.destroy();
    // It may be about to open one more.
    this.#environment.schedule(spinMs * 2, () => {
      clearTimeout(manager.connectTimeoutHandler ?? undefined);
      manager.socket?.destroy();
    });
  }
}

/** The inside of the client, which offers no other way to drop a connection. */
interface Manager {
  socket?: { readonly bytesRead: number; destroy(): void };
  connect: () => void;
  connectTimeoutHandler: NodeJS.Timeout | null;
  pendingBuffer: Buffer | null;
}

const managerOf = (client: ZookeeperClient): Manager | undefined =>
  (client as { readonly connectionManager?: Manager }).connectionManager;

const codeOf = (error: unknown): number | undefined =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "number"
    ? error.code
    : undefined;

const unreachable = (why: string): LockUnavailableError =>
  new LockUnavailableError(`ZooKeeper cannot be reached: ${why}; nothing was sent`, {
    backend: "zookeeper",
  });
