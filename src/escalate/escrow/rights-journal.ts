/**
 * Writes what holders have spent to the disk, many counters in one synchronised write. What is spent in one
 * turn is one write; while it is under way the next one gathers. The order is: disk, witness, and only then
 * whoever waits is answered and peers are shown the figures.
 *
 * A disk that refuses takes nothing back: what was spent in memory stays spent. Those who waited are told,
 * and it is tried again.
 */
import { type Environment, fraction, type Timer } from "../../environment.ts";
import { StorageError } from "../../errors.ts";
import type { StorageEngine } from "../../store/storage.ts";
import type { Holding, Kept } from "./holding.ts";
import {
  type DirectoryRecord,
  directoryKey,
  type FoundHolding,
  holdingKey,
  type HoldingName,
  writeDirectory,
  writeKept,
} from "./rights-records.ts";
import type { Stand } from "../witness.ts";

/** What a journal is made of. */
export interface RightsJournalOptions {
  readonly environment: Environment;
  /** Without one nothing is durable, and nobody waits. */
  readonly engine?: StorageEngine | undefined;
  /** Told of each write. */
  readonly stand?: Stand | undefined;
  /** The directory as it was found, or a new one. */
  readonly directory: DirectoryRecord;
  /** What may be shown to peers now. */
  readonly onWritten: (holding: Holding, kept: Kept) => void;
  /** The disk has begun to refuse. */
  readonly onRefused: (failure: Error) => void;
}

interface Group {
  readonly written: Promise<void>;
  readonly settle: (error?: Error) => void;
}

/** Between two attempts at a disk that refuses, in ms. */
const retryMsMin = 50;
const retryMsMax = 2_000;

const done = Promise.resolve();

/** The rights of one replica on its disk. */
export class RightsJournal {
  readonly #options: RightsJournalOptions;
  #serial: number;
  #stand: Stand | undefined;
  #dirty: Holding[] = [];
  /** Records of holders that are at an end. */
  readonly #ended: HoldingName[] = [];
  /** Records of earlier holders, as they are to be. */
  readonly #former: FoundHolding[] = [];
  #gathering: Group | undefined;
  #underWay: Group | undefined;
  #isAsked = false;
  #failures = 0;
  #retry: Timer | undefined;
  #isClosed = false;

  constructor(options: RightsJournalOptions) {
    this.#options = options;
    this.#serial = options.directory.serial;
    this.#stand = options.stand;
  }

  /** A holding changed: it is written at the end of the turn. */
  changed(holding: Holding): void {
    this.#dirty.push(holding);
    this.#ask();
  }

  /** The record of a former holder changes, or goes. */
  rewrite(found: FoundHolding): void {
    this.#former.push(found);
    this.#ask();
  }

  /** The record of a holder goes, in time. */
  forget(name: HoldingName): void {
    if (!this.#options.engine) return;
    this.#ended.push(name);
    this.#ask();
  }

  /** Resolves when all that changed up to now is on the disk. @throws StorageError */
  written(): Promise<void> {
    if (!this.#options.engine) return done;
    this.#ask();
    return (this.#gathering ??= newGroup()).written;
  }

  /** Resolves when what is known of this holding is on the disk. @throws StorageError */
  async rest(holding: Holding): Promise<void> {
    if (!this.#options.engine) return;
    if (holding.isDirty) await this.written();
    else if (holding.isWriting) await this.#underWay?.written;
  }

  /** All that is on the disk is retired: from here on nobody has to testify for it. */
  leave(): void {
    this.#stand?.leave();
    this.#stand = undefined;
  }

  /** Writes no more. What is under way is waited for. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retry?.cancel();
    await this.#underWay?.written.catch(() => undefined);
    this.#gathering?.settle(new StorageError("the replica is closed; it is not durable"));
  }

  #ask(): void {
    if (this.#isAsked || this.#isClosed) return;
    this.#isAsked = true;
    this.#retry?.cancel();
    this.#options.environment.defer(() => void this.#run());
  }

  async #run(): Promise<void> {
    if (this.#underWay || this.#isClosed) return;
    const { engine } = this.#options;
    if (!engine) {
      this.#isAsked = false;
      for (const { holding, kept } of this.#take()) this.#isOnDisk(holding, kept);
      return;
    }
    while (this.#isAsked && !this.#isClosed) {
      this.#isAsked = false;
      this.#underWay = this.#gathering ?? newGroup();
      this.#gathering = undefined;
      await this.#write(engine, this.#underWay);
      this.#underWay = undefined;
    }
  }

  #take(): { readonly holding: Holding; readonly kept: Kept }[] {
    const nowMs = this.#options.environment.monotonic();
    const dirty = this.#dirty;
    this.#dirty = [];
    return dirty.map((holding) => {
      holding.isDirty = false;
      holding.isWriting = true;
      holding.provision(nowMs);
      return { holding, kept: holding.snapshot() };
    });
  }

  async #write(engine: StorageEngine, group: Group): Promise<void> {
    const { directory } = this.#options;
    const taken = this.#take();
    const [former, ended] = [this.#former.splice(0), this.#ended.splice(0)];
    const serial = this.#serial + 1;
    const batch = engine.batch();
    try {
      batch.put(directoryKey(), writeDirectory({ id: directory.id, serial }));
      for (const { holding, kept } of taken) batch.put(holdingKey(holding), writeKept(kept));
      for (const found of former) batch.put(holdingKey(found), writeKept(found.kept));
      for (const name of ended) batch.delete(holdingKey(name));
      await batch.write({ sync: true });
      this.#stand?.mark(serial);
    } catch (error) {
      batch.discard();
      // Something of it may have been written all the same: the number is used.
      this.#serial = serial;
      this.#former.unshift(...former);
      this.#ended.unshift(...ended);
      this.#refused(taken, group, error);
      return;
    }
    this.#serial = serial;
    this.#failures = 0;
    for (const { holding, kept } of taken) this.#isOnDisk(holding, kept);
    group.settle();
  }

  #isOnDisk(holding: Holding, kept: Kept): void {
    holding.isWriting = false;
    holding.written(kept);
    this.#options.onWritten(holding, kept);
  }

  #refused(taken: readonly { readonly holding: Holding }[], group: Group, cause: unknown): void {
    const { engine, environment, onRefused } = this.#options;
    for (const { holding } of taken) {
      holding.isWriting = false;
      holding.refused();
      if (holding.isDirty) continue;
      holding.isDirty = true;
      this.#dirty.push(holding);
    }
    const path = engine?.location ?? "";
    const error = new StorageError(
      `${path}: the disk refuses: what was spent is not durable, nothing of it is acknowledged`,
      { path, cause },
    );
    group.settle(error);
    if (this.#failures++ === 0) onRefused(error);
    const delayMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(10, this.#failures));
    this.#retry = environment.schedule(delayMs * (0.5 + fraction(environment)), () => this.#ask());
  }
}

function newGroup(): Group {
  let settle: Group["settle"] = () => undefined;
  const written = new Promise<void>((resolve, reject) => {
    settle = (error) => (error ? reject(error) : resolve());
  });
  // Whoever waits for it is told; perhaps nobody does.
  written.catch(() => undefined);
  return { written, settle };
}
