/**
 * Guards in a store that compares and writes, but does not compute. The next record is made here, from the
 * record that is known here, and the store writes it if that one has not moved; if it has, it says what
 * is there instead, and that decides. A client that was the last to write needs one round trip.
 */
import { LockUnavailableError } from "../../errors.ts";
import type { CommitReply, CommitRequest, CompareAndSetRequest, WriteReply } from "./authority.ts";
import type { Reborn } from "./authority.ts";
import { commit, compareAndSet, type Fence, type GuardRecord } from "./guard.ts";

/** What a store says of one resource. */
export interface Found {
  /** What moves with every write of the record; 0 when there is none. */
  readonly stamp: bigint;
  /** With the fence that is installed, if its lease lives. */
  readonly record: GuardRecord;
}

/** What must be so for a write, and what is written then. */
export interface Change {
  readonly resource: string;
  /** It must be installed; without one nobody may hold the resource, nor stand in its line. */
  readonly fence?: Fence;
  readonly stamp: bigint;
  /** Without it the resource is only checked. */
  readonly record?: GuardRecord;
}

/** What came of a write: all of it was done, or nothing, and this was there. */
export type Changed =
  | {
      readonly kind: "changed";
      readonly stamps: readonly bigint[];
      /** The largest token granted of each. */
      readonly tokens: readonly bigint[];
    }
  | FoundAll
  | Reborn;

/** All resources that were asked for, at one moment. */
export interface FoundAll {
  readonly kind: "found";
  readonly found: readonly Found[];
}

/** A store that compares. */
export interface ComparingStore {
  find(
    birth: string,
    asked: readonly Pick<Change, "resource" | "fence">[],
  ): Promise<FoundAll | Reborn>;
  change(birth: string, changes: readonly Change[]): Promise<Changed>;
}

/** What is kept of the records that were used last, in bytes of their values. */
const knownBytesMax = 32 * 1024 * 1024;
/** For a record without a value. */
const recordBytes = 512;
/** Others that write meanwhile make it compute again; so often. */
const triesMax = 8;

/** Commits and compare-and-sets on such a store. */
export class OptimisticGuards {
  readonly #store: ComparingStore;
  /** By resource, the latest used last. */
  readonly #known = new Map<string, Found>();
  #knownBytes = 0;

  constructor(store: ComparingStore) {
    this.#store = store;
  }

