/**
 * The serial of the last write of an authority: on its disk in the same batch, then told to the witness outside
 * of the directory, and only then answered for.
 */
import type { WriteBatch } from "../../store/storage.ts";
import type { OnDisk, Stand } from "../witness.ts";
import { markKey, writeMark } from "./guard-records.ts";

/** Counts the writes of one process. */
export class Serials {
  readonly #stand: Stand;
  #serial: number;

  /** `serial`: the highest there was, on the disk or at the witness. */
  constructor(stand: Stand, serial: number) {
    this.#stand = stand;
    this.#serial = serial;
  }

  /** Of the last write. */
  get serial(): number {
    return this.#serial;
  }

  /** Adds the next serial to a write; the last one, if that closes the authority. */
  put(batch: WriteBatch, isClosed = false): void {
    const mark: OnDisk = { serial: this.#serial + 1, isClosed };
    batch.put(markKey(), writeMark(mark));
  }

  /** That write is on the disk. @throws Error when the witness cannot be told: nothing may be answered. */
  written(): void {
    this.#serial++;
    this.#stand.mark(this.#serial);
  }

  /** Nothing is written any more. */
  leave(): void {
    this.#stand.leave();
  }
}
