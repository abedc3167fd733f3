/** The list of a gate, as its guard has it: JSON, since people look at it. */
import { MalformedError } from "../../store/bytes.ts";
import { tokenOf } from "./note.ts";

/** One seat of a lock, and who sits there. */
export interface Seat {
  /** Seats are used again: the lowest that is free. */
  readonly number: number;
  readonly mode: string;
  /** As the holder calls itself; may be empty. */
  readonly holder: string;
  /** Of the gate, when it came in. */
  readonly token: bigint;
  /** By its own wall clock, in ms since the Unix epoch. */
  readonly sinceMs: number;
}

/** What is in a guard. @throws MalformedError for what is no list */
export function readSeats(value: Uint8Array | undefined): readonly Seat[] {
  if (value === undefined || value.length === 0) return [];
  const told = parsed(value);
  if (!Array.isArray(told)) throw new MalformedError("a gate whose value is no list");
  return told.map(seatOf);
}

export const writeSeats = (seats: readonly Seat[]): Uint8Array =>
  Buffer.from(
    JSON.stringify(
      seats.map(({ number, mode, holder, token, sinceMs }) => [
        number,
        mode,
        holder,
        `${token}`,
        sinceMs,
      ]),
    ),
  );

function parsed(value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value).toString("utf8"));
  } catch {
    throw new MalformedError("a gate whose value is no JSON");
  }
}

function seatOf(told: unknown): Seat {
  const [number, mode, holder, spelled, sinceMs] = Array.isArray(told) ? (told as unknown[]) : [];
  const token = tokenOf(spelled);
  if (
    !Number.isSafeInteger(number) ||
    typeof mode !== "string" ||
    typeof holder !== "string" ||
    token === undefined ||
    typeof sinceMs !== "number"
  ) {
    throw new MalformedError("a seat that is none");
  }
  return { number: number as number, mode, holder, token, sinceMs };
}
