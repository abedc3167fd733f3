/**
 * What every lock backend must do, against whatever store it has. A backend's test is a name and a way to
 * open an empty store; what can be broken there, beside it, adds the cases that need it.
 *
 *   lockConformance({ name: "etcd", open: openEtcd, ttlMs: 2_000 });
 *
 * Real time: nothing sleeps for luck, each case waits for what must come, with a deadline. A time to live
 * of a few hundred ms is enough. The cases are data, so that a test can see them fail on a model that is
 * known to be unsound (`canaries.test.ts`).
 */
import { describe, expect, test } from "vitest";
import { commitCases } from "./cases/commits.ts";
import { coordinationCases } from "./cases/coordination.ts";
import { faultCases } from "./cases/faults.ts";
import { leaseCases } from "./cases/leases.ts";
import { lifetimeCases } from "./cases/lifetime.ts";
import { lineCases } from "./cases/lines.ts";
import { loadCases } from "./cases/load.ts";
import { operationCases } from "./cases/operations.ts";
import { valueCases } from "./cases/values.ts";
import { Trial } from "./trial.ts";
import type { LockNeed, LockSubject } from "./faults.ts";

/** One promise, and how to see that it is kept. */
export interface LockCase {
  readonly name: string;
  /** It is left out for a subject that is `without` one of these. */
  readonly needs?: readonly LockNeed[];
  run(trial: Trial): Promise<void>;
}

/** All that is asked of a backend. */
export const lockCases: readonly LockCase[] = [
  ...leaseCases,
  ...lineCases,
  ...commitCases,
  ...operationCases,
  ...valueCases,
  ...faultCases,
  ...lifetimeCases,
  ...loadCases,
  ...coordinationCases,
];

/** Those that apply to a subject. */
export const lockCasesOf = ({ without = [] }: LockSubject): LockCase[] =>
  lockCases.filter(({ needs = [] }) => !needs.some((need) => without.includes(need)));

/** Runs one case on a store of its own. */
export async function runLockCase(one: LockCase, subject: LockSubject): Promise<void> {
  const store = await subject.open();
  try {
    await using trial = new Trial(subject, store);
    await one.run(trial);
  } finally {
    await store.close();
  }
}

const timeoutMs = 120_000;

/** Declares the suite. */
export function lockConformance(subject: LockSubject): void {
  describe(`${subject.name} as a lock backend`, () => {
    const cases = lockCasesOf(subject).map((one) => [one.name, one] as const);
    test.each(cases)("%s", { timeout: timeoutMs }, async (_name, one) => {
      await expect(runLockCase(one, subject)).resolves.toBeUndefined();
    });
  });
}
