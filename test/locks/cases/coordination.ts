/** What is built on leases, on the store itself: permits, shared and exclusive, owners, leaders, jobs. */
import { expect } from "vitest";
import { systemEnvironment } from "../../../src/environment.ts";
import { Parts } from "../../../src/escalate/coordination/parts.ts";
import { EscalatedCalls } from "../../../src/escalate/escalated-calls.ts";
import { NamedLocks } from "../../../src/escalate/named-locks.ts";
import { OutsideLocks } from "../../../src/escalate/outside-locks.ts";
import { silentLogger, silentTelemetry } from "../../../src/telemetry.ts";
import type { LockCase } from "../conformance.ts";
import { elapse, type Trial } from "../trial.ts";

/** The locks of one more process. */
async function process(trial: Trial): Promise<OutsideLocks> {
  const environment = systemEnvironment;
  const backend = await trial.client();
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
];
