/** As much of a Redis in memory as the scripts of Redlock use. Text is latin1: a character is a byte. */

/** What a script answers, as ioredis has it. */
export type Reply = Buffer | number | null | readonly Reply[];

/** A value as it goes out. */
export const bulk = (text: string | undefined): Buffer | null =>
  text === undefined ? null : Buffer.from(text, "latin1");

/** An argument as it comes in. */
export const latin = (argument: string | Uint8Array): string =>
  Buffer.from(argument as Uint8Array).toString("latin1");

/** Everything in a Redis, to be compared or put back. */
export interface Image {
  readonly strings: Record<string, string>;
  readonly hashes: Record<string, Record<string, string>>;
  readonly lines: Record<string, Record<string, number>>;
  readonly expiries: Record<string, number>;
}

/** Keys of three kinds, each with or without an end. */
export class RedisTwin {
  readonly #nowMs: () => number;
  #strings = new Map<string, string>();
  #hashes = new Map<string, Map<string, string>>();
  #lines = new Map<string, Map<string, number>>();
  #expiries = new Map<string, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get(key: string): string | undefined {
    return this.#live(key) ? this.#strings.get(key) : undefined;
  }

  set(key: string, value: string): void {
    this.#strings.set(key, value);
    this.#expiries.delete(key);
  }

  incr(key: string): void {
    this.#strings.set(key, `${BigInt(this.get(key) ?? "0") + 1n}`);
  }

  hget(key: string, field: string): string | undefined {
    return this.#live(key) ? this.#hashes.get(key)?.get(field) : undefined;
  }

  hgetall(key: string): ReadonlyMap<string, string> | undefined {
    return this.#live(key) ? this.#hashes.get(key) : undefined;
  }

  hset(key: string, fields: Readonly<Record<string, string>>): void {
    this.#live(key);
    const hash = this.#hashes.get(key) ?? new Map<string, string>();
    for (const [field, value] of Object.entries(fields)) hash.set(field, value);
    this.#hashes.set(key, hash);
  }

  hdel(key: string, field: string): void {
    const hash = this.#live(key) ? this.#hashes.get(key) : undefined;
    hash?.delete(field);
    if (hash?.size === 0) this.del(key);
  }

  zscore(key: string, member: string): number | undefined {
    return this.#live(key) ? this.#lines.get(key)?.get(member) : undefined;
  }

  zadd(key: string, score: number, member: string): void {
    this.#live(key);
    const line = this.#lines.get(key) ?? new Map<string, number>();
    line.set(member, score);
    this.#lines.set(key, line);
  }

  zrem(key: string, member: string): void {
    const line = this.#live(key) ? this.#lines.get(key) : undefined;
    line?.delete(member);
    if (line?.size === 0) this.del(key);
  }

  /** The first and the last of a line. */
  ends(key: string): { readonly first?: string; readonly lastScore: number } {
    const line = this.#live(key) ? this.#lines.get(key) : undefined;
    if (!line) return { lastScore: 0 };
    const inOrder = [...line].toSorted(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
    const [first] = inOrder;
    return { ...(first ? { first: first[0] } : {}), lastScore: inOrder.at(-1)?.[1] ?? 0 };
  }

  del(key: string): void {
    this.#strings.delete(key);
    this.#hashes.delete(key);
    this.#lines.delete(key);
    this.#expiries.delete(key);
  }

  pttl(key: string): number {
    if (!this.#live(key)) return -2;
    const endMs = this.#expiries.get(key);
    return endMs === undefined ? -1 : endMs - this.#nowMs();
  }

  pexpire(key: string, ms: number): void {
    if (this.#live(key)) this.#expiries.set(key, this.#nowMs() + ms);
  }

  persist(key: string): void {
    if (this.#live(key)) this.#expiries.delete(key);
  }

  image(): Image {
    for (const key of this.#expiries.keys()) this.#live(key);
    return {
      strings: Object.fromEntries(this.#strings),
      hashes: Object.fromEntries([...this.#hashes].map(([k, v]) => [k, Object.fromEntries(v)])),
      lines: Object.fromEntries([...this.#lines].map(([k, v]) => [k, Object.fromEntries(v)])),
      expiries: Object.fromEntries(this.#expiries),
    };
  }

  /** Forgets what it knows, and knows that. */
  putBack({ strings, hashes, lines, expiries }: Image): void {
    this.#strings = new Map(Object.entries(strings));
    const inner = <T>(of: Record<string, Record<string, T>>): Map<string, Map<string, T>> =>
      new Map(Object.entries(of).map(([key, fields]) => [key, new Map(Object.entries(fields))]));
    this.#hashes = inner(hashes);
    this.#lines = inner(lines);
    this.#expiries = new Map(Object.entries(expiries));
  }

  /** Whether there is such a key, whose time is not over. */
  #live(key: string): boolean {
    if ((this.#expiries.get(key) ?? Infinity) <= this.#nowMs()) this.del(key);
    return this.#strings.has(key) || this.#hashes.has(key) || this.#lines.has(key);
  }
}
