/** Three replicas that do a bit of everything, each with a telemetry that keeps all it is told. */
import { setImmediate as endOfTurn } from "node:timers/promises";
import { until } from "../../src/cli/servers/until.ts";
import { type Environment, systemEnvironment } from "../../src/environment.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import {
  AlreadyClaimedError,
  boundedCounter,
  counter,
  fencedRegister,
  InsufficientError,
  LockTimeoutError,
  lwwRegister,
  openReplica,
  orSet,
  type Replica,
  StorageError,
  uniqueClaims,
  WaitTimeoutError,
} from "../../src/index.ts";
import type { StorageBackend } from "../../src/store/storage.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { Recording } from "./recording.ts";

const schema = {
  likes: counter(),
  tags: orSet(),
  profile: lwwRegister<string>(),
  stock: boundedCounter({ min: 0 }),
  accounts: fencedRegister<number>(),
  username: uniqueClaims(),
};

/** What they share. */
export type Shop = Replica<typeof schema>;

/** A replica and what it told. */
export interface Told {
  readonly shop: Shop;
  readonly telemetry: Recording;
}

/** Every condition is waited for as long, in ms. */
export const withinMs = 15_000;
/** What there is to sell. */
export const units = 200;

/** A storage whose first write fails. */
function refusingOnce(): StorageBackend {
  const backend = memoryStorage();
  let hasRefused = false;
  return {
    ...backend,
    open: async (options) => {
      const engine = await backend.open(options);
      const batchOf = engine.batch.bind(engine);
      engine.batch = () => {
        const batch = batchOf();
        const write = batch.write.bind(batch);
        batch.write = (how) => {
          if (hasRefused) return write(how);
          hasRefused = true;
          return Promise.reject(new StorageError("no room", { path: "memory" }));
        };
        return batch;
      };
      return engine;
    },
  };
}

/** The world with a clock that can be set, ahead of the real one. */
export class Ahead {
  ms = 0;
  readonly environment: Environment = { ...systemEnvironment, now: () => Date.now() + this.ms };
}

export const urlOf = ({ address }: Shop): string => `ws://127.0.0.1:${address?.port ?? 0}`;

/** The three of them. */
export class Shops implements AsyncDisposable {
  readonly host: Told;
  readonly guest: Told;
  readonly late: Told;
  readonly clock: Ahead;
  /** Units that were sold. */
  sold = 0;

  private constructor(told: readonly [Told, Told, Told], clock: Ahead) {
    [this.host, this.guest, this.late] = told;
    this.clock = clock;
  }

  static async open(): Promise<Shops> {
    const clock = new Ahead();
    const [one, two, three] = [new Recording(), new Recording(), new Recording()];
    const host = await openReplica({
      ...{ schema, name: "host", listen: { port: 0 }, storage: memoryStorage(), telemetry: one },
      locks: embeddedLocks({ host: true }),
    });
    const guest = await openReplica({
      ...{ schema, name: "guest", storage: refusingOnce(), telemetry: two },
      environment: clock.environment,
    });
    const late = await openReplica({
      schema,
      name: "late",
      peers: [urlOf(host)],
      telemetry: three,
    });
    const told = [
      { shop: host, telemetry: one },
      { shop: guest, telemetry: two },
      { shop: late, telemetry: three },
    ] as const;
    return new Shops(told, clock);
  }

  get all(): readonly Told[] {
    return [this.host, this.guest, this.late];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map(({ shop }) => shop.close()));
  }

  /** Does a bit of everything. */
  async work(): Promise<void> {
    const { shop: host } = this.host;
    const { shop: guest } = this.guest;
    for (const { collections, name } of [
      { collections: host.collections, name: "host" },
      { collections: guest.collections, name: "guest" },
    ]) {
      collections.profile.set("u", name);
    }
    await endOfTurn();
    guest.addPeer(urlOf(host));
    await until("the authority is in reach", withinMs, () =>
      this.all.every(({ shop }) => {
        const { locks } = shop.status();
        return locks.kind === "embedded" && locks.isServing;
      }),
    );
    await this.#write(host);
    await this.#sell();
    await this.#escalate(host, guest);
    await this.#wait(host, guest);
  }

  /** Three batches of a counter, two of a set, and what that removes. */
  async #write({ collections: { likes, tags } }: Shop): Promise<void> {
    for (let batch = 0; batch < 3; batch++) {
      for (let i = 0; i < 10; i++) likes.increment("post");
      await endOfTurn();
    }
    tags.add("post", "a");
    tags.add("post", "b");
    await endOfTurn();
    tags.remove("post", "a");
    await endOfTurn();
  }

  async #sell(): Promise<void> {
    this.host.shop.collections.stock.increment("sku", units);
    await this.host.shop.collections.stock.decrement("sku", 1, { idempotencyKey: "order" });
    await this.host.shop.collections.stock.decrement("sku", 1, { idempotencyKey: "order" });
    this.sold++;
    const sellAll = async ({ shop }: Told): Promise<void> => {
      for (;;) {
        try {
          await shop.collections.stock.decrement("sku");
          this.sold++;
        } catch (error) {
          if (error instanceof InsufficientError) return;
          throw error;
        }
      }
    };
    await Promise.all(this.all.map(sellAll));
  }

  async #escalate(host: Shop, guest: Shop): Promise<void> {
    const { accounts, username } = host.collections;
    const once = { idempotencyKey: "once" };
    for (let i = 0; i < 2; i++) await accounts.update("a", (now = 0) => now + 1, once);
    const both = [accounts.at("a"), accounts.at("b")] as const;
    for (let i = 0; i < 2; i++) {
      await host.escalate(both, (section) => section.set(accounts.at("b"), 1), once);
    }
    await username.claim("ada", "u:7");
    await guest.collections.username.claim("ada", "u:8").catch(expectError(AlreadyClaimedError));
    await host.locks.withLock("report", async () => {
      await guest.locks
        .withLock("report", () => undefined, { waitMs: 20 })
        .catch(expectError(LockTimeoutError));
    });
  }

  async #wait(host: Shop, guest: Shop): Promise<void> {
    // A clock that runs away while its link stands.
    this.clock.ms = 3_600_000;
    guest.collections.profile.set("ahead", "of its time");
    await until(
      "the stamp is held",
      withinMs,
      () => this.host.telemetry.sum("trellis_stamps_held_total") > 0,
    );
    this.clock.ms = 0;
    host.collections.likes.increment("news");
    await this.late.shop.waitFor(host.version());
    guest.removePeer(urlOf(host));
    host.collections.likes.increment("unheard of");
    await guest.waitFor(host.version(), { timeoutMs: 5 }).catch(expectError(WaitTimeoutError));
  }
}

const expectError =
  (Class: new (...args: never[]) => Error) =>
  (error: unknown): void => {
    if (!(error instanceof Class)) throw error;
  };
