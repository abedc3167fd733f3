import { setTimeout as sleep } from "node:timers/promises";
import type { Pool, PoolClient } from "pg";
import { inBulk, openPostgres, readValue, transaction } from "../postgres-table.ts";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";

const retryMs = 5_000;
const pauseMs = 5;
const table = "trellis_bench_versions";
const select = `SELECT key, value, version FROM ${table} WHERE key = ANY($1)`;
const insert = `INSERT INTO ${table} VALUES ($1, $2, 1) ON CONFLICT DO NOTHING`;
const update = `
  UPDATE ${table} SET value = $2, version = version + 1 WHERE key = $1 AND version = $3`;

interface Row {
  readonly key: string;
  readonly value: string;
  /** A bigint, in digits. */
  readonly version: string;
}

interface Change {
  readonly key: string;
  readonly value: string;
  /** Undefined: there was no row. */
  readonly version: string | undefined;
}

/** Somebody else was first. */
class ConflictError extends Error {}

/** Looks, and writes if nobody wrote meanwhile. */
export const strategy: Strategy = {
  name: "postgres-version",
  title: "PostgreSQL: SELECT, UPDATE where the version is still the same, or again",
  family: "atomic",
  service: "postgres",
  durable: "PostgreSQL's write-ahead log, synchronised at each commit",
  volatile: "PostgreSQL's memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  async open({ servers: [url = ""] }) {
    const pool = await openPostgres(
      url,
      `${table} (key text PRIMARY KEY, value text NOT NULL, version bigint NOT NULL DEFAULT 1)`,
    );
    const verbs = verbsOfSections(
      async (keys, work) => {
        const endMs = performance.now() + retryMs;
        for (;;) {
          const { rows } = await pool.query<Row>(select, [keys]);
          const found = new Map(rows.map((row) => [row.key, row]));
          const { result, writes = [] } = work(keys.map((key) => found.get(key)?.value));
          const changes = keys.flatMap((key, i) => {
            const value = writes[i];
            return value === undefined ? [] : [{ key, value, version: found.get(key)?.version }];
          });
          try {
            await write(pool, changes);
            return result;
          } catch (error) {
            if (!(error instanceof ConflictError) || performance.now() > endMs) throw error;
          }
          await sleep(Math.random() * 2 * pauseMs);
        }
      },
      async (key) => await readValue(pool, table, key),
    );
    return { ...verbs, ...inBulk(pool, table) };
  },
};

/** All changes, or none. @throws ConflictError */
async function write(pool: Pool, changes: readonly Change[]): Promise<void> {
  const [first, ...others] = changes;
  if (first === undefined) return;
  if (others.length === 0) return await writeOne(pool, first);
  // In one order, so that nobody waits in a circle.
  const ordered = changes.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  await transaction(pool, async (client) => {
    for (const change of ordered) await writeOne(client, change);
  });
}

async function writeOne(
  database: Pool | PoolClient,
  { key, value, version }: Change,
): Promise<void> {
  const { rowCount } = await (version === undefined
    ? database.query(insert, [key, value])
    : database.query(update, [key, value, version]));
  if (rowCount === 0) throw new ConflictError(`${key} was written by somebody else`);
}
