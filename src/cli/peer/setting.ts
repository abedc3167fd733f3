/** What is said of one setting of `trellis peer`. */
import type { Kind } from "./kinds.ts";

/** One setting. */
export interface Setting<T> {
  readonly kind: Kind<Exclude<T, undefined>>;
  /** Undefined: none, and then the setting is absent. */
  readonly default: T;
  /** As commander has it; `false` for what only stands in a file. */
  readonly flag: string | false;
  /** Without `TRELLIS_`; `false` for what only stands in a file. */
  readonly variable: string | false;
  readonly unit?: "ms" | "bytes" | "count";
  /** What it is for, in a sentence. */
  readonly reason: string;
}

/** A day, in ms. */
export const dayMs: number = 24 * 60 * 60 * 1_000;
