/**
 * How those of one client who stand in line hear of their turn: on a channel of the client's own, so
 * that a release wakes one and no other. Word may be lost; then the line asks again by itself.
 */
import type { Redis } from "ioredis";
import { LockUnavailableError } from "../../../errors.ts";
import { connectRedis, disconnectRedis, type RedisConnecting } from "./connection.ts";

interface Standing {
  /** Word came, and nobody has asked for it yet. */
  isTold: boolean;
  tell: (() => void) | undefined;
}

/** Those of one client who stand in line. */
export class RedisTurns {
  readonly channel: string;
  readonly #options: RedisConnecting;
  readonly #standing = new Map<string, Standing>();
  #isClosed = false;
  #connecting: Promise<Redis> | undefined;
  #connected: Redis | undefined;

  constructor(options: RedisConnecting, channel: string) {
    this.#options = options;
    this.channel = channel;
  }

  /** Word can come: to be awaited before anyone is put into line. @throws LockUnavailableError */
  async ready(): Promise<void> {
    if (this.#connected?.status === "ready") return;
    if (this.#isClosed) throw new LockUnavailableError("the connection is closed");
    this.#connecting ??= this.#connect();
    await this.#connecting;
  }

  /** From now on word to this one is kept. */
  stand(nonce: string): void {
    if (!this.#standing.has(nonce)) this.#standing.set(nonce, { isTold: false, tell: undefined });
  }

  leave(nonce: string): void {
    this.#standing.delete(nonce);
  }

  /** Resolves when word came since the last call; at once for one who does not stand here. */
  turn(nonce: string): Promise<void> {
    const standing = this.#standing.get(nonce);
    if (!standing || standing.isTold) {
      if (standing) standing.isTold = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      standing.tell = resolve;
    });
  }

  /** Another connection is made when it is needed. */
  drop(): void {
    if (this.#connected) disconnectRedis(this.#connected);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.drop();
    await this.#connecting?.catch(() => undefined);
    this.drop();
  }

  async #connect(): Promise<Redis> {
    try {
      const made = await connectRedis(this.#options, async (client) => {
        client.on("message", (_channel: string, nonce: string) => this.#tell(nonce));
        await client.subscribe(this.channel);
      });
      this.#connected = made;
      made.once("close", () => this.#lost(made));
      return made;
    } finally {
      this.#connecting = undefined;
    }
  }

  /** What was told meanwhile is not known: all ask. */
  #lost(client: Redis): void {
    if (this.#connected !== client) return;
    this.#connected = undefined;
    for (const nonce of this.#standing.keys()) this.#tell(nonce);
  }

  #tell(nonce: string): void {
    const standing = this.#standing.get(nonce);
    if (!standing) return;
    standing.isTold = standing.tell === undefined;
    standing.tell?.();
    standing.tell = undefined;
  }
}
