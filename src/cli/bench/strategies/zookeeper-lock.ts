import type { Client as Session } from "node-zookeeper-client";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";
import { ask, makeNode, Place, readNode } from "../zookeeper-place.ts";

const sessionMs = 10_000;
const fillMax = 100;

/** The lock of ZooKeeper's own recipes, around a read and a write. */
export const strategy: Strategy = {
  name: "zookeeper-lock",
  title: "ZooKeeper: first in a line of ephemeral nodes, read, write if still first, remove",
  family: "lock",
  service: "zookeeper",
  durable: "ZooKeeper's log, synchronised at each write",
  volatile: "ZooKeeper's log, not synchronised",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  async open({ servers }) {
    const { createClient } = await import("node-zookeeper-client");
    const connect = (): Session => {
      const opened = createClient(servers.join(), { sessionTimeout: sessionMs, spinDelay: 100 });
      // It connects again by itself, but not for another session.
      opened.once("expired", () => {
        session = connect();
      });
      opened.connect();
      return opened;
    };
    let session = connect();

    const verbs = verbsOfSections(
      async (keys, work) => {
        const own = session;
        // In one order, so that nobody waits in a circle.
        const places = keys.toSorted().map((key) => new Place(own, lockOf(key)));
        try {
          const held: string[] = [];
          for (const place of places) held.push(await place.first());
          const found = await Promise.all(
            keys.map(async (key) => await readNode(own, valueOf(key))),
          );
          const { result, writes = [] } = work(found);
          const changes = own.transaction();
          // What is sent late must not be done when somebody else holds the lock.
          for (const path of held) changes.check(path);
          for (const [i, key] of keys.entries()) {
            const value = writes[i];
            if (value === undefined) continue;
            if (found[i] === undefined) changes.create(valueOf(key), Buffer.from(value));
            else changes.setData(valueOf(key), Buffer.from(value));
          }
          if (writes.length > 0) await ask((done) => changes.commit(done));
          return result;
        } finally {
          await Promise.all(places.map(async (place) => await place.leave()));
        }
      },
      async (key) => await readNode(session, valueOf(key)),
    );
    return {
      ...verbs,
      async fill(keys, units) {
        const fillOne = async (key: string): Promise<void> => {
          await makeNode(session, valueOf(key));
          await ask((done) => session.setData(valueOf(key), Buffer.from(String(units)), done));
        };
        for (let start = 0; start < keys.length; start += fillMax) {
          await Promise.all(keys.slice(start, start + fillMax).map(fillOne));
        }
      },
      count: async (keys) =>
        await Promise.all(
          keys.map(async (key) => Number((await readNode(session, valueOf(key))) ?? 0)),
        ),
      async close() {
        session.removeAllListeners("expired");
        await ask<void>((done) => {
          session.once("disconnected", () => done(undefined));
          session.close();
        }).catch(() => undefined);
      },
    };
  },
};

const lockOf = (key: string): string => `/lock-${encodeURIComponent(key)}`;
const valueOf = (key: string): string => `/value-${encodeURIComponent(key)}`;
