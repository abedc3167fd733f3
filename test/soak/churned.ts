/**
 * A durable replica that is written to for long while what is live stays as much as it was: elements
 * come under new names and go again, registers are written over and over. A linked peer holds the
 * same in memory, and so tells how many bytes all of it is, encoded.
 */
import { openReplica, lwwRegister, orSet, type Replica } from "../../src/index.ts";
import { parseVersionToken } from "../../src/store/version-token.ts";
import type { StorageBackend, StorageEngine } from "../../src/store/storage.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { bytesIn } from "./directory.ts";

const schema = { members: orSet(), profiles: lwwRegister<string>() };
type Churned = Replica<typeof schema>;

/** How much is written, and how much of it is live. */
export interface ChurnOptions {
  readonly directory: string;
  /** Additions, removals and registers that are set, in all. */
  readonly operations: number;
  /** Elements, and registers, that are live at a time. */
  readonly live: number;
  /** Told so often in all. */
  readonly samples: number;
  readonly onSample: (sample: Sample) => void;
}

/** How things stand. */
export interface Sample {
  readonly operations: number;
  /** Bytes in the directory: the most since the sample before. */
  readonly directoryBytes: number;
  /** Bytes of all records that are live, keys and values; the least that was found so far. */
  readonly liveBytes: number;
  /** `status().bytes` of the replica, what it keeps for peers, and the entries of its vector. */
  readonly memoryBytes: number;
  readonly removalsKept: number;
  readonly actors: number;
}

/** What may be in the directory while so much is live, in bytes. */
export const directoryBytesMax = (liveBytes: number): number => 3 * liveBytes + 16 * 2 ** 20;
/** From here on all must be flat, as a share of the operations. */
const warmShare = 0.1;
/** What memory may come to after that: arrays double, and a faster second leaves more to forget. */
const memoryBytesMax = (warmBytes: number): number => 2 * warmBytes + 4 * 2 ** 20;

/** What a second or two of removals are: so long they are kept though all have heard of them. */
const removalsKeptMax = 100_000;

const keys = 100;
const turnOperations = 1_000;
/** Writers are no faster than the disk and the peer, by more than this. */
const aheadOperations = 20_000;
const sizeEveryMs = 50;
/** Until all is forgotten and given back, in ms. */
const shrinkMsMax = 30_000;

/** Writes; resolves with what was not flat, in words. */
export async function churn(options: ChurnOptions): Promise<string[]> {
  const memory = measured();
  await using peer = await openReplica({
    schema,
    storage: memory.backend,
    listen: { port: 0 },
  });
  const url = `ws://127.0.0.1:${peer.address?.port ?? 0}`;
  await using replica = await openReplica({ schema, storage: options.directory, peers: [url] });
  const run = new Churn(options, replica, peer, memory.size);
  return await run.all();
}

/** A store in memory that can be asked how much it holds. */
function measured(): { readonly backend: StorageBackend; readonly size: () => Promise<number> } {
  const inner = memoryStorage();
  let engine: StorageEngine | undefined;
  return {
    backend: { open: async (options) => (engine = await inner.open(options)) },
    size: async () => (await engine?.size()) ?? 0,
  };
}

class Churn {
  readonly #options: ChurnOptions;
  readonly #replica: Churned;
  readonly #peer: Churned;
  readonly #liveBytes: () => Promise<number>;
  #done = 0;
  #elements = 0;
  #directoryBytes = 0;
  #warmLiveBytes = Number.POSITIVE_INFINITY;
  #warm: Sample | undefined;
  readonly #faults: string[] = [];

  constructor(
    options: ChurnOptions,
    replica: Churned,
    peer: Churned,
    liveBytes: () => Promise<number>,
  ) {
    this.#options = options;
    this.#replica = replica;
    this.#peer = peer;
    this.#liveBytes = liveBytes;
  }

