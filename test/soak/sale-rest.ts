/** The end of the sale soak: nothing goes wrong any more, all is asked again, sold out, and looked at. */
import { openPools } from "../../src/cli/rights.ts";
import { until } from "../../src/cli/servers/until.ts";
import { type ListedPool, readPool } from "../../src/escalate/escrow/reclaim.ts";
import { compare, judge, type Judgement, type Shown } from "./sale-judge.ts";
import { openDeeds, type SaleMembers } from "./sale-members.ts";
import { accounts, names, skus } from "./sale-shop.ts";

/** For each part of it, in ms. A peer that was cut off waits up to 30 s before it dials again. */
const partMsMax = 60_000;
const poolTimeoutSeconds = 20;

/** What was found at the end. */
export interface Rest {
  readonly judgement: Judgement;
  readonly faults: readonly string[];
  readonly pools: ReadonlyMap<string, ListedPool>;
}

/** Brings all to rest and judges it. `locksUrl`: of the server; without one a replica has the pools. */
export async function bringToRest(
  members: SaleMembers,
  locksUrl: string | undefined,
): Promise<Rest> {
  const faults: string[] = [];
  const part = async (what: string, isDone: () => Promise<boolean>): Promise<void> => {
    await until(what, partMsMax, isDone).catch((error: unknown) => faults.push(String(error)));
  };
  const all = async (
    ask: (each: SaleMembers["all"][number]) => Promise<boolean>,
  ): Promise<boolean> => (await members.each(ask)).every(Boolean);
  await members.each(({ replica }) => replica.call("stop"));
  await part("everybody is served", () => all(({ replica }) => replica.call("isServed")));
  await part("every key is decided", () => decided(members));
  await part("what was left by those who were killed is settled", () =>
    all(async ({ replica }) => (await replica.call("unsettled")) === 0),
  );
  for (const sku of Object.values(skus)) {
    const isSoldOut = await all(({ replica }) => replica.call("sellOut", sku, partMsMax));
    if (!isSoldOut) faults.push(`nobody can say that ${sku} is sold out`);
  }
  const judgement = judge(members.books(), accounts);
  await members.all[0]?.replica.call("readAll", [...judgement.coupons.keys()], names);
  await converge(members).catch((error: unknown) => faults.push(`no rest: ${String(error)}`));
  const pools = await readPools(members, locksUrl);
  const stranded = new Map<string, number>();
  for (const [sku, { free, holders }] of pools) {
    const lost = holders.filter(({ state }) => state === "stranded");
    stranded.set(sku, sumOf(lost));
    const inHand = free + sumOf(holders) - sumOf(lost);
    if (inHand !== 0) {
      const who = holders.map(({ id, name, state, rights }) => `${name} ${id} ${state} ${rights}`);
      faults.push(
        `${sku}: the pool lists ${inHand} units to sell: ${free} free, ${who.join(", ")}`,
      );
    }
  }
  const shown = new Map<string, Shown>();
  const look = async (): Promise<string[]> => {
    await members.each(async ({ name, replica }) => shown.set(name, await replica.call("shown")));
    return compare(judgement, shown, stranded);
  };
  // What was sold last is shown once it is on the disk.
  await until("all is shown", partMsMax, async () => (await look()).length === 0).catch(
    async () => {
      faults.push(...(await look()));
    },
  );
  await members.each(({ replica }) => replica.close());
  // Closing may have been wrong as well.
  faults.push(...judge(members.books(), accounts).faults);
  return { judgement, faults, pools };
}

/** Asks again what nobody heard of. */
async function decided(members: SaleMembers): Promise<boolean> {
  const deeds = openDeeds(judge(members.books(), accounts));
  const shares = members.all.map((_, i) => deeds.filter((__, j) => j % members.all.length === i));
  await members.each(({ replica, index }) => replica.call("perform", shares[index] ?? []));
  return deeds.length === 0;
}

async function converge(members: SaleMembers): Promise<void> {
  const versions = await members.each(({ replica }) => replica.call("version"));
  await members.each(async ({ replica }) => {
    for (const version of versions) await replica.call("waitFor", version, partMsMax);
  });
}

async function readPools(
  members: SaleMembers,
  locksUrl: string | undefined,
): Promise<Map<string, ListedPool>> {
  const join = members.all.flatMap(({ replica }) => replica.url ?? []);
  const place = locksUrl === undefined ? { join } : { locks: locksUrl };
  await using opened = await openPools({ ...place, timeout: poolTimeoutSeconds });
  const pools = new Map<string, ListedPool>();
  for (const sku of Object.values(skus)) {
    const pool = await readPool(opened.updates, { collection: "stock", key: sku });
    if (pool) pools.set(sku, pool);
  }
  return pools;
}

const sumOf = (holders: ListedPool["holders"]): number =>
  holders.reduce((sum, { rights }) => sum + rights, 0);
