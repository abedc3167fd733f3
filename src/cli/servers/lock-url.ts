/** A server for a demonstration, and the URL by which commands name it as a lock backend. */
import type { Server } from "./server.ts";
import { type ServiceName, serviceNames, SharedServers } from "./shared.ts";

/** What can be started. */
export const lockServers: readonly ServiceName[] = serviceNames;

/** A started server. */
export interface StartedLocks extends AsyncDisposable {
  readonly url: string;
  /** Of which it consists. */
  readonly nodes: readonly Server[];
}

/** Starts a private server, which dies with this process. @throws Error saying what is not installed */
export async function startLocks(name: ServiceName): Promise<StartedLocks> {
  const servers = new SharedServers();
  try {
    const addresses = await servers.addresses(name);
    return {
      url: urlOf(name, addresses),
      nodes: await servers.nodes(name),
      [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
    };
  } catch (error) {
    await servers[Symbol.asyncDispose]();
    throw error;
  }
}

function urlOf(name: ServiceName, addresses: readonly string[]): string {
  const hosts = addresses.map((address) => address.replace(/^.*:\/\//u, "")).join(",");
  switch (name) {
    case "redlock":
      return `redlock://${hosts}?acceptAdvisory`;
    case "etcd":
    case "zookeeper":
      return `${name}://${hosts}`;
    case "redis":
    case "postgres":
    case "mysql":
      return addresses[0] ?? "";
  }
}