  async all(): Promise<string[]> {
    const { operations, samples } = this.#options;
    const every = Math.ceil(operations / samples);
    const looking = setInterval(() => void this.#look(), sizeEveryMs);
    try {
      for (let next = every; this.#done < operations;) {
        this.#turn();
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        if (this.#done % aheadOperations === 0) await this.#wait();
        if (this.#done < next) continue;
        next += every;
        await this.#wait();
        await this.#sample();
      }
    } finally {
      clearInterval(looking);
    }
    this.#checkContent();
    await this.#shrink();
    return this.#faults;
  }

  /** Nearly all goes: the disk gets it back, though nobody writes any more. */
  async #shrink(): Promise<void> {
    const { members, profiles } = this.#replica.collections;
    for (const key of members.keys()) members.clear(key);
    for (const key of profiles.keys()) profiles.delete(key);
    await this.#wait();
    const endMs = performance.now() + shrinkMsMax;
    for (;;) {
      const bytes = await bytesIn(this.#options.directory);
      const most = directoryBytesMax(await this.#liveBytes());
      const { removalsKept } = this.#replica.status();
      if (bytes <= most && removalsKept === 0) return;
      if (performance.now() > endMs) {
        this.#faults.push(`${bytes} bytes, ${removalsKept} removals are left after all went`);
        return;
      }
      await new Promise((resolve) => {
        setTimeout(resolve, sizeEveryMs);
      });
    }
  }

  /** A third each: an element comes, the one that came `live` before it goes, a register is set. */
  #turn(): void {
    const { members, profiles } = this.#replica.collections;
    const { live } = this.#options;
    for (let i = 0; i < turnOperations; i += 3) {
      const at = this.#elements++;
      members.add(`key ${at % keys}`, `element ${at}`);
      const gone = at - live;
      if (gone >= 0) members.remove(`key ${gone % keys}`, `element ${gone}`);
      profiles.set(`profile ${(at * 7_919) % live}`, valueAt(at));
    }
    this.#done += turnOperations;
  }

  /** Until all is on the disk, and with the peer. */
  async #wait(): Promise<void> {
    const version = this.#replica.version();
    const timeoutMs = 60_000;
    await Promise.all([
      this.#replica.acknowledged(version, { by: "durable", timeoutMs }),
      this.#replica.acknowledged(version, { by: 1, timeoutMs }),
    ]);
  }

  async #look(): Promise<void> {
    const bytes = await bytesIn(this.#options.directory);
    this.#directoryBytes = Math.max(this.#directoryBytes, bytes);
  }

  async #sample(): Promise<void> {
    await this.#look();
    const { operations, live } = this.#options;
    const { bytes, removalsKept } = this.#replica.status();
    // What is live has come to its full number by then. Removals that are kept are on top of it.
    const isWarm = this.#done >= warmShare * operations && this.#elements > live;
    const encodedBytes = await this.#liveBytes();
    if (isWarm) this.#warmLiveBytes = Math.min(this.#warmLiveBytes, encodedBytes);
    const sample: Sample = {
      operations: this.#done,
      directoryBytes: this.#directoryBytes,
      liveBytes: Math.min(this.#warmLiveBytes, encodedBytes),
      memoryBytes: bytes,
      removalsKept,
      actors: parseVersionToken(this.#replica.version()).size,
    };
    this.#directoryBytes = 0;
    this.#options.onSample(sample);
    if (isWarm && this.#warm) this.#check(sample, this.#warm);
    if (isWarm) this.#warm ??= sample;
  }

  #check(sample: Sample, warm: Sample): void {
    const { operations, directoryBytes, liveBytes, memoryBytes, removalsKept, actors } = sample;
    const fault = (what: string): void => {
      this.#faults.push(`after ${operations} operations: ${what}`);
    };
    const most = directoryBytesMax(liveBytes);
    if (directoryBytes > most)
      fault(`the directory has ${directoryBytes} bytes, more than ${most}`);
    if (memoryBytes > memoryBytesMax(warm.memoryBytes)) {
      fault(`${memoryBytes} bytes of memory, it was ${warm.memoryBytes}`);
    }
    if (actors > warm.actors) fault(`${actors} actors in the vector`);
    if (removalsKept > removalsKeptMax) fault(`${removalsKept} removals are kept`);
  }

  /** What was there last is there, and nothing else, on both. */
  #checkContent(): void {
    const { live } = this.#options;
    for (const { collections } of [this.#replica, this.#peer]) {
      const { members, profiles } = collections;
      const count = members.keys().reduce((sum, key) => sum + members.size(key), 0);
      const last = this.#elements - 1;
      const isThere = members.has(`key ${last % keys}`, `element ${last}`);
      const profile = profiles.get(`profile ${(last * 7_919) % live}`);
      if (count !== Math.min(live, this.#elements) || !isThere || profile !== valueAt(last)) {
        this.#faults.push(`${count} elements are there, not ${live}, or the last is not`);
      }
    }
  }
}

/** Of 40 to 100 bytes. */
const valueAt = (at: number): string => `value ${at} `.padEnd(40 + (at % 61), "x");
