/**
 * The log of one replica. What does every line of it have, and what if one thing goes wrong a thousand times a
 * second? Lines have the trace that they belong to, and the `code` of their error. Of warnings and errors with
 * one code and one sentence, up to its colon, ten are written within ten seconds; the next one after that says
 * how many were left out (`suppressed`). Metrics count all of them.
 */
import type { Environment } from "./environment.ts";
import { type Logger, silentLogger, type Telemetry, type Tracer } from "./telemetry.ts";
import { traceFields } from "./trace-context.ts";

/** Within which lines of one kind are counted, in ms. */
export const repetitionMs = 10_000;
/** Lines of one kind that are written within it. */
export const repetitionsMax = 10;
/** Kinds that are told apart; all others are one kind together. */
const kindsMax = 256;

interface Kind {
  sinceMs: number;
  written: number;
  suppressed: number;
}

/** Where the lines of a replica go. */
export interface ReplicaLoggerOptions {
  readonly logger?: Logger;
  readonly telemetry?: Telemetry;
}

/** The lines of a replica into its logger; silent without one. */
export function replicaLogger(options: ReplicaLoggerOptions, environment: Environment): Logger {
  const { logger = silentLogger, telemetry } = options;
  return logger === silentLogger
    ? silentLogger
    : new ReplicaLogger(logger, telemetry?.tracer, environment);
}

class ReplicaLogger implements Logger {
  readonly #logger: Logger;
  readonly #tracer: Tracer | undefined;
  readonly #environment: Environment;
  readonly #kinds = new Map<string, Kind>();

  constructor(logger: Logger, tracer: Tracer | undefined, environment: Environment) {
    this.#logger = logger;
    this.#tracer = tracer;
    this.#environment = environment;
  }

  debug(fields: object, message: string): void {
    this.#logger.debug(this.#whole(fields), message);
  }

  info(fields: object, message: string): void {
    this.#logger.info(this.#whole(fields), message);
  }

  warn(fields: object, message: string): void {
    const more = this.#admit("warn", fields, message);
    if (more) this.#logger.warn({ ...this.#whole(fields), ...more }, message);
  }

  error(fields: object, message: string): void {
    const more = this.#admit("error", fields, message);
    if (more) this.#logger.error({ ...this.#whole(fields), ...more }, message);
  }

  #whole(fields: object): object {
    const code = codeIn(fields);
    return {
      ...traceFields(this.#tracer),
      ...fields,
      ...(code === undefined ? {} : { code }),
    };
  }

  /** Nothing if it is one too many; otherwise what to say besides. */
  #admit(level: string, fields: object, message: string): object | undefined {
    const [sentence = ""] = message.split(":", 1);
    const kind = this.#kind(`${level} ${codeIn(fields) ?? ""} ${sentence}`);
    const nowMs = this.#environment.monotonic();
    if (nowMs - kind.sinceMs >= repetitionMs) {
      kind.sinceMs = nowMs;
      kind.written = 0;
    }
    if (kind.written >= repetitionsMax) {
      kind.suppressed++;
      return undefined;
    }
    kind.written++;
    const { suppressed } = kind;
    kind.suppressed = 0;
    return suppressed === 0 ? {} : { suppressed };
  }

  #kind(name: string): Kind {
    const key = this.#kinds.has(name) || this.#kinds.size < kindsMax ? name : "others";
    const known = this.#kinds.get(key);
    if (known) return known;
    const kind = { sinceMs: Number.NEGATIVE_INFINITY, written: 0, suppressed: 0 };
    this.#kinds.set(key, kind);
    return kind;
  }
}

function codeIn(fields: object): string | undefined {
  const { code, err } = fields as { readonly code?: unknown; readonly err?: unknown };
  const found = code ?? (err instanceof Error ? (err as { readonly code?: unknown }).code : code);
  return typeof found === "string" ? found : undefined;
}
