/** Many clients at once: nothing is lost, and the order is a real one. */
import { expect } from "vitest";
import { ConflictError, StaleTokenError, UnknownOutcomeError } from "../../../src/errors.ts";
import type { Guarded, LockBackend } from "../../../src/escalate/locks.ts";
import { Random } from "../../simulation/virtual-environment.ts";
import type { LockCase } from "../conformance.ts";
import { isLinearizable, type Observed, versionFaults } from "../linearizability.ts";
import { bytes, operationId, text, type Trial } from "../trial.ts";
import { expectGrowing } from "./leases.ts";

/** One who reads and writes at random, and notes what it saw. */
class Actor {
  readonly history: Observed[] = [];
  readonly #trial: Trial;
  readonly #client: LockBackend;
  readonly #number: number;
  readonly #random: Random;
  #known: Guarded | undefined;
  #writes = 0;

  constructor(trial: Trial, client: LockBackend, number: number) {
    this.#trial = trial;
    this.#client = client;
    this.#number = number;
    this.#random = new Random(number + 1);
  }

  async act(): Promise<void> {
    const act = this.#random.pick(["read", "set", "set", "section"] as const);
    if (act === "read") await this.#read();
    else if (act === "set") await this.#set();
    else await this.#section();
  }

  async #read(): Promise<void> {
    const startedMs = performance.now();
    this.#known = await this.#client.read("register");
    this.#note({ startedMs, kind: "read" }, this.#known);
  }

  async #set(): Promise<void> {
    const known = this.#known;
    await this.#write(known, (value) =>
      this.#client.compareAndSet("register", known?.version, bytes(value), operationId()),
    );
  }

  async #section(): Promise<void> {
    const lease = await this.#trial.hold(this.#client, "register", this.#trial.longMs);
    await this.#write(lease.current, async (value) => {
      const [written] = await this.#client.commit([{ lease, value: bytes(value) }], operationId());
      return written ?? expect.unreachable("a commit answers");
    });
    await lease.release();
  }

  async #write(
    before: Guarded | undefined,
    write: (value: string) => Promise<Guarded>,
  ): Promise<void> {
    const startedMs = performance.now();
    const value = `${this.#number}:${this.#writes++}`;
    const expected = before?.version ?? 0n;
    const from = text(before) ?? "";
    try {
      this.#known = await write(value);
      this.#note({ startedMs, kind: "write", expected, from }, this.#known);
    } catch (error) {
      if (error instanceof UnknownOutcomeError) {
        const event = { client: this.#number, startedMs, endedMs: Infinity, expected, from };
        this.history.push({ ...event, kind: "write", version: expected + 1n, value });
      } else if (error instanceof ConflictError || error instanceof StaleTokenError) {
        this.#known = undefined;
        await this.#read();
      } else throw error;
    }
  }

  #note(event: Omit<Observed, "client" | "endedMs" | "version" | "value">, seen?: Guarded): void {
    const endedMs = performance.now();
    const value = text(seen) ?? "";
    this.history.push({
      ...event,
      client: this.#number,
      endedMs,
      version: seen?.version ?? 0n,
      value,
    });
  }
}

export const loadCases: readonly LockCase[] = [
  {
    name: "eight clients that read and write under the lock lose nothing, and tokens are in the order of grants",
    run: async (trial) => {
      const clients = await Promise.all(Array.from({ length: 8 }, () => trial.client()));
      const tokens: bigint[] = [];
      let holders = 0;
      await Promise.all(
        clients.map(async (client) => {
          for (let i = 0; i < 25; i++) {
            await using lease = await trial.hold(client, "sum", trial.longMs * 4);
            expect(++holders).toBe(1);
            tokens.push(lease.token);
            const sum = Number(text(lease.current) ?? 0);
            await client.commit([{ lease, value: bytes(`${sum + 1}`) }], operationId());
            holders--;
          }
        }),
      );
      expect(text(await clients[0]?.read("sum"))).toBe("200");
      expectGrowing(tokens);
    },
  },
  {
    name: "whatever clients do at once, some order of it explains what they saw",
    run: async (trial) => {
      const clients = await Promise.all(Array.from({ length: 5 }, () => trial.client()));
      const actors = clients.map((client, i) => new Actor(trial, client, i));
      const judge = await trial.client();
      // Short rounds, each from the value that the last one left, are samples small enough to search.
      const histories: Observed[][] = [];
      for (let round = 0; round < 8; round++) {
        const startedMs = performance.now();
        const before = await judge.read("register");
        const initial: Observed = {
          ...{ client: -1, startedMs, endedMs: performance.now(), kind: "read" },
          ...{ version: before?.version ?? 0n, value: text(before) ?? "" },
        };
        await Promise.all(
          actors.map(async (actor) => {
            for (let i = 0; i < 12; i++) await actor.act();
          }),
        );
        const round0 = actors.flatMap((actor) => actor.history.splice(0));
        expect(isLinearizable(startingAt(initial, round0))).not.toBe(false);
        histories.push(round0);
      }
      const last = await judge.read("register");
      const nowMs = performance.now();
      const seen: Observed = {
        ...{ client: -1, startedMs: nowMs, endedMs: nowMs, kind: "read" },
        ...{ version: last?.version ?? 0n, value: text(last) ?? "" },
      };
      expect(versionFaults(histories.flat(), seen)).toEqual([]);
      expect(last?.version).toBe(
        BigInt(histories.flat().filter(({ kind }) => kind === "write").length),
      );
    },
  },
];

/** The same history of a register that begins with what `initial` saw. */
const startingAt = (initial: Observed, history: readonly Observed[]): Observed[] => [
  { ...initial, kind: "write", startedMs: -1, endedMs: 0 },
  ...history,
];
