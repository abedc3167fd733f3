/**
 * Collections as a config file declares them, so that HTTP can serve what nobody has written yet and rules that
 * must hold are held: `likes: counter`, or `stock: { type: bounded-counter, min: 0 }`.
 */
import {
  boundedCounter,
  counter,
  type DataType,
  fencedRegister,
  type FieldType,
  flag,
  lwwMap,
  lwwRegister,
  mvRegister,
  orMap,
  orSet,
  rateWindow,
  type RateWindowOptions,
  type Schema,
  uniqueClaims,
} from "../../index.ts";
import { expireAheadMsMax, type ExpiryOptions } from "../../crdt/expiring.ts";
import { bucketsMax, windowMsMax } from "../../crdt/rate-window.ts";
import { collectionsMax } from "../../store/schema.ts";
import type { Given, GivenMap } from "./config-file.ts";
import {
  allKnown,
  type At,
  type Fields,
  integer,
  type Kind,
  orNever,
  record,
  yesOrNo,
} from "./kinds.ts";

/** One type that may be declared: its options, and what is made of them. */
interface Declarable {
  /** Names of the options, for the docs. */
  readonly options: readonly string[];
  make(given: GivenMap, at: At): DataType | undefined;
}

const safe = integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
/** A year: the longest that results of idempotency keys may be kept. */
const windowMs = integer(1_000, 366 * 24 * 60 * 60 * 1_000);

function declarable<O extends object>(
  fields: Fields<O>,
  required: readonly (keyof O & string)[],
  make: (options: O) => DataType,
): Declarable {
  const kind = record<O>(fields, required);
  return {
    options: Object.keys(fields),
    make(given, at) {
      const options = kind.read(given, at);
      return options && make(options);
    },
  };
}

/** A type without options. */
const plain = (make: () => DataType): Declarable => declarable<object>({}, [], () => make());

const expiryMs = orNever(integer(1, expireAheadMsMax));

/** A type whose keys may expire. */
const expirable = (
  make: () => DataType,
  makeExpiring: (options: ExpiryOptions) => DataType,
): Declarable =>
  declarable<Partial<ExpiryOptions>>({ expireAfterMs: expiryMs }, [], ({ expireAfterMs }) =>
    expireAfterMs === undefined ? make() : makeExpiring({ expireAfterMs }),
  );

interface GuardedOptions {
  readonly weakFence?: boolean;
  readonly idempotencyWindowMs?: number;
}

interface BoundedOptions extends GuardedOptions {
  readonly min: number;
  readonly max?: number;
  readonly initial?: number;
}

const guarded: Fields<GuardedOptions> = { weakFence: yesOrNo, idempotencyWindowMs: windowMs };

const windows: Fields<RateWindowOptions> = {
  windowMs: integer(1, windowMsMax),
  buckets: integer(1, bucketsMax),
};

const fieldTypes: ReadonlyMap<string, () => FieldType> = new Map<string, () => FieldType>([
  ["or-set", orSet],
  ["lww-register", lwwRegister],
  ["mv-register", mvRegister],
  ["lww-map", lwwMap],
  ["flag", flag],
]);

const declarables: ReadonlyMap<string, Declarable> = new Map<string, Declarable>([
  ["counter", plain(counter)],
  ["or-set", expirable(orSet, orSet)],
  ["lww-register", expirable(lwwRegister, lwwRegister)],
  ["mv-register", expirable(mvRegister, mvRegister)],
  ["lww-map", expirable(lwwMap, lwwMap)],
  ["or-map", { options: ["fields", "expireAfterMs"], make: makeOrMap }],
  ["flag", expirable(flag, flag)],
  ["rate-window", { options: Object.keys(windows), make: makeRateWindow }],
  [
    "bounded-counter",
    declarable<BoundedOptions>(
      { min: safe, max: safe, initial: safe, ...guarded },
      ["min"],
      ({ max, ...options }) =>
        max === undefined ? boundedCounter(options) : boundedCounter({ ...options, max }),
    ),
  ],
  [
    "fenced-register",
    declarable<GuardedOptions>(guarded, [], (options) => fencedRegister(options)),
  ],
  [
    "unique-claims",
    declarable<Pick<GuardedOptions, "weakFence">>({ weakFence: yesOrNo }, [], (options) =>
      uniqueClaims(options),
    ),
  ],
]);

