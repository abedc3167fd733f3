/**
 * What happened lately, for people. What happens again is one event that says how often, so a storm of one
 * kind does not drive out the others.
 */
import type { Environment } from "../environment.ts";

/** Events that are kept. */
export const eventsMax = 100;
/** Codes that are counted. */
export const codesMax = 64;

/** How much somebody should care. */
export type Severity = "note" | "warning" | "error";

/** Something that happens. */
export interface Happening {
  readonly kind: "link" | "conflict" | "warning" | "lock" | "update" | "refusal";
  readonly severity: Severity;
  /** Stable: of an error, of the end of a link, of a warning. */
  readonly code: string;
  /** Whom or what it is about: a peer, a collection, a lock. Together with kind and code it is one event. */
  readonly subject: string;
  /** In a sentence; the latest is kept. */
  readonly text: string;
}

/** Something that happened, perhaps again and again. */
export interface RecentEvent extends Happening {
  readonly times: number;
  /** When it was first and last seen, by the wall clock in ms. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** How often a code was seen. */
export interface CodeCount {
  readonly code: string;
  readonly times: number;
  readonly lastMs: number;
}

/** The latest events, and how often each code was seen since the start. */
export class RecentEvents {
  readonly #environment: Environment;
  /** The latest last. */
  readonly #events = new Map<string, RecentEvent>();
  readonly #codes = new Map<string, { times: number; lastMs: number }>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** O(1). Never throws. */
  happened(happening: Happening): void {
    const { kind, severity, code, subject } = happening;
    const nowMs = this.#environment.now();
    const name = JSON.stringify([kind, code, subject]);
    const before = this.#events.get(name);
    this.#events.delete(name);
    this.#events.set(name, {
      ...happening,
      times: (before?.times ?? 0) + 1,
      firstMs: before?.firstMs ?? nowMs,
      lastMs: nowMs,
    });
    for (const oldest of this.#events.keys()) {
      if (this.#events.size <= eventsMax) break;
      this.#events.delete(oldest);
    }
    if (severity !== "note") this.#count(code, nowMs);
  }

  /** The latest first. */
  get events(): readonly RecentEvent[] {
    return [...this.#events.values()].toReversed();
  }

  /** The most frequent first. Codes beyond the bound are not counted. */
  get codes(): readonly CodeCount[] {
    return [...this.#codes]
      .map(([code, count]) => ({ code, ...count }))
      .toSorted((left, right) => right.times - left.times);
  }

  #count(code: string, nowMs: number): void {
    const count = this.#codes.get(code) ?? { times: 0, lastMs: 0 };
    if (!this.#codes.has(code) && this.#codes.size >= codesMax) return;
    this.#codes.set(code, count);
    count.times++;
    count.lastMs = nowMs;
  }
}
