/**
 * One process of the soak with a stalled peer: the writer, the healthy peer or the stalled one. It
 * does what the parent asks for, one message a call.
 */
import { readFileSync } from "node:fs";
import { openReplica, type Replica } from "../../src/index.ts";
import { Gate } from "./gate.ts";
import { contentDigest, Load, schema, sortedVersion } from "./load.ts";
import { serve } from "./serve.ts";

/** Who a process is, and whom it dials. */
export interface OpenRequest {
  readonly name: string;
  /** Omitted: it listens. */
  readonly peer?: string;
  /** Dials through a gate in this process, which `shut` shuts. */
  readonly gated?: boolean;
}

/** What a process uses, and how it stands with its peers. */
export interface Sample {
  readonly rss: number;
  /** The most since the last sample. */
  readonly rssMax: number;
  /** Heap in use after a collection, and array buffers. */
  readonly heap: number;
  readonly operations: number;
  readonly peers: readonly PeerFigures[];
}

/** One link. */
export interface PeerFigures {
  readonly name: string;
  readonly state: string;
  readonly lagBatches: number;
  readonly framesOut: number;
  readonly bytesOut: number;
}

/** What came in a while. */
export interface Heard {
  /** How late each beat was, in ms, by the second in which it came. */
  readonly seconds: readonly (readonly number[])[];
  readonly forMs: number;
  /** How long the process could have run, but other processes had the CPUs, in ms; Linux only. */
  readonly cpuWaitMs: number;
}

/** What a replica holds. */
export interface Holding {
  readonly version: string;
  readonly content: string;
}

/** What a process can be asked. */
export interface Actions {
  /** Resolves with the address that it listens at. */
  open(request: OpenRequest): Promise<string>;
  fill(): string;
  startLoad(): void;
  /** Resolves with the version at the end. */
  stopLoad(): string;
  version(): string;
  /** Resolves with how long it took, in ms. */
  waitFor(version: string, timeoutMs: number): Promise<number>;
  sample(): Sample;
  /** Begins to note latencies. */
  listen(): void;
  /** What came since the last call. */
  takeHeard(): Heard;
  shut(): void;
  reopen(): void;
  holding(): Holding;
  close(): Promise<void>;
}

/** How often a register is written to measure by, in ms. */
const beatEveryMs = 10;
/** Beats take turns at so many keys, so that a late one is not replaced by the next. */
const beatKeys = 256;
const rssEveryMs = 200;

/** Of a clock that all processes of a machine share, in ms. */
const sharedMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** Of the main thread, since it began. */
function cpuWaitMs(): number {
  try {
    return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]) / 1e6;
  } catch {
    return Number.NaN;
  }
}

class StallProcess implements Actions {
  #replica: Replica<typeof schema> | undefined;
  #gate: Gate | undefined;
  #load: Load | undefined;
  #isLoading = false;
  #beats = 0;
  #beatMs = 0;
  #rssMax = 0;
  /** By second. */
  readonly #latencies = new Map<number, number[]>();
  #sinceMs = sharedMs();
  #cpuWaitMs = cpuWaitMs();

  async open({ name, peer, gated = false }: OpenRequest): Promise<string> {
    if (gated && peer !== undefined) this.#gate = await Gate.before(peer);
    const target = this.#gate?.url ?? peer;
    this.#replica = await openReplica({
      schema,
      name,
      ...(target === undefined ? { listen: { port: 0 } } : { peers: [target] }),
    });
    setInterval(() => {
      this.#rssMax = Math.max(this.#rssMax, process.memoryUsage.rss());
    }, rssEveryMs).unref();
    return `ws://127.0.0.1:${this.#replica.address?.port ?? 0}`;
  }

  fill(): string {
    this.#load = new Load(this.#opened.collections);
    this.#load.fill();
    return this.#opened.version();
  }

  startLoad(): void {
    this.#isLoading = true;
    this.#turn();
  }

  stopLoad(): string {
    this.#isLoading = false;
    return this.#opened.version();
  }

  version(): string {
    return this.#opened.version();
  }

  async waitFor(version: string, timeoutMs: number): Promise<number> {
    const startMs = sharedMs();
    await this.#opened.waitFor(version, { timeoutMs });
    return sharedMs() - startMs;
  }

  sample(): Sample {
    if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
    globalThis.gc();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    const rssMax = Math.max(this.#rssMax, rss);
    this.#rssMax = 0;
    const peers = this.#opened.status().peers.map((view) => ({
      name: view.name ?? "unknown",
      state: view.state,
      lagBatches: view.lagBatches,
      framesOut: view.framesOut,
      bytesOut: view.bytesOut,
    }));
    const operations = this.#load?.operations ?? 0;
    return { rss, rssMax, heap: heapUsed + arrayBuffers, operations, peers };
  }

  listen(): void {
    void this.#listen();
  }

  takeHeard(): Heard {
    const before = { sinceMs: this.#sinceMs, waitMs: this.#cpuWaitMs };
    const seconds = [...this.#latencies.values()];
    this.#latencies.clear();
    this.#sinceMs = sharedMs();
    this.#cpuWaitMs = cpuWaitMs();
    const forMs = this.#sinceMs - before.sinceMs;
    return { seconds, forMs, cpuWaitMs: this.#cpuWaitMs - before.waitMs };
  }

  shut(): void {
    this.#gate?.shut();
  }

  reopen(): void {
    this.#gate?.open();
  }

  holding(): Holding {
    const version = sortedVersion(this.#opened.version());
    return { version, content: contentDigest(this.#opened.collections) };
  }

  async close(): Promise<void> {
    this.#isLoading = false;
    await this.#replica?.close();
    await this.#gate?.[Symbol.asyncDispose]();
  }

  get #opened(): Replica<typeof schema> {
    if (this.#replica === undefined) throw new Error("not open");
    return this.#replica;
  }

  readonly #turn = (): void => {
    if (!this.#isLoading) return;
    this.#load?.turn();
    const nowMs = sharedMs();
    if (nowMs - this.#beatMs >= beatEveryMs) {
      this.#beatMs = nowMs;
      this.#opened.collections.beats.set(`beat ${this.#beats++ % beatKeys}`, nowMs);
    }
    setImmediate(this.#turn);
  };

  async #listen(): Promise<void> {
    const { beats } = this.#opened.collections;
    for await (const { key } of this.#opened.watch("beats")) {
      const nowMs = sharedMs();
      const second = Math.floor(nowMs / 1_000);
      const latencies = this.#latencies.get(second) ?? [];
      this.#latencies.set(second, latencies);
      latencies.push(nowMs - (beats.get(key) ?? 0));
    }
  }
}

serve(new StallProcess());
