/**
 * The outside judge: it believes nothing that the store says of itself. Each write appends a name of its
 * own to the value, so the value is its own history, and the ledger knows of each name what its writer
 * was told.
 */

/** What a writer was told. */
export type Told = "applied" | "refused" | "unknown";

interface Entry {
  readonly resource: string;
  readonly startedMs: number;
  endedMs: number;
  told: Told;
  /** Of the lease that it was written under. */
  readonly token: bigint | undefined;
}

interface Grant {
  readonly resource: string;
  readonly token: bigint;
  /** The names in the value that the lease opened. */
  readonly names: readonly string[];
}

interface Issued {
  readonly token: bigint;
  /** Of whoever asked for it; asked again it may get another. */
  readonly nonce: string;
  readonly endedMs: number;
}

interface Sight {
  readonly resource: string;
  readonly version: bigint;
  readonly names: readonly string[];
  readonly startedMs: number;
  readonly endedMs: number;
}

/** The names in a value. */
export const namesIn = (value: Uint8Array | undefined): string[] => {
  const joined = new TextDecoder().decode(value ?? new Uint8Array(0));
  return joined === "" ? [] : joined.split(",");
};

/** The value with one name more. */
export const withName = (value: Uint8Array | undefined, name: string): Uint8Array =>
  new TextEncoder().encode([...namesIn(value), name].join(","));

/** Collects what happened and says what was wrong with it. */
export class Ledger {
  readonly faults: string[] = [];
  readonly counts: Record<string, number> = {};
  readonly #entries = new Map<string, Entry>();
  readonly #grants: Grant[] = [];
  /** The largest token that the store has granted, as seen at the store. */
  readonly #tokens = new Map<string, bigint>();
  /** What was told to whoever opened, and when. */
  readonly #issued = new Map<string, Issued[]>();
  readonly #sights: Sight[] = [];
  readonly #added = { applied: 0, unknown: 0 };
  readonly #judgesBeliefs: boolean;
  #names = 0;

  /** `judgesBeliefs`: clocks are such that nobody may believe to hold after another was granted. */
  constructor({ judgesBeliefs = true }: { readonly judgesBeliefs?: boolean } = {}) {
    this.#judgesBeliefs = judgesBeliefs;
  }

