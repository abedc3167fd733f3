/**
 * What becomes of a strategy when something fails under it: one node loses its network for a while, and is then killed
 * in the middle of whatever it is at, locks and all; and the server is killed, and started again. Where there is no
 * server the first node is killed instead, which is the one that others depend on if they depend on any.
 *
 * The load is an open one that the strategy can surely keep, so what is not answered is missing because of the fault.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Server } from "../servers/server.ts";
import { NodeCluster, type NodePool, type NodeProcess } from "./cluster.ts";
import { violationsOf } from "./ledger.ts";
import { monotonicMs } from "./monotonic.ts";
import { readJournal } from "./node/journal.ts";
import type { KeySet, LoadFigures } from "./node/messages.ts";
import type { Cell, FaultResult, Violations } from "./results.ts";
import { Tally, type TallyFigures } from "./tally.ts";
import { type Workload, workloadOf } from "./workload.ts";

/** What a fault is tried on. */
export interface FaultOptions {
  readonly cell: Cell;
  /** What a closed load of the same cell got done a second. */
  readonly perSecond: number;
  readonly pool: NodePool;
  readonly servers: readonly string[];
  /** Those that may be killed; none if they are somebody else's. */
  readonly own: readonly Server[];
  readonly seed: number;
}

const keysCount = 20;
/** Of each key: those that are wanted most are gone before the load is over. */
const units = 60;
const offeredPerSecondMax = 300;
const bucketMs = 50;
const warmMs = 400;
/** From the beginning of what is counted, in ms. */
const faultAtMs = 1_000;
const cutMs = 1_200;
/** After the cut, before the kill. */
const calmMs = 800;
const afterKillMs = 1_500;
const serverMs = 3_000;

/** Runs all faults that can be tried. */
export async function faultsOf(asked: FaultOptions): Promise<readonly FaultResult[]> {
  const { callers, nodes } = asked.cell;
  // As many on each node, so that what nodes get done can be compared.
  const options = { ...asked, cell: { ...asked.cell, callers: callers - (callers % nodes) } };
  const results = await attempt(options, ["cut-node", "kill-node"], hitNode);
  const isPossible = options.servers.length === 0 || options.own.length > 0;
  return isPossible
    ? [...results, ...(await attempt(options, ["kill-server"], hitServer))]
    : results;
}

type Fault = FaultResult["fault"];

/** Opens a cluster of its own, whose processes are ended afterwards; an error is a result too. */
async function attempt(
  options: FaultOptions,
  faults: readonly Fault[],
  hit: (run: FaultRun) => Promise<readonly FaultResult[]>,
): Promise<readonly FaultResult[]> {
  const { cell, pool, servers } = options;
  await pool.clear();
  try {
    const nodes = await pool.take(cell.strategy, cell.nodes);
    await using cluster = await NodeCluster.open(cell, nodes, servers);
    await using run = await FaultRun.open(options, cluster);
    return await hit(run);
  } catch (error) {
    const { strategy, workload } = cell;
    const reason = error instanceof Error ? error.message : String(error);
    return faults.map((fault) => ({
      ...{ strategy, workload, fault, perSecondBefore: 0, perSecondOfOthers: 0 },
      ...{ longestSilenceMs: 0, failed: 0, violations: violationsOf(noBook, [], noUnits) },
      error: reason,
    }));
  } finally {
    await pool.clear();
  }
}

const noBook = { keys: 0, filled: 0, tallies: [] };
const noUnits = { hasUnits: false };

/** A cut of the last node, peace, and a kill of the one before it, under one load. */
async function hitNode(run: FaultRun): Promise<readonly FaultResult[]> {
  const { cluster } = run;
  const last = cluster.nodes.length - 1;
  const killAtMs = faultAtMs + cutMs + calmMs;
  await run.load(killAtMs + afterKillMs, async (at) => {
    await at(faultAtMs);
    cluster.network.cut(last);
    await at(faultAtMs + cutMs);
    cluster.network.heal(last);
    await at(killAtMs);
    await cluster.nodes[last - 1]?.kill();
  });
  const violations = await run.violations();
  const cut = { fromMs: faultAtMs, untilMs: faultAtMs + cutMs };
  return [
    {
      ...run.result("cut-node", cut, last),
      perSecondOfTheCut: run.perSecond(cut, (node) => node === last),
      violations,
    },
    {
      ...run.result("kill-node", { fromMs: killAtMs, untilMs: killAtMs + afterKillMs }, last - 1),
      violations,
    },
  ];
}

/** The server, or the first of them, or the first node. */
async function hitServer(run: FaultRun): Promise<readonly FaultResult[]> {
  const [server] = run.own;
  const [node] = run.cluster.nodes;
  await run.load(faultAtMs + serverMs, async (at) => {
    await at(faultAtMs);
    if (server === undefined) return await node?.kill();
    await server.kill();
    await server.restart();
  });
  const violations = await run.violations();
  const span = { fromMs: faultAtMs, untilMs: faultAtMs + serverMs };
  return [{ ...run.result("kill-server", span, server === undefined ? 0 : undefined), violations }];
}

interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A load during which something happens, and what came of it. */
class FaultRun implements AsyncDisposable {
  readonly cluster: NodeCluster;
  readonly own: readonly Server[];
  readonly #options: FaultOptions;
  readonly #directory: string;
  /** By node; undefined for one that was killed. */
  #loads: readonly (LoadFigures | undefined)[] = [];

