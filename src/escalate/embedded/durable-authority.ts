/**
 * Keeps guards in the store of a replica. What survives a crash? Every answer that was given: values,
 * versions, tokens, remembered ids and installed fences were on the disk first. A lease that lived at the
 * crash lives again for as long as it may have had left then, counted from the restart, so nobody else is
 * granted it too early, and its holder may commit and renew as before. A line is lost; who stood in it asks
 * again by itself.
 *
 * Tokens are drawn in memory, above the epoch of this start in their upper half. The epoch is on the disk
 * before the first of them, and not below the wall clock's seconds: so tokens go on growing also when a
 * directory was set back, unless the clock was, too.
 *
 * Nothing is read or written before somebody asks for the first time.
 */
import type { Environment } from "../../environment.ts";
import { LockUnavailableError } from "../../errors.ts";
import type { StorageEngine } from "../../store/storage.ts";
import type {
  Authority,
  CommitReply,
  CommitRequest,
  CompareAndSetRequest,
  NonceRequest,
  OpenReply,
  OpenRequest,
  OperateReply,
  OperateRequest,
  Present,
  Reborn,
  RenewRequest,
  ResourceRequest,
  WriteReply,
} from "../fence/authority.ts";
import { GuardTable } from "../fence/guard-table.ts";
import { objection, type Stand, type Witness } from "../witness.ts";
import { GuardJournal } from "./guard-journal.ts";
import {
  authorityKey,
  type AuthorityRecord,
  claimKey,
  type KeptGuard,
  type KeptSeat,
  readGuards,
  readKeptSeat,
  writeAuthority,
} from "./guard-records.ts";
import { Serials } from "./serials.ts";
import { type Claim, writeClaim } from "./standing.ts";

const birthBytes = 16;
const bornNow = (environment: Environment): string =>
  Buffer.from(environment.randomBytes(birthBytes)).toString("hex");
const howToAssert =
  "If no copy of it runs anywhere, and there never was a newer state of it, open the replica with " +
  "storage: { directory, exclusive: true }; if the newest state is lost, run trellis authority move --lost";
/** Tokens have 64 bits, an epoch the upper half of them. */
const epochBits = 32n;
const epochMax = 2 ** 32 - 1;

/** What is there once it has begun. */
interface Open {
  readonly table: GuardTable;
  readonly journal: GuardJournal;
  readonly serials: Serials;
  readonly record: AuthorityRecord;
}

/** What it is made of. */
export interface DurableAuthorityOptions {
  readonly engine: StorageEngine;
  readonly environment: Environment;
  readonly witness: Witness;
  /** An operator asserts that no copy of the directory runs, and that there never was a newer state. */
  readonly isExclusive?: boolean;
}

/** Guards on a disk. Every answer waits for it. */
export class DurableAuthority implements Authority {
  readonly #options: DurableAuthorityOptions;
  #open: Open | undefined;
  #beginning: Promise<Open> | undefined;
  #isClosed = false;
  #isGiven = false;
  #closing: Promise<void> | undefined;

  constructor(options: DurableAuthorityOptions) {
    this.#options = options;
  }

  /** What is on the disk of this start; undefined before the first request. */
  get record(): AuthorityRecord | undefined {
    return this.#open?.record;
  }

  /** Why it will refuse to serve, as far as that can be known before it is asked. @throws CorruptStorageError */
  async doubt(): Promise<string | undefined> {
    const { engine, witness, isExclusive = false } = this.#options;
    const { authority, mark } = await readKeptSeat(engine);
    return authority && objection(mark, await witness.recall(authority.birth), isExclusive);
  }

  async birth(): Promise<string> {
    const { table } = await this.#begun();
    return table.birth();
  }

  open(request: OpenRequest): Promise<OpenReply | Reborn> {
    return this.#lasting([request], (table) => table.open(request));
  }

  /** Tells of memory only: who is told asks to open, and that waits for the disk. */
  async turn(request: NonceRequest): Promise<void> {
    const { table } = await this.#begun();
    await table.turn(request);
  }

  cancel(request: NonceRequest): Promise<void> {
    return this.#lasting([request], (table) => table.cancel(request));
  }

  renew(request: RenewRequest): Promise<boolean> {
    return this.#lasting([request], (table) => table.renew(request));
  }

  read(
    request: ResourceRequest,
  ): Promise<{ readonly kind: "present"; readonly present: Present } | Reborn> {
    return this.#lasting([request], (table) => table.read(request));
  }

  commit(request: CommitRequest): Promise<CommitReply> {
    return this.#lasting(request.parts, (table) => table.commit(request));
  }

  compareAndSet(request: CompareAndSetRequest): Promise<WriteReply> {
    return this.#lasting([request], (table) => table.compareAndSet(request));
  }

  operate(request: OperateRequest): Promise<OperateReply> {
    return this.#lasting([request], (table) => table.operate(request));
  }

