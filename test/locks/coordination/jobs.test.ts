/** Jobs, owners, leaders: one at a time, with tokens that grow, whoever stands still or dies. */
import { expect, test } from "vitest";
import { LockUnavailableError, TrellisError, UsageError } from "../../../src/errors.ts";
import { memoryLocks } from "../../../src/escalate/locks/memory.ts";
import { openLocks, type Term } from "../../../src/locks.ts";
import { rejection } from "../trial.ts";
import { type Citizen, pass, Town } from "./town.ts";

const ttlMs = 1_000;

test("a singleton job runs at one of three processes at a time, no sooner than it is due, with tokens that grow", async () => {
  const town = new Town(1);
  const citizens = ["a", "b", "c"].map((name) => town.citizen(name));
  const runs: { readonly atMs: number; readonly token: bigint; readonly by: string }[] = [];
  let inside = 0;
  const jobs = citizens.map((citizen) =>
    citizen.locks.singleton(
      "report",
      async ({ token }) => {
        expect(++inside).toBe(1);
        runs.push({ atMs: town.world.nowMs, token, by: citizen.name });
        await pass(citizen, 200);
        inside--;
      },
      { every: 1_000, runner: citizen.name, ttlMs },
    ),
  );
  await town.world.settle({ forMs: 10_500 });
  expect(runs.length).toBeGreaterThanOrEqual(8);
  expect(runs.length).toBeLessThanOrEqual(11);
  for (const [i, run] of runs.entries()) {
    const before = runs[i - 1];
    if (before === undefined) continue;
    expect(run.atMs - before.atMs).toBeGreaterThanOrEqual(1_000);
    expect(run.token).toBeGreaterThan(before.token);
  }
  const last = citizens[0]?.locks.lastRun("report");
  await town.world.settle({ forMs: 10 });
  expect(await last).toMatchObject({ runner: runs.at(-1)?.by, token: runs.at(-1)?.token });
  const stopped = Promise.all(jobs.map((job) => job.stop()));
  await town.world.settle({ forMs: 1_000 });
  await stopped;
  const count = runs.length;
  await town.world.settle({ forMs: 5_000 });
  expect(runs).toHaveLength(count);
});

test("another process goes on with a job whose runner is killed in the midst, and one that throws goes on itself", async () => {
  const town = new Town(2);
  const [one, two] = [town.citizen("one"), town.citizen("two")];
  const runs: string[] = [];
  const errors: unknown[] = [];
  const job = (citizen: Citizen): void => {
    citizen.locks.singleton(
      "job",
      async () => {
        runs.push(citizen.name);
        if (citizen === one) await pass(citizen, 100_000);
        throw new Error("of the job");
      },
      { every: 500, ttlMs, onError: (error) => errors.push(error) },
    );
  };
  job(one);
  await town.world.settle({ forMs: 20 });
  job(two);
  await town.world.settle({ forMs: 500 });
  expect(runs).toEqual(["one"]);
  one.environment.stop();
  await town.world.settle({ forMs: 10_000 });
  expect(runs.filter((name) => name === "two").length).toBeGreaterThan(5);
  expect(errors.length).toBeGreaterThan(5);
  two.environment.stop();
});

test("a shard has one owner, who hands over what its successor should know", async () => {
  const town = new Town(3);
  const [one, two] = [town.citizen("one"), town.citizen("two")];
  const owning = one.locks.own("shard-1", { owner: "one", ttlMs });
  await town.world.settle({ forMs: 10 });
  const first = await owning;
  expect(first.handedOver).toBeUndefined();
  const waiting = two.locks.own("shard-1", { owner: "two", waitMs: 10_000, ttlMs });
  await town.world.settle({ forMs: 3_000 });
  expect(first.lost.aborted).toBe(false);
  const asked = two.locks.owner("shard-1");
  const handed = first.handOver({ offset: 42 });
  await town.world.settle({ forMs: 100 });
  expect(await asked).toMatchObject({ owner: "one", token: first.token });
  await handed;
  const second = await waiting;
  expect(second.handedOver).toEqual({ offset: 42 });
  expect(second.token).toBeGreaterThan(first.token);
  const released = second.release();
  await town.world.settle({ forMs: 100 });
  await released;
});

