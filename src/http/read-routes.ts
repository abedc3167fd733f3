/** Routes that read: which collections there are, which keys, what a key holds. */
import type { AnyCollection } from "../any-collection.ts";
import { covers, type Grant } from "../access.ts";
import { isDocumentTag } from "../crdt/document.ts";
import { isExpiring } from "../crdt/expiring.ts";
import { kindOf, typeOf } from "../crdt/type-of.ts";
import { InvalidValueError } from "../errors.ts";
import { tagOf } from "./conditional.ts";
import { expiryOf, expiryPath } from "./operations.ts";
import { collectionOf, type Parts } from "./parts.ts";
import { patternOf } from "./path.ts";
import { Refusal } from "./problem.ts";
import { type ReadLimits, readValue, valueOf } from "./read-value.ts";
import {
  answer,
  assertMay,
  type Call,
  nameIn,
  type Parameter,
  type Reply,
  type Route,
} from "./route.ts";
import { isReserved } from "./served-replica.ts";

const listDefault = 1_000;

/** What every read may say: the version that it must be as new as. */
const afterHeader: Readonly<Record<string, Parameter>> = {
  "Trellis-After": {
    description: "A version: waits until this peer holds it, for reading one's own writes.",
    schema: { type: "string" },
  },
};

const limitQuery: Parameter = {
  description: "At most so many.",
  schema: { type: "integer", minimum: 1, default: listDefault },
};

const valueAnswer = { type: "object", properties: { value: {}, size: { type: "integer" } } };

const expiryAnswer = { type: "object", properties: { atMs: { type: ["integer", "null"] } } };

type Shared = Pick<Route, "method" | "access" | "headers">;

/** They of one service. */
export function readRoutes(parts: Parts): Route[] {
  const { replica, limits } = parts;
  const shared: Shared = { method: "GET", access: "admitted", headers: afterHeader };
  const key = "/v1/collections/{collection}/{key}";
  return [
    {
      ...{ ...shared, id: "collections", pattern: patternOf("/v1/collections") },
      summary: "The collections that are served, as far as the token may read or write in them.",
      ...{
        refusals: [503],
        answer: { type: "object", properties: { collections: { type: "array" } } },
      },
      run: async (call) => {
        await after(parts, call);
        const collections = replica.inventory().flatMap(({ name, tag }) => {
          if (isReserved(name) || !isTouched(call.grant, name)) return [];
          const type = typeOf(tag);
          // Documents can be asked about only where their library is.
          if (!type && !(isDocumentTag(tag) && replica.collection(name))) return [];
          const expires = type && isExpiring(type) ? { expires: true } : {};
          return [{ name, type: kindOf(tag), ...expires }];
        });
        return answer(JSON.stringify({ collections }));
      },
    },
    {
      ...{ ...shared, id: "keys", pattern: patternOf("/v1/collections/{collection}") },
      summary: "The keys of a collection, in the order of code units.",
      query: {
        prefix: { description: "Only keys that begin with it.", schema: { type: "string" } },
        after: { description: "Only keys after this one.", schema: { type: "string" } },
        limit: limitQuery,
      },
      refusals: [404, 503],
      answer: { type: "object", properties: { keys: { type: "array" }, next: { type: "string" } } },
      run: async (call) => {
        const name = nameIn(call, "collection");
        const prefix = call.query.get("prefix") ?? "";
        assertMay(call, "read", { collection: name, key: prefix });
        await after(parts, call);
        const limit = limitOf(call, limits.listMax);
        const from = call.query.get("after");
        const { collection } = collectionOf(parts, name);
        const asked = { prefix, limit: limit + 1, ...(from !== null && { after: from }) };
        const found = collection.keys(asked);
        const keys = found.slice(0, limit);
        const next = found.length > limit ? { next: keys.at(-1) } : {};
        return answer(JSON.stringify({ keys, ...next }));
      },
    },
    {
      ...{ ...shared, id: "read", pattern: patternOf(key) },
      summary: "What a key holds; a fenced value with its version as ETag.",
      query: {
        consistency: {
          description:
            "Of a fenced register or a claim: asks the guard, not the copy that is here.",
          schema: { enum: ["local", "linearizable"], default: "local" },
        },
        limit: limitQuery,
      },
      ...{ refusals: [404, 503], answer: valueAnswer },
      run: (call) => read(parts, call),
    },
    ...partRoutes(parts, shared, key),
  ];
}

