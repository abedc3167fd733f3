/**
 * Guards in MySQL or MariaDB. A guard is a row, a token is a column of it, and each step is one procedure
 * call: one transaction, one round trip. No session keeps a lock. The server can tell nothing by itself,
 * so while somebody stands in line one question per client waits in the server until it is a turn.
 *
 * What breaks it: `innodb_flush_log_at_trx_commit` other than 1, or a binary log with `sync_binlog` other
 * than 1 (both checked on first use); a replica that is promoted without all that was committed; and a
 * backup that is put back, which has the same birth.
 */
import { type Environment, systemEnvironment } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import { AuthorityClient } from "../fence/authority-client.ts";
import type { LockBackend } from "../locks.ts";
import { MysqlDatabase } from "./mysql/database.ts";
import { type MysqlPool, openPool } from "./mysql/pool.ts";
import { SqlAuthority } from "./sql/authority.ts";
import { tableName } from "./sql/names.ts";

export type { MysqlConnection, MysqlField, MysqlPool, MysqlQuery } from "./mysql/pool.ts";

/** How to open. Either `url` or `client`. */
export interface MysqlLocksOptions {
  /** `mysql://user:password@host:port/database`, with the settings that `mysql2` knows. */
  readonly url?: string;
  /** A pool of `mysql2/promise`; it is not closed with the locks. Whoever waits in line keeps one of its connections. */
  readonly client?: MysqlPool;
  /** Names the tables: `trellis_guards` for `trellis/`. Default `trellis/`. */
  readonly prefix?: string;
  /** Clocks, timers and randomness, for tests. */
  readonly environment?: Environment;
  /** How long one answer of the server may take, in ms. Default 2,000. */
  readonly answerMs?: number;
}

/**
 * A lock backend on MariaDB 10.6 or MySQL 8 or newer. Connects, and makes its tables, on first use.
 * @throws UsageError unless it is given one of `url` and `client`.
 */
export function mysqlLocks(options: MysqlLocksOptions): LockBackend {
  const { prefix = "trellis/", environment = systemEnvironment, answerMs = 2_000 } = options;
  const { url, client } = options;
  const own = url === undefined ? undefined : openPool(url, { environment, answerMs });
  const pool = client ?? own?.pool;
  if (!pool || (client && own)) throw new UsageError("mysqlLocks takes either a url or a client");
  const name = tableName(prefix);
  const database = new MysqlDatabase({
    ...{ pool, closePool: own?.close ?? (async () => undefined), name, environment, answerMs },
  });
  const authority = new SqlAuthority(database, environment, name);
  return new AuthorityClient({
    name: "mysql",
    guarantees: { fencing: "durable", faultTolerant: false, atomicCommits: true },
    // The tables are the prefix's own.
    ...{ authority, environment, prefix: "", answerMs },
    disconnect: async () => {
      authority.stop();
      await database.close();
    },
  });
}
