/** What `postgresLocks` does on a server that fails, and behind a pooler of transactions. */
import { createServer } from "node:net";
import { Client, Pool } from "pg";
import { describe, expect, test } from "vitest";
import { LockUnavailableError, UsageError } from "../../src/errors.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { type PostgresPool, postgresLocks } from "../../src/escalate/locks/postgres.ts";
import { functionName } from "../../src/escalate/locks/postgres/routines.ts";
import { tableName } from "../../src/escalate/locks/sql/names.ts";
import { startPostgres } from "../../src/cli/servers/postgres.ts";
import { isServiceSkipped, service } from "../servers/service.ts";
import { lockCases, runLockCase } from "./conformance.ts";
import { openPostgresStore, queryPostgres } from "./postgres-subject.ts";
import { sqlFaults } from "./sql-faults.ts";
import { bytes, operationId } from "./trial.ts";

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
  });

  describe("statements are kept under names", () => {
    /** One connection, a prefix, and the name that a compare-and-set has there. */
    const scene = async (
      prefix: string,
    ): Promise<{
      pool: Pool;
      locks: LockBackend;
      name: string;
      isKept: () => Promise<boolean>;
    }> => {
      const [url = ""] = await service("postgres");
      const pool = new Pool({ connectionString: url, max: 1 });
      const name = functionName(tableName(prefix), "compare_and_set");
      const isKept = async (): Promise<boolean> => {
        const sql = "SELECT FROM pg_prepared_statements WHERE name = $1 AND NOT from_sql";
        return (await pool.query(sql, [name])).rowCount === 1;
      };
      return { pool, locks: postgresLocks({ client: pool, prefix }), name, isKept };
    };

    test("until the server has forgotten them, as behind a pooler; nothing is done twice", async () => {
      const { pool, locks, isKept } = await scene(`forgotten_${process.pid}/`);
      const first = await locks.compareAndSet("r", undefined, bytes("1"), operationId());
      expect(await isKept()).toBe(true);
      await pool.query("DEALLOCATE ALL");
      const second = await locks.compareAndSet("r", first.version, bytes("2"), operationId());
      expect(second.version).toBe(first.version + 1n);
      expect(await isKept()).toBe(false);
      await locks[Symbol.asyncDispose]();
      await pool.end();
    });

    test("unless somebody else has the name", async () => {
      const { pool, locks, name, isKept } = await scene(`taken_${process.pid}/`);
      await pool.query(`PREPARE ${name} AS SELECT 1`);
      const first = await locks.compareAndSet("r", undefined, bytes("1"), operationId());
      expect(first.version).toBe(1n);
      expect(await isKept()).toBe(false);
      await locks[Symbol.asyncDispose]();
      await pool.end();
    });
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

/** A message of the protocol. */
function message(type: string, body: Buffer): Buffer {
  const head = Buffer.from(`${type}0000`);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

test("a server of PostgreSQL that ends a connection with its first word ends no process of ours", async () => {
  // As a child of a postmaster that was killed does: ready, and over, in one packet.
  const words = Buffer.concat([
    message("R", Buffer.alloc(4)),
    message("Z", Buffer.from("I")),
    message("E", Buffer.from("SFATAL\0C57P01\0Mterminating connection\0\0")),
  ]);
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end(words));
  });
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  await using locks = postgresLocks({ url: `postgres://postgres@127.0.0.1:${port}/postgres` });
  // An error that nobody hears would fail this test by itself.
  await expect(locks.read("r")).rejects.toThrow(LockUnavailableError);
  await new Promise((resolve) => server.close(resolve));
});
