/**
 * What an escalated call leaves behind: a span, and a line in the log if it ended so that somebody may have to
 * look. Refusals that are answers (a conflict, a name that is taken, a lock that is held) are no such thing.
 *
 * Messages of errors name keys, and some have values, so without `logKeys` a line has the classes and codes of
 * an error and its causes, which say no less of where the fault is.
 */
import type { Environment } from "../environment.ts";
import {
  LeaseLostError,
  LockUnavailableError,
  StaleTokenError,
  StoreRolledBackError,
  TrellisError,
  UnknownOutcomeError,
} from "../errors.ts";
import {
  type Attributes,
  type Logger,
  noSpan,
  silentLogger,
  type Span,
  spanned,
  type Telemetry,
} from "../telemetry.ts";
import { placeOf, type SpanRoute, type Traced, tracedHere } from "./spans.ts";

/** One call. */
export interface EscalatedCall {
  /** As its method is called: `update`, `claim`, `decrement`. */
  readonly operation: string;
  readonly route: SpanRoute;
  /** The collection, where it is one. */
  readonly collection?: string;
  readonly key?: string;
  /** The name of its guard. */
  readonly resource?: string;
  /** How many guards, where it may be several. */
  readonly resources?: number;
}

/** What is told, and how much. */
export interface EscalatedCallsOptions {
  readonly environment: Environment;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  /** Lines may name keys, and have the messages of errors. Default false. */
  readonly logKeys?: boolean;
}

/** The escalated calls of one replica. */
export class EscalatedCalls {
  readonly #options: EscalatedCallsOptions;
  readonly #isSilent: boolean;

  constructor(options: EscalatedCallsOptions) {
    this.#options = options;
    this.#isSilent = options.telemetry.tracer === undefined && options.logger === silentLogger;
  }

  /** Runs one in the span `trellis.escalate`. Adds nothing while nobody takes spans or lines. */
  run<T>(call: EscalatedCall, work: () => Promise<T>): Promise<T> {
    if (this.#isSilent) return work();
    const name = "trellis.escalate";
    return spanned(this.#options.telemetry, name, this.#attributes(call), this.#told(call, work));
  }

  /** Where one who waits stands, for what is done for several. */
  here(): Traced | undefined {
    return tracedHere(this.#options.telemetry);
  }

  /**
   * Runs in the span `name` what is done for those who wait, or ahead of them: below the first of them and
   * linked to the others; below none if nobody waits.
   */
  runFor<T>(
    waiting: readonly Traced[],
    name: string,
    call: EscalatedCall,
    work: (span: Span) => Promise<T>,
  ): Promise<T> {
    if (this.#isSilent) return work(noSpan);
    const { tracer } = this.#options.telemetry;
    const told = this.#told(call, work);
    if (tracer === undefined) return told(noSpan);
    const [first] = waiting;
    const place = first ? placeOf(waiting) : { isRoot: true };
    const attributes = { ...this.#attributes(call), "trellis.callers": waiting.length };
    const open = (): Promise<T> => tracer.span(name, attributes, told, place);
    return first ? first.under(open) : open();
  }

  /** The work, and the line if it fails. */
  #told<T>(call: EscalatedCall, work: (span: Span) => Promise<T>): (span: Span) => Promise<T> {
    const { environment } = this.#options;
    const beganMs = environment.monotonic();
    return async (span) => {
      try {
        return await work(span);
      } catch (error) {
        this.#failed(call, { error, span, latencyMs: environment.monotonic() - beganMs });
        throw error;
      }
    };
  }

  #attributes({ operation, route, collection, key, resources }: EscalatedCall): Attributes {
    const { tracer } = this.#options.telemetry;
    if (tracer === undefined) return {};
    return {
      "trellis.operation": operation,
      "trellis.route": route,
      ...(collection === undefined ? {} : { "trellis.collection": collection }),
      ...(resources === undefined ? {} : { "trellis.resources": resources }),
      ...(tracer.keys === true && key !== undefined ? { "trellis.key": key } : {}),
    };
  }

  #failed(
    { operation, route, collection, resource }: EscalatedCall,
    failure: { readonly error: unknown; readonly span: Span; readonly latencyMs: number },
  ): void {
    const { error, span, latencyMs } = failure;
    const { logger, logKeys = false, telemetry } = this.#options;
    const asked = error instanceof UnknownOutcomeError ? error.operationId : undefined;
    // That of a decrement is the caller's own key, which may say who the caller is.
    const mayTell = (keys: boolean): boolean => asked !== undefined && (keys || route !== "escrow");
    if (mayTell(telemetry.tracer?.keys === true)) span.set({ "trellis.operation_id": asked ?? "" });
    const operationId = mayTell(logKeys) ? asked : undefined;
    const level = levelOf(error);
    if (level === undefined) return;
    const fields = {
      ...{ operation, route, collection, operationId },
      ...(logKeys ? { resource } : {}),
      ...{ latencyMs: Math.round(latencyMs), ...errorFields(error, logKeys) },
    };
    logger[level](fields, "an escalated operation failed");
  }
}

/** How loud it is; nothing for what is an answer. */
function levelOf(error: unknown): "warn" | "error" | undefined {
  // An operator has to find out why; all others are over when the store is well again.
  if (error instanceof StoreRolledBackError) return "error";
  const isWarning =
    error instanceof UnknownOutcomeError ||
    error instanceof LeaseLostError ||
    error instanceof StaleTokenError ||
    error instanceof LockUnavailableError;
  return isWarning ? "warn" : undefined;
}

/** Causes of causes that are looked at. */
const causesMax = 4;

/** What a line says of an error: with its message only where keys may be named, and only if it is one of ours. */
export function errorFields(
  error: unknown,
  withMessage: boolean,
): { readonly err: object; readonly code: string | undefined } {
  const causes: object[] = [];
  let cause = causeOf(error);
  for (let depth = 0; depth < causesMax && cause !== undefined; depth++) {
    causes.push(described(cause, withMessage));
    cause = causeOf(cause);
  }
  const err = { ...described(error, withMessage), ...(causes.length > 0 ? { causes } : {}) };
  return { err, code: codeOf(error) };
}

function described(error: unknown, withMessage: boolean): object {
  const type = error instanceof Error ? error.name : typeof error;
  const code = codeOf(error);
  return {
    type,
    ...(code === undefined ? {} : { code }),
    ...(withMessage && error instanceof TrellisError ? { message: error.message } : {}),
  };
}

const causeOf = (error: unknown): unknown => (error instanceof Error ? error.cause : undefined);

function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" ? code : undefined;
}
