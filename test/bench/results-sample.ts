/** A run that never was, with everything that a run can have. Its numbers are made up, and the same every time. */
import type {
  Cell,
  CellResult,
  FaultResult,
  Measures,
  Results,
  StrategyEntry,
  Violations,
} from "../../src/cli/bench/results.ts";
import { type WorkloadName, workloadNames } from "../../src/cli/bench/workload.ts";

interface Character extends StrategyEntry {
  readonly perSecond: number;
  readonly trips: number;
  readonly workloads: readonly WorkloadName[];
  readonly isSwept?: true;
}

const redis = {
  durable: "Redis' append-only file, synchronised at each write",
  volatile: "Redis' memory",
};
const sql = {
  durable: "the write-ahead log, synchronised at each commit",
  volatile: "the log, synchronised now and then",
};
const log = { durable: "the node's log, synchronised for each group", volatile: "the memory" };
const memory = { volatile: "nothing at once" };
const consensus = { durable: "the log of a majority, synchronised" };

const one = (
  name: string,
  title: string,
  family: StrategyEntry["family"],
  kept: Pick<StrategyEntry, "durable" | "volatile">,
  rest: Pick<Character, "perSecond" | "trips"> & Partial<Character>,
): Character => ({ name, title, family, workloads: workloadNames, ...kept, ...rest });

const free = ["likes", "register"] as const;
const swept = { isSwept: true } as const;

const characters: readonly Character[] = [
  ...[
    one("automerge", "Automerge: one document, a Counter for each key", "replicated", memory, {
      ...{ perSecond: 5_320, trips: 0, workloads: free },
    }),
    one("batch-lock", "Redis: one lock for all that a node has queued", "baseline", redis, {
      ...{ perSecond: 9_870, trips: 3, ...swept },
    }),
    one("collabs", "Collabs: a CCounter for each key", "replicated", memory, {
      ...{ perSecond: 41_200, trips: 0, workloads: free },
    }),
    one("etcd-lock", "etcd: a lease, a key, read, write, release", "lock", consensus, {
      ...{ perSecond: 412, trips: 5 },
    }),
    one("etcd-transaction", "etcd: compare and swap, again until it fits", "atomic", consensus, {
      ...{ perSecond: 1_320, trips: 2.3 },
    }),
    one("loro", "Loro: a LoroCounter for each key", "replicated", memory, {
      ...{ perSecond: 63_100, trips: 0, workloads: free },
    }),
    one("mysql-for-update", "MariaDB: SELECT FOR UPDATE, UPDATE, COMMIT", "lock", sql, {
      ...{ perSecond: 822, trips: 4 },
    }),
    one("mysql-update", "MariaDB: one conditional UPDATE", "atomic", sql, {
      ...{ perSecond: 1_910, trips: 1 },
    }),
    one("owner-routing", "each key has one owner among the nodes", "baseline", log, {
      ...{ perSecond: 28_300, trips: 0.66, ...swept },
    }),
    one("postgres-advisory", "PostgreSQL: pg_advisory_xact_lock, then SQL", "lock", sql, {
      ...{ perSecond: 1_010, trips: 4 },
    }),
    one("postgres-for-update", "PostgreSQL: SELECT FOR UPDATE, UPDATE, COMMIT", "lock", sql, {
      ...{ perSecond: 1_240, trips: 4, ...swept },
    }),
    one("postgres-update", "PostgreSQL: one conditional UPDATE", "atomic", sql, {
      ...{ perSecond: 3_310, trips: 1 },
    }),
    one("redis-incrby", "Redis: INCRBY for counters, GET and SET for values", "atomic", redis, {
      ...{ perSecond: 15_200, trips: 1, workloads: free },
    }),
    one("redis-lock", "Redis: SET NX PX with a token, read, write, release", "lock", redis, {
      ...{ perSecond: 1_480, trips: 4, ...swept },
    }),
    one("redis-lua", "Redis: one Lua script for each operation", "atomic", redis, {
      ...{ perSecond: 14_100, trips: 1, ...swept },
    }),
    one("redis-semaphore", "Redis: the Mutex of npm's redis-semaphore", "lock", redis, {
      ...{ perSecond: 1_130, trips: 4.2 },
    }),
    one("redlock", "Redlock of ours, over three Redis", "lock", redis, {
      ...{ perSecond: 702, trips: 8 },
    }),
    one("redlock-npm", "Redlock of npm's redlock, over three Redis", "lock", redis, {
      ...{ perSecond: 455, trips: 9 },
    }),
    one(
      "strawman-pn-counter",
      "a counter that merges, read before it is taken from",
      "baseline",
      memory,
      {
        ...{ perSecond: 388_000, trips: 0, workloads: ["stock"], isStrawman: true },
      },
    ),
    one("tinybase", "TinyBase: a MergeableStore, a cell for each key", "replicated", memory, {
      ...{ perSecond: 22_400, trips: 0, workloads: free },
    }),
    one(
      "trellis-combined",
      "Trellis: waiting operations of one key share a section",
      "trellis",
      log,
      {
        ...{ perSecond: 7_420, trips: 2.1, ...swept },
      },
    ),
    one("trellis-escrow", "Trellis: rights are taken in chunks and spent here", "trellis", log, {
      ...{ perSecond: 118_000, trips: 0.004, workloads: ["stock", "transfers"], ...swept },
    }),
    one("trellis-fifo", "Trellis: a fenced lock that serves who came first", "trellis", redis, {
      ...{ perSecond: 2_210, trips: 3, ...swept },
    }),
    one("trellis-local", "Trellis: changes here, which merge everywhere", "trellis", log, {
      ...{ perSecond: 214_000, trips: 0, workloads: free, ...swept },
    }),
    one(
      "trellis-majority",
      "Trellis: embedded locks by a majority of nodes",
      "trellis",
      consensus,
      {
        ...{ perSecond: 3_020, trips: 2 },
      },
    ),
    one(
      "trellis-optimistic",
      "Trellis: a guarded write, again if somebody was faster",
      "trellis",
      redis,
      {
        ...{ perSecond: 5_230, trips: 1.4, ...swept },
      },
    ),
    one("yjs", "Yjs: a map of numbers for each node", "replicated", memory, {
      ...{ perSecond: 37_900, trips: 0, workloads: free },
    }),
    one("zookeeper-lock", "ZooKeeper: a queue of ephemeral nodes", "lock", consensus, {
      ...{ perSecond: 305, trips: 5, skipped: "ZooKeeper is not installed: there is no Java" },
    }),
  ],
];

