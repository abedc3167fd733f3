/** Whole replicas in virtual time, on one network in memory: opened, closed, crashed. */
import {
  counter,
  lwwRegister,
  openReplica,
  orSet,
  type Replica,
  type ReplicaOptions,
} from "../../src/index.ts";
import type { Schema } from "../../src/store/schema.ts";
import { MemoryNetwork } from "../../src/sync/transport/memory.ts";
import { type Random, type VirtualEnvironment, World } from "../simulation/virtual-environment.ts";
import { FaultyDisk } from "./faulty-disk.ts";

export const schema = { likes: counter(), tags: orSet(), profile: lwwRegister<string>() };

/** One process. */
export interface Resident {
  readonly host: string;
  readonly environment: VirtualEnvironment;
  readonly replica: Replica<typeof schema>;
}

/** How one process differs from the others. */
export interface ResidentOptions {
  readonly isDurable?: boolean;
  readonly skewMs?: number;
  /** Its source of randomness: those with the same seed draw the same, as copied machines do. */
  readonly draws?: Random;
}

const settleMs = 60_000;

export class Village {
  readonly world: World;
  readonly network: MemoryNetwork;
  readonly #disks = new Map<string, FaultyDisk>();

  constructor(seed = 1) {
    this.world = new World(seed);
    this.network = new MemoryNetwork(this.world.environment());
  }

  /** The disk of a host, made when it is asked for. */
  disk(host: string): FaultyDisk {
    const disk = this.#disks.get(host) ?? new FaultyDisk(this.world.random.fork());
    this.#disks.set(host, disk);
    return disk;
  }

  /** Opens a replica that listens at `mem://host`. */
  async open(
    host: string,
    peers: readonly string[],
    options: Partial<ReplicaOptions<Schema>> & ResidentOptions = {},
  ): Promise<Resident> {
    const { isDurable = false, skewMs = 0, draws, ...rest } = options;
    const environment = this.world.environment({ skewMs });
    const replica = await this.done(
      openReplica({
        schema,
        name: host,
        listen: { port: 0 },
        peers: peers.map((peer) => `mem://${peer}`),
        environment: this.outside(host, environment, draws),
        ...(isDurable ? { storage: this.disk(host).backend(environment) } : {}),
        ...rest,
      }),
    );
    return { host, environment, replica: replica as Replica<typeof schema> };
  }

  /** What a process of that host sees of the world. */
  outside(
    host: string,
    environment: VirtualEnvironment,
    draws?: Random,
  ): NonNullable<ReplicaOptions<Schema>["environment"]> {
    return {
      now: environment.now,
      monotonic: environment.monotonic,
      schedule: (delayMs, task) => environment.schedule(delayMs, task),
      defer: (task) => environment.defer(task),
      randomBytes: (count) => draws?.bytes(count) ?? environment.randomBytes(count),
      network: this.network.transport(host, environment),
    };
  }

  /** The process is killed; its disk keeps what was synced, and as much more as it likes. */
  crash({ host, environment }: Pick<Resident, "host" | "environment">): void {
    environment.stop();
    this.network.kill(host);
    this.#disks.get(host)?.crash();
  }

  /** Lets time pass until `promise` is decided. */
  async done<T>(promise: Promise<T>): Promise<T> {
    let isDecided = false;
    const decided = (): void => {
      isDecided = true;
    };
    promise.then(decided, decided);
    await this.until(() => isDecided);
    return promise;
  }

  /** Lets time pass until `isMet`. */
  async until(isMet: () => boolean): Promise<void> {
    const ended = await this.world.settle({ forMs: settleMs, until: isMet });
    if (!isMet()) throw new Error(`it did not come about: ${JSON.stringify(ended)}`);
  }

  /** Lets so much time pass, in ms. */
  async pass(ms: number): Promise<void> {
    await this.world.settle({ forMs: ms });
  }
}
