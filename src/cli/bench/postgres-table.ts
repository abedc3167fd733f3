/** What the strategies on PostgreSQL share: connections, tables of values by their keys, and transactions. */
import type { Pool, PoolClient } from "pg";
import type { Client } from "./strategy.ts";

/** What `pg` opens by default; nine nodes stay below the 100 that a server takes by default. */
const connectionsMax = 10;
const waitMs = 5_000;
/** Of a transaction that the server chose to end a deadlock. */
const triesMax = 5;
/** Any number, of which all who make tables know. */
const creating = 7_355_608;

/** Opens connections, on which nothing waits for ever, and makes what is not there of the tables. */
export async function openPostgres(url: string, ...tables: readonly string[]): Promise<Pool> {
  const { Pool: ConnectionPool } = (await import("pg")).default;
  const pool = new ConnectionPool({
    connectionString: url,
    max: connectionsMax,
    connectionTimeoutMillis: waitMs,
    statement_timeout: waitMs,
    // Later than the server's own, which leaves a connection that can be used again.
    query_timeout: waitMs * 1.2,
    idle_in_transaction_session_timeout: waitMs,
  });
  pool.on("error", () => undefined);
  // One that is lent has no listener, and is told of the server's end, too.
  pool.on("connect", (client) => client.on("error", () => undefined));
  // Two who create at once fail, in spite of IF NOT EXISTS. Sent together, it is one transaction.
  const statements = tables.map((table) => `CREATE TABLE IF NOT EXISTS ${table}`);
  await pool.query([`SELECT pg_advisory_xact_lock(${creating})`, ...statements].join("; "));
  return pool;
}

/** Runs `work` between BEGIN and COMMIT, again after a deadlock. What throws rolls back. */
export async function transaction<T>(
  pool: Pool,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await runTransaction(pool, work);
    } catch (error) {
      if (!isDeadlock(error) || tries === triesMax) throw error;
    }
  }
}

async function runTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let isBroken = false;
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    isBroken = await client.query("ROLLBACK").then(
      () => false,
      () => true,
    );
    throw error;
  } finally {
    client.release(isBroken);
  }
}

const isDeadlock = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "40P01";

/** What is done to all keys at once of a table with a `key` and a `value`. */
export function inBulk(
  pool: Pool,
  table: string,
): Required<Pick<Client, "fill" | "count" | "close">> {
  return {
    async fill(keys, units) {
      await pool.query(
        `INSERT INTO ${table} (key, value) SELECT key, $2 FROM unnest($1::text[]) AS key
        ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
        [keys, String(units)],
      );
    },
    async count(keys) {
      const { rows } = await pool.query<{ key: string; value: string | null }>(
        `SELECT key, value FROM ${table} WHERE key = ANY($1)`,
        [keys],
      );
      const found = new Map(rows.map(({ key, value }) => [key, Number(value)]));
      return keys.map((key) => found.get(key) ?? 0);
    },
    close: async () => await pool.end(),
  };
}

/** The value of one key in such a table. */
export async function readValue(
  pool: Pool,
  table: string,
  key: string,
): Promise<string | undefined> {
  const { rows } = await pool.query<{ value: string | null }>(
    `SELECT value FROM ${table} WHERE key = $1`,
    [key],
  );
  return rows[0]?.value ?? undefined;
}
