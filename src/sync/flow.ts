/**
 * How much may be on the way to a peer at once? A frame is made only when there is room for it, from
 * whatever is newest then. So a slow peer gets fewer, more coalesced frames, and costs no queue.
 */

/** Frames on the way, unacknowledged. */
export const framesOnTheWayMax = 64;
/** From so many on, small frames wait for each other: what piles up meanwhile becomes one. */
export const framesUncoalesced = 4;
/** How long they do, in ms, on a network that takes longer than that to acknowledge. */
const coalesceMsMax = 2;
/** Frames of so many bytes are large: nothing is gained by waiting. */
const frameBytesLarge = 16 * 1024;
/** Bytes of frames on the way, unless it is one frame alone. */
export const bytesOnTheWayMax: number = 4 * 1024 * 1024;
/** Bytes that our end of the connection has not passed to the network. */
export const bufferedBytesMax: number = 1024 * 1024;

/** The frames on the way on one link, by size. */
export class Flow {
  readonly #sizes: number[] = [];
  readonly #sentMs: number[] = [];
  #bytes = 0;
  #progressMs = 0;
  #bufferedBytes = 0;

  /** Whether another frame may be sent now; if not, an acknowledgement is to come. */
  isOpen(bufferedBytes: number, nowMs: number): boolean {
    const frames = this.#sizes.length;
    const waits =
      frames >= framesUncoalesced &&
      nowMs - (this.#sentMs[frames - 1] ?? 0) < coalesceMsMax &&
      (this.#sizes[frames - 1] ?? 0) < frameBytesLarge;
    return (
      !waits &&
      frames < framesOnTheWayMax &&
      (this.#bytes < bytesOnTheWayMax || frames === 0) &&
      bufferedBytes < bufferedBytesMax
    );
  }

  /** A frame was sent. Times are of the monotonic clock, in ms. */
  sent(bytes: number, nowMs: number): void {
    if (this.#sizes.length === 0) this.#progressMs = nowMs;
    this.#sizes.push(bytes);
    this.#sentMs.push(nowMs);
    this.#bytes += bytes;
  }

  /** The oldest `frames` frames were taken in. */
  acknowledged(frames: number, nowMs: number): void {
    for (const bytes of this.#sizes.splice(0, frames)) this.#bytes -= bytes;
    this.#sentMs.splice(0, frames);
    this.#progressMs = nowMs;
  }

  /** Frames on the way. */
  get frames(): number {
    return this.#sizes.length;
  }

  /** When the oldest frame on the way was sent; undefined if there is none. */
  get oldestMs(): number | undefined {
    return this.#sentMs[0];
  }

  /**
   * Whether bytes have left since this was asked last. They may be the middle of a message that takes
   * long, during which nothing is acknowledged and no ping is answered.
   */
  moves(bufferedBytes: number, nowMs: number): boolean {
    const moves = bufferedBytes < this.#bufferedBytes;
    this.#bufferedBytes = bufferedBytes;
    if (moves) this.#progressMs = nowMs;
    return moves;
  }

  /** How long frames have been on the way without any progress, in ms. */
  stalledMs(nowMs: number): number {
    return this.#sizes.length === 0 ? 0 : nowMs - this.#progressMs;
  }
}