  /**
   * Gives the part away, in the move of this id: what was asked is answered, nothing more is, and that is on the
   * disk with who has it now. Returns the serial of that write.
   * @throws LockUnavailableError; it goes on then.
   */
  async seal(move: string, claim: Claim): Promise<number> {
    const { table, journal, serials, record } = await this.#begun();
    if (this.#isClosed || this.#isGiven) throw this.#refused("it is closed, or given away already");
    this.#isGiven = true;
    const batch = this.#options.engine.batch();
    try {
      table.stop();
      await journal.rest();
      batch.put(authorityKey(), writeAuthority({ ...record, seal: move }));
      batch.put(claimKey(), writeClaim(claim));
      serials.put(batch, true);
      await batch.write({ sync: true });
      serials.written();
      serials.leave();
      return serials.serial;
    } catch (error) {
      batch.discard();
      this.#isGiven = false;
      throw this.#refused("its disk refuses to give the part away", error);
    }
  }

  /** Resolves when what was asked is on the disk, or refused. Later requests are refused. Twice is harmless. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    await this.#beginning?.catch(() => undefined);
    const open = this.#open;
    if (!open || this.#isGiven) return;
    open.table.stop();
    await open.journal.rest();
    const batch = this.#options.engine.batch();
    open.serials.put(batch, true);
    try {
      await batch.write({ sync: true });
      open.serials.written();
    } catch {
      // Then it was not closed as it should be; whether it may be believed is for the witness to say.
      batch.discard();
    } finally {
      open.serials.leave();
    }
  }

  /** One step in memory, whose answer waits until all of it, and all that it has seen, is on the disk. */
  async #lasting<T>(
    parts: readonly { readonly resource: string }[],
    step: (table: GuardTable) => Promise<T>,
  ): Promise<T> {
    const { table, journal } = this.#open ?? (await this.#begun());
    if (this.#isClosed) throw this.#refused("it is closed");
    if (this.#isGiven) throw this.#refused("the part is given away");
    // A step runs to its end before its promise is there.
    const reply = step(table);
    await journal.synced(parts.map(({ resource }) => resource));
    return reply;
  }

  #begun(): Promise<Open> {
    if (this.#isClosed) return Promise.reject(this.#refused("it is closed"));
    this.#beginning ??= this.#begin().catch((error: unknown) => {
      // The next one who asks tries again.
      this.#beginning = undefined;
      if (error instanceof LockUnavailableError) throw error;
      throw this.#refused("its disk refuses", error);
    });
    return this.#beginning;
  }

  async #begin(): Promise<Open> {
    const { engine, environment } = this.#options;
    const kept = await readKeptSeat(engine);
    if (kept.authority && kept.authority.seal !== "") {
      throw this.#refused("the part was moved away from here");
    }
    const birth = kept.authority?.birth ?? bornNow(environment);
    const { stand, serial } = await this.#believed(birth, kept);
    try {
      const guards = await readGuards(engine, birth, environment.monotonic());
      const authority = this.#next(birth, kept.authority, guards);
      const serials = new Serials(stand, serial);
      const batch = engine.batch();
      batch.put(authorityKey(), writeAuthority(authority));
      serials.put(batch);
      await batch.write({ sync: true });
      serials.written();
      this.#open = this.#opened(authority, guards, serials);
      return this.#open;
    } catch (error) {
      stand.leave();
      throw error;
    }
  }

  /** Takes the place of the witness, if that agrees. @throws LockUnavailableError */
  async #believed(
    birth: string,
    { authority, mark }: KeptSeat,
  ): Promise<{ readonly stand: Stand; readonly serial: number }> {
    const { witness, isExclusive = false, engine } = this.#options;
    const testimony = await witness.recall(birth);
    const why = authority && objection(mark, testimony, isExclusive);
    if (testimony.kind === "in-use") {
      throw this.#refused(`it, or a copy of it, is in use by ${testimony.by}; stop that one first`);
    }
    if (why !== undefined) throw this.#refused(`${why}. ${howToAssert}`);
    const serial = Math.max(mark.serial, testimony.kind === "left" ? testimony.serial : 0);
    const stand = await witness.take(birth, testimony.turn, serial);
    if (!stand) throw this.#refused(`a copy of ${engine.location} was opened at the same time`);
    return { stand, serial };
  }

  #opened(record: AuthorityRecord, kept: ReadonlyMap<string, KeptGuard>, serials: Serials): Open {
    const { engine, environment } = this.#options;
    const { birth, epoch } = record;
    const table: GuardTable = new GuardTable(environment, {
      birth,
      token: BigInt(epoch) << epochBits,
      records: [...kept].map(([resource, guard]) => [resource, guard.record]),
      onChange: (resource, after) => journal.changed(resource, after),
    });
    const journal: GuardJournal = new GuardJournal({
      ...{ engine, environment, birth, kept, serials },
      undo: (resource, before) => table.restore(resource, before),
    });
    return { table, journal, serials, record };
  }

  /** Above every epoch there was. */
  #next(
    birth: string,
    before: AuthorityRecord | undefined,
    guards: ReadonlyMap<string, KeptGuard>,
  ): AuthorityRecord {
    const seconds = Math.floor(this.#options.environment.now() / 1000);
    let epoch = Math.max((before?.epoch ?? 0) + 1, Math.min(seconds, epochMax));
    for (const { record } of guards.values()) {
      epoch = Math.max(epoch, Number(record.token >> epochBits) + 1);
    }
    if (epoch > epochMax) throw new Error(`epoch ${epoch} is beyond the bits of a token`);
    // Who answers for it anew stands above every copy, and above what others recorded of it.
    const generation = (before?.generation ?? 0) + (before && this.#options.isExclusive ? 1 : 0);
    return { birth, epoch, generation, seal: "" };
  }

  #refused(why: string, cause?: unknown): LockUnavailableError {
    const { location } = this.#options.engine;
    return new LockUnavailableError(
      `the lock authority at ${location} does not serve: ${why}; nothing was done`,
      { backend: "embedded", ...(cause === undefined ? {} : { cause }) },
    );
  }
}
