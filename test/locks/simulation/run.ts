/** A store and some processes under a seed: pauses, crashes, clock steps, bad weather; then judgement. */
import type { Authority } from "../../../src/escalate/fence/authority.ts";
import { GuardTable } from "../../../src/escalate/fence/guard-table.ts";
import { memoryLocks } from "../../../src/escalate/locks/memory.ts";
import { World } from "../../simulation/virtual-environment.ts";
import { type Flaw, withFlaw } from "./broken.ts";
import { Ledger, namesIn } from "./ledger.ts";
import { accounts, answerMs, lists, Process, sum } from "./process.ts";
import { type Weather, Wire } from "./wire.ts";

/** What a run found. */
export interface Outcome {
  readonly faults: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

const runMs = 12_000;
/** Until the last late message has arrived, and the last wait has ended. */
const restMs = 60_000;
const processesAtOnce = 4;

/** Tells the ledger what the store grants, when it does. */
function observed(authority: Authority, ledger: Ledger): Authority {
  const known = new Set<string>();
  const operate = authority.operate?.bind(authority);
  return {
    birth: () => authority.birth(),
    open: async (request) => {
      const reply = await authority.open(request);
      // Asked again by the holder it is the same lease.
      const grant = reply.kind === "opened" ? `${request.nonce} ${reply.token}` : "";
      if (reply.kind === "opened" && !known.has(grant)) {
        known.add(grant);
        ledger.granted(request.resource, reply.token);
      }
      return reply;
    },
    turn: (request) => authority.turn(request),
    cancel: (request) => authority.cancel(request),
    renew: (request) => authority.renew(request),
    read: (request) => authority.read(request),
    commit: (request) => authority.commit(request),
    compareAndSet: (request) => authority.compareAndSet(request),
    ...(operate ? { operate } : {}),
  };
}

/** Runs one seed. The same seed gives the same run. */
export async function simulateLocks(seed: number, flaw?: Flaw): Promise<Outcome> {
  const world = new World(seed);
  const { random } = world;
  const ledger = new Ledger();
  const store = world.environment();
  const table = new GuardTable(store);
  const authority = observed(withFlaw(table, flaw), ledger);
  const bad = random.next();
  const weather: Weather = { lost: 0.08 * bad, doubled: 0.1 * bad, late: 0.05 * bad };
  const isOver = (): boolean => world.nowMs >= runMs;
  const processes: Process[] = [];
  let born = 0;
  const spawn = (): Process => {
    const environment = world.environment({ skewMs: random.below(10_000) });
    const ends = { store, process: environment };
    const own = random.fork();
    const wire = new Wire(ends, authority, random.fork(), weather);
    const process = new Process({
      ...{ name: `p${born++}`, environment, ledger, random: own },
      locks: memoryLocks({ store: { authority: wire }, environment, answerMs, prefix: "" }),
      nowMs: () => world.nowMs,
    });
    processes.push(process);
    void process.live(isOver);
    return process;
  };
  for (let i = 0; i < processesAtOnce; i++) spawn();
  while (!isOver()) {
    await world.settle({ forMs: random.next() * 400 });
    disturb(world, processes, { spawn, ledger });
  }
  Object.assign(weather, { lost: 0, doubled: 0, late: 0 });
  for (const { environment } of processes) environment.resume();
  await world.settle({ forMs: restMs });
  await judge(table, processes, ledger);
  return { faults: ledger.faults, counts: ledger.counts };
}

/** Something happens to one of the processes. */
function disturb(
  world: World,
  processes: readonly Process[],
  scene: { readonly spawn: () => Process; readonly ledger: Ledger },
): void {
  const { random } = world;
  const living = processes.filter(({ environment }) => !environment.isStopped);
  const { environment } = random.pick(living);
  const what = random.pick(["pause", "pause", "crash", "step", "nothing", "nothing"]);
  scene.ledger.count(what);
  if (what === "pause") {
    environment.pause();
    world.environment().schedule(random.next() * 1_500, () => environment.resume());
  } else if (what === "crash") {
    environment.stop();
    scene.spawn();
  } else if (what === "step") environment.skewMs += (random.next() - 0.5) * 5_000;
}

async function judge(
  table: GuardTable,
  processes: readonly Process[],
  ledger: Ledger,
): Promise<void> {
  for (const { environment, failure, isAtRest } of processes) {
    if (failure !== undefined) ledger.faults.push(`a process failed: ${failure}`);
    if (!isAtRest && !environment.isStopped) ledger.faults.push("a process hangs");
  }
  const valueOf = async (resource: string): Promise<Uint8Array | undefined> => {
    const reply = await table.read({ birth: undefined, resource });
    return reply.kind === "present" ? reply.present.value : undefined;
  };
  const numberOf = async (resource: string): Promise<number> =>
    Number(namesIn(await valueOf(resource))[0] ?? 0);
  for (const list of lists) ledger.judge(list, await valueOf(list));
  ledger.judgeSum(await numberOf(sum));
  const total = (await numberOf(accounts[0])) + (await numberOf(accounts[1]));
  if (total !== 0) ledger.faults.push(`at rest the accounts sum up to ${total}`);
}
