/**
 * The books of one seller, outside of Trellis: a byte a step in a file of its own. What was written before
 * a SIGKILL is there after it, so that what the seller promised its customers is known whatever became of it.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const marks = { begun: 0x62, sold: 0x73, refused: 0x72 } as const;

/** What happened in a sale. */
export type SaleStep = keyof typeof marks;

/** Writes books. */
export class Ledger implements Disposable {
  readonly #file: number;

  /** Goes on after what is there. */
  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  /** Resolves nothing: it is written when this returns. */
  note(step: SaleStep): void {
    writeSync(this.#file, Uint8Array.of(marks[step]));
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

/** What books say. */
export interface Books {
  /** Sales that a customer was told of. */
  readonly sold: number;
  /** Begun, and neither sold nor refused: the seller died meanwhile. They may have taken a unit each. */
  readonly unknown: number;
}

/** Reads books that nobody writes any more. */
export function readLedger(path: string): Books {
  const count = { begun: 0, sold: 0, refused: 0 };
  for (const byte of readFileSync(path)) {
    for (const step of Object.keys(marks) as SaleStep[]) {
      if (marks[step] === byte) count[step]++;
    }
  }
  return { sold: count.sold, unknown: count.begun - count.sold - count.refused };
}
