/** Reads lines of an export that are not trusted: each is what `content.ts` could have written, or refused. */
import type { Name } from "../../crdt/data-type.ts";
import { type DocumentType, isDocumentType } from "../../crdt/document.ts";
import { isTimestamp } from "../../crdt/hybrid-logical-clock.ts";
import type { FieldType, OrMapType } from "../../crdt/or-map.ts";
import { isExpiring } from "../../crdt/expiring.ts";
import { type KnownType, plainOf, typeOf } from "../../crdt/type-of.ts";
import { InvalidValueError, UsageError } from "../../errors.ts";
import { storedDocument } from "../../store/documents/stored-document.ts";
import { updateBytesMax } from "../../store/documents/written-updates.ts";
import { collectionsMax } from "../../store/schema.ts";
import { checkElement, checkKey, copyValue } from "../../store/values.ts";
import {
  type Content,
  type ContentLine,
  type DocumentContent,
  type ExportedCollection,
  type ExportEnding,
  exportFormat,
  type ExportHeader,
  type FieldContent,
  type GuardPosition,
  type Stamped,
  type StampedField,
  updatePartBytes,
} from "./format.ts";

const updatePartsMax = Math.ceil(updateBytesMax / updatePartBytes);

/** A JSON object, of which nothing is known. */
type Parsed = Readonly<Record<string, unknown>>;

/** What can be imported. */
export type ImportedType = KnownType | DocumentType;

/** A collection of an export, and what its type means. */
export interface ParsedCollection extends ExportedCollection {
  readonly known: ImportedType;
}

/** The header of an export. */
export interface ParsedHeader extends ExportHeader {
  readonly collections: readonly ParsedCollection[];
}

/** @throws InvalidValueError, UsageError for a format that is not known. */
export function parseHeader(text: string): ParsedHeader {
  const told = parsed(text);
  if (told["trellis"] !== "export") wrong("is no header of an export");
  const format = count(told["format"], "format");
  if (format !== exportFormat) {
    throw new UsageError(
      `the export has format ${format}, and only ${exportFormat} is known here: import it with the ` +
        "version of trellis-state that wrote it, or a later one",
    );
  }
  const collections = list(told["collections"], "collections").map(parseCollection);
  if (collections.length > collectionsMax) wrong(`names more than ${collectionsMax} collections`);
  collections.forEach(({ name }, i) => {
    const before = collections[i - 1];
    if (before && before.name >= name) wrong("has collections out of order");
  });
  const version = string(told["version"], "version");
  const [time, at] = [string(told["time"], "time"), string(told["at"], "at")];
  return { trellis: "export", format, version, time, at, collections };
}

function parseCollection(told: unknown): ParsedCollection {
  const { name, type, keys } = object(told, "a collection");
  const tag = string(type, "type");
  const known = typeOf(tag) ?? storedDocument(tag);
  if (known === undefined) {
    return wrong(`has collection ${JSON.stringify(name)} of unknown type ${tag}`);
  }
  return {
    name: checkKey(name, "the name of a collection"),
    ...{ type: tag, keys: count(keys, "keys"), known },
  };
}

/** Whether a line is the last one; then what it says. @throws InvalidValueError */
export function parseEnding(text: string): ExportEnding | undefined {
  if (!text.startsWith('{"trellis"')) return undefined;
  const told = parsed(text);
  if (told["trellis"] !== "end") return wrong("is no line of an export");
  return {
    trellis: "end",
    lines: count(told["lines"], "lines"),
    keys: count(told["keys"], "keys"),
    sha256: string(told["sha256"], "sha256"),
  };
}

/** A content line of one of `collections`. @throws InvalidValueError */
export function parseContent(
  text: string,
  collections: ReadonlyMap<string, ParsedCollection>,
): ContentLine {
  const { c, k, ...rest } = parsed(text);
  const collection = checkKey(c, "the collection");
  const key = checkKey(k);
  const type = collections.get(collection)?.known;
  if (!type) return wrong(`names collection ${JSON.stringify(c)}, which the header does not`);
  if (isDocumentType(type)) return { collection, key, content: documentOf(rest) };
  if (!isExpiring(type) || !Object.hasOwn(rest, "expiresAtMs")) {
    return { collection, key, content: contentOf(type, rest) };
  }
  const { expiresAtMs, ...content } = rest;
  return {
    ...{ collection, key, content: contentOf(type, content) },
    expiresAtMs: count(expiresAtMs, "deadline"),
  };
}

function contentOf(known: KnownType, told: Parsed): Content {
  const type = plainOf(known);
  const { kind } = type;
  switch (kind) {
    case "counter":
      return { kind, total: integer(only(told, "total")["total"], "total") };
    case "bounded-counter": {
      const value = integer(only(told, "bounded")["bounded"], "bounded");
      const { min, max = Number.MAX_SAFE_INTEGER } = type;
      return value >= min && value <= max ? { kind, value } : wrong("is beyond its bounds");
    }
    case "fenced-register": {
      const { copy, ...guard } = only(told, "copy", "lineage", "version");
      return { kind, copy: copyValue(copy), guard: guardOf(guard) };
    }
    case "unique-claims": {
      const { owner, ...guard } = only(told, "owner", "lineage", "version");
      return { kind, owner: checkKey(owner, "the owner"), guard: guardOf(guard) };
    }
    case "or-map": {
      const entries = items(only(told, "entries")["entries"], "entries");
      return { kind, entries: entries.map((entry) => entryOf(type, entry)) };
    }
    case "rate-window":
      return wrong("has hits, which are not exported");
    default:
      return fieldOf(type, told);
  }
}

