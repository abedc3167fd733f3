import type { Pool, PoolConnection, QueryResult, RowDataPacket } from "mysql2/promise";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";

const connectionsMax = 10;
const waitMs = 5_000;
/** Of a transaction that the server chose to end a deadlock. */
const triesMax = 5;
const deadlock = 1213;
const create = `
  CREATE TABLE IF NOT EXISTS trellis_bench_rows (
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, value TEXT
  ) ENGINE = InnoDB`;
const select = `
  SELECT name, value FROM trellis_bench_rows FORCE INDEX (PRIMARY) WHERE name IN (?)`;
// In one order, so that nobody waits in a circle.
const lock = `${select} ORDER BY name FOR UPDATE`;
// Unlike INSERT IGNORE it locks what it finds so that it may be written.
const insert = `
  INSERT INTO trellis_bench_rows (name) VALUES ? ON DUPLICATE KEY UPDATE name = VALUES(name)`;
const upsert = `
  INSERT INTO trellis_bench_rows VALUES ? ON DUPLICATE KEY UPDATE value = VALUES(value)`;

interface Row extends RowDataPacket {
  readonly name: string;
  readonly value: string | null;
}

/** A transaction that locks its rows, looks at them and writes them. */
export const strategy: Strategy = {
  name: "mysql-row-lock",
  title: "MariaDB: BEGIN, SELECT FOR UPDATE, upsert, COMMIT",
  family: "lock",
  service: "mysql",
  durable: "InnoDB's log, synchronised at each commit",
  volatile: "InnoDB's memory, whose log is written once a second",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  async open({ servers: [url = ""] }) {
    const { createPool } = await import("mysql2/promise");
    const pool = createPool({ uri: url, connectionLimit: connectionsMax, connectTimeout: waitMs });
    pool.on("connection", (connection) => {
      // By default rows that are not there are locked as gaps, together with their neighbours.
      void connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
      void connection.query(`SET SESSION innodb_lock_wait_timeout = ${waitMs / 1_000}`);
    });
    await ask(pool, create);

    const verbs = verbsOfSections(
      async (keys, work) =>
        await transaction(pool, async (connection) => {
          let found = await find(connection, lock, keys);
          if (found.size < keys.length) {
            // A row that is not there cannot be locked.
            await ask(connection, insert, [keys.toSorted().map((key) => [key])]);
            found = await find(connection, lock, keys);
          }
          const { result, writes = [] } = work(keys.map((key) => found.get(key)));
          const changes = keys.flatMap((key, i) => {
            const value = writes[i];
            return value === undefined ? [] : [[key, value]];
          });
          if (changes.length > 0) await ask(connection, upsert, [changes]);
          return result;
        }),
      async (key) => (await find(pool, select, [key])).get(key),
    );
    return {
      ...verbs,
      fill: async (keys, units) =>
        void (await ask(pool, upsert, [keys.map((key) => [key, String(units)])])),
      async count(keys) {
        const found = await find(pool, select, keys);
        return keys.map((key) => Number(found.get(key) ?? 0));
      },
      close: async () => await pool.end(),
    };
  },
};

/** Runs `work` between BEGIN and COMMIT, again after a deadlock. What throws rolls back. */
async function transaction<T>(
  pool: Pool,
  work: (connection: PoolConnection) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const connection = await pool.getConnection();
    try {
      await ask(connection, "BEGIN");
      const result = await work(connection);
      await ask(connection, "COMMIT");
      return result;
    } catch (error) {
      // Without a number it was not the server that refused: nobody knows what goes on there.
      if (errnoOf(error) === undefined) connection.destroy();
      else await ask(connection, "ROLLBACK").catch(() => connection.destroy());
      if (errnoOf(error) !== deadlock || tries === triesMax) throw error;
    } finally {
      connection.release();
    }
  }
}

async function find(
  on: Pool | PoolConnection,
  sql: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string | undefined>> {
  const rows = await ask<Row[]>(on, sql, [names]);
  return new Map(rows.map(({ name, value }) => [name, value ?? undefined]));
}

/** Later than the server itself gives up, which leaves a connection that can be used again. */
async function ask<T extends QueryResult>(
  on: Pool | PoolConnection,
  sql: string,
  values: unknown[] = [],
): Promise<T> {
  const [answer] = await on.query<T>({ sql, values, timeout: waitMs * 1.2 });
  return answer;
}

const errnoOf = (error: unknown): unknown =>
  error instanceof Error && "errno" in error ? error.errno : undefined;
