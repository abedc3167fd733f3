/**
 * A soak of a sale: `npm run soak:sale -- [--locks etcd] [--seconds 600] [--seed N]`, with `--locks` one of
 * embedded, redis, redlock, etcd, zookeeper, postgres, mysql.
 *
 * Four durable replicas, linked, each in a process of its own, sell, stock up, redeem coupons, claim names and
 * move money all the time, while `sale-chaos.ts` makes things go wrong. Each process keeps books outside of
 * Trellis. At the end all is mended, what nobody heard of is asked again under its key, everybody sells out,
 * and the books are held against each other and what replicas and pools show. The status is 1 if a unit was
 * sold twice or is gone, a coupon has two winners, a name two owners at a time, a key two effects, a sum read
 * in one section is not exact, replicas differ, or one logged an error.
 *
 * The masters of Redlock are left alone: it rests on masters that never forget, and nothing here could tell.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LocksChoice } from "../../src/cli/replay/locks-choice.ts";
import { type StartedLocks, startLocks } from "../../src/cli/servers/lock-url.ts";
import { isServiceName, serviceNames } from "../../src/cli/servers/shared.ts";
import { until } from "../../src/cli/servers/until.ts";
import { conclude, print, soakOptions, type SoakOptions } from "./command.ts";
import { type ChaosFigures, SaleChaos } from "./sale-chaos.ts";
import { SaleMembers } from "./sale-members.ts";
import { bringToRest, type Rest } from "./sale-rest.ts";
import { skus } from "./sale-shop.ts";

const replicas = 4;
const startMsMax = 60_000;
/** Of what every sale has a key for: more than is sold in a second. */
const keyedPerSecond = 40;
const progressEveryMs = 60_000;

async function main({ locks, seconds, seed }: SoakOptions): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), "trellis-sale-"));
  print(`selling over ${locks} for ${seconds} s, seed ${seed}, in ${directory}`);
  if (locks === "redlock") print("the masters of Redlock are not killed or paused");
  const faults: string[] = [];
  await using server = isServiceName(locks) ? await startLocks(locks) : undefined;
  await using members = new SaleMembers({
    ...{ directory, seed, count: replicas },
    locks: choiceOf(locks, server),
  });
  for (const member of members.all) await members.open(member);
  await until("everybody is served", startMsMax, async () =>
    (await members.each(({ replica }) => replica.call("isServed"))).every(Boolean),
  );
  const [first] = members.all;
  await first?.replica.call("stock", skus.keyed, Math.ceil(keyedPerSecond * seconds));
  await members.each(({ replica }) => replica.call("start"));
  const chaos = new SaleChaos(members, locks === "redlock" ? [] : (server?.nodes ?? []), {
    ...{ seed, onFault: (fault: string) => void faults.push(fault) },
  });
  const progress = setInterval(() => {
    const { kills, pauses, serverKills, serverPauses } = chaos.figures;
    print(`${kills + serverKills} kills, ${pauses + serverPauses} pauses so far`);
  }, progressEveryMs);
  await chaos.run(seconds).finally(() => clearInterval(progress));
  const startMs = performance.now();
  const rest = await bringToRest(members, server?.url);
  const restMs = performance.now() - startMs;
  faults.push(...rest.faults);
  report(chaos.figures, rest);
  const isGood = conclude(
    faults,
    "nothing is sold twice and nothing is gone, one winner a coupon, one owner a name, one effect a key, " +
      `every sum exact; at rest in ${restMs.toFixed(0)} ms`,
    `directories and books are left in ${directory}`,
  );
  if (isGood) await rm(directory, { recursive: true });
  return isGood;
}

function choiceOf(locks: string, server: StartedLocks | undefined): (index: number) => LocksChoice {
  if (server === undefined) return (index) => ({ kind: "embedded", isHost: index === 0 });
  return () => ({ kind: "url", url: server.url, isWeak: locks === "redlock" });
}

function report(figures: ChaosFigures, { judgement, pools }: Rest): void {
  const { kills, twoAtOnce, killedOpening, pauses, cuts, serverKills, serverPauses } = figures;
  print(
    `kills      ${kills}, ${killedOpening} times again while opening, ${twoAtOnce} times two at once; ` +
      `${pauses} pauses, ${cuts} links cut`,
  );
  print(`server     ${serverKills} kills, ${serverPauses} pauses`);
  for (const [sku, { stocked, perhapsStocked, sold, unknown }] of judgement.stock) {
    const holders = pools.get(sku)?.holders ?? [];
    const stranded = holders.reduce((sum, { rights }) => sum + rights, 0);
    const stock = stocked === perhapsStocked ? stocked : `${stocked} to ${perhapsStocked}`;
    print(
      `${sku.padEnd(10)} ${stock} stocked: ${sold} sold, ${unknown} perhaps, ${stranded} stranded`,
    );
  }
  for (const [kind, ends] of judgement.counts) {
    const texts = [...ends].map(([how, count]) => `${count} ${how.replace("TRELLIS_", "")}`);
    print(`${kind.padEnd(10)} ${texts.join(", ")}`);
  }
  print(`keys       ${judgement.keysRepeated} repeated, ${judgement.undecided.length} not decided`);
}

process.exitCode = (await main(soakOptions(["embedded", ...serviceNames]))) ? 0 : 1;
