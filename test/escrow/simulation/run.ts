/**
 * Places that sell from the same stock under a seed, with all that can go wrong: replies that are late, lost
 * or doubled, the store or links cut off, processes paused and killed, directories copied while they run, set
 * back, opened again; then all is well again, and what is left is sold.
 */
import { InsufficientError, StorageError, UnknownOutcomeError } from "../../../src/errors.ts";
import type { Authority } from "../../../src/escalate/fence/authority.ts";
import { GuardTable } from "../../../src/escalate/fence/guard-table.ts";
import { calm, type Weather, Wire } from "../../locks/simulation/wire.ts";
import { World } from "../../simulation/virtual-environment.ts";
import { Machine } from "../../witness/machine.ts";
import { flawed, type Flaw } from "./flaws.ts";
import { type Begun, type Told, Ledger } from "./ledger.ts";
import { durablePlace, newPlace, type Place } from "./place.ts";
import { judge, sellOut } from "./rest.ts";
import { type Schema, type SchemaName, schemaOf, Shop } from "./shop.ts";
import { type Dwelling, dwellings, menus, type Trouble, troubles } from "./troubles.ts";

export type { Dwelling } from "./troubles.ts";

/** What a run found. */
export interface Outcome {
  readonly faults: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/** A decrement whose refusal is looked at. */
interface Judged extends Counter {
  readonly by: number;
  readonly isKeyed: boolean;
  /** What it is when it has ended without an error. Default `done`. */
  readonly told?: Told;
}

/** How to run. */
export interface RunOptions {
  readonly seed: number;
  /** Operations, about. Default 400. */
  readonly operations?: number;
  readonly flaw?: Flaw;
  /** What happens most; drawn unless it is given. */
  readonly dwelling?: Dwelling;
}

/** One of what is sold. */
export interface Counter {
  readonly collection: SchemaName;
  readonly key: string;
}

const restMs = 20_000;

const stepsMax = 5_000;
const operationsDefault = 400;
/** Beyond that one act is many operations, of counters that are as much larger. */
const operationsOfAct = 1_000;

/** One run. */
export class Run {
  readonly world: World;
  readonly ledger = new Ledger();
  readonly table: GuardTable;
  readonly places: Place[] = [];
  readonly machines = [new Machine(), new Machine()];
  readonly weather: Weather = { ...calm };
  readonly #store;
  readonly cut = new Set<string>();
  isLinked = true;
  names = 0;
  #operations = 0;
  readonly #flaw: Flaw | undefined;
  readonly #menu: readonly Trouble[];
  readonly burst: number;
  readonly #schema: Schema;
  #keys = 0;
  readonly counters: readonly Counter[];

