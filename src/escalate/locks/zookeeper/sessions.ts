/** The sessions of one client: one for all locks of about the same time to live, connected on first use. */
import { LockUnavailableError } from "../../../errors.ts";
import { type ConnectionOptions, ZookeeperConnection } from "./connection.ts";

/** For what needs no session in particular, in ms: long, since each pings three times in its time. */
const ordinaryMs = 30_000;
const sessionMsMin = 1_000;

/** Opens sessions, and forgets those that are over. */
export class ZookeeperSessions {
  readonly #options: Omit<ConnectionOptions, "sessionMs">;
  readonly #sessions = new Map<number, ZookeeperConnection>();

  constructor(options: Omit<ConnectionOptions, "sessionMs">) {
    this.#options = options;
  }

  /** Any one that is ready. */
  async any(): Promise<ZookeeperConnection> {
    for (const session of this.#sessions.values()) if (!session.isOver) return await ready(session);
    return await this.living(ordinaryMs);
  }

  /** One whose session outlives a pause of its holder by so much. @throws LockUnavailableError if the server grants no such. */
  async living(forMs: number): Promise<ZookeeperConnection> {
    const { client } = this.#options;
    // Doubling: few sessions, and none more than twice as long as its locks.
    const sessionMs = client
      ? client.getSessionTimeout()
      : 2 ** Math.ceil(Math.log2(Math.max(sessionMsMin, forMs)));
    let session = this.#sessions.get(sessionMs);
    if (!session || session.isOver) {
      session = new ZookeeperConnection({ ...this.#options, sessionMs });
      this.#sessions.set(sessionMs, session);
    }
    await ready(session);
    if (session.timeoutMs >= forMs) return session;
    const why = `sessions of ${session.timeoutMs} ms are too short for locks of ${forMs} ms`;
    throw new LockUnavailableError(`${why}: raise maxSessionTimeout of ZooKeeper`, {
      backend: "zookeeper",
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.close()));
  }
}

async function ready(session: ZookeeperConnection): Promise<ZookeeperConnection> {
  await session.ready();
  return session;
}