function documentOf(told: Parsed): DocumentContent {
  if (Object.hasOwn(told, "updates")) {
    const updates = items(only(told, "updates")["updates"], "updates");
    return { kind: "document", updates: updates.map(bytesOf) };
  }
  const { update, ...rest } = only(told, "update", "part", "parts");
  const bytes = bytesOf(update);
  const [part, parts] = [count(rest["part"], "part"), count(rest["parts"], "number of parts")];
  const isOne = part < parts && bytes.length <= updatePartBytes && parts <= updatePartsMax;
  return isOne ? { kind: "document-part", bytes, part, parts } : wrong("has a part that is none");
}

function bytesOf(told: unknown): Uint8Array {
  const text = string(told, "update");
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0 || bytes.toString("base64") !== text)
    wrong("has an update that is no base64");
  return bytes;
}

function fieldOf({ kind }: FieldType, told: Parsed): FieldContent {
  switch (kind) {
    case "or-set": {
      const elements = items(only(told, "elements")["elements"], "elements");
      return { kind, elements: elements.map((element): Name => checkElement(element)) };
    }
    case "lww-register": {
      const { value, stamp } = only(told, "value", "stamp");
      return { kind, value: copyValue(value), stamp: stampOf(stamp) };
    }
    case "mv-register":
      return { kind, values: items(only(told, "values")["values"], "values").map(stampedOf) };
    case "lww-map":
      return { kind, fields: items(only(told, "fields")["fields"], "fields").map(stampedFieldOf) };
    case "flag":
      return only(told, "on")["on"] === true ? { kind } : wrong("has a flag that is not on");
  }
}

function entryOf(
  { fields }: OrMapType,
  told: unknown,
): readonly [entry: string, field: string, content: FieldContent] {
  const [entry, name, content] = tuple(told, 3, "an entry");
  const field = checkKey(name, "the field");
  const type = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (!type) return wrong(`has field ${JSON.stringify(field)}, which its type does not`);
  return [checkKey(entry, "the entry"), field, fieldOf(type, object(content, "a field"))];
}

function stampedOf(told: unknown): Stamped {
  const [value, stamp] = tuple(told, 2, "a value");
  return [copyValue(value), stampOf(stamp)];
}

function stampedFieldOf(told: unknown): StampedField {
  const [field, value, stamp] = tuple(told, 3, "a field");
  return [checkKey(field, "the field"), copyValue(value), stampOf(stamp)];
}

const guardOf = ({ lineage, version }: Parsed): GuardPosition => ({
  lineage: count(lineage, "lineage"),
  version: count(version, "version"),
});

// What JSON is made of.

function wrong(reason: string): never {
  throw new InvalidValueError(reason, { reason });
}

function parsed(text: string): Parsed {
  try {
    return object(JSON.parse(text), "it");
  } catch (error) {
    if (error instanceof SyntaxError) return wrong(`is no JSON: ${error.message}`);
    throw error;
  }
}

function object(told: unknown, what: string): Parsed {
  if (typeof told !== "object" || told === null || Array.isArray(told)) {
    return wrong(`has ${what === "it" ? "no object" : `${what} that is no object`}`);
  }
  return told as Parsed;
}

/** An object with these names and no others. */
function only(told: Parsed, ...names: readonly string[]): Parsed {
  const given = Object.keys(told);
  const isSame = given.length === names.length && names.every((name) => Object.hasOwn(told, name));
  return isSame ? told : wrong(`has not exactly ${names.join(", ")} under its key`);
}

const list = (told: unknown, what: string): readonly unknown[] =>
  Array.isArray(told) ? (told as readonly unknown[]) : wrong(`has ${what} that are no array`);

function items(told: unknown, what: string): readonly unknown[] {
  const given = list(told, what);
  return given.length > 0 ? given : wrong(`has no ${what}`);
}

function tuple(told: unknown, length: number, what: string): readonly unknown[] {
  const given = list(told, what);
  return given.length === length ? given : wrong(`has ${what} that is not of ${length}`);
}

const string = (told: unknown, what: string): string =>
  typeof told === "string" ? told : wrong(`has a ${what} that is no string`);

const integer = (told: unknown, what: string): number =>
  Number.isSafeInteger(told) ? Number(told) + 0 : wrong(`has a ${what} that is no safe integer`);

function count(told: unknown, what: string): number {
  const given = integer(told, what);
  return given >= 0 ? given : wrong(`has a ${what} below 0`);
}

const stampOf = (told: unknown): number =>
  typeof told === "number" && isTimestamp(told) ? told : wrong("has a stamp that is none");
