/**
 * All of them at once, in generated order, against plain lists of who is in: processes stand still, go on and die, and the clock is
 * simulated. A lease that has run out, as its holder could see, is no longer in a list.
 */
import { expect, test } from "vitest";
import { TrellisError } from "../../../src/errors.ts";
import { stripeOf } from "../../../src/escalate/coordination/stripes.ts";
import { type Citizen, pass, Town } from "./town.ts";

const ttlMs = 1_000;
const everyMs = 700;

/** Somebody who is in. */
interface Inside {
  readonly what: string;
  readonly isLost: () => boolean;
}

/** Whether these may be in at the same time. */
type Beside = (what: string, others: readonly string[]) => boolean;

const alone: Beside = (_, others) => others.length === 0;

const shared: Beside = (what, others) =>
  what === "shared" ? others.every((other) => other === "shared") : others.length === 0;

const threePermits: Beside = (_, others) => others.length < 3;

/** `mode path`: of two where one is at or below the other, both are shared. */
const paths: Beside = (what, others) => {
  const [mode, path = ""] = what.split(" ");
  return others.every((other) => {
    const [otherMode, otherPath = ""] = other.split(" ");
    const isRelated =
      `${path}/`.startsWith(`${otherPath}/`) || `${otherPath}/`.startsWith(`${path}/`);
    return !isRelated || (mode === "shared" && otherMode === "shared");
  });
};

/** What is kept of one lock. */
class Model {
  readonly #beside: Beside;
  readonly #inside = new Set<Inside>();
  #lastToken = 0n;
  entries = 0;

  constructor(beside: Beside) {
    this.#beside = beside;
  }

  async enter(me: Inside, token: bigint | undefined, work: () => Promise<void>): Promise<void> {
    const others = [...this.#inside].filter((one) => !one.isLost()).map(({ what }) => what);
    if (!this.#beside(me.what, others)) throw new Error(`${me.what} beside ${others.join()}`);
    if (token !== undefined) {
      if (token <= this.#lastToken) throw new Error(`${token} after ${this.#lastToken}`);
      this.#lastToken = token;
    }
    this.entries++;
    this.#inside.add(me);
    await work();
    this.#inside.delete(me);
  }
}

/** Everything that is modelled. */
class Models {
  readonly shared = new Model(shared);
  readonly permits = new Model(threePermits);
  readonly paths = new Model(paths);
  readonly owner = new Model(alone);
  readonly stripes = new Map<number, Model>();
  readonly advisory = new Model(alone);
  readonly job = new Model(alone);

  stripe(number: number): Model {
    const model = this.stripes.get(number) ?? new Model(alone);
    this.stripes.set(number, model);
    return model;
  }
}

const names = ["shop", "shop/eu", "shop/eu/1", "shop/eu/2", "shop/us"];

type Command = (
  town: Town,
  citizen: Citizen,
  models: Models,
  work: () => Promise<void>,
) => Promise<unknown>;

const commands: readonly Command[] = [
  (town, { locks, name }, models, work) => {
    const mode = town.random.pick(["shared", "exclusive"] as const);
    return locks[mode](
      "a",
      (held) =>
        models.shared.enter({ what: mode, isLost: () => held.lost.aborted }, held.token, work),
      { ttlMs, holder: name },
    );
  },
  (_, { locks, name }, models, work) =>
    locks.withPermit(
      "s",
      3,
      (held) =>
        models.permits.enter({ what: "permit", isLost: () => held.lost.aborted }, held.token, work),
      { ttlMs, holder: name },
    ),
  (town, { locks }, models, work) => {
    const path = town.random.pick(names);
    const mode = town.random.pick(["shared", "exclusive"] as const);
    return locks.withPath(
      path,
      mode,
      // Each level has tokens of its own.
      (held) =>
        models.paths.enter(
          { what: `${mode} ${path}`, isLost: () => held.lost.aborted },
          undefined,
          work,
        ),
      { ttlMs },
    );
  },
  async (_, { locks, name }, models, work) => {
    const mine = await locks.own("o", { ttlMs, owner: name });
    await models.owner.enter({ what: name, isLost: () => mine.lost.aborted }, mine.token, work);
    await mine.handOver({ by: name });
  },
  (town, { locks }, models, work) => {
    const key = `k${town.random.below(50)}`;
    return locks.withStripe(
      "t",
      key,
      (lease) =>
        models
          .stripe(stripeOf(key, 4))
          .enter({ what: key, isLost: () => lease.lost.aborted }, lease.token, work),
      { count: 4, ttlMs },
    );
  },
  (town, { locks }, models, work) => {
    const askedMs = town.world.nowMs;
    // It promises nothing beyond its time to live.
    const isLost = (): boolean => town.world.nowMs - askedMs > ttlMs * 0.9;
    return locks.advisory(
      "m",
      () => models.advisory.enter({ what: "mail", isLost }, undefined, work),
      {
        ttlMs,
      },
    );
  },
];

async function live(town: Town, citizen: Citizen, models: Models): Promise<void> {
  for (let i = 0; i < 14; i++) {
    const stayMs = town.random.below(400);
    try {
      await town.random.pick(commands)(town, citizen, models, () => pass(citizen, stayMs));
    } catch (error) {
      if (!(error instanceof TrellisError)) throw error;
    }
    await pass(citizen, town.random.below(200));
  }
}

test("whatever is asked for, nobody is in beside whom it cannot be beside, and tokens grow", async () => {
  const entries: Record<string, number> = {};
  for (let seed = 1; seed <= 15; seed++) {
    const town = new Town(seed);
    const models = new Models();
    const failures: unknown[] = [];
    const citizens = [0, 1, 2, 3].map((i) => town.citizen(`p${i}`));
    let startedMs = Number.NEGATIVE_INFINITY;
    for (const citizen of citizens) {
      const run = async (mine: {
        readonly token: bigint;
        readonly signal: AbortSignal;
      }): Promise<void> => {
        // All clocks are one here; what is written of a beginning is a little earlier than the run.
        if (town.world.nowMs - startedMs < everyMs * 0.9) failures.push("too soon");
        startedMs = town.world.nowMs;
        const me = { what: citizen.name, isLost: () => mine.signal.aborted };
        await models.job.enter(me, mine.token, () => pass(citizen, town.random.below(300)));
      };
      const onError = (error: unknown): void => {
        if (!(error instanceof TrellisError)) failures.push(error);
      };
      citizen.locks.singleton("job", run, { every: everyMs, ttlMs, onError });
      for (let i = 0; i < 3; i++) {
        // Those of a process that was killed never end.
        void live(town, citizen, models).catch((error: unknown) => failures.push(error));
      }
    }
    for (let i = 0; i < 50; i++) {
      await town.world.settle({ forMs: 200 });
      if (town.random.chance(0.3)) town.random.pick(citizens).environment.pause();
      if (town.random.chance(0.04)) town.random.pick(citizens.slice(1)).environment.stop();
      for (const one of citizens) if (town.random.chance(0.3)) one.environment.resume();
    }
    for (const { environment } of citizens) environment.stop();
    expect(failures, `seed ${seed}`).toEqual([]);
    for (const [name, model] of Object.entries(models)) {
      if (model instanceof Model) entries[name] = (entries[name] ?? 0) + model.entries;
    }
  }
  for (const [name, count] of Object.entries(entries)) {
    expect({ name, isTried: count > 20 }).toEqual({ name, isTried: true });
  }
});
