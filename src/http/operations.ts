/**
 * What can be done to a key, by the type of its collection. One table: routes, batches and the OpenAPI
 * document are made of it. A free operation is done at once, so it can stand in a transaction; an escalated
 * one is waited for.
 */
import type { AnyCollection, Deadlines } from "../any-collection.ts";
import type { Name } from "../crdt/data-type.ts";
import { InvalidValueError, UsageError } from "../errors.ts";
import type { Json } from "../store/values.ts";
import type { MemberName } from "./members.ts";
import { Refusal } from "./problem.ts";

/** What an operation is about, and with. Names that a route does not have are empty. */
export interface Given {
  readonly key: string;
  /** Of a map, or of an entry. */
  readonly field: string;
  readonly entry: string;
  /** Of a map in an entry. */
  readonly name: string;
  readonly by: number;
  readonly value: unknown;
  readonly element: Name;
  readonly owner: string;
  /** Infinity for never. */
  readonly atMs: number;
  readonly limit: number | undefined;
}

/** How to wait for an escalated operation. */
export interface Waits {
  readonly waitMs?: number;
  readonly signal: AbortSignal;
  /** Of the guard's memory. */
  readonly idempotencyKey?: string;
}

/** The collection of a type. */
type Kind = AnyCollection["kind"];

/** The collection of a kind. */
export type CollectionOfKind<K extends Kind> = Extract<
  AnyCollection,
  { readonly kind: K }
>["collection"];

/** Those that return nothing have nothing to say. */
type Free = {
  readonly [K in Kind]?: (collection: CollectionOfKind<K>, given: Given) => Json | void;
};

type Escalated = {
  readonly [K in Kind]?: (
    collection: CollectionOfKind<K>,
    given: Given,
    waits: Waits,
  ) => Promise<Json | undefined>;
};

/** One operation. */
export interface Operation {
  /** In a batch. */
  readonly name: string;
  readonly method: "POST" | "PUT" | "DELETE";
  /** After the path of the key. */
  readonly path: string;
  readonly summary: string;
  /** What its body has, and whether that must be there. */
  readonly members: { readonly [M in MemberName]?: "required" | "optional" };
  readonly free: Free;
  readonly escalated: Escalated;
  /** What it does to a key that may expire, whatever the key holds. */
  readonly mortal?: (deadlines: Deadlines, given: Given) => Json;
  /** Types for which the version has to be said that the write rests on; see `conditional.ts`. */
  readonly conditional?: boolean;
}

const none = {};
const byWait = { by: "optional", waitMs: "optional" } as const;
const value = { value: "required" } as const;
const element = { element: "required" } as const;
const owner = { owner: "required", waitMs: "optional" } as const;

/** A field of an entry that has this method. @throws UsageError for a field of another type. */
function inEntry(
  maps: CollectionOfKind<"or-map">,
  { key, entry, field }: Given,
  method: string,
  call: readonly unknown[],
): undefined {
  const fields: object = maps.entry(key, entry);
  const handle: unknown = Object.getOwnPropertyDescriptor(fields, field)?.value;
  if (handle === undefined) {
    throw new InvalidValueError(`entries have no field ${JSON.stringify(field)}`, {
      ...{ path: "field", reason: "is no field of the entries" },
    });
  }
  const run: unknown = (handle as Readonly<Record<string, unknown>>)[method];
  if (typeof run !== "function") {
    throw new UsageError(
      `the field ${JSON.stringify(field)} has no ${method}; nothing was changed`,
    );
  }
  Reflect.apply(run, handle, call);
  return undefined;
}

/** What stands there, after the path of the key. */
export const expiryPath = "/expiry";

/** When a key expires, as it is told: null for never. */
export const expiryOf = (deadlines: Deadlines, key: string): { readonly atMs: number | null } => ({
  atMs: deadlines.expiresAt(key) ?? null,
});

const entryPath = "/entries/{entry}";
const fieldPath = `${entryPath}/{field}`;

