/** A process with a replica, that uses fenced values in every way at random. */
import {
  AlreadyClaimedError,
  ConflictError,
  LeaseLostError,
  LockTimeoutError,
  LockUnavailableError,
  OverloadedError,
  StaleTokenError,
  UnknownOutcomeError,
} from "../../../src/errors.ts";
import type { Ledger, Told } from "../../locks/simulation/ledger.ts";
import type { Observed } from "../../locks/linearizability.ts";
import type { Random, VirtualEnvironment } from "../../simulation/virtual-environment.ts";
import type { Site } from "../scene.ts";
import { ask, type Intents } from "./intents.ts";

/** Values that names are added to. */
export const lists = ["list a", "list b"] as const;
export const accountsCount = 100;
export const openingBalance = 10;
const accountsLookedAt = 10;
/** A value of which each write has the number of the one before it, and one more: an order of its own. */
export const numbered = "numbered";

/** The number in it. Several writes of one process are one version of the guard, so that is another one. */
export const numberIn = (value: unknown): bigint =>
  BigInt(typeof value === "string" ? (value.split(" ")[0] ?? 0) : 0);
export const names = ["ada", "bob"] as const;

/** What each account is called. */
export const accountName = (i: number): string => `account ${i}`;

/** What is known of all processes together. */
export interface Shared {
  readonly ledger: Ledger;
  readonly intents: Intents;
  readonly history: Observed[];
  readonly nowMs: () => number;
  /** What was ever committed under a key of the store, by version. */
  readonly committed: (resource: string, version: number) => unknown;
  /** Another process, to take from what it holds. */
  readonly meet: (client: Client) => void;
}

/** What an error told its caller. */
export function toldBy(error: unknown): Told {
  if (error instanceof UnknownOutcomeError) return "unknown";
  const sure = [
    ...[ConflictError, StaleTokenError, LeaseLostError, AlreadyClaimedError],
    ...[LockTimeoutError, LockUnavailableError, OverloadedError],
  ];
  if (sure.some((Class) => error instanceof Class)) return "refused";
  throw error;
}

/** One of them. */
export class Client {
  readonly name: string;
  readonly site: Site;
  readonly environment: VirtualEnvironment;
  failure: string | undefined;
  isAtRest = false;
  readonly #random: Random;
  readonly #shared: Shared;
  /** The largest version of each copy that was shown here. */
  readonly #shown = new Map<string, number>();
  readonly #index: number;
  #claims = 0;

  constructor(
    options: {
      readonly name: string;
      readonly site: Site;
      readonly environment: VirtualEnvironment;
    },
    random: Random,
    shared: Shared,
  ) {
    this.name = options.name;
    this.site = options.site;
    this.environment = options.environment;
    this.#random = random;
    this.#shared = shared;
    this.#index = Number(options.name.slice(1));
  }

  /** Acts, several things at a time, until `isOver`. */
  async live(isOver: () => boolean): Promise<void> {
    const strand = async (): Promise<void> => {
      while (!isOver()) {
        await this.#sleep(this.#random.next() * 60);
        await this.#act();
        this.look();
      }
    };
    try {
      await Promise.all([strand(), strand(), strand()]);
    } catch (error) {
      this.failure = error instanceof Error ? (error.stack ?? error.message) : "no error";
    }
    this.isAtRest = true;
  }

  /** What is shown here was committed, and never goes back. */
  look(): void {
    for (const key of [...lists, numbered]) this.#lookAt("notes", key);
    for (let i = 0; i < accountsLookedAt; i++) {
      this.#lookAt("accounts", accountName(this.#random.below(accountsCount)));
    }
  }

  #lookAt(collection: "notes" | "accounts", key: string): void {
    const { version, value } = this.site[collection].peek(key);
    const at = `${collection}/${key}`;
    const { ledger, committed } = this.#shared;
    if (version < (this.#shown.get(at) ?? 0)) ledger.faults.push(`${at} went back to ${version}`);
    this.#shown.set(at, version);
    if (version > 0 && JSON.stringify(committed(at, version)) !== JSON.stringify(value)) {
      ledger.faults.push(`${at} shows at version ${version} what was not committed so`);
    }
  }

  async #act(): Promise<void> {
    const acts = [
      () => this.#append(),
      () => this.#append(),
      () => this.#append(),
      () => this.#transfer(),
      () => this.#transfer(),
      () => this.#number(),
      () => this.#readNumbered(),
      () => this.#claim(),
      () => this.#audit(),
      async () => this.#shared.meet(this),
    ];
    await this.#random.pick(acts)();
  }

