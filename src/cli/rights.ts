/**
 * The command `trellis rights`: who holds rights to a bounded counter, as the pool in the lock store has it,
 * and making free what a holder that is gone has left.
 */
import { openReplica } from "../index.ts";
import { systemEnvironment } from "../environment.ts";
import { UsageError } from "../errors.ts";
import {
  type ListedPool,
  readPool,
  reclaim,
  riskOfReclaiming,
} from "../escalate/escrow/reclaim.ts";
import { GuardedUpdates } from "../escalate/guarded-updates.ts";
import type { LockBackend } from "../escalate/locks.ts";
import { embeddedLocks } from "../escalate/locks/embedded.ts";
import { ResilientLocks } from "../escalate/resilience.ts";
import { type DialOptions, dialTarget } from "./dialing.ts";
import { locksOfUrl } from "./locks-url.ts";
import { until } from "./servers/until.ts";
import { shown, table } from "./table.ts";

/** Where the pool is: a lock store, or a replica of the cluster whose authority has it. */
export interface PoolPlace extends DialOptions {
  readonly locks?: string;
  readonly join?: readonly string[];
  /** Seconds. */
  readonly timeout: number;
}

/** Flags of `trellis rights show`. */
export interface RightsCommandOptions extends PoolPlace {
  readonly json?: true;
}

/** Flags of `trellis rights reclaim`. */
export interface ReclaimCommandOptions extends PoolPlace {
  readonly yes?: true;
}

/** Prints one pool. @throws UsageError, LockUnavailableError */
export async function rightsCommand(
  collection: string,
  key: string,
  options: RightsCommandOptions,
): Promise<void> {
  await using place = await openPools(options);
  const pool = await readPool(place.updates, { collection, key });
  if (options.json) return say(JSON.stringify(pool ?? null, null, 2));
  say(pool ? described(pool) : `nobody has used ${collection} ${key} over these locks`);
}

/** Makes free what one holder has left, once the risk was accepted. @throws UsageError, LockUnavailableError */
export async function reclaimCommand(
  collection: string,
  key: string,
  holder: string,
  options: ReclaimCommandOptions,
): Promise<void> {
  await using place = await openPools(options);
  const named = { collection, key };
  const pool = await readPool(place.updates, named);
  const found = pool?.holders.find(({ id }) => id === holder);
  if (!found) {
    throw new UsageError(`${collection} ${key} has no holder ${holder}; trellis rights lists them`);
  }
  if (options.yes !== true) {
    throw new UsageError(
      `nothing was changed. ${found.name} (${holder}) has ${shown(found.rights)} rights left as last ` +
        `reported, and wrote last at ${new Date(found.lastContactMs).toISOString()}. ${riskOfReclaiming} ` +
        "To go on, say --yes",
    );
  }
  const { rights, upRights } = await reclaim(place.updates, named, holder);
  const up = upRights > 0 ? ` and ${shown(upRights)} to increment` : "";
  say(`${shown(rights)} rights${up} of ${found.name} (${holder}) are free again`);
}

function described({ free, upFree, holders }: ListedPool): string {
  const hasMax = upFree > 0 || holders.some(({ upRights }) => upRights > 0);
  const stranded = holders
    .filter(({ state }) => state === "stranded")
    .reduce((sum, { rights }) => sum + rights, 0);
  const head = ["holder", "name", "state", "rights", ...(hasMax ? ["to increment"] : [])];
  const rows = holders.map(({ id, name, state, rights, upRights, lastContactMs }) => [
    ...[id, name, state, rights],
    ...(hasMax ? [upRights] : []),
    new Date(lastContactMs).toISOString(),
  ]);
  const lines = [
    `free: ${shown(free)}${hasMax ? `, to increment: ${shown(upFree)}` : ""}; stranded: ${shown(stranded)}`,
    table([...head, "last contact"], rows),
  ];
  if (stranded > 0)
    lines.push("trellis rights reclaim makes stranded rights free; it says the risk first");
  return lines.join("\n");
}

/** Access to pools, without a replica of the cluster. */
export interface OpenedPools extends AsyncDisposable {
  readonly updates: GuardedUpdates;
}

/** Opens it. @throws UsageError, LockUnavailableError */
export async function openPools(options: PoolPlace): Promise<OpenedPools> {
  const { locks, join = [], timeout } = options;
  if ((locks === undefined) === (join.length === 0)) {
    throw new UsageError(
      "say where the pool is: --locks URL of the lock store, or --join URL of a replica",
    );
  }
  if (locks !== undefined) return over(await locksOfUrl(locks), async () => undefined);
  const embedded = embeddedLocks();
  const peers = join.map((url) => dialTarget(url, options));
  const replica = await openReplica({ schema: {}, name: "trellis rights", peers, locks: embedded });
  try {
    await until("a lock authority is in reach", timeout * 1_000, () => {
      const status = replica.status().locks;
      return status.kind === "embedded" && status.isServing;
    });
  } catch (error) {
    await replica.close();
    throw error;
  }
  return over(embedded, () => replica.close());
}

function over(backend: LockBackend, close: () => Promise<void>): OpenedPools {
  const resilient = new ResilientLocks(backend, systemEnvironment);
  const updates = new GuardedUpdates(resilient, systemEnvironment);
  return {
    updates,
    [Symbol.asyncDispose]: async () => {
      await updates.close();
      await resilient[Symbol.asyncDispose]();
      await close();
    },
  };
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
