/** What a Redis is really set to, which decides what may be promised on top of it. */
import type { Redis } from "ioredis";
import { LockUnavailableError } from "../../../errors.ts";
import type { Script } from "./scripts.ts";

/** A server is set to less than was promised. Nothing was done. */
export class RedisSettingsError extends LockUnavailableError {}

/** What has to be there for an acknowledged write to be on the disk. */
const durable = {
  appendonly: "yes",
  appendfsync: "always",
  "no-appendfsync-on-rewrite": "no",
} as const;

/** @throws LockUnavailableError that names the setting that is less than was promised. */
export async function checkRedisSettings(client: Redis, isDurable: boolean): Promise<void> {
  const memory = await client.info("memory");
  const policy = /^maxmemory_policy:(\S+)/mu.exec(memory)?.[1] ?? "unknown";
  check("maxmemory-policy", policy, "noeviction");
  if (!isDurable) return;
  const names = Object.entries(durable);
  const values = await Promise.all(
    names.map(async ([name]) => {
      try {
        const found: unknown = await client.call("CONFIG", ["GET", name]);
        return Array.isArray(found) ? String(found[1]) : "unknown";
      } catch (error) {
        throw new RedisSettingsError(
          `Redis does not show ${name} to this user, so it may be less than durable; ` +
            "allow CONFIG GET, or promise less with `fencing`",
          { cause: error },
        );
      }
    }),
  );
  for (const [i, [name, needed]] of names.entries()) check(name, values[i] ?? "unknown", needed);
}

/** So that a script is sent once, and named by its hash from then on. */
export async function loadRedisScripts(
  client: Redis,
  scripts: Readonly<Record<string, Script>>,
): Promise<void> {
  await Promise.all(Object.values(scripts).map(({ source }) => client.script("LOAD", source)));
}

function check(setting: string, found: string, needed: string): void {
  if (found === needed) return;
  throw new RedisSettingsError(
    `Redis is set to ${setting} ${found}, which is less than promised: set ${needed}` +
      (setting in durable ? ", or promise less with `fencing`" : ""),
  );
}
