/** A run: every strategy, service by service, so that no two kinds of server are up at the same time. */
import { loadavg } from "node:os";
import type { ServiceName } from "../servers/shared.ts";
import { BenchServers, type GivenServers } from "./bench-servers.ts";
import { measureClock } from "./clock-cost.ts";
import { NodeCluster, NodePool } from "./cluster.ts";
import { faultsOf } from "./faults.ts";
import { describeMachine } from "./machine.ts";
import { measure } from "./measure.ts";
import { measureRoundTrip } from "./network.ts";
import { base, type PlannedCell, type Profile, yardstick } from "./profile.ts";
import {
  type Cell,
  type CellResult,
  type FaultResult,
  type Results,
  type ScalingResult,
  type StrategyEntry,
  timeOver,
} from "./results.ts";
import { scalingQuestions } from "./scaling.ts";
import type { Strategy } from "./strategy.ts";
import type { WorkloadName } from "./workload.ts";

/** What a run is made of. */
export interface RunOptions {
  readonly profile: Profile;
  readonly strategies: readonly Strategy[];
  readonly workloads: readonly WorkloadName[];
  readonly servers: GivenServers;
  readonly seed: number;
  readonly version: string;
  /** For the results. */
  readonly command: string;
  readonly signal: AbortSignal;
  /** Told how many of how many questions were asked, and which is next. */
  onProgress(asked: number, all: number, next: string): void;
}

/** The longest that a node may take to answer one question, in ms. */
const answerMsMax = 20_000;
/** For one cell, whatever it is at, in ms. */
const cellMsMax = 45_000;

/** Runs it. Every process and server that it started has ended when it returns or throws. */
export async function run(options: RunOptions): Promise<Results> {
  const bench = new Run(options);
  try {
    return await bench.results();
  } finally {
    await bench.end();
  }
}

interface Task {
  readonly strategy: Strategy;
  readonly planned: readonly PlannedCell[];
  readonly hasFaults: boolean;
}

