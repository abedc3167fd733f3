/**
 * Real replicas under seeds: clocks that differ, cuts, crashes, touches that are
 * concurrent to expiries, expiries on two replicas, one that is cut off. After every step all replicas show
 * what the specification says of the events that they have seen; in the end nothing is left.
 */
import { deepStrictEqual } from "node:assert/strict";
import { expect, test } from "vitest";
import { noCell } from "../../src/crdt/cells.ts";
import { lifeName, readExpired, readUntil } from "../../src/crdt/expiring.ts";
import { type Random } from "../simulation/virtual-environment.ts";
import { Village } from "../storage/village.ts";
import { vectorOf } from "../store/dump.ts";
import { boundMs, left, lifetimeMs, open, type Process } from "./scene.ts";
import { type Event, sees, specification } from "./specification.ts";

const hosts = ["a", "b", "c"] as const;
const keys = ["k", "other"];
const elements = ["x", "y", "z"];
/** Longer than any cut. */
const peerSilentMsMax = 90_000;

/** What a run must have met, or it proves nothing. */
const met = { expiries: 0, extended: 0, crashes: 0, cuts: 0, anew: 0 };

class Run {
  readonly village: Village;
  readonly random: Random;
  readonly processes: Process[] = [];
  readonly events: Event[] = [];
  readonly #known = new Set<string>();
  readonly #wallOf = new Map<string, Process>();

  constructor(seed: number) {
    this.village = new Village(seed);
    this.random = this.village.world.random;
  }

