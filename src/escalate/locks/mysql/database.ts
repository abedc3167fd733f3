/** One MySQL or MariaDB: tables on first use, calls with a deadline, and one question that waits for turns. */
import type { Environment } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import type { MysqlConnection, MysqlField, MysqlPool } from "./pool.ts";
import { createAll, lastProcedure, procedureName, tablesOf } from "./routines.ts";
import type { Argument, Cell, Routine, Row, SqlDatabase } from "../sql/authority.ts";

/** What it is made of. */
export interface MysqlDatabaseOptions {
  readonly pool: MysqlPool;
  readonly closePool: () => Promise<void>;
  /** The beginning of the names of tables and procedures. */
  readonly name: string;
  readonly environment: Environment;
  readonly answerMs: number;
}

/** How long the question for turns waits in the server, in ms. */
const turnsMs = 5_000;
/** One transaction that was chosen to end a deadlock is tried so often. */
const triesMax = 3;

const isOn = /^(?:ON|1)$/u;
/** What must be set how; anything else loses what was promised. Of the binary log only where there is one. */
const settings: Readonly<Record<string, RegExp>> = {
  innodb_flush_log_at_trx_commit: /^1$/u,
  innodb_doublewrite: /^(?!OFF|0)/u,
  read_only: /^(?:OFF|0)$/u,
};
const logSettings: Readonly<Record<string, RegExp>> = {
  sync_binlog: /^1$/u,
  binlog_format: /^(?:ROW|MIXED)$/u,
};

/** Errors of the server by which surely nothing was done, by number: all of them roll back. */
const refusals: ReadonlySet<number> = new Set([
  ...[1040, 1044, 1045, 1049, 1142, 1143, 1146, 1203, 1205, 1213, 1227, 1290, 1304, 1305, 1370],
  ...[1665, 1792, 1836],
]);
const deadlock = 1213;
const missing: ReadonlySet<number> = new Set([1146, 1305]);
const alreadyThere = 1304;

/** The tables and procedures of one prefix. */
export class MysqlDatabase implements SqlDatabase {
  readonly #options: MysqlDatabaseOptions;
  readonly #known = new WeakSet<object>();
  readonly #waiting = new Set<MysqlConnection>();
  #ready: Promise<void> | undefined;

  constructor(options: MysqlDatabaseOptions) {
    this.#options = options;
  }

  async call(routine: Routine, args: readonly Argument[]): Promise<Row> {
    const flat = routine === "commit" ? flatten(args) : args;
    for (let tries = 1; ; tries++) {
      try {
        const [row] = await this.#invoke(routine, flat);
        if (row) return row;
        throw new Error(`${routine} answered nothing`);
      } catch (error) {
        if (numberOf(error) !== deadlock || tries === triesMax) throw error;
      }
    }
  }

  async turns(client: string): Promise<readonly string[]> {
    const [row] = await this.#invoke("turns", [client, turnsMs / 1_000], turnsMs);
    const nonces = row?.["nonces"];
    return typeof nonces === "string" ? nonces.split(",") : [];
  }

  turnsPaceMs(vain: number): number {
    // It waits by itself, unless it fails.
    return vain === 0 ? 0 : Math.min(1_000, 2 ** vain);
  }

  attend(): void {
    // Nothing can be told here.
  }

