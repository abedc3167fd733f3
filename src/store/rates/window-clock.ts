/**
 * Which buckets of time lie within the window, though the wall clock may step? After a step, what happened
 * before it stands under the old time. So the old time goes on, by the clock that never steps, for one
 * window, beside the new one; what lies within either counts. Nothing is lost, and nothing stays.
 */
import type { Environment } from "../../environment.ts";

/** How a window is divided. */
export interface WindowOptions {
  readonly windowMs: number;
  readonly buckets: number;
  /** How far ahead of ours another clock may be, in ms. */
  readonly aheadMsMax: number;
}

interface View {
  /** Of the wall clock over the monotonic one, in ms. */
  offsetMs: number;
  /** When it ends, by the monotonic clock. */
  readonly endsMs: number;
}

/** Steps that are remembered at once: a clock that steps more often within a window is no clock. */
const viewsMax = 8;
/** Less is no step: clocks are trimmed, and read one after the other. In ms. */
const stepMsMin = 20;

/** The window as it is now. */
export class WindowClock {
  readonly bucketMs: number;
  readonly #environment: Environment;
  readonly #buckets: number;
  readonly #ahead: number;
  readonly #stepMs: number;
  #offsetMs: number;
  #earlier: View[] = [];
  #monotonicMs = 0;

  constructor(environment: Environment, { windowMs, buckets, aheadMsMax }: WindowOptions) {
    this.bucketMs = windowMs / buckets;
    this.#environment = environment;
    this.#buckets = buckets;
    this.#ahead = Math.ceil(aheadMsMax / this.bucketMs);
    this.#stepMs = Math.max(stepMsMin, this.bucketMs / 4);
    this.#monotonicMs = environment.monotonic();
    this.#offsetMs = environment.now() - this.#monotonicMs;
  }

  /** Reads the clocks; what follows in this turn is said of this moment. @returns the present bucket. */
  read(): number {
    this.#monotonicMs = this.#environment.monotonic();
    const offsetMs = this.#environment.now() - this.#monotonicMs;
    if (Math.abs(offsetMs - this.#offsetMs) >= this.#stepMs) {
      const endsMs = this.#monotonicMs + this.fadingMs;
      this.#earlier = [...this.#earlier, { offsetMs: this.#offsetMs, endsMs }].slice(-viewsMax);
    }
    this.#offsetMs = offsetMs;
    if (this.#earlier.length > 0) {
      this.#earlier = this.#earlier.filter(({ endsMs }) => endsMs > this.#monotonicMs);
    }
    return this.#present(offsetMs);
  }

  /** After how long no bucket of now counts any more, in ms. */
  get fadingMs(): number {
    return (this.#buckets + 1) * this.bucketMs;
  }

  /** Whether the bucket lies within the window. A clock ahead of ours by more than the bound is held out. */
  readonly counts = (bucket: number): boolean => {
    if (this.#isNear(bucket, this.#offsetMs)) return true;
    return this.#earlier.some(({ offsetMs }) => this.#isNear(bucket, offsetMs));
  };

  /** The opposite. */
  readonly isOver = (bucket: number): boolean => !this.counts(bucket);

  #isNear(bucket: number, offsetMs: number): boolean {
    const present = this.#present(offsetMs);
    return bucket >= present - this.#buckets && bucket <= present + this.#ahead;
  }

  #present(offsetMs: number): number {
    return Math.max(0, Math.floor((this.#monotonicMs + offsetMs) / this.bucketMs));
  }
}