  async start(): Promise<void> {
    for (const host of hosts) this.processes.push(await this.#open(host));
    await this.village.pass(2_000);
  }

  async step(): Promise<void> {
    const { random, village } = this;
    const at = random.below(this.processes.length);
    const process = this.processes[at] as Process;
    const drawn = random.below(100);
    if (drawn < 45) this.#write(process);
    else if (drawn < 75) await village.pass(random.below(random.chance(0.3) ? 4_000 : 300));
    else if (drawn < 86) {
      met.cuts++;
      village.network.cut(random.pick(hosts), random.pick(hosts));
    } else if (drawn < 96) village.network.heal();
    else {
      met.crashes++;
      village.crash(process);
      this.processes[at] = await this.#open(process.host);
    }
    this.check();
  }

  /** What each shows is what it must show; what has a deadline that has not passed is there. */
  check(): void {
    for (const process of this.processes) {
      process.keyspace.flush();
      const vector = new Map(vectorOf(process.keyspace));
      const { sessions } = process.collections;
      for (const key of keys) {
        const seen = this.events.filter((event) => event.key === key && sees(vector, event));
        const { shown, present, untilMs, writers } = specification(seen);
        const where = `${process.host}, ${key}`;
        deepStrictEqual(sessions.values(key).toSorted(), shown, where);
        deepStrictEqual(sessions.has(key), shown.length > 0, where);
        const isPassed = writers.some((actor) => {
          const writer = this.#wallOf.get(actor);
          return writer === undefined || writer.environment.isStopped
            ? true
            : writer.environment.now() >= untilMs;
        });
        if (!isPassed) deepStrictEqual(shown, present, `${where} is gone before its deadline`);
      }
      deepStrictEqual(sessions.size(), keys.filter((key) => sessions.has(key)).length);
      deepStrictEqual(process.replica.status().keys["sessions"], sessions.size());
    }
  }

  async rest(): Promise<void> {
    const { village } = this;
    village.network.heal();
    await village.pass(30_000);
    this.check();
    await village.pass(4 * lifetimeMs + 10 * boundMs + 2 * peerSilentMsMax + 60_000);
    this.check();
    const sizes = this.processes.map(({ collections }) => collections.sessions.size());
    deepStrictEqual(sizes, [0, 0, 0]);
    deepStrictEqual(this.processes.map(left), [0, 0, 0]);
  }

  #write(process: Process): void {
    const { random } = this;
    const { sessions } = process.collections;
    const { keyspace, environment } = process;
    keyspace.flush();
    const key = random.pick(keys);
    const element = random.pick(elements);
    const before = this.#before(process);
    const drawn = random.below(20);
    if (drawn < 10) {
      // Whether it is only hidden or was removed since is what nobody may notice.
      const isNew = !sessions.has(key);
      if (this.#isHidden(process, key)) met.anew++;
      sessions.add(key, element);
      this.#note({
        ...before,
        kind: "add",
        key,
        element,
        isNew,
        atMs: sessions.expiresAt(key) ?? 0,
      });
      deepStrictEqual(sessions.has(key, element), true, "a write shows at once");
    } else if (drawn < 13) {
      if (!sessions.has(key, element)) return;
      sessions.remove(key, element);
      this.#note({ ...before, kind: "remove", key, element });
    } else if (drawn < 14) {
      if (!sessions.has(key)) return;
      sessions.delete(key);
      this.#note({ ...before, kind: "delete", key });
    } else {
      const atMs = environment.now() - 500 + random.below(2 * lifetimeMs);
      if (!sessions.expireAt(key, atMs)) return;
      met.extended++;
      this.#note({ ...before, kind: "extend", key, atMs });
    }
    keyspace.flush();
  }

  #before({ keyspace }: Process): Pick<Event, "actor" | "sequence" | "held"> {
    const sequence = keyspace.held.at(keyspace.me) + 1;
    return { actor: keyspace.actor, sequence, held: new Map(vectorOf(keyspace)) };
  }

  #note(event: Event): void {
    this.events.push(event);
    this.#known.add(`${event.actor}:${event.sequence}`);
  }

  #isHidden({ keyspace, collections }: Process, key: string): boolean {
    const node = keyspace.nodes.root("sessions")?.keys.get(key);
    if (node === undefined || collections.sessions.has(key)) return false;
    const life = keyspace.nodes.container(node)?.children.get(lifeName);
    return life !== undefined && this.#cells(keyspace, life).some((one) => readExpired(one) > 0);
  }

  #cells(keyspace: Process["keyspace"], slot: number): unknown[] {
    return keyspace.cells
      .cellsOf(slot)
      .filter((cell) => keyspace.cells.isLive(cell))
      .map((cell) => keyspace.cells.payload(cell));
  }

  async #open(host: string): Promise<Process> {
    const skewMs = this.random.below(boundMs) - boundMs / 2;
    const peers = hosts.slice(0, hosts.indexOf(host as "a"));
    const options = { peers, skewMs, isDurable: true, peerSilentMsMax };
    const process = await open(this.village, host, options);
    const { keyspace } = process;
    let held = new Map(vectorOf(keyspace));
    this.#wallOf.set(keyspace.actor, process);
    keyspace.listeners.add({
      // What the replica does by itself is seen in its batches.
      flushed: () => {
        const before = { actor: keyspace.actor, sequence: keyspace.held.at(keyspace.me), held };
        held = new Map(vectorOf(keyspace));
        for (const slot of keyspace.lastBatch()) {
          if (keyspace.nodes.isAside(slot)) this.#byItself(process, slot, before);
        }
      },
      joined: () => {
        held = new Map(vectorOf(keyspace));
      },
    });
    return process;
  }

  #byItself(
    { keyspace }: Process,
    slot: number,
    before: Pick<Event, "actor" | "sequence" | "held">,
  ): void {
    const { nodes, cells } = keyspace;
    if (nodes.rootOf(slot).name !== "sessions") return;
    if (this.#known.has(`${before.actor}:${before.sequence}`)) return;
    const key = String(nodes.name(nodes.parent(slot)));
    const cell = nodes.head(slot);
    if (cell === noCell) return;
    const atMs = readExpired(cells.payload(cell));
    if (atMs > 0) {
      met.expiries++;
      this.events.push({ ...before, kind: "expire", key, atMs });
    } else if (!cells.isLive(cell)) {
      // What is left of a key without content: as if somebody had deleted nothing.
      const life = this.events.filter((one) => one.key === key && sees(before.held, one));
      const { shown, present } = specification(life);
      if (present.length === 0) this.events.push({ ...before, kind: "delete", key });
      else deepStrictEqual(shown, [], "what is removed is over");
    } else {
      deepStrictEqual(readUntil(cells.payload(cell)), 0, "no replica extends by itself");
    }
  }
}

const seeds = Number(process.env["TRELLIS_EXPIRY_SEEDS"] ?? 30);
const first = Number(process.env["TRELLIS_SEED"] ?? 1);

test("replicas show what the specification says, and forget it", { timeout: 120_000 }, async () => {
  for (let seed = first; seed < first + seeds; seed++) {
    const run = new Run(seed);
    try {
      await run.start();
      for (let i = 0; i < 60; i++) await run.step();
      await run.rest();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`TRELLIS_SEED=${seed} TRELLIS_EXPIRY_SEEDS=1 fails again: ${reason}`, {
        cause: error,
      });
    }
  }
  expect(Object.entries(met).filter(([, times]) => times === 0)).toEqual([]);
});