  /** Remembers what the store said. */
  note(resource: string, found: Found): void {
    const known = this.#known.get(resource);
    if (known && known.stamp > found.stamp) return;
    this.#forget(resource);
    this.#known.set(resource, found);
    this.#knownBytes += sizeOf(found);
    for (const oldest of this.#known.keys()) {
      if (this.#knownBytes <= knownBytesMax) break;
      this.#forget(oldest);
    }
  }

  async commit(birth: string, { parts, operationId }: CommitRequest): Promise<CommitReply> {
    let found = this.#recall(parts.map(({ resource }) => resource));
    let isFresh = false;
    for (let tries = 0; tries < triesMax; tries++) {
      const before = found;
      if (before) {
        const outcome = commit(
          parts.map((part, i) => {
            const { record } = before[i] ?? nothing;
            return { ...part, record: isFresh ? record : { ...record, holder: live(part.fence) } };
          }),
          operationId,
        );
        const isRefused = outcome.kind !== "committed";
        // What was known only here may be old; what the store has just said decides.
        if (isRefused && isFresh) return outcome;
        if (!isRefused && isFresh && isRepeated(outcome.versions, parts, before)) {
          return { kind: "committed", versions: outcome.versions };
        }
        if (!isRefused && !isRepeated(outcome.versions, parts, before)) {
          const changes = parts.map(({ resource, fence, value }, i): Change => {
            const change = { resource, fence, stamp: before[i]?.stamp ?? 0n };
            const record = outcome.records[i];
            return value && record ? { ...change, record } : change;
          });
          const changed = await this.#change(birth, changes);
          if (changed.kind === "reborn") return changed;
          if (changed.kind === "changed") return { kind: "committed", versions: outcome.versions };
          found = changed.found;
          isFresh = true;
          continue;
        }
      }
      const answer = await this.#find(birth, parts);
      if (answer.kind === "reborn") return answer;
      found = answer.found;
      isFresh = true;
    }
    throw tooBusy(parts[0]?.resource ?? "");
  }

  async compareAndSet(birth: string, request: CompareAndSetRequest): Promise<WriteReply> {
    const { resource, expected } = request;
    let found = this.#recall([resource])?.[0];
    // Nothing is there to be known, as long as nothing was ever written.
    if (!found && expected === 0n) found = nothing;
    let isFresh = false;
    for (let tries = 0; tries < triesMax; tries++) {
      if (found) {
        const record: GuardRecord = isFresh ? found.record : { ...found.record, holder: undefined };
        const outcome = compareAndSet(record, { ...request, nowMs: 0 });
        const isRepeated = outcome.kind === "written" && outcome.record === record;
        if (outcome.kind !== "written" && isFresh) return outcome;
        if (isRepeated && isFresh) {
          return { kind: "written", version: outcome.version, token: record.token };
        }
        if (outcome.kind === "written" && !isRepeated) {
          const change = { resource, stamp: found.stamp, record: outcome.record };
          const changed = await this.#change(birth, [change]);
          if (changed.kind === "reborn") return changed;
          if (changed.kind === "changed") {
            return { kind: "written", version: outcome.version, token: changed.tokens[0] ?? 0n };
          }
          found = changed.found[0] ?? nothing;
          isFresh = true;
          continue;
        }
      }
      const answer = await this.#find(birth, [{ resource }]);
      if (answer.kind === "reborn") return answer;
      found = answer.found[0] ?? nothing;
      isFresh = true;
    }
    throw tooBusy(resource);
  }

  async #find(
    birth: string,
    asked: readonly Pick<Change, "resource" | "fence">[],
  ): Promise<FoundAll | Reborn> {
    const answer = await this.#store.find(birth, asked);
    if (answer.kind === "found") this.#noteAll(asked, answer.found);
    return answer;
  }

  async #change(birth: string, changes: readonly Change[]): Promise<Changed> {
    const changed = await this.#store.change(birth, changes);
    if (changed.kind === "found") this.#noteAll(changes, changed.found);
    if (changed.kind !== "changed") return changed;
    for (const [i, { resource, record }] of changes.entries()) {
      const stamp = changed.stamps[i];
      if (record && stamp !== undefined) this.note(resource, { stamp, record });
    }
    return changed;
  }

  #noteAll(asked: readonly { readonly resource: string }[], found: readonly Found[]): void {
    for (const [i, { resource }] of asked.entries()) {
      const one = found[i];
      if (one) this.note(resource, one);
    }
  }

  /** All of them, or nothing. */
  #recall(resources: readonly string[]): readonly Found[] | undefined {
    const found: Found[] = [];
    for (const resource of resources) {
      const known = this.#known.get(resource);
      if (!known) return undefined;
      this.#known.delete(resource);
      this.#known.set(resource, known);
      found.push(known);
    }
    return found;
  }

  #forget(resource: string): void {
    const known = this.#known.get(resource);
    if (!known) return;
    this.#known.delete(resource);
    this.#knownBytes -= sizeOf(known);
  }
}

/** A resource that nobody has touched. */
const nothing: Found = {
  stamp: 0n,
  record: { value: undefined, version: 0n, token: 0n, holder: undefined, operations: [] },
};

/** Its lease lives, as far as is known here. */
const live = (fence: Fence): NonNullable<GuardRecord["holder"]> => {
  return { ...fence, untilMs: Number.POSITIVE_INFINITY, endMs: Number.POSITIVE_INFINITY };
};

const sizeOf = ({ record }: Found): number => recordBytes + (record.value?.length ?? 0);

/** Some part was written by this operation before: its version is not the next one. */
const isRepeated = (
  versions: readonly bigint[],
  parts: CommitRequest["parts"],
  found: readonly Found[],
): boolean =>
  parts.some(({ value }, i) => value && versions[i] !== (found[i]?.record.version ?? 0n) + 1n);

const tooBusy = (resource: string): LockUnavailableError =>
  new LockUnavailableError(`${resource} moved at each of ${triesMax} tries; nothing was written`, {
    resource,
  });
