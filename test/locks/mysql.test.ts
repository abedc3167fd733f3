import { describe, expect, test } from "vitest";
import { isServiceSkipped } from "../servers/service.ts";
import { lockCases, lockConformance, runLockCase } from "./conformance.ts";
import { openMysqlStore, mysqlSubject } from "./mysql-subject.ts";

describe.skipIf(isServiceSkipped("mysql"))("on MySQL or MariaDB", () => {
  lockConformance(mysqlSubject);

  test("a release wakes one of 500 that stand in line", { timeout: 60_000 }, async () => {
    const one = lockCases.find(({ name }) => name.startsWith("a release wakes one"));
    const open = (): ReturnType<typeof openMysqlStore> => openMysqlStore({ answerMs: 10_000 });
    const subject = { ...mysqlSubject, open, waiters: 500 };
    await expect(one && runLockCase(one, subject)).resolves.toBeUndefined();
  });
});
