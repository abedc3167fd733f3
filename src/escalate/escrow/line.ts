/**
 * Who waits for rights of one side of one counter. Whoever can be served is, in the order of coming; who
 * wants more than there is does not keep others from less.
 */
import type { Environment } from "../../environment.ts";
import type { Traced } from "../spans.ts";

/** How to wait. */
export interface WaitForRights {
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The span that it waits in, if somebody takes spans. */
  readonly traced?: Traced | undefined;
}

interface Waiter {
  readonly by: number;
  /** Only rounds that begin later say anything about it. */
  readonly round: number;
  readonly isPatient: boolean;
  readonly sinceMs: number;
  readonly traced: Traced | undefined;
  /** Takes what it wants, if it is there. */
  readonly take: () => boolean;
  readonly served: () => void;
  readonly refuse: (error: unknown) => void;
}

/** What ends a wait. */
export interface LineEvents {
  /** Resolves when what was taken is on the disk. */
  readonly taken: () => Promise<void>;
  readonly late: (by: number) => Error;
  /** Somebody has left without being served. */
  readonly left: () => void;
}

/** One line. */
export class Line {
  readonly #waiters = new Set<Waiter>();
  readonly #environment: Environment;
  readonly #events: LineEvents;

  constructor(environment: Environment, events: LineEvents) {
    this.#environment = environment;
    this.#events = events;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** Whether anybody has waited for so long. */
  hasWaited(ms: number): boolean {
    const nowMs = this.#environment.monotonic();
    for (const { sinceMs } of this.#waiters) return nowMs - sinceMs >= ms;
    return false;
  }

  /** The spans that are waited in, in the order of coming. */
  get traced(): readonly Traced[] {
    return [...this.#waiters].flatMap(({ traced }) => traced ?? []);
  }

  /** All that is waited for by those who can have it. */
  wantedWithin(reach: number): number {
    let wanted = 0;
    for (const { by, isPatient } of this.#waiters) if (isPatient && by <= reach) wanted += by;
    return wanted;
  }

  /** The part of it that fits into `limit`, in the order of coming. */
  fitting(limit: number): number {
    let fitting = 0;
    for (const { by } of this.#waiters) if (fitting + by <= limit) fitting += by;
    return fitting;
  }

  /** Whether anybody has been through a whole round before this one. */
  isOlderThan(round: number): boolean {
    for (const waiter of this.#waiters) if (waiter.round < round - 1) return true;
    return false;
  }

  /** Resolves when it is served and that is on the disk. */
  enter(
    by: number,
    take: () => boolean,
    { waitMs, signal, traced }: WaitForRights,
    round: number,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        timer?.cancel();
        signal?.removeEventListener("abort", abort);
      };
      const waiter: Waiter = {
        ...{ by, round, isPatient: waitMs > 0, take },
        ...{ sinceMs: this.#environment.monotonic(), traced },
        served: () => {
          leave();
          resolve(this.#events.taken());
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const giveUp = (error: unknown): void => {
        waiter.refuse(error);
        this.#events.left();
      };
      const abort = (): void => giveUp(signal?.reason);
      const late = (): void => giveUp(this.#events.late(by));
      const timer = waitMs > 0 ? this.#environment.schedule(waitMs, late) : undefined;
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Serves whom it can. */
  serve(): void {
    for (const waiter of this.#waiters) if (waiter.take()) waiter.served();
  }

  /** After a round: refuses whom `refusal` has an error for, and who does not wait. */
  judge(round: number, refusal: (by: number) => Error | undefined): void {
    for (const waiter of this.#waiters) {
      if (waiter.round >= round) continue;
      const error = refusal(waiter.by);
      if (error) waiter.refuse(error);
      else if (!waiter.isPatient) waiter.refuse(this.#events.late(waiter.by));
    }
  }

  /** A round has failed: refuses who was there when it began and does not wait for another. */
  failed(round: number): void {
    this.judge(round, () => undefined);
  }

  /** Refuses all. */
  end(error: Error): void {
    for (const waiter of this.#waiters) waiter.refuse(error);
  }
}
