/** One replica of the sale soak: it does what a shop does until it is killed, and what the parent asks for. */
import { mkdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isWeak, openLocks } from "../../src/cli/replay/locks-choice.ts";
import { systemEnvironment } from "../../src/environment.ts";
import type { RightsStatus } from "../../src/escalate/escrow.ts";
import { tmpfsWitness } from "../../src/escalate/witness/tmpfs.ts";
import { type Logger, openReplica, type Replica, type ReplicaOptions } from "../../src/index.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { BookKeeper, type End } from "./sale-books.ts";
import type { Shown } from "./sale-judge.ts";
import { isNothingLeft, type Performed, SaleLoad } from "./sale-load.ts";
import { accounts, type OpenSale, type SaleSchema, saleSchema, skus } from "./sale-shop.ts";
import { serve } from "./serve.ts";

/** Sold at once when all is sold out, and by one. */
const lotMax = 20;
const againMs = 50;

/** What a process can be asked. */
export interface SaleActions {
  open(request: OpenSale): Promise<{ readonly port: number }>;
  /** Whether it can ask its locks. */
  isServed(): boolean;
  /** Puts so many units on sale, for good when it resolves. */
  stock(sku: string, units: number): Promise<void>;
  start(): void;
  stop(): Promise<void>;
  dial(url: string): void;
  hangUp(url: string): void;
  /** Does these deeds, of whoever did not hear. */
  perform(deeds: readonly Performed[]): Promise<readonly End[]>;
  /** What there is to show of rights. */
  rights(): readonly RightsStatus[];
  /** Holders that earlier lives left, and that are not settled. */
  unsettled(): number;
  /** Sells until nothing is left but what is stranded, or for so long. Resolves with whether that was said. */
  sellOut(sku: string, forMs: number): Promise<boolean>;
  /** Reads everything that is guarded, so that it is known here. */
  readAll(coupons: readonly string[], names: readonly string[]): Promise<void>;
  version(): string;
  waitFor(version: string, timeoutMs: number): Promise<void>;
  shown(): Shown;
  close(): Promise<void>;
}

class SaleProcess implements SaleActions {
  #shop: Replica<SaleSchema> | undefined;
  #load: SaleLoad | undefined;

  async open(request: OpenSale): Promise<{ readonly port: number }> {
    const { name, directory, books, port, peers, locks, seed, exclusive = false } = request;
    const keeper = new BookKeeper(books);
    const shop = await openReplica({
      ...{ schema: saleSchema(isWeak(locks)), name, listen: { port } },
      ...{ locks: await openLocks(locks), logger: loggerInto(keeper) },
      ...(await machineOf(request)),
      storage: { directory, exclusive },
    });
    this.#shop = shop;
    const life = `${name}-${process.pid}-${seed}`;
    this.#load = new SaleLoad({
      ...{ shop, keeper, life, random: new Random(seed) },
      hasSections: !isWeak(locks),
    });
    for (const peer of peers) shop.addPeer(peer);
    return { port: shop.address?.port ?? 0 };
  }

  isServed(): boolean {
    const { locks } = this.#opened.status();
    return locks.kind === "backend" || (locks.kind === "embedded" && locks.isServing);
  }

  async stock(sku: string, units: number): Promise<void> {
    await this.#loaded.stock(sku, units);
  }

  start(): void {
    this.#loaded.start();
  }

  async stop(): Promise<void> {
    await this.#loaded.stop();
  }

  dial(url: string): void {
    this.#opened.addPeer(url);
  }

  hangUp(url: string): void {
    this.#opened.removePeer(url);
  }

  async perform(deeds: readonly Performed[]): Promise<readonly End[]> {
    const ends: End[] = [];
    for (const deed of deeds) ends.push(await this.#loaded.perform(deed));
    return ends;
  }

  rights(): readonly RightsStatus[] {
    return this.#opened.status().rights;
  }

  unsettled(): number {
    return this.rights().reduce((sum, { holders }) => sum + holders.length, 0);
  }

  async sellOut(sku: string, forMs: number): Promise<boolean> {
    const endMs = performance.now() + forMs;
    for (let units = lotMax; performance.now() < endMs;) {
      const end = await this.#loaded.perform({ kind: "sale", sku, units });
      if (end.outcome !== "refused") continue;
      if (units === 1 && isNothingLeft(end)) return true;
      if (units === 1) await sleep(againMs);
      units = 1;
    }
    return false;
  }

  async readAll(coupons: readonly string[], names: readonly string[]): Promise<void> {
    const { coupon, accounts: registers, username } = this.#opened.collections;
    for (const each of coupons) await coupon.read(each);
    for (const each of names) await username.readOwner(each);
    for (const each of accounts.groups.flat()) await registers.read(each);
  }

  version(): string {
    return this.#opened.version();
  }

  async waitFor(version: string, timeoutMs: number): Promise<void> {
    await this.#opened.waitFor(version, { timeoutMs });
  }

  shown(): Shown {
    const { stock, coupon, accounts: registers, username } = this.#opened.collections;
    const byKey = <V>(keys: readonly string[], of: (key: string) => V): Record<string, V> =>
      Object.fromEntries(keys.map((key) => [key, of(key)]));
    return {
      stock: byKey(Object.values(skus), (sku) => stock.value(sku)),
      coupons: byKey(coupon.keys(), (key) => coupon.get(key) ?? ""),
      owners: byKey(username.keys(), (key) => username.owner(key) ?? ""),
      balances: byKey(
        accounts.groups.flat(),
        (account) => registers.get(account) ?? accounts.opening,
      ),
    };
  }

  async close(): Promise<void> {
    await this.#shop?.close();
  }

  get #opened(): Replica<SaleSchema> {
    if (this.#shop === undefined) throw new Error("not open");
    return this.#shop;
  }

  get #loaded(): SaleLoad {
    if (this.#load === undefined) throw new Error("not open");
    return this.#load;
  }
}

/** Another machine, as far as its memory goes, if one is named. */
async function machineOf({
  directory,
  memory,
}: OpenSale): Promise<Pick<ReplicaOptions<SaleSchema>, "environment">> {
  if (memory === undefined) return {};
  // Its witness looks at the directory.
  await mkdir(directory, { recursive: true });
  return {
    environment: { ...systemEnvironment, witness: await tmpfsWitness({ directory, memory }) },
  };
}

/** Errors are for somebody to look at: here, that is a fault. */
function loggerInto(keeper: BookKeeper): Logger {
  const ignore = (): void => undefined;
  return {
    ...{ debug: ignore, info: ignore, warn: ignore },
    error: (fields, message) => {
      const texts = Object.entries(fields).map(
        ([name, value]) =>
          `${name}: ${value instanceof Error ? (value.stack ?? value.message) : JSON.stringify(value)}`,
      );
      keeper.fault(`logged: ${message} (${texts.join(", ")})`);
    },
  };
}

process.on("unhandledRejection", (reason) => {
  process.stderr.write(`unhandled: ${reason instanceof Error ? reason.stack : String(reason)}\n`);
  process.exit(1);
});
serve(new SaleProcess());