const base = { zipf: 0.9, callers: 16, nodes: 3, roundTripMs: 0.5, isDurable: true } as const;

const easier: Readonly<Record<WorkloadName, number>> = {
  ...{ likes: 1, stock: 0.9, coupons: 0.75, names: 0.8, register: 2.6, transfers: 0.5 },
};

const noViolations: Violations = {
  ...{ total: 0, oversold: 0, doubled: 0, lost: 0, conjured: 0, divergent: 0 },
};

/** Between 0 and 1, by the text alone. */
function chance(text: string): number {
  let hash = 2_166_136_261;
  for (const character of text) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16_777_619) >>> 0;
  }
  return (Math.imul(hash ^ (hash >>> 15), 2_246_822_519) >>> 0) / 4_294_967_296;
}

function perSecondOf({ perSecond, trips }: Character, cell: Cell): number {
  const contended = trips === 0 ? 1 : 1 / (1 + trips * Math.max(0, cell.zipf - base.zipf));
  const busy = (cell.callers / base.callers) ** (trips < 1 ? 0.3 : 0.55);
  const wide = (cell.nodes / base.nodes) ** (trips === 0 ? 0.8 : -0.2);
  const far = 1 / (1 + trips * Math.max(0, cell.roundTripMs - base.roundTripMs) * 0.5);
  const loose = cell.isDurable ? 1 : 1.9;
  const noise = 0.94 + 0.12 * chance(JSON.stringify(cell));
  return perSecond * easier[cell.workload] * contended * busy * wide * far * loose * noise;
}

