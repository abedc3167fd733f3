/**
 * A soak that kills: `npm run soak:kill -- [--seconds 600] [--seed N]`.
 *
 * Three durable replicas, linked, each in a process of its own and with another fsync policy. They are
 * given operations all the time; at random moments one is killed with SIGKILL, now and then two at
 * once, some again while they open, and started again on the same directory and port. Peers may not
 * cover for a disk: what a replica finds in its directory is checked before it is linked. At the end
 * all are started, must come to hold the same, and are read once more from their directories alone.
 * The status is 1 if anything acknowledged is missing anywhere, anything counts twice or by half, or
 * they do not converge.
 *
 * The script compiles into a folder of its own: a build meanwhile must not change running code.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as endOfTurn, setTimeout as sleep } from "node:timers/promises";
import type { FsyncPolicy } from "../../src/index.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { conclude, print, soakOptions } from "./command.ts";
import { bytesIn } from "./directory.ts";
import { KilledError, KilledReplica, type Reopened } from "./killed-replica.ts";
import type { Actions, View } from "./kill-process.ts";
import { Ledger } from "./ledger.ts";

const policies = ["always", "interval", "never"] as const;
/** Between two kills, in ms. */
const killMsMin = 200;
const killMsMax = 2_000;
/** How long a replica stays away at most, in ms. */
const awayMsMax = 200;
const twoAtOnceShare = 0.2;
const killedOpeningShare = 0.2;
/** Kills that come so soon after so many calls, in ms: otherwise most find a disk that is done. */
const burstShare = 0.5;
const burstCalls = 20;
const burstMsMax = 12;
/** Each replica is given 0 to 3 operations this often, in ms: 180 a second in all. */
const operateEveryMs = 25;
const operationsMax = 3;
/** A replica that does not answer is given no more than so many calls. */
const unansweredMax = 1_000;
/** A peer that was cut off waits up to 30 s before it dials again, and may fail once more. */
const convergeMsMax = 90_000;
const progressEveryMs = 60_000;

type Replica = KilledReplica<Actions>;

class KillSoak {
  readonly replicas: readonly Replica[];
  readonly ledger = new Ledger();
  readonly faults: string[] = [];
  readonly reopenings: Reopened<Actions>[] = [];
  readonly #settings = new Map<
    Replica,
    { readonly directory: string; readonly fsync: FsyncPolicy }
  >();
  readonly #random: Random;
  /** Of its own, so that the kills follow from the seed whatever the load did. */
  readonly #loadRandom: Random;
  kills = 0;
  restarts = 0;
  twoAtOnce = 0;
  killedOpening = 0;

  constructor(directory: string, seed: number) {
    this.#random = new Random(seed);
    this.#loadRandom = new Random(seed + 1);
    this.replicas = policies.map((fsync) => {
      const name = `replica-${fsync}`;
      const replica: Replica = new KilledReplica({ name, script: "./kill-process.js" });
      this.#settings.set(replica, { directory: join(directory, name), fsync });
      return replica;
    });
  }

  /** Loads and kills for so long; all replicas are open when it resolves. */
  async run(seconds: number): Promise<void> {
    for (const replica of this.replicas) await this.#open(replica);
    const load = setInterval(() => this.#load(), operateEveryMs);
    const endMs = performance.now() + seconds * 1_000;
    let progressMs = performance.now() + progressEveryMs;
    try {
      while (performance.now() < endMs) {
        await sleep(killMsMin + this.#random.below(killMsMax - killMsMin));
        await this.#killSome();
        if (performance.now() < progressMs) continue;
        progressMs += progressEveryMs;
        print(`${this.kills} kills, ${this.ledger.operations} operations so far`);
      }
    } finally {
      clearInterval(load);
    }
  }

  /** Resolves with what each replica shows when all hold everything. */
  async converge(): Promise<Map<string, View>> {
    const endMs = performance.now() + convergeMsMax;
    const leftMs = (): number => Math.max(1, endMs - performance.now());
    const isIdle = (): boolean => this.replicas.every(({ unanswered }) => unanswered === 0);
    while (!isIdle() && leftMs() > 1) await sleep(10);
    const versions = await Promise.all(this.replicas.map((replica) => replica.call("version")));
    await Promise.all(
      this.replicas.flatMap((replica) =>
        versions.map(async (version) => {
          await replica.call("waitFor", version, leftMs()).catch((error: unknown) => {
            this.faults.push(`${replica.options.name} does not converge: ${String(error)}`);
          });
        }),
      ),
    );
    return await this.#views((replica) => replica.call("view", this.ledger.operations));
  }

  /** What the directories hold by themselves, after all were closed in order. */
  async reread(): Promise<Map<string, View>> {
    for (const replica of this.replicas) await replica.close();
    return await this.#views(async (replica) => {
      const { view } = await replica.open(this.#request(replica, []));
      await replica.close();
      return view;
    });
  }

  async #views(read: (replica: Replica) => Promise<View>): Promise<Map<string, View>> {
    const views = new Map<string, View>();
    for (const replica of this.replicas) views.set(replica.options.name, await read(replica));
    return views;
  }

