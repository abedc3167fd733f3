/** One MariaDB. The floor: a prepared statement a step that updates one row, each its own transaction. */
import { createPool } from "mysql2/promise";
import { nonce, operationId, serversOf, value } from "../backends.mjs";
import { built } from "../build.mjs";

const columns = `guard VARBINARY(32) PRIMARY KEY, birth VARCHAR(64), value LONGBLOB,
  version BIGINT NOT NULL DEFAULT 0, token BIGINT NOT NULL DEFAULT 0, holder VARCHAR(64),
  until_us BIGINT, operation VARBINARY(512)`;

/** @type {import("../backends.mjs").BackendPlan} */
export const backend = {
  name: "mysql",
  kind: "mysql",
  async start() {
    const { startMysql } = await built("src/cli/servers/mysql");
    return serversOf(await startMysql());
  },
  async connect([url], { prefix }) {
    const { mysqlLocks } = await built("src/escalate/locks/mysql");
    return mysqlLocks({ url, prefix });
  },
  async bare([url]) {
    const pool = createPool({ uri: url, connectionLimit: 2 });
    const table = `bare_${nonce()}`;
    await pool.query(`CREATE TABLE ${table} (${columns}) ENGINE = InnoDB`);
    const key = Buffer.alloc(32, 1);
    await pool.query(`INSERT INTO ${table} (guard) VALUES (?)`, [key]);
    const run = (set, values) =>
      pool.execute(`UPDATE ${table} SET ${set} WHERE guard = ?`, [...values, key]);
    const open = "token = LAST_INSERT_ID(token + 1), holder = ?, until_us = ?";
    const write = () =>
      run("version = version + 1, value = ?, operation = ?", [value, operationId()]);
    return {
      does: "3 prepared UPDATEs of one row",
      async cycle() {
        await run(open, [nonce(), Date.now() * 1_000]);
        await write();
        await run("holder = NULL", []);
      },
      set: write,
      async close() {
        await pool.query(`DROP TABLE ${table}`);
        await pool.end();
      },
    };
  },
  async describe([url]) {
    const pool = createPool({ uri: url, connectionLimit: 1 });
    try {
      const [[row]] = await pool.query(
        "SELECT VERSION() AS version, @@innodb_flush_log_at_trx_commit AS flush",
      );
      return `MySQL ${row.version}, innodb_flush_log_at_trx_commit ${row.flush}, no binary log`;
    } finally {
      await pool.end();
    }
  },
  tripsMax: { cycle: 3, compareAndSet: 1, handOver: 2 },
  operates: true,
  why: {
    time: "MariaDB plans each statement of a procedure anew: the guard, the line, the id and the clock are 50 to 150 us each, beside two writes",
  },
};
