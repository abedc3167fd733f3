/** The status of a replica, told every second to all who look; computed once for all, and only if somebody does. */
import type { Environment, Timer } from "../environment.ts";
import type { EventStream } from "./event-stream.ts";

/** Tells the status to streams. */
export class StatusEvents {
  readonly #environment: Environment;
  readonly #status: () => string;
  readonly #everyMs: number;
  readonly #streams = new Set<EventStream>();
  #timer: Timer | undefined;

  /** `status` is one line of JSON. */
  constructor(environment: Environment, everyMs: number, status: () => string) {
    this.#environment = environment;
    this.#everyMs = everyMs;
    this.#status = status;
  }

  /** Tells it now, and from now on. Who is too slow misses some. */
  add(stream: EventStream): void {
    stream.offer({ event: "status", data: this.#status() });
    this.#streams.add(stream);
    if (this.#streams.size === 1) this.#later();
  }

  remove(stream: EventStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) this.#timer?.cancel();
  }

  #later(): void {
    this.#timer?.cancel();
    this.#timer = this.#environment.schedule(this.#everyMs, () => {
      const data = this.#status();
      for (const stream of this.#streams) stream.offer({ event: "status", data });
      this.#later();
    });
  }
}
