/**
 * What may be a key, an element, a value: checked once where it enters, converted never (but -0,
 * which JSON cannot tell from 0). What is stored is a frozen copy, so no caller can change it later.
 */
import type { Name } from "../crdt/data-type.ts";
import { InvalidValueError } from "../errors.ts";
import { type ByteReader, type ByteWriter, malformed } from "./bytes.ts";

/** Keys, entry keys and map fields, in UTF-8 bytes. */
export const keyBytesMax = 1024;
/** A string element of a set, in UTF-8 bytes. */
export const elementBytesMax: number = 64 * 1024;
/** A register's value as JSON, in UTF-8 bytes. */
export const valueBytesMax: number = 1024 * 1024;
/** Nesting of a register's value. */
export const valueDepthMax = 64;
/** What travels may be a user's value with a few numbers before it, in an array: a copy of a fenced value. */
const wrapping = { depth: 1, bytes: 64 };

/** Any JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

const invalid = (path: string, reason: string): never => {
  throw new InvalidValueError(`${path} ${reason}; nothing was changed`, { path, reason });
};

/** A UTF-16 code unit is at most 3 bytes of UTF-8, so short strings need no count. */
const fits = (text: string, bytesMax: number): boolean =>
  text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax;

function checkText(text: unknown, what: string, bytesMax: number): string {
  if (typeof text !== "string") return invalid(what, `is ${kindOf(text)}, not a string`);
  if (!text.isWellFormed()) return invalid(what, "has a lone surrogate");
  if (!fits(text, bytesMax)) return invalid(what, `is longer than ${bytesMax} bytes`);
  return text;
}

/**
 * A key, entry key or map field as it is.
 * @throws InvalidValueError for anything but a well-formed string of at most 1,024 bytes.
 */
export const checkKey = (key: unknown, what = "the key"): string =>
  checkText(key, what, keyBytesMax);

/**
 * A set element as it is stored: -0 as 0.
 * @throws InvalidValueError for anything but strings up to 64 KiB, finite numbers, booleans, null.
 */
export function checkElement(element: unknown): Name {
  if (typeof element === "string") return checkText(element, "the element", elementBytesMax);
  if (typeof element === "number") {
    return Number.isFinite(element) ? element + 0 : invalid("the element", `is ${element}`);
  }
  if (typeof element === "boolean" || element === null) return element;
  return invalid("the element", `is ${kindOf(element)}, which a set cannot hold`);
}

/**
 * A frozen copy of a JSON value.
 * @throws InvalidValueError for what JSON would drop or convert, beyond 1 MiB or 64 levels.
 */
export function copyValue(value: unknown): Json {
  if (typeof value === "string") return checkText(value, "the value", valueBytesMax - 2);
  if (typeof value === "number" && Number.isFinite(value)) return value + 0;
  if (typeof value === "boolean" || value === null) return value;
  checkJson(value, "value", 0);
  const text = JSON.stringify(value);
  if (!fits(text, valueBytesMax)) invalid("value", `is longer than ${valueBytesMax} bytes of JSON`);
  return freeze(JSON.parse(text) as Json);
}

function checkJson(value: unknown, path: string, depth: number): void {
  if (value === null || typeof value === "boolean") return;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) invalid(path, `is ${value}`);
  } else if (typeof value === "string") {
    if (!value.isWellFormed()) invalid(path, "has a lone surrogate");
  } else if (Array.isArray(value)) {
    checkArray(value, path, depth);
  } else if (typeof value === "object") {
    checkObject(value, path, depth);
  } else {
    invalid(path, `is ${kindOf(value)}`);
  }
}

function checkContainer(value: object, path: string, depth: number): void {
  if (depth >= valueDepthMax) invalid(path, `is nested deeper than ${valueDepthMax}`);
  if ("toJSON" in value) invalid(path, "has a toJSON");
}

function checkArray(value: readonly unknown[], path: string, depth: number): void {
  checkContainer(value, path, depth);
  if (Object.getPrototypeOf(value) !== Array.prototype) {
    invalid(path, `is ${kindOf(value)}, not a plain array`);
  }
  if (Object.keys(value).length !== value.length) invalid(path, "has holes or names besides items");
  for (let i = 0; i < value.length; i++) checkJson(value[i], `${path}[${i}]`, depth + 1);
}

function checkObject(value: object, path: string, depth: number): void {
  checkContainer(value, path, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    invalid(path, `is ${kindOf(value)}, not a plain object`);
  }
  if (Object.getOwnPropertySymbols(value).length > 0) invalid(path, "has a symbol for a name");
  for (const [name, inner] of Object.entries(value)) {
    if (!name.isWellFormed()) invalid(path, "has a name with a lone surrogate");
    checkJson(inner, `${path}.${name}`, depth + 1);
  }
}

function kindOf(value: unknown): string {
  if (value === undefined) return "undefined";
  if (typeof value === "object" && value !== null) {
    return `an instance of ${value.constructor?.name ?? "an unnamed class"}`;
  }
  return `a ${typeof value}`;
}

function freeze(value: Json): Json {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) freeze(inner);
    Object.freeze(value);
  }
  return value;
}

/** About how many bytes the value takes in a frame. */
export function sizeOf(value: Json): number {
  if (typeof value === "string") return value.length;
  return typeof value === "object" && value !== null ? JSON.stringify(value).length : 0;
}

const tags = { null: 0, false: 1, true: 2, positive: 3, negative: 4, double: 5, text: 6, json: 7 };

/** Writes a value so that `readValue` gives it back; equal values give equal bytes. */
export function writeValue(value: Json, into: ByteWriter): void {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) {
      into.byte(value < 0 ? tags.negative : tags.positive);
      into.varint(Math.abs(value));
    } else {
      into.byte(tags.double);
      into.double(value);
    }
  } else if (typeof value === "string") {
    into.byte(tags.text);
    into.text(value);
  } else if (typeof value === "boolean") {
    into.byte(value ? tags.true : tags.false);
  } else if (value === null) {
    into.byte(tags.null);
  } else {
    into.byte(tags.json);
    into.text(JSON.stringify(value));
  }
}

/**
 * Reads a value that is not trusted; frozen.
 * @throws MalformedError for anything that `writeValue` would not have written for a legal value.
 */
export function readValue(from: ByteReader): Json {
  const tag = from.byte();
  if (tag === tags.json) return readJson(from.text(valueBytesMax + wrapping.bytes));
  return readPrimitive(tag, from, valueBytesMax);
}

/** Reads a name that is not trusted and whose tag was read: a value, but no object, no array. */
export const readName = (from: ByteReader, tag: number): Name =>
  readPrimitive(tag, from, elementBytesMax);

function readPrimitive(tag: number, from: ByteReader, bytesMax: number): Name {
  switch (tag) {
    case tags.null:
      return null;
    case tags.false:
      return false;
    case tags.true:
      return true;
    case tags.positive:
      return from.varint();
    case tags.negative: {
      const value = from.varint();
      return value === 0 ? malformed("a negative zero") : -value;
    }
    case tags.double: {
      const value = from.double();
      if (!Number.isFinite(value) || Number.isSafeInteger(value)) malformed(`${value} as a double`);
      return value;
    }
    case tags.text:
      return from.text(bytesMax);
    default:
      return malformed(`value tag ${tag}`);
  }
}

function readJson(text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return malformed("a JSON text of no object");
    checkJson(value, "value", -wrapping.depth);
    return freeze(value as Json);
  } catch (error) {
    return malformed(`a JSON value: ${error instanceof Error ? error.message : "not JSON"}`);
  }
}
