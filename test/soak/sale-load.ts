/** What one process of the sale soak does: everything that a shop does, all the time, each deed in the books. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  AlreadyClaimedError,
  ConflictError,
  InsufficientError,
  LeaseLostError,
  LockTimeoutError,
  LockUnavailableError,
  OverloadedError,
  type Replica,
  RightsUnavailableError,
  StaleTokenError,
  TrellisError,
  UnknownOutcomeError,
} from "../../src/index.ts";
import { until } from "../../src/cli/servers/until.ts";
import type { Random } from "../simulation/virtual-environment.ts";
import { type BookKeeper, type Deed, type End, machineMs } from "./sale-books.ts";
import { accounts, names, type SaleSchema, skus, ttlMs } from "./sale-shop.ts";

/** One customer waits so long, in ms. */
const waitMs = 3_000;
/** A coupon is there so long, in ms, for whoever comes first. */
const couponMs = 500;
/** Below it a process stocks up; by so much. */
const stockLow = 300;
const chunkMax = 60;
const unitsMax = 3;
const amountMax = 20;
const stockMsMax = 60_000;
/** Between two deeds of one kind, in ms, on average. */
const paces = {
  plain: 12,
  quick: 20,
  keyed: 120,
  restock: 40,
  coupon: 120,
  names: 150,
  transfer: 60,
  sum: 700,
} as const;

/** What is surely not done. */
const refusals = [
  InsufficientError,
  LockTimeoutError,
  LockUnavailableError,
  OverloadedError,
  StaleTokenError,
  LeaseLostError,
  ConflictError,
];

/** Said of nothing at all, and of what those who are gone have left: only an operator may release that. */
export const isNothingLeft = ({ code, result }: End): boolean =>
  code === "TRELLIS_INSUFFICIENT" ||
  (Array.isArray(result) &&
    result.length > 0 &&
    result.every((who) => String(who).includes("stranded")));

/** What can be done again by somebody else. */
export type Performed = Exclude<Deed, { readonly kind: "restock" }>;

/** A shop that is open. */
export interface OpenShop {
  readonly shop: Replica<SaleSchema>;
  readonly keeper: BookKeeper;
  /** Of this life of this process: no other has it. */
  readonly life: string;
  readonly random: Random;
  /** Over locks that commit several values in one step. */
  readonly hasSections: boolean;
}

/** Does deeds until it is stopped. */
export class SaleLoad {
  readonly #open: OpenShop;
  readonly #loops: Promise<void>[] = [];
  #names = 0;
  /** What is shown as left is stranded, as far as is known: nobody can have it. */
  #isShort = false;
  #isStopped = false;

  constructor(open: OpenShop) {
    this.#open = open;
  }

  /** Starts. */
  start(): void {
    this.#loop(paces.plain, () => this.#sell(skus.plain));
    this.#loop(paces.plain, () => this.#sell(skus.plain));
    this.#loop(paces.quick, async () => this.#trySell());
    this.#loop(paces.keyed, () => this.#sell(skus.keyed, this.#name("sale")));
    this.#loop(paces.restock, () => this.#restock());
    this.#loop(paces.coupon, () => this.#redeem());
    this.#loop(paces.names, () => this.#own());
    this.#loop(paces.transfer, () => this.#transfer());
    if (this.#open.hasSections) this.#loop(paces.sum, () => this.#sum());
  }

  /** Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
  }

  /** Puts so many units on sale; they are on the disk when it resolves. */
  async stock(sku: string, units: number): Promise<void> {
    const { shop, keeper } = this.#open;
    const { stock } = shop.collections;
    const id = keeper.begin({ kind: "restock", sku, units });
    stock.increment(sku, units);
    // What is shown is on the disk.
    await until(`${sku} is stocked`, stockMsMax, () => stock.value(sku) >= units);
    keeper.end(id, { outcome: "done" });
  }

  /** Does one deed, and books it. */
  async perform(deed: Performed): Promise<End> {
    const { keeper } = this.#open;
    const id = keeper.begin(deed);
    const end = await this.#done(deed).catch((error: unknown) => this.#endOf(deed, error));
    keeper.end(id, end);
    return end;
  }

  async #done(deed: Performed): Promise<End> {
    const { stock, coupon, username } = this.#open.shop.collections;
    switch (deed.kind) {
      case "sale": {
        const key = deed.key === undefined ? {} : { idempotencyKey: deed.key };
        await stock.decrement(deed.sku, deed.units, { waitMs, ...key });
        return { outcome: "done" };
      }
      case "coupon": {
        const has = await coupon.update(deed.coupon, (now) => now ?? deed.customer, { waitMs });
        return { outcome: has === deed.customer ? "done" : "lost" };
      }
      case "claim":
        await username.claim(deed.name, deed.owner, { waitMs });
        return { outcome: "done" };
      case "release":
        await username.release(deed.name, deed.owner, { waitMs });
        return { outcome: "done" };
      case "transfer":
        return { outcome: "done", result: await this.#transferred(deed) };
      case "sum":
        return { outcome: "done", result: await this.#summed(deed.group) };
    }
  }

  #endOf(deed: Deed, error: unknown): End {
    const code = error instanceof TrellisError ? error.code : "none";
    if (error instanceof AlreadyClaimedError) return { outcome: "lost", code };
    if (error instanceof ConflictError && deed.kind === "release") return { outcome: "lost", code };
    if (error instanceof UnknownOutcomeError) return { outcome: "unknown", code };
    if (error instanceof RightsUnavailableError) {
      return { outcome: "refused", code, result: error.holders.map(({ holder }) => holder) };
    }
    if (refusals.some((refusal) => error instanceof refusal)) return { outcome: "refused", code };
    this.#open.keeper.fault(
      `${deed.kind}: ${error instanceof Error ? error.stack : String(error)}`,
    );
    return { outcome: "unknown", code };
  }

