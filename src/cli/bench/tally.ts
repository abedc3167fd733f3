/** What the callers of one node saw, kept outside of what is measured; the ledger of the coordinator sums it up. */
import { monotonicMs } from "./monotonic.ts";

/** Samples kept of each kind; what comes after is not sampled. */
export const samplesMax = 50_000;
/** Of one operation. */
export const unitsMax = 5;
/** A refusal: of which key, how many units, and when it was heard. */
export type Refusal = readonly [key: number, units: number, endMs: number];
/** A value that was written: by that name, begun and acknowledged then; `Infinity`: never heard. */
export type Written = readonly [key: number, value: string, startMs: number, endMs: number];
/** A value that was read by a read that began then. */
export type Seen = readonly [key: number, value: string | undefined, startMs: number];

/** All of it, as it travels to the coordinator. */
export interface TallyFigures {
  /** Operations that were answered, refusals included, by slices of the load. */
  readonly answered: readonly number[];
  /** All that were answered, also before the first slice and after the last. */
  readonly all: number;
  readonly refused: number;
  /** Answered by an error: they may have happened. */
  readonly failed: number;
  /** Some errors, to show. */
  readonly errors: readonly string[];
  /** By key: what was acknowledged, as a change of its units. */
  readonly changes: Float64Array;
  /** By key: units of operations that may have happened. */
  readonly unknown: Float64Array;
  /** By key and ms: units of takes that began then, in triples. Those that were refused are left out. */
  readonly takes: readonly number[];
  readonly refusals: readonly Refusal[];
  /** Of each caller: what it was told is its own, as numbers. */
  readonly won: ReadonlyMap<number, Uint32Array>;
  readonly written: readonly Written[];
  readonly seen: readonly Seen[];
}

/** What a tally is made for. */
export interface TallyOptions {
  readonly keys: number;
  readonly slices: number;
  readonly readsPerSample: number;
}

/** The tally of one load. */
export class Tally {
  readonly changes: Float64Array;
  readonly #unknown: Float64Array;
  readonly #answered: number[];
  readonly #errors: string[] = [];
  readonly #takes = new Map<number, number>();
  readonly #refusals: Refusal[] = [];
  readonly #won = new Map<number, number[]>();
  readonly #written: Written[] = [];
  readonly #seen: Seen[] = [];
  readonly #keys: number;
  readonly #readsPerSample: number;
  #reads = 0;
  #all = 0;
  #refused = 0;
  #failed = 0;
  /** Which part of the load this is. Answers count under it; `undefined`: not at all, as while warming up. */
  slice: number | undefined;

  /** `slices`: parts of the load that are counted apart. `readsPerSample`: judging each read would cost more than it. */
  constructor({ keys, slices, readsPerSample }: TallyOptions) {
    this.#keys = keys;
    this.#answered = new Array<number>(slices).fill(0);
    this.#readsPerSample = readsPerSample;
    this.changes = new Float64Array(keys);
    this.#unknown = new Float64Array(keys);
  }

  /** An operation was answered. */
  answer(): void {
    this.#all++;
    const { slice } = this;
    if (slice !== undefined) this.#answered[slice] = (this.#answered[slice] ?? 0) + 1;
  }

  /** It was answered by no; `units` of `key` were not to be had. */
  refuse(key: number, units: number): void {
    this.answer();
    if (this.slice !== undefined) this.#refused++;
    if (units > 0 && this.#refusals.length < samplesMax) {
      this.#refusals.push([key, units, monotonicMs()]);
    }
  }

  /** It was answered by an error; of these keys, so many units may have changed. */
  fail(error: unknown, ...doubts: readonly (readonly [key: number, units: number])[]): void {
    for (const [key, units] of doubts) this.#unknown[key] = (this.#unknown[key] ?? 0) + units;
    if (this.slice !== undefined) this.#failed++;
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    if (this.#errors.length < 5 && !this.#errors.includes(text)) this.#errors.push(text);
  }

  /** So many operations were not answered at all. Which keys they had is not known, so it may be any. */
  doubt(operations: number): void {
    for (let key = 0; key < this.#keys; key++) {
      this.#unknown[key] = (this.#unknown[key] ?? 0) + operations * unitsMax;
    }
  }

  /** Units were taken, or may have been, by an operation that began then. */
  take(key: number, units: number, startMs: number): void {
    const at = Math.floor(startMs) * this.#keys + key;
    this.#takes.set(at, (this.#takes.get(at) ?? 0) + units);
  }

  /** The caller was told that this is its own. */
  win(caller: number, what: number): void {
    const won = this.#won.get(caller);
    if (won === undefined) this.#won.set(caller, [what]);
    else won.push(what);
  }

  write(...written: Written): void {
    if (this.#written.length < samplesMax) this.#written.push(written);
  }

  /** Whether the read that begins now is one that is judged. None is once a write was not kept. */
  samplesRead(): boolean {
    if (this.#reads++ % this.#readsPerSample > 0) return false;
    return this.#written.length < samplesMax && this.#seen.length < samplesMax;
  }

  see(...seen: Seen): void {
    this.#seen.push(seen);
  }

  /** What came together. */
  figures(): TallyFigures {
    const keys = this.#keys;
    return {
      answered: this.#answered,
      all: this.#all,
      refused: this.#refused,
      failed: this.#failed,
      errors: this.#errors,
      changes: this.changes,
      unknown: this.#unknown,
      takes: [...this.#takes].flatMap(([at, units]) => [at % keys, Math.floor(at / keys), units]),
      refusals: this.#refusals,
      won: new Map([...this.#won].map(([caller, won]) => [caller, Uint32Array.from(won)])),
      written: this.#written,
      seen: this.#seen,
    };
  }
}