  /** A write begins, under a name of its own. */
  begin(resource: string, nowMs: number, token?: bigint): string {
    const name = `w${this.#names++}`;
    this.#entries.set(name, {
      ...{ resource, startedMs: nowMs, endedMs: Infinity, told: "unknown", token },
    });
    return name;
  }

  end(name: string, told: Told, nowMs: number): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    entry.told = told;
    if (told !== "unknown") entry.endedMs = nowMs;
    this.count(told);
  }

  /** An add begins; until it is told otherwise, its outcome is unknown. */
  adds(): void {
    this.#added.unknown++;
  }

  added(told: Told): void {
    if (told !== "unknown") this.#added.unknown--;
    if (told === "applied") this.#added.applied++;
    this.count(`add ${told}`);
  }

  /** The store granted. */
  granted(resource: string, token: bigint): void {
    const before = this.#tokens.get(resource) ?? 0n;
    if (token <= before)
      this.faults.push(`${resource}: token ${token} was granted after ${before}`);
    else this.#tokens.set(resource, token);
  }

  /**
   * A holder was told of its token, by a store of which nobody sees when it grants. What was told before
   * this one asked is smaller, and no token is told twice.
   */
  issued(
    { resource, nonce }: { readonly resource: string; readonly nonce: string },
    token: bigint,
    time: { readonly startedMs: number; readonly endedMs: number },
  ): void {
    const issued = this.#issued.get(resource) ?? [];
    for (const before of issued) {
      const isOver = before.endedMs < time.startedMs;
      if (before.token === token || (isOver && before.token > token)) {
        this.faults.push(`${resource}: token ${token} was issued after ${before.token}`);
      }
    }
    issued.push({ token, nonce, endedMs: time.endedMs });
    this.#issued.set(resource, issued);
  }

  /** Somebody read. */
  saw(sight: Omit<Sight, "names">, value: Uint8Array | undefined): void {
    this.#sights.push({ ...sight, names: namesIn(value) });
    this.count("sights");
  }

  /** A holder got its lease. */
  opened(resource: string, token: bigint, value: Uint8Array | undefined): void {
    this.#grants.push({ resource, token, names: namesIn(value) });
    this.count("leases");
  }

  /** A process that runs believes now that it holds. */
  believes(resource: string, token: bigint): void {
    const newest = this.#newestButOf(resource, token);
    if (newest > token && this.#judgesBeliefs) {
      this.faults.push(
        `${resource}: the holder of ${token} believes to hold, after ${newest} was granted`,
      );
    }
    this.count("beliefs");
  }

  /** The largest that was granted to anybody but the one who was granted this one. */
  #newestButOf(resource: string, token: bigint): bigint {
    const issued = this.#issued.get(resource) ?? [];
    const own = issued.find((one) => one.token === token);
    const granted = this.#tokens.get(resource) ?? 0n;
    return issued.reduce((most, one) => {
      return one.nonce !== own?.nonce && one.token > most ? one.token : most;
    }, granted);
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** At rest: is the value of a resource what the ledger says? */
  judge(resource: string, value: Uint8Array | undefined): void {
    const names = namesIn(value);
    const places = new Map(names.map((name, place) => [name, place]));
    if (places.size < names.length) this.faults.push(`${resource}: a write is there twice`);
    for (const [name, entry] of this.#entries) {
      if (entry.resource !== resource) continue;
      const isThere = places.has(name);
      if (entry.told === "applied" && !isThere) this.faults.push(`${resource}: ${name} is lost`);
      if (entry.told === "refused" && isThere) {
        this.faults.push(`${resource}: ${name} was refused and is there`);
      }
    }
    this.#judgeOrder(resource, names);
    this.#judgeFences(resource, places);
    this.#judgeSights(resource, names, places);
  }

  /** What was read is how far the value had come at some moment of the reading; later versions are longer. */
  #judgeSights(
    resource: string,
    names: readonly string[],
    places: ReadonlyMap<string, number>,
  ): void {
    const entries = [...this.#entries].filter(([, entry]) => entry.resource === resource);
    const sights = this.#sights.filter((one) => one.resource === resource);
    let before: Sight | undefined;
    for (const sight of sights.toSorted((a, b) => Number(a.version - b.version))) {
      const { version, startedMs, endedMs } = sight;
      const { length } = sight.names;
      const fault = (what: string): void => {
        this.faults.push(`${resource}: a read of version ${version} ${what}`);
      };
      if (sight.names.join() !== names.slice(0, length).join()) fault("is not what was written");
      const isSame = version === before?.version;
      if (before && (isSame ? length !== before.names.length : length <= before.names.length)) {
        fault(`has ${length} names, after ${before.names.length} of ${before.version}`);
      }
      for (const [name, entry] of entries) {
        const isSeen = (places.get(name) ?? Infinity) < length;
        if (!isSeen && entry.told === "applied" && entry.endedMs < startedMs)
          fault(`misses ${name}`);
        if (isSeen && entry.startedMs > endedMs) fault(`has ${name} before it began`);
      }
      before = sight;
    }
  }

  /** What ended before another began is before it. */
  #judgeOrder(resource: string, names: readonly string[]): void {
    let latestStartMs = -Infinity;
    for (const name of names) {
      const entry = this.#entries.get(name);
      if (!entry) {
        this.faults.push(`${resource}: nobody wrote ${name}`);
        continue;
      }
      if (entry.endedMs < latestStartMs) {
        this.faults.push(`${resource}: ${name} comes after a write that began when it had ended`);
      }
      latestStartMs = Math.max(latestStartMs, entry.startedMs);
    }
  }

  /** After a lease was opened nothing of an earlier one is written. */
  #judgeFences(resource: string, places: ReadonlyMap<string, number>): void {
    for (const grant of this.#grants.filter((one) => one.resource === resource)) {
      const seen = new Set(grant.names);
      for (const name of places.keys()) {
        const token = this.#entries.get(name)?.token;
        if (token !== undefined && token < grant.token && !seen.has(name)) {
          this.faults.push(
            `${resource}: ${name}, under ${token}, was written after ${grant.token} was opened`,
          );
        }
      }
    }
  }

  /** At rest: is the sum what was added? */
  judgeSum(sum: number): void {
    const { applied, unknown } = this.#added;
    if (sum < applied || sum > applied + unknown) {
      this.faults.push(
        `the sum is ${sum}; ${applied} were added for sure, and at most ${unknown} more`,
      );
    }
  }
}
