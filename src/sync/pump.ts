/**
 * Makes frames for one peer while there is room on the way to it, and looks again when small ones have
 * waited long enough for each other.
 */
import type { Environment, Timer } from "../environment.ts";
import { frameBytesMax } from "../store/frame.ts";
import { Flow } from "./flow.ts";

/** What a pump works on. */
export interface PumpOptions {
  readonly environment: Environment;
  /** Whether frames may be sent at all, now. */
  readonly mayPump: () => boolean;
  /** Bytes that were sent and have not left yet. */
  readonly bufferedBytes: () => number;
  /** The next frame; undefined if the peer has, or will have, everything. */
  readonly next: () => Uint8Array | undefined;
  readonly send: (frame: Uint8Array) => void;
  /** Making a frame threw. */
  readonly onFault: (error: unknown) => void;
}

/** Frames of one link, on their way out. */
export class Pump {
  readonly flow: Flow = new Flow();
  readonly #options: PumpOptions;
  #timer: Timer | undefined;
  #isPumping = false;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  /** Sends what the peer lacks, as far as there is room. Never throws. */
  run(): void {
    // Making a frame flushes, and a flush pumps every link: this one is at it already.
    if (this.#isPumping) return;
    this.#isPumping = true;
    const { mayPump, bufferedBytes, next, send, onFault } = this.#options;
    try {
      while (mayPump() && this.flow.isOpen(bufferedBytes(), this.#nowMs)) {
        const frame = next();
        if (frame === undefined) break;
        if (frame.length > frameBytesMax) throw new Error(`a frame of ${frame.length} bytes`);
        send(frame);
        this.flow.sent(frame.length, this.#nowMs);
      }
      if (mayPump()) this.#runAgain();
    } catch (error) {
      onFault(error);
    } finally {
      this.#isPumping = false;
    }
  }

  /** Looks no more. */
  stop(): void {
    this.#timer?.cancel();
  }

  /** Nobody may acknowledge for long what the next frame waits behind. */
  #runAgain(): void {
    const waitsMs = this.flow.waitsMs(this.#nowMs);
    if (waitsMs === 0 || this.#timer) return;
    this.#timer = this.#options.environment.schedule(waitsMs, () => {
      this.#timer = undefined;
      this.run();
    });
  }

  get #nowMs(): number {
    return this.#options.environment.monotonic();
  }
}
