/**
 * Directories with unspent rights, of real processes: copied while they run and opened elsewhere, restored from an
 * older copy, killed and opened again in place. Nothing is ever sold twice; rights that may be somebody else's are
 * held and shown, and made free by an operator only; in place they are used again.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { LocksChoice } from "../../src/cli/replay/locks-choice.ts";
import { type OpenedPools, openPools } from "../../src/cli/rights.ts";
import { until } from "../../src/cli/servers/until.ts";
import { type ListedPool, readPool, reclaim } from "../../src/escalate/escrow/reclaim.ts";
import { isServiceSkipped, service } from "../servers/service.ts";
import { compileSoaks } from "./compiled.ts";
import { KilledReplica } from "./killed-replica.ts";
import { readBooks } from "./sale-books.ts";
import type { SaleActions } from "./sale-process.ts";
import type { OpenSale } from "./sale-shop.ts";

const built = "dist-simulation/directories-test";
const script = pathToFileURL(
  join(fileURLToPath(new URL("../..", import.meta.url)), built, "test/soak/sale-process.js"),
).href;
const units = 100;
const reachMsMax = 30_000;
const testMsMax = 90_000;
const poolTimeoutSeconds = 20;

type Replica = KilledReplica<SaleActions>;
type Extra = Partial<Pick<OpenSale, "exclusive" | "memory">> & { readonly directory?: string };

/** A shop with a counter of its own, and a replica that keeps it up, elsewhere. */
class Street implements AsyncDisposable {
  readonly directory: string;
  readonly sku: string;
  readonly hub: Replica;
  readonly #all: Replica[] = [];
  readonly #locks: (isHost: boolean) => LocksChoice;
  #sold = 0;

  private constructor(directory: string, locks: (isHost: boolean) => LocksChoice) {
    this.directory = directory;
    // Servers are shared.
    this.sku = directory;
    this.#locks = locks;
    this.hub = this.#replica("hub");
  }

  static async open(backend: "embedded" | "postgres"): Promise<Street> {
    const [url = ""] = backend === "embedded" ? [] : await service(backend);
    const street = new Street(await mkdtemp(join(tmpdir(), "trellis-street-")), (isHost) =>
      backend === "embedded" ? { kind: "embedded", isHost } : { kind: "url", url, isWeak: false },
    );
    await street.#open(street.hub, {});
    return street;
  }

  /** Opens a replica in a process of its own, linked to the hub. */
  async seller(name: string, extra: Extra = {}): Promise<Replica> {
    const seller = this.#replica(name);
    await this.#open(seller, extra);
    return seller;
  }

  /** Opens it again. */
  async again(seller: Replica, extra: Extra = {}): Promise<void> {
    await this.#open(seller, extra);
  }

  /** Sells that much at once, or does not. */
  async sell(seller: Replica, count: number): Promise<boolean> {
    const [end] = await seller.call("perform", [{ kind: "sale", sku: this.sku, units: count }]);
    if (end?.outcome === "done") this.#sold += count;
    return end?.outcome === "done";
  }

