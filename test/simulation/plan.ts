/** What a run is made of, drawn from its seed before anything happens. */
import type { FsyncPolicy } from "../../src/store/journal.ts";
import type { FrameLimits } from "../../src/store/frame.ts";
import type { Faults } from "../../src/sync/transport/memory.ts";
import type { Random } from "./virtual-environment.ts";

/** One place in the cluster. */
export interface HostPlan {
  readonly name: string;
  /** Names of the hosts that it dials. */
  readonly dials: readonly string[];
  /** It has no schema, and only passes on what it does not know. */
  readonly isRelay: boolean;
  /** Where its frames are cut; absent: as in real life. */
  readonly limits: FrameLimits | undefined;
  /** Whether its watchers write when something changes. */
  readonly isEager: boolean;
  /** Whether it has a disk. */
  readonly isDurable: boolean;
  /** If it has one. */
  readonly fsync: FsyncPolicy;
}

/** One run. */
export interface Plan {
  readonly topology: string;
  readonly hosts: readonly HostPlan[];
  readonly steps: number;
  readonly keys: readonly string[];
  readonly clockAheadMsMax: number;
  readonly logEntriesMax: number;
  readonly peerSilentMsMax: number;
  /** Steps in which many keys are touched. */
  readonly burstSteps: readonly number[];
  readonly burstTouches: number;
  /** Links that break amid a series, at most. */
  readonly interruptions: number;
}

type Edge = readonly [from: number, to: number];

const keysToUse = ["k", "__proto__", "", "a key of more than a few bytes, é"];
const noLimit = 1_000_000;

/** Draws a run. */
export function drawPlan(random: Random): Plan {
  // A catch-up of several frames as they are in real life: rare, because it takes long.
  const isHuge = random.chance(0.002);
  const count = 2 + random.below(isHuge ? 2 : 5);
  const topology = random.pick(Object.keys(topologies));
  const edges = topologies[topology]?.(count, random) ?? [];
  const hasRelays = random.chance(0.35);
  const isEager = random.chance(0.15);
  const size = random.below(100);
  const burstStep = random.below(22);
  return {
    topology,
    hosts: Array.from({ length: count }, (_, host) => ({
      name: hostName(host),
      dials: edges.filter(([from]) => from === host).map(([, to]) => hostName(to)),
      // Somebody has to write.
      isRelay: hasRelays && host > 0 && random.chance(0.4),
      limits: isHuge ? undefined : drawLimits(random),
      isEager: isEager && random.chance(0.5),
      isDurable: random.chance(0.4),
      fsync: random.pick<FsyncPolicy>(["always", "interval", "interval", "never"]),
    })),
    steps: size < 2 ? 300 : size < 18 ? 90 + random.below(50) : 20 + random.below(40),
    keys: keysToUse.slice(0, 1 + random.below(keysToUse.length)),
    clockAheadMsMax: random.pick([400, 3_000, 60_000]),
    logEntriesMax: random.pick([0, 3, 20, noLimit]),
    peerSilentMsMax: random.pick([0, 500, 5_000, 25_000]),
    burstSteps: isHuge || random.chance(0.15) ? [burstStep, burstStep + 2] : [],
    burstTouches: isHuge ? 17_000 + random.below(4_000) : 100 + random.below(300),
    interruptions: random.pick([0, 0, 0, 2, 8]),
  };
}

const drawLimits = (random: Random): FrameLimits | undefined =>
  random.chance(0.4)
    ? undefined
    : { touches: random.pick([1, 3, 10, 40]), bytes: random.pick([60, 200, 1_000]) };

/** A network as bad as it may get. */
export function drawFaults(random: Random): Faults {
  const delayMsMin = random.pick([0, 1, 10]);
  return {
    lossRate: random.pick([0, 0, 0.01, 0.05, 0.2]),
    duplicateRate: random.pick([0, 0.1, 0.4]),
    reorderRate: random.pick([0, 0, 0.02, 0.1]),
    delayMsMin,
    delayMsMax: delayMsMin + random.pick([0, 5, 50, 400]),
  };
}

export const hostName = (host: number): string => "abcdef".charAt(host);

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const chain = (count: number): Edge[] => range(count - 1).map((i) => [i + 1, i]);

const mesh = (count: number): Edge[] =>
  range(count).flatMap((i) => range(i).map((j): Edge => [i, j]));

const star = (count: number, random: Random): Edge[] => {
  const hub = random.below(count);
  const leaves = range(count).filter((host) => host !== hub);
  return leaves.map((leaf) => (random.chance(0.8) ? [leaf, hub] : [hub, leaf]));
};

/** A tree, and some more links across it. */
const crossing = (count: number, random: Random): Edge[] => {
  const tree = range(count - 1).map((i): Edge => [i + 1, random.below(i + 1)]);
  const others = mesh(count).filter(
    ([from, to]) => random.chance(0.35) && !tree.some(([i, j]) => i === from && j === to),
  );
  return [...tree, ...others].map(([from, to]) => (random.chance(0.5) ? [from, to] : [to, from]));
};

const bothWays = (edges: readonly Edge[]): Edge[] =>
  edges.flatMap(([from, to]): Edge[] => [
    [from, to],
    [to, from],
  ]);

const topologies: Readonly<Record<string, (count: number, random: Random) => Edge[]>> = {
  chain,
  ring: (count) => [...chain(count), ...(count > 2 ? [[0, count - 1] as const] : [])],
  star,
  mesh,
  crossing,
  "chain both ways": (count) => bothWays(chain(count)),
  "mesh both ways": (count) => bothWays(mesh(count)),
};
