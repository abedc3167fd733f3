/** Sellers that want to sell more than there is: what it costs, and whether all of it is sold. */
import { boundedCounter } from "../../../src/crdt/bounded-counter.ts";
import { InsufficientError } from "../../../src/errors.ts";
import type { Authority } from "../../../src/escalate/fence/authority.ts";
import { GuardTable } from "../../../src/escalate/fence/guard-table.ts";
import { World } from "../../simulation/virtual-environment.ts";
import { FaultyDisk } from "../../storage/faulty-disk.ts";
import { Machine } from "../../witness/machine.ts";
import { schemaOf, Shop } from "./shop.ts";

/** Who sells. */
export interface Demand {
  readonly seed: number;
  readonly sellers: number;
  readonly stock: number;
  /** Sales that are wanted in a second by the busiest; the others follow Zipf, or want as much. */
  readonly perSecond: number;
  readonly isZipf: boolean;
  /** Whether sellers hear of each other. */
  readonly isLinked: boolean;
}

/** What came of it. */
export interface Sold {
  readonly sold: number;
  /** Guarded writes, and reads where nothing was to be written. */
  readonly updates: number;
  /** Calls of the backend, all that were wasted among them. */
  readonly calls: number;
  /** Refused for good while something was left. */
  readonly refusedEarly: number;
  readonly errors: readonly string[];
}

const oneWayMs = 2;

/** A store that takes its time. */
function distant(authority: Authority, world: World): Authority {
  const environment = world.environment();
  const late = (): Promise<void> =>
    new Promise((resolve) => {
      environment.schedule(oneWayMs, resolve);
    });
  const pass =
    <Q, A>(ask: (request: Q) => Promise<A>) =>
    async (request: Q): Promise<A> => {
      await late();
      const answer = await ask(request);
      await late();
      return answer;
    };
  return {
    birth: () => authority.birth(),
    open: pass((request) => authority.open(request)),
    turn: pass((request) => authority.turn(request)),
    cancel: pass((request) => authority.cancel(request)),
    renew: pass((request) => authority.renew(request)),
    read: pass((request) => authority.read(request)),
    commit: pass((request) => authority.commit(request)),
    compareAndSet: pass((request) => authority.compareAndSet(request)),
  };
}

/** Sells until every seller was told that nothing is left. */
export async function sellAll(demand: Demand): Promise<Sold> {
  const { seed, sellers, stock, perSecond, isZipf, isLinked } = demand;
  const world = new World(seed);
  const table = new GuardTable(world.environment());
  const machine = new Machine();
  const schema = { ...schemaOf(), stock: boundedCounter({ min: 0, initial: stock }) };
  const shops: Shop[] = [];
  for (let i = 0; i < sellers; i++) {
    const environment = world.environment();
    const authority = distant(table, world);
    const shop = new Shop({ name: `seller${i}`, environment, authority, schema });
    const isDurable = i % 2 === 0;
    const disk = new FaultyDisk(world.random.fork());
    await shop.open(
      isDurable
        ? { engine: await disk.backend(environment).open(), witness: machine.process() }
        : undefined,
    );
    for (const other of isLinked ? shops : []) {
      shop.link(other, () => true);
      other.link(shop, () => true);
    }
    shops.push(shop);
  }
  let sold = 0;
  let refusedEarly = 0;
  const errors: string[] = [];
  let atWork = sellers;
  const work = async (shop: Shop, rank: number): Promise<void> => {
    const everyMs = (1_000 / perSecond) * (isZipf ? rank : 1);
    for (;;) {
      await new Promise<void>((resolve) => {
        shop.environment.schedule(world.random.next() * 2 * everyMs, resolve);
      });
      try {
        await shop.stock.decrement("sku");
        sold++;
      } catch (error) {
        if (!(error instanceof InsufficientError)) errors.push(String(error));
        else if (sold + atWork < stock) refusedEarly++;
        break;
      }
    }
    atWork--;
  };
  for (const [i, shop] of shops.entries()) void work(shop, i + 1);
  await world.settle({ forMs: 3_600_000, turnsMax: 5_000_000, until: () => atWork === 0 });
  if (atWork > 0) errors.push(`${atWork} sellers hang`);
  for (const { environment } of shops) environment.stop();
  const sum = (count: (shop: Shop) => number): number =>
    shops.reduce((all, shop) => all + count(shop), 0);
  const [updates, calls] = [sum((shop) => shop.updatesAsked), sum((shop) => shop.calls)];
  return { sold, updates, calls, refusedEarly, errors };
}
