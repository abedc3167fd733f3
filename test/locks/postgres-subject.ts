/** `postgresLocks` as a subject of the suite. */
import { Client } from "pg";
import { postgresLocks } from "../../src/escalate/locks/postgres.ts";
import { tableName } from "../../src/escalate/locks/sql/names.ts";
import { service } from "../servers/service.ts";
import type { LockStore, LockSubject } from "./faults.ts";
import { openProxiedStore } from "./proxied-store.ts";

/** Short, since many cases wait for answers that do not come. */
const shortMs = 1_000;

/** Runs a statement beside the locks. */
export async function queryPostgres(url: string, text: string): Promise<readonly object[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<object>(text);
    return rows;
  } finally {
    await client.end();
  }
}

/** True of the look whose turn it is, once a second for each client that has anybody in line: no release causes it. */
const isLook = (requests: Buffer): boolean => requests.includes("_turns");

/** The tables of this process: making them takes longer than emptying them, so the cases of one file share them. */
const names = new Set<string>();
const tables = (name: string): readonly string[] =>
  ["guards", "operations", "line"].map((table) => `${name}_${table}`);

/** Empty tables on the shared server. */
export async function openPostgresStore({ answerMs = shortMs } = {}): Promise<LockStore> {
  const [url = ""] = await service("postgres");
  for (const table of [...names].flatMap(tables)) {
    // A client that was never used has made none.
    await queryPostgres(url, `DELETE FROM ${table}`).catch(() => undefined);
  }
  const prefix = `cases_${process.pid}/`;
  return openProxiedStore({
    ...{ servers: [url], prefix, isUpkeep: isLook },
    connect: ([through = ""], at) => {
      names.add(tableName(at));
      return postgresLocks({ url: through, prefix: at, answerMs });
    },
    faults: {
      wipeStore: async () => {
        await queryPostgres(url, `DROP TABLE ${tables(tableName(prefix)).join(", ")}`);
      },
    },
  });
}

/** The subject. */
export const postgresSubject: LockSubject = {
  name: "postgres",
  open: () => openPostgresStore(),
  // All at once by one client: 500 need longer than its short answers, see the test.
  waiters: 100,
  // Three clients look once a second each.
  joinedMs: 250,
  without: ["restartStore"],
};
