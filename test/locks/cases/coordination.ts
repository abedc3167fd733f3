/** What is built on leases, on the store itself: permits, shared and exclusive, owners, leaders, jobs. */
import { expect } from "vitest";
import { systemEnvironment } from "../../../src/environment.ts";
import { TrellisError } from "../../../src/errors.ts";
import { Parts } from "../../../src/escalate/coordination/parts.ts";
import { EscalatedCalls } from "../../../src/escalate/escalated-calls.ts";
import type { LockBackend } from "../../../src/escalate/locks.ts";
import { NamedLocks } from "../../../src/escalate/named-locks.ts";
import { OutsideLocks } from "../../../src/escalate/outside-locks.ts";
import { silentLogger, silentTelemetry } from "../../../src/telemetry.ts";
import type { LockCase } from "../conformance.ts";
import { aborted, elapse, type Trial } from "../trial.ts";

/** The locks of one more process. */
async function process(trial: Trial): Promise<OutsideLocks> {
  return locksOf(await trial.client());
}

function locksOf(backend: LockBackend): OutsideLocks {
  const environment = systemEnvironment;
  const calls = { environment, logger: silentLogger, telemetry: silentTelemetry };
  const named = new NamedLocks(backend, environment);
  return new OutsideLocks(new Parts(backend, named, environment), new EscalatedCalls(calls));
}

const processes = (trial: Trial, count: number): Promise<OutsideLocks[]> =>
  Promise.all(Array.from({ length: count }, () => process(trial)));

