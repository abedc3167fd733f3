import { describe, expect, test } from "vitest";
import { isServiceSkipped } from "../servers/service.ts";
import { lockCases, lockConformance, runLockCase } from "./conformance.ts";
import { openPostgresStore, postgresSubject } from "./postgres-subject.ts";

describe.skipIf(isServiceSkipped("postgres"))("on PostgreSQL", () => {
  lockConformance(postgresSubject);

  test("a release wakes one of 500 that stand in line", { timeout: 60_000 }, async () => {
    const one = lockCases.find(({ name }) => name.startsWith("a release wakes one"));
    const open = (): ReturnType<typeof openPostgresStore> =>
      openPostgresStore({ answerMs: 10_000 });
    const subject = { ...postgresSubject, open, waiters: 500 };
    await expect(one && runLockCase(one, subject)).resolves.toBeUndefined();
  });
});
