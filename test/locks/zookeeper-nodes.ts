/** Looks at and removes what is stored in ZooKeeper, past the backend. */
import { type Client, createClient } from "node-zookeeper-client";

const childrenOf = (client: Client, path: string): Promise<string[]> =>
  new Promise((resolve) => {
    client.getChildren(path, (error, names) => resolve(error ? [] : names));
  });

async function withClient<T>(
  hosts: readonly string[],
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = createClient(hosts.join(","), { sessionTimeout: 4_000, spinDelay: 100 });
  await new Promise<void>((resolve) => {
    client.once("connected", resolve);
    client.connect();
  });
  try {
    return await work(client);
  } finally {
    await new Promise<void>((resolve) => {
      client.once("disconnected", resolve);
      client.close();
    });
  }
}

async function listBelow(client: Client, path: string): Promise<string[]> {
  const below = (await childrenOf(client, path)).map((name) => `${path}/${name}`);
  const lists = await Promise.all(below.map((each) => listBelow(client, each)));
  return [path, ...lists.flat()];
}

/** The paths of a node and of all below it. */
export const nodesOf = (hosts: readonly string[], path: string): Promise<string[]> =>
  withClient(hosts, (client) => listBelow(client, path));

/** Removes a node and all below it. */
export const erase = (hosts: readonly string[], path: string): Promise<void> =>
  withClient(hosts, async (client) => {
    const paths = (await listBelow(client, path)).toReversed();
    for (const each of paths) {
      await new Promise<void>((resolve) => {
        client.remove(each, -1, () => resolve());
      });
    }
  });
