/** What `postgresLocks` does on a server that fails, and behind a pooler of transactions. */
import { Client, Pool } from "pg";
import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { type PostgresPool, postgresLocks } from "../../src/escalate/locks/postgres.ts";
import { startPostgres } from "../../src/cli/servers/postgres.ts";
import { isServiceSkipped, service } from "../servers/service.ts";
import { lockCases, runLockCase } from "./conformance.ts";
import { openPostgresStore, queryPostgres } from "./postgres-subject.ts";
import { sqlFaults } from "./sql-faults.ts";

const spoil = (setting: string, value: string): readonly [string, string, string] => [
  setting,
  `ALTER SYSTEM SET ${setting} = ${value}`,
  `ALTER SYSTEM RESET ${setting}`,
];
/** Reads the settings again; `ALTER SYSTEM` alone only writes them. */
const reload = async (url: string, statement: string): Promise<unknown> => {
  const rows = await queryPostgres(url, statement);
  if (statement.startsWith("ALTER SYSTEM")) await queryPostgres(url, "SELECT pg_reload_conf()");
  return rows;
};

describe.skipIf(isServiceSkipped("postgres"))("postgresLocks", () => {
  sqlFaults({
    name: "postgres",
    maker: "postgresLocks",
    start: startPostgres,
    open: ({ client, ...options }) =>
      postgresLocks({ ...options, ...(client instanceof Pool ? { client } : {}) }),
    query: reload,
    openTransaction: async (url) => {
      const client = new Client({ connectionString: url });
      client.on("error", () => undefined);
      await client.connect();
      await client.query("BEGIN; CREATE TABLE uncommitted (x int)");
      return { [Symbol.asyncDispose]: () => client.end() };
    },
    pool: (url) => {
      const pool = new Pool({ connectionString: url });
      return {
        client: pool,
        works: async () => (await pool.query("SELECT 1")).rowCount === 1,
        end: () => pool.end(),
      };
    },
    settings: [
      spoil("synchronous_commit", "off"),
      spoil("fsync", "off"),
      spoil("full_page_writes", "off"),
      spoil("default_transaction_isolation", "'repeatable read'"),
      spoil("default_transaction_read_only", "on"),
    ].map(([name, ...statements]) => [name.replace("default_", ""), ...statements]),
    comingRoundTrips: 1,
    restarts: 8,
  });

  test("either a url or a client is given", () => {
    expect(() => postgresLocks({})).toThrow(UsageError);
  });
});

/** As a pooler of transactions is seen by a client: each statement on some connection, and nothing is told. */
const transactionPool = (pool: Pool): PostgresPool => ({
  connect: async () => ({
    query: (query) => pool.query({ ...query, values: [...(query.values ?? [])] }),
    on: () => undefined,
    release: () => undefined,
  }),
});

describe.skipIf(isServiceSkipped("postgres"))("postgresLocks without anybody who listens", () => {
  const lines = lockCases.filter(({ name }) =>
    /^(?:those who stand|who gives up|a compare-and-set does not slip|eight clients)/u.test(name),
  );
  const ways = [
    ["because a pooler of transactions stands in between", {}],
    ["because it was told not to", { listen: false }],
  ] as const;
  describe.each(ways)("%s", (_why, options) => {
    const some = "listen" in options ? lines.slice(0, 2) : lines;
    test.each(some.map((one) => [one.name, one] as const))("%s", async (_name, one) => {
      const [url = ""] = await service("postgres");
      const pool = new Pool({ connectionString: url, max: 20 });
      const open = async (): Promise<Awaited<ReturnType<typeof openPostgresStore>>> => {
        const store = await openPostgresStore();
        const prefix = `pooled_${process.pid}_${lines.indexOf(one)}_${"listen" in options}/`;
        const connect = async (): Promise<LockBackend> =>
          postgresLocks({ client: transactionPool(pool), prefix, ...options });
        return { ...store, connect, faults: {} };
      };
      await expect(runLockCase(one, { name: "pooled", open })).resolves.toBeUndefined();
      await pool.end();
    });
  });
});
