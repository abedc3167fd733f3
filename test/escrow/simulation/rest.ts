/** When all is well again: what is left is sold, and the ledger is closed. */
import { rightsOf } from "../../../src/escalate/escrow/pool.ts";
import { decodePool } from "../../../src/escalate/escrow/pool-codec.ts";
import type { GuardTable } from "../../../src/escalate/fence/guard-table.ts";
import type { Counter, Run } from "./run.ts";

/** Whatever can be had is taken. */
export async function sellOut(run: Run): Promise<void> {
  const { world, ledger } = run;
  const shop = run.places.find(({ isAlive }) => isAlive)?.shop;
  if (!shop) return;
  for (const { collection, key } of run.counters) {
    let by = run.burst;
    for (let times = 4_000; times > 0; times--) {
      const amount = by;
      const begun = ledger.begin(collection, key, -amount);
      let told: "done" | "refused" | undefined;
      const sell = async (): Promise<void> => {
        try {
          await shop[collection].decrement(key, amount, { waitMs: 8_000 });
          told = "done";
        } catch {
          told = "refused";
        }
        begun.end(told);
      };
      void sell();
      await world.settle({ forMs: 20_000, until: () => told !== undefined });
      if (told === undefined) ledger.faults.push(`${collection}/${key}: a decrement hangs`);
      // To the last one.
      if (told === "refused" && by > 1) by = Math.floor(by / 2);
      else if (told !== "done") break;
    }
  }
  await world.settle({ forMs: 5_000 });
  run.sync();
}

/** At rest everything is sold that is not shown as stranded, and all replicas show the same. */
export async function judge(run: Run): Promise<void> {
  const { ledger, table } = run;
  const resources = await peek(table, run.counters);
  for (const { collection, key } of run.counters) {
    const name = `${collection}/${key}`;
    const account = ledger.account(collection, key);
    const bytes = resources.get(`pool/${name}`);
    let stranded = 0;
    if (bytes) {
      const pool = decodePool(bytes, name);
      // An increment that was not waited for and is lost leaves its own right stranded.
      for (const { down, up } of pool.entries.values()) stranded += rightsOf(down) + rightsOf(up);
    }
    const { initial, min, taken, added, takenAtMost } = account;
    const unknown = takenAtMost - taken;
    if (taken + unknown + stranded < initial - min + added) {
      ledger.faults.push(
        `${name}: ${taken} taken, ${unknown} unknown and ${stranded} stranded of ${initial - min + added}`,
      );
    }
    const values = new Set(
      run.places.flatMap(({ shop }) => (shop?.isAlive ? [shop[collection].value(key)] : [])),
    );
    if (values.size > 1) ledger.faults.push(`${name}: replicas show ${[...values].join(", ")}`);
  }
}

/** What the store has, past all wires. */
async function peek(
  table: GuardTable,
  counters: readonly Counter[],
): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for (const { collection, key } of counters) {
    const resource = `pool/${collection}/${key}`;
    const reply = await table.read({ birth: undefined, resource });
    if (reply.kind === "present" && reply.present.value) found.set(resource, reply.present.value);
  }
  return found;
}
