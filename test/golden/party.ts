/** A replica whose world is fixed, to the byte: what golden frames are made by and given to. */
import { createHash } from "node:crypto";
import type { Name } from "../../src/crdt/data-type.ts";
import { actorIdFromBytes } from "../../src/crdt/dot.ts";
import {
  counter,
  flag,
  lwwMap,
  lwwRegister,
  mvRegister,
  orMap,
  orSet,
} from "../../src/crdt/index.ts";
import { VersionVector } from "../../src/crdt/version-vector.ts";
import type { Environment } from "../../src/environment.ts";
import { openCollections } from "../../src/store/collections/open.ts";
import type { FreeCollections } from "../../src/store/collections/types.ts";
import { Exchange, type ExchangeStart } from "../../src/store/exchange.ts";
import { Exchanges } from "../../src/store/exchanges.ts";
import type { FrameLimits } from "../../src/store/frame.ts";
import { Keyspace } from "../../src/store/keyspace.ts";
import type { Json } from "../../src/store/values.ts";
import { vectorOf } from "../store/dump.ts";

/** Every type once, and all that may stand in an entry. */
export const goldenSchema = {
  counters: counter(),
  sets: orSet<Name>(),
  registers: lwwRegister<Json>(),
  multis: mvRegister<Json>(),
  maps: lwwMap<Json>(),
  flags: flag(),
  entries: orMap({
    quantity: lwwRegister<Json>(),
    notes: orSet<Name>(),
    options: mvRegister<Json>(),
    extras: lwwMap<Json>(),
    chosen: flag(),
  }),
};

export type GoldenCollections = FreeCollections<typeof goldenSchema>;

/** When everything golden happens, in ms since the Unix epoch. */
export const goldenMs = 1_700_000_000_000;

/** Clocks stand until they are moved, and randomness is a hash of the name. */
class FixedEnvironment implements Environment {
  nowMs = goldenMs;
  readonly #name: string;
  #drawn = 0;

  constructor(name: string) {
    this.#name = name;
  }

  now(): number {
    return this.nowMs;
  }

  monotonic(): number {
    return this.nowMs - goldenMs;
  }

  schedule(): { cancel(): void } {
    return { cancel: () => undefined };
  }

  defer(): void {
    // Batches are closed by name.
  }

  randomBytes(count: number): Uint8Array {
    const seed = `${this.#name} ${this.#drawn++}`;
    return Uint8Array.from(createHash("sha256").update(seed).digest().subarray(0, count));
  }
}

/** A vector by the names of actors, as a hello tells it. */
export type Told = Readonly<Record<string, number>>;

/** One replica. */
export class Party {
  readonly environment: FixedEnvironment;
  readonly keyspace: Keyspace;
  readonly exchanges: Exchanges;
  readonly #collections: GoldenCollections | undefined;

  /** A relay has no schema: it holds what it does not know. */
  constructor(name: string, options: { limits?: FrameLimits; isRelay?: boolean } = {}) {
    const { limits, isRelay = false } = options;
    this.environment = new FixedEnvironment(name);
    const schema = isRelay ? {} : goldenSchema;
    this.keyspace = new Keyspace({ schema, environment: this.environment });
    this.exchanges = new Exchanges(this.keyspace, limits);
    if (!isRelay) this.#collections = openCollections(this.keyspace, goldenSchema);
  }

  get collections(): GoldenCollections {
    if (this.#collections === undefined) throw new Error("assertion: a relay shows nothing");
    return this.#collections;
  }

  /** The vector, with everything written so far in it. */
  told(): Told {
    this.keyspace.flush();
    return Object.fromEntries(
      vectorOf(this.keyspace).toSorted(([left], [right]) => (left < right ? -1 : 1)),
    );
  }

  /** Begins a link to a peer that told this. */
  exchange(known: Told, more: Pick<ExchangeStart, "stage" | "resume"> = {}): Exchange {
    this.keyspace.flush();
    const theirs = new VersionVector();
    for (const [name, sequence] of Object.entries(known)) {
      const actor = actorIdFromBytes(Uint8Array.from(Buffer.from(name, "hex")));
      theirs.raise(this.keyspace.actors.intern(actor), sequence);
    }
    return new Exchange(this.exchanges, {
      told: this.keyspace.held.clone(),
      known: theirs,
      ...more,
    });
  }

  /** Takes in all that another holds. */
  learn(from: Party): void {
    const sending = from.exchange(this.told());
    const receiving = this.exchange(from.told());
    for (let frame = sending.next(); frame !== undefined; frame = sending.next()) {
      receiving.receive(frame);
      sending.acknowledge(1);
    }
    sending.close();
    receiving.close();
  }

  /** All that is shown, in plain sorted form. */
  shows(): unknown {
    return showsOf(this.collections);
  }
}

/** All that collections show, in plain sorted form. */
export function showsOf(collections: GoldenCollections): unknown {
  const { counters, sets, registers, multis, maps, flags, entries } = collections;
  const byKey = (keys: readonly string[], read: (key: string) => unknown): unknown =>
    keys.toSorted().map((key) => [key, read(key)]);
  return plain({
    counters: byKey(counters.keys(), (key) => counters.value(key)),
    sets: byKey(sets.keys(), (key) => sets.values(key).map(textOf).toSorted()),
    registers: byKey(registers.keys(), (key) => registers.get(key)),
    multis: byKey(multis.keys(), (key) => multis.get(key).map(textOf).toSorted()),
    maps: byKey(maps.keys(), (key) => sortedPairs(maps.entries(key))),
    flags: byKey(flags.keys(), (key) => flags.isEnabled(key)),
    entries: byKey(entries.keys(), (key) =>
      sortedPairs(entries.entries(key)).map(
        ([entry, { quantity, notes, options, extras, chosen }]) => [
          entry,
          [quantity ?? "absent", notes.map(textOf).toSorted(), options.map(textOf), extras, chosen],
        ],
      ),
    ),
  });
}

/** Only what shows something, as JSON has it. */
function plain(shown: Readonly<Record<string, unknown>>): unknown {
  const told = Object.entries(shown).filter(([, of]) => Array.isArray(of) && of.length > 0);
  return JSON.parse(JSON.stringify(Object.fromEntries(told))) as unknown;
}

const textOf = (value: unknown): string => JSON.stringify(value);

const sortedPairs = <T>(pairs: readonly (readonly [string, T])[]): (readonly [string, T])[] =>
  pairs.toSorted(([left], [right]) => (left < right ? -1 : 1));
