/**
 * A soak of fenced values: `npm run soak:fenced -- [--locks etcd] [--seconds 600] [--seed N]`.
 *
 * A few processes, each with a replica, move money between 100 accounts in sections of two, redeem coupons and
 * claim names, over a real lock server. At random moments one is killed with SIGKILL and replaced, or stopped with
 * SIGSTOP for longer than its leases live. What a killed one had asked for is asked again, under the same key, by
 * its successor. At the end everything asked for was told; each transfer counts once; each coupon and name has the
 * owner that all were told; the sum is exact in one section over all accounts, and on a replica that has only heard
 * of it. The status is 1 if not.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isServiceName, SharedServers } from "../../src/cli/servers/shared.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { conclude, print, soakOptions } from "./command.ts";
import { accountsCount, FencedLedger, type Found, openingBalance } from "./fenced-ledger.ts";
import type { Order, Word } from "./fenced-process.ts";
import {
  accountName,
  lockNames,
  type LockPlace,
  openGuest,
  openHub,
  type Shop,
} from "./fenced-shop.ts";

const processesAtOnce = 4;
const actMsMin = 200;
const actMsMax = 1_500;
const stopMsMax = 3_000;
/** What was asked for is told within this time once nobody is killed any more, in ms. */
const drainMsMax = 120_000;
const progressEveryMs = 60_000;

/** One that asks. */
interface Asking {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  /** What it has begun and not told. */
  readonly begun: Set<string>;
}

class FencedSoak {
  readonly ledger = new FencedLedger();
  readonly counts: Record<string, number> = {};
  readonly #random: Random;
  readonly #place: LockPlace;
  readonly #hub: string;
  readonly #askings = new Set<Asking>();
  #names = 0;

  constructor(place: LockPlace, hub: string, seed: number) {
    this.#place = place;
    this.#hub = hub;
    this.#random = new Random(seed);
  }

