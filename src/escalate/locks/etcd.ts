/**
 * Guards in etcd 3.4 or newer, over its JSON gateway. It is the backend to name when one machine less must
 * not stop escalations: everything is decided by a transaction on a majority of the cluster, tokens are its
 * revisions, and a lease that has ended commits nothing.
 *
 * What breaks it: a snapshot that is restored sets revisions back (noticed by clients that ran before), a
 * member that runs with `--unsafe-no-fsync` (etcd tells nobody), and a cluster whose history is never
 * compacted fills up. A value must fit into `--max-request-bytes` (1.5 MiB unless set), and one commit may be
 * over 42 resources.
 */
import { type Environment, systemEnvironment } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import { AuthorityClient } from "../fence/authority-client.ts";
import type { LockBackend } from "../locks.ts";
import { EtcdAuthority } from "./etcd/authority.ts";
import { type EtcdClient, Gateway } from "./etcd/gateway.ts";
import { EtcdStore } from "./etcd/store.ts";

export type { EtcdClient } from "./etcd/gateway.ts";

/** How to open: with the hosts, or with a client that is ready. */
export interface EtcdLocksOptions {
  /** `host:port`, or URLs. With three or more it must be a cluster of as many. */
  readonly hosts?: readonly string[];
  /** A `Pool` or `BalancedPool` of undici, with whatever TLS and headers it takes; it is not closed. */
  readonly client?: EtcdClient;
  /** Before every key. Default `trellis/`. */
  readonly prefix?: string;
  /** How long one answer may take, in ms. Default 2,000. */
  readonly answerMs?: number;
  /** Clocks, timers and randomness, for tests. */
  readonly environment?: Environment;
}

/** Three operations each, of the 128 that a transaction may have (`--max-txn-ops`). */
const resourcesMax = 42;
/** What is left for values of a request of 1.5 MiB (`--max-request-bytes`), with names and ids. */
const valuesBytesMax = 1_400_000;
/** Of a cluster that goes on without one of them. */
const faultTolerantMin = 3;

/** A lock backend in etcd. It connects on first use. @throws UsageError unless hosts or a client are named. */
export function etcdLocks(options: EtcdLocksOptions): LockBackend {
  const { hosts = [], client, prefix = "trellis/", answerMs = 2_000 } = options;
  const { environment = systemEnvironment } = options;
  if (hosts.length > 0 === (client !== undefined)) {
    throw new UsageError("etcdLocks needs either `hosts` or a `client`");
  }
  const gateway = new Gateway({ hosts, client, environment, answerMs });
  const membersMin = hosts.length >= faultTolerantMin ? hosts.length : 1;
  const store = new EtcdStore({ gateway, environment, prefix, membersMin });
  const authority = new EtcdAuthority(gateway, environment, store);
  return new AuthorityClient({
    name: "etcd",
    guarantees: {
      ...{ fencing: "durable", faultTolerant: membersMin > 1, atomicCommits: true },
      commitMax: { resources: resourcesMax, bytes: valuesBytesMax },
    },
    // The prefix is in the names of keys.
    ...{ authority, environment, prefix: "", answerMs },
    disconnect: async () => {
      await authority.close();
      await gateway.close();
    },
  });
}