  async #killSome(): Promise<void> {
    const first = this.#random.pick(this.replicas);
    const victims = [first];
    if (this.#random.chance(twoAtOnceShare)) {
      victims.push(this.#random.pick(this.replicas.filter((replica) => replica !== first)));
      this.twoAtOnce++;
    }
    // Drawn before anything is waited for, whose order is not the seed's.
    const plans = victims.map((victim) => ({ victim, ...this.#plan() }));
    const burstMs = this.#random.next() * burstMsMax;
    if (this.#random.chance(burstShare)) await this.#burst(victims, burstMs);
    this.kills += victims.length;
    await Promise.all(victims.map((victim) => victim.kill()));
    await Promise.all(
      plans.map(async ({ victim, awayMs, openingShare }) => {
        await sleep(awayMs);
        if (openingShare !== undefined) await this.#killOpening(victim, openingShare);
        this.reopenings.push(await this.#open(victim));
      }),
    );
  }

  #plan(): { readonly awayMs: number; readonly openingShare: number | undefined } {
    const awayMs = this.#random.below(awayMsMax);
    const openingShare = this.#random.next() * 1.2;
    const isKilled = this.#random.chance(killedOpeningShare);
    return { awayMs, openingShare: isKilled ? openingShare : undefined };
  }

  /** Kills it at a share of the time that an opening took last. */
  async #killOpening(victim: Replica, share: number): Promise<void> {
    const opening = this.#open(victim).catch((error: unknown) => {
      if (!(error instanceof KilledError)) throw error;
    });
    await sleep((this.reopenings.at(-1)?.totalMs ?? killMsMin) * share);
    await victim.kill();
    await opening;
    this.kills++;
    this.killedOpening++;
  }

  async #open(replica: Replica): Promise<Reopened<Actions>> {
    if (replica.url !== undefined) this.restarts++;
    const peers = this.replicas.flatMap((other) => (other === replica ? [] : (other.url ?? [])));
    const opened = await replica.open(this.#request(replica, peers));
    this.faults.push(...this.ledger.checkReopened(replica.options.name, opened.view));
    return opened;
  }

  #request(
    replica: Replica,
    peers: readonly string[],
  ): Omit<Parameters<Actions["open"]>[0], "port"> {
    const { name } = replica.options;
    const settings = this.#settings.get(replica);
    if (!settings) throw new Error(`there is no ${name}`);
    return { name, ...settings, peers, operations: this.ledger.operations };
  }

  /** Where they keep what they hold. */
  get directories(): readonly string[] {
    return [...this.#settings.values()].map(({ directory }) => directory);
  }

  #load(): void {
    for (const replica of this.replicas) {
      this.#operate(replica, this.#loadRandom.below(operationsMax + 1));
    }
  }

  async #burst(replicas: readonly Replica[], forMs: number): Promise<void> {
    for (let call = 0; call < burstCalls; call++) {
      for (const replica of replicas) this.#operate(replica, 1);
    }
    await sleepExactly(forMs);
  }

  #operate(replica: Replica, count: number): void {
    if (count === 0 || !replica.isOpen || replica.unanswered > unansweredMax) return;
    const operations = this.ledger.ask(replica.options.name, count);
    replica.call("operate", operations).then(
      () => this.ledger.acknowledge(operations),
      (error: unknown) => {
        if (!(error instanceof KilledError)) this.faults.push(String(error));
      },
    );
  }
}

/** Timers have whole milliseconds, in which a disk is done. */
async function sleepExactly(ms: number): Promise<void> {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs) await endOfTurn();
}

function quantiles(figures: readonly number[]): string {
  const sorted = figures.toSorted((left, right) => left - right);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(
      0,
    );
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`;
}

async function report(soak: KillSoak, views: ReadonlyMap<string, View>): Promise<void> {
  const { kills, restarts, twoAtOnce, killedOpening, ledger, reopenings, directories } = soak;
  const perhaps = ledger.operations - ledger.acknowledged;
  const survived = [...views.values()].slice(0, 1).map((view) => ledger.survived(view));
  print(
    `kills      ${kills}, of them ${killedOpening} of an opening; ${twoAtOnce} times two at once`,
  );
  print(`restarts   ${restarts}`);
  print(
    `operations ${ledger.operations}: ${ledger.acknowledged} acknowledged, ${perhaps} perhaps, of ` +
      `which ${survived.join()} survived`,
  );
  print(`reopening  ${quantiles(reopenings.map(({ openMs }) => openMs))}`);
  print(`  with the process and a check: ${quantiles(reopenings.map(({ totalMs }) => totalMs))}`);
  const sizes = await Promise.all(directories.map(bytesIn));
  const mebibytes = sizes.map((size) => (size / 2 ** 20).toFixed(1));
  print(`directories ${mebibytes.join(", ")} MiB`);
}

async function main(seconds: number, seed: number): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), "trellis-kill-"));
  print(`killing for ${seconds} s, seed ${seed}, in ${directory}`);
  const soak = new KillSoak(directory, seed);
  const [first, second, third] = soak.replicas;
  await using _first = first;
  await using _second = second;
  await using _third = third;
  await soak.run(seconds);
  const startMs = performance.now();
  const converged = await soak.converge();
  const equalMs = performance.now() - startMs;
  soak.faults.push(...soak.ledger.checkConverged(converged));
  soak.faults.push(...soak.ledger.checkConverged(await soak.reread()));
  await report(soak, converged);
  const isGood = conclude(
    soak.faults,
    `nothing acknowledged is missing, nothing counts twice; equal in ${equalMs.toFixed(0)} ms`,
    `the directories are left in ${directory}`,
  );
  if (isGood) await rm(directory, { recursive: true });
  return isGood;
}

const { seconds, seed } = soakOptions();
process.exitCode = (await main(seconds, seed)) ? 0 : 1;
