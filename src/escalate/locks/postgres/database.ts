/** One PostgreSQL: tables on first use, calls with a deadline, and turns that are told or asked for. */
import type { Environment } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import { PostgresEar } from "./ear.ts";
import type { PostgresConnection, PostgresPool, PostgresQuery } from "./pool.ts";
import { countMissing, createMissing, functionName } from "./routines.ts";
import type { Argument, Routine, Row, SqlDatabase } from "../sql/authority.ts";

/** What it is made of. */
export interface PostgresDatabaseOptions {
  readonly pool: PostgresPool;
  readonly closePool: () => Promise<void>;
  /** The beginning of the names of tables and functions. */
  readonly name: string;
  readonly environment: Environment;
  readonly answerMs: number;
  /** Whether to keep a connection that listens. */
  readonly listens: boolean;
}

/** Between two looks whose turn it is, in ms: as a fallback; and without being told, twice as long each time. */
const paceMs = { told: 1_000, first: 10, most: 100 } as const;

/** What must be set how; anything else loses what was promised. */
const settings: Readonly<Record<string, readonly string[]>> = {
  fsync: ["on"],
  full_page_writes: ["on"],
  synchronous_commit: ["on", "local", "remote_write", "remote_apply"],
  transaction_isolation: ["read committed"],
  transaction_read_only: ["off"],
};

/** Errors of the server after which it is not sure that nothing was done: it stopped, or is broken. */
const unsure = /^(?:08|57P|58|F0|XX)/u;
/** No statement has that name on this connection, or another one has. */
const notKept = /^(?:26000|42P05)$/u;
/** A table, a function or a schema is not there. */
const missing = /^(?:42P01|42883|3F000)$/u;

/** Everything as text, but bytes: how numbers are parsed elsewhere in the process does not matter. */
const types: NonNullable<PostgresQuery["types"]> = {
  getTypeParser: (type) => (text) =>
    type === byteaType ? Buffer.from(text.slice(2), "hex") : text,
};
const byteaType = 17;

/** A statement, and what it takes. */
type Call = Pick<PostgresQuery, "text" | "name" | "values">;

/** The tables and functions of one prefix. */
export class PostgresDatabase implements SqlDatabase {
  readonly #options: PostgresDatabaseOptions;
  readonly #known = new WeakSet<PostgresConnection>();
  /** What is called is kept parsed and planned. Not behind a pooler, where the next statement goes elsewhere. */
  #areNamed: boolean;
  readonly #calls = new Map<string, Pick<PostgresQuery, "text" | "name">>();
  #isReady = false;
  #ready: Promise<void> | undefined;
  #ear: PostgresEar | undefined;

  constructor(options: PostgresDatabaseOptions) {
    this.#options = options;
    this.#areNamed = options.listens;
  }

  async call(routine: Routine, args: readonly Argument[]): Promise<Row> {
    const [row] = await this.#invoke(routine, args);
    if (row) return row;
    throw new Error(`${routine} answered nothing`);
  }

  async turns(client: string): Promise<readonly string[]> {
    this.#ear?.attend();
    const rows = await this.#invoke("turns", [client]);
    return rows.flatMap((row) => Object.values(row)).filter((cell) => typeof cell === "string");
  }

