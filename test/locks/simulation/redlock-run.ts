/** Redlock under a seed: its real clients over masters of the simulation, and everything that can go wrong. */
import type { Authority } from "../../../src/escalate/fence/authority.ts";
import { AuthorityClient } from "../../../src/escalate/fence/authority-client.ts";
import type { LockBackend } from "../../../src/escalate/locks.ts";
import { RedisKeys } from "../../../src/escalate/locks/redis/keys.ts";
import { RedlockAuthority } from "../../../src/escalate/locks/redlock/authority.ts";
import { RedlockMasters } from "../../../src/escalate/locks/redlock/masters.ts";
import { RedlockRegister } from "../../../src/escalate/locks/redlock/register.ts";
import { type VirtualEnvironment, World } from "../../simulation/virtual-environment.ts";
import { Ledger } from "./ledger.ts";
import { answerMs, lists, Process } from "./process.ts";
import type { Image } from "./redis-twin.ts";
import { promiseOf, SimulatedMaster, WayToMaster } from "./redlock-masters.ts";
import type { MasterFlaw } from "./redlock-twin.ts";
import type { Outcome } from "./run.ts";
import type { Weather } from "./wire.ts";

/** What can be wrong; the last is what nobody promises against. */
export type RedlockFlaw = MasterFlaw | "forgets its last second";

/** All of them. */
export const redlockFlaws: readonly RedlockFlaw[] = [
  "writes no token back",
  "carries nothing on",
  "proposes nothing anew",
  "asks for no owner",
  "lets a later token pass",
  "forgets its last second",
];

const runMs = 2_500;
/** Until the last late message has arrived, and the last wait has ended. */
const restMs = 20_000;
const processesAtOnce = 3;
/** Beyond what keeps that nobody uses. */
const leapMsMax = 100_000;
const secondMs = 1_000;
const silentPart = 0.75;

/** Runs one seed. The same seed gives the same run. */
export async function simulateRedlock(seed: number, flaw?: RedlockFlaw): Promise<Outcome> {
  const run = new Run(seed, flaw);
  await run.go();
  return { faults: run.ledger.faults, counts: run.ledger.counts };
}

class Run {
  readonly ledger: Ledger;
  readonly #world: World;
  readonly #forgets: boolean;
  readonly #masters: readonly SimulatedMaster[];
  /** In every other run; then leases may overlap in time, and fences must hold all the same. */
  readonly #leap: boolean;
  readonly #weather: Weather;
  readonly #keys = new RedisKeys("sim/");
  readonly #processes: Process[] = [];
  /** Of each token of a guard, who was promised it, and by how many. */
  readonly #promised = new Map<string, Map<string, Set<number>>>();
  /** As they were a moment ago. */
  readonly #images = new Map<SimulatedMaster, Image>();
  #clients = 0;

