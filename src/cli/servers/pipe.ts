/** One direction of a connection through a bad network. */
import type { Socket } from "node:net";

/** What happens to bytes on their way. */
export interface Weather {
  /** At least so long under way, in ms; 0 to 1 ms more. Fractions count. */
  delayMs: number;
  /** Each connection by itself. */
  bytesPerSecond: number;
  /**
   * `pass`; `hold`: kept, and delivered once it passes again, as TCP does over a short partition;
   * `lose`: taken and never delivered, nor anything after it on that connection.
   */
  fate: "pass" | "hold" | "lose";
}

/** What may be under way before the sender is made to wait, in bytes. */
const queuedBytesMax = 1 << 20;
/** A throttled chunk is cut in parts of so long, in ms. */
const partMs = 5;
/** While held, how often it is looked whether it passes again, in ms. */
const heldMs = 2;

/** What is under way: bytes, or one of the two ways in which a connection ends. */
interface Part {
  readonly what: Buffer | "end" | "reset";
  readonly dueMs: number;
}

/** Carries what `from` sends to `to`, and its end. */
export class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #weather: Weather;
  readonly #arrived: (chunk: Buffer) => void;
  readonly #queue: Part[] = [];
  #queuedBytes = 0;
  /** When the last part will have passed a narrow line. */
  #lineFreeMs = 0;
  #bytes = 0;
  #bytesLost = 0;
  #isLost = false;
  #isStopped = false;
  #wake: (() => void) | undefined;

  constructor(from: Socket, to: Socket, weather: Weather, arrived: (chunk: Buffer) => void) {
    this.#from = from;
    this.#to = to;
    this.#weather = weather;
    this.#arrived = arrived;
    from.on("data", (chunk: Buffer) => this.#receive(chunk));
    from.on("end", () => this.#receiveEnd("end"));
    from.on("error", () => this.#receiveEnd("reset"));
    to.on("drain", () => this.#deliver());
  }

  /** Bytes that came. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of those, the ones that will never arrive. */
  get bytesLost(): number {
    return this.#bytesLost;
  }

  /** Counts from zero. */
  forget(): void {
    this.#bytes = 0;
    this.#bytesLost = 0;
  }

  /** Delivers nothing more. */
  stop(): void {
    this.#isStopped = true;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#wake?.();
    this.#from.resume();
  }

  #receive(chunk: Buffer): void {
    if (this.#isStopped) return;
    this.#bytes += chunk.length;
    this.#arrived(chunk);
    if (this.#isLost || this.#weather.fate === "lose") {
      this.#isLost = true;
      this.#bytesLost += chunk.length;
      return;
    }
    for (const bytes of this.#parts(chunk)) this.#push(bytes);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > queuedBytesMax) this.#from.pause();
    this.#deliver();
  }

  #receiveEnd(how: "end" | "reset"): void {
    // An end is lost like a byte.
    if (this.#weather.fate === "lose") this.#isLost = true;
    if (this.#isLost || this.#isStopped) return;
    this.#push(how);
    this.#deliver();
  }

  #parts(chunk: Buffer): readonly Buffer[] {
    const size = Math.max(1, (this.#weather.bytesPerSecond * partMs) / 1_000);
    if (chunk.length <= size) return [chunk];
    const parts: Buffer[] = [];
    for (let start = 0; start < chunk.length; start += Math.floor(size)) {
      parts.push(chunk.subarray(start, start + Math.floor(size)));
    }
    return parts;
  }

  #push(what: Part["what"]): void {
    const { delayMs, bytesPerSecond } = this.#weather;
    const passingMs = typeof what === "string" ? 0 : (what.length / bytesPerSecond) * 1_000;
    this.#lineFreeMs = Math.max(performance.now(), this.#lineFreeMs) + passingMs;
    this.#queue.push({ what, dueMs: this.#lineFreeMs + delayMs });
  }

  #deliver(): void {
    this.#wake?.();
    for (let part = this.#queue[0]; part !== undefined; part = this.#queue[0]) {
      if (this.#weather.fate === "lose") return this.#loseQueue();
      const waitMs = this.#weather.fate === "hold" ? heldMs : part.dueMs - performance.now();
      if (waitMs > 0) return this.#wait(waitMs);
      if (this.#to.writableNeedDrain && part.what !== "reset") return;
      this.#queue.shift();
      this.#hand(part.what);
    }
    if (this.#from.isPaused()) this.#from.resume();
  }

  #hand(what: Part["what"]): void {
    if (what === "reset") reset(this.#to);
    else if (what === "end") this.#to.end();
    else {
      this.#queuedBytes -= what.length;
      this.#to.write(what);
    }
  }

  /** What is under way when the network begins to lose is lost too. */
  #loseQueue(): void {
    this.#isLost = true;
    this.#bytesLost += this.#queuedBytes;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#from.resume();
  }

  #wait(waitMs: number): void {
    const wakeUp = (): void => {
      this.#wake = undefined;
      this.#deliver();
    };
    // Timers are whole milliseconds, and may be one early: the rest goes by in turns of the loop.
    if (waitMs < 1) {
      const turn = setImmediate(wakeUp);
      this.#wake = () => clearImmediate(turn);
    } else {
      const timer = setTimeout(wakeUp, Math.floor(waitMs));
      this.#wake = () => clearTimeout(timer);
    }
  }
}

/**
 * Ends a connection as a broken network does. While its orderly end is under way it cannot be reset: Node then calls
 * it destroyed and leaves it open for ever, and the process cannot end.
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}
