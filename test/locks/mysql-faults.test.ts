/** What `mysqlLocks` does on a server that fails. */
import { createConnection, createPool } from "mysql2/promise";
import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { type MysqlPool, mysqlLocks } from "../../src/escalate/locks/mysql.ts";
import { startMysql } from "../../src/cli/servers/mysql.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { queryMysql } from "./mysql-subject.ts";
import { sqlFaults } from "./sql-faults.ts";

describe.skipIf(isServiceSkipped("mysql"))("mysqlLocks", () => {
  const pools = new Map<object, MysqlPool>();
  sqlFaults({
    name: "mysql",
    maker: "mysqlLocks",
    start: startMysql,
    open: ({ client, ...options }) => {
      const pool = typeof client === "object" && client ? pools.get(client) : undefined;
      return mysqlLocks({ ...options, ...(pool ? { client: pool } : {}) });
    },
    query: queryMysql,
    openTransaction: async (url) => {
      const connection = await createConnection(url);
      connection.on("error", () => undefined);
      await connection.query("CREATE TABLE IF NOT EXISTS uncommitted (x INT)");
      await connection.query("START TRANSACTION");
      await connection.query("INSERT INTO uncommitted VALUES (1)");
      return { [Symbol.asyncDispose]: async () => connection.destroy() };
    },
    pool: (url) => {
      const pool = createPool(url);
      pools.set(pool, pool);
      return {
        client: pool,
        works: async () => (await pool.query("SELECT 1")).length > 0,
        end: () => pool.end(),
      };
    },
    settings: [
      [
        "innodb_flush_log_at_trx_commit",
        "SET GLOBAL innodb_flush_log_at_trx_commit = 2",
        "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
      ],
      ["read_only", "SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"],
    ],
    comingRoundTrips: 2,
  });

  test("either a url or a client is given", () => {
    expect(() => mysqlLocks({})).toThrow(UsageError);
  });
});
