/** A process of the soak of fenced values: asks for one thing after the other, and for each until it is told. */
import { setTimeout as sleep } from "node:timers/promises";
import { TrellisError } from "../../src/index.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { accountsCount, type Intent, type Told } from "./fenced-ledger.ts";
import { ask, type LockPlace, openGuest, type Shop } from "./fenced-shop.ts";

/** What it is started with. */
export interface Order {
  readonly place: LockPlace;
  readonly name: string;
  readonly hub: string;
  readonly seed: number;
  /** What those before it did not say the end of. */
  readonly open: readonly Intent[];
}

/** What it says. */
export type Word =
  | { readonly kind: "begin"; readonly intent: Intent }
  | { readonly kind: "told"; readonly told: Told }
  | { readonly kind: "failed"; readonly code: string }
  | { readonly kind: "fault"; readonly text: string };

/** After a refusal, in ms. */
const pauseMsMax = 200;
const strands = 4;
const thingsAtOnce = 5;

/** Resolves when it is on its way: what is asked for is known outside before it is asked. */
const say = (word: Word): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send?.(word, (error: Error | null) => {
      if (error) reject(error);
      else resolve();
    });
  });

class Asker {
  readonly #shop: Shop;
  readonly #order: Order;
  readonly #random: Random;
  readonly #open: Intent[];
  #intents = 0;
  isDraining = false;

  constructor(shop: Shop, order: Order) {
    this.#shop = shop;
    this.#order = order;
    this.#random = new Random(order.seed);
    this.#open = [...order.open];
  }

  async strand(): Promise<void> {
    for (let intent = this.#next(); intent; intent = this.#next()) {
      await say({ kind: "begin", intent });
      await say({ kind: "told", told: await this.#untilTold(intent) });
      // Sometimes somebody has not heard of it, and asks again.
      if (this.#random.chance(0.1))
        await say({ kind: "told", told: await this.#untilTold(intent) });
    }
  }

  async #untilTold(intent: Intent): Promise<Told> {
    for (;;) {
      try {
        return await ask(this.#shop, intent);
      } catch (error) {
        if (!(error instanceof TrellisError)) throw error;
        await say({ kind: "failed", code: error.code });
        await sleep(this.#random.below(pauseMsMax));
      }
    }
  }

  #next(): Intent | undefined {
    const open = this.#open.shift();
    if (open || this.isDraining) return open;
    const number = this.#intents++;
    const key = `${this.#order.name}-${number}`;
    // All processes want the same few things at about the same time.
    const what = `${Math.floor(Date.now() / 1_000)}-${this.#random.below(thingsAtOnce)}`;
    if (this.#random.chance(0.15)) return { kind: "redeem", key, what };
    if (this.#random.chance(0.15)) return { kind: "claim", key, what };
    const from = this.#random.below(accountsCount);
    const to = (from + 1 + this.#random.below(accountsCount - 1)) % accountsCount;
    return { kind: "transfer", key, from, to, amount: 1 + this.#random.below(9) };
  }
}

const order = JSON.parse(process.argv[2] ?? "{}") as Order;
const shop = await openGuest(order.place, order.name, order.hub);
const asker = new Asker(shop, order);
process.on("message", () => {
  asker.isDraining = true;
});
try {
  await Promise.all(Array.from({ length: strands }, () => asker.strand()));
} catch (error) {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  await say({ kind: "fault", text });
}
await shop.close();
process.disconnect();
