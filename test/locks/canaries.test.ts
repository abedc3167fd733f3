/**
 * Does the suite bite? Two sources of tokens that are known to be unsound, each as a model, must fail it;
 * beside each stands the sound one that differs only in what was found wrong, and must not.
 */
import { describe, expect, test } from "vitest";
import type {
  AcquireOptions,
  Lease,
  LockBackend,
  LockGuarantees,
} from "../../src/escalate/locks.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { lockCases, runLockCase } from "./conformance.ts";
import type { LockStore, LockSubject } from "./faults.ts";
import { openMemoryStore } from "./memory-subject.ts";

/** Draws the token of one grant. */
type TokenSource = () => bigint;

/** Leases of a backend that excludes well, with tokens from elsewhere. */
class Retokened implements LockBackend {
  readonly name = "canary";
  readonly guarantees: LockGuarantees = {
    fencing: "durable",
    faultTolerant: false,
    atomicCommits: true,
  };
  readonly #inner: LockBackend;
  readonly #draw: TokenSource;
  readonly #leases = new WeakMap<Lease, Lease>();

  constructor(inner: LockBackend, draw: TokenSource) {
    this.#inner = inner;
    this.#draw = draw;
  }

  async acquire(resource: string, options: AcquireOptions): Promise<Lease> {
    const inner = await this.#inner.acquire(resource, options);
    const token = this.#draw();
    const lease: Lease = {
      resource,
      token,
      current: inner.current,
      get lost() {
        return inner.lost;
      },
      renew: () => inner.renew(),
      release: () => inner.release(),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
    this.#leases.set(lease, inner);
    return lease;
  }

  readonly birth: LockBackend["birth"] = () => this.#inner.birth();
  readonly read: LockBackend["read"] = (...call) => this.#inner.read(...call);
  readonly compareAndSet: LockBackend["compareAndSet"] = (...call) =>
    this.#inner.compareAndSet(...call);

  readonly commit: LockBackend["commit"] = (sections, operationId) =>
    this.#inner.commit(
      sections.map((section) => ({
        ...section,
        lease: this.#leases.get(section.lease) ?? section.lease,
      })),
      operationId,
    );

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}

/** A store in memory, with tokens that `source` draws; `restart` is what a kill of its server does to them. */
const subjectOf = (name: string, source: () => { draw: TokenSource; restart: () => void }) => {
  const open = async (): Promise<LockStore> => {
    const store = await openMemoryStore();
    const { draw, restart } = source();
    return {
      ...store,
      connect: async (options) => new Retokened(await store.connect(options), draw),
      // The guards themselves outlive the kill, as rows do.
      faults: { restartStore: async () => restart() },
    };
  };
  return { name, open, ttlMs: 250 } satisfies LockSubject;
};

/**
 * A sequence as a database has it: what it handed out is durable only when the transaction that drew it
 * commits, and the log may lag behind by another transaction that is open.
 */
const sequence = (isDurable: boolean) => () => {
  let last = 0n;
  let onDisk = 0n;
  return {
    draw: () => {
      if (!isDurable) onDisk = last; // the draw before this one has been logged by now
      last++;
      if (isDurable) onDisk = last;
      return last;
    },
    restart: () => {
      last = onDisk;
    },
  };
};

/** Three masters, of which each grant reaches two: the largest of their counters, and one more. */
const redlock = (writesBack: boolean) => () => {
  const random = new Random(3);
  const counters = [0n, 0n, 0n];
  return {
    draw: () => {
      const missed = random.below(3);
      const reached = [0, 1, 2].filter((master) => master !== missed);
      for (const master of reached) counters[master] = (counters[master] ?? 0n) + 1n;
      const token = reached.reduce((most, i) => bigger(most, counters[i] ?? 0n), 0n);
      if (writesBack) for (const master of reached) counters[master] = token;
      return token;
    },
    restart: () => undefined,
  };
};

const bigger = (left: bigint, right: bigint): bigint => (left > right ? left : right);

const tokenCases = lockCases.filter(
  ({ name, needs = [] }) =>
    name.startsWith("tokens grow") && needs.every((need) => need === "restartStore"),
);

/** The cases about tokens that a subject fails, because of its tokens. */
async function failed(subject: LockSubject): Promise<string[]> {
  const names: string[] = [];
  for (const one of tokenCases) {
    try {
      await runLockCase(one, subject);
    } catch (error) {
      if (!/token \d+ came after \d+/u.test(String(error))) throw error;
      names.push(one.name);
    }
  }
  return names;
}

describe("the suite fails", () => {
  test("a sequence that hands out again after a crash what it had handed out before", async () => {
    expect(await failed(subjectOf("nextval", sequence(false)))).toEqual([
      "tokens grow and values stay when the store is killed and starts again",
    ]);
    expect(await failed(subjectOf("row", sequence(true)))).toEqual([]);
  });

  test("the largest counter of a majority, if it is not written back", async () => {
    expect(await failed(subjectOf("single-phase", redlock(false)))).toContain(
      "tokens grow strictly over releases",
    );
    expect(await failed(subjectOf("two-phase", redlock(true)))).toEqual([]);
  });
});
