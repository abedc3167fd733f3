/** A logger that keeps its lines. */
import type { Logger } from "../../src/telemetry.ts";

/** One line. */
export interface Line {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Keeps what is logged. */
export class Lines implements Logger {
  readonly all: Line[] = [];
  readonly debug: Logger["debug"] = (fields, message) => this.#keep("debug", fields, message);
  readonly info: Logger["info"] = (fields, message) => this.#keep("info", fields, message);
  readonly warn: Logger["warn"] = (fields, message) => this.#keep("warn", fields, message);
  readonly error: Logger["error"] = (fields, message) => this.#keep("error", fields, message);

  /** Those with this sentence, or its beginning. */
  of(sentence: string): readonly Line[] {
    return this.all.filter(({ message }) => message.startsWith(sentence));
  }

  #keep(level: Line["level"], fields: object, message: string): void {
    this.all.push({ level, message, fields: { ...fields } });
  }
}
