/**
 * What goes wrong in the sale soak, by a seed: processes are killed, also two at once and while they open, and
 * paused; links are cut; the server of the locks is killed and paused. Whoever was killed is opened again on
 * its directory, and what its customers did not hear is asked of another.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Server } from "../../src/cli/servers/server.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { KilledError } from "./killed-replica.ts";
import type { SaleMember, SaleMembers } from "./sale-members.ts";
import { ttlMs } from "./sale-shop.ts";

/** Between two things that go wrong, in ms. */
const quietMsMin = 100;
const quietMsMax = 1_200;
const awayMsMax = 400;
const openMsMax = 1_500;
const cutMsMax = 3_000;
/** Of a pause, in times to live. */
const pauseShareMin = 0.1;
const pauseShareMax = 2.5;
const twoAtOnceShare = 0.2;
const killedOpeningShare = 0.25;
/** Of the servers at once, where there are several. */
const allServersShare = 0.3;

/** How often what went wrong. */
export interface ChaosFigures {
  kills: number;
  twoAtOnce: number;
  killedOpening: number;
  pauses: number;
  cuts: number;
  serverKills: number;
  serverPauses: number;
}

/** Makes things go wrong. */
export class SaleChaos {
  readonly figures: ChaosFigures = {
    ...{ kills: 0, twoAtOnce: 0, killedOpening: 0, pauses: 0, cuts: 0 },
    ...{ serverKills: 0, serverPauses: 0 },
  };
  readonly #members: SaleMembers;
  /** Those that may be killed. */
  readonly #servers: readonly Server[];
  readonly #random: Random;
  readonly #running = new Set<Promise<void>>();
  readonly #busy = new Set<SaleMember | "servers">();
  readonly #onFault: (fault: string) => void;

  constructor(
    members: SaleMembers,
    servers: readonly Server[],
    { seed, onFault }: { readonly seed: number; readonly onFault: (fault: string) => void },
  ) {
    this.#members = members;
    this.#servers = servers;
    this.#random = new Random(seed);
    this.#onFault = onFault;
  }

  /** For so long. All is mended, and everybody open, when it resolves. */
  async run(seconds: number): Promise<void> {
    const endMs = performance.now() + seconds * 1_000;
    while (performance.now() < endMs) {
      await sleep(quietMsMin + this.#random.below(quietMsMax - quietMsMin));
      this.#step();
    }
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #step(): void {
    const random = this.#random;
    const [first, second] = this.#two();
    const awayMs = random.below(awayMsMax);
    const pauseMs = ttlMs * (pauseShareMin + random.next() * (pauseShareMax - pauseShareMin));
    const kind = random.next();
    const isTwice = random.chance(twoAtOnceShare);
    const plans = [first, second].map((member) => ({ member, ...this.#opening() }));
    if (kind < 0.45) {
      const victims = plans.slice(0, isTwice ? 2 : 1).filter(({ member }) => this.#isFree(member));
      if (victims.length === 2) this.figures.twoAtOnce++;
      for (const { member, openingMs } of victims) {
        this.#run([member], () => this.#kill(member, awayMs, openingMs));
      }
    } else if (kind < 0.65) this.#run([first], () => this.#pause(first, pauseMs));
    else if (kind < 0.8) this.#run([], () => this.#cut(first, second, random.below(cutMsMax)));
    else if (this.#servers.length > 0) {
      const isAll = random.chance(allServersShare);
      const servers = isAll ? this.#servers : [random.pick(this.#servers)];
      const work = kind < 0.9 ? this.#pauseServers : this.#killServers;
      this.#run(["servers"], () => work(servers, kind < 0.9 ? pauseMs : awayMs));
    }
  }

  #two(): readonly [SaleMember, SaleMember] {
    const { all } = this.#members;
    const first = this.#random.pick(all);
    return [first, this.#random.pick(all.filter((member) => member !== first))];
  }

  #opening(): { readonly openingMs: number | undefined } {
    const ms = this.#random.below(openMsMax);
    return { openingMs: this.#random.chance(killedOpeningShare) ? ms : undefined };
  }

  #isFree = (what: SaleMember | "servers"): boolean => !this.#busy.has(what);

  /** Unless one of them has something else going wrong. */
  #run(what: readonly (SaleMember | "servers")[], work: () => Promise<void>): void {
    if (!what.every(this.#isFree)) return;
    for (const each of what) this.#busy.add(each);
    const running = work()
      .catch((error: unknown) => {
        this.#onFault(error instanceof Error ? (error.stack ?? error.message) : String(error));
      })
      .finally(() => {
        for (const each of what) this.#busy.delete(each);
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  async #kill(member: SaleMember, awayMs: number, openingMs: number | undefined): Promise<void> {
    this.figures.kills++;
    await this.#members.kill(member);
    const repeated = this.#members.repeat(member);
    await sleep(awayMs);
    if (openingMs !== undefined) await this.#killOpening(member, openingMs);
    await this.#members.open(member);
    await member.replica.call("start");
    await repeated;
  }

  async #killOpening(member: SaleMember, openingMs: number): Promise<void> {
    const opening = this.#members.open(member).catch((error: unknown) => {
      if (!(error instanceof KilledError)) throw error;
    });
    await sleep(openingMs);
    await this.#members.kill(member);
    await opening;
    this.figures.killedOpening++;
  }

  async #pause(member: SaleMember, forMs: number): Promise<void> {
    this.figures.pauses++;
    member.replica.signal("SIGSTOP");
    await sleep(forMs);
    member.replica.signal("SIGCONT");
  }

  async #cut(first: SaleMember, second: SaleMember, forMs: number): Promise<void> {
    this.figures.cuts++;
    const mend = await this.#members.cut(first, second);
    await sleep(forMs);
    await mend();
  }

  #pauseServers = async (servers: readonly Server[], forMs: number): Promise<void> => {
    this.figures.serverPauses++;
    await Promise.all(servers.map((server) => server.pause()));
    await sleep(forMs);
    for (const server of servers) server.resume();
  };

  #killServers = async (servers: readonly Server[], awayMs: number): Promise<void> => {
    this.figures.serverKills++;
    await Promise.all(servers.map((server) => server.kill()));
    await sleep(awayMs);
    await Promise.all(servers.map((server) => server.restart()));
  };
}
