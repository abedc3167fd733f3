/** The disk of a host, and what goes wrong with it: what was not synchronised is lost with its process. */
import type { StorageOptions } from "../../src/replica-options.ts";
import type { FsyncPolicy } from "../../src/store/journal.ts";
import type { StorageBackend } from "../../src/store/storage.ts";
import { FaultyDisk } from "../storage/faulty-disk.ts";
import type { Random, VirtualEnvironment } from "./virtual-environment.ts";

/** In a good hour, in ms: the longest write, and the longest synchronisation. */
const good = { writeMsMax: 5, syncMsMax: 20 };
const slow = { writeMsMax: 400, syncMsMax: 1_500 };
const failuresMax = 3;

/** Survives the processes of its host. */
export class HostDisk {
  readonly #disk: FaultyDisk;
  readonly #random: Random;
  readonly #fsync: FsyncPolicy;
  #isSlow = false;
  /** Whether anything ever went wrong with it. */
  wasTroubled = false;

  constructor(random: Random, fsync: FsyncPolicy) {
    this.#random = random;
    this.#fsync = fsync;
    this.#disk = new FaultyDisk(random);
    this.#disk.delays = good;
  }

  get isSlow(): boolean {
    return this.#isSlow;
  }

  get isFull(): boolean {
    return this.#disk.isFull;
  }

  /** For one process: a directory's options, and this disk in its place. */
  backend(environment: VirtualEnvironment): StorageBackend & StorageOptions {
    const backend = this.#disk.backend(environment);
    return {
      directory: "disk",
      fsync: this.#fsync,
      open: (options) => backend.open(options),
    };
  }

  /** The process is gone, also amid a write. */
  crash(): void {
    this.#disk.crash();
  }

  /** Something goes wrong, or is right again. */
  trouble(): string {
    const random = this.#random;
    this.wasTroubled = true;
    switch (random.below(5)) {
      case 0:
        this.#disk.isFull = true;
        return "is full";
      case 1:
        this.#isSlow = true;
        this.#disk.delays = slow;
        return "is slow";
      case 2:
        this.#disk.failures = 1 + random.below(failuresMax);
        return "fails for a moment";
      case 3:
        this.#disk.failureChance = 0.4;
        return "fails now and then";
      default:
        this.mend();
        return "is good again";
    }
  }

  /** Nothing goes wrong any more. */
  mend(): void {
    this.#isSlow = false;
    this.#disk.isFull = false;
    this.#disk.failures = 0;
    this.#disk.failureChance = 0;
    this.#disk.delays = good;
  }
}
