/**
 * What waits for one client. Node hands all that it has to the kernel as one write, which has left when the last byte
 * has: to see that a slow client takes some of it, the socket is given a little at a time, and of long messages a part.
 */
import type { WebSocket } from "ws";

/** The most of one message that goes out at a time, in bytes. */
const partBytesMax = 256 * 1024;
/** How much the socket is given at a time, in bytes. */
const windowBytes = 2 * partBytesMax;
/** What a message takes besides its bytes. */
const messageBytes = 64;

/** Messages on their way into one socket. */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #onLeft: () => void;
  #queue: Uint8Array[] = [];
  /** The first that is in the queue still, and how much of it has gone. */
  #first = 0;
  #gone = 0;
  #queuedBytes = 0;
  #onEmpty: (() => void) | undefined;
  #isOver = false;

  /** `onLeft` is called when something has left. */
  constructor(socket: WebSocket, onLeft: () => void) {
    this.#socket = socket;
    this.#onLeft = onLeft;
  }

  /** Bytes that have not left. */
  get bytes(): number {
    return this.#isOver ? 0 : this.#queuedBytes + this.#socket.bufferedAmount;
  }

  send(bytes: Uint8Array): void {
    if (this.#isOver) return;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.byteLength + messageBytes;
    this.#fill();
  }

  /** Calls `done` once all is with the socket. */
  emptied(done: () => void): void {
    if (this.#first === this.#queue.length) done();
    else this.#onEmpty = done;
  }

  /** Drops what waits: it is over. */
  clear(): void {
    this.#isOver = true;
    this.#queue = [];
    this.#first = 0;
    this.#gone = 0;
    this.#queuedBytes = 0;
    this.#onEmpty = undefined;
  }

  #fill(): void {
    while (this.#socket.bufferedAmount < windowBytes) {
      const message = this.#queue[this.#first];
      if (message === undefined) break;
      const part = message.subarray(this.#gone, this.#gone + partBytesMax);
      this.#gone += part.byteLength;
      this.#queuedBytes -= part.byteLength;
      const fin = this.#gone === message.byteLength;
      if (fin) this.#next();
      this.#socket.send(part, { binary: true, fin }, this.#left);
    }
    if (this.#first < this.#queue.length) return;
    this.#queue = [];
    this.#first = 0;
    this.#onEmpty?.();
    this.#onEmpty = undefined;
  }

  #next(): void {
    this.#first++;
    this.#gone = 0;
    this.#queuedBytes -= messageBytes;
    if (this.#first < 1_024) return;
    this.#queue = this.#queue.slice(this.#first);
    this.#first = 0;
  }

  readonly #left = (error?: Error | null): void => {
    if (error) return this.clear();
    this.#fill();
    this.#onLeft();
  };
}
