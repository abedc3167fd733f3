/**
 * One durable replica of the soak that kills: it does what the parent asks for, one message a call,
 * until it is killed. What it says before that is all that the parent knows.
 */
import { counter, type FsyncPolicy, openReplica, orSet, type Replica } from "../../src/index.ts";
import { serve } from "./serve.ts";

/** Operation N counts `op-N` once, adds N + 1 to a sum and N to a set, in one transaction. */
const schema = { counts: counter(), sums: counter(), members: orSet() };

/** Sums that operations share, so that actors that ended have a part in them. */
const sums = 16;
/** Operations in one set. */
const setOperations = 1_000;

/** How to open a replica. */
export interface OpenRequest {
  readonly name: string;
  readonly directory: string;
  readonly fsync: FsyncPolicy;
  /** 0 picks one. */
  readonly port: number;
  readonly peers: readonly string[];
  /** Operations that were ever asked of anybody: those up to here are looked for. */
  readonly operations: number;
}

/** What there is after opening, before any peer could tell. */
export interface Opened {
  readonly port: number;
  /** For the replica alone, in ms. */
  readonly openMs: number;
  readonly view: View;
}

/** What a replica shows of the operations. */
export interface View {
  /** The operations that are there. */
  readonly held: readonly Range[];
  /** What no operation, done once and as a whole, leaves behind. */
  readonly faults: readonly string[];
}

/** From the first to before the end. */
export type Range = readonly [first: number, end: number];

/** What a process can be asked. */
export interface Actions {
  open(request: OpenRequest): Promise<Opened>;
  /** Resolves when the operations are durable. */
  operate(operations: readonly number[]): Promise<void>;
  version(): string;
  waitFor(version: string, timeoutMs: number): Promise<void>;
  view(operations: number): View;
  close(): Promise<void>;
}

class KillProcess implements Actions {
  #replica: Replica<typeof schema> | undefined;

  async open(request: OpenRequest): Promise<Opened> {
    const { name, directory, fsync, port, peers, operations } = request;
    const startMs = performance.now();
    const storage = { directory, fsync };
    const replica = await openReplica({ schema, name, storage, listen: { port } });
    const openMs = performance.now() - startMs;
    this.#replica = replica;
    // At once, and without peers so far: it is what the directory held.
    const view = this.view(operations);
    for (const peer of peers) replica.addPeer(peer);
    return { port: replica.address?.port ?? 0, openMs, view };
  }

  async operate(operations: readonly number[]): Promise<void> {
    const replica = this.#opened;
    const { counts, sums: totals, members } = replica.collections;
    for (const operation of operations) {
      replica.transact(() => {
        counts.increment(countKey(operation));
        totals.increment(sumKey(operation % sums), operation + 1);
        members.add(setKey(operation), String(operation));
      });
    }
    await replica.acknowledged(replica.version(), { by: "durable" });
  }

  version(): string {
    return this.#opened.version();
  }

  waitFor(version: string, timeoutMs: number): Promise<void> {
    return this.#opened.waitFor(version, { timeoutMs });
  }

  view(operations: number): View {
    const { counts, sums: totals, members } = this.#opened.collections;
    const faults: string[] = [];
    const held: [number, number][] = [];
    const expected = Array.from({ length: sums }, () => 0);
    let holds = 0;
    for (let operation = 0; operation < operations; operation++) {
      const count = counts.value(countKey(operation));
      const isMember = members.has(setKey(operation), String(operation));
      if (count > 1 || count < 0) faults.push(`operation ${operation} counts ${count} times`);
      if (count > 0 !== isMember) {
        faults.push(`operation ${operation} is there by half: count ${count}, member ${isMember}`);
      }
      if (count === 0) continue;
      holds++;
      const sum = operation % sums;
      expected[sum] = (expected[sum] ?? 0) + operation + 1;
      const last = held.at(-1);
      if (last?.[1] === operation) last[1]++;
      else held.push([operation, operation + 1]);
    }
    for (const [sum, value] of expected.entries()) {
      const shown = totals.value(sumKey(sum));
      if (shown !== value) faults.push(`sum ${sum} is ${shown}, its operations make ${value}`);
    }
    const inSets = members.keys().reduce((size, key) => size + members.size(key), 0);
    if (counts.size() !== holds || inSets !== holds) {
      faults.push(`${counts.size()} counters and ${inSets} elements, not ${holds} of each`);
    }
    return { held, faults };
  }

  async close(): Promise<void> {
    await this.#replica?.close();
  }

  get #opened(): Replica<typeof schema> {
    if (this.#replica === undefined) throw new Error("not open");
    return this.#replica;
  }
}

const countKey = (operation: number): string => `op-${operation}`;
const sumKey = (sum: number): string => `sum-${sum}`;
const setKey = (operation: number): string => `set-${Math.floor(operation / setOperations)}`;

serve(new KillProcess());
