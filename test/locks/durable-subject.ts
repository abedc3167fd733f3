/** An authority on a disk, as a subject of the suite: it can be killed at any time and starts again. */
import { type Environment, systemEnvironment } from "../../src/environment.ts";
import { DurableAuthority } from "../../src/escalate/embedded/durable-authority.ts";
import type { Authority } from "../../src/escalate/fence/authority.ts";
import { AuthorityClient } from "../../src/escalate/fence/authority-client.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import type { StorageBackend, StorageEngine } from "../../src/store/storage.ts";
import { Machine, type MachineProcess } from "../witness/machine.ts";
import { FaultyDisk } from "../storage/faulty-disk.ts";
import type { LockStore, LockSubject } from "./faults.ts";
import { type Fault, UnreliableAuthority } from "./unreliable-authority.ts";

const answerMs = 150;

/** An authority that is replaced by another one when its process is killed. */
export class Restarting implements Authority {
  readonly #storage: StorageBackend;
  readonly #environment: Environment;
  readonly machine = new Machine();
  #process: MachineProcess | undefined;
  #engine: StorageEngine | undefined;
  #authority: DurableAuthority | undefined;

  constructor(storage: StorageBackend, environment: Environment = systemEnvironment) {
    this.#storage = storage;
    this.#environment = environment;
  }

  /** Its process begins; the one before is gone. */
  async start(options: { readonly isExclusive?: boolean } = {}): Promise<void> {
    this.#process?.kill();
    this.#process = this.machine.process();
    this.#engine = await this.#storage.open();
    this.#authority = new DurableAuthority({
      ...{ engine: this.#engine, environment: this.#environment, witness: this.#process },
      ...options,
    });
  }

  /** Its process ends as it should. */
  async stop(): Promise<void> {
    await this.#authority?.close();
    await this.#engine?.close();
  }

  readonly birth: Authority["birth"] = () => this.#now.birth();
  readonly open: Authority["open"] = (request) => this.#now.open(request);
  readonly turn: Authority["turn"] = (request) => this.#now.turn(request);
  readonly cancel: Authority["cancel"] = (request) => this.#now.cancel(request);
  readonly renew: Authority["renew"] = (request) => this.#now.renew(request);
  readonly read: Authority["read"] = (request) => this.#now.read(request);
  readonly commit: Authority["commit"] = (request) => this.#now.commit(request);
  readonly compareAndSet: Authority["compareAndSet"] = (request) =>
    this.#now.compareAndSet(request);
  readonly operate: NonNullable<Authority["operate"]> = (request) => this.#now.operate(request);

  get #now(): DurableAuthority {
    if (!this.#authority) throw new Error("not started");
    return this.#authority;
  }
}

/** A client of an authority. */
export const clientOf = (
  authority: Authority,
  options: { readonly prefix?: string; readonly environment?: Environment } = {},
): LockBackend =>
  new AuthorityClient({
    name: "embedded",
    guarantees: { fencing: "durable", faultTolerant: false, atomicCommits: true },
    ...{ authority, answerMs, prefix: options.prefix ?? "trellis/" },
    environment: options.environment ?? systemEnvironment,
  });

async function openDurableStore(): Promise<LockStore> {
  const disk = new FaultyDisk(1);
  const authority = new Restarting(disk);
  await authority.start();
  const ways = new Map<LockBackend, UnreliableAuthority>();
  const wayOf = (client: LockBackend): UnreliableAuthority => {
    const way = ways.get(client);
    if (!way) throw new Error("not a client of this store");
    return way;
  };
  const breakWith = (fault: Fault) => async (client: LockBackend) => {
    wayOf(client).fault = fault;
  };
  return {
    connect: async (options = {}) => {
      const way = new UnreliableAuthority(authority);
      const client = clientOf(way, options);
      ways.set(client, way);
      return client;
    },
    close: () => authority.stop(),
    faults: {
      crash: breakWith("crash"),
      loseReplies: breakWith("lose-replies"),
      hang: breakWith("hang"),
      delayReplies: async (client, delayMs) => {
        wayOf(client).delayMs = delayMs;
      },
      mend: async (client) => {
        wayOf(client).fault = "none";
        wayOf(client).delayMs = 0;
      },
      requests: (client) => wayOf(client).requests,
      restartStore: async () => {
        disk.crash();
        await authority.start();
      },
      wipeStore: async () => {
        disk.restore({ records: new Map() });
        await authority.start();
      },
    },
  };
}

/** The subject. */
export const durableSubject: LockSubject = {
  name: "an authority on a disk",
  open: openDurableStore,
};
