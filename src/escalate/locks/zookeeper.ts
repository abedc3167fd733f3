/**
 * Guards in ZooKeeper 3.5 or newer. Everything is decided by a `multi` that a majority of the ensemble agrees
 * to, tokens are its transaction ids, and a lease that has ended commits nothing.
 *
 * A lease lives under a session, which ZooKeeper ends as a whole; so this client has one for all locks of about
 * the same time to live, and removes by itself what was not renewed in time. What breaks it: a directory that is
 * set back or wiped (a wiped one is noticed), an ensemble with `forceSync=no` (ZooKeeper tells nobody), a record
 * or line that is removed by hand. A value with its operation ids must fit into `jute.maxbuffer` (1 MiB).
 */
import { type Environment, systemEnvironment } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import { AuthorityClient } from "../fence/authority-client.ts";
import type { LockBackend } from "../locks.ts";
import { ZookeeperAuthority } from "./zookeeper/authority.ts";
import type { ZookeeperClient } from "./zookeeper/connection.ts";
import { ZookeeperSessions } from "./zookeeper/sessions.ts";
import { ZookeeperStore } from "./zookeeper/store.ts";

export type {
  NodeStat,
  PartResult,
  ZookeeperClient,
  ZookeeperTransaction,
} from "./zookeeper/connection.ts";

/** How to open: with the hosts, or with a client that is ready. */
export interface ZookeeperLocksOptions {
  /** `host:port` of each server. */
  readonly hosts?: readonly string[];
  /**
   * A connected client of `node-zookeeper-client`, with its default of no `retries`; it is not closed. All locks live under its session, so a
   * crash frees them after its timeout, and no lock may live longer than that.
   */
  readonly client?: ZookeeperClient;
  /** Before every node. Default `trellis/`. */
  readonly prefix?: string;
  /** How long one answer may take, in ms. Default 2,000. */
  readonly answerMs?: number;
  /** Clocks, timers and randomness, for tests. */
  readonly environment?: Environment;
}

/** What is left for values of a request of 1 MiB (`jute.maxbuffer`): a larger one would end the session. */
const valuesBytesMax = 1_000_000;
/** Of an ensemble that goes on without one of them. */
const faultTolerantMin = 3;

/** A lock backend in ZooKeeper. It connects on first use. @throws UsageError unless hosts or a client are named. */
export function zookeeperLocks(options: ZookeeperLocksOptions): LockBackend {
  const { hosts = [], client, prefix = "trellis/", answerMs = 2_000 } = options;
  const { environment = systemEnvironment } = options;
  if (hosts.length > 0 === (client !== undefined)) {
    throw new UsageError("zookeeperLocks needs either `hosts` or a `client`");
  }
  const sessions = new ZookeeperSessions({ hosts, client, environment, answerMs });
  const store = new ZookeeperStore(sessions, environment, prefix);
  const authority = new ZookeeperAuthority(environment, sessions, store);
  return new AuthorityClient({
    name: "zookeeper",
    guarantees: {
      ...{ fencing: "durable", atomicCommits: true },
      faultTolerant: hosts.length >= faultTolerantMin,
      commitMax: { bytes: valuesBytesMax },
    },
    // The prefix is in the paths of nodes.
    ...{ authority, environment, prefix: "", answerMs },
    disconnect: () => authority.close(),
  });
}
