/**
 * Server-sent events to one reader. What it does not read stays in its socket up to a bound; then nothing more
 * is made for it until it has read, and if it reads nothing for a while it is ended.
 */
import type { ServerResponse } from "node:http";
import type { Environment, Timer } from "../environment.ts";
import type { HttpLimits } from "./options.ts";

/** One event. */
export interface StreamEvent {
  readonly event: string;
  /** One line. */
  readonly data: string;
  readonly id?: string;
}

/** Bounds of a stream. */
export type StreamLimits = Pick<
  HttpLimits,
  "streamBufferBytesMax" | "streamStallMsMax" | "heartbeatMs"
>;

/** A response that goes on. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #limits: StreamLimits;
  readonly #environment: Environment;
  #timer: Timer;
  #unsent = 0;
  #readMs: number;

  constructor(response: ServerResponse, limits: StreamLimits, environment: Environment) {
    this.#response = response;
    this.#limits = limits;
    this.#environment = environment;
    this.#readMs = environment.monotonic();
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // Proxies that gather answers would keep events back.
      "x-accel-buffering": "no",
    });
    response.flushHeaders();
    this.#timer = this.#beat();
    response.once("close", () => this.#timer.cancel());
  }

  get isOpen(): boolean {
    return !this.#response.writableEnded && !this.#response.destroyed;
  }

  /** False, and nothing is sent, when the reader is too far behind. */
  offer(event: StreamEvent): boolean {
    if (!this.isOpen || this.#response.writableLength > this.#limits.streamBufferBytesMax) {
      return false;
    }
    this.#response.write(textOf(event));
    return true;
  }

  /** Sends, and resolves when there is room for more; false when the reader is gone or was ended. */
  async send(event: StreamEvent): Promise<boolean> {
    if (!this.isOpen) return false;
    this.#response.write(textOf(event));
    while (this.isOpen && this.#response.writableLength > this.#limits.streamBufferBytesMax) {
      await this.#drained();
      this.#endIfStalled();
    }
    return this.isOpen;
  }

  /** Ends it; the reader may come again. */
  end(): void {
    this.#timer.cancel();
    if (this.isOpen) this.#response.end();
  }

  /** Resolves at the latest when it is time to look again. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#response.off("drain", done).off("close", done);
        resolve();
      };
      const timer = this.#environment.schedule(this.#limits.streamStallMsMax / 4, done);
      this.#response.on("drain", done).on("close", done);
    });
  }

  #beat(): Timer {
    return this.#environment.schedule(this.#limits.heartbeatMs, () => {
      this.#endIfStalled();
      if (!this.isOpen) return;
      if (this.#response.writableLength === 0) this.#response.write(": alive\n\n");
      this.#timer = this.#beat();
    });
  }

  #endIfStalled(): void {
    const { writableLength } = this.#response;
    const nowMs = this.#environment.monotonic();
    if (writableLength === 0 || writableLength < this.#unsent) this.#readMs = nowMs;
    this.#unsent = writableLength;
    if (nowMs - this.#readMs >= this.#limits.streamStallMsMax) this.#response.destroy();
  }
}

const textOf = ({ event, data, id }: StreamEvent): string =>
  `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`;