  /** What the first that did it was called: repetitions get the same. */
  #transferred(deed: Extract<Deed, { readonly kind: "transfer" }>): Promise<string> {
    const { shop } = this.#open;
    const { from, to, amount, key } = deed;
    const by = this.#name("transfer");
    const handles = [to, ...(from === undefined ? [] : [from])].map((account) =>
      shop.collections.accounts.at(account),
    );
    return shop.escalate(
      handles,
      ({ values, set }) => {
        for (const [i, handle] of handles.entries()) {
          set(handle, (values[i] ?? accounts.opening) + (i === 0 ? amount : -amount));
        }
        return by;
      },
      { idempotencyKey: key, waitMs, ttlMs },
    );
  }

  #summed(group: number): Promise<number> {
    const { shop } = this.#open;
    const handles = (accounts.groups[group] ?? []).map((account) =>
      shop.collections.accounts.at(account),
    );
    return shop.escalate(
      handles,
      ({ values }) => values.reduce<number>((sum, value) => sum + (value ?? accounts.opening), 0),
      { waitMs: 2 * waitMs, ttlMs },
    );
  }

  // What it does by itself.

  #loop(paceMs: number, deed: () => Promise<unknown>): void {
    const { random, keeper } = this.#open;
    const loop = async (): Promise<void> => {
      while (!this.#isStopped) {
        await deed();
        await sleep(2 * paceMs * random.next());
      }
    };
    this.#loops.push(
      loop().catch((error: unknown) => {
        keeper.fault(error instanceof Error ? (error.stack ?? error.message) : String(error));
      }),
    );
  }

  #name(of: string): string {
    return `${of}-${this.#open.life}-${++this.#names}`;
  }

  async #sell(sku: string, key?: string): Promise<void> {
    const units = 1 + this.#open.random.below(unitsMax);
    const keyed = key === undefined ? {} : { key };
    const end = await this.perform({ kind: "sale", sku, units, ...keyed });
    if (sku === skus.plain && isNothingLeft(end)) this.#isShort = true;
  }

  #trySell(): void {
    const { shop, random, keeper } = this.#open;
    const units = 1 + random.below(unitsMax);
    const id = keeper.begin({ kind: "sale", sku: skus.plain, units, isAtOnce: true });
    const isSold = shop.collections.stock.tryDecrement(skus.plain, units);
    keeper.end(
      id,
      isSold
        ? { outcome: "done", code: "done at once" }
        : { outcome: "refused", code: "not at once" },
    );
  }

  /** What is added is surely there once something that was spent after it is on the disk. */
  async #restock(): Promise<void> {
    const { shop, random, keeper } = this.#open;
    const { stock } = shop.collections;
    if (!this.#isShort && stock.value(skus.plain) > stockLow) return;
    this.#isShort = false;
    const units = 1 + random.below(chunkMax);
    const id = keeper.begin({ kind: "restock", sku: skus.plain, units });
    stock.increment(skus.plain, units);
    const { outcome } = await this.perform({ kind: "sale", sku: skus.plain, units: 1 });
    keeper.end(id, { outcome: outcome === "done" ? "done" : "unknown" });
  }

  async #redeem(): Promise<void> {
    const coupon = `coupon-${Math.floor(machineMs() / couponMs)}`;
    await this.perform({ kind: "coupon", coupon, customer: this.#name("customer") });
  }

  async #own(): Promise<void> {
    const { random } = this.#open;
    const claim = { name: random.pick(names), owner: this.#name("owner") };
    const { outcome } = await this.perform({ kind: "claim", ...claim });
    if (outcome !== "done") return;
    await sleep(paces.names * random.next());
    await this.perform({ kind: "release", ...claim });
  }

  async #transfer(): Promise<void> {
    const { random, hasSections } = this.#open;
    const group = random.pick(accounts.groups);
    const to = random.pick(group);
    const from = random.pick(group.filter((account) => account !== to));
    const key = this.#name("key");
    const amount = 1 + random.below(amountMax);
    await this.perform({ kind: "transfer", key, ...(hasSections ? { from } : {}), to, amount });
  }

  async #sum(): Promise<void> {
    await this.perform({ kind: "sum", group: this.#open.random.below(accounts.groups.length) });
  }
}
