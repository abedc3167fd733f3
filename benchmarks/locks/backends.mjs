/**
 * Which backends take part. Each file has the same shape: how its servers start, how our locks connect
 * to them, and how the bare client of the same library does the equivalent durable work.
 */
import { built } from "./build.mjs";

/**
 * @typedef {object} BackendPlan
 * @property {string} name for `--only`, and in the tables
 * @property {string} [kind] of the servers, as `src/cli/servers` calls them; none for what needs none
 * @property {() => Promise<Servers>} start
 * @property {(addresses: readonly string[], options: { prefix: string }) => Promise<object>} connect
 *   our locks
 * @property {(addresses: readonly string[]) => Promise<Bare>} [bare] the floor, where there is a way to raw servers
 * @property {(addresses: readonly string[]) => Promise<string>} describe version and durability
 * @property {{ cycle: number, compareAndSet: number, handOver: number }} tripsMax
 * @property {boolean} [operates] it adds by itself
 * @property {number} [combinedMin] guarded updates a second
 * @property {Record<string, string>} [why] what a question's cost is made of, by the question's name; `time`: of all that are timed
 *
 * @typedef {{ addresses: readonly string[], stop: () => Promise<void> }} Servers
 * @typedef {object} Bare
 * @property {string} does what the three steps are, for the table
 * @property {() => Promise<void>} cycle
 * @property {() => Promise<void>} set
 * @property {() => Promise<void>} close
 */

const names = [
  "memory",
  "embedded",
  "redis",
  "redlock",
  "etcd",
  "etcd-3",
  "zookeeper",
  "postgres",
  "mysql",
];

/** All of them, in the order of the tables. @returns {Promise<BackendPlan[]>} */
export const backends = () =>
  Promise.all(names.map(async (name) => (await import(`./backends/${name}.mjs`)).backend));

/** Why its servers cannot be started here, or nothing. */
export async function missing({ kind }) {
  if (!kind) return undefined;
  const { isInstalled } = await built("src/cli/servers/installed");
  return isInstalled(kind) ? undefined : `${kind} is not installed: scripts/servers.sh installs it`;
}

/** One server that runs, or several. */
export function serversOf(started) {
  const nodes = started.nodes ?? [started];
  return { addresses: nodes.map(({ url }) => url), stop: () => started.stop() };
}

/** What a guard holds in all rows: no more than a balance. */
export const value = Buffer.from("1".padStart(64, "0"));

/** So large that no lease of a row ends by itself. */
export const ttlMs = 30_000;
export const waitMs = 30_000;

let ids = 0;

/** An operation id that was not used before. */
export const operationId = () => `bench-${process.pid}-${++ids}`;

/** As long as our own. */
export const nonce = () => (++ids).toString(16).padStart(32, "0");
