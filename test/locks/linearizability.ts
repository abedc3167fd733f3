/**
 * Was a history of one guarded register linearizable? Two judges. The first uses that each write leaves
 * a version of its own, so the order is given: O(n log n). The second knows nothing of versions and
 * searches for an order (Wing and Gong's algorithm with the memory of Lowe): exponential at worst, so it
 * runs on samples and guards the first.
 */

/** One operation as its caller saw it. */
export interface Observed {
  readonly client: number;
  /** On one clock for all. */
  readonly startedMs: number;
  /** Infinite while the outcome is unknown: it may take effect at any time, or never. */
  readonly endedMs: number;
  readonly kind: "read" | "write";
  /** For a write that was computed from a version: which. */
  readonly expected?: bigint;
  /** The version that it read or left. */
  readonly version: bigint;
  /** The value that it read or left. */
  readonly value: string;
  /** For a write that was computed from a value: which. Empty: from nothing. */
  readonly from?: string;
}

/** What is wrong with the order that the versions give; nothing when all is well. Unknown outcomes are left out. */
export function versionFaults(history: readonly Observed[], last: Observed): string[] {
  const faults: string[] = [];
  const writes = history.filter(({ kind, endedMs }) => kind === "write" && endedMs < Infinity);
  const values = new Map<bigint, string>([[0n, ""]]);
  for (const { version, value, expected } of writes) {
    if (values.has(version)) faults.push(`version ${version} was written twice`);
    if (expected !== undefined && version !== expected + 1n) {
      faults.push(`a write computed from ${expected} left ${version}`);
    }
    values.set(version, value);
  }
  for (const { version, value } of [...history.filter(({ kind }) => kind === "read"), last]) {
    // What nobody owns up to was written by somebody whose outcome is unknown.
    const written = values.get(version);
    if (written !== undefined && written !== value) {
      faults.push(`version ${version} was read as ${value} and written as ${written}`);
    }
  }
  return [...faults, ...realTimeFaults(history, last)];
}

/** What ended before another began must not have a later version. */
function realTimeFaults(history: readonly Observed[], last: Observed): string[] {
  const known = [...history.filter(({ endedMs }) => endedMs < Infinity), last];
  const byStart = known.toSorted((left, right) => left.startedMs - right.startedMs);
  const byEnd = known.toSorted((left, right) => left.endedMs - right.endedMs);
  const faults: string[] = [];
  let newest = -1n;
  let ended = 0;
  for (const begun of byStart) {
    for (let before = byEnd[ended]; before && before.endedMs < begun.startedMs;) {
      if (before.version > newest) newest = before.version;
      before = byEnd[++ended];
    }
    const isBehind = begun.kind === "write" ? begun.version <= newest : begun.version < newest;
    if (isBehind) {
      faults.push(
        `a ${begun.kind} at version ${begun.version} began after ${newest} had been seen`,
      );
    }
  }
  return faults;
}

/**
 * A sample that can be judged by itself: so many operations that began first. What had not ended when the next one began
 * may have had its effect or not. The operations that *ended* first are no sample: one that is missing may explain what they saw.
 */
export function beginningOf(history: readonly Observed[], count: number): Observed[] {
  const begun = history.toSorted((left, right) => left.startedMs - right.startedMs);
  const untilMs = begun[count]?.startedMs ?? Infinity;
  return begun.slice(0, count).flatMap((one): Observed[] => {
    if (one.endedMs < untilMs) return [one];
    // What did not come so far as to compute a value wrote none.
    return one.kind === "write" && one.value !== "" ? [{ ...one, endedMs: Infinity }] : [];
  });
}

/** Says whether some order explains the history; `undefined` when the search was given up. */
export function isLinearizable(
  history: readonly Observed[],
  stepsMax = 2_000_000,
): boolean | undefined {
  const operations = history.toSorted((left, right) => left.startedMs - right.startedMs);
  const seen = new Set<string>();
  let steps = 0;
  const search = (done: bigint, value: string): boolean | undefined => {
    if (operations.every((one, i) => one.endedMs === Infinity || (done & (1n << BigInt(i))) > 0n)) {
      return true;
    }
    if (++steps > stepsMax) return undefined;
    const state = `${done}:${value}`;
    if (seen.has(state)) return false;
    seen.add(state);
    let firstEndMs = Infinity;
    for (const [i, { endedMs }] of operations.entries()) {
      if ((done & (1n << BigInt(i))) === 0n) firstEndMs = Math.min(firstEndMs, endedMs);
    }
    for (const [i, operation] of operations.entries()) {
      // Whatever began after another ended cannot come before it.
      if (operation.startedMs > firstEndMs) break;
      const bit = 1n << BigInt(i);
      if ((done & bit) > 0n) continue;
      const needs = operation.kind === "read" ? operation.value : operation.from;
      if (needs !== undefined && needs !== value) continue;
      const after = operation.kind === "read" ? value : operation.value;
      const found = search(done | bit, after);
      if (found !== false) return found;
    }
    return false;
  };
  return search(0n, "");
}
