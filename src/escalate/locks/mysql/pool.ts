/** Connections to MySQL or MariaDB: what is used of a pool, and a pool of our own that surely closes. */
import { connect, type Socket } from "node:net";
import { createPool } from "mysql2/promise";
import type { Environment } from "../../../environment.ts";

/** What is used of a connection of `mysql2/promise` that a pool lends. */
export interface MysqlConnection {
  /** What is lent: this here is another object each time. */
  readonly connection: object;
  query(query: MysqlQuery): Promise<readonly unknown[]>;
  on(event: "error", listener: () => void): unknown;
  release(): void;
  destroy(): void;
}

/** A statement as `mysql2` takes it. */
export interface MysqlQuery {
  readonly sql: string;
  readonly values?: unknown[];
  /** In ms. */
  readonly timeout: number;
  readonly typeCast: (field: MysqlField) => unknown;
}

/** A cell on its way. */
export interface MysqlField {
  readonly name: string;
  string(): string | null;
  buffer(): Uint8Array | null;
}

/** What is used of a pool of `mysql2/promise`. */
export interface MysqlPool {
  getConnection(): Promise<MysqlConnection>;
}

const connectionsMax = 10;

/** Opens a pool of our own. `close` ends its connections, those too whose server says nothing more. */
export function openPool(
  url: string,
  { environment, answerMs }: { readonly environment: Environment; readonly answerMs: number },
): { readonly pool: MysqlPool; readonly close: () => Promise<void> } {
  const sockets = new Set<Socket>();
  const { hostname, port } = new URL(url);
  const pool = createPool({
    uri: url,
    connectionLimit: connectionsMax,
    connectTimeout: answerMs,
    stream: () => {
      const socket = connect({ host: hostname, port: Number(port || mysqlPort), noDelay: true });
      sockets.add(socket);
      return socket.once("close", () => sockets.delete(socket));
    },
  });
  const close = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      const timer = environment.schedule(answerMs, resolve);
      void pool
        .end()
        .catch(() => undefined)
        .finally(() => {
          timer.cancel();
          resolve();
        });
    });
    for (const socket of sockets) socket.destroy();
  };
  return { pool, close };
}

const mysqlPort = 3306;
