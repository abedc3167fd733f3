/** Faults planted into the store of a crash run: each must be found out by its checks. */
import { recordKinds } from "../../src/store/image.ts";
import type { StorageEngine, WriteBatch } from "../../src/store/storage.ts";
import { sameActors } from "../simulation/canaries.ts";
import { WatchedEngine } from "../storage/watched-engine.ts";
import type { Sabotage } from "./cluster.ts";

/** One planted fault, and how it is to be noticed. */
export interface PlantedFault {
  readonly name: string;
  /** What the failure may say. */
  readonly notices: RegExp;
  /** Where to begin with a rare one, which takes two logs and a crash between them. */
  readonly firstSeed?: number;
  /** Faults may remember things, so each run has its own. */
  readonly sabotage: () => Sabotage;
}

/** An engine whose batches are made by `split`. */
function splitting(engine: StorageEngine, split: () => WriteBatch): StorageEngine {
  return {
    location: engine.location,
    tornBytes: engine.tornBytes,
    batch: split,
    read: (from, to) => engine.read(from, to),
    size: () => engine.size(),
    close: () => engine.close(),
  };
}

/** Actors, and so the vector, go into a batch of their own: before the rest, or after it. */
function vectorApart(engine: StorageEngine, isFirst: boolean): StorageEngine {
  return splitting(engine, () => {
    const [vector, rest] = [engine.batch(), engine.batch()];
    const of = (key: Uint8Array): WriteBatch => (key[0] === recordKinds.actor ? vector : rest);
    return {
      put: (key, value) => of(key).put(key, value),
      delete: (key) => of(key).delete(key),
      write: async (options) => {
        const [one, other] = isFirst ? [vector, rest] : [rest, vector];
        await one.write({ sync: false });
        await other.write(options);
      },
      discard: () => {
        vector.discard();
        rest.discard();
      },
    };
  });
}

/** Writes are said to be done as they begin. */
const hasty = (engine: StorageEngine): StorageEngine =>
  new WatchedEngine(engine, async (go) => {
    void go();
  });

/** All of them. */
export const plantedFaults: readonly PlantedFault[] = [
  {
    name: "a vector that is written before what it covers",
    notices: /found what never was|is shown|the ledger says|cell/u,
    sabotage: () => ({ tamper: (engine) => vectorApart(engine, true) }),
  },
  {
    name: "a vector that is written after what it covers",
    notices: /found what never was|is missing|does not cover/u,
    sabotage: () => ({ tamper: (engine) => vectorApart(engine, false) }),
  },
  {
    name: "a store that acknowledges before it writes",
    notices: /lost what it had promised|lacks what was acknowledged/u,
    sabotage: () => ({ tamper: hasty }),
  },
  {
    name: "a store that acknowledges before it is synced",
    notices: /lost what it had promised|lacks what was acknowledged|is damaged/u,
    sabotage: () => ({ lies: "says it is synced when it is cached" }),
  },
  {
    name: "a store that syncs its newest log alone",
    // A newer log without the older one before it may be a state that never was.
    notices:
      /lost what it had promised|lacks what was acknowledged|is damaged|found what never was/u,
    firstSeed: 9,
    sabotage: () => ({ lies: "leaves older logs unsynced" }),
  },
  {
    name: "one actor for two processes",
    notices: /two meanings|never was|leaves a gap|of our actor/u,
    sabotage: () => ({ environment: sameActors() }),
  },
];
