/** Looks at and removes what is stored in etcd, past the backend. */

const ask = async (hosts: readonly string[], path: string, body: object): Promise<unknown> => {
  const response = await fetch(`http://${hosts[0]}/v3/kv/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return await response.json();
};

const below = (prefix: string): object => {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return { key: Buffer.from(prefix).toString("base64"), range_end: end.toString("base64") };
};

/** Removes all that begins with the prefix. */
export async function erase(hosts: readonly string[], prefix: string): Promise<void> {
  await ask(hosts, "deleterange", below(prefix));
}

/** The names of all keys that begin with the prefix. */
export async function keysOf(hosts: readonly string[], prefix: string): Promise<string[]> {
  const { kvs = [] } = (await ask(hosts, "range", { ...below(prefix), keys_only: true })) as {
    kvs?: { key: string }[];
  };
  return kvs.map(({ key }) => Buffer.from(key, "base64").toString());
}