test("an owner that stood still is told so on its first line, and hands nothing over", async () => {
  const town = new Town(4);
  const [one, two] = [town.citizen("one"), town.citizen("two")];
  const owning = one.locks.own("shard", { ttlMs });
  await town.world.settle({ forMs: 10 });
  const first = await owning;
  one.environment.pause();
  const waiting = two.locks.own("shard", { waitMs: 10_000, ttlMs });
  await town.world.settle({ forMs: 5_000 });
  const second = await waiting;
  expect(second.handedOver).toBeUndefined();
  one.environment.resume();
  expect(first.lost.aborted).toBe(true);
  const refused = rejection(first.handOver({ offset: 1 }));
  await town.world.settle({ forMs: 3_000 });
  expect(await refused).toBeInstanceOf(TrellisError);
  expect(second.lost.aborted).toBe(false);
  const third = two.locks.owner("shard");
  await town.world.settle({ forMs: 10 });
  expect(await third).toMatchObject({ token: second.token });
  const released = second.release();
  await town.world.settle({ forMs: 100 });
  await released;
});

test("five candidates: terms grow, and two that could both write never lead, under pauses and kills", async () => {
  let terms = 0;
  const isExpected = (error: unknown): boolean =>
    error instanceof Error && ["enough", "over"].includes(error.message);
  for (let seed = 1; seed <= 20; seed++) {
    const town = new Town(seed);
    const ending = new AbortController();
    let highest = 0n;
    const failures: unknown[] = [];
    const leading = new Map<string, Term>();
    const candidates = Array.from({ length: 5 }, (_, i) => town.citizen(`c${i}`));
    const campaigns = candidates.map((citizen) =>
      citizen.locks
        .campaign(
          "leader",
          async (mine) => {
            const { term, signal } = mine;
            // Whose process stands still has a signal that nobody has told; its term knows when it is read.
            const others = [...leading].filter(([, other]) => !other.signal.aborted);
            if (others.length > 0) failures.push(`beside ${others.map(([name]) => name).join()}`);
            if (term <= highest) failures.push(`${term} after ${highest}`);
            highest = term;
            terms++;
            leading.set(citizen.name, mine);
            for (let i = 0; i < 20 && !signal.aborted; i++) await pass(citizen, 100);
            leading.delete(citizen.name);
            if (!signal.aborted) throw new Error("enough");
          },
          { candidate: citizen.name, ttlMs, signal: ending.signal },
        )
        .catch((error: unknown) => void (isExpected(error) || failures.push(error))),
    );
    for (let i = 0; i < 30; i++) {
      await town.world.settle({ forMs: 300 });
      const { environment } = town.random.pick(candidates);
      if (town.random.chance(0.3)) environment.pause();
      for (const one of candidates) if (town.random.chance(0.4)) one.environment.resume();
      if (town.random.chance(0.05)) town.random.pick(candidates.slice(1)).environment.stop();
    }
    for (const { environment } of candidates) environment.resume();
    ending.abort(new Error("over"));
    await town.world.settle({ forMs: 20_000 });
    for (const { environment } of candidates) environment.stop();
    void campaigns;
    expect(failures, `seed ${seed}`).toEqual([]);
  }
  expect(terms).toBeGreaterThan(60);
});

test("an advisory lock keeps a second one away while it lives, and no longer", async () => {
  const town = new Town(5);
  const [one, two] = [town.citizen("one"), town.citizen("two")];
  const first = one.locks.advisory(
    "mail",
    async () => {
      await pass(one, 5_000);
      return "sent";
    },
    { ttlMs },
  );
  await town.world.settle({ forMs: 10 });
  const second = two.locks.advisory("mail", () => "again", { ttlMs });
  await town.world.settle({ forMs: 10 });
  expect(await second).toEqual({ ran: false });
  await town.world.settle({ forMs: 2_000 });
  const third = two.locks.advisory("mail", () => "overlapping", { ttlMs });
  await town.world.settle({ forMs: 10 });
  expect(await third).toEqual({ ran: true, value: "overlapping" });
  await town.world.settle({ forMs: 5_000 });
  expect(await first).toEqual({ ran: true, value: "sent" });
});