function measuresOf(strategy: Character, cell: Cell): Measures {
  const perSecond = perSecondOf(strategy, cell);
  const luck = chance(`${JSON.stringify(cell)} luck`);
  const { trips } = strategy;
  const p50Ms = 0.02 + trips * (cell.roundTripMs + 0.35);
  const samples = Math.min(4_000, Math.round(perSecond));
  const isBroken = strategy.isStrawman === true;
  const isUnsteady = strategy.name === "redlock-npm" && cell.workload === "transfers";
  return {
    perSecond,
    steadiness: isUnsteady ? [0.61, 1.38] : [0.97 - luck * 0.08, 1.02 + luck * 0.09],
    operations: Math.round(perSecond * 5),
    refused: cell.workload === "coupons" ? Math.round(perSecond * 2.5) : 0,
    failed: strategy.name === "redlock-npm" ? 17 : 0,
    errors: strategy.name === "redlock-npm" ? ["ExecutionError: the lock could not be had"] : [],
    latency: {
      ...{ offeredPerSecond: Math.min(2_000, perSecond / 2), samples, unanswered: 0, p50Ms },
      p99Ms: p50Ms * (3 + luck * 4),
      p999Ms: samples < 1_000 ? null : p50Ms * (8 + luck * 20),
      maxMs: p50Ms * 40,
    },
    roundTripsAlone: trips,
    roundTripsPerOperation: trips * (0.7 + 0.3 * luck),
    bytesPerOperation: 60 + trips * 190 + luck * 40,
    nodeCpuPerOperation: 4 + trips * 31 + luck * 8,
    serverCpuPerOperation: trips === 0 ? 0 : 6 + trips * 9,
    violations: isBroken ? { ...noViolations, total: 1_234, oversold: 1_234 } : noViolations,
    affordableRefusals: strategy.name === "trellis-escrow" ? 42 : 0,
    ...(cell.workload === "register" && trips === 0
      ? { staleness: { reads: 9_000, stale: 210, p50Ms: 1.3, p99Ms: 6.2, maxMs: 18 } }
      : {}),
  };
}

/** The base, and along each axis what differs from it. */
function placesOf(
  { isSwept }: Character,
  workload: WorkloadName,
): readonly (typeof base | object)[] {
  if (isSwept !== true || !["likes", "stock", "register"].includes(workload)) return [{}];
  return [
    ...[{}, { zipf: 0 }, { zipf: 1.3 }, { zipf: 2 }],
    ...[{ callers: 1 }, { callers: 4 }, { callers: 64 }, { callers: 256 }],
    ...[{ nodes: 1 }, { nodes: 5 }, { nodes: 7 }],
    ...[{ roundTripMs: 0 }, { roundTripMs: 5 }, { roundTripMs: 30 }],
  ];
}

function cellsOf(strategy: Character): readonly CellResult[] {
  if (strategy.skipped !== undefined) return [];
  return strategy.workloads.flatMap((workload) => {
    const common = { ...base, strategy: strategy.name, workload, keys: 100 };
    const isDurable = strategy.durable !== undefined;
    const places = placesOf(strategy, workload).map((place) => ({
      ...common,
      isDurable,
      ...place,
    }));
    if (isDurable && strategy.volatile !== undefined) places.push({ ...common, isDurable: false });
    return places.map((cell) => ({ ...cell, ...outcomeOf(strategy, cell) }));
  });
}

function outcomeOf(strategy: Character, cell: Cell) {
  const isErrored = strategy.name === "mysql-for-update" && cell.workload === "names";
  return isErrored
    ? { error: "nothing was answered: Deadlock found when trying to get lock" }
    : { measures: measuresOf(strategy, cell) };
}

const faults: readonly FaultResult[] = characters
  .filter(({ isSwept, workloads }) => isSwept && workloads.includes("stock"))
  .flatMap(({ name, trips }) =>
    (["cut-node", "kill-node", "kill-server"] as const).map((fault): FaultResult => {
      const isAlone = trips < 0.1;
      const silenceMs = { "cut-node": 60, "kill-node": 900, "kill-server": 420 }[fault];
      return {
        ...{ strategy: name, workload: "stock", fault, perSecondBefore: 100 },
        ...(fault === "cut-node" ? { perSecondOfTheCut: isAlone ? 96.4 : 0 } : {}),
        perSecondOfOthers: isAlone ? 99.5 : 60 + 30 * chance(name + fault),
        longestSilenceMs: isAlone ? 12 : silenceMs * (0.3 + trips * chance(name + fault)),
        failed: isAlone ? 0 : Math.round(20 * chance(fault + name)),
        violations: noViolations,
        ...(name === "batch-lock" && fault === "kill-server"
          ? { error: "Redis did not come back within 10 s" }
          : {}),
      };
    }),
  );

