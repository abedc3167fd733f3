/**
 * When did an actor end? A plain fact about a writer that is no more. What it wrote beyond that, and
 * nobody has, will never come.
 */

import { sequenceMax } from "./dot.ts";

/** What is known of an actor's end. Facts join: a final one stands, of others the later one. */
export interface Ending {
  /** Its batches up to here were on a disk; 0 if none was. */
  readonly at: number;
  /** Whether there is none after `at`. Else it crashed, and peers may have more of it. */
  readonly isFinal: boolean;
}

/** What the two say together. */
export function joinEndings(left: Ending | undefined, right: Ending): Ending {
  if (left === undefined) return right;
  if (left.isFinal !== right.isFinal) return left.isFinal ? left : right;
  return right.at > left.at ? right : left;
}

/** A fact as one integer above 0; 0 stands for none. */
export const endingCode = (ending: Ending | undefined): number =>
  ending === undefined ? 0 : 1 + 2 * ending.at + (ending.isFinal ? 1 : 0);

/** The largest code. */
export const endingCodeMax: number = 2 + 2 * sequenceMax;

/** What `endingCode` made an integer of. */
export const endingOf = (code: number): Ending | undefined =>
  code === 0 ? undefined : { at: Math.floor((code - 1) / 2), isFinal: code % 2 === 0 };
