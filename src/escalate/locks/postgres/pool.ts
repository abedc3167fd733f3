/** Connections to PostgreSQL: what is used of a pool, and a pool of our own that surely closes. */
import { Socket } from "node:net";
import { Pool } from "pg";
import type { Environment } from "../../../environment.ts";

/** What is used of a client of `pg` that a pool lends. */
export interface PostgresConnection {
  query(query: PostgresQuery): Promise<{ readonly rows: readonly unknown[] }>;
  on(event: "error" | "notification", listener: (told: never) => void): unknown;
  /** `true` closes it. */
  release(destroy?: boolean): void;
}

/** A statement as `pg` takes it. */
export interface PostgresQuery {
  readonly text: string;
  /** Under which the connection keeps it parsed and planned. */
  readonly name?: string;
  readonly values?: unknown[];
  /** In ms, also for one that is on its way. */
  readonly query_timeout: number;
  readonly types?: { readonly getTypeParser: (type: number) => (text: string) => unknown };
}

/** What is used of a `Pool` of `pg`. */
export interface PostgresPool {
  connect(): Promise<PostgresConnection>;
}

const connectionsMax = 10;

/** Opens a pool of our own. `close` ends its connections, those too whose server says nothing more. */
export function openPool(
  url: string,
  { environment, answerMs }: { readonly environment: Environment; readonly answerMs: number },
): { readonly pool: PostgresPool; readonly close: () => Promise<void> } {
  const sockets = new Set<Socket>();
  const pool = new Pool({
    connectionString: url,
    max: connectionsMax,
    connectionTimeoutMillis: answerMs,
    fallback_application_name: "trellis",
    stream: () => {
      const socket = new Socket();
      sockets.add(socket);
      return socket.once("close", () => sockets.delete(socket));
    },
  });
  // An idle connection that ends is replaced when one is needed.
  pool.on("error", () => undefined);
  // One that is ended with the word that it is ready has nobody else to tell yet, and would end the process.
  pool.on("connect", (client) => client.on("error", () => undefined));
  const close = async (): Promise<void> => {
    const destroy = (): void => {
      for (const socket of sockets) socket.destroy();
    };
    const timer = environment.schedule(answerMs, destroy);
    await pool.end();
    destroy();
    timer.cancel();
  };
  return { pool, close };
}
