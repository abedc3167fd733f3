/** Writes the lines of an export into a replica, batch by batch, each taken by a disk or a peer before the next. */
import { isDocumentType } from "../../crdt/document.ts";
import { isExpiring } from "../../crdt/expiring.ts";
import type { KnownType } from "../../crdt/type-of.ts";
import {
  AlreadyClaimedError,
  InsufficientError,
  OverloadedError,
  RightsUnavailableError,
} from "../../errors.ts";
import type { Replica, Schema } from "../../index.ts";
import { applyContent } from "./apply.ts";
import type { ConcurrentValues } from "./concurrent-values.ts";
import { DocumentLines, isDocumentLine, type WholeDocument } from "./documents.ts";
import type { NumberedLine } from "./export-file.ts";
import type { ContentLine } from "./format.ts";
import { applyGuarded, GuardTakenError } from "./guarded.ts";
import type { ImportedType, ParsedCollection, ParsedHeader } from "./parse.ts";

/** Lines that are written before it is waited for whoever takes them. */
const batchLinesMax = 5_000;
/** Guards that are written at a time. */
const guardsMax = 16;
const refusedMax = 100;

/** What an import is made of. */
export interface ImporterOptions {
  readonly replica: Replica<Schema>;
  readonly concurrent: ConcurrentValues;
  readonly header: ParsedHeader;
  /** Whether guards that have a value are overwritten. */
  readonly merge: boolean;
  readonly guarded: boolean;
  readonly weakFence: boolean;
  /** Of any one wait. */
  readonly timeoutMs: number;
}

/** What became of one collection. */
export interface ImportedCollection {
  readonly name: string;
  readonly type: string;
  /** Keys. */
  readonly written: number;
  readonly skipped: number;
  /** Why keys were skipped. */
  readonly reason?: string;
}

/** A key that its guard refused. */
export interface Refusal {
  readonly collection: string;
  readonly key: string;
  readonly reason: string;
}

/** Whether every write of that type passes a guard. */
export const isGuarded = ({ kind }: ImportedType): boolean =>
  kind === "bounded-counter" || kind === "fenced-register" || kind === "unique-claims";

interface Tally {
  written: number;
  skipped: number;
}

/** Imports into one replica. */
export class Importer implements AsyncDisposable {
  readonly #options: ImporterOptions;
  readonly #types: ReadonlyMap<string, ParsedCollection>;
  readonly #tallies = new Map<string, Tally>();
  readonly #refused: Refusal[] = [];
  readonly #documents = new DocumentLines();
  readonly #guards = new Set<Promise<void>>();
  readonly #beganMs = Date.now();
  #failure: Error | undefined;
  #refusedCount = 0;
  #lines = 0;
  #last: ContentLine | undefined;

  constructor(options: ImporterOptions) {
    this.#options = options;
    const { header } = options;
    this.#types = new Map(header.collections.map((collection) => [collection.name, collection]));
  }

