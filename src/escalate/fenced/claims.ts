/**
 * Names that have one owner. Claims need no keys of their callers: whoever repeats one finds that the name is
 * its own.
 */
import { AlreadyClaimedError, ConflictError } from "../../errors.ts";
import type { Conflict } from "../../store/conflicts.ts";
import { checkKey } from "../../store/values.ts";
import type { Telemetry } from "../../telemetry.ts";
import type { Change, Updated } from "../guarded-updates.ts";
import { decodeEnvelope, encodeEnvelope } from "./envelope.ts";
import type { FencedTarget } from "./fenced-target.ts";
import type { FencedOptions } from "./operations.ts";

/** What came of a claim or a release. */
type ClaimOutcome = { readonly isDone: boolean; readonly owner: string | undefined };

/** How to wait, and what it is that waits. */
type CallOptions = FencedOptions & { readonly operation: string };

/** Makes a change, or tells why not. */
type Until = <R>(
  target: FencedTarget,
  step: Change<R>,
  options: CallOptions,
) => Promise<Updated<R>>;

/** What claims tell of. */
export interface ClaimsOptions {
  readonly telemetry: Telemetry;
  /** A claim lost. */
  readonly onConflict: (conflict: Conflict) => void;
}

/** The claims of one replica. */
export class Claims {
  readonly #options: ClaimsOptions;
  readonly #until: Until;

  constructor(options: ClaimsOptions, until: Until) {
    this.#options = options;
    this.#until = until;
  }

  /** As of `FencedValues`. */
  async claim(target: FencedTarget<string>, owner: string, options: FencedOptions): Promise<void> {
    checkKey(owner, "the owner");
    const call = { ...options, operation: "claim" };
    const outcome = await this.#claimOutcome(target, call, (present) =>
      present === undefined ? owner : present === owner,
    );
    if (outcome.isDone || outcome.owner === undefined) return;
    const { collection, key } = target;
    const lost = { collection: collection.name, key, path: [], value: outcome.owner };
    this.#options.telemetry.count("trellis_claims_lost_total", 1, { collection: collection.name });
    this.#options.onConflict({ ...lost, lost: [owner] });
    throw new AlreadyClaimedError(
      `${target.what} belongs to ${JSON.stringify(outcome.owner)}; nothing was changed`,
      { collection: collection.name, key, owner: outcome.owner },
    );
  }

  /** As of `FencedValues`. */
  async release(
    target: FencedTarget<string>,
    owner: string,
    options: FencedOptions,
  ): Promise<void> {
    checkKey(owner, "the owner");
    const call = { ...options, operation: "release" };
    const outcome = await this.#claimOutcome(target, call, (present) =>
      present === owner ? undefined : present === undefined,
    );
    if (outcome.isDone) return;
    throw new ConflictError(
      `${target.what} belongs to ${JSON.stringify(outcome.owner)}, not to ${JSON.stringify(owner)}; ` +
        "nothing was changed",
      { resource: target.resource, held: false },
    );
  }

  /** `next`: the next owner, or nobody; a boolean says that all stays, and whether that is well. */
  async #claimOutcome(
    target: FencedTarget<string>,
    options: CallOptions,
    next: (present: string | undefined) => string | undefined | boolean,
  ): Promise<ClaimOutcome> {
    const step: Change<ClaimOutcome> = (bytes) => {
      const envelope = decodeEnvelope(bytes, target.resource);
      const owner = typeof envelope.value === "string" ? envelope.value : undefined;
      const value = next(owner);
      if (typeof value === "boolean") return { result: { isDone: value, owner } };
      return {
        value: encodeEnvelope({ ...envelope, value }),
        result: { isDone: true, owner: value },
      };
    };
    const { result } = await this.#until(target, step, options);
    return result;
  }
}
