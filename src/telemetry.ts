/**
 * Where figures, spans and log lines go: ports, silent by default. All are called on the way of real
 * work, so an implementation returns at once and never throws.
 */

/** What tells apart the series of one metric. Few and bounded: a collection or a peer, never a key. */
export type Labels = Readonly<Record<string, string>>;

/**
 * Takes the figures. Names are in `telemetry/catalogue.ts`, with the unit last: `trellis_frame_out_bytes`.
 * What happens on every operation is not pushed here: it is counted where it happens, and read when
 * `collect` asks for it.
 */
export interface Telemetry {
  /** Adds to a figure that only grows; `value` is 1 unless given. */
  count(name: string, value?: number, labels?: Labels): void;
  /** Sets a figure that goes up and down. */
  gauge(name: string, value: number, labels?: Labels): void;
  /** Adds one measurement to a distribution, in the unit that the name ends in. */
  observe(name: string, value: number, labels?: Labels): void;
  /**
   * Calls `read` whenever somebody reads the figures, so that what is only looked at then costs nothing
   * until then; `read` hands its figures to the sink it is given, totals included. Returns a function that
   * ends it. Absent: nobody ever reads.
   */
  collect?(read: (sink: FigureSink) => void): () => void;
  /** Absent: no spans. */
  readonly tracer?: Tracer;
}

/** Takes what is read at the moment of a collection. */
export interface FigureSink {
  /** A figure that only grows, as it is now. */
  total(name: string, value: number, labels?: Labels): void;
  /** A figure that goes up and down, as it is now. */
  gauge(name: string, value: number, labels?: Labels): void;
}

/** What a span says besides its name. Never values, and keys only where the user asked for it. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** One piece of work that is under way. */
export interface Span {
  set(attributes: Attributes): void;
  /** Something that happened in the middle of it. */
  event(name: string, attributes?: Attributes): void;
}

/** Where a span belongs, besides below the present one. */
export interface SpanPlace {
  /** Below no span: work that nobody here asked for. */
  readonly isRoot?: boolean;
  /** Other spans that it is done for, each as `traceparent`. */
  readonly links?: readonly string[];
}

/** Takes spans. Which one is present follows the calls, also asynchronous ones. */
export interface Tracer {
  /** Whether spans may name keys. Absent: they do not. */
  readonly keys?: boolean;
  /** Runs `work` in a span below the present one; it ends when `work` does, and has its error if it throws. */
  span<T>(name: string, attributes: Attributes, work: (span: Span) => T, place?: SpanPlace): T;
  /** The present span, as W3C Trace Context has it (`traceparent`); undefined if there is none. */
  present(): string | undefined;
  /** Runs `work` below the span of another process, which `traceparent` names; if it names none, as it is. */
  follow<T>(traceparent: string | undefined, work: () => T): T;
  /** Holds on to the present span: what this returns runs work below it later, in this process. */
  carry(): Carried;
}

/** Runs work below the span that was present when it was made. */
export type Carried = <T>(work: () => T) => T;

/** Takes the log lines: fields first, then an English sentence. A `pino` logger is one. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const ignore = (): void => undefined;

/** Drops every figure: the default. */
export const silentTelemetry: Telemetry = { count: ignore, gauge: ignore, observe: ignore };

/** Drops every line: the default. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** Drops what it is told. */
export const noSpan: Span = { set: ignore, event: ignore };

/** Runs `work` in a span if somebody takes spans. */
export const spanned = <T>(
  { tracer }: Telemetry,
  name: string,
  attributes: Attributes,
  work: (span: Span) => T,
): T => (tracer === undefined ? work(noSpan) : tracer.span(name, attributes, work));

/** The same figures, and spans besides: `withTracer(silentTelemetry, openTelemetryTracer({ tracer }))`. */
export const withTracer = (telemetry: Telemetry, tracer: Tracer): Telemetry => ({
  count: (...figure) => telemetry.count(...figure),
  gauge: (...figure) => telemetry.gauge(...figure),
  observe: (...figure) => telemetry.observe(...figure),
  ...(telemetry.collect === undefined
    ? {}
    : { collect: (read) => telemetry.collect?.(read) ?? ignore }),
  tracer,
});
