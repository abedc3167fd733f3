import { type FileHandle, mkdir, open, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { OwnerLinks } from "../owner-link.ts";
import type { Strategy, Verbs } from "../strategy.ts";

type Value = string | number;

/** Each key has one owner, in whose single thread operations follow one another. */
export const strategy: Strategy = {
  name: "owner-routing",
  title: "each key has one owner among the nodes, which is asked and decides in memory",
  family: "baseline",
  durable: "the owner's log, synchronised for each group",
  volatile: "the owner's memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  async open({ node, nodes, directory }) {
    const log = directory === undefined ? undefined : await OwnerLog.open(directory);
    const values = new Map<string, Value>(log?.before);
    const links = await OwnerLinks.open({ node, nodes, answer: decide });

    const unitsOf = (key: string): number => Number(values.get(key) ?? 0);
    function write(key: string, value: Value): void {
      values.set(key, value);
      log?.append(key, value);
    }
    /** Of keys that are this node's own, but for where units are moved to. */
    const own: Verbs = {
      add: (key, amount) => write(key, unitsOf(key) + amount),
      take(key, units) {
        const left = unitsOf(key) - units;
        if (left >= 0) write(key, left);
        return left >= 0;
      },
      redeem(coupon, customer) {
        const isUsed = values.has(coupon);
        if (!isUsed) write(coupon, customer);
        return !isUsed;
      },
      claim(name, owner) {
        if (!values.has(name)) write(name, owner);
        return values.get(name) === owner;
      },
      get: (key) => values.get(key)?.toString(),
      set: write,
      async move(from, to, units) {
        if (!(await routed("take")(from, units))) return false;
        await routed("add")(to, units);
        return true;
      },
    };

    /** An answer tells of what lies on the key, so that must be on the disk before. */
    function decide(verb: string, args: readonly unknown[]): unknown {
      const key = String(args[0]);
      const result = call(own[verb as keyof Verbs], args);
      const stored = log?.stored(key);
      return stored === undefined ? result : stored.then(() => result);
    }

    function routed<V extends keyof Verbs>(verb: V): Verbs[V] {
      const route = (key: string, ...rest: readonly unknown[]): unknown => {
        const owner = hash(key) % nodes;
        const args = [key, ...rest];
        return owner === node ? decide(verb, args) : links.ask(owner, verb, args);
      };
      return route as Verbs[V];
    }

    const get = routed("get");
    const set = routed("set");
    return {
      url: links.url,
      join: async (urls) => await links.join(urls),
      add: routed("add"),
      take: routed("take"),
      redeem: routed("redeem"),
      claim: routed("claim"),
      get,
      set,
      move: routed("move"),
      async fill(keys, units) {
        await Promise.all(keys.map(async (key) => await set(key, String(units))));
      },
      count: async (keys) =>
        await Promise.all(keys.map(async (key) => Number((await get(key)) ?? 0))),
      async close() {
        await links[Symbol.asyncDispose]();
        await log?.[Symbol.asyncDispose]();
      },
    };
  },
};

// A verb's arguments are those that the same verb was called with on the node that asks.
const call = (verb: unknown, args: readonly unknown[]): unknown =>
  (verb as (...args: readonly unknown[]) => unknown)(...args);

/** FNV-1a. */
function hash(key: string): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) sum = Math.imul(sum ^ key.charCodeAt(i), 0x01000193);
  return sum >>> 0;
}

/** What is written to the disk together. */
interface Group {
  readonly values: Map<string, Value>;
  readonly stored: Promise<void>;
}

/** Lines of what was written. While one group is synchronised, the next one gathers. */
class OwnerLog implements AsyncDisposable {
  /** What the log held when it was opened. */
  readonly before: ReadonlyMap<string, Value>;
  readonly #file: FileHandle;
  #storing: Group | undefined;
  #gathering: Group | undefined;

  private constructor(file: FileHandle, before: ReadonlyMap<string, Value>) {
    this.#file = file;
    this.before = before;
  }

  static async open(directory: string): Promise<OwnerLog> {
    await mkdir(directory, { recursive: true });
    const path = join(directory, "owner.log");
    const file = await open(path, "a");
    const text = await readFile(path, "utf8");
    // A line that was not finished was not acknowledged.
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    await truncate(path, Buffer.byteLength(whole));
    const lines = whole.split("\n").slice(0, -1);
    return new OwnerLog(file, new Map(lines.map((line) => JSON.parse(line) as [string, Value])));
  }

  append(key: string, value: Value): void {
    this.#gathering ??= { values: new Map(), stored: this.#store() };
    this.#gathering.values.set(key, value);
  }

  /** Resolves when what was written to the key is on the disk; undefined: it is. */
  stored(key: string): Promise<void> | undefined {
    return [this.#gathering, this.#storing].find((group) => group?.values.has(key))?.stored;
  }

  async #store(): Promise<void> {
    await this.#storing?.stored;
    const group = this.#gathering;
    if (group === undefined) return;
    this.#gathering = undefined;
    this.#storing = group;
    const lines = [...group.values].map((entry) => `${JSON.stringify(entry)}\n`);
    await this.#file.appendFile(lines.join(""));
    await this.#file.datasync();
    this.#storing = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gathering?.stored.catch(() => undefined);
    await this.#storing?.stored.catch(() => undefined);
    await this.#file.close();
  }
}
