/**
 * Where figures and log lines go: two ports, silent by default. Both are called on the way of real
 * work, so an implementation returns at once and never throws.
 */

/** What tells apart the series of one metric. Few and bounded: a collection or a peer, never a key. */
export type Labels = Readonly<Record<string, string>>;

/** Takes the figures. Names are `trellis.` and dotted words, with the unit last: `trellis.frame.bytes`. */
export interface Telemetry {
  /** Adds to a figure that only grows; `value` is 1 unless given. */
  count(name: string, value?: number, labels?: Labels): void;
  /** Sets a figure that goes up and down. */
  gauge(name: string, value: number, labels?: Labels): void;
  /** Adds one measurement to a distribution, in the unit that the name ends in. */
  observe(name: string, value: number, labels?: Labels): void;
}

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
