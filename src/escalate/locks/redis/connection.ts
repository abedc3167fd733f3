/**
 * One connection to one Redis, made when it is needed and given up when it is silent. ioredis can keep
 * requests while it is not connected, send them again, and reconnect under them; none of that is wanted
 * where it must be known whether a request was sent. So each client that we make connects once, and who
 * asks next makes another.
 */
import { Redis, type RedisOptions } from "ioredis";
import type { Environment, Timer } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import type { Script } from "./scripts.ts";

/** Where the server is. */
export interface RedisAddress {
  /** `redis://`, or `rediss://` for TLS. */
  readonly url?: string;
  /** Taken as the settings of connections that we make ourselves; it is not used, and not closed. */
  readonly client?: Redis;
}

/** How to connect. */
export interface RedisConnecting extends RedisAddress {
  readonly environment: Environment;
  /** A connection that owes an answer and is silent for so long is given up, in ms. */
  readonly silentMs: number;
}

const keepAliveMs = 10_000;

/** Also in place of what a client that was handed in is set to. */
const once = {
  lazyConnect: true,
  retryStrategy: null,
  reconnectOnError: null,
  enableReadyCheck: false,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableAutoPipelining: false,
  keepAlive: keepAliveMs,
  keyPrefix: "",
  protocol: 2,
  replyMapping: "legacy",
  stringNumbers: false,
  readOnly: false,
  commandTimeout: undefined,
  socketTimeout: undefined,
} as const satisfies RedisOptions;

/** Error replies to what was not begun. */
const notBegun =
  /^(?:BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|MOVED|NOAUTH|NOPERM|NOREPLICAS|NOSCRIPT|OOM|READONLY|TRYAGAIN|WRONGPASS) /u;

/** A connected client, prepared for its use. @throws LockUnavailableError */
export async function connectRedis(
  { url, client, environment, silentMs }: RedisConnecting,
  prepare: (made: Redis) => Promise<void>,
): Promise<Redis> {
  const options = { ...once, connectTimeout: silentMs };
  const made = client ? client.duplicate(options) : new Redis(url ?? "", options);
  // Whoever asked hears of it from the request.
  made.on("error", () => undefined);
  const timer = environment.schedule(silentMs, () => disconnectRedis(made));
  try {
    await made.connect();
    await prepare(made);
    return made;
  } catch (error) {
    disconnectRedis(made);
    if (error instanceof LockUnavailableError) throw error;
    throw new LockUnavailableError(`no connection to Redis: ${messageOf(error)}`, { cause: error });
  } finally {
    timer.cancel();
  }
}

/** At once, without waiting for the server. */
export function disconnectRedis(client: Redis): void {
  const { stream }: { readonly stream?: Redis["stream"] } = client;
  client.disconnect();
  stream?.destroy();
}

/** Runs scripts. */
export class RedisConnection {
  readonly #options: RedisConnecting;
  readonly #prepare: (made: Redis) => Promise<void>;
  readonly #given: (() => void) | undefined;
  #connecting: Promise<Redis> | undefined;
  #connected: Redis | undefined;
  #isClosed = false;
  #owed = 0;
  #timer: Timer | undefined;

  /** `prepare` runs on each new connection; `gaveUp`, when one was silent. */
  constructor(
    options: RedisConnecting,
    prepare: (made: Redis) => Promise<void>,
    gaveUp?: () => void,
  ) {
    this.#options = options;
    this.#prepare = prepare;
    this.#given = gaveUp;
  }

  /** @throws LockUnavailableError if it surely did not run; any other error if it may have. */
  async run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | Uint8Array)[],
  ): Promise<unknown> {
    const ready = this.#connected;
    const client = ready?.status === "ready" ? ready : await this.#client();
    const rest = [keys.length, ...keys, ...args.map(asBuffer)];
    this.#owes(1);
    try {
      return await this.#evaluate(client, script, rest);
    } catch (error) {
      if (!notBegun.test(messageOf(error))) throw error;
      // What it refuses now, another may accept: a replica that was promoted, or its successor.
      this.#drop();
      throw new LockUnavailableError(`Redis refused: ${messageOf(error)}`, { cause: error });
    } finally {
      this.#owes(-1);
    }
  }

  /** Nothing is left open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#drop();
    await this.#connecting?.catch(() => undefined);
    this.#drop();
  }

  async #evaluate(
    client: Redis,
    { sha, source }: Script,
    rest: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    try {
      return await client.callBuffer("EVALSHA", [sha, ...rest]);
    } catch (error) {
      if (!messageOf(error).startsWith("NOSCRIPT ")) throw error;
      return await client.callBuffer("EVAL", [source, ...rest]);
    }
  }

  async #client(): Promise<Redis> {
    if (this.#isClosed) throw new LockUnavailableError("the connection is closed");
    this.#connecting ??= this.#connect();
    return await this.#connecting;
  }

  async #connect(): Promise<Redis> {
    this.#connected = undefined;
    try {
      this.#connected = await connectRedis(this.#options, this.#prepare);
      return this.#connected;
    } finally {
      this.#connecting = undefined;
    }
  }

  #drop(): void {
    if (this.#connected) disconnectRedis(this.#connected);
    this.#connected = undefined;
  }

  /** Any answer shows that the connection lives. */
  #owes(more: 1 | -1): void {
    this.#owed += more;
    if (more === 1 && this.#owed > 1) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#owed === 0) return;
    this.#timer = this.#options.environment.schedule(this.#options.silentMs, () => {
      this.#drop();
      this.#given?.();
    });
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const asBuffer = (argument: string | Uint8Array): string | Buffer =>
  typeof argument === "string"
    ? argument
    : Buffer.from(argument.buffer, argument.byteOffset, argument.length);
