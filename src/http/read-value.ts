/** What a key holds, as JSON: bounded, also where a set has a million elements. */
import type { AnyCollection } from "../any-collection.ts";

/** Bounds of one answer. */
export interface ReadLimits {
  readonly items: number;
  readonly bytes: number;
}

/** What is read, as JSON; undefined if there is nothing. */
export function readValue(any: AnyCollection, key: string, limits: ReadLimits): string | undefined {
  switch (any.kind) {
    case "counter":
    case "rate-window":
      return `{"value":${any.collection.value(key)}}`;
    case "bounded-counter": {
      const { collection } = any;
      return `{"value":${collection.value(key)},"rights":${collection.rights(key)}}`;
    }
    case "flag":
      return `{"value":${any.collection.isEnabled(key)}}`;
    case "lww-register":
      return valueOf(any.collection.get(key));
    case "mv-register":
      return listOf(any.collection.get(key), limits);
    case "or-set":
      return listOf(any.collection.values(key), limits);
    case "lww-map":
      return recordOf(any.collection.entries(key), limits);
    case "or-map":
      return recordOf(any.collection.entries(key), limits);
    case "fenced-register":
      return valueOf(any.collection.get(key));
    case "unique-claims":
      return JSON.stringify({ owner: any.collection.owner(key) ?? null });
    case "document":
      return any.collection.has(key) ? wholeOf(any.collection.json(key), limits) : undefined;
  }
}

/** A value, if there is one. */
export const valueOf = (value: unknown): string | undefined =>
  value === undefined ? undefined : `{"value":${JSON.stringify(value)}}`;

/** All of it or nothing: whoever reads half a document cannot tell what it is. */
function wholeOf(content: unknown, limits: ReadLimits): string {
  const text = JSON.stringify(content);
  const bytes = Buffer.byteLength(text);
  return bytes <= limits.bytes ? `{"value":${text}}` : `{"isCut":true,"size":${bytes}}`;
}

function listOf(values: readonly unknown[], limits: ReadLimits): string {
  return cut("[]", values.length, limits, (i) => JSON.stringify(values[i]));
}

function recordOf(entries: readonly (readonly [string, unknown])[], limits: ReadLimits): string {
  return cut("{}", entries.length, limits, (i) => {
    const [name, value] = entries[i] ?? ["", null];
    return `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  });
}

/** As many of `count` pieces as fit. */
function cut(
  brackets: string,
  count: number,
  limits: ReadLimits,
  piece: (index: number) => string,
): string {
  const pieces: string[] = [];
  let bytes = 0;
  for (let i = 0; i < count && pieces.length < limits.items; i++) {
    const text = piece(i);
    bytes += Buffer.byteLength(text) + 1;
    if (bytes > limits.bytes) break;
    pieces.push(text);
  }
  const isCut = pieces.length < count ? ',"isCut":true' : "";
  return `{"value":${brackets[0]}${pieces.join(",")}${brackets[1]},"size":${count}${isCut}}`;
}
