/** Replicas on one network in memory, in virtual time, and their locks. */
import type { LockBackend } from "../../src/escalate/locks.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { counter, openReplica, type Replica, type ReplicaOptions } from "../../src/index.ts";
import { MemoryNetwork } from "../../src/sync/transport/memory.ts";
import type { Transport } from "../../src/sync/transport.ts";
import { World } from "../simulation/virtual-environment.ts";
import { Machine } from "../witness/machine.ts";
import { run } from "./scene.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";

/** Their schema. */
export const schema = { likes: counter() };
type Likes = typeof schema;

/** A replica, its locks, and what it warned of. */
export interface Member {
  readonly replica: Replica<Likes>;
  readonly locks: LockBackend;
  readonly warnings: string[];
  /** Its process is gone, as the machine sees it. */
  readonly kill: () => void;
  readonly wait: (delayMs: number, then: () => void) => void;
}

/** How to open one. */
interface MemberOptions extends Omit<Partial<ReplicaOptions<Likes>>, "schema" | "locks" | "peers"> {
  readonly host?: boolean;
  readonly peers?: readonly string[];
  /** Stands between it and the network. */
  readonly tap?: (network: Transport) => Transport;
}

/** A network of replicas. */
export class Village {
  readonly world: World;
  readonly network: MemoryNetwork;
  /** The machine that all of them run on. */
  readonly machine = new Machine();

  constructor(seed = 1) {
    this.world = new World(seed);
    this.network = new MemoryNetwork(this.world.environment());
  }

  async open(name: string, options: MemberOptions = {}): Promise<Member> {
    const { host = false, peers = [], tap = (same) => same, ...rest } = options;
    const environment = this.world.environment();
    const process = this.machine.process();
    const locks = embeddedLocks({ host, environment });
    const network = tap(this.network.transport(name, environment));
    const opening = openReplica({
      ...{ schema, name, locks, listen: { port: 0 } },
      ...{ peers: peers.map((peer) => `mem://${peer}`) },
      environment: {
        now: environment.now,
        monotonic: environment.monotonic,
        schedule: (delayMs, task) => environment.schedule(delayMs, task),
        defer: (task) => environment.defer(task),
        randomBytes: (count) => environment.randomBytes(count),
        network,
        witness: process,
      },
      ...rest,
    });
    const replica = await run(this.world, opening);
    const warnings: string[] = [];
    replica.on("warning", ({ kind, message }) => void warnings.push(`${kind}: ${message}`));
    const wait = (delayMs: number, then: () => void): void =>
      void environment.schedule(delayMs, then);
    const kill = (): void => {
      process.kill();
      environment.stop();
    };
    return { replica, locks, warnings, wait, kill };
  }

  /** Some time goes by. */
  async pass(forMs = 2_000): Promise<void> {
    await this.world.settle({ forMs });
  }

  write({ locks }: Member, value: string, resource = "r"): Promise<unknown> {
    return run(this.world, locks.compareAndSet(resource, undefined, bytes(value), operationId()));
  }

  async read({ locks }: Member, resource = "r"): Promise<string | undefined> {
    return text(await run(this.world, locks.read(resource)));
  }

  refusal({ locks }: Member): Promise<Error> {
    return run(this.world, rejection(locks.read("r")));
  }

  async close({ replica }: Member): Promise<void> {
    await run(this.world, replica.close());
  }
}
