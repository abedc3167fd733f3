/** The nodes of one cell, in processes of their own, with one strategy open on all of them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Bounds, WorkerProcess } from "../worker-process.ts";
import { agrees, type Book } from "./ledger.ts";
import type { Command, KeySet, Load, LoadFigures, Reply } from "./node/messages.ts";
import { Network } from "./network.ts";
import { monotonicMs } from "./monotonic.ts";
import type { Cell } from "./results.ts";

/** A node's process. */
export type NodeProcess = WorkerProcess<Command, Reply>;

/** Before a load, so that all nodes have heard of it. In ms. */
const leadMs = 40;
/** How long nodes may take to see what they were given, in ms. */
const fillMs = 10_000;
/** How long they may take to agree with the books, in ms. */
const settleMs = 5_000;
const lookEveryMs = 20;
let spaces = 0;

/** What a load is, but for whose it is. */
export interface LoadPlan extends Pick<
  Load,
  "pace" | "keys" | "seed" | "warmMs" | "countedMs" | "slices"
> {
  /** Instead of all callers, these. */
  readonly callers?: readonly number[];
  /** Of each node: where it notes what it does. */
  readonly journals?: readonly string[];
}

/** Processes that are used again by the next cell of the same strategy: starting them takes longer than most cells. */
export class NodePool implements AsyncDisposable {
  readonly #bounds: Bounds;
  #strategy = "";
  #processes: NodeProcess[] = [];

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** So many, none of which ever ran another strategy. */
  async take(strategy: string, count: number): Promise<readonly NodeProcess[]> {
    if (strategy !== this.#strategy) await this.clear();
    this.#strategy = strategy;
    while (this.#processes.length < count) {
      this.#processes.push(
        new WorkerProcess({
          name: `node ${this.#processes.length} of ${strategy}`,
          module: new URL("node/main.js", import.meta.url),
          ...this.#bounds,
        }),
      );
    }
    return this.#processes.slice(0, count);
  }

  /** Ends all: after a fault nobody knows what they are at. */
  async clear(): Promise<void> {
    const ending = this.#processes;
    this.#processes = [];
    await Promise.all(ending.map(async (each) => await each[Symbol.asyncDispose]()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear();
  }
}

/** One strategy, open on all nodes of a cell. */
export class NodeCluster implements AsyncDisposable {
  readonly cell: Cell;
  readonly network: Network;
  readonly nodes: readonly NodeProcess[];
  /** Before the keys of this cluster, which has servers to share with others. */
  readonly space: string = `b${process.pid}-${spaces++}-`;
  #directory: string | undefined;

  private constructor(cell: Cell, nodes: readonly NodeProcess[]) {
    this.cell = cell;
    this.nodes = nodes;
    this.network = new Network(cell.roundTripMs);
  }

  /** Opens the strategy everywhere and links the nodes. */
  static async open(
    cell: Cell,
    nodes: readonly NodeProcess[],
    servers: readonly string[],
  ): Promise<NodeCluster> {
    const cluster = new NodeCluster(cell, nodes);
    try {
      if (cell.isDurable) cluster.#directory = await mkdtemp(join(tmpdir(), "trellis-bench-"));
      await cluster.#open(servers);
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Gives each key so many units and waits until all nodes see them. */
  async give(keys: KeySet, units: number): Promise<void> {
    await this.nodes[0]?.ask({ kind: "fill", keys, units }, "done");
    const endMs = performance.now() + fillMs;
    const isSeen = async (): Promise<boolean> => {
      const shown = await this.count(keys);
      return shown.every((node) => node.every((each) => each === units));
    };
    while (!(await isSeen())) {
      if (performance.now() > endMs) throw new Error(`the units are not seen after ${fillMs} ms`);
      await sleep(lookEveryMs);
    }
  }

  /** The units of each key, as each node sees them. */
  async count(
    keys: KeySet,
    nodes: readonly NodeProcess[] = this.nodes,
  ): Promise<readonly (readonly number[])[]> {
    return await Promise.all(
      nodes.map(async (node) => (await node.ask({ kind: "count", keys }, "counted")).units),
    );
  }

  /** What the nodes show once they agree with the books and each other, or had time to. */
  async settled(
    keys: KeySet,
    book: Book,
    nodes: readonly NodeProcess[] = this.nodes,
  ): Promise<readonly (readonly number[])[]> {
    const endMs = performance.now() + settleMs;
    for (;;) {
      const shown = await this.count(keys, nodes);
      const [first] = shown;
      const isSettled = shown.every(
        (node) => agrees(book, node) && node.every((units, key) => units === first?.[key]),
      );
      if (isSettled || performance.now() > endMs) return shown;
      await sleep(lookEveryMs);
    }
  }

  /** Puts a load on all nodes at once; of an open one, each is offered its callers' part. */
  async load(plan: LoadPlan): Promise<readonly LoadFigures[]> {
    const startMs = monotonicMs() + leadMs;
    return await Promise.all(this.nodes.map((_, node) => this.loadOf(node, plan, startMs)));
  }

  /** The part of one node. */
  async loadOf(
    node: number,
    { callers: some, journals, ...plan }: LoadPlan,
    startMs: number,
  ): Promise<LoadFigures> {
    const { callers: count, nodes, workload, zipf } = this.cell;
    const all = some ?? Array.from({ length: count }, (_, caller) => caller);
    const callers = all.filter((caller) => caller % nodes === node);
    const journal = journals?.[node];
    const load: Load = {
      ...plan,
      ...{ workload, zipf, callers, callersOfAll: count, startMs },
      pace: paceOf(plan.pace, callers.length / all.length),
      ...(journal === undefined ? {} : { journal }),
    };
    const process = this.nodes[node];
    if (process === undefined) throw new RangeError(`there is no node ${node}`);
    return (await process.ask({ kind: "load", load }, "loaded")).figures;
  }

  /** Closes the strategy; the processes stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await Promise.all(
        this.nodes.map(async (node) => {
          if (!node.isKilled) await node.ask({ kind: "close" }, "done");
        }),
      );
    } finally {
      await this.network[Symbol.asyncDispose]();
      if (this.#directory !== undefined) {
        await rm(this.#directory, { recursive: true, force: true, maxRetries: 3 });
      }
    }
  }

  async #open(servers: readonly string[]): Promise<void> {
    const { strategy, workload, nodes: count } = this.cell;
    const urls = await Promise.all(
      this.nodes.map(async (process, node) => {
        const context = {
          ...{ node, nodes: count, workload, space: this.space },
          servers: await Promise.all(
            servers.map(async (server) => await this.network.link(server, node)),
          ),
          directory: this.#directory === undefined ? undefined : join(this.#directory, `${node}`),
        };
        return (await process.ask({ kind: "open", strategy, context }, "opened")).url;
      }),
    );
    await Promise.all(
      this.nodes.map(async (process, node) => {
        const earlier = urls.slice(0, node).flatMap((url) => url ?? []);
        const through = earlier.map(
          async (url, other) => await this.network.link(url, node, other),
        );
        await process.ask({ kind: "join", urls: await Promise.all(through) }, "done");
      }),
    );
  }
}

const paceOf = (pace: Load["pace"], part: number): Load["pace"] =>
  pace.kind === "closed" ? pace : { kind: "open", perSecond: pace.perSecond * part };
