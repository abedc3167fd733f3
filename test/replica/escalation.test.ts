/** Whole replicas with guarded collections: what is composed works together, and what cannot be is refused. */
import { expect, test } from "vitest";
import {
  AlreadyClaimedError,
  counter,
  fencedRegister,
  LockUnavailableError,
  openReplica,
  StoreRolledBackError,
  uniqueClaims,
  UsageError,
} from "../../src/index.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { until } from "../../src/cli/servers/until.ts";

interface Coupon {
  readonly by: string;
}

const schema = {
  likes: counter(),
  coupon: fencedRegister<Coupon>(),
  accounts: fencedRegister<number>(),
  username: uniqueClaims(),
};
const weak = {
  ...schema,
  coupon: fencedRegister<Coupon>({ weakFence: true }),
  accounts: fencedRegister<number>({ weakFence: true }),
  username: uniqueClaims({ weakFence: true }),
};

const urlOf = ({ address }: { readonly address: { readonly port: number } | undefined }): string =>
  `ws://127.0.0.1:${address?.port ?? 0}`;

test("a replica alone guards its own values, over its storage", async () => {
  const storage = memoryStorage();
  {
    await using shop = await openReplica({ schema, storage });
    const { coupon, accounts, username } = shop.collections;
    expect(await coupon.update("SPRING", (now) => now ?? { by: "ada" })).toEqual({ by: "ada" });
    expect(await coupon.update("SPRING", (now) => now ?? { by: "bob" })).toEqual({ by: "ada" });
    await username.claim("ada", "u:7");
    await expect(username.claim("ada", "u:8")).rejects.toThrow(AlreadyClaimedError);
    await accounts.update("a", () => 100);
    const both = [accounts.at("a"), accounts.at("b")] as const;
    const left = await shop.escalate(both, (section) => {
      const [a = 0, b = 0] = section.values;
      section.set(both[0], a - 30);
      section.set(both[1], b + 30);
      return a - 30;
    });
    expect(left).toBe(70);
    expect(accounts.get("b")).toBe(30);
  }
  await using again = await openReplica({ schema, storage });
  const { coupon, accounts, username } = again.collections;
  expect(coupon.get("SPRING")).toEqual({ by: "ada" });
  expect(await coupon.read("SPRING")).toEqual({ by: "ada" });
  expect([await accounts.read("a"), await accounts.read("b")]).toEqual([70, 30]);
  await expect(username.claim("ada", "u:8")).rejects.toMatchObject({ owner: "u:7" });
});

test("replicas over links share what the authority of one of them decides", async () => {
  await using host = await openReplica({
    ...{ schema, name: "host", storage: memoryStorage(), listen: { port: 0 } },
    locks: embeddedLocks({ host: true }),
  });
  await using guest = await openReplica({ schema, name: "guest", peers: [urlOf(host)] });
  await until("the authority is in reach", 10_000, () => {
    const { locks } = guest.status();
    return locks.kind === "embedded" && locks.isServing;
  });
  const customers = Array.from({ length: 20 }, (_, i) => `customer-${i}`);
  const redeemed = await Promise.all(
    customers.map(async (by, i) => {
      const { coupon } = (i % 2 === 0 ? host : guest).collections;
      return coupon.update("SPRING", (now) => now ?? { by });
    }),
  );
  expect(new Set(redeemed.map((one) => one?.by)).size).toBe(1);
  await guest.waitFor(host.version());
  await host.waitFor(guest.version());
  expect(host.collections.coupon.get("SPRING")).toEqual(guest.collections.coupon.get("SPRING"));
  // Free operations go on while the authority is away; fenced ones say so.
  await host.close();
  guest.collections.likes.increment("post");
  const late = guest.collections.coupon.update("SPRING", () => undefined, { waitMs: 50 });
  await expect(late).rejects.toThrow(LockUnavailableError);
});

test("rules that must hold are refused where their fences may be forgotten", async () => {
  await expect(openReplica({ schema })).rejects.toThrow(/"coupon".*in memory only.*weakFence/u);
  await expect(openReplica({ schema, locks: memoryLocks() })).rejects.toThrow(UsageError);
  await using accepted = await openReplica({ schema: weak });
  await accepted.collections.username.claim("ada", "u:7");
  expect(accepted.collections.username.owner("ada")).toBe("u:7");
});

test("so they are where another replica hosts the authority, and keeps it in memory only", async () => {
  await using host = await openReplica({
    ...{ schema: { likes: counter() }, name: "host", listen: { port: 0 } },
    locks: embeddedLocks({ host: true }),
  });
  await using guest = await openReplica({ schema, name: "guest", peers: [urlOf(host)] });
  await until("the authority is in reach", 10_000, () => {
    const { locks } = guest.status();
    return locks.kind === "embedded" && locks.isServing;
  });
  const refused = guest.collections.coupon.update("SPRING", () => ({ by: "ada" }), { waitMs: 0 });
  await expect(refused).rejects.toThrow(/in memory only.*weakFence/u);
  await using accepting = await openReplica({ schema: weak, name: "weak", peers: [urlOf(host)] });
  await until("the authority is in reach", 10_000, () => {
    const { locks } = accepting.status();
    return locks.kind === "embedded" && locks.isServing;
  });
  await accepting.collections.username.claim("ada", "u:7");
});

test("a store that was wiped is refused, also after a restart, until it is adopted", async () => {
  const storage = memoryStorage();
  {
    await using shop = await openReplica({ schema: weak, storage, locks: memoryLocks() });
    await shop.collections.coupon.update("SPRING", () => ({ by: "ada" }));
    await shop.acknowledged(shop.version(), { by: "durable" });
  }
  await using shop = await openReplica({ schema: weak, storage, locks: memoryLocks() });
  const { coupon } = shop.collections;
  expect(coupon.get("SPRING")).toEqual({ by: "ada" });
  await expect(coupon.update("SPRING", () => undefined)).rejects.toThrow(StoreRolledBackError);
  await expect(coupon.update("OTHER", () => ({ by: "eve" }))).rejects.toThrow(StoreRolledBackError);
  await shop.adoptStore();
  expect(await coupon.read("SPRING")).toEqual({ by: "ada" });
  expect(await coupon.update("SPRING", (now) => now && { by: `${now.by}!` })).toEqual({
    by: "ada!",
  });
});

test("what waits is no part of a transaction", async () => {
  await using shop = await openReplica({ schema: weak });
  const { likes, coupon } = shop.collections;
  const attempt = (): void =>
    shop.transact(() => {
      likes.increment("post");
      void coupon.update("SPRING", () => ({ by: "ada" }));
    });
  expect(attempt).toThrow(UsageError);
  expect(likes.value("post")).toBe(0);
});
