/** Where a suite finds the servers that it shares with others; it keeps to a prefix of its own there. */
import { inject } from "vitest";
import { isSkipped } from "../../src/cli/servers/installed.ts";
import { type ServiceName, services } from "../../src/cli/servers/shared.ts";

/**
 * As the backend of that name takes them: URLs, or hosts with ports for etcd and ZooKeeper. From the
 * environment where it names them, otherwise started on the first call of a run.
 *
 * A suite that kills or pauses starts its own instead.
 */
export async function service(name: ServiceName): Promise<readonly string[]> {
  const named = process.env[services[name].variable];
  if (named) return named.split(",");
  const response = await fetch(new URL(name, inject("servers")));
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text.split(",");
}

/** True where suites of this service are to be skipped: it is neither named nor installed, and this is not CI. */
export function isServiceSkipped(name: ServiceName): boolean {
  return !process.env[services[name].variable] && isSkipped(services[name].kind);
}
