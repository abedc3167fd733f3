/** Removals are kept for peers that are away, also over our own restart. */
import { expect, test } from "vitest";
import { type Resident, Village } from "./village.ts";

const kept = ({ replica }: Resident): number => replica.status().removalsKept;
const dayMs = 24 * 60 * 60 * 1000;

/** `shop` has removed what `peer` still has, and has been closed or has crashed. */
async function parted(village: Village, ends: "closes" | "crashes"): Promise<Resident> {
  const peer = await village.open("peer", [], { isDurable: true });
  const shop = await village.open("shop", ["peer"], { isDurable: true });
  for (let i = 0; i < 10; i++) shop.replica.collections.tags.add("post", String(i));
  await village.done(shop.replica.acknowledged(shop.replica.version(), { by: "all" }));
  village.network.cut("shop", "peer");
  await village.pass(20_000);
  for (let i = 0; i < 10; i++) shop.replica.collections.tags.remove("post", String(i));
  await village.done(shop.replica.acknowledged(shop.replica.version(), { by: "durable" }));
  await village.pass(20_000);
  expect(kept(shop)).toBe(10);
  if (ends === "crashes") village.crash(shop);
  else await village.done(shop.replica.close());
  return peer;
}

test.each(["closes", "crashes"] as const)(
  "a replica that %s keeps them, and a peer that comes back needs no complete state",
  async (ends) => {
    const village = new Village();
    const peer = await parted(village, ends);
    const shop = await village.open("shop", ["peer"], { isDurable: true });
    await village.pass(20_000);
    expect(kept(shop)).toBe(10);
    village.network.heal();
    await village.done(peer.replica.waitFor(shop.replica.version(), { timeoutMs: 60_000 }));
    expect(peer.replica.collections.tags.values("post")).toEqual([]);
    await village.until(() => kept(shop) === 0);
  },
);

test("nobody is waited for longer than a day, whatever the clock does", async () => {
  for (const skewMs of [0, -3_600_000, -10 * dayMs]) {
    const village = new Village();
    await parted(village, "closes");
    const shop = await village.open("shop", ["peer"], { isDurable: true, skewMs });
    await village.pass(dayMs / 2);
    expect(kept(shop)).toBe(10);
    await village.pass(dayMs);
    expect(kept(shop)).toBe(0);
  }
});
