/** A store and some replicas under a seed: pauses, crashes, clock steps, bad weather; then judgement. */
import type { Hash } from "../../../src/escalate/fenced/call-identity.ts";
import { decodeEnvelope } from "../../../src/escalate/fenced/envelope.ts";
import { GuardTable } from "../../../src/escalate/fence/guard-table.ts";
import { memoryLocks } from "../../../src/escalate/locks/memory.ts";
import { type Observed, versionFaults } from "../../locks/linearizability.ts";
import { Ledger } from "../../locks/simulation/ledger.ts";
import { type Weather, Wire } from "../../locks/simulation/wire.ts";
import {
  type Random,
  type VirtualEnvironment,
  World,
} from "../../simulation/virtual-environment.ts";
import { join, joinAll, Site } from "../scene.ts";
import {
  accountName,
  accountsCount,
  Client,
  lists,
  numberIn,
  numbered,
  openingBalance,
  type Shared,
} from "./client.ts";
import { Intents } from "./intents.ts";

/** What a run found. */
export interface Outcome {
  readonly faults: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /** Of the numbered value. */
  readonly history: readonly Observed[];
  readonly last: Observed;
}

const runMs = 10_000;
/** Until the last late message has arrived, and the last wait has ended. */
const restMs = 90_000;
const clientsAtOnce = 4;
const prefix = "trellis/value/";

/** All that was ever in the store, by resource and version. */
class Chronicle {
  readonly #versions = new Map<string, Map<number, unknown>>();

  note(resource: string, version: bigint, value: Uint8Array | undefined): void {
    if (!resource.startsWith(prefix) || version === 0n) return;
    const at = resource.slice(prefix.length);
    const versions = this.#versions.get(at) ?? new Map<number, unknown>();
    versions.set(Number(version), decodeEnvelope(value, resource).value);
    this.#versions.set(at, versions);
  }

  readonly committed = (at: string, version: number): unknown =>
    this.#versions.get(at)?.get(version) ?? "nothing";

  latest(at: string): { readonly version: number; readonly value: unknown } {
    const versions = this.#versions.get(at) ?? new Map<number, unknown>();
    const version = Math.max(0, ...versions.keys());
    return { version, value: versions.get(version) };
  }
}

/** Runs one seed. The same seed gives the same run. */
export async function simulateFenced(seed: number, hash?: Hash): Promise<Outcome> {
  const world = new World(seed);
  const { random } = world;
  const nowMs = (): number => world.nowMs;
  const ledger = new Ledger();
  const chronicle = new Chronicle();
  const store = world.environment();
  const table = new GuardTable(store, {
    onChange: (resource, { version, value }) => chronicle.note(resource, version, value),
  });
  const bad = random.next();
  const weather: Weather = { lost: 0, doubled: 0, late: 0 };
  const clients: Client[] = [];
  const shared: Shared = {
    ...{ ledger, nowMs, history: [], intents: new Intents(ledger, nowMs) },
    committed: chronicle.committed,
    meet: (client) => meet(random, client, clients),
  };
  const isOver = (): boolean => world.nowMs >= runMs;
  const spawn = (heir?: Client): Client => {
    const environment = world.environment({ skewMs: random.below(10_000) });
    const ends = { store, process: environment };
    const authority = new Wire(ends, table, random.fork(), weather);
    const backend = memoryLocks({ store: { authority }, environment, answerMs: 100 });
    const site = new Site({
      ...{ environment, backend },
      ...(hash ? { hash } : {}),
      ...(heir ? legacy(heir) : {}),
    });
    const client = new Client(
      { name: `p${clients.length}`, site, environment },
      random.fork(),
      shared,
    );
    clients.push(client);
    return client;
  };
  await open(world, spawn().site);
  for (let i = 1; i < clientsAtOnce; i++) spawn();
  for (const client of clients) void client.live(isOver);
  Object.assign(weather, { lost: 0.06 * bad, doubled: 0.1 * bad, late: 0.04 * bad });
  while (!isOver()) {
    await world.settle({ forMs: random.next() * 400 });
    disturb(world, clients, { ledger, spawn: (heir) => void spawn(heir).live(isOver) });
  }
  Object.assign(weather, { lost: 0, doubled: 0, late: 0 });
  for (const { environment } of clients) environment.resume();
  await world.settle({ forMs: restMs });
  const last = await judge(world, clients, { ledger, chronicle, history: shared.history });
  return { faults: ledger.faults, counts: ledger.counts, history: shared.history, last };
}

