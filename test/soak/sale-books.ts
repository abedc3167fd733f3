/**
 * The books of a sale: what one process was about to do, and what it was told of it, written before and after
 * each promise with a write that a SIGKILL does not undo. They are kept outside of Trellis, and are all that
 * it is held to. Times are of the machine's own clock, which all processes share and nobody sets.
 */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs";

/** What is done. Those with a key have one effect, however often they are done. */
export type Deed =
  | { readonly kind: "restock"; readonly sku: string; readonly units: number }
  | {
      readonly kind: "sale";
      readonly sku: string;
      readonly units: number;
      readonly key?: string;
      /** Of a block that was set aside: after a kill the whole of it is stranded, sold or not. */
      readonly isAtOnce?: true;
    }
  | { readonly kind: "coupon"; readonly coupon: string; readonly customer: string }
  | { readonly kind: "claim"; readonly name: string; readonly owner: string }
  | { readonly kind: "release"; readonly name: string; readonly owner: string }
  | {
      readonly kind: "transfer";
      readonly key: string;
      /** Absent where no section is over several values: then it is a payment in. */
      readonly from?: string;
      readonly to: string;
      readonly amount: number;
    }
  | { readonly kind: "sum"; readonly group: number };

/**
 * `done`: it surely is. `lost`: it came too late, as a coupon that somebody else has. `refused`: surely nothing
 * was changed. `unknown`: it may have been done.
 */
export type Outcome = "done" | "lost" | "refused" | "unknown";

/** What came of a deed. */
export interface End {
  readonly outcome: Outcome;
  /** Of the error, where it was one. */
  readonly code?: string;
  /** What the call gave. */
  readonly result?: unknown;
}

interface Begun {
  readonly at: number;
  readonly id: number;
  readonly deed: Deed;
}

interface Ended extends End {
  readonly at: number;
  readonly of: number;
}

/** Something that must not happen at all. */
interface Noted {
  readonly at: number;
  readonly fault: string;
}

type Entry = Begun | Ended | Noted;

/** A deed, as books have it. `end` is absent when its process died meanwhile. */
export interface Booking {
  readonly deed: Deed;
  readonly begunAt: number;
  readonly end?: End & { readonly at: number };
}

/** The books of one life of one process. */
export interface Books {
  readonly bookings: readonly Booking[];
  readonly faults: readonly string[];
}

/** Of the machine, in ms. */
export const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Writes books: what a method is given is written when it returns. */
export class BookKeeper implements Disposable {
  readonly #file: number;
  #deeds = 0;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  /** Before it is done. Returns what it is called from then on. */
  begin(deed: Deed): number {
    const id = ++this.#deeds;
    this.#write({ at: machineMs(), id, deed });
    return id;
  }

  /** After it was done. */
  end(id: number, end: End): void {
    this.#write({ at: machineMs(), of: id, ...end });
  }

  /** Something that must not happen. */
  fault(fault: string): void {
    this.#write({ at: machineMs(), fault });
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #write(entry: Entry): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
  }
}

/** Reads books that are, or were, written, if there are any. The last line may be torn. */
export function readBooks(path: string): Books {
  const bookings = new Map<number, Booking>();
  const faults: string[] = [];
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  for (const line of lines.slice(0, -1)) {
    const entry = JSON.parse(line) as Entry;
    if ("fault" in entry) faults.push(entry.fault);
    else if ("deed" in entry) {
      bookings.set(entry.id, { deed: entry.deed, begunAt: entry.at });
    } else {
      const { of, ...end } = entry;
      const booking = bookings.get(of);
      if (booking) bookings.set(of, { ...booking, end });
    }
  }
  return { bookings: [...bookings.values()], faults };
}

/** Whether it may have been done, and nobody was told. */
export const isOpen = ({ end }: Booking): boolean => end === undefined || end.outcome === "unknown";