  private constructor(options: FaultOptions, cluster: NodeCluster, directory: string) {
    this.#options = options;
    this.cluster = cluster;
    this.own = options.own;
    this.#directory = directory;
  }

  static async open(options: FaultOptions, cluster: NodeCluster): Promise<FaultRun> {
    const directory = await mkdtemp(join(tmpdir(), "trellis-bench-journals-"));
    const run = new FaultRun(options, cluster, directory);
    if (run.#workload.hasUnits) await cluster.give(run.#keys, units);
    return run;
  }

  /** Puts the load on all nodes and does `what` meanwhile. */
  async load(
    countedMs: number,
    what: (at: (ms: number) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { perSecond, seed } = this.#options;
    const startMs = monotonicMs() + 50;
    const plan = {
      pace: { kind: "open", perSecond: Math.min(offeredPerSecondMax, perSecond / 2) },
      ...{ keys: this.#keys, seed, warmMs, countedMs, slices: Math.round(countedMs / bucketMs) },
      journals: this.#journals,
    } as const;
    const loads = this.cluster.nodes.map(async (node, index) => {
      try {
        return await this.cluster.loadOf(index, plan, startMs);
      } catch (error) {
        if (node.isKilled) return undefined;
        throw error;
      }
    });
    const at = async (ms: number): Promise<void> => {
      await sleep(Math.max(0, startMs + warmMs + ms - monotonicMs()));
    };
    const [all] = await Promise.all([Promise.all(loads), what(at)]);
    this.#loads = all;
  }

  /** What is known of a fault; `hit` is the node that it fell on, if it was one. */
  result(fault: Fault, span: Span, hit: number | undefined): Omit<FaultResult, "violations"> {
    const { strategy, workload } = this.#options.cell;
    const isSpared = (node: number): boolean => node !== hit;
    return {
      ...{ strategy, workload, fault },
      perSecondBefore: this.perSecond({ fromMs: 0, untilMs: faultAtMs }, isSpared),
      perSecondOfOthers: this.perSecond(span, isSpared),
      longestSilenceMs: this.#longestSilenceMs(span, isSpared),
      failed: this.#loads.reduce((sum, load) => sum + (load?.tally.failed ?? 0), 0),
    };
  }

  /** Answers a second and node in that time, of the nodes that `isMeant` names and that lived. */
  perSecond({ fromMs, untilMs }: Span, isMeant: (node: number) => boolean): number {
    const buckets = this.#buckets(isMeant).slice(fromMs / bucketMs, untilMs / bucketMs);
    const nodes = this.#loads.filter((load, node) => load !== undefined && isMeant(node)).length;
    const answered = buckets.reduce((sum, each) => sum + each, 0);
    return nodes === 0 ? 0 : (answered * 1_000) / (untilMs - fromMs) / nodes;
  }

  /** What the books and the nodes that live say. */
  async violations(): Promise<Violations> {
    const tallies = this.#loads.map((load, node) => load?.tally ?? this.#tallyOfTheDead(node));
    const filled = this.#workload.hasUnits ? units : 0;
    const book = { keys: keysCount, filled, tallies };
    const living: NodeProcess[] = this.cluster.nodes.filter(({ isKilled }) => !isKilled);
    // Whoever depends on what is dead cannot say what there is; then there are the books alone.
    const shown = await this.cluster.settled(this.#keys, book, living).catch(() => []);
    return violationsOf(book, shown, this.#workload);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  get #workload(): Workload {
    return workloadOf(this.#options.cell.workload);
  }

  get #keys(): KeySet {
    return { prefix: `${this.cluster.space}f`, count: keysCount };
  }

  get #journals(): readonly string[] {
    return this.cluster.nodes.map((_, node) => join(this.#directory, `${node}`));
  }

  #tallyOfTheDead(node: number): TallyFigures {
    const tally = new Tally({ keys: keysCount, slices: 1, readsPerSample: 1 });
    const sign = this.#workload.hasUnits ? -1 : 1;
    // What only the dead node kept is not to be seen until it is back, which is no rule broken; sold it is all the same.
    const isAway = this.#options.servers.length === 0;
    for (const [name, noted] of readJournal(this.#journals[node] ?? "")) {
      const key = Number(name.slice(this.#keys.prefix.length));
      tally.changes[key] = sign * noted.acknowledged;
      tally.fail("killed", [key, noted.unknown + (isAway ? noted.acknowledged : 0)]);
    }
    return tally.figures();
  }

  #buckets(isMeant: (node: number) => boolean): readonly number[] {
    const meant = this.#loads.filter((load, node) => load !== undefined && isMeant(node));
    const count = Math.max(0, ...meant.map((load) => load?.tally.answered.length ?? 0));
    return Array.from({ length: count }, (_, bucket) =>
      meant.reduce((sum, load) => sum + (load?.tally.answered[bucket] ?? 0), 0),
    );
  }

  #longestSilenceMs({ fromMs, untilMs }: Span, isMeant: (node: number) => boolean): number {
    let [longest, current] = [0, 0];
    for (const answered of this.#buckets(isMeant).slice(fromMs / bucketMs, untilMs / bucketMs)) {
      current = answered > 0 ? 0 : current + bucketMs;
      longest = Math.max(longest, current);
    }
    return longest;
  }
}