  async close(): Promise<void> {
    // Nobody waits for their answers any more.
    for (const connection of this.#waiting) connection.destroy();
    await this.#options.closePool();
  }

  async #invoke(
    routine: Routine | "turns",
    args: readonly Argument[],
    waitsMs?: number,
  ): Promise<readonly Row[]> {
    const name = procedureName(this.#options.name, routine);
    const sql = `CALL ${name}(${args.map(() => "?").join(", ")})`;
    const run = (): Promise<readonly Row[]> => this.#borrow((query) => query(sql, args), waitsMs);
    await this.#prepare();
    try {
      return await run();
    } catch (error) {
      if (!missing.has(numberOf(error))) throw error;
    }
    // Somebody dropped the tables: made again, they have another birth.
    this.#ready = undefined;
    await this.#prepare();
    return run();
  }

  async #prepare(): Promise<void> {
    this.#ready ??= this.#borrow((query) => this.#makeReady(query));
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = undefined;
      // Nothing of the request itself was sent.
      throw error instanceof LockUnavailableError ? error : unavailable(error);
    }
  }

  async #makeReady(query: Query): Promise<void> {
    const { name, answerMs } = this.#options;
    const found = new Map(
      (await query("SHOW GLOBAL VARIABLES")).map((row) => [
        String(row["Variable_name"]),
        String(row["Value"]),
      ]),
    );
    const hasLog = isOn.test(found.get("log_bin") ?? "");
    const wanted = Object.entries({ ...settings, ...(hasLog ? logSettings : {}) });
    for (const [setting, allowed] of wanted) {
      const value = found.get(setting) ?? "";
      if (allowed.test(value)) continue;
      throw new LockUnavailableError(
        `the server has ${setting} = ${value}: tokens and values could be lost`,
        { backend: "mysql" },
      );
    }
    if (await isComplete(query, name)) return;
    // One at a time, so that not all make the same; who cannot wait makes it too, no harm.
    await query("SELECT GET_LOCK(?, ?)", [`${name}_create`, answerMs / 2_000]);
    try {
      if (!(await isComplete(query, name))) await create(query, name);
    } finally {
      await query("SELECT RELEASE_LOCK(?)", [`${name}_create`]);
    }
  }

  /** Works on one connection. @throws LockUnavailableError if what failed surely did nothing. */
  async #borrow<T>(work: (query: Query) => Promise<T>, waitsMs?: number): Promise<T> {
    const connection = await this.#connect().catch((error: unknown) => {
      throw unavailable(error);
    });
    if (!this.#known.has(connection.connection)) {
      this.#known.add(connection.connection);
      // Its end would end the process; the query is rejected too.
      connection.on("error", () => undefined);
    }
    const timeout = this.#options.answerMs + (waitsMs ?? 0);
    const query: Query = async (sql, args = []) => {
      const [rows] = await connection.query({ sql, values: args.map(plain), timeout, typeCast });
      return rowsOf(rows);
    };
    if (waitsMs !== undefined) this.#waiting.add(connection);
    try {
      const result = await work(query);
      connection.release();
      return result;
    } catch (error) {
      // What may still be at work, or in a transaction, serves nobody else.
      connection.destroy();
      throw refusals.has(numberOf(error)) ? unavailable(error) : error;
    } finally {
      this.#waiting.delete(connection);
    }
  }

  /** A connection in time; one that comes later goes back. */
  async #connect(): Promise<MysqlConnection> {
    const { pool, environment, answerMs } = this.#options;
    let isLate = false;
    const lending = pool.getConnection();
    const inTime = new Promise<never>((_resolve, reject) => {
      const timer = environment.schedule(answerMs, () => {
        isLate = true;
        reject(new Error(`no connection within ${answerMs} ms`));
      });
      const settle = (connection?: MysqlConnection): void => {
        timer.cancel();
        if (isLate) connection?.release();
      };
      lending.then(settle, () => settle());
    });
    return Promise.race([lending, inTime]);
  }
}

type Query = (sql: string, args?: readonly Argument[]) => Promise<readonly Row[]>;

async function isComplete(query: Query, name: string): Promise<boolean> {
  const [row] = await query(
    `SELECT (SELECT COUNT(*) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name IN (?, ?, ?))
      + (SELECT COUNT(*) FROM information_schema.routines
        WHERE routine_schema = DATABASE() AND routine_name = ?) AS found`,
    [...tablesOf(name), lastProcedure(name)],
  );
  return row?.["found"] === "4";
}

async function create(query: Query, name: string): Promise<void> {
  for (const statement of createAll(name)) {
    try {
      await query(statement);
    } catch (error) {
      if (numberOf(error) !== alreadyThere) throw error;
    }
  }
}

/** Procedures take no lists: those of a commit are joined, and its guards are put into the order of locking. */
function flatten([
  keys,
  nonces,
  tokens,
  versions,
  values,
  ...rest
]: readonly Argument[]): Argument[] {
  const guards = cells(keys).map((key) => Buffer.from(key ?? "").toString("hex"));
  const order = [...guards.keys()].sort((a, b) => ((guards[a] ?? "") < (guards[b] ?? "") ? -1 : 1));
  const contents = cells(values).map((value) => (value === null ? value : Buffer.from(value)));
  const lengths = contents.map((value) => (value === null ? "-" : value.length));
  return [
    ...[guards.length, order.map((i) => i + 1).join(","), guards.join(",")],
    ...[cells(nonces), tokens, versions].map((list) => String(list)),
    ...[lengths.join(","), Buffer.concat(contents.filter((value) => value !== null)), ...rest],
  ];
}

const cells = (list: Argument | undefined): readonly Cell[] =>
  Array.isArray(list) ? (list as readonly Cell[]) : [];

/** Text as bytes: then there is nothing in it to escape. Names are the only other text. */
const plain = (argument: Argument): unknown =>
  typeof argument === "string" ? Buffer.from(argument) : argument;

/** Everything as text, but bytes: how numbers are parsed elsewhere in the process does not matter. */
const typeCast = (field: MysqlField): Cell =>
  field.name === "value" ? field.buffer() : field.string();

/** A call answers with its rows, and then that it is done. */
function rowsOf(answer: unknown): readonly Row[] {
  if (!Array.isArray(answer)) return [];
  const [first] = answer as readonly unknown[];
  return (Array.isArray(first) ? first : answer) as readonly Row[];
}

const unavailable = (cause: unknown): LockUnavailableError =>
  new LockUnavailableError(
    `the server did nothing: ${cause instanceof Error ? cause.message : String(cause)}`,
    { backend: "mysql", cause },
  );

/** The number that the server gave; 0 for errors of the connection. */
function numberOf(error: unknown): number {
  const cause = error instanceof LockUnavailableError ? error.cause : error;
  const number = cause instanceof Error && "errno" in cause ? cause.errno : 0;
  return typeof number === "number" && number > 0 ? number : 0;
}
