/**
 * What a replica does, for those who look at it. What happens seldom is kept in small rings all the time;
 * what happens with every write is counted only while somebody looks.
 */
import type { Environment } from "../environment.ts";
import { TrellisError } from "../errors.ts";
import type { EscalationFigures } from "../escalation.ts";
import type { ReplicaEvents } from "../replica-status.ts";
import { CollectionBytes } from "../store/collection-bytes.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { LinkEvent } from "../sync/link-event.ts";
import type { Telemetry } from "../telemetry.ts";
import { type Departed, DepartedPeers } from "./departed.ts";
import { type ChangeTotals, type HotKeyOf, KeyTraffic } from "./key-traffic.ts";
import { type CodeCount, type RecentEvent, RecentEvents, type Severity } from "./recent-events.ts";
import { cut, rowsShownMax, textCharactersMax } from "./snapshot.ts";

/** Figures of locks and rights, at most `count` of each. */
export type ActivitySource = (count: number) => EscalationFigures;

/** What it is read from. */
export interface ActivityOptions {
  readonly keyspace: Keyspace;
  readonly environment: Environment;
  readonly escalation: ActivitySource;
}

/** What there is besides a status. */
export interface ActivityFigures extends EscalationFigures {
  readonly nowMs: number;
  readonly uptimeMs: number;
  readonly batches: { readonly local: number; readonly remote: number };
  readonly changes: ChangeTotals;
  readonly hotKeys: readonly HotKeyOf[];
  /** Estimated, by collection; those of the last minute that are weighed by now. */
  readonly collectionBytes: ReadonlyMap<string, number>;
  /** Peers that dialed us and are gone. */
  readonly departed: readonly Departed[];
  readonly events: readonly RecentEvent[];
  readonly errors: readonly CodeCount[];
}

const ignore = (): void => undefined;

/** The door's count of what it refused. */
const refusedMetric = "trellis_refused_total";

/** Of one replica. */
export class Activity {
  readonly #options: ActivityOptions;
  readonly #traffic: KeyTraffic;
  readonly #weights: CollectionBytes;
  readonly #recent: RecentEvents;
  readonly #departed = new DepartedPeers();
  readonly #startedMs: number;

  constructor(options: ActivityOptions) {
    const { keyspace, environment } = options;
    this.#options = options;
    this.#traffic = new KeyTraffic(keyspace, environment);
    this.#weights = new CollectionBytes(keyspace, environment);
    this.#recent = new RecentEvents(environment);
    this.#startedMs = environment.monotonic();
  }

  /** Counts writes by key until the function that it returns is called. */
  look(): () => void {
    return this.#traffic.look();
  }

  /** Whether writes are counted now. */
  get isLookedAt(): boolean {
    return this.#traffic.isFed;
  }

  /** What is known now. O(actors + guarded values). */
  figures(): ActivityFigures {
    const { environment, escalation } = this.#options;
    return {
      ...escalation(rowsShownMax),
      nowMs: environment.now(),
      uptimeMs: environment.monotonic() - this.#startedMs,
      batches: this.#batches(),
      changes: this.#traffic.totals,
      hotKeys: this.#traffic.top(rowsShownMax),
      collectionBytes: this.#weights.read(),
      departed: this.#departed.missed(environment.now()),
      events: this.#recent.events,
      errors: this.#recent.codes,
    };
  }

  /** What the replica tells its user is remembered, too. */
  told<E extends keyof ReplicaEvents>(event: E, told: ReplicaEvents[E]): void {
    if ("message" in told) this.#warned(told.kind, told.message);
    else {
      const what = told.lost.length === 1 ? "a concurrent write" : "concurrent writes";
      this.#recent.happened({
        ...{ kind: "conflict", severity: "warning", code: event, subject: cut(told.collection) },
        text: `${what} lost at ${cut(told.key)}`,
      });
    }
  }

  /** A link began or ended. */
  linked(event: LinkEvent): void {
    this.#departed.linked(event, this.#options.environment.now());
    const { peer = "a stranger", end, isRefusal } = event;
    this.#recent.happened({
      kind: "link",
      severity: severityOf(end?.code, isRefusal),
      code: end?.code ?? "linked",
      subject: cut(peer),
      text: cut(end ? `ended by ${end.by}: ${end.reason}` : "the link streams", textCharactersMax),
    });
  }

  /** A lock, or an update of a guarded value, failed. What the caller did itself is passed over. */
  failed(kind: "lock" | "update", resource: string, error: unknown): void {
    if (!(error instanceof TrellisError) || ofTheCaller.has(error.code)) return;
    this.#recent.happened({
      ...{ kind, severity: isOfContention.has(error.code) ? "warning" : "error" },
      ...{ code: error.code, subject: cut(resource) },
      text: cut(error.message, textCharactersMax),
    });
  }

  /** `telemetry`, from which refusals of the door are remembered, too. */
  listening(telemetry: Telemetry): Telemetry {
    const { tracer } = telemetry;
    return {
      count: (name, value, labels) => {
        if (name === refusedMetric) this.#refused(labels?.["reason"] ?? "unknown");
        telemetry.count(name, value, labels);
      },
      gauge: (...figure) => telemetry.gauge(...figure),
      observe: (...figure) => telemetry.observe(...figure),
      ...(telemetry.collect ? { collect: (read) => telemetry.collect?.(read) ?? ignore } : {}),
      ...(tracer ? { tracer } : {}),
    };
  }

  #refused(reason: string): void {
    this.#recent.happened({
      ...{ kind: "refusal", severity: "warning", code: `refused-${reason}`, subject: "" },
      text: `a connection or a request was refused before it was looked at: ${reason}`,
    });
  }

  #warned(code: string, message: string): void {
    this.#recent.happened({
      ...{ kind: "warning", severity: "error", code, subject: "" },
      text: cut(message, textCharactersMax),
    });
  }

  #batches(): ActivityFigures["batches"] {
    const { held, me } = this.#options.keyspace;
    let remote = 0;
    for (const [actor, sequence] of held.entries()) if (actor !== me) remote += sequence;
    return { local: held.at(me), remote };
  }
}

/** Codes that say something of the call, and nothing of the cluster. */
const ofTheCaller = new Set(["TRELLIS_CLOSED", "TRELLIS_USAGE", "TRELLIS_INVALID_VALUE"]);

/** Codes of those who wanted the same at the same time. */
const isOfContention = new Set([
  "TRELLIS_LOCK_TIMEOUT",
  "TRELLIS_CONFLICT",
  "TRELLIS_OVERLOADED",
  "TRELLIS_STALE_TOKEN",
]);

/** Ends that are in the nature of links. */
const quietEnds = new Set(["linked", "leaving", "duplicate", "self"]);
/** Ends after which somebody should look. */
const badEnds = new Set(["internal", "clone", "malformed", "protocol"]);

function severityOf(code = "linked", isRefusal: boolean): Severity {
  if (isRefusal || badEnds.has(code)) return "error";
  return quietEnds.has(code) ? "note" : "warning";
}
