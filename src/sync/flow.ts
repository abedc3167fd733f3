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

/** The frames on the way on one link: a ring, oldest first. */
export class Flow {
  readonly #sizes = new Float64Array(framesOnTheWayMax);
  readonly #sentMs = new Float64Array(framesOnTheWayMax);
  #oldest = 0;
  #frames = 0;
  #bytes = 0;
  #progressMs = 0;
  #bufferedBytes = 0;

  /** Whether another frame may be sent now; if not, an acknowledgement is to come. */
  isOpen(bufferedBytes: number, nowMs: number): boolean {
    const frames = this.#frames;
    return (
      this.waitsMs(nowMs) === 0 &&
      frames < framesOnTheWayMax &&
      (this.#bytes < bytesOnTheWayMax || frames === 0) &&
      bufferedBytes < bufferedBytesMax
    );
  }

  /** How long the next frame still waits for what piles up, in ms; 0 if it does not. */
  waitsMs(nowMs: number): number {
    const frames = this.#frames;
    if (frames < framesUncoalesced) return 0;
    const newest = (this.#oldest + frames - 1) % framesOnTheWayMax;
    if ((this.#sizes[newest] as number) >= frameBytesLarge) return 0;
    return Math.max(0, (this.#sentMs[newest] as number) + coalesceMsMax - nowMs);
  }

  /** A frame was sent, when `isOpen`. Times are of the monotonic clock, in ms. */
  sent(bytes: number, nowMs: number): void {
    if (this.#frames === 0) this.#progressMs = nowMs;
    const place = (this.#oldest + this.#frames++) % framesOnTheWayMax;
    this.#sizes[place] = bytes;
    this.#sentMs[place] = nowMs;
    this.#bytes += bytes;
  }

  /** The oldest `frames` frames were taken in; no more than there are. */
  acknowledged(frames: number, nowMs: number): void {
    for (let i = 0; i < frames; i++) {
      this.#bytes -= this.#sizes[this.#oldest] as number;
      this.#oldest = (this.#oldest + 1) % framesOnTheWayMax;
    }
    this.#frames -= frames;
    this.#progressMs = nowMs;
  }

  /** Frames on the way. */
  get frames(): number {
    return this.#frames;
  }

  /** When the oldest frame on the way was sent; undefined if there is none. */
  get oldestMs(): number | undefined {
    return this.#frames === 0 ? undefined : this.#sentMs[this.#oldest];
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
    return this.#frames === 0 ? 0 : nowMs - this.#progressMs;
  }
}
