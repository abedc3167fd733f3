/** What is told to users of what peers sent. */
import type { Events } from "./events.ts";
import { conflictIn } from "./store/conflicts.ts";
import type { Received } from "./store/exchange.ts";
import type { Keyspace } from "./store/keyspace.ts";
import type { Schema } from "./store/schema.ts";
import type { Forked } from "./sync/forked.ts";
import type { Telemetry } from "./telemetry.ts";

/** Where it is told. */
export interface ReceivedOptions {
  readonly keyspace: Keyspace;
  readonly schema: Schema;
  readonly telemetry: Telemetry;
  readonly events: Events;
}

/** Tells it, and counts. */
export class Tidings {
  readonly #options: ReceivedOptions;
  /** How often we had to take another actor. */
  forks = 0;

  constructor(options: ReceivedOptions) {
    this.#options = options;
  }

  /** Tells of stamps that are held, and of concurrent writes of which one lost. */
  readonly received = (received: Received): void => {
    const { keyspace, schema, telemetry, events } = this.#options;
    if (received.heldStamps > 0) {
      telemetry.count("trellis_stamps_held_total", received.heldStamps);
      const message =
        `${received.heldStamps} writes have stamps too far ahead of our clock; they lose to ` +
        "every other until somebody writes over them";
      events.tell("warning", { kind: "held-stamps", message });
    }
    for (const slot of received.concurrent) {
      const conflict = conflictIn(keyspace, schema, slot);
      if (conflict === undefined) continue;
      const { collection } = conflict;
      telemetry.count("trellis_lww_losers_total", conflict.lost.length, { collection });
      events.tell("conflict", conflict);
    }
  };

  /** Somebody else wrote as our actor. */
  readonly forked = (forked: Forked): void => {
    this.forks++;
    this.#options.events.tell("warning", { kind: "forked", message: messageOfFork(forked) });
  };
}

const messageOfFork = ({ from, to, noticedBy }: Forked): string =>
  `${noticedBy} knows writes of our actor ${from} that we did not make: this machine, or a ` +
  `snapshot of it, runs twice. What was not published yet goes on as ${to}; what both ` +
  "published as one actor cannot be told apart any more";