  constructor(options: RunOptions) {
    const { seed, operations = operationsDefault, flaw } = options;
    this.#flaw = flaw;
    this.burst = Math.max(1, Math.round(operations / operationsOfAct));
    this.#schema = schemaOf(this.burst);
    this.world = new World(seed);
    this.#store = this.world.environment();
    this.table = new GuardTable(this.#store);
    const { random } = this.world;
    const drawn = random.pick(dwellings);
    const { dwelling = drawn } = options;
    this.#menu = menus[dwelling];
    this.counters = [
      { collection: "stock", key: "a" },
      { collection: "stock", key: "b" },
      { collection: "seats", key: "a" },
    ];
    for (const { collection, key } of this.counters) {
      const { min, max = Number.MAX_SAFE_INTEGER, initial } = this.#schema[collection];
      this.ledger.open(collection, key, { min, max, initial });
    }
    const count = 3 + random.below(4);
    for (let i = 0; i < count; i++) {
      const machine = random.pick(this.machines);
      this.places.push(
        dwelling === "crashes"
          ? durablePlace(`place${i}`, random, machine)
          : newPlace(`place${i}`, random, machine),
      );
    }
  }

  /** Opens a place that nobody runs in. */
  async open(place: Place, isExclusive = false): Promise<void> {
    const { world, places } = this;
    const environment = world.environment({ skewMs: world.random.below(2_000) });
    const name = `${place.name}.${this.names++}`;
    const ends = { store: this.#store, process: environment };
    const way = this.#wayFor(place);
    const wire = new Wire(ends, way, world.random.fork(), this.weather);
    const shop = new Shop({ name, environment, authority: wire, schema: this.#schema });
    await place.open(shop, isExclusive, this.#flaw);
    for (const { shop: other } of places) {
      if (!other?.isAlive || other === shop) continue;
      const isUp = (): boolean => this.isLinked;
      shop.link(other, isUp);
      other.link(shop, isUp);
    }
    void this.#live(place, shop);
  }

  /** The store, if this place is not cut off from it. */
  #wayFor(place: Place): Authority {
    const { table } = this;
    const isCut = (): boolean => this.cut.has(place.name);
    const pass =
      <Q, A>(ask: (request: Q) => Promise<A>) =>
      (request: Q): Promise<A> =>
        isCut() ? new Promise<A>(() => undefined) : ask(request);
    return {
      birth: pass(() => table.birth()) as Authority["birth"],
      open: pass((request) => table.open(request)),
      turn: pass((request) => table.turn(request)),
      cancel: pass((request) => table.cancel(request)),
      renew: pass((request) => table.renew(request)),
      read: pass((request) => table.read(request)),
      commit: pass((request) => table.commit(request)),
      compareAndSet: pass((request) => {
        this.ledger.count("writes");
        return table.compareAndSet(request);
      }),
    };
  }

  /** Sells and stocks, several things at a time, until it is over. */
  async #live(place: Place, shop: Shop): Promise<void> {
    const { random } = this.world;
    const sleep = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        shop.environment.schedule(ms, resolve);
      });
    while (shop.isAlive && this.#operations > 0) {
      await sleep(random.next() * (random.chance(0.1) ? 1_500 : 60));
      if (!shop.isAlive || place.shop !== shop) return;
      const counter = random.pick(this.counters);
      for (let times = (1 + random.below(4)) * this.burst; times > 0; times--) {
        this.act(shop, counter);
      }
      // Peers hear of each other at random.
      const other = random.pick(this.places).shop;
      if (other?.isAlive && other !== shop && this.isLinked) shop.join(other);
    }
  }

  /** One operation. */
  act(shop: Shop, { collection, key }: Counter): void {
    const { random } = this.world;
    this.#operations--;
    const by = 1 + (random.chance(0.2) ? random.below(4) : 0);
    const waitMs = random.pick([0, 300, 2_000]);
    // Only some counters are ever added to, so that a refusal can be judged for the others.
    const mayAdd = collection === "seats" || key === "b";
    try {
      switch (random.below(mayAdd ? 10 : 7)) {
        case 0:
        case 1:
        case 2: {
          const begun = this.ledger.begin(collection, key, -by);
          begun.end(shop[collection].tryDecrement(key, by) ? "done" : "refused");
          return;
        }
        case 3: {
          const idempotencyKey = this.#anyKey();
          const name = `${collection} ${key} ${idempotencyKey}`;
          const begun = this.ledger.begin(collection, key, -1, name);
          void this.#follow(
            shop,
            begun,
            shop[collection].decrement(key, 1, { idempotencyKey, waitMs }),
            { collection, key, by: 1, isKeyed: true },
          );
          return;
        }
        case 4:
        case 5:
        case 6: {
          const begun = this.ledger.begin(collection, key, -by);
          void this.#follow(shop, begun, shop[collection].decrement(key, by, { waitMs }), {
            ...{ collection, key, by, isKeyed: false },
          });
          return;
        }
        default:
          this.#add(shop, collection, key, by, waitMs);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** One that was used, perhaps, or a new one. */
  #anyKey(): string {
    const { random } = this.world;
    return `k${random.chance(0.4) ? random.below(this.#keys + 1) : ++this.#keys}`;
  }

  #add(shop: Shop, collection: SchemaName, key: string, by: number, waitMs: number): void {
    if (this.world.random.chance(0.3)) {
      const idempotencyKey = this.#anyKey();
      const begun = this.ledger.begin(
        collection,
        key,
        1,
        `${collection} ${key} + ${idempotencyKey}`,
      );
      // Without an upper bound it is lost with a directory that is never opened again.
      const told = collection === "stock" ? "unknown" : "done";
      const running = shop[collection].increment(key, 1, { idempotencyKey, waitMs });
      void this.#follow(shop, begun, running, { collection, key, by: 1, isKeyed: true, told });
      return;
    }
    const begun = this.ledger.begin(collection, key, by);
    if (collection === "stock") {
      shop.stock.increment(key, by);
      begun.end("unknown");
    } else if (this.world.random.chance(0.5)) {
      begun.end(shop.seats.tryIncrement(key, by) ? "done" : "refused");
    } else void this.#follow(shop, begun, shop.seats.increment(key, by, { waitMs }));
  }