/** All operations. */
export const operations: readonly Operation[] = [
  {
    ...{ name: "increment", method: "POST", path: "/increment", members: byWait },
    summary: "Adds `by` (default 1).",
    free: {
      counter: (counters, given) => {
        counters.increment(given.key, given.by);
        return { value: counters.value(given.key) };
      },
    },
    escalated: {
      "bounded-counter": async (counters, { key, by }, { idempotencyKey, ...waits }) => {
        if (idempotencyKey === undefined) await counters.increment(key, by, waits);
        else await counters.increment(key, by, { ...waits, idempotencyKey });
        return { value: counters.value(key) };
      },
    },
  },
  {
    ...{ name: "decrement", method: "POST", path: "/decrement", members: byWait },
    summary: "Takes `by` (default 1) away; of a bounded counter once there are rights to it.",
    free: {
      counter: (counters, given) => {
        counters.decrement(given.key, given.by);
        return { value: counters.value(given.key) };
      },
    },
    escalated: {
      "bounded-counter": async (counters, given, waits) => {
        await counters.decrement(given.key, given.by, waits);
        return { value: counters.value(given.key) };
      },
    },
  },
  {
    ...{ name: "add", method: "POST", path: "/add", members: element, escalated: none },
    summary: "Adds an element.",
    free: {
      "or-set": (sets, given) => {
        sets.add(given.key, given.element);
        return { size: sets.size(given.key) };
      },
    },
  },
  {
    ...{ name: "remove", method: "POST", path: "/remove", members: element, escalated: none },
    summary: "Removes an element, as far as its additions are seen here.",
    free: {
      "or-set": (sets, given) => {
        sets.remove(given.key, given.element);
        return { size: sets.size(given.key) };
      },
    },
  },
  {
    ...{ name: "clear", method: "POST", path: "/clear", members: none, escalated: none },
    summary: "Removes all elements that are seen here.",
    free: {
      "or-set": (sets, given) => {
        sets.clear(given.key);
        return { size: 0 };
      },
    },
  },
  {
    ...{ name: "set", method: "PUT", path: "", members: { ...value, waitMs: "optional" } },
    ...{ escalated: none, conditional: true },
    summary: "Sets the value; of a fenced register if it is at the version that is named.",
    free: {
      "lww-register": (registers, given) => registers.set(given.key, given.value),
      "mv-register": (registers, given) => registers.set(given.key, given.value),
    },
  },
  {
    ...{ name: "delete", method: "DELETE", path: "", members: none, conditional: true },
    summary:
      "Removes what is seen here; of a fenced register if it is at the version that is named.",
    free: {
      "or-set": (sets, given) => sets.delete(given.key),
      "lww-register": (registers, given) => registers.delete(given.key),
      "mv-register": (registers, given) => registers.delete(given.key),
      "lww-map": (maps, given) => maps.delete(given.key),
      "or-map": (maps, given) => maps.delete(given.key),
      flag: (flags, given) => flags.delete(given.key),
      "rate-window": (windows, given) => windows.delete(given.key),
      document: (documents, given) => documents.delete(given.key),
    },
    escalated: {
      "unique-claims": async (claims, given, { idempotencyKey: _isNotNeeded, ...waits }) => {
        await claims.delete(given.key, waits);
        return undefined;
      },
    },
  },
  {
    ...{ name: "setField", method: "PUT", path: "/fields/{field}", members: value },
    ...{ summary: "Sets a field of a map.", escalated: none },
    free: { "lww-map": (maps, given) => maps.set(given.key, given.field, given.value) },
  },
  {
    ...{ name: "deleteField", method: "DELETE", path: "/fields/{field}", members: none },
    ...{ summary: "Removes a field of a map.", escalated: none },
    free: { "lww-map": (maps, given) => maps.delete(given.key, given.field) },
  },
  {
    ...{ name: "deleteEntry", method: "DELETE", path: entryPath, members: none },
    ...{ summary: "Removes what is seen here of an entry.", escalated: none },
    free: { "or-map": (maps, given) => maps.delete(given.key, given.entry) },
  },
  {
    ...{ name: "setEntryField", method: "PUT", path: fieldPath, members: value },
    ...{ summary: "Sets a register of an entry.", escalated: none },
    free: { "or-map": (maps, given) => inEntry(maps, given, "set", [given.value]) },
  },
  {
    ...{ name: "deleteEntryField", method: "DELETE", path: fieldPath, members: none },
    ...{ summary: "Removes what is seen here of a register of an entry.", escalated: none },
    free: { "or-map": (maps, given) => inEntry(maps, given, "delete", []) },
  },
  {
    ...{ name: "addToEntryField", method: "POST", path: `${fieldPath}/add`, members: element },
    ...{ summary: "Adds an element to a set of an entry.", escalated: none },
    free: { "or-map": (maps, given) => inEntry(maps, given, "add", [given.element]) },
  },
  {
    ...{ name: "removeFromEntryField", method: "POST", path: `${fieldPath}/remove` },
    ...{ summary: "Removes an element of a set of an entry.", members: element, escalated: none },
    free: { "or-map": (maps, given) => inEntry(maps, given, "remove", [given.element]) },
  },
  {
    ...{ name: "clearEntryField", method: "POST", path: `${fieldPath}/clear`, members: none },
    ...{ summary: "Removes all elements of a set of an entry.", escalated: none },
    free: { "or-map": (maps, given) => inEntry(maps, given, "clear", []) },
  },
  {
    ...{ name: "enableEntryField", method: "POST", path: `${fieldPath}/enable`, members: none },
    ...{ summary: "Turns on a flag of an entry.", escalated: none },
    free: { "or-map": (maps, given) => inEntry(maps, given, "enable", []) },
  },
  {
    ...{ name: "disableEntryField", method: "POST", path: `${fieldPath}/disable`, members: none },
    ...{ summary: "Turns off a flag of an entry.", escalated: none },
    free: { "or-map": (maps, given) => inEntry(maps, given, "disable", []) },
  },
  {
    ...{ name: "setEntryMapField", method: "PUT", path: `${fieldPath}/fields/{name}` },
    ...{ summary: "Sets a field of a map of an entry.", members: value, escalated: none },
    free: { "or-map": (maps, given) => inEntry(maps, given, "set", [given.name, given.value]) },
  },
  {
    ...{ name: "deleteEntryMapField", method: "DELETE", path: `${fieldPath}/fields/{name}` },
    ...{ summary: "Removes a field of a map of an entry.", members: none, escalated: none },
    free: { "or-map": (maps, given) => inEntry(maps, given, "delete", [given.name]) },
  },
  {
    ...{ name: "enable", method: "POST", path: "/enable", members: none, escalated: none },
    summary: "Turns a flag on.",
    free: {
      flag: (flags, given) => {
        flags.enable(given.key);
        return { value: true };
      },
    },
  },
  {
    ...{ name: "disable", method: "POST", path: "/disable", members: none, escalated: none },
    summary: "Turns a flag off, as far as it is seen on here.",
    free: {
      flag: (flags, given) => {
        flags.disable(given.key);
        return { value: flags.isEnabled(given.key) };
      },
    },
  },
  {
    ...{ name: "hit", method: "POST", path: "/hit", escalated: none },
    members: { by: "optional", limit: "optional" },
    summary:
      "Counts `by` (default 1) more within the window; with `limit` only up to it, and `accepted` tells " +
      "whether it was counted.",
    free: {
      "rate-window": (windows, { key, by, limit }) => {
        const isCounted = limit === undefined || windows.tryHit(key, limit, by);
        if (limit === undefined) windows.hit(key, by);
        return { accepted: isCounted, value: windows.value(key) };
      },
    },
  },
  {
    ...{ name: "expireAt", method: "PUT", path: expiryPath, members: { atMs: "required" } },
    ...{ summary: "Sets when a key that is there expires.", free: none, escalated: none },
    mortal: (deadlines, { key, atMs }) => {
      if (deadlines.expireAt(key, atMs)) return expiryOf(deadlines, key);
      throw new Refusal("TRELLIS_NOT_FOUND", "there is no such key here; nothing was changed");
    },
  },
  {
    ...{ name: "claim", method: "POST", path: "/claim", members: owner, free: none },
    summary: "Makes `owner` the owner of a name that has none. Repeating one's own claim succeeds.",
    escalated: {
      "unique-claims": async (claims, given, { idempotencyKey: _isNotNeeded, ...waits }) => {
        await claims.claim(given.key, given.owner, waits);
        return { owner: given.owner };
      },
    },
  },
  {
    ...{ name: "release", method: "POST", path: "/release", members: owner, free: none },
    summary: "Makes a name of `owner` free. One that is free stays so.",
    escalated: {
      "unique-claims": async (claims, given, { idempotencyKey: _isNotNeeded, ...waits }) => {
        await claims.release(given.key, given.owner, waits);
        return { owner: null };
      },
    },
  },
];

