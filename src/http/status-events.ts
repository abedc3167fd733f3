/** The status of a replica, told every second to all who look; computed once for all, and only if somebody does. */
import type { Environment, Timer } from "../environment.ts";
import type { EventStream } from "./event-stream.ts";

/** Where the status comes from. */
export interface StatusSource {
  /** One line of JSON. */
  readonly status: () => string;
  /** Somebody looks, until the function that it returns is called. */
  readonly look: () => () => void;
}

/** Tells the status to streams. */
export class StatusEvents {
  readonly #environment: Environment;
  readonly #source: StatusSource;
  readonly #everyMs: number;
  readonly #streams = new Set<EventStream>();
  #timer: Timer | undefined;
  #endLook: (() => void) | undefined;

  constructor(environment: Environment, everyMs: number, source: StatusSource) {
    this.#environment = environment;
    this.#everyMs = everyMs;
    this.#source = source;
  }

  /** Tells it now, and from now on. Who is too slow misses some. */
  add(stream: EventStream): void {
    this.#streams.add(stream);
    if (this.#streams.size === 1) {
      this.#endLook = this.#source.look();
      this.#later();
    }
    stream.offer({ event: "status", data: this.#source.status() });
  }

  remove(stream: EventStream): void {
    if (!this.#streams.delete(stream) || this.#streams.size > 0) return;
    this.#timer?.cancel();
    this.#endLook?.();
  }

  #later(): void {
    this.#timer?.cancel();
    this.#timer = this.#environment.schedule(this.#everyMs, () => {
      const data = this.#source.status();
      for (const stream of this.#streams) stream.offer({ event: "status", data });
      this.#later();
    });
  }
}
