/**
 * The copies of fenced values that this replica holds: one stamped slot a key, `[lineage, version]` of what
 * was deleted, `[lineage, version, value]` of what is there. Of several that were written concurrently the
 * newest counts, and only a newer one than that is ever written: what is shown here never goes back.
 */
import { type CopyOrder, isNewer } from "../../crdt/fenced-register.ts";
import { noCell } from "../../crdt/cells.ts";
import { stampsPerMs } from "../../crdt/hybrid-logical-clock.ts";
import { checkLimit, Keys, type KeysOptions } from "../../store/collections/keys.ts";
import type { Keyspace } from "../../store/keyspace.ts";
import type { Root } from "../../store/nodes.ts";
import type { Json } from "../../store/values.ts";

/** A value as it was committed. */
export interface Copy extends CopyOrder {
  /** Frozen; `undefined` when it was deleted. */
  readonly value: Json | undefined;
}

/** A copy that is held here. */
export interface HeldCopy extends Copy {
  /** When it was written, by the clock of whoever published it. */
  readonly stampMs: number;
}

/** The copies of one collection. */
export class Copies {
  readonly keyspace: Keyspace;
  readonly #keys: Keys;

  constructor(keyspace: Keyspace, root: Root) {
    this.keyspace = keyspace;
    this.#keys = new Keys(keyspace, root);
  }

  /** The newest, also if it tells of a deletion. O(1) but for concurrent ones. @throws InvalidValueError */
  newest(key: string): HeldCopy | undefined {
    const node = this.#keys.find(key);
    return node === undefined ? undefined : this.#newestIn(node);
  }

  /** Holds it from now on, unless what is held is as new; returns whether it was. */
  publish(key: string, { lineage, version, value }: Copy): boolean {
    if (this.keyspace.isClosed) return false;
    const held = this.newest(key);
    if (held && !isNewer({ lineage, version }, held)) return false;
    const payload: Json = value === undefined ? [lineage, version] : [lineage, version, value];
    this.keyspace.assign(this.#keys.make(key), Object.freeze(payload));
    return true;
  }

  /** The keys that have a value, in the order of code units. O(n log n). */
  list(options: KeysOptions = {}): string[] {
    // Those that were deleted are in the list of slots, and do not count.
    const { limit: _counted, ...which } = options;
    const keys = this.#keys.list(which).filter((key) => this.has(key));
    return keys.slice(0, checkLimit(options));
  }

  /** All keys of which anything is known, also those that were deleted. */
  all(): string[] {
    return this.#keys.list();
  }

  has(key: string): boolean {
    return this.newest(key)?.value !== undefined;
  }

  /** How many keys have a value. O(n). */
  size(): number {
    this.keyspace.assertOpen();
    let count = 0;
    for (const node of this.#keys.root.keys.values()) {
      if (this.#newestIn(node)?.value !== undefined) count++;
    }
    return count;
  }

  #newestIn(node: number): HeldCopy | undefined {
    const { cells, nodes } = this.keyspace;
    let newest: HeldCopy | undefined;
    for (let cell = nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
      if (!cells.isLive(cell)) continue;
      const copy = copyIn(cells.payload(cell));
      if (copy === undefined || (newest && !isNewer(copy, newest))) continue;
      newest = { ...copy, stampMs: Math.floor(cells.value(cell) / stampsPerMs) };
    }
    return newest;
  }
}

/** What a payload says; `undefined` for what no publisher writes, which may come from a peer all the same. */
function copyIn(payload: unknown): Copy | undefined {
  if (!Array.isArray(payload) || payload.length < 2 || payload.length > 3) return undefined;
  const [lineage, version, value] = payload as [unknown, unknown, Json | undefined];
  return isCount(lineage) && isCount(version) ? { lineage, version, value } : undefined;
}

const isCount = (number: unknown): number is number =>
  typeof number === "number" && Number.isSafeInteger(number) && number > 0;
