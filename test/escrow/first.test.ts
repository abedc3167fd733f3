/** What the rights of one and two processes do, step by step. */
import { expect, test } from "vitest";
import { GuardTable } from "../../src/escalate/fence/guard-table.ts";
import { World } from "../simulation/virtual-environment.ts";
import { FaultyDisk } from "../storage/faulty-disk.ts";
import { Machine } from "../witness/machine.ts";
import { Shop } from "./simulation/shop.ts";

test("smoke", async () => {
  const world = new World(1);
  const table = new GuardTable(world.environment());
  const a = new Shop({ name: "a", environment: world.environment(), authority: table });
  const b = new Shop({ name: "b", environment: world.environment(), authority: table });
  const disk = new FaultyDisk(1);
  const machine = new Machine();
  await a.open();
  await b.open({ engine: await disk.backend(b.environment).open(), witness: machine.process() });
  a.link(b, () => true);
  b.link(a, () => true);
  let sold = 0;
  const errors: string[] = [];
  const sell = (shop: Shop, by = 1): void => {
    shop.stock.decrement("x", by).then(
      () => {
        sold += by;
      },
      (error: Error) => errors.push(`${error.name} ${error.message}`),
    );
  };
  for (let i = 0; i < 40; i++) {
    sell(a);
    sell(b);
  }
  await world.settle({ forMs: 8000 });
  console.log(sold, errors.length, errors.slice(0, 3), a.escrow.status, b.escrow.status);
  a.join(b);
  b.join(a);
  console.log(a.stock.value("x"), b.stock.value("x"));
  expect(sold).toBe(60);
});
