/**
 * Writes changed guards to the disk, many in one synchronised write. Steps are taken in memory, and their
 * answers wait: what one says is on the disk before it is said, and so is everything that it was computed
 * from. While one group is being written the next one gathers. A disk that refuses undoes its group and the
 * one behind it, which may rest on it, and both are told that surely nothing was done.
 */
import type { Environment } from "../../environment.ts";
import { LockUnavailableError } from "../../errors.ts";
import type { StorageEngine } from "../../store/storage.ts";
import { type GuardRecord, untouched } from "../fence/guard.ts";
import { guardKey, type KeptGuard, writeGuard } from "./guard-records.ts";
import type { Serials } from "./serials.ts";

/** What is written together. */
interface Group {
  readonly changes: Map<string, KeptGuard>;
  readonly written: Promise<void>;
  readonly settle: (error?: Error) => void;
}

/** What a journal is made of. */
export interface GuardJournalOptions {
  readonly engine: StorageEngine;
  readonly environment: Environment;
  readonly birth: string;
  /** What the disk has. */
  readonly kept: ReadonlyMap<string, KeptGuard>;
  readonly serials: Serials;
  /** Sets a record in memory back to what the disk has. */
  readonly undo: (resource: string, record: GuardRecord) => void;
}

/** The disk of one authority. */
export class GuardJournal {
  readonly #options: GuardJournalOptions;
  /** As the disk has them; the times of a holder are those of this process. */
  readonly #kept: Map<string, KeptGuard>;
  /** The latest group that has this resource and is not written yet. */
  readonly #pending = new Map<string, Group>();
  #gathering: Group | undefined;
  #running: Promise<void> | undefined;
  /** Why nothing is answered for any more. */
  #failure: Error | undefined;

  constructor(options: GuardJournalOptions) {
    this.#options = options;
    this.#kept = new Map(options.kept);
  }

  /** A guard changed in memory. */
  changed(resource: string, record: GuardRecord): void {
    const pending = this.#pending.get(resource);
    const known = pending?.changes.get(resource) ?? this.#kept.get(resource);
    const next = this.#lasting(record, known);
    if (!pending && known && isSame(next, known)) {
      // A renewal: the disk says already how long it may live.
      this.#kept.set(resource, next);
      return;
    }
    const group = (this.#gathering ??= this.#gather());
    group.changes.set(resource, next);
    this.#pending.set(resource, group);
  }

  /**
   * Resolves when all that is so in memory of these resources is on the disk.
   * @throws LockUnavailableError it is not, and it is not so in memory any more; Error: who knows.
   */
  async synced(resources: readonly string[]): Promise<void> {
    const groups = resources.map((resource) => this.#pending.get(resource));
    for (const group of new Set(groups)) await group?.written;
    if (this.#failure) throw this.#failure;
  }

  /** Resolves when nothing is being written. */
  async rest(): Promise<void> {
    while (this.#running) await this.#running;
  }

  #gather(): Group {
    let settle: Group["settle"] = () => undefined;
    const written = new Promise<void>((resolve, reject) => {
      settle = (error) => (error ? reject(error) : resolve());
    });
    // Whoever waits for it is told; perhaps nobody does.
    written.catch(() => undefined);
    this.#running ??= this.#run();
    return { changes: new Map(), written, settle };
  }

  /** From the end of the turn on, so that what was asked in one turn is one write. */
  async #run(): Promise<void> {
    const { environment } = this.#options;
    await new Promise<void>((resolve) => environment.defer(resolve));
    for (let group = this.#gathering; group; group = this.#gathering) {
      this.#gathering = undefined;
      try {
        await this.#write(group);
        this.#witness();
        this.#done(group);
      } catch (error) {
        this.#undo(group, error);
      }
    }
    this.#running = undefined;
  }

  async #write({ changes }: Group): Promise<void> {
    const batch = this.#options.engine.batch();
    try {
      for (const [resource, kept] of changes) {
        if (!saysNothing(kept.record)) {
          batch.put(guardKey(resource), writeGuard(kept, this.#options.birth));
        } else if (this.#kept.has(resource)) batch.delete(guardKey(resource));
      }
      this.#options.serials.put(batch);
      await batch.write({ sync: true });
    } catch (error) {
      batch.discard();
      throw error;
    }
  }

  /** What the disk has may be answered for, if it is known outside the directory that it has it. */
  #witness(): void {
    try {
      this.#options.serials.written();
    } catch (error) {
      this.#failure ??= new Error("the lock authority lost its witness; what was done is unknown", {
        cause: error,
      });
    }
  }

  #done(group: Group): void {
    for (const [resource, kept] of group.changes) {
      if (saysNothing(kept.record)) this.#kept.delete(resource);
      else this.#kept.set(resource, kept);
      if (this.#pending.get(resource) === group) this.#pending.delete(resource);
    }
    group.settle();
  }

  #undo(group: Group, cause: unknown): void {
    const behind = this.#gathering;
    this.#gathering = undefined;
    const { engine, undo } = this.#options;
    const error = new LockUnavailableError(
      `the disk of the lock authority (${engine.location}) refuses; nothing was done`,
      { backend: "embedded", cause },
    );
    this.#pending.clear();
    for (const { changes, settle } of behind ? [group, behind] : [group]) {
      for (const resource of changes.keys()) {
        undo(resource, this.#kept.get(resource)?.record ?? untouched);
      }
      settle(error);
    }
  }

  /** What the disk is to have: for one holder, the longest that it was ever told. */
  #lasting(record: GuardRecord, known: KeptGuard | undefined): KeptGuard {
    const { holder } = record;
    if (!holder) return { record, leaseMs: 0, holdMs: undefined };
    const nowMs = this.#options.environment.monotonic();
    const before = known?.record.holder?.nonce === holder.nonce ? known : undefined;
    const leftMs = Math.max(0, holder.untilMs - nowMs);
    // Clocks have fractions: a renewal for the same time is not to be a write.
    const isLonger = !before || leftMs > before.leaseMs;
    const leaseMs = isLonger ? Math.ceil(leftMs) + 1 : before.leaseMs;
    const holdMs =
      holder.endMs === Number.POSITIVE_INFINITY
        ? undefined
        : Math.max(before?.holdMs ?? 0, Math.ceil(holder.endMs - nowMs));
    return { record, leaseMs, holdMs };
  }
}

/** The disk would say the same of both. */
function isSame(left: KeptGuard, right: KeptGuard): boolean {
  const [a, b] = [left.record, right.record];
  return (
    left.leaseMs === right.leaseMs &&
    left.holdMs === right.holdMs &&
    a.version === b.version &&
    a.token === b.token &&
    a.holder?.nonce === b.holder?.nonce
  );
}

const saysNothing = ({ version, holder }: GuardRecord): boolean => version === 0n && !holder;
