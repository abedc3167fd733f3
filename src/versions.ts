/** Causal tokens of one replica: what it holds as text, and waiting until it, or others, hold as much. */
import type { Dot } from "./crdt/dot.ts";
import { type Durability, notDurable } from "./durability.ts";
import type { Environment } from "./environment.ts";
import { InvalidValueError, VersionLostError, WaitTimeoutError } from "./errors.ts";
import type { Keyspace } from "./store/keyspace.ts";
import {
  coversNamed,
  lostDot,
  ownToken,
  parseVersionToken,
  versionToken,
} from "./store/version-token.ts";
import type { Waiting, WaitOptions } from "./store/waiting.ts";
import type { Members } from "./sync/members.ts";
import type { Telemetry } from "./telemetry.ts";

/** How many must have a version: other replicas, a majority or all of the known members. */
export type AcknowledgedBy = "durable" | number | "majority" | "all";

/** What `acknowledged` waits for. */
export interface AcknowledgedOptions extends WaitOptions {
  readonly by: AcknowledgedBy;
}

/** What they are made of. */
export interface VersionsOptions {
  readonly keyspace: Keyspace;
  readonly waiting: Waiting;
  readonly members: () => Members;
  readonly durability: () => Durability | undefined;
  readonly environment: Environment;
  readonly telemetry: Telemetry;
}

/** The versions of one replica. */
export class Versions {
  readonly #options: VersionsOptions;
  /** Calls of `waitFor`. */
  waits = 0;

  constructor(options: VersionsOptions) {
    this.#options = options;
  }

  /** See `Replica.version`. */
  now(): string {
    const { keyspace } = this.#options;
    keyspace.flush();
    return versionToken(keyspace);
  }

  /** See `Replica.written`. */
  written(): string {
    const { keyspace } = this.#options;
    keyspace.flush();
    return ownToken(keyspace);
  }

  /** See `Replica.waitFor`. */
  async waitFor(version: string, options: WaitOptions): Promise<void> {
    const { keyspace, waiting, members } = this.#options;
    const vector = parseVersionToken(version);
    this.waits++;
    keyspace.flush();
    const covers = (): boolean => coversNamed((actor) => keyspace.held.at(actor), keyspace, vector);
    let lost: Dot | undefined;
    const isDecided = (): boolean => {
      if (covers()) return true;
      lost = lostDot(keyspace, vector, (actor, sequence) => members().mayBring(actor, sequence));
      return lost !== undefined;
    };
    const met = waiting.until(isDecided, "the version", options);
    if (!isDecided()) this.#measure(met);
    await met;
    if (lost) throw new VersionLostError(`batch ${lost.sequence} of ${lost.actor} is lost`, lost);
  }

  /** Beside the wait: who waits is not told any later. */
  #measure(met: Promise<void>): void {
    const { environment, telemetry } = this.#options;
    const beganMs = environment.monotonic();
    const over = (error?: unknown): void => {
      if (error instanceof WaitTimeoutError) telemetry.count("trellis_causal_wait_timeouts_total");
      telemetry.observe("trellis_causal_wait_ms", environment.monotonic() - beganMs);
    };
    met.then(() => over(), over);
  }

  /** See `Replica.acknowledged`. */
  async acknowledged(version: string, options: AcknowledgedOptions): Promise<void> {
    const { keyspace, waiting, members } = this.#options;
    const { by } = options;
    const durability = this.#options.durability();
    if (by === "durable" && durability === undefined) throw notDurable();
    if (by !== "durable") checkAcknowledgedBy(by);
    const vector = parseVersionToken(version);
    keyspace.flush();
    if (by === "durable") return durability?.until(vector, options);
    const isMet = (): boolean => {
      let others = 0;
      for (const acknowledged of members().kept()) {
        if (coversNamed((actor) => acknowledged.at(actor), keyspace, vector)) others++;
      }
      const ours = durability?.durable ?? keyspace.held;
      const here = coversNamed((actor) => ours.at(actor), keyspace, vector) ? 1 : 0;
      if (typeof by === "number") return others >= by;
      const { count } = members();
      return others + here >= (by === "all" ? count : Math.floor(count / 2) + 1);
    };
    durability?.ask();
    await waiting.until(isMet, `acknowledgement by ${by}`, options);
  }
}

function checkAcknowledgedBy(by: Exclude<AcknowledgedBy, "durable">): void {
  if (by === "majority" || by === "all") return;
  if (Number.isSafeInteger(by) && by >= 0) return;
  throw new InvalidValueError(`acknowledged by ${String(by)}`, {
    path: "by",
    reason: "is neither a number of replicas nor 'majority', 'all' or 'durable'",
  });
}
