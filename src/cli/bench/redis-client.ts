/** A client of Redis as a careful user opens it. */
import type { Redis } from "ioredis";

const commandMs = 2_000;

/**
 * Opens one. By default a command whose answer was lost is sent again: it counts twice, or writes when the lock is
 * long gone. Here it fails.
 */
export async function openRedis(url: string): Promise<Redis> {
  const { Redis: Client } = await import("ioredis");
  const redis = new Client(url, {
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandMs,
  });
  redis.on("error", () => undefined);
  return redis;
}
