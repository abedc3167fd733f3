/** One master that is a Redis: a connection for scripts, and one on which it is heard. */
import type { Redis } from "ioredis";
import { LockUnavailableError } from "../../../errors.ts";
import {
  connectRedis,
  disconnectRedis,
  RedisConnection,
  type RedisConnecting,
} from "../redis/connection.ts";
import { checkRedisSettings, loadRedisScripts } from "../redis/settings.ts";
import type { Listener, Master } from "./masters.ts";
import { type RedlockScriptName, redlockScripts } from "./scripts.ts";

/** How to reach it. */
export interface RedisMasterOptions extends RedisConnecting {
  /** Where it tells this client of turns. */
  readonly channel: string;
  /** Whether it must be set to keep what it acknowledged. */
  readonly isDurable: boolean;
}

/** Connects when it is asked. */
export class RedisMaster implements Master {
  readonly #options: RedisMasterOptions;
  readonly #connection: RedisConnection;
  #listener: Listener | undefined;
  #isClosed = false;
  #subscribing: Promise<Redis> | undefined;
  #subscribed: Redis | undefined;

  constructor(options: RedisMasterOptions) {
    this.#options = options;
    this.#connection = new RedisConnection(
      options,
      async (made) => {
        await checkRedisSettings(made, options.isDurable);
        await loadRedisScripts(made, redlockScripts);
      },
      () => this.#unsubscribe(),
    );
  }

  run(
    name: RedlockScriptName,
    keys: readonly string[],
    args: readonly (string | Uint8Array)[],
  ): Promise<unknown> {
    return this.#connection.run(redlockScripts[name], keys, args);
  }

  listen(listener: Listener): void {
    this.#listener = listener;
  }

  async ready(): Promise<void> {
    if (this.#subscribed?.status === "ready") return;
    if (this.#isClosed) throw new LockUnavailableError("the connection is closed");
    this.#subscribing ??= this.#subscribe();
    await this.#subscribing;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    await this.#connection.close();
    await this.#subscribing?.catch(() => undefined);
    this.#unsubscribe();
  }

  async #subscribe(): Promise<Redis> {
    try {
      const made = await connectRedis(this.#options, async (client) => {
        client.on("messageBuffer", (_channel: Buffer, word: Buffer) => this.#listener?.hear(word));
        await client.subscribe(this.#options.channel);
      });
      this.#subscribed = made;
      made.once("close", () => {
        if (this.#subscribed !== made) return;
        this.#subscribed = undefined;
        this.#listener?.deaf();
      });
      return made;
    } finally {
      this.#subscribing = undefined;
    }
  }

  /** Another connection is made when it is needed. */
  #unsubscribe(): void {
    if (this.#subscribed) disconnectRedis(this.#subscribed);
  }
}
