import { inBulk, openPostgres, readValue, transaction } from "../postgres-table.ts";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";

const table = "trellis_bench_rows";
// In one order, so that nobody waits in a circle.
const insert = `
  INSERT INTO ${table} (key) SELECT key FROM unnest($1::text[]) AS key ORDER BY key
  ON CONFLICT DO NOTHING`;
const select = `SELECT key, value FROM ${table} WHERE key = ANY($1) ORDER BY key FOR UPDATE`;
const update = `
  UPDATE ${table} AS rows SET value = new.value
  FROM unnest($1::text[], $2::text[]) AS new (key, value) WHERE rows.key = new.key`;

/** A transaction that locks its rows, looks at them and writes them. */
export const strategy: Strategy = {
  name: "postgres-for-update",
  title: "PostgreSQL: BEGIN, SELECT FOR UPDATE, UPDATE, COMMIT",
  family: "lock",
  service: "postgres",
  durable: "PostgreSQL's write-ahead log, synchronised at each commit",
  volatile: "PostgreSQL's memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  async open({ servers: [url = ""] }) {
    const pool = await openPostgres(url, `${table} (key text PRIMARY KEY, value text)`);
    const verbs = verbsOfSections(
      async (keys, work) =>
        await transaction(pool, async (client) => {
          const lock = async (): Promise<Map<string, string | undefined>> => {
            const { rows } = await client.query<{ key: string; value: string | null }>(select, [
              keys,
            ]);
            return new Map(rows.map(({ key, value }) => [key, value ?? undefined]));
          };
          let found = await lock();
          if (found.size < keys.length) {
            // A row that is not there cannot be locked.
            await client.query(insert, [keys]);
            found = await lock();
          }
          const { result, writes = [] } = work(keys.map((key) => found.get(key)));
          const changed = keys.filter((_, i) => writes[i] !== undefined);
          if (changed.length > 0) {
            await client.query(update, [changed, writes.filter((value) => value !== undefined)]);
          }
          return result;
        }),
      async (key) => await readValue(pool, table, key),
    );
    return { ...verbs, ...inBulk(pool, table) };
  },
};