const line = (slope: number, from: number, xs: readonly number[]) =>
  xs.map((x) => ({ x, y: from * x ** slope, how: "median of 9" }));

const sizes = [100, 1_000, 10_000, 100_000];
const scaling: Results["scaling"] = [
  {
    ...{ name: "A change among many keys", xLabel: "keys", yLabel: "µs a change", slope: 0.03 },
    ...{ strategy: "Trellis", points: line(0.03, 3.1, sizes) },
    method: "A replica holds the keys; one is changed 10,000 times.",
  },
  {
    ...{ name: "A change among many keys", xLabel: "keys", yLabel: "µs a change", slope: 0.81 },
    ...{ strategy: "Automerge", points: line(0.81, 2.4, sizes) },
    method: "A replica holds the keys; one is changed 10,000 times.",
  },
  {
    ...{ name: "A change among many keys", xLabel: "keys", yLabel: "µs a change", slope: 0.22 },
    ...{ strategy: "Yjs", points: line(0.22, 2.9, sizes) },
    method: "A replica holds the keys; one is changed 10,000 times.",
  },
  {
    ...{ name: "Catching up after a break", xLabel: "keys changed", yLabel: "bytes", slope: 1.01 },
    ...{ strategy: "Trellis", points: line(1.01, 44, sizes) },
    method:
      "Two replicas part, one changes the keys, and they meet again; bytes of both directions.",
  },
  {
    ...{ name: "Catching up after a break", xLabel: "keys changed", yLabel: "bytes", slope: 0.42 },
    ...{ strategy: "Collabs", points: line(0.42, 52_000, sizes) },
    method:
      "Two replicas part, one changes the keys, and they meet again; bytes of both directions.",
  },
  {
    ...{ name: "Callers of one hot key", xLabel: "callers", yLabel: "ms an operation, p50" },
    ...{ slope: 0.96, strategy: "trellis-fifo", points: line(0.96, 0.9, [1, 4, 16, 64, 256]) },
    method: "All callers want the same key at once.",
  },
  {
    ...{ name: "Callers of one hot key", xLabel: "callers", yLabel: "ms an operation, p50" },
    ...{ slope: 1.64, strategy: "redis-lock", points: line(1.64, 0.8, [1, 4, 16, 64, 256]) },
    method: "All callers want the same key at once.",
  },
];

/** The run. */
export const sample: Results = {
  version: 1,
  trellis: "0.1.0",
  profile: "full",
  seed: 1,
  command: "npx trellis bench --profile full --seed 1",
  startedAt: "2026-03-02T09:15:00.000Z",
  seconds: 3_840,
  machine: {
    cpu: "AMD EPYC 7B13",
    processors: 8,
    memoryGiB: 31.4,
    platform: "linux 6.1.0 x64",
    node: "v20.20.2",
    versions: { redis: "7.0.15", postgres: "15.14", mariadb: "10.11.14", ioredis: "6.0.0" },
    loadAverageBefore: 0.31,
    loadAverageAfter: 4.87,
    disk: "ext4 on an NVMe drive, 0.4 ms for an fdatasync",
  },
  servers: {
    redis: "appendonly yes, appendfsync always; or no persistence",
    postgres: "fsync on, synchronous_commit on or off",
    mysql: "innodb_flush_log_at_trx_commit 1 or 2",
    etcd: "one member, fsync at each entry",
  },
  clock: { p50Ms: 0.021, p99Ms: 0.34 },
  roundTripsMs: { "0": 0.08, "0.5": 0.61, "5": 5.14, "30": 30.2 },
  yardstick: "redis-lua",
  base,
  strategies: characters,
  cells: characters.flatMap(cellsOf),
  faults,
  scaling,
  agreement: {
    startedAt: "2026-03-01T22:40:00.000Z",
    compared: 214,
    apart: [
      {
        cell: { ...base, strategy: "redlock-npm", workload: "transfers", keys: 100 },
        before: 0.021,
        now: 0.034,
      },
    ],
  },
};
