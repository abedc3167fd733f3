/** What was done, as those who asked for it know it: kept outside every peer. */

/** What became of additions to one counter. */
interface Entry {
  /** Surely done. */
  done: number;
  /** Perhaps done: no answer came, and it was not asked again. */
  unknown: number;
}

/** The books of one run. */
export class Books {
  readonly #likes = new Map<string, Entry>();
  readonly #paid = new Map<string, number>();
  readonly #accounts = new Map<string, number>();
  sold = 0;
  refused = 0;
  /** Answers by status. */
  readonly statuses = new Map<number, number>();
  /** Requests that no answer came to. */
  lost = 0;
  /** Answers to what was done before. */
  replays = 0;
  readonly tookMs: number[] = [];

  liked(key: string, isCertain: boolean): void {
    const entry = this.#likes.get(key) ?? { done: 0, unknown: 0 };
    this.#likes.set(key, entry);
    if (isCertain) entry.done++;
    else entry.unknown++;
  }

  paid(key: string, by: number): void {
    this.#paid.set(key, (this.#paid.get(key) ?? 0) + by);
  }

  credited(key: string): void {
    this.#accounts.set(key, (this.#accounts.get(key) ?? 0) + 1);
  }

  answered(status: number, tookMs: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    this.tookMs.push(tookMs);
  }

  /** Where these values are not what they can be. */
  faults(read: (collection: string, key: string) => number, initial: number): string[] {
    const faults: string[] = [];
    for (const [key, { done, unknown }] of this.#likes) {
      const value = read("likes", key);
      if (value < done || value > done + unknown) {
        faults.push(`likes ${key}: ${value}, not ${done} to ${done + unknown}`);
      }
    }
    for (const [key, done] of this.#paid) {
      const value = read("paid", key);
      if (value !== done) faults.push(`paid ${key}: ${value}, not ${done}`);
    }
    for (const [key, done] of this.#accounts) {
      const value = read("accounts", key);
      if (value !== done) faults.push(`accounts ${key}: ${value}, not ${done}`);
    }
    const left = read("stock", "sku");
    if (left !== initial - this.sold) {
      faults.push(`stock: ${left} left of ${initial}, and ${this.sold} were sold`);
    }
    return faults;
  }

  /** Every counter that is in them. */
  *keys(): Generator<readonly [collection: string, key: string]> {
    for (const key of this.#likes.keys()) yield ["likes", key];
    for (const key of this.#paid.keys()) yield ["paid", key];
    for (const key of this.#accounts.keys()) yield ["accounts", key];
    yield ["stock", "sku"];
  }
}