  /** Sees it end, if its process lives so long. */
  async #follow(shop: Shop, begun: Begun, running: Promise<void>, judged?: Judged): Promise<void> {
    try {
      await running;
      if (!shop.environment.isStopped) begun.end(judged?.told ?? "done");
    } catch (error) {
      if (shop.environment.isStopped) return;
      // Of a disk that refuses, and of a key whose claim was not answered, nobody knows what it will be.
      const isUnknown =
        error instanceof UnknownOutcomeError ||
        error instanceof StorageError ||
        judged?.isKeyed === true;
      begun.end(isUnknown ? "unknown" : "refused");
      if (error instanceof InsufficientError && judged) this.#judgeRefusal(judged);
      this.#fail(error);
    }
  }

  /** Of what nobody adds to, it is known how much is surely left. */
  #judgeRefusal({ collection, key, by }: Judged): void {
    if (collection !== "stock" || key !== "a") return;
    const left = this.ledger.surelyLeft(collection, key);
    if (left < by) return;
    this.ledger.faults.push(`${collection}/${key}: ${by} refused for good while ${left} were left`);
  }

  /** What may be thrown, or is a fault. */
  #fail(error: unknown): void {
    const name = error instanceof Error ? error.name : String(error);
    this.ledger.count(name);
    const expected = [
      "ClosedError",
      "StorageError",
      "UnknownOutcomeError",
      "RightsUnavailableError",
      "InsufficientError",
      "OverloadedError",
    ];
    if (!expected.includes(name)) {
      this.ledger.faults.push(error instanceof Error ? (error.stack ?? name) : name);
    }
  }

  /** Something happens to somebody. */
  async disturb(): Promise<void> {
    const { random } = this.world;
    const what = random.pick(this.#menu);
    if (await troubles[what](this, random.pick(this.places))) this.ledger.count(what);
  }

  /** Kills amid work: what was told just now is what may be lost. */
  async strike(place: Place): Promise<void> {
    const { random } = this.world;
    const { shop } = place;
    if (shop && random.chance(0.7)) {
      const counter = random.pick(this.counters);
      for (let times = (1 + random.below(6)) * this.burst; times > 0; times--) {
        this.act(shop, counter);
      }
      if (random.chance(0.7)) await this.world.settle({ forMs: random.next() * 30 });
    }
    if (place.shop === shop && place.isAlive) this.kill(place);
  }

  /** The process is gone. */
  kill(place: Place): void {
    const { shop } = place;
    place.kill();
    for (const { shop: other } of this.places) if (shop && other?.isAlive) other.unlink(shop);
  }

  /** Closes cleanly. */
  async leave(place: Place, shop: Shop): Promise<void> {
    shop.isOpen = false;
    await shop.close().catch((error: unknown) => this.#fail(error));
    if (shop.environment.isStopped) return;
    for (const { shop: other } of this.places) {
      if (!other?.isAlive) continue;
      // The last word of a replica that closes.
      other.join(shop);
      other.unlink(shop);
    }
    await place.left(shop.environment);
  }

  /** The whole of it. */
  async run(operations: number): Promise<Outcome> {
    const { world, ledger } = this;
    this.#operations = operations;
    for (const place of this.places) await this.open(place);
    for (let step = 0; this.#operations > 0 && step < stepsMax; step++) {
      await world.settle({ forMs: world.random.next() * 400 });
      await this.disturb();
      if (ledger.faults.length > 0) break;
    }
    this.#operations = 0;
    await this.#rest();
    if (ledger.faults.length === 0) await sellOut(this);
    if (ledger.faults.length === 0) await judge(this);
    for (const { shop } of this.places) shop?.environment.stop();
    this.table.stop();
    return { faults: ledger.faults, counts: ledger.counts };
  }

  /** Nothing goes wrong any more; all places are open. */
  async #rest(): Promise<void> {
    const { world, places } = this;
    Object.assign(this.weather, calm);
    this.cut.clear();
    this.isLinked = true;
    for (const { shop, disk } of places) {
      if (disk) disk.isFull = false;
      shop?.environment.resume();
    }
    await world.settle({ forMs: restMs });
    for (const place of places) if (!place.isAlive) await this.open(place);
    await world.settle({ forMs: restMs });
    this.sync();
  }

  /** All hear of all. */
  sync(): void {
    for (let round = 0; round < 2; round++) {
      for (const { shop } of this.places) {
        for (const { shop: other } of this.places) {
          if (shop?.isAlive && other?.isAlive && shop !== other) shop.join(other);
        }
      }
    }
  }
}

/** Runs one seed. The same seed gives the same run. */
export const simulateRights = (options: RunOptions): Promise<Outcome> =>
  flawed(options.flaw, () => new Run(options).run(options.operations ?? operationsDefault));