export const coordinationCases: readonly LockCase[] = [
  {
    name: "permits are never more than there are, of many who want one, and tokens grow",
    run: async (trial) => {
      const all = await processes(trial, 3);
      let [inside, most] = [0, 0];
      const tokens: bigint[] = [];
      const uses = [...all, ...all, ...all].map((locks) =>
        locks.withPermit(
          "s",
          2,
          async ({ token }) => {
            tokens.push(token);
            most = Math.max(most, ++inside);
            await elapse(20);
            inside--;
          },
          { waitMs: trial.longMs, ttlMs: trial.longMs },
        ),
      );
      await trial.within(Promise.all(uses), "all permits", trial.longMs);
      expect(most).toBeLessThanOrEqual(2);
      expect(tokens).toHaveLength(9);
      expect(tokens).toEqual(tokens.toSorted((one, other) => Number(one - other)));
    },
  },
  {
    name: "who shares is in beside others that share, and beside nobody who is in alone",
    run: async (trial) => {
      const all = await processes(trial, 3);
      const options = { waitMs: trial.longMs, ttlMs: trial.longMs };
      let [readers, mostReaders, writers] = [0, 0, 0];
      const reads = (locks: OutsideLocks): Promise<void> =>
        locks.shared(
          "a",
          async () => {
            expect(writers).toBe(0);
            mostReaders = Math.max(mostReaders, ++readers);
            await elapse(100);
            readers--;
          },
          options,
        );
      const writes = (locks: OutsideLocks): Promise<void> =>
        locks.exclusive(
          "a",
          async () => {
            expect([readers, ++writers]).toEqual([0, 1]);
            await elapse(10);
            writers--;
          },
          options,
        );
      const uses = all.flatMap((locks) => [reads(locks), reads(locks), writes(locks)]);
      await trial.within(Promise.all(uses), "readers and writers", trial.longMs);
      expect(mostReaders).toBeGreaterThan(0);
    },
  },
  {
    name: "an owner hands over to the next in line, what it knows and a larger token",
    run: async (trial) => {
      const [one, two] = await processes(trial, 2);
      const options = { waitMs: trial.longMs, ttlMs: trial.longMs };
      const first = await one?.own("shard", { ...options, owner: "one" });
      expect(await two?.owner("shard")).toMatchObject({ owner: "one", token: first?.token });
      const waiting = two?.own("shard", options);
      await first?.handOver({ offset: 7 });
      const second = await trial.within(Promise.resolve(waiting), "the next owner", trial.longMs);
      expect(second?.handedOver).toEqual({ offset: 7 });
      expect(second !== undefined && first !== undefined && second.token > first.token).toBe(true);
      await second?.release();
    },
  },
  {
    name: "one candidate leads at a time, in terms that grow",
    run: async (trial) => {
      const all = await processes(trial, 3);
      const terms: bigint[] = [];
      let leading = 0;
      const lead = async ({ term }: { readonly term: bigint }): Promise<void> => {
        expect(++leading).toBe(1);
        terms.push(term);
        await elapse(20);
        leading--;
      };
      const campaigns = all.map((locks) => locks.campaign("l", lead, { ttlMs: trial.longMs }));
      await trial.within(Promise.all(campaigns), "three terms", trial.longMs);
      expect(terms).toHaveLength(3);
      expect(terms).toEqual(terms.toSorted((one, other) => Number(one - other)));
    },
  },
  {
    name: "a job runs at one of several processes at a time, under larger and larger tokens",
    run: async (trial) => {
      const all = await processes(trial, 2);
      const tokens: bigint[] = [];
      const errors: unknown[] = [];
      let inside = 0;
      const run = async ({ token }: { readonly token: bigint }): Promise<void> => {
        expect(++inside).toBe(1);
        tokens.push(token);
        await elapse(20);
        inside--;
      };
      const options = {
        every: 150,
        ttlMs: trial.longMs,
        onError: (error: unknown) => errors.push(error),
      };
      const jobs = all.map((locks) => locks.singleton("job", run, options));
      await trial.until(() => tokens.length >= 3, "three runs", trial.longMs);
      await Promise.all(jobs.map((job) => job.stop()));
      expect(errors).toEqual([]);
      expect(tokens).toEqual(tokens.toSorted((one, other) => Number(one - other)));
    },
  },
  {
    name: "who dies with a permit, a shared lock, a shard or a term is followed when its lease is over, not sooner",
    needs: ["crash"],
    run: async (trial) => {
      const { ttlMs } = trial;
      const victim = await trial.client();
      const [dying, living] = [locksOf(victim), await process(trial)];
      const losses = new Map<string, AbortSignal>();
      const stay = async (name: string, lost: AbortSignal): Promise<void> => {
        losses.set(name, lost);
        await aborted(lost);
      };
      const held = [
        dying.withPermit("s", 1, ({ lost }) => stay("s", lost), { ttlMs }),
        dying.shared("a", ({ lost }) => stay("a", lost), { ttlMs }),
        dying.campaign("l", ({ signal }) => stay("l", signal), { ttlMs }),
        dying.own("o", { ttlMs }).then(({ lost }) => stay("o", lost)),
      ].map((one) => one.catch(() => undefined));
      await trial.until(() => losses.size === held.length, "all are held", trial.longMs);
      await trial.faults.crash?.(victim);
      const options = { ttlMs: trial.longMs, waitMs: trial.longMs };
      const isLost = (name: string): void => expect(losses.get(name)?.aborted).toBe(true);
      const next = [
        living.withPermit("s", 1, () => isLost("s"), options),
        living.exclusive("a", () => isLost("a"), options),
        living.campaign("l", () => isLost("l"), options),
        living.own("o", options).then((mine) => {
          isLost("o");
          return mine.release();
        }),
      ];
      await trial.within(Promise.all(next), "those who follow", trial.longMs);
    },
  },
  {
    name: "a candidate that hangs while it waits does not lead when it comes back, but the one of a later term",
    needs: ["hang", "mend"],
    run: async (trial) => {
      const { ttlMs } = trial;
      const victim = await trial.client();
      const [hanging, living] = [locksOf(victim), await process(trial)];
      let leading = 0;
      let highest = 0n;
      const lead = async ({ term }: { readonly term: bigint }): Promise<void> => {
        expect([++leading, term > highest]).toEqual([1, true]);
        highest = term;
        await elapse(50);
        leading--;
      };
      await victim.birth();
      const first = living.campaign("l", lead, { ttlMs });
      const second = hanging.campaign("l", lead, { ttlMs }).catch(() => undefined);
      await trial.faults.hang?.(victim);
      await trial.within(first, "the first term", trial.longMs);
      await trial.within(living.campaign("l", lead, { ttlMs }), "the next", trial.longMs);
      await trial.faults.mend?.(victim);
      await trial.within(second, "the one that hung", trial.longMs * 2);
      expect(leading).toBe(0);
    },
  },
  {
    name: "a store that is killed lets nobody in beside who holds a shard or a permit still, and tokens grow on",
    needs: ["restartStore"],
    run: async (trial) => {
      const [one, two] = await processes(trial, 2);
      if (one === undefined || two === undefined) return expect.unreachable("two processes");
      const owner = await one.own("o", { ttlMs: trial.longMs });
      const permit = await one.withPermit("s", 1, ({ token }) => token);
      await trial.faults.restartStore?.();
      const early = await two.own("o", { waitMs: 0, ttlMs: trial.longMs }).catch(() => undefined);
      expect(early === undefined || owner.lost.aborted).toBe(true);
      await early?.release();
      await owner.release();
      let next: bigint | undefined;
      const tried = async (): Promise<boolean> => {
        try {
          const mine = await two.own("o", { waitMs: 0, ttlMs: trial.longMs });
          next = mine.token;
          await mine.release();
          return true;
        } catch (error) {
          expect(error).toBeInstanceOf(TrellisError);
          return false;
        }
      };
      await trial.until(tried, "the next owner", trial.longMs * 2);
      expect(next !== undefined && next > owner.token).toBe(true);
      const options = { waitMs: trial.longMs, ttlMs: trial.longMs };
      expect(await two.withPermit("s", 1, ({ token }) => token > permit, options)).toBe(true);
    },
  },
];
