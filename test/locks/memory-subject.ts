/** `memoryLocks` as a subject of the suite, with every fault that a table in memory can have. */
import { systemEnvironment } from "../../src/environment.ts";
import { GuardTable } from "../../src/escalate/fence/guard-table.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import type { LockStore, LockSubject } from "./faults.ts";
import { type Fault, UnreliableAuthority } from "./unreliable-authority.ts";

const answerMs = 150;

/** A store of clients that can be broken. */
export async function openMemoryStore(): Promise<LockStore> {
  const table = new GuardTable(systemEnvironment);
  const ways = new Map<LockBackend, UnreliableAuthority>();
  const wayOf = (client: LockBackend): UnreliableAuthority => {
    const way = ways.get(client);
    if (!way) throw new Error("not a client of this store");
    return way;
  };
  const breakWith = (fault: Fault) => async (client: LockBackend) => {
    wayOf(client).fault = fault;
  };
  return {
    connect: async (options = {}) => {
      // Prefixes are in the names of resources.
      const authority = new UnreliableAuthority(table);
      const client = memoryLocks({ ...options, store: { authority }, answerMs });
      ways.set(client, authority);
      return client;
    },
    close: async () => undefined,
    faults: {
      crash: breakWith("crash"),
      loseReplies: breakWith("lose-replies"),
      hang: breakWith("hang"),
      delayReplies: async (client, delayMs) => {
        wayOf(client).delayMs = delayMs;
      },
      mend: async (client) => {
        wayOf(client).fault = "none";
        wayOf(client).delayMs = 0;
      },
      requests: (client) => wayOf(client).requests,
      wipeStore: async () => table.wipe(),
    },
  };
}

/** The subject. */
export const memorySubject: LockSubject = {
  name: "memory",
  open: openMemoryStore,
  ttlMs: 250,
  without: ["restartStore"],
};