  async #append(): Promise<void> {
    const { intents } = this.#shared;
    const intent = intents.next(this.#random, lists);
    try {
      const result = await ask(intent, this.site, {
        waitMs: this.#random.below(2_000),
        ttlMs: 200 + this.#random.below(400),
        thinkMs: () => this.#sleep(this.#random.next() * 300),
      });
      intents.tell(intent, "applied", result);
    } catch (error) {
      intents.tell(intent, toldBy(error));
    }
  }

  /** Two values a section: both or neither. */
  async #transfer(): Promise<void> {
    const from = this.#random.below(accountsCount);
    const to = (from + 1 + this.#random.below(accountsCount - 1)) % accountsCount;
    const { accounts, fenced } = this.site;
    const [payer, payee] = [accounts.at(accountName(from)), accounts.at(accountName(to))];
    const amount = 1 + this.#random.below(9);
    await this.#count("transfers", () =>
      fenced.escalate(
        [payer, payee],
        async (section) => {
          const [a = 0, b = 0] = section.values;
          if (this.#random.chance(0.3)) await this.#sleep(this.#random.next() * 400);
          section.set(payer, a - amount);
          section.set(payee, b + amount);
        },
        {
          ...{ waitMs: this.#random.below(1_500), ttlMs: 200 + this.#random.below(400) },
          ...(this.#random.chance(0.3) ? { idempotencyKey: `transfer ${amount}` } : {}),
        },
      ),
    );
  }

  /** All of them in one section, where the sum is what it always was. */
  async #audit(): Promise<void> {
    if (!this.#random.chance(0.1)) return;
    const { accounts, fenced } = this.site;
    const handles = Array.from({ length: accountsCount }, (_, i) => accounts.at(accountName(i)));
    await this.#count("audits", async () => {
      const total = await fenced.escalate(
        handles,
        ({ values }) => values.reduce<number>((sum, value) => sum + (value ?? 0), 0),
        { waitMs: 20_000, ttlMs: 2_000 },
      );
      if (total !== accountsCount * openingBalance) {
        this.#shared.ledger.faults.push(`the accounts sum up to ${total}`);
      }
    });
  }

  async #number(): Promise<void> {
    const by = `${this.name} ${this.#shared.history.length}`;
    let from = "";
    const observed: { -readonly [K in keyof Observed]: Observed[K] } = {
      ...{ client: this.#index, kind: "write", startedMs: this.#shared.nowMs() },
      ...{ endedMs: Infinity, version: 0n, value: "" },
    };
    const next = (current: unknown): string => {
      from = typeof current === "string" ? current : "";
      observed.value = `${numberIn(from) + 1n} ${by}`;
      return observed.value;
    };
    this.#shared.history.push(observed);
    const { notes, fenced } = this.site;
    const handle = notes.at(numbered);
    try {
      if (this.#random.chance(0.7)) {
        await notes.update(numbered, next, { waitMs: this.#random.below(1_500) });
      } else {
        const write = fenced.escalate([handle], ({ values: [value], set }) => {
          set(handle, next(value));
        });
        await write;
      }
      observed.version = numberIn(observed.value);
      Object.assign(observed, { expected: observed.version - 1n, from });
      observed.endedMs = this.#shared.nowMs();
    } catch (error) {
      if (toldBy(error) === "unknown") return;
      this.#shared.history.splice(this.#shared.history.indexOf(observed), 1);
    }
  }

  async #readNumbered(): Promise<void> {
    const startedMs = this.#shared.nowMs();
    await this.#count("reads", async () => {
      const read = await this.site.notes.read(numbered);
      const value = typeof read === "string" ? read : "";
      const version = numberIn(value);
      const endedMs = this.#shared.nowMs();
      const client = this.#index;
      this.#shared.history.push({ client, kind: "read", startedMs, endedMs, version, value });
    });
  }

  async #claim(): Promise<void> {
    const name = this.#random.pick(names);
    const owner = `${this.name} ${this.#claims++}`;
    const { username } = this.site;
    const options = { waitMs: this.#random.below(1_000) };
    await this.#count("claims", async () => {
      await username.claim(name, owner, options);
      // Until it is released nobody else can own it.
      const found = await username.readOwner(name);
      if (found !== owner) this.#shared.ledger.faults.push(`${name} of ${owner} is ${found}'s`);
      await this.#sleep(this.#random.next() * 100);
      await username.release(name, owner, options);
    });
  }

  async #count(what: string, run: () => Promise<unknown>): Promise<void> {
    try {
      await run();
      this.#shared.ledger.count(what);
    } catch (error) {
      this.#shared.ledger.count(`${what} ${toldBy(error)}`);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.environment.schedule(ms, resolve);
    });
  }
}
