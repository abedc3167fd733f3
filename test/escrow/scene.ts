/** Replicas with rights, one store, links that can be cut, disks, machines: for tests that go step by step. */
import type { Authority } from "../../src/escalate/fence/authority.ts";
import { GuardTable } from "../../src/escalate/fence/guard-table.ts";
import { noWitness } from "../../src/escalate/witness.ts";
import { World } from "../simulation/virtual-environment.ts";
import { FaultyDisk } from "../storage/faulty-disk.ts";
import { Machine, type MachineProcess } from "../witness/machine.ts";
import { type Schema, schemaOf, Shop } from "./simulation/shop.ts";

/** Where a replica is durable. */
export interface Home {
  readonly disk: FaultyDisk;
  /** Without one nobody testifies. */
  readonly machine?: Machine;
  readonly isExclusive?: boolean;
}

/** One test. */
export class Scene {
  readonly world: World;
  readonly table: GuardTable;
  readonly schema: Schema;
  readonly shops: Shop[] = [];
  readonly machine = new Machine();
  areLinked = true;
  /** The store does not answer. */
  isAway = false;
  /** Of answers, from 0 to 1. */
  lost = 0;
  /** An answer takes so long, in ms. */
  lateMs = 0;
  readonly #processes = new Map<Shop, MachineProcess>();
  readonly #homes = new Map<Shop, Home>();

  constructor(schema: { readonly stock?: Schema["stock"] } = {}, seed = 1) {
    this.world = new World(seed);
    this.table = new GuardTable(this.world.environment());
    this.schema = { ...schemaOf(), ...schema };
  }

  disk(): FaultyDisk {
    return new FaultyDisk(this.world.random.fork());
  }

  /** Opens a replica, linked with all others. */
  async open(name: string, home?: Home): Promise<Shop> {
    const environment = this.world.environment();
    const shop = new Shop({ name, environment, authority: this.#way(), schema: this.schema });
    const process = home?.machine?.process();
    if (process) this.#processes.set(shop, process);
    if (home) this.#homes.set(shop, home);
    await shop.open(
      home && {
        engine: await home.disk.backend(environment).open(),
        witness: process ?? noWitness("there is none here"),
        isExclusive: home.isExclusive === true,
      },
    );
    for (const other of this.shops) {
      if (!other.isAlive) continue;
      const isUp = (): boolean => this.areLinked;
      shop.link(other, isUp);
      other.link(shop, isUp);
    }
    this.shops.push(shop);
    return shop;
  }

  /** The process is gone. */
  kill(shop: Shop): void {
    shop.environment.stop();
    this.#homes.get(shop)?.disk.crash();
    this.#processes.get(shop)?.kill();
    for (const other of this.shops) if (other.isAlive) other.unlink(shop);
  }

  /** Closes cleanly. */
  async close(shop: Shop): Promise<void> {
    await this.until(shop.close());
    for (const other of this.shops) {
      if (!other.isAlive) continue;
      other.join(shop);
      other.unlink(shop);
    }
    shop.environment.stop();
    this.#homes.get(shop)?.disk.crash();
    this.#processes.get(shop)?.kill();
  }

  /** What it resolves with, while virtual time goes on. */
  async until<T>(running: Promise<T>, forMs = 60_000): Promise<T> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    running.then(over, over);
    const ended = await this.world.settle({ forMs, until: () => isOver });
    if (!isOver) throw new Error(`it hangs: ${ended}`);
    return running;
  }

  /** The error that it rejects with. */
  async refusal(running: Promise<unknown>): Promise<unknown> {
    return this.until(
      running.then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
  }

  /** Sells one after the other until nothing is to be had; returns how many. */
  async sellOut(shop: Shop, key: string, waitMs = 5_000): Promise<number> {
    for (let sold = 0; sold < 10_000; sold++) {
      if ((await this.refusal(shop.stock.decrement(key, 1, { waitMs }))) !== undefined) return sold;
    }
    throw new Error("there is no end to it");
  }

  settle(forMs: number): Promise<unknown> {
    return this.world.settle({ forMs });
  }

  /** All hear of all. */
  sync(): void {
    for (const shop of this.shops) {
      for (const other of this.shops)
        if (shop.isAlive && other.isAlive && shop !== other) shop.join(other);
    }
  }

  #way(): Authority {
    const { table, world } = this;
    const pass =
      <Q, A>(ask: (request: Q) => Promise<A>) =>
      async (request: Q): Promise<A> => {
        if (this.isAway) return new Promise<A>(() => undefined);
        const answer = await ask(request);
        if (this.lateMs > 0) {
          await new Promise<void>((resolve) => {
            world.environment().schedule(this.lateMs, resolve);
          });
        }
        return world.random.chance(this.lost) ? new Promise<A>(() => undefined) : answer;
      };
    return {
      birth: () => pass(() => table.birth())(undefined),
      open: pass((request) => table.open(request)),
      turn: pass((request) => table.turn(request)),
      cancel: pass((request) => table.cancel(request)),
      renew: pass((request) => table.renew(request)),
      read: pass((request) => table.read(request)),
      commit: pass((request) => table.commit(request)),
      compareAndSet: pass((request) => table.compareAndSet(request)),
    };
  }
}