/** Routes to what stands below a key. */
function partRoutes(parts: Parts, shared: Shared, key: string): Route[] {
  return [
    {
      ...{ ...shared, id: "readExpiry", pattern: patternOf(`${key}${expiryPath}`) },
      summary: "When a key expires, in ms since the Unix epoch; null for never.",
      ...{ refusals: [404, 405, 503], answer: expiryAnswer },
      run: async (call) => {
        const { any, key: of } = await target(parts, call);
        if (any.deadlines === undefined) throw noSuchPart(any);
        if (!any.collection.has(of)) throw absent();
        return answer(JSON.stringify(expiryOf(any.deadlines, of)));
      },
    },
    {
      ...{ ...shared, id: "readField", pattern: patternOf(`${key}/fields/{field}`) },
      ...{ summary: "One field of a map.", refusals: [404, 405, 503], answer: valueAnswer },
      run: async (call) => {
        const { any, key: of } = await target(parts, call);
        if (any.kind !== "lww-map") throw noSuchPart(any);
        return orAbsent(valueOf(any.collection.get(of, nameIn(call, "field"))));
      },
    },
    {
      ...{ ...shared, id: "readEntry", pattern: patternOf(`${key}/entries/{entry}`) },
      ...{ summary: "One entry of a map.", refusals: [404, 405, 503], answer: valueAnswer },
      run: async (call) => {
        const { any, key: of } = await target(parts, call);
        if (any.kind !== "or-map") throw noSuchPart(any);
        const entry = nameIn(call, "entry");
        const found = any.collection.has(of, entry)
          ? entryOf(any.collection, of, entry)
          : undefined;
        return orAbsent(valueOf(found));
      },
    },
  ];
}

type OrMaps = Extract<AnyCollection, { kind: "or-map" }>["collection"];

/** O(entries of the key). */
const entryOf = (maps: OrMaps, key: string, entry: string): unknown =>
  maps.entries(key).find(([name]) => name === entry)?.[1];

async function read(parts: Parts, call: Call): Promise<Reply> {
  const { any, key } = await target(parts, call);
  const consistency = call.query.get("consistency") ?? "local";
  if (consistency !== "local" && consistency !== "linearizable") {
    throw invalid("consistency", "is neither local nor linearizable");
  }
  if (consistency === "linearizable") return readGuarded(any, key, call);
  if (any.kind === "fenced-register") return tagged(any.collection.getVersioned(key), call);
  const { responseBytesMax: bytes, listMax } = parts.limits;
  const bounds: ReadLimits = { bytes, items: limitOf(call, listMax) };
  return orAbsent(readValue(any, key, bounds));
}

async function readGuarded(any: AnyCollection, key: string, call: Call): Promise<Reply> {
  const { signal } = call;
  if (any.kind === "fenced-register") {
    call.goOnAs("escalated");
    return tagged(await any.collection.readVersioned(key, { signal }), call);
  }
  if (any.kind === "unique-claims") {
    call.goOnAs("escalated");
    const owner = (await any.collection.readOwner(key, { signal })) ?? null;
    return answer(JSON.stringify({ owner }));
  }
  throw invalid("consistency", `is always local for ${any.kind}`);
}

type Versioned = Awaited<
  ReturnType<Extract<AnyCollection, { kind: "fenced-register" }>["collection"]["readVersioned"]>
>;

function tagged({ value, version }: Versioned, { request }: Call): Reply {
  const body = valueOf(value);
  if (body === undefined) throw absent();
  const etag = tagOf(version);
  const isKnown = request.headers["if-none-match"] === etag;
  if (isKnown) return { kind: "answer", status: 304, headers: { etag } };
  return answer(body, { etag });
}

/** The key that a read is about, once it may be read and is new enough. */
async function target(
  parts: Parts,
  call: Call,
): Promise<{ readonly any: AnyCollection; readonly key: string }> {
  const name = nameIn(call, "collection");
  const key = nameIn(call, "key");
  assertMay(call, "read", { collection: name, key });
  await after(parts, call);
  return { any: collectionOf(parts, name), key };
}

/** Waits for the version that the request names. */
async function after({ replica, limits }: Parts, call: Call): Promise<void> {
  const version = call.request.headers["trellis-after"];
  if (version === undefined) return;
  if (typeof version !== "string") throw invalid("Trellis-After", "is there twice");
  call.goOnAs("waiting");
  await replica.waitFor(version, { timeoutMs: limits.afterMsMax, signal: call.signal });
}

function limitOf({ query }: Call, max: number): number {
  const given = query.get("limit");
  if (given === null) return Math.min(listDefault, max);
  const limit = /^\d{1,9}$/u.test(given) ? Number(given) : 0;
  if (limit >= 1 && limit <= max) return limit;
  throw invalid("limit", `is not between 1 and ${max}`);
}

function orAbsent(body: string | undefined): Reply {
  if (body === undefined) throw absent();
  return answer(body);
}

const absent = (): Refusal => new Refusal("TRELLIS_NOT_FOUND", "there is nothing here");

const noSuchPart = ({ kind }: AnyCollection): Refusal =>
  new Refusal("TRELLIS_METHOD_NOT_ALLOWED", `a collection of type ${kind} has no such parts`, {
    headers: { allow: "" },
  });

const isTouched = ({ read: may, write }: Grant, collection: string): boolean =>
  [...may, ...write].some((scope) => covers([{ ...scope, prefix: "" }], collection, ""));

const invalid = (path: string, reason: string): InvalidValueError =>
  new InvalidValueError(`${path} ${reason}`, { path, reason });