/** The types with the names of their options, for the docs. */
export const collectionTypes: readonly (readonly [string, readonly string[]])[] = [
  ...declarables,
].map(([name, { options }]) => [name, options]);

function makeRateWindow(given: GivenMap, at: At): DataType | undefined {
  const options = record(windows, ["windowMs"]).read(given, at);
  if (options === undefined) return undefined;
  const type = rateWindow(options);
  if (type.buckets <= type.windowMs) return type;
  at.problems.add(
    given.where,
    `${at.path} has ${type.buckets} buckets (default 10), which are more than its windowMs`,
  );
  return undefined;
}

function makeOrMap(given: GivenMap, at: At): DataType | undefined {
  const isKnown = allKnown(given, ["fields", "expireAfterMs"], at);
  const fields = given.entries.get("fields")?.given;
  const path = `${at.path}.fields`;
  if (fields?.kind !== "map" || fields.entries.size === 0) {
    const named = [...fieldTypes.keys()].join(", ");
    at.problems.add(fields?.where ?? given.where, `${path} is a map of fields to ${named}`);
    return undefined;
  }
  const made = [...fields.entries].map(([name, entry]) => {
    const type = typeNamed(entry.given, fieldTypes, { ...at, path: `${path}.${name}` });
    return type && ([name, type()] as const);
  });
  const whole = made.filter((field) => field !== undefined);
  if (!isKnown || whole.length < made.length) return undefined;
  const types = Object.fromEntries(whole);
  const expiry = given.entries.get("expireAfterMs")?.given;
  if (expiry === undefined) return orMap(types);
  const expireAfterMs = expiryMs.read(expiry, { ...at, path: `${at.path}.expireAfterMs` });
  return expireAfterMs === undefined ? undefined : orMap(types, { expireAfterMs });
}

function typeNamed<T>(given: Given, types: ReadonlyMap<string, T>, at: At): T | undefined {
  const name = given.kind === "scalar" ? given.value : undefined;
  const type = typeof name === "string" ? types.get(name) : undefined;
  if (type !== undefined) return type;
  const shown = given.kind === "scalar" ? JSON.stringify(name) : `a ${given.kind}`;
  at.problems.add(given.where, `${at.path} is ${shown}: one of ${[...types.keys()].join(", ")}`);
  return undefined;
}

function collection(given: Given, at: At): DataType | undefined {
  if (given.kind !== "map") return typeNamed(given, declarables, at)?.make(empty(given), at);
  const type = given.entries.get("type")?.given;
  if (type === undefined) {
    at.problems.add(given.where, `${at.path} has no type`);
    return undefined;
  }
  const options = [...given.entries].filter(([name]) => name !== "type");
  const rest: GivenMap = { ...given, entries: new Map(options) };
  return typeNamed(type, declarables, { ...at, path: `${at.path}.type` })?.make(rest, at);
}

const empty = ({ where }: Given): GivenMap => ({ kind: "map", where, entries: new Map() });

/** A schema. */
export const collections: Kind<Schema> = {
  expects: "a map of names to types",
  read(given, at) {
    if (given.kind !== "map" || given.entries.size > collectionsMax) {
      at.problems.add(
        given.where,
        `${at.path} is a map of at most ${collectionsMax} names to types, such as likes: counter`,
      );
      return undefined;
    }
    const read = [...given.entries].map(([name, entry]) => {
      const type = collection(entry.given, { ...at, path: `${at.path}.${name}` });
      return type && ([name, type] as const);
    });
    const known = read.filter((one) => one !== undefined);
    return known.length === read.length ? Object.fromEntries(known) : undefined;
  },
  show: (schema) =>
    Object.fromEntries(Object.entries(schema).map(([name, { tag }]) => [name, tag])),
};