  /** What became of each collection. */
  get collections(): ImportedCollection[] {
    return this.#options.header.collections.map(({ name, type, known }) => {
      const { written, skipped } = this.#tallies.get(name) ?? { written: 0, skipped: 0 };
      const isLeft = isGuarded(known) && !this.#options.guarded;
      const reason = isLeft
        ? "guarded: --guarded writes it through its guards"
        : "expired since they were exported";
      const isTold = isLeft || (isExpiring(known) && skipped > 0);
      return { name, type, written, skipped, ...(isTold && { reason }) };
    });
  }

  /** Keys that their guards refused; the first 100. */
  get refused(): readonly Refusal[] {
    return this.#refused;
  }

  /** How many there were. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** Writes one line. @throws what the disk, a peer or the lock store refuses. */
  async take(line: NumberedLine): Promise<void> {
    const { known } = this.#collectionOf(line);
    this.#writeDocument(isDocumentLine(line) ? this.#documents.take(line) : this.#documents.end());
    if (isDocumentType(known)) return await this.#paced();
    if (isGuarded(known) && !this.#options.guarded) return this.#count(line, "skipped");
    if (this.#isOver(line)) return this.#count(line, "skipped");
    if (isGuarded(known)) await this.#guard(line, known);
    else this.#write(line, known);
    await this.#paced();
  }

  /** Waits until all is where it belongs. @throws as `take` */
  async end(): Promise<void> {
    this.#writeDocument(this.#documents.end());
    await Promise.all(this.#guards);
    if (this.#failure) throw this.#failure;
    const { concurrent, replica, timeoutMs } = this.#options;
    await concurrent.join(replica, timeoutMs);
    await this.#settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#guards);
  }

  /** Of one moment, so that it is the same for all lines of a key. */
  #isOver({ expiresAtMs }: NumberedLine): boolean {
    return expiresAtMs !== undefined && expiresAtMs <= this.#beganMs;
  }

  #write(line: NumberedLine, type: KnownType): void {
    const { replica, concurrent } = this.#options;
    concurrent.at(line);
    applyContent(replica, type, {
      line,
      further: (name, values) => concurrent.take({ type, line, name, values }),
    });
    this.#count(line, "written");
  }

  #writeDocument(document: WholeDocument | undefined): void {
    if (document === undefined) return;
    const { line, updates } = document;
    const { collection, key } = line;
    const { known } = this.#collectionOf(line);
    const opened = this.#options.replica.collection(collection, known);
    if (opened?.kind !== "document") throw new Error(`assertion: ${collection} has no documents`);
    try {
      opened.collection.add(key, updates);
      this.#count(line, "written");
    } catch (error) {
      if (!(error instanceof OverloadedError)) throw error;
      this.#refuse(line, error.message);
    }
  }

  /** A few at a time; which one failed is told with the next. */
  async #guard(line: NumberedLine, type: KnownType): Promise<void> {
    while (this.#guards.size >= guardsMax) await Promise.race(this.#guards);
    if (this.#failure) throw this.#failure;
    const writing = this.#throughGuard(line, type).finally(() => this.#guards.delete(writing));
    this.#guards.add(writing);
  }

  async #throughGuard(line: NumberedLine, type: KnownType): Promise<void> {
    const { replica, merge, weakFence, timeoutMs } = this.#options;
    const declared = weakFence && "weakFence" in type ? { ...type, weakFence } : type;
    try {
      const opened = replica.collection(line.collection, declared);
      if (opened === undefined) throw new Error(`assertion: ${line.collection} cannot be opened`);
      await applyGuarded(opened, line, { merge, waitMs: timeoutMs });
      this.#count(line, "written");
    } catch (error) {
      if (isRefusal(error)) this.#refuse(line, error.message);
      else this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  #refuse(line: ContentLine, reason: string): void {
    this.#count(line, "skipped");
    this.#refusedCount++;
    const { collection, key } = line;
    if (this.#refused.length < refusedMax) this.#refused.push({ collection, key, reason });
  }

  async #paced(): Promise<void> {
    if (++this.#lines % batchLinesMax === 0) await this.#settled();
  }

  /** On the disk, or at a peer. */
  async #settled(): Promise<void> {
    const { replica, timeoutMs } = this.#options;
    const { storage, peers } = replica.status();
    const by = storage.kind === "durable" && peers.length === 0 ? "durable" : 1;
    await replica.acknowledged(replica.version(), { by, timeoutMs });
  }

  /** Lines of one key follow each other. */
  #count(line: ContentLine, as: keyof Tally): void {
    const last = this.#last;
    this.#last = line;
    if (last?.collection === line.collection && last.key === line.key) return;
    const tally = this.#tallies.get(line.collection) ?? { written: 0, skipped: 0 };
    tally[as]++;
    this.#tallies.set(line.collection, tally);
  }

  #collectionOf({ collection }: ContentLine): ParsedCollection {
    const found = this.#types.get(collection);
    if (found === undefined) throw new Error("assertion: a line of an unknown collection");
    return found;
  }
}

/** What concerns one key only. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof AlreadyClaimedError ||
  error instanceof InsufficientError ||
  error instanceof RightsUnavailableError ||
  error instanceof GuardTakenError;
