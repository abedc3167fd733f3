/** `mysqlLocks` as a subject of the suite. */
import { createConnection } from "mysql2/promise";
import { mysqlLocks } from "../../src/escalate/locks/mysql.ts";
import { tableName } from "../../src/escalate/locks/sql/names.ts";
import { service } from "../servers/service.ts";
import type { LockStore, LockSubject } from "./faults.ts";
import { openProxiedStore } from "./proxied-store.ts";

/** Short, since many cases wait for answers that do not come. */
const shortMs = 1_000;

/** Runs a statement beside the locks. */
export async function queryMysql(url: string, statement: string): Promise<unknown> {
  const connection = await createConnection(url);
  try {
    const [rows] = await connection.query(statement);
    return rows;
  } finally {
    await connection.end();
  }
}

/** The tables of this process: making procedures takes long, so the cases of one file share them. */
const names = new Set<string>();
const tables = (name: string): readonly string[] =>
  ["guards", "operations", "line"].map((table) => `${name}_${table}`);

/** Empty tables on the shared server. */
export async function openMysqlStore({ answerMs = shortMs } = {}): Promise<LockStore> {
  const [url = ""] = await service("mysql");
  for (const table of [...names].flatMap(tables)) {
    // A client that was never used has made none.
    await queryMysql(url, `DELETE FROM ${table}`).catch(() => undefined);
  }
  const prefix = `cases_${process.pid}/`;
  return openProxiedStore({
    ...{ servers: [url], prefix, waitsInServer: true },
    connect: ([through = ""], at) => {
      names.add(tableName(at));
      return mysqlLocks({ url: through, prefix: at, answerMs });
    },
    faults: {
      wipeStore: async () => {
        await queryMysql(url, `DROP TABLE ${tables(tableName(prefix)).join(", ")}`);
      },
    },
  });
}

/** The subject. */
export const mysqlSubject: LockSubject = {
  name: "mysql",
  open: () => openMysqlStore(),
  // All at once by one client: 500 need longer than its short answers, see the test.
  waiters: 100,
  without: ["restartStore"],
};