  turnsPaceMs(vain: number): number {
    if (this.#ear?.isHeard === true) return paceMs.told;
    return Math.min(paceMs.most, paceMs.first * 2 ** vain);
  }

  attend(channel: string, tell: (nonce: string) => void): void {
    if (!this.#options.listens) return;
    const { pool, environment } = this.#options;
    const probe = (): Promise<unknown> =>
      this.#query({ text: "SELECT pg_notify($1, '')", values: [channel] });
    this.#ear ??= new PostgresEar({ pool, environment, channel, probe, tell });
    this.#ear.attend();
  }

  async close(): Promise<void> {
    await this.#ear?.close();
    await this.#options.closePool();
  }

  async #invoke(routine: Routine | "turns", args: readonly Argument[]): Promise<readonly Row[]> {
    const call = { ...this.#callOf(routine, args.length), values: [...args] };
    if (!this.#isReady) await this.#prepare();
    try {
      return await this.#query(call);
    } catch (error) {
      if (!missing.test(codeOf(error))) throw error;
    }
    // Somebody dropped the tables: made again, they have another birth.
    this.#isReady = false;
    this.#ready = undefined;
    await this.#prepare();
    return this.#query(call);
  }

  /** How a function is called; each always has the same arguments. */
  #callOf(routine: Routine | "turns", count: number): Pick<PostgresQuery, "text" | "name"> {
    const known = this.#calls.get(routine);
    if (known) return known;
    const name = functionName(this.#options.name, routine);
    const places = Array.from({ length: count }, (_, i) => `$${i + 1}`).join(", ");
    const call = { name, text: `SELECT * FROM ${name}(${places})` };
    this.#calls.set(routine, call);
    return call;
  }

  async #prepare(): Promise<void> {
    this.#ready ??= this.#makeReady();
    try {
      await this.#ready;
      this.#isReady = true;
    } catch (error) {
      this.#ready = undefined;
      // Nothing of the request itself was sent.
      throw error instanceof LockUnavailableError ? error : unavailable(error);
    }
  }

  async #makeReady(): Promise<void> {
    const { name } = this.#options;
    const columns = Object.keys(settings).map((setting) => `current_setting('${setting}')`);
    const [row] = await this.#query({
      text: `SELECT concat_ws(',', ${columns.join(", ")}) AS settings,
        ${countMissing(name)} AS missing`,
    });
    const values = String(row?.["settings"]).split(",");
    for (const [i, [setting, allowed]] of Object.entries(settings).entries()) {
      const value = values[i] ?? "";
      if (allowed.includes(value)) continue;
      throw new LockUnavailableError(
        `PostgreSQL has ${setting} = ${value}, not ${allowed.join(" or ")}: tokens and values could be lost`,
        { backend: "postgres" },
      );
    }
    if (row?.["missing"] !== "0") await this.#query({ text: createMissing(name) });
  }

  /** One request, one transaction. @throws LockUnavailableError if it surely did nothing. */
  async #query(call: Call): Promise<readonly Row[]> {
    const { pool, answerMs } = this.#options;
    const connection = await pool.connect().catch((error: unknown) => {
      throw unavailable(error);
    });
    if (!this.#known.has(connection)) {
      this.#known.add(connection);
      // Its end would end the process; the query is rejected too.
      connection.on("error", () => undefined);
    }
    const query = { ...call, types, query_timeout: answerMs };
    try {
      const { rows } =
        query.name === undefined
          ? await connection.query(query)
          : await this.#queryNamed(connection, query);
      connection.release();
      return rows as readonly Row[];
    } catch (error) {
      const code = codeOf(error);
      const isRefusal = code !== "" && !unsure.test(code);
      // What may still be at work serves nobody else.
      connection.release(!isRefusal);
      throw isRefusal ? unavailable(error) : error;
    }
  }

  /** By its name, as long as this connection is ours alone. */
  async #queryNamed(
    connection: PostgresConnection,
    query: PostgresQuery,
  ): ReturnType<PostgresConnection["query"]> {
    if (!this.#areNamed) return await connection.query(withoutName(query));
    try {
      return await connection.query(query);
    } catch (error) {
      if (!notKept.test(codeOf(error))) throw error;
      // A pooler after all: what the server keeps is kept for somebody else. Nothing was done.
      this.#areNamed = false;
      return await connection.query(withoutName(query));
    }
  }
}

const withoutName = (query: PostgresQuery): PostgresQuery => {
  const { text, values = [], query_timeout } = query;
  return { text, values, types, query_timeout };
};

const unavailable = (cause: unknown): LockUnavailableError =>
  new LockUnavailableError(
    `PostgreSQL did nothing: ${cause instanceof Error ? cause.message : String(cause)}`,
    { backend: "postgres", cause },
  );

/** The code that the server gave, five characters; nothing for errors of the connection. */
function codeOf(error: unknown): string {
  const cause = error instanceof LockUnavailableError ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? cause.code : "";
  return typeof code === "string" && /^[0-9A-Z]{5}$/u.test(code) ? code : "";
}
