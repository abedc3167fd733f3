/** Whole replicas with collections that expire, in virtual time: opened, cut off, crashed, opened again. */
import {
  flag,
  lwwMap,
  lwwRegister,
  mvRegister,
  openReplica,
  orMap,
  orSet,
  rateWindow,
  type Replica,
} from "../../src/index.ts";
import type { Keyspace } from "../../src/store/keyspace.ts";
import { keyspaceOf } from "../simulation/keyspace-of.ts";
import type { VirtualEnvironment } from "../simulation/virtual-environment.ts";
import type { Village } from "../storage/village.ts";

/** How long keys live, in ms. */
export const lifetimeMs = 5_000;
/** How far clocks may differ, in ms. */
export const boundMs = 2_000;

export const schema = {
  sessions: orSet({ expireAfterMs: lifetimeMs }),
  notes: lwwRegister<string>({ expireAfterMs: lifetimeMs }),
  drafts: mvRegister<string>({ expireAfterMs: lifetimeMs }),
  prefs: lwwMap<number>({ expireAfterMs: lifetimeMs }),
  carts: orMap({ amount: lwwRegister<number>(), tags: orSet() }, { expireAfterMs: lifetimeMs }),
  online: flag({ expireAfterMs: lifetimeMs }),
  pinned: lwwRegister<string>({ expireAfterMs: Number.POSITIVE_INFINITY }),
  hits: rateWindow({ windowMs: 10_000, buckets: 10 }),
  plain: orSet(),
};

/** One process. */
export interface Process {
  readonly host: string;
  readonly environment: VirtualEnvironment;
  readonly replica: Replica<typeof schema>;
  readonly collections: Replica<typeof schema>["collections"];
  readonly keyspace: Keyspace;
}

/** How one differs from others. */
export interface ProcessOptions {
  readonly peers?: readonly string[];
  readonly skewMs?: number;
  readonly isDurable?: boolean;
  readonly peerSilentMsMax?: number;
}

/** Opens a replica at `mem://host`. */
export async function open(
  village: Village,
  host: string,
  { peers = [], skewMs = 0, isDurable = false, peerSilentMsMax = 3_600_000 }: ProcessOptions = {},
): Promise<Process> {
  const environment = village.world.environment({ skewMs });
  const replica = await village.done(
    openReplica({
      schema,
      name: host,
      listen: { port: 0 },
      peers: peers.map((peer) => `mem://${peer}`),
      clockAheadMsMax: boundMs,
      retention: { peerSilentMsMax },
      environment: village.outside(host, environment),
      ...(isDurable ? { storage: village.disk(host).backend(environment) } : {}),
    }),
  );
  const keyspace = keyspaceOf(replica);
  return { host, environment, replica, collections: replica.collections, keyspace };
}

/** Three, each with the others. */
export async function three(
  village: Village,
  options: readonly ProcessOptions[] = [],
): Promise<readonly [Process, Process, Process]> {
  const a = await open(village, "a", options[0]);
  const b = await open(village, "b", { peers: ["a"], ...options[1] });
  const c = await open(village, "c", { peers: ["a", "b"], ...options[2] });
  await village.until(() => [a, b, c].every(({ replica }) => replica.status().members === 3));
  return [a, b, c];
}

/** Cells that are left in memory. Names may stay until a link that has said them numbers anew. */
export const left = ({ keyspace }: Process): number => keyspace.cells.count;
