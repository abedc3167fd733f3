/** Counts the points of a run at which a replica may crash, and crashes one there. */
import { readMessage } from "../../src/sync/protocol.ts";
import type { Connection, Transport } from "../../src/sync/transport.ts";
import type { WritePoint } from "../storage/log-disk.ts";

/** What a replica is about to do, or has just done. */
export type Point =
  | WritePoint
  | "frame is made"
  | "frame is sent"
  | "word is made"
  | "word is sent";

export const points = [
  "write begins",
  "write is torn",
  "write is cached",
  "write is synced",
  "write ends",
  "log is merged",
  "frame is made",
  "frame is sent",
  "word is made",
  "word is sent",
] as const satisfies readonly Point[];

/** All points of one run, numbered from 1. */
export class Points {
  readonly #crash: (host: string, point: Point) => void;
  /** Whoever comes past this one crashes; nobody when it is undefined. */
  target: number | undefined;
  /** How many there were so far. */
  count = 0;

  constructor(target: number | undefined, crash: (host: string, point: Point) => void) {
    this.target = target;
    this.#crash = crash;
  }

  /** `host` comes past a point. */
  pass(host: string, point: Point): void {
    if (++this.count === this.target) this.#crash(host, point);
  }
}

/** Messages other than frames that say what a peer may count on. */
const words: ReadonlySet<string> = new Set(["hello", "vector", "ack", "stored", "bye"]);

/** A transport whose sendings are points; a process that is gone sends nothing more. */
export function pointed(
  transport: Transport,
  pass: (point: Point) => void,
  isGone: () => boolean,
): Transport {
  const watched = (connection: Connection): Connection => ({
    get remoteAddress() {
      return connection.remoteAddress;
    },
    get bufferedBytes() {
      return connection.bufferedBytes;
    },
    send: (bytes) => {
      const { kind } = readMessage(bytes).message;
      const name = kind === "frame" ? "frame" : words.has(kind) ? "word" : undefined;
      if (name !== undefined && !isGone()) pass(`${name} is made`);
      if (isGone()) return;
      connection.send(bytes);
      if (name !== undefined) pass(`${name} is sent`);
    },
    close: (reason) => connection.close(reason),
    terminate: () => connection.terminate(),
  });
  return {
    check: (url) => transport.check(url),
    dial: (target, receiver) => watched(transport.dial(target, receiver)),
    listen: (options, acceptor) =>
      transport.listen(options, {
        linksMax: acceptor.linksMax,
        accept: (connection, replicate) => acceptor.accept(watched(connection), replicate),
      }),
  };
}
