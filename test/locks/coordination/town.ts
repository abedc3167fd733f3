/** Processes that share one store of locks in memory, each with a clock that may stand still, under a seed. */
import {
  memoryLocks,
  memoryLockStore,
  type MemoryLockStore,
} from "../../../src/escalate/locks/memory.ts";
import type { OutsideLocks } from "../../../src/escalate/outside-locks.ts";
import { openLocks } from "../../../src/locks.ts";
import {
  type Random,
  type VirtualEnvironment,
  World,
} from "../../simulation/virtual-environment.ts";

/** One process. */
export interface Citizen {
  readonly environment: VirtualEnvironment;
  readonly locks: OutsideLocks & AsyncDisposable;
  readonly name: string;
}

/** A store, and who uses it. */
export class Town {
  readonly world: World;
  readonly store: MemoryLockStore;

  constructor(seed: number) {
    this.world = new World(seed);
    this.store = memoryLockStore(this.world.environment());
  }

  get random(): Random {
    return this.world.random;
  }

  citizen(name: string, skewMs = 0): Citizen {
    const environment = this.world.environment({ skewMs });
    const backend = memoryLocks({ store: this.store, environment });
    return { environment, name, locks: openLocks(backend, { environment }) };
  }
}

/** Resolves after a while of a process' own time. */
export const pass = ({ environment }: Citizen, ms: number): Promise<void> =>
  new Promise((resolve) => void environment.schedule(ms, resolve));
