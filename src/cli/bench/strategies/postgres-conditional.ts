import { inBulk, openPostgres, readValue } from "../postgres-table.ts";
import type { Strategy } from "../strategy.ts";

const units = "trellis_bench_units";
const texts = "trellis_bench_texts";
const add = `
  INSERT INTO ${units} AS counter VALUES ($1, $2)
  ON CONFLICT (key) DO UPDATE SET value = counter.value + excluded.value`;
const take = `UPDATE ${units} SET value = value - $2 WHERE key = $1 AND value >= $2`;
// Both rows are locked first, in one order: otherwise two who move to and fro wait a second for each other.
const move = `
  WITH locked AS (SELECT FROM ${units} WHERE key IN ($1, $2) ORDER BY key FOR UPDATE),
  debit AS (
    UPDATE ${units} SET value = value - $3
    WHERE key = $1 AND value >= $3 AND (SELECT count(*) FROM locked) > 0 RETURNING key
  )
  INSERT INTO ${units} AS account SELECT $2, $3 FROM debit
  ON CONFLICT (key) DO UPDATE SET value = account.value + excluded.value`;
const insert = `INSERT INTO ${texts} VALUES ($1, $2) ON CONFLICT DO NOTHING`;
const claim = `
  WITH claimed AS (${insert} RETURNING value)
  SELECT value FROM claimed UNION ALL SELECT value FROM ${texts} WHERE key = $1`;
const upsert = `
  INSERT INTO ${texts} VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`;

/** The database decides, in the statement that writes. */
export const strategy: Strategy = {
  name: "postgres-conditional",
  title: "PostgreSQL: one statement for each operation, with the condition in it",
  family: "atomic",
  service: "postgres",
  durable: "PostgreSQL's write-ahead log, synchronised at each commit",
  volatile: "PostgreSQL's memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  async open({ servers: [url = ""] }) {
    const pool = await openPostgres(
      url,
      `${units} (key text PRIMARY KEY, value bigint NOT NULL)`,
      `${texts} (key text PRIMARY KEY, value text NOT NULL)`,
    );
    const changes = async (statement: string, values: unknown[]): Promise<boolean> =>
      (await pool.query(statement, values)).rowCount === 1;
    return {
      add: async (key, amount) => void (await changes(add, [key, amount])),
      take: async (key, amount) => await changes(take, [key, amount]),
      redeem: async (coupon, customer) => await changes(insert, [coupon, customer]),
      async claim(name, owner) {
        const { rows } = await pool.query<{ value: string }>(claim, [name, owner]);
        // One who was first by so little is seen by the next statement only.
        return (rows[0]?.value ?? (await readValue(pool, texts, name))) === owner;
      },
      get: async (key) => await readValue(pool, texts, key),
      set: async (key, value) => void (await changes(upsert, [key, value])),
      move: async (from, to, amount) => await changes(move, [from, to, amount]),
      ...inBulk(pool, units),
    };
  },
};