test("without the store an advisory lock lets everybody run", async () => {
  const away = (): Promise<never> =>
    Promise.reject(new LockUnavailableError("no store", { backend: "memory" }));
  await using locks = openLocks(Object.assign(memoryLocks(), { acquire: away }));
  expect(await locks.advisory("mail", () => "sent")).toEqual({ ran: true, value: "sent" });
});

test("out of order is an error with both places in it", async () => {
  const town = new Town(6);
  const { locks } = town.citizen("one");
  const wrong = locks.withLock("b", function takesSecond() {
    return locks.withLock("a", () => 1);
  });
  const told = wrong.catch((error: unknown) => error);
  await town.world.settle({ forMs: 1_000 });
  const error = await told;
  expect(error).toBeInstanceOf(UsageError);
  const { stack, cause } = error as UsageError & { readonly cause: Error };
  expect(stack).toContain("takesSecond");
  expect(cause.message).toContain("lock/b");
  expect(cause.stack).toContain("jobs.test.ts");
});

test("keys of one stripe wait for each other, and a stripe is the same everywhere", async () => {
  const town = new Town(7);
  const { locks } = town.citizen("one");
  const late = locks.withStripe("s", "k", () => locks.withStripe("s", "k", () => 1, { count: 1 }), {
    count: 1,
  });
  const refused = rejection(late);
  await town.world.settle({ forMs: 1_000 });
  expect(await refused).toBeInstanceOf(UsageError);
});

test("a runner whose clock was a day ahead keeps a job from nobody for longer than it is due", async () => {
  const town = new Town(8);
  const [ahead, right] = [town.citizen("ahead", 86_400_000), town.citizen("right")];
  const runs: string[] = [];
  const job = ({ locks, name }: Citizen): void =>
    void locks.singleton("job", () => void runs.push(name), { every: 1_000, ttlMs });
  job(ahead);
  await town.world.settle({ forMs: 20 });
  ahead.environment.stop();
  job(right);
  await town.world.settle({ forMs: 10_000 });
  right.environment.stop();
  expect(runs[0]).toBe("ahead");
  expect(runs.length).toBeGreaterThan(5);
});

test("a leader that ends with the loss of its term stands again", async () => {
  const town = new Town(9);
  const [one, two] = [town.citizen("one"), town.citizen("two")];
  const terms: bigint[] = [];
  const campaign = one.locks.campaign(
    "l",
    async (mine) => {
      terms.push(mine.term);
      await pass(one, 100);
      mine.signal.throwIfAborted();
      return "led";
    },
    { ttlMs },
  );
  await town.world.settle({ forMs: 10 });
  one.environment.pause();
  const other = two.locks.campaign("l", ({ term }) => term, { ttlMs });
  await town.world.settle({ forMs: 5_000 });
  one.environment.resume();
  await town.world.settle({ forMs: 10_000 });
  expect(await campaign).toBe("led");
  expect(terms).toHaveLength(2);
  expect((terms[1] ?? 0n) > (await other)).toBe(true);
});

test("closing waits for who is in a shared lock, and tells owners and leaders before anybody else is in", async () => {
  const town = new Town(10);
  const [one, two] = [town.citizen("one"), town.citizen("two")];
  const order: string[] = [];
  const reading = one.locks.shared("a", async () => {
    await pass(one, 1_000);
    order.push("read");
  });
  const owning = one.locks.own("o");
  const leading = one.locks.campaign("l", async (mine) => {
    while (!mine.signal.aborted) await pass(one, 10);
    order.push("led");
  });
  await town.world.settle({ forMs: 20 });
  const owned = await owning;
  const closing = one.locks[Symbol.asyncDispose]().then(() => order.push("closed"));
  const next = [
    two.locks.exclusive("a", () => void order.push("written")),
    two.locks.own("o").then((mine) => {
      order.push(owned.lost.aborted ? "owned" : "too soon");
      return mine.release();
    }),
    two.locks.campaign("l", () => void order.push("led next")),
  ];
  await town.world.settle({ forMs: 5_000 });
  await Promise.all([reading, leading, closing, ...next]);
  expect(order).not.toContain("too soon");
  expect(order.indexOf("read")).toBeLessThan(order.indexOf("written"));
  expect(order.indexOf("led")).toBeLessThan(order.indexOf("led next"));
});