  /** Asks, kills and stops for so long; everything asked for was told when it resolves. */
  async run(seconds: number): Promise<void> {
    for (let i = 0; i < processesAtOnce; i++) this.#start();
    const endMs = performance.now() + seconds * 1_000;
    let progressMs = performance.now() + progressEveryMs;
    while (performance.now() < endMs) {
      await sleep(actMsMin + this.#random.below(actMsMax - actMsMin));
      await this.#act();
      if (performance.now() < progressMs) continue;
      progressMs += progressEveryMs;
      print(`${this.ledger.applied.size} told, ${JSON.stringify(this.counts)} so far`);
    }
    for (const { child } of this.#askings) child.send("drain");
    const exits = Promise.all([...this.#askings].map(({ exited }) => exited));
    const late = sleep(drainMsMax, "late", { ref: false });
    if ((await Promise.race([exits, late])) === "late") {
      this.ledger.faults.push(`not all was told within ${drainMsMax} ms`);
      for (const asking of this.#askings) await this.#kill(asking);
    }
  }

  async #act(): Promise<void> {
    const asking = this.#random.pick([...this.#askings]);
    if (this.#random.chance(0.5)) {
      this.#count("kills");
      await this.#kill(asking);
      this.#start([...asking.begun]);
      return;
    }
    this.#count("stops");
    asking.child.kill("SIGSTOP");
    await sleep(this.#random.below(stopMsMax));
    asking.child.kill("SIGCONT");
  }

  #start(keys: readonly string[] = []): void {
    const open = keys.flatMap((key) => this.ledger.open.get(key) ?? []);
    const order: Order = {
      ...{ place: this.#place, hub: this.#hub, open, seed: this.#random.bits() },
      name: `p${this.#names++}`,
    };
    // Compiled beside this file.
    const main = fileURLToPath(new URL("./fenced-process.js", import.meta.url));
    const child = fork(main, [JSON.stringify(order)]);
    const begun = new Set(keys);
    // Not at the exit: what it said before comes after that.
    const exited = once(child, "close");
    const asking: Asking = { child, begun, exited };
    this.#askings.add(asking);
    void exited.then(() => this.#askings.delete(asking));
    child.on("message", (word: Word) => this.#hear(asking, word));
  }

  #hear({ begun }: Asking, word: Word): void {
    if (word.kind === "begin") {
      begun.add(word.intent.key);
      this.ledger.begin(word.intent);
    } else if (word.kind === "told") {
      begun.delete(word.told.key);
      this.ledger.told(word.told);
    } else if (word.kind === "failed") this.#count(word.code);
    else this.ledger.faults.push(word.text);
  }

  async #kill({ child, exited }: Asking): Promise<void> {
    child.kill("SIGKILL");
    await exited;
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

/** As many as etcd commits in one step. */
const atOnce = 42;
const accounts = Array.from({ length: accountsCount }, (_, i) => accountName(i));

/** What the guards say; the accounts in sections, as many at once as the store takes. */
async function foundIn(shop: Shop, { ledger }: FencedSoak): Promise<Found> {
  const { collections } = shop;
  const handles = accounts.map((name) => collections.accounts.at(name));
  const balances: number[] = [];
  for (let i = 0; i < handles.length; i += atOnce) {
    const part = await shop.escalate(
      handles.slice(i, i + atOnce),
      ({ values }) => values.map((value) => value ?? 0),
      { waitMs: 60_000 },
    );
    balances.push(...part);
  }
  const coupons = new Map<string, string | undefined>();
  for (const what of ledger.things("redeem")) {
    coupons.set(what, (await collections.coupons.read(what))?.by);
  }
  const names = new Map<string, string | undefined>();
  for (const what of ledger.things("claim")) {
    names.set(what, await collections.names.readOwner(what));
  }
  return { balances, coupons, names };
}

/** What copies say. */
function shownBy({ collections }: Shop, { ledger }: FencedSoak): Found {
  const { coupons, names } = collections;
  return {
    balances: accounts.map((name) => collections.accounts.get(name) ?? 0),
    coupons: new Map(ledger.things("redeem").map((what) => [what, coupons.get(what)?.by])),
    names: new Map(ledger.things("claim").map((what) => [what, names.owner(what)])),
  };
}

async function soakOver(place: LockPlace, seconds: number, seed: number): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), "trellis-fenced-"));
  await using hub = await openHub(place, directory);
  const { accounts: balances } = hub.collections;
  await Promise.all(accounts.map((name) => balances.update(name, () => openingBalance)));
  const url = `ws://127.0.0.1:${hub.address?.port ?? 0}`;
  const soak = new FencedSoak(place, url, seed);
  await soak.run(seconds);
  const { ledger, counts } = soak;
  ledger.judge(await foundIn(hub, soak), "the guards");
  await using fresh = await openGuest(place, "fresh", url);
  await fresh.synced({ timeoutMs: 60_000 });
  await fresh.waitFor(hub.version());
  ledger.judge(shownBy(fresh, soak), "a copy");
  print(`told       ${ledger.applied.size}, ${ledger.repetitions} of them asked for by several`);
  print(`counts     ${JSON.stringify(counts)}`);
  const isGood = conclude(
    ledger.faults,
    "each was done once, each has one owner, and the sum is exact",
    `the directory is left in ${directory}`,
  );
  if (isGood) await rm(directory, { recursive: true });
  return isGood;
}

const { seconds, seed, locks } = soakOptions(lockNames);
const name = lockNames.find((one) => one === locks) ?? "embedded";
await using shared = new SharedServers();
const servers = isServiceName(name) ? await shared.addresses(name) : [];
print(`fenced values over ${name} for ${seconds} s, seed ${seed}`);
const place: LockPlace = { name, servers, prefix: `soak_${process.pid}/` };
process.exitCode = (await soakOver(place, seconds, seed)) ? 0 : 1;
