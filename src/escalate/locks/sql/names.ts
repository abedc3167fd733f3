/** How the tables of a prefix are called, in databases that allow letters, digits and 63 characters. */
import { createHash } from "node:crypto";

const plain = /^[a-z][a-z0-9_]{0,23}$/u;
const hashed = /_[0-9a-f]{16}$/u;

/**
 * The beginning of the names of all that is stored for a prefix: `trellis` for `trellis/`, and something
 * with a hash for what cannot be written so. Two prefixes never share one.
 */
export function tableName(prefix: string): string {
  const word = prefix.slice(0, -1);
  if (prefix.endsWith("/") && plain.test(word) && !hashed.test(word)) return word;
  const readable = prefix.toLowerCase().replaceAll(/[^a-z0-9]+/gu, "_");
  const hash = createHash("sha256").update(prefix).digest("hex").slice(0, 16);
  return `t${readable.slice(0, 20)}_${hash}`;
}

const keys = new Map<string, Uint8Array>();
/** Hashing takes longer than looking up; when there are more, all are forgotten. */
const keysMax = 1_000;

/** The primary key of a resource: short, whatever its name is. */
export function keyOf(resource: string): Uint8Array {
  const known = keys.get(resource);
  if (known) return known;
  const key = createHash("sha256").update(resource).digest();
  if (keys.size >= keysMax) keys.clear();
  keys.set(resource, key);
  return key;
}
