/** Who is told what a replica has to say by itself. */
import type { Environment } from "./environment.ts";
import { UsageError } from "./errors.ts";
import type { ReplicaEvents } from "./replica-status.ts";
import type { Logger } from "./telemetry.ts";

type Listeners = {
  readonly [E in keyof ReplicaEvents]: Set<(told: ReplicaEvents[E]) => void>;
};

/** Keeps what was told. */
export interface EventMemory {
  /** Never throws. */
  told<E extends keyof ReplicaEvents>(event: E, told: ReplicaEvents[E]): void;
}

/** The listeners of one replica. */
export class Events {
  readonly #environment: Environment;
  readonly #logger: Logger;
  readonly #memory: EventMemory;
  readonly #listeners: Listeners = { conflict: new Set(), warning: new Set() };

  /** `memory` is told of everything, whoever listens. */
  constructor(environment: Environment, logger: Logger, memory: EventMemory) {
    this.#memory = memory;
    this.#environment = environment;
    this.#logger = logger;
  }

  /** Returns a function that ends it. @throws UsageError for an event that does not exist */
  on<E extends keyof ReplicaEvents>(
    event: E,
    listener: (told: ReplicaEvents[E]) => void,
  ): () => void {
    if (!Object.hasOwn(this.#listeners, event)) {
      throw new UsageError(`no event ${JSON.stringify(event)}`);
    }
    const listeners = this.#listeners[event];
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** At the end of the turn, so that a listener may write; its throw is its own. */
  tell<E extends keyof ReplicaEvents>(event: E, told: ReplicaEvents[E]): void {
    this.#memory.told(event, told);
    const listeners = this.#listeners[event];
    if (listeners.size === 0) return;
    this.#environment.defer(() => {
      for (const listener of listeners) {
        try {
          listener(told);
        } catch (error) {
          this.#logger.error({ err: error, event }, "a listener threw");
        }
      }
    });
  }
}
