/**
 * Guards on several Redis masters that know nothing of each other, of which a majority is enough. It goes
 * on while a minority is away.
 *
 * What can it promise? With masters that never forget, all that the others do; `redlock/register.ts` says
 * why. But masters forget: without `appendfsync always` the last second is gone with the power, and a
 * master that was wiped or replaced by its replica has lost what it promised to others. Then a token may be
 * granted twice, and a stale write be accepted. So its fences are `advisory`, unless every master is
 * configured to be durable and you say so, and even then no replica must ever be promoted. A lease keeps
 * others out as long as the clocks of a majority go evenly. Commits over several resources are not one
 * step: when their holder is overtaken or dies in the midst, one may stay without the other. If you can
 * choose, take etcd, ZooKeeper or a database: they agree for a living.
 */
import type { Redis } from "ioredis";
import { type Environment, systemEnvironment } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import { AuthorityClient } from "../fence/authority-client.ts";
import type { LockBackend } from "../locks.ts";
import { RedisKeys } from "./redis/keys.ts";
import { RedlockAuthority } from "./redlock/authority.ts";
import { RedlockMasters } from "./redlock/masters.ts";
import { RedisMaster } from "./redlock/redis-master.ts";
import { RedlockRegister } from "./redlock/register.ts";

/** How to open. */
export interface RedlockLocksOptions {
  /** One a master, three or five; always all of them, in the same order for every client. This or `clients`. */
  readonly urls?: readonly string[];
  /** Their settings are taken for connections that are made here; they are not used and not closed. */
  readonly clients?: readonly Redis[];
  /** Before every key. Default `trellis/`. */
  readonly prefix?: string;
  /**
   * `durable`: every master is configured to keep what it acknowledged, as is checked on each connection;
   * one that is not gets no vote. Default `advisory`.
   */
  readonly fencing?: "durable" | "advisory";
  /** Advisory fences may guard invariants too: you accept that tokens may go back and a stale write be taken. */
  readonly acceptAdvisory?: boolean;
  /** How long one answer may take, in ms. Default 2,000. */
  readonly answerMs?: number;
  /** Clocks, timers and randomness, for tests. */
  readonly environment?: Environment;
}

/** Of a deadline: what is silent for so long is given up, in time for another try. */
const patientPart = 0.75;
const nameBytes = 16;
const mastersMin = 3;

/**
 * A lock backend on an odd number of Redis masters, three at least. It connects on first use, which needs
 * all of them once, to give the store its birth.
 * @throws UsageError for fewer or an even number, and for urls and clients both or neither; InvalidValueError
 * for a prefix with stray braces.
 */
export function redlockLocks(options: RedlockLocksOptions): LockBackend {
  const { prefix = "trellis/", fencing = "advisory", answerMs = 2_000 } = options;
  const { urls, clients, acceptAdvisory = false, environment = systemEnvironment } = options;
  if ((urls === undefined) === (clients === undefined)) {
    throw new UsageError("redlockLocks needs urls or clients, and not both");
  }
  const addresses = [
    ...(urls ?? []).map((url) => ({ url })),
    ...(clients ?? []).map((client) => ({ client })),
  ];
  if (addresses.length < mastersMin || addresses.length % 2 === 0) {
    throw new UsageError(`redlockLocks needs 3 or 5 masters, not ${addresses.length}`);
  }
  const patienceMs = answerMs * patientPart;
  const keys = new RedisKeys(prefix);
  const channel = keys.channel(Buffer.from(environment.randomBytes(nameBytes)).toString("hex"));
  const isDurable = fencing === "durable";
  const members = addresses.map((address) => {
    return new RedisMaster({ ...address, environment, silentMs: patienceMs, channel, isDurable });
  });
  const masters = new RedlockMasters(members, keys, environment);
  const register = new RedlockRegister(masters, environment);
  return new AuthorityClient({
    name: "redlock",
    guarantees: {
      ...{ fencing, faultTolerant: true, atomicCommits: false },
      ...(acceptAdvisory ? { isAdvisoryAccepted: true } : {}),
    },
    authority: new RedlockAuthority({ masters, register, environment, channel, patienceMs }),
    ...{ environment, answerMs, prefix: "" },
    disconnect: () => masters.close(),
  });
}
