/** The data type behind a tag: whoever has no schema learns from its peers what a collection is. */
import { boundedCounter } from "./bounded-counter.ts";
import { counter, type CounterType } from "./counter.ts";
import type { DataType } from "./data-type.ts";
import { isDocumentTag } from "./document.ts";
import { expiring, type ExpiringType, isExpiring } from "./expiring.ts";
import { fencedRegister, type FencedRegisterType } from "./fenced-register.ts";
import type { BoundedCounterType } from "./bounded-counter.ts";
import { flag, type FlagType } from "./flag.ts";
import { lwwMap, type LwwMapType } from "./lww-map.ts";
import { lwwRegister, type LwwRegisterType } from "./lww-register.ts";
import { mvRegister, type MvRegisterType } from "./mv-register.ts";
import { type FieldType, type FieldTypes, orMap, type OrMapType } from "./or-map.ts";
import { orSet, type OrSetType } from "./or-set.ts";
import { bucketsMax, rateWindow, type RateWindowType, windowMsMax } from "./rate-window.ts";
import { uniqueClaims, type UniqueClaimsType } from "./unique-claims.ts";

/** Types whose keys may expire: what is under a key can be removed as a whole. */
export type ExpirableType = FieldType | OrMapType;

/** What a key can hold, told apart by `kind`. */
export type PlainType =
  | CounterType
  | OrSetType
  | LwwRegisterType
  | MvRegisterType
  | LwwMapType
  | FlagType
  | OrMapType
  | BoundedCounterType
  | FencedRegisterType
  | UniqueClaimsType
  | RateWindowType;

/** What they are told apart by. */
export type PlainKind = PlainType["kind"];

/** The types that come with Trellis, told apart by `kind`. */
export type KnownType = PlainType | ExpiringType<ExpirableType>;

/** What a key of a collection holds, whether it expires or not. */
export const plainOf = (type: KnownType): PlainType => (isExpiring(type) ? type.base : type);

/** What people call a type, by its tag: its kind where the type is ours, else the tag. */
export function kindOf(tag: string): string {
  if (isDocumentTag(tag)) return "document";
  const type = typeOf(tag);
  return type === undefined ? tag : plainOf(type).kind;
}

const plain: ReadonlyMap<string, () => PlainType> = new Map(
  [
    counter,
    (): OrSetType => orSet(),
    (): LwwRegisterType => lwwRegister(),
    (): MvRegisterType => mvRegister(),
    (): LwwMapType => lwwMap(),
    flag,
    (): FencedRegisterType => fencedRegister(),
    (): UniqueClaimsType => uniqueClaims(),
  ].map((make) => [make().tag, make]),
);

/** Tags come from peers: nothing longer is looked at. */
const tagLengthMax = 65_536;

/**
 * The type that has this tag, or undefined if it is none of ours. What a tag does not tell (`weakFence`,
 * windows of idempotency) is as by default; keys of an expiring type live until `expireAt` says otherwise,
 * so whoever does not know their lifetime cuts none short.
 */
export function typeOf(tag: string): KnownType | undefined {
  const made = plain.get(tag)?.();
  if (made || tag.length > tagLengthMax) return made;
  const type = bounded(tag) ?? record(tag) ?? rates(tag) ?? mortal(tag);
  // Whatever else spells the same is not ours.
  return type?.tag === tag ? type : undefined;
}

/** Whether a type is one of ours, as its constructor made it. */
export const isKnownType = (type: DataType): type is KnownType =>
  "kind" in type && typeof type.kind === "string" && typeOf(type.tag)?.kind === type.kind;

function bounded(tag: string): BoundedCounterType | undefined {
  const told = argumentsOf(tag, "bounded-counter/1");
  if (!Array.isArray(told) || told.length !== 3) return undefined;
  const [min, max, initial] = told as readonly unknown[];
  if (!isInteger(min) || !isInteger(initial)) return undefined;
  if (min > initial) return undefined;
  if (max === null) return boundedCounter({ min, initial });
  return isInteger(max) && initial <= max ? boundedCounter({ min, max, initial }) : undefined;
}

function record(tag: string): OrMapType | undefined {
  const told = argumentsOf(tag, "or-map/1");
  if (!Array.isArray(told)) return undefined;
  const fields: [string, FieldType][] = [];
  for (const pair of told as readonly unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) return undefined;
    const [name, of] = pair as readonly unknown[];
    const type = typeof of === "string" ? plain.get(of)?.() : undefined;
    if (typeof name !== "string" || !type || !isFieldType(type)) return undefined;
    fields.push([name, type]);
  }
  // A field may be called anything, `__proto__` too.
  return orMap(Object.fromEntries(fields) as FieldTypes);
}

function rates(tag: string): RateWindowType | undefined {
  const told = argumentsOf(tag, "rate-window/1");
  if (!Array.isArray(told) || told.length !== 2) return undefined;
  const [windowMs, buckets] = told as readonly unknown[];
  if (!isInteger(windowMs) || windowMs < 1 || windowMs > windowMsMax) return undefined;
  if (!isInteger(buckets) || buckets < 1) return undefined;
  return buckets <= Math.min(bucketsMax, windowMs) ? rateWindow({ windowMs, buckets }) : undefined;
}

/** Its base is no such type itself, so this goes no deeper. */
function mortal(tag: string): ExpiringType<ExpirableType> | undefined {
  const told = argumentsOf(tag, "expiring/1");
  if (!Array.isArray(told) || told.length !== 1) return undefined;
  const [of] = told as readonly unknown[];
  if (typeof of !== "string") return undefined;
  const base = plain.get(of)?.() ?? record(of);
  if (!base || base.tag !== of || !isExpirable(base)) return undefined;
  return expiring(base, { expireAfterMs: Number.POSITIVE_INFINITY });
}

/** What stands as JSON behind the name of the type. */
function argumentsOf(tag: string, name: string): unknown {
  if (!tag.startsWith(name)) return undefined;
  try {
    return JSON.parse(tag.slice(name.length));
  } catch {
    return undefined;
  }
}

const fieldKinds: ReadonlySet<string> = new Set<FieldType["kind"]>([
  "or-set",
  "lww-register",
  "mv-register",
  "lww-map",
  "flag",
]);

const isFieldType = (type: PlainType): type is FieldType => fieldKinds.has(type.kind);

const isExpirable = (type: PlainType): type is ExpirableType =>
  isFieldType(type) || type.kind === "or-map";

const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