  constructor(seed: number, flaw: RedlockFlaw | undefined) {
    this.#world = new World(seed);
    const { random } = this.#world;
    this.#forgets = flaw === "forgets its last second";
    const masterFlaw = flaw === "forgets its last second" ? undefined : flaw;
    this.#leap = random.chance(0.5);
    const count = random.chance(0.8) ? 3 : 5;
    this.#masters = Array.from({ length: count }, () => {
      return new SimulatedMaster(this.#world, random.below(10_000), masterFlaw);
    });
    // Who is wrong is found out sooner in a storm.
    const bad = flaw === undefined ? random.next() : 1;
    this.#weather = { lost: 0.08 * bad, doubled: 0.1 * bad, late: 0.05 * bad };
    this.ledger = new Ledger({ judgesBeliefs: !this.#leap });
    // Drawn before the storm, but in some runs.
    if (random.chance(0.8)) for (const { redis } of this.#masters) redis.set(this.#keys.birth, "b");
  }

  async go(): Promise<void> {
    const world = this.#world;
    const isOver = (): boolean => world.nowMs >= runMs;
    for (let i = 0; i < processesAtOnce; i++) this.#spawn(isOver);
    while (!isOver()) {
      if (this.#forgets) this.#remember();
      await world.settle({ forMs: world.random.next() * 250 });
      if (world.random.chance(0.5)) this.#disturbProcess(isOver);
      else this.#disturbMaster();
    }
    Object.assign(this.#weather, { lost: 0, doubled: 0, late: 0 });
    for (const { environment } of this.#processes) environment.resume();
    await world.settle({ forMs: restMs });
    await this.#judge();
  }

  #spawn(isOver: () => boolean): void {
    const world = this.#world;
    const { random } = world;
    const environment = world.environment({ skewMs: random.below(10_000) });
    const process = new Process({
      ...{ name: `p${this.#clients}`, environment, ledger: this.ledger, random: random.fork() },
      locks: this.#client(environment),
      nowMs: () => world.nowMs,
    });
    this.#processes.push(process);
    void process.live(isOver);
  }

  #client(environment: VirtualEnvironment): LockBackend {
    const channel = `client ${this.#clients++}`;
    const silentMs = answerMs * silentPart;
    const ways = this.#masters.map((master, i) => {
      const promised: ConstructorParameters<typeof WayToMaster>[0]["promised"] = (call) => {
        const { guard, token } = promiseOf(call);
        this.#note(`${guard} ${token}`, String(call[2][1]), i);
      };
      const random = this.#world.random.fork();
      const weather = this.#weather;
      const way = { master, client: environment, channel, random, weather, silentMs, promised };
      return new WayToMaster(way);
    });
    const masters = new RedlockMasters(ways, this.#keys, environment);
    const register = new RedlockRegister(masters, environment);
    const parts = { masters, register, environment, channel, patienceMs: silentMs };
    return new AuthorityClient({
      name: "redlock",
      guarantees: { fencing: "durable", faultTolerant: true, atomicCommits: false },
      authority: this.#observed(new RedlockAuthority(parts)),
      ...{ environment, answerMs, prefix: "" },
      disconnect: () => masters.close(),
    });
  }

  /** Tells the ledger of tokens, when a client learns of them. */
  #observed(authority: RedlockAuthority): Authority {
    return {
      birth: () => authority.birth(),
      open: async (request) => {
        const startedMs = this.#world.nowMs;
        const reply = await authority.open(request);
        if (reply.kind === "opened") {
          const time = { startedMs, endedMs: this.#world.nowMs };
          this.ledger.issued(request, reply.token, time);
        }
        return reply;
      },
      turn: (request) => authority.turn(request),
      cancel: (request) => authority.cancel(request),
      renew: (request) => authority.renew(request),
      read: (request) => authority.read(request),
      commit: (request) => authority.commit(request),
      compareAndSet: (request) => authority.compareAndSet(request),
    };
  }

  /** Two who were both promised a token by a majority were both issued it. */
  #note(token: string, nonce: string, master: number): void {
    const owners = this.#promised.get(token) ?? new Map<string, Set<number>>();
    const by = owners.get(nonce) ?? new Set<number>();
    by.add(master);
    owners.set(nonce, by);
    this.#promised.set(token, owners);
    const issued = [...owners.values()].filter(({ size }) => size > this.#masters.length / 2);
    if (issued.length > 1) this.ledger.faults.push(`${token} was issued twice`);
  }

  #disturbProcess(isOver: () => boolean): void {
    const { random } = this.#world;
    const living = this.#processes.filter(({ environment }) => !environment.isStopped);
    const { environment } = random.pick(living);
    const what = random.pick(["pause", "pause", "crash", "step", "nothing"]);
    this.ledger.count(what);
    if (what === "pause") this.#pause(environment, 1_500);
    else if (what === "crash") {
      environment.stop();
      this.#spawn(isOver);
    } else if (what === "step") environment.skewMs += (random.next() - 0.5) * 5_000;
  }

  #disturbMaster(): void {
    const { random } = this.#world;
    const master = random.pick(this.#masters);
    if (!master.isUp) return;
    const what = random.pick(["master pause", "master crash", "all crash", "leap", "nothing"]);
    if (what === "leap" && !this.#leap) return;
    this.ledger.count(what);
    if (what === "master pause") this.#pause(master.environment, 600);
    else if (what === "master crash") this.#crash(master);
    else if (what === "all crash") this.#masters.forEach((each) => this.#crash(each));
    else if (what === "leap") master.environment.skewMs += (random.next() - 0.5) * leapMsMax;
  }

  #remember(): void {
    for (const master of this.#masters) {
      if (this.#world.random.chance(0.3)) this.#images.set(master, master.redis.image());
    }
  }

  #pause(environment: VirtualEnvironment, msMax: number): void {
    environment.pause();
    const ms = this.#world.random.next() * msMax;
    this.#world.environment().schedule(ms, () => environment.resume());
  }

  #crash(master: SimulatedMaster): void {
    if (!master.isUp) return;
    const world = this.#world;
    const before = this.#forgets ? this.#images.get(master) : undefined;
    master.crash();
    const ms = world.random.next() * 500;
    world.environment().schedule(ms, () => master.restart(before));
  }

  async #judge(): Promise<void> {
    for (const { environment, failure, isAtRest } of this.#processes) {
      if (failure !== undefined) this.ledger.faults.push(`a process failed: ${failure}`);
      if (!isAtRest && !environment.isStopped) this.ledger.faults.push("a process hangs");
    }
    for (const list of lists) {
      let value: Uint8Array | undefined;
      let isRead = false;
      const read = async (): Promise<void> => {
        value = (await this.#client(this.#world.environment()).read(list))?.value;
        isRead = true;
      };
      read().catch((error: unknown) => {
        this.ledger.faults.push(`${list} cannot be read: ${String(error)}`);
      });
      await this.#world.settle({ forMs: secondMs * 10 });
      if (isRead) this.ledger.judge(list, value);
      else this.ledger.faults.push(`${list} was not read`);
    }
  }
}
