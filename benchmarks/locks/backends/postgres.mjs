/** One PostgreSQL. The floor: a prepared statement a step that updates one row, each its own transaction. */
import { Pool } from "pg";
import { nonce, operationId, serversOf, value } from "../backends.mjs";
import { built } from "../build.mjs";

const columns = `key bytea PRIMARY KEY, birth text, value bytea, version bigint NOT NULL DEFAULT 0,
  token bigint NOT NULL DEFAULT 0, holder text, until timestamptz, operation text`;

/** @type {import("../backends.mjs").BackendPlan} */
export const backend = {
  name: "postgres",
  kind: "postgres",
  async start() {
    const { startPostgres } = await built("src/cli/servers/postgres");
    return serversOf(await startPostgres());
  },
  async connect([url], { prefix }) {
    const { postgresLocks } = await built("src/escalate/locks/postgres");
    return postgresLocks({ url, prefix });
  },
  async bare([url]) {
    const pool = new Pool({ connectionString: url, max: 2 });
    pool.on("error", () => undefined);
    const table = `bare_${nonce()}`;
    await pool.query(`CREATE TABLE ${table} (${columns}) WITH (fillfactor = 70)`);
    const key = Buffer.alloc(32, 1);
    await pool.query(`INSERT INTO ${table} (key) VALUES ($1)`, [key]);
    const run = (name, set, values) =>
      pool.query({
        name: `${table}_${name}`,
        text: `UPDATE ${table} SET ${set} WHERE key = $1 RETURNING token, version, value`,
        values: [key, ...values],
      });
    const open = "token = token + 1, holder = $2, until = clock_timestamp() + interval '30 s'";
    const write = () =>
      run("write", "version = version + 1, value = $2, operation = $3", [value, operationId()]);
    return {
      does: "3 prepared UPDATEs of one row",
      async cycle() {
        await run("open", open, [nonce()]);
        await write();
        await run("release", "holder = NULL", []);
      },
      set: write,
      async close() {
        await pool.query(`DROP TABLE ${table}`);
        await pool.end();
      },
    };
  },
  async describe([url]) {
    const pool = new Pool({ connectionString: url, max: 1 });
    const names = ["server_version", "fsync", "synchronous_commit"];
    try {
      const shown = names.map((name) => `current_setting('${name}') AS ${name}`);
      const { rows } = await pool.query(`SELECT ${shown.join(", ")}`);
      const [{ server_version, fsync, synchronous_commit }] = rows;
      return `PostgreSQL ${server_version}, fsync ${fsync}, synchronous_commit ${synchronous_commit}`;
    } finally {
      await pool.end();
    }
  },
  tripsMax: { cycle: 3, compareAndSet: 1, handOver: 2 },
  operates: true,
  combinedMin: 5_000,
  why: {
    time: "a step looks for the line and the id of a write, and remembers that in a second table: 60 us of the server, and 60 us of layers",
    operate: "adds to one row follow one another, each with a synchronisation of its own",
  },
};
