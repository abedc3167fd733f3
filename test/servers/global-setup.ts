/** Keeps the shared servers of a run, and tells suites, which run in processes of their own, where they are. */
import { createServer, type Server } from "node:http";
import type { TestProject } from "vitest/node";
import { isServiceName, SharedServers } from "../../src/cli/servers/shared.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Where to ask for servers. */
    readonly servers: string;
  }
}

/** Called by vitest before the first suite; what it returns, after the last. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = new SharedServers();
  const desk = answerFor(shared);
  await new Promise<void>((resolve) => desk.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const address = desk.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  project.provide("servers", `http://127.0.0.1:${address.port}/`);
  return async () => {
    desk.closeAllConnections();
    desk.close();
    await shared[Symbol.asyncDispose]();
  };
}

function answerFor(shared: SharedServers): Server {
  return createServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    const addresses = isServiceName(name)
      ? shared.addresses(name)
      : Promise.reject(new Error(`there is no server named ${name}`));
    addresses.then(
      (list) => response.end(list.join()),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
}
