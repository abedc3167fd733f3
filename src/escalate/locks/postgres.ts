/**
 * Guards in PostgreSQL. A guard is a row, a token is a column of it, and each step is one function call:
 * one statement, one transaction, one round trip. No session keeps a lock, so a pooler of transactions may
 * stand in between; there nobody can listen, and turns are asked for instead, ten times a second and more.
 *
 * What breaks it: `fsync`, `full_page_writes` or `synchronous_commit` off (checked on first use); a standby
 * that is promoted without all that was committed; and a backup that is put back, which has the same birth.
 */
import { type Environment, systemEnvironment } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import { AuthorityClient } from "../fence/authority-client.ts";
import type { LockBackend } from "../locks.ts";
import { PostgresDatabase } from "./postgres/database.ts";
import { openPool, type PostgresPool } from "./postgres/pool.ts";
import { SqlAuthority } from "./sql/authority.ts";
import { tableName } from "./sql/names.ts";

export type { PostgresConnection, PostgresPool, PostgresQuery } from "./postgres/pool.ts";

/** How to open. Either `url` or `client`. */
export interface PostgresLocksOptions {
  /** `postgres://user:password@host:port/database`, with the settings that `pg` knows. */
  readonly url?: string;
  /** A `Pool` of `pg`; it is not closed with the locks. One of its connections is kept to listen. */
  readonly client?: PostgresPool;
  /** Names the tables: `trellis_guards` for `trellis/`. Default `trellis/`. */
  readonly prefix?: string;
  /** False keeps no connection to listen, and asks for turns: behind a pooler of transactions. Default true. */
  readonly listen?: boolean;
  /** Clocks, timers and randomness, for tests. */
  readonly environment?: Environment;
  /** How long one answer of the server may take, in ms. Default 2,000. */
  readonly answerMs?: number;
}

/**
 * A lock backend on PostgreSQL 13 or newer. Connects, and makes its tables, on first use.
 * @throws UsageError unless it is given one of `url` and `client`.
 */
export function postgresLocks(options: PostgresLocksOptions): LockBackend {
  const { prefix = "trellis/", environment = systemEnvironment, answerMs = 2_000 } = options;
  const { url, client, listen = true } = options;
  if ((url === undefined) === (client === undefined)) {
    throw new UsageError("postgresLocks takes either a url or a client");
  }
  const name = tableName(prefix);
  const own = url === undefined ? undefined : openPool(url, { environment, answerMs });
  const pool = client ?? own?.pool;
  if (!pool) throw new UsageError("postgresLocks takes either a url or a client");
  const database = new PostgresDatabase({
    ...{ pool, closePool: own?.close ?? (async () => undefined), name, environment, answerMs },
    listens: listen,
  });
  const authority = new SqlAuthority(database, environment, name);
  return new AuthorityClient({
    name: "postgres",
    guarantees: { fencing: "durable", faultTolerant: false, atomicCommits: true },
    // The tables are the prefix's own.
    ...{ authority, environment, prefix: "", answerMs },
    disconnect: async () => {
      authority.stop();
      await database.close();
    },
  });
}
