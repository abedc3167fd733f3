/** `postgresLocks` as a subject of the suite. */
import { Client } from "pg";
import { postgresLocks } from "../../src/escalate/locks/postgres.ts";
import { tableName } from "../../src/escalate/locks/sql-names.ts";
import { service } from "../servers/service.ts";
import type { LockStore, LockSubject } from "./faults.ts";
import { openProxied } from "./proxied.ts";

const answerMs = 1_000;

let cases = 0;

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

/** Tables of its own on the shared server. */
export async function openPostgresStore(options: { listen?: boolean } = {}): Promise<LockStore> {
  const [url = ""] = await service("postgres");
  const prefix = `case_${process.pid}_${cases++}/`;
  return openProxied({
    ...{ url, prefix },
    connect: (through, at) => postgresLocks({ url: through, prefix: at, answerMs, ...options }),
    faults: {
      wipeStore: async () => {
        const name = tableName(prefix);
        await queryPostgres(url, `DROP TABLE ${name}_guards, ${name}_operations, ${name}_line`);
      },
    },
  });
}

/** The subject. */
export const postgresSubject: LockSubject = {
  name: "postgres",
  open: openPostgresStore,
  without: ["restartStore"],
};