/** What outlives a process: its disk. */
const legacy = ({ site }: Client): Pick<Site, "keyspace" | "births"> => ({
  keyspace: site.keyspace,
  births: site.births,
});

async function open(world: World, { accounts }: Site): Promise<void> {
  const all = Array.from({ length: accountsCount }, (_, i) =>
    accounts.update(accountName(i), () => openingBalance),
  );
  await settled(world, Promise.all(all));
}

async function settled<T>(world: World, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  promise.then(over, over);
  await world.settle({ until: () => isOver, forMs: 300_000 });
  if (!isOver) throw new Error("this hangs");
  return promise;
}

/** One takes what another holds. */
function meet(random: Random, client: Client, clients: readonly Client[]): void {
  const others = clients.filter((one) => one !== client && !one.environment.isStopped);
  if (others.length > 0) join(client.site, random.pick(others).site);
}

function disturb(
  world: World,
  clients: readonly Client[],
  scene: { readonly spawn: (heir?: Client) => void; readonly ledger: Ledger },
): void {
  const { random } = world;
  const client = random.pick(clients.filter(({ environment }) => !environment.isStopped));
  const environment: VirtualEnvironment = client.environment;
  const what = random.pick(["pause", "pause", "crash", "restart", "step", "nothing", "nothing"]);
  scene.ledger.count(what);
  if (what === "pause") {
    environment.pause();
    world.environment().schedule(random.next() * 1_500, () => environment.resume());
  } else if (what === "crash" || what === "restart") {
    environment.stop();
    scene.spawn(what === "restart" ? client : undefined);
  } else if (what === "step") environment.skewMs += (random.next() - 0.5) * 5_000;
}

async function judge(
  world: World,
  clients: readonly Client[],
  seen: {
    readonly ledger: Ledger;
    readonly chronicle: Chronicle;
    readonly history: readonly Observed[];
  },
): Promise<Observed> {
  const { ledger, chronicle, history } = seen;
  for (const { environment, failure, isAtRest, name } of clients) {
    if (failure !== undefined) ledger.faults.push(`${name} failed: ${failure}`);
    if (!isAtRest && !environment.isStopped) ledger.faults.push(`${name} hangs`);
  }
  const alive = clients.filter(({ environment }) => !environment.isStopped);
  const [reader] = alive;
  if (!reader) throw new Error("all are dead");
  const accounts = Array.from({ length: accountsCount }, (_, i) => accountName(i));
  const { site } = reader;
  const reads = [
    ...[...lists, numbered].map((key) => site.notes.read(key)),
    ...accounts.map((key) => site.accounts.read(key)),
  ];
  await settled(world, Promise.all(reads));
  joinAll(alive.map((client) => client.site));
  for (const client of alive) {
    client.look();
    let total = 0;
    for (const key of accounts) total += client.site.accounts.get(key) ?? 0;
    if (total !== accountsCount * openingBalance) {
      ledger.faults.push(`at rest the accounts of ${client.name} sum up to ${total}`);
    }
    for (const key of lists) {
      const { version } = client.site.notes.peek(key);
      const latest = chronicle.latest(`notes/${key}`);
      if (version !== latest.version) {
        ledger.faults.push(`${client.name} has ${key} at ${version}, not ${latest.version}`);
      }
    }
  }
  for (const list of lists) {
    const { value } = chronicle.latest(`notes/${list}`);
    ledger.judge(list, new TextEncoder().encode(typeof value === "string" ? value : ""));
  }
  const { value } = chronicle.latest(`notes/${numbered}`);
  const last: Observed = {
    ...{ client: -1, kind: "read", startedMs: world.nowMs, endedMs: world.nowMs + 1 },
    ...{ version: numberIn(value), value: typeof value === "string" ? value : "" },
  };
  ledger.faults.push(...versionFaults(history, last), ...successionFaults(history));
  return last;
}

/** Each write was computed from what the one before it left. */
function successionFaults(history: readonly Observed[]): string[] {
  const writes = history.filter(({ kind, endedMs }) => kind === "write" && endedMs < Infinity);
  const values = new Map(writes.map(({ version, value }) => [version, value]));
  return writes.flatMap(({ version, from }) => {
    const before = values.get(version - 1n);
    return before === undefined || before === from
      ? []
      : [`version ${version} was computed from ${from}, not from ${before}`];
  });
}
