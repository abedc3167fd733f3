/** Replicas over WebSockets, one of which is the authority, as a subject of the suite. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { counter, openReplica, type Replica } from "../../src/index.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import type { LockStore, LockSubject } from "./faults.ts";
import { elapse } from "./trial.ts";

const schema = { likes: counter() };
const reachMsMax = 20_000;

/** Resolves when the lock authority can be asked from all of these. */
async function inReach(replicas: Iterable<Replica<typeof schema>>): Promise<void> {
  const endMs = performance.now() + reachMsMax;
  for (const replica of replicas) {
    for (;;) {
      const { locks } = replica.status();
      if (locks.kind === "embedded" && locks.isServing) break;
      if (performance.now() > endMs) throw new Error("no lock authority in reach");
      await elapse(2);
    }
  }
}

/** The replica of a client is its own: it goes with it. */
function closeWith(locks: LockBackend, replica: Replica<typeof schema>): void {
  const dispose = locks[Symbol.asyncDispose].bind(locks);
  let isClosing = false;
  locks[Symbol.asyncDispose] = async () => {
    // The replica disposes of it, too.
    if (isClosing) return dispose();
    isClosing = true;
    await replica.close();
  };
}

async function openEmbeddedStore(): Promise<LockStore> {
  const directory = await mkdtemp(join(tmpdir(), "trellis-host-"));
  const host = async (port: number): Promise<Replica<typeof schema>> =>
    openReplica({
      schema,
      name: "host",
      storage: join(directory, "host"),
      listen: { port },
      locks: embeddedLocks({ host: true }),
    });
  let authority = await host(0);
  const port = authority.address?.port ?? 0;
  const guests: Replica<typeof schema>[] = [];
  return {
    connect: async (options = {}): Promise<LockBackend> => {
      const locks = embeddedLocks(options);
      const peers = [`ws://127.0.0.1:${port}`];
      const guest = await openReplica({ schema, name: "guest", peers, locks });
      guests.push(guest);
      closeWith(locks, guest);
      await inReach([guest]);
      return locks;
    },
    close: async () => {
      await Promise.all(guests.map((guest) => guest.close()));
      await authority.close();
      await rm(directory, { recursive: true });
    },
    faults: {
      restartStore: async () => {
        await authority.close();
        authority = await host(port);
        await inReach(guests);
      },
    },
  };
}

/** The subject. What a broken way does is tried on the authority itself: see durable-subject.ts. */
export const embeddedSubject: LockSubject = {
  name: "embedded",
  open: openEmbeddedStore,
  without: ["crash", "loseReplies", "hang", "delayReplies", "mend", "requests", "wipeStore"],
};
