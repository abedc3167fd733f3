/** A small JSON note in a guard: who leads, who owns, when a job ran. */
import { InvalidValueError } from "../../errors.ts";

/** What a note holds. */
export type Note = Readonly<Record<string, unknown>>;

/** Of a note as JSON, in bytes. */
export const noteBytesMax: number = 64 * 1024;

/** What a guard says; undefined for what is no note, whoever wrote it. */
export function readNote(value: Uint8Array | undefined): Note | undefined {
  if (value === undefined || value.length === 0) return undefined;
  try {
    const note: unknown = JSON.parse(Buffer.from(value).toString("utf8"));
    return typeof note === "object" && note !== null && !Array.isArray(note)
      ? (note as Note)
      : undefined;
  } catch {
    return undefined;
  }
}

/** @throws InvalidValueError for what is longer than `noteBytesMax` */
export function writeNote(note: Note): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(note));
  if (bytes.length <= noteBytesMax) return bytes;
  throw new InvalidValueError(`a note of ${bytes.length} bytes; ${noteBytesMax} is the most`, {
    path: "note",
    reason: `is longer than ${noteBytesMax} bytes`,
  });
}

/** The names of holders as others see them, cut at 256 characters. */
export const nameOf = (name: string | undefined): string => (name ?? "").slice(0, 256);

/** A token as a note has it; undefined for anything else. */
export const tokenOf = (told: unknown): bigint | undefined =>
  typeof told === "string" && /^\d{1,40}$/u.test(told) ? BigInt(told) : undefined;
