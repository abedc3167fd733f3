/**
 * One client of documents on a WebSocket. Whoever sends to it looks at `bufferedBytes` first; for who does not, and for
 * clients that take nothing, everything that waits has a bound here.
 */
import { type RawData, WebSocket } from "ws";
import type { Grant } from "../access.ts";
import type { Environment, Timer } from "../environment.ts";
import type { Logger } from "../telemetry.ts";
import type { ClientLimits } from "./client-limits.ts";
import type { Client, ClientReceiver } from "./client.ts";
import { Outbox } from "./outbox.ts";

/** Why a client was given up by us: the label of a count. */
export type ClientEnd = "slow" | "silent" | "malformed" | "failed";

/** What all clients of one protocol share. */
export interface SocketClientOptions {
  readonly environment: Environment;
  readonly logger: Logger;
  readonly limits: ClientLimits;
  /** Bytes came or were sent. */
  readonly onBytes: (direction: "in" | "out", count: number) => void;
  readonly onEnd: (why: ClientEnd) => void;
}

/** By which grant, from where. */
export interface Who {
  readonly grant: Grant;
  readonly remoteAddress: string;
}

const reasonBytesMax = 123;
const closed = { notBinary: 1003, failed: 1011 } as const;

/** A client that was admitted. */
export class SocketClient implements Client {
  readonly grant: Grant;
  readonly remoteAddress: string;
  readonly #socket: WebSocket;
  readonly #options: SocketClientOptions;
  readonly #outbox: Outbox;
  #receiver: ClientReceiver | undefined;
  /** When bytes began to wait, or the last of them left, by the monotonic clock. */
  #leftMs = 0;
  /** Rounds of pings since anything was heard of it, or left for it. */
  #silentRounds = 0;
  #isAsked = false;
  #isEnding = false;
  #closing: Timer | undefined;

  constructor(socket: WebSocket, { grant, remoteAddress }: Who, options: SocketClientOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#outbox = new Outbox(socket, () => this.#left());
    this.grant = grant;
    this.remoteAddress = remoteAddress;
    socket.binaryType = "nodebuffer";
    // What is wrong with its bytes: `ws` has sent the code of that, and 'close' follows.
    socket.on("error", () => {
      this.#ended("malformed");
      this.#endSoon();
    });
  }

  /** Starts to tell `receiver`. */
  tell(receiver: ClientReceiver): void {
    this.#receiver = receiver;
    this.#socket.on("message", (data, isBinary) => this.#message(data, isBinary));
    this.#socket.on("pong", () => {
      this.#isAsked = false;
      this.#silentRounds = 0;
    });
    this.#socket.once("close", () => {
      this.#isEnding = true;
      this.#closing?.cancel();
      this.#outbox.clear();
      receiver.closed();
    });
  }

  get bufferedBytes(): number {
    return this.#outbox.bytes;
  }

  send(bytes: Uint8Array): void {
    if (this.#isEnding || this.#socket.readyState !== WebSocket.OPEN) return;
    const { environment, limits, onBytes } = this.#options;
    const waiting = this.bufferedBytes;
    if (waiting > limits.waitingBytesMax) return this.#giveUp("slow");
    if (waiting === 0) this.#leftMs = environment.monotonic();
    onBytes("out", bytes.byteLength);
    this.#outbox.send(bytes);
  }

  close(code: number, reason: string): void {
    if (this.#isEnding) return;
    this.#endSoon();
    this.#outbox.emptied(() => this.#socket.close(code, shortened(reason)));
  }

  /** At once, whatever waits. */
  terminate(): void {
    this.#isEnding = true;
    this.#socket.terminate();
  }

  /** A round of pings: gives up who takes nothing, or is not there. */
  ask(): void {
    if (this.#isEnding) return;
    const { environment, limits } = this.#options;
    const waitsMs = environment.monotonic() - this.#leftMs;
    if (this.bufferedBytes > 0 && waitsMs >= limits.stalledMsMax) return this.#giveUp("slow");
    if (this.#silentRounds >= 2) return this.#giveUp("silent");
    this.#silentRounds++;
    // The answer to one that waits behind other bytes comes when they have left.
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.#socket.ping();
  }

  #left(): void {
    this.#leftMs = this.#options.environment.monotonic();
    this.#silentRounds = 0;
    if (!this.#isEnding) this.#receiver?.drained();
  }

  #message(data: RawData, isBinary: boolean): void {
    if (this.#isEnding || !Buffer.isBuffer(data)) return;
    this.#silentRounds = 0;
    if (!isBinary) {
      this.#ended("malformed");
      return this.close(closed.notBinary, "only binary messages are taken");
    }
    this.#options.onBytes("in", data.byteLength);
    try {
      this.#receiver?.message(own(data));
    } catch (error) {
      // It may not throw; one client is not to end a process that does.
      this.#options.logger.error({ err: error }, "a message of a client could not be handled");
      this.#ended("failed");
      this.close(closed.failed, "internal error");
    }
  }

  #giveUp(why: ClientEnd): void {
    this.#ended(why);
    this.terminate();
  }

  #ended(why: ClientEnd): void {
    if (!this.#isEnding) this.#options.onEnd(why);
  }

  #endSoon(): void {
    this.#isEnding = true;
    const { environment, limits } = this.#options;
    this.#closing ??= environment.schedule(limits.closeMsMax, () => this.#socket.terminate());
  }
}

/** Without what else came with it: a few bytes that are kept must not hold on to a buffer of 64 KiB. */
const own = (data: Buffer): Uint8Array =>
  data.byteLength * 2 < data.buffer.byteLength
    ? Uint8Array.from(data)
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function shortened(reason: string): string {
  let short = reason.slice(0, reasonBytesMax);
  while (Buffer.byteLength(short) > reasonBytesMax) short = short.slice(0, -1);
  return short;
}
