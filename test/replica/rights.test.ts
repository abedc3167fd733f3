/** Whole replicas with bounded counters: sold to the last unit, never beyond, over real links. */
import { expect, test } from "vitest";
import { boundedCounter, counter, InsufficientError, openReplica } from "../../src/index.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { until } from "../../src/cli/servers/until.ts";

const schema = { likes: counter(), stock: boundedCounter({ min: 0 }) };

const urlOf = ({ address }: { readonly address: { readonly port: number } | undefined }): string =>
  `ws://127.0.0.1:${address?.port ?? 0}`;

test("a replica alone sells what it has, and no more", async () => {
  const storage = memoryStorage();
  {
    await using shop = await openReplica({ schema, storage });
    const { stock } = shop.collections;
    stock.increment("sku:9", 10);
    expect(stock.value("sku:9")).toBe(10);
    await stock.decrement("sku:9", 4);
    expect(stock.value("sku:9")).toBe(6);
    await expect(stock.decrement("sku:9", 7)).rejects.toThrow(InsufficientError);
  }
  await using again = await openReplica({ schema, storage });
  const { stock } = again.collections;
  expect(stock.value("sku:9")).toBe(6);
  await stock.decrement("sku:9", 6);
  await expect(stock.decrement("sku:9")).rejects.toThrow(InsufficientError);
  expect(stock.value("sku:9")).toBe(0);
});

test("three replicas sell one stock at once, all of it, once", async () => {
  const units = 1_000;
  await using host = await openReplica({
    ...{ schema, name: "host", storage: memoryStorage(), listen: { port: 0 } },
    locks: embeddedLocks({ host: true }),
  });
  const guest = (name: string) =>
    openReplica({ schema, name, storage: memoryStorage(), peers: [urlOf(host)] });
  await using one = await guest("one");
  await using two = await guest("two");
  const shops = [host, one, two];
  await until("the authority is in reach", 10_000, () =>
    shops.every((shop) => {
      const { locks } = shop.status();
      return locks.kind === "embedded" && locks.isServing;
    }),
  );
  host.collections.stock.increment("sku:9", units);
  let sold = 0;
  const sell = async ({ collections }: (typeof shops)[number]): Promise<void> => {
    for (;;) {
      try {
        await collections.stock.decrement("sku:9");
        sold++;
      } catch (error) {
        if (error instanceof InsufficientError) return;
        throw error;
      }
    }
  };
  await one.waitFor(host.version());
  await two.waitFor(host.version());
  await Promise.all(shops.flatMap((shop) => Array.from({ length: 8 }, () => sell(shop))));
  expect(sold).toBe(units);
  for (const shop of shops) {
    for (const other of shops) await shop.waitFor(other.version());
    expect(shop.collections.stock.value("sku:9")).toBe(0);
  }
});

test("what was spent until a replica closed is seen by the others, and its rights are theirs", async () => {
  await using host = await openReplica({
    ...{ schema, name: "host", storage: memoryStorage(), listen: { port: 0 } },
    locks: embeddedLocks({ host: true }),
  });
  const guest = await openReplica({
    ...{ schema, name: "guest", storage: memoryStorage(), peers: [urlOf(host)] },
  });
  await until("the authority is in reach", 10_000, () => {
    const { locks } = guest.status();
    return locks.kind === "embedded" && locks.isServing;
  });
  guest.collections.stock.increment("sku:9", 20);
  await guest.collections.stock.decrement("sku:9", 3);
  // Under way when it closes: done and told, or refused.
  const late = guest.collections.stock.decrement("sku:9", 2).then(
    () => 2,
    () => 0,
  );
  await guest.close();
  const left = 17 - (await late);
  await until(
    "the host has heard of it",
    10_000,
    () => host.collections.stock.value("sku:9") === left,
  );
  await host.collections.stock.decrement("sku:9", left);
  await expect(host.collections.stock.decrement("sku:9")).rejects.toThrow(InsufficientError);
});
