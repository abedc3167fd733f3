/**
 * The JSON gateway of etcd, which the strategies on etcd share: bytes are in base64 there, 64-bit integers are digits
 * in strings, and what is zero is left out.
 */
import type { Client } from "./strategy.ts";

/** Also how long a lock is waited for. */
const answerMs = 5_000;
/** Of one transaction; etcd takes 128. */
const stepsMax = 100;

/** What lies on a key. */
export interface Found {
  readonly value: string | undefined;
  /** Of the whole store, when it was last written; "0" where nothing lies. */
  readonly revision: string;
}

/** Part of a transaction, as JSON. */
export type Part = Readonly<Record<string, unknown>>;

interface Answered {
  readonly succeeded?: boolean;
  readonly responses?: readonly {
    readonly response_range?: {
      readonly kvs?: readonly { readonly value?: string; readonly mod_revision: string }[];
    };
  }[];
}

/** As bytes are sent. */
export const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Writes a key. */
export const put = (key: string, value: string): Part => ({
  request_put: { key: base64(key), value: base64(value) },
});

/** Reads a key. */
export const range = (key: string): Part => ({ request_range: { key: base64(key) } });

/** One member of a cluster. */
export interface Etcd extends Required<Pick<Client, "fill" | "count" | "close">> {
  /** Asks anything. @throws Error, after 5 s at the latest: it may have been done */
  readonly ask: <T>(path: string, body: Part) => Promise<T>;
  /** What lies on some keys at one moment. */
  readonly read: (keys: readonly string[]) => Promise<readonly Found[]>;
  /** If all comparisons hold, does this, otherwise that; tells what was read, too. */
  readonly transact: (
    compare: readonly Part[],
    success: readonly Part[],
    failure?: readonly Part[],
  ) => Promise<{ readonly succeeded: boolean; readonly found: readonly Found[] }>;
}

/** Opens connections to one of the members; nodes spread over them. */
export async function openEtcd(hosts: readonly string[], node: number): Promise<Etcd> {
  const { Pool } = await import("undici");
  // As many connections as there are questions: who waits for a lock must not keep away who gives it back.
  const pool = new Pool(`http://${hosts[node % hosts.length]}`);

  const ask: Etcd["ask"] = async <T>(path: string, body: Part) => {
    const { statusCode, body: answer } = await pool.request({
      ...{ path, method: "POST", body: JSON.stringify(body) },
      ...{ headers: { "content-type": "application/json" }, signal: AbortSignal.timeout(answerMs) },
    });
    const text = await answer.text();
    if (statusCode !== 200) throw new Error(`etcd answered ${statusCode}: ${text.trim()}`);
    return JSON.parse(text) as T;
  };

  const transact: Etcd["transact"] = async (compare, success, failure = []) => {
    const { succeeded = false, responses = [] } = await ask<Answered>("/v3/kv/txn", {
      ...{ compare, success, failure },
    });
    const found = responses.map(({ response_range: read }) => {
      const { value = "", mod_revision: revision = "0" } = read?.kvs?.[0] ?? {};
      const text = Buffer.from(value, "base64").toString();
      return { value: revision === "0" ? undefined : text, revision };
    });
    return { succeeded, found };
  };
  const read: Etcd["read"] = async (keys) => (await transact([], keys.map(range))).found;

  return {
    ...{ ask, transact, read },
    async fill(keys, units) {
      for (const some of inParts(keys)) {
        await transact(
          [],
          some.map((key) => put(key, String(units))),
        );
      }
    },
    async count(keys) {
      const parts = await Promise.all(inParts(keys).map(read));
      return parts.flat().map(({ value = 0 }) => Number(value));
    },
    close: async () => await pool.destroy(),
  };
}

function inParts(keys: readonly string[]): readonly (readonly string[])[] {
  return Array.from({ length: Math.ceil(keys.length / stepsMax) }, (_, part) =>
    keys.slice(part * stepsMax, (part + 1) * stepsMax),
  );
}