class Run {
  readonly #options: RunOptions;
  readonly #servers: BenchServers;
  readonly #pool: NodePool;
  readonly #startMs = performance.now();
  readonly #cells: CellResult[] = [];
  readonly #faults: FaultResult[] = [];
  readonly #scaling: ScalingResult[] = [];
  readonly #skipped = new Map<string, string>();
  readonly #descriptions: Record<string, string> = {};
  #asked = 0;
  #all = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#servers = new BenchServers(options.servers);
    this.#pool = new NodePool({ timeoutMs: answerMsMax, signal: options.signal });
  }

  async results(): Promise<Results> {
    const { profile, strategies, seed, version, command } = this.#options;
    const startedAt = new Date().toISOString();
    const machine = await describeMachine();
    const tasks = strategies.map((strategy) => this.#task(strategy));
    const questions = profile.hasScaling ? Object.entries(scalingQuestions) : [];
    this.#all = questions.length + tasks.reduce((sum, task) => sum + sizeOf(task), 0);
    const clock = await measureClock();
    const roundTripsMs = await this.#roundTrips(tasks);
    for (const service of new Set(tasks.map(({ strategy }) => strategy.service))) {
      const ofService = tasks.filter(({ strategy }) => strategy.service === service);
      for (const isDurable of [true, false]) await this.#service(service, isDurable, ofService);
    }
    await this.#servers.stop();
    for (const [name, ask] of questions) {
      this.#next(`scaling with ${name}`);
      if (!this.#isOver) this.#scaling.push(...(await ask(seed)));
    }
    return {
      version: 1,
      trellis: version,
      profile: profile.name,
      ...{ seed, command, startedAt, seconds: this.#seconds },
      machine: { ...machine, loadAverageAfter: loadavg()[0] ?? 0 },
      servers: this.#descriptions,
      ...{ clock, roundTripsMs, yardstick, base },
      strategies: strategies.map((strategy) => this.#entry(strategy)),
      ...{ cells: this.#cells, faults: this.#faults, scaling: this.#scaling },
    };
  }

  async end(): Promise<void> {
    await Promise.all([this.#pool.clear(), this.#servers.stop()]);
  }

  get #seconds(): number {
    return (performance.now() - this.#startMs) / 1_000;
  }

  get #isOver(): boolean {
    return this.#seconds > this.#options.profile.secondsMax;
  }

  #next(what: string): void {
    this.#options.signal.throwIfAborted();
    this.#options.onProgress(this.#asked++, this.#all, what);
  }

  #task(strategy: Strategy): Task {
    const { profile, workloads } = this.#options;
    const missing = strategy.service && this.#servers.missing(strategy.service);
    if (missing !== undefined) this.#skipped.set(strategy.name, missing);
    const asked = strategy.workloads.filter((name) => workloads.includes(name));
    if (asked.length === 0) this.#skipped.set(strategy.name, "it does none of these workloads");
    const isLeftOut = this.#skipped.has(strategy.name);
    return {
      strategy,
      planned: isLeftOut ? [] : profile.cells(strategy, asked),
      hasFaults: !isLeftOut && profile.hasFaults && strategy.isSwept === true,
    };
  }

  async #roundTrips(tasks: readonly Task[]): Promise<Record<string, number>> {
    const asked = new Set(
      tasks.flatMap(({ planned }) => planned.map(({ cell }) => cell.roundTripMs)),
    );
    const measured: Record<string, number> = {};
    for (const roundTripMs of [...asked].toSorted((left, right) => left - right)) {
      measured[roundTripMs] = await measureRoundTrip(roundTripMs);
    }
    return measured;
  }

  /** All cells of one service that want it with, or without, durability. */
  async #service(
    service: ServiceName | undefined,
    isDurable: boolean,
    tasks: readonly Task[],
  ): Promise<void> {
    for (const task of tasks) {
      const planned = task.planned.filter(({ cell }) => cell.isDurable === isDurable);
      if (planned.length === 0) continue;
      if (!isDurable && service !== undefined && !this.#servers.canBeVolatile(service)) {
        this.#asked += planned.length;
        continue;
      }
      await this.#strategy(task, planned);
    }
  }

  async #strategy({ strategy, hasFaults }: Task, planned: readonly PlannedCell[]): Promise<void> {
    for (const each of planned) {
      this.#next(`${strategy.name}, ${labelOf(each.cell)}`);
      const result = await this.#cell(strategy, each);
      const missing = missingPackage(result);
      if (missing !== undefined) return void this.#skipped.set(strategy.name, missing);
      this.#cells.push(result);
      const isFirst = each === planned[0] && isBase(each.cell, strategy);
      if (!hasFaults || !isFirst || result.measures === undefined) continue;
      this.#next(`${strategy.name}, faults`);
      if (!this.#isOver) await this.#tryFaults(strategy, each.cell, result.measures.perSecond);
    }
  }

  async #tryFaults(strategy: Strategy, cell: Cell, perSecond: number): Promise<void> {
    const service = await this.#running(strategy, cell.isDurable);
    this.#faults.push(
      ...(await faultsOf({
        ...{ cell, perSecond, pool: this.#pool, seed: this.#options.seed },
        servers: service?.addresses ?? [],
        own: service?.own ?? [],
      })),
    );
  }

  async #cell(strategy: Strategy, { cell, times }: PlannedCell): Promise<CellResult> {
    if (this.#isOver) return { ...cell, error: timeOver };
    const deadline = AbortSignal.timeout(cellMsMax);
    const late = new Promise<never>((_, reject) => {
      deadline.addEventListener("abort", () =>
        reject(new Error(`not measured within ${cellMsMax / 1_000} s`)),
      );
    });
    try {
      const work = this.#measure(strategy, { cell, times });
      work.catch(() => undefined);
      return { ...cell, measures: await Promise.race([work, late]) };
    } catch (error) {
      this.#options.signal.throwIfAborted();
      // Whatever its processes are at, the next cell is not to suffer from it.
      await this.#pool.clear();
      return { ...cell, error: error instanceof Error ? error.message : String(error) };
    }
  }

  async #measure(strategy: Strategy, { cell, times }: PlannedCell) {
    const service = await this.#running(strategy, cell.isDurable);
    const nodes = await this.#pool.take(strategy.name, cell.nodes);
    await using cluster = await NodeCluster.open(cell, nodes, service?.addresses ?? []);
    return await measure(cluster, {
      ...{ times, seed: this.#options.seed },
      serverCpuMs: () => (service === undefined ? 0 : this.#servers.cpuMs()),
    });
  }

  async #running({ service }: Strategy, isDurable: boolean) {
    if (service === undefined) return undefined;
    const running = await this.#servers.use(service, isDurable);
    this.#descriptions[`${service}${isDurable ? "" : ", not durable"}`] = running.description;
    return running;
  }

  #entry({ name, title, family, durable, volatile, isStrawman }: Strategy): StrategyEntry {
    const skipped = this.#skipped.get(name);
    return {
      ...{ name, title, family },
      ...(durable === undefined ? {} : { durable }),
      ...(volatile === undefined ? {} : { volatile }),
      ...(isStrawman === undefined ? {} : { isStrawman }),
      ...(skipped === undefined ? {} : { skipped }),
    };
  }
}

/** A client that is not installed is no failure of its strategy: none of them comes with us. */
function missingPackage({ error = "" }: CellResult): string | undefined {
  const name = /Cannot find package '([^']+)'/u.exec(error)?.[1];
  return name === undefined ? undefined : `${name} is not installed beside trellis-state`;
}

const sizeOf = ({ planned, hasFaults }: Task): number => planned.length + (hasFaults ? 1 : 0);

/** A cell that nothing was varied in. */
const isBase = (cell: Cell, { durable }: Pick<Strategy, "durable">): boolean =>
  cell.zipf === base.zipf &&
  cell.callers === base.callers &&
  cell.nodes === base.nodes &&
  cell.roundTripMs === base.roundTripMs &&
  cell.isDurable === (durable !== undefined);

const labelOf = ({ workload, zipf, callers, nodes, roundTripMs, isDurable }: Cell): string =>
  [
    workload,
    zipf === base.zipf ? "" : `Zipf ${zipf}`,
    callers === base.callers ? "" : `${callers} callers`,
    nodes === base.nodes ? "" : `${nodes} nodes`,
    roundTripMs === base.roundTripMs ? "" : `${roundTripMs} ms`,
    isDurable ? "" : "not durable",
  ]
    .filter(Boolean)
    .join(", ");