  /** One by one, until nothing is to be had. Returns how many. */
  async sellAll(...sellers: readonly Replica[]): Promise<number> {
    const before = this.#sold;
    const sell = async (seller: Replica): Promise<void> => {
      while (this.#sold - before <= units && (await this.sell(seller, 1)));
    };
    await Promise.all(sellers.map(sell));
    return this.#sold - before;
  }

  get sold(): number {
    return this.#sold;
  }

  /** What earlier lives left in its directory, by state. */
  async left(seller: Replica): Promise<Record<string, number>> {
    const all = await seller.call("rights");
    const left: Record<string, number> = {};
    for (const { key, holders } of all) {
      if (key !== this.sku) continue;
      for (const { state, rights } of holders) left[state] = (left[state] ?? 0) + rights;
    }
    return left;
  }

  /** Resolves when an operator can see that it holds something. */
  async listed(name: string): Promise<void> {
    await using pools = await this.#pools();
    await until(`${name} is listed`, reachMsMax, async () =>
      (await this.#holders(pools)).some((holder) => holder.name === name && holder.rights > 0),
    );
  }

  /** What an operator decides: `name` is gone. Returns what is free again. */
  async reclaim(name: string): Promise<number> {
    await using pools = await this.#pools();
    let made = 0;
    for (const holder of await this.#holders(pools)) {
      if (holder.name !== name || holder.rights === 0) continue;
      made += (await reclaim(pools.updates, this.#named, holder.id)).rights;
    }
    return made;
  }

  /** What should not have been. */
  faults(name: string): readonly string[] {
    return readBooks(this.#booksOf(name)).faults;
  }

  pathOf(name: string): string {
    return join(this.directory, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#all.map((replica) => replica.kill()));
    await rm(this.directory, { recursive: true, maxRetries: 3 });
  }

  get #named(): { readonly collection: string; readonly key: string } {
    return { collection: "stock", key: this.sku };
  }

  #pools(): Promise<OpenedPools> {
    const locks = this.#locks(false);
    const place = locks.kind === "url" ? { locks: locks.url } : { join: [this.hub.url ?? ""] };
    return openPools({ ...place, timeout: poolTimeoutSeconds });
  }

  async #holders({ updates }: OpenedPools): Promise<ListedPool["holders"]> {
    return (await readPool(updates, this.#named))?.holders ?? [];
  }

  #replica(name: string): Replica {
    const replica: Replica = new KilledReplica({ name, script });
    this.#all.push(replica);
    return replica;
  }

  #booksOf(name: string): string {
    return join(this.directory, `${name}.books`);
  }

  async #open(replica: Replica, extra: Extra): Promise<void> {
    const { name } = replica.options;
    await replica.open({
      ...{ name, directory: this.pathOf(name), books: this.#booksOf(name), seed: 1 },
      ...{ peers: replica === this.hub ? [] : [this.hub.url ?? ""] },
      locks: this.#locks(replica === this.hub),
      ...extra,
    });
    await until("it is served", reachMsMax, () => replica.call("isServed"));
  }
}

const backends = (["embedded", "postgres"] as const).filter(
  (backend) => backend === "embedded" || !isServiceSkipped(backend),
);

describe.each(backends)("rights in a directory, over %s", (backend) => {
  beforeAll(() => compileSoaks(built), 120_000);
  const memories: string[] = [];
  afterEach(async () => {
    for (const memory of memories.splice(0)) await rm(memory, { recursive: true });
  });

  /** Stock that one seller has, of which some is sold, and some of that with others knowing nothing of it. */
  async function stocked(): Promise<{ readonly street: Street; readonly seller: Replica }> {
    const street = await Street.open(backend);
    const seller = await street.seller("seller");
    await seller.call("stock", street.sku, units);
    expect(await street.sell(seller, 10)).toBe(true);
    await street.listed("seller");
    return { street, seller };
  }

  test.each([true, false])(
    "are not those of a copy that was made while it ran (on the same machine: %s)",
    async (isSame) => {
      const { street: opened, seller } = await stocked();
      await using street = opened;
      await cp(street.pathOf("seller"), street.pathOf("copy"), { recursive: true });
      const memory = isSame ? undefined : await mkdtemp("/dev/shm/trellis-other-");
      if (memory !== undefined) memories.push(memory);
      const copy = await street.seller("copy", memory === undefined ? {} : { memory });
      const held = await street.left(copy);
      expect(held["held"]).toBeGreaterThan(0);
      expect(await street.sellAll(seller, copy, street.hub)).toBe(90);
      expect(street.sold).toBe(units);
      // It stays so, whatever the copy does.
      expect(await street.left(copy)).toEqual(held);
      await copy.close();
      await street.again(copy, memory === undefined ? {} : { memory });
      expect(await street.sell(copy, 1)).toBe(false);
    },
    testMsMax,
  );

  test(
    "are held after it was set back, until an operator makes them free",
    async () => {
      const { street: opened, seller } = await stocked();
      await using street = opened;
      await cp(street.pathOf("seller"), street.pathOf("backup"), { recursive: true });
      expect(await street.sell(seller, 20)).toBe(true);
      const version = await seller.call("version");
      await street.hub.call("waitFor", version, reachMsMax);
      await seller.kill();
      await rm(street.pathOf("seller"), { recursive: true });
      await cp(street.pathOf("backup"), street.pathOf("seller"), { recursive: true });
      await street.again(seller);
      const held = await street.left(seller);
      expect(held["held"]).toBeGreaterThan(0);
      // What it did not have is sold, and nothing of what it had.
      const gone = units - street.sold - (await street.sellAll(seller, street.hub));
      expect(gone).toBeGreaterThan(0);
      await seller.close();
      await street.again(seller);
      expect(await street.left(seller)).toEqual(held);
      expect(await street.sellAll(seller, street.hub)).toBe(0);
      // Others have heard of all that it sold.
      expect(await street.reclaim("seller")).toBe(gone);
      expect(await street.sellAll(seller, street.hub)).toBe(gone);
      expect(street.sold).toBe(units);
    },
    testMsMax,
  );

  test(
    "are used again when it is killed and opened in its place",
    async () => {
      const { street: opened, seller } = await stocked();
      await using street = opened;
      for (let kill = 0; kill < 3; kill++) {
        await seller.kill();
        await street.again(seller);
        await until(
          "all is settled",
          reachMsMax,
          async () => (await seller.call("unsettled")) === 0,
        );
        expect(await street.sell(seller, 10)).toBe(true);
      }
      expect(await street.sellAll(seller, street.hub)).toBe(60);
      expect(street.sold).toBe(units);
      expect(street.faults("seller")).toEqual([]);
    },
    testMsMax,
  );
});