/** What an operation does to a collection at once, so that it can be part of a transaction. */
export function freeRun(
  { free, mortal }: Operation,
  { kind, collection, deadlines }: AnyCollection,
): ((given: Given) => Json | undefined) | undefined {
  if (mortal) return deadlines && ((given) => mortal(deadlines, given));
  const run = free[kind] as ((collection: unknown, given: Given) => Json | undefined) | undefined;
  return run && ((given) => run(collection, given));
}

/** What it does there, if it has to wait. */
export function escalatedRun(
  { escalated }: Operation,
  { kind, collection }: AnyCollection,
): ((given: Given, waits: Waits) => Promise<Json | undefined>) | undefined {
  const run = escalated[kind] as
    | ((collection: unknown, given: Given, waits: Waits) => Promise<Json | undefined>)
    | undefined;
  return run && ((given, waits) => run(collection, given, waits));
}

/** What is asked of a collection, to know which operations it has. */
export interface Having {
  readonly kind: Kind;
  /** Undefined if its keys do not expire. */
  readonly deadlines: object | undefined;
}

/** Whether a collection has the operation at all. */
export const has = (
  { free, escalated, mortal, conditional }: Operation,
  { kind, deadlines }: Having,
): boolean =>
  (mortal !== undefined && deadlines !== undefined) ||
  free[kind] !== undefined ||
  escalated[kind] !== undefined ||
  (conditional === true && kind === "fenced-register");
