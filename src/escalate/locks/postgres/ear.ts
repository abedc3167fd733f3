/**
 * A connection that listens for turns. Behind a pooler of transactions LISTEN succeeds and nothing ever
 * comes; so it counts as heard only once a word that we sent ourselves, the way requests go, has come.
 */
import type { Environment } from "../../../environment.ts";
import type { PostgresConnection, PostgresPool } from "./pool.ts";

/** After a connection that failed, in ms. */
const retryMs = 1_000;

/** How to listen. */
export interface PostgresEarOptions {
  readonly pool: PostgresPool;
  readonly environment: Environment;
  /** Letters, digits and underscores. */
  readonly channel: string;
  /** Sends an empty word to the channel. */
  readonly probe: () => Promise<unknown>;
  /** Whatever else was sent to it. */
  readonly tell: (word: string) => void;
}

/** Listens from the first `attend` on, as long as it is not closed. */
export class PostgresEar {
  readonly #options: PostgresEarOptions;
  #connection: PostgresConnection | undefined;
  #connecting: Promise<void> | undefined;
  #failedMs = Number.NEGATIVE_INFINITY;
  #isHeard = false;
  #isClosed = false;

  constructor(options: PostgresEarOptions) {
    this.#options = options;
  }

  /** Words come through. */
  get isHeard(): boolean {
    return this.#isHeard;
  }

  /** Sees to it that it listens. */
  attend(): void {
    const sinceMs = this.#options.environment.monotonic() - this.#failedMs;
    if (this.#connection || this.#connecting || this.#isClosed || sinceMs < retryMs) return;
    this.#connecting = this.#listen().finally(() => (this.#connecting = undefined));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#connecting;
    this.#drop();
  }

  async #listen(): Promise<void> {
    const { pool, channel, probe } = this.#options;
    try {
      const connection = await pool.connect();
      this.#connection = connection;
      connection.on("error", this.#drop);
      connection.on("notification", this.#hear);
      await connection.query({ text: `LISTEN "${channel}"`, query_timeout: retryMs });
      await probe();
    } catch {
      this.#drop();
    }
  }

  readonly #hear = ({ channel, payload }: { channel: string; payload?: string }): void => {
    if (channel !== this.#options.channel) return;
    if (payload) this.#options.tell(payload);
    else this.#isHeard = true;
  };

  /** Also called when the connection broke. */
  readonly #drop = (): void => {
    const connection = this.#connection;
    if (!connection) return;
    this.#failedMs = this.#options.environment.monotonic();
    this.#connection = undefined;
    this.#isHeard = false;
    connection.release(true);
  };
}
