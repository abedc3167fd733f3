/** What the routes of one service share. */
import type { AnyCollection } from "../any-collection.ts";
import type { Environment } from "../environment.ts";
import type { EventStream } from "./event-stream.ts";
import type { Health } from "./health.ts";
import type { HttpLimits, MetricsText } from "./options.ts";
import { Refusal } from "./problem.ts";
import type { RequestMemory } from "./request-memory.ts";
import type { RetryGate } from "./retry-gate.ts";
import type { Call } from "./route.ts";
import { isReserved, type ServedReplica } from "./served-replica.ts";
import type { StatusEvents } from "./status-events.ts";

/** The parts of a service. */
export interface Parts {
  readonly replica: ServedReplica;
  readonly environment: Environment;
  readonly limits: HttpLimits;
  readonly memory: RequestMemory;
  readonly gate: RetryGate;
  readonly health: Health;
  readonly statusEvents: StatusEvents;
  readonly metrics: MetricsText | undefined;
  /** Whether a write can be waited for on a disk. */
  readonly isDurable: boolean;
  /** The version of what was written in this turn; one for all who ask in it. */
  readonly written: () => Promise<string>;
  /** Takes the response over, as one of the streams that are ended with the service. */
  readonly openStream: (call: Call) => EventStream;
}

/** The collection of that name. @throws Refusal when there is none that is served */
export function collectionOf({ replica }: Pick<Parts, "replica">, name: string): AnyCollection {
  const found = isReserved(name) ? undefined : replica.collection(name);
  if (found) return found;
  throw new Refusal("TRELLIS_NOT_FOUND", "there is no such collection here");
}

/** One version for all writes of a turn: making it closes their batch. */
export function turnVersion(
  replica: Pick<ServedReplica, "written">,
  environment: Environment,
): () => Promise<string> {
  let pending: Promise<string> | undefined;
  return () => {
    pending ??= new Promise((resolve, reject) => {
      environment.defer(() => {
        pending = undefined;
        try {
          resolve(replica.written());
        } catch (error) {
          reject(error);
        }
      });
    });
    return pending;
  };
}
