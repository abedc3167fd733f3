import { inBulk, openPostgres, readValue, transaction } from "../postgres-table.ts";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";

const table = "trellis_bench_advised";
const lock = `
  SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest($1::text[]) AS key`;
const select = `SELECT key, value FROM ${table} WHERE key = ANY($1)`;
const upsert = `
  INSERT INTO ${table} SELECT * FROM unnest($1::text[], $2::text[])
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;

/** A lock of a name, not of a row: what is not there yet can be locked, too. */
export const strategy: Strategy = {
  name: "postgres-advisory",
  title: "PostgreSQL: BEGIN, pg_advisory_xact_lock, SELECT, upsert, COMMIT",
  family: "lock",
  service: "postgres",
  durable: "PostgreSQL's write-ahead log, synchronised at each commit",
  volatile: "PostgreSQL's memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  async open({ servers: [url = ""] }) {
    const pool = await openPostgres(url, `${table} (key text PRIMARY KEY, value text)`);
    const verbs = verbsOfSections(
      async (keys, work) =>
        await transaction(pool, async (client) => {
          // In one order, so that nobody waits in a circle.
          await client.query(lock, [keys.toSorted()]);
          // A statement of its own: what one sees is as old as its beginning.
          const { rows } = await client.query<{ key: string; value: string }>(select, [keys]);
          const found = new Map(rows.map(({ key, value }) => [key, value]));
          const { result, writes = [] } = work(keys.map((key) => found.get(key)));
          const changed = keys.filter((_, i) => writes[i] !== undefined);
          if (changed.length > 0) {
            await client.query(upsert, [changed, writes.filter((value) => value !== undefined)]);
          }
          return result;
        }),
      async (key) => await readValue(pool, table, key),
    );
    return { ...verbs, ...inBulk(pool, table) };
  },
};
