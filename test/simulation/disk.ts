/** The disk of a host: slow, and what was not written is gone when its process is. */
import type { StorageBackend, StorageEngine } from "../../src/store/storage.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { WatchedEngine } from "../storage/watched-engine.ts";
import type { Random, VirtualEnvironment } from "./virtual-environment.ts";

/** Survives the processes of its host. */
export class HostDisk {
  readonly #backend = memoryStorage();
  readonly #random: Random;
  #engine: StorageEngine | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** For one process. */
  backend(environment: VirtualEnvironment): StorageBackend {
    const pause = (): Promise<void> =>
      new Promise((resolve) => {
        environment.schedule(this.#random.below(20), resolve);
      });
    return {
      open: async () => {
        this.#engine = await this.#backend.open();
        return new WatchedEngine(this.#engine, async (go) => {
          await pause();
          await go();
          await pause();
        });
      },
    };
  }

  /** The process is gone, also amid a write. */
  async crash(): Promise<void> {
    await this.#engine?.close();
  }
}
