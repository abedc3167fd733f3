/**
 * A config file as a tree in which everything knows its line. YAML 1.2, and so JSON. Anchors, aliases, tags and
 * second documents are not taken: nothing in a config file needs them, and they are how a small file becomes
 * a huge one.
 */
import { open } from "node:fs/promises";
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from "yaml";
import { UsageError } from "../../errors.ts";
import type { Problems } from "./problems.ts";

/** Something that was given for a setting, from wherever. */
export type Given =
  | {
      readonly kind: "scalar";
      readonly where: string;
      readonly value: string | number | boolean | null;
      /** From a flag or a variable: numbers and lists are written as text there. */
      readonly isText?: true;
    }
  | { readonly kind: "list"; readonly where: string; readonly items: readonly Given[] }
  | GivenMap;

/** A map, with the keys in their order. */
export interface GivenMap {
  readonly kind: "map";
  readonly where: string;
  readonly entries: ReadonlyMap<string, { readonly where: string; readonly given: Given }>;
}

/** Bytes of a config file. */
export const configBytesMax: number = 1024 * 1024;

/** @throws UsageError when it is too large or cannot be read */
export async function readConfigFile(path: string): Promise<{ text: string; mode: number }> {
  try {
    await using file = await open(path, "r");
    const { size, mode } = await file.stat();
    if (size > configBytesMax) throw new UsageError(tooLarge(path));
    // What grows meanwhile, or has no size, is not read beyond the bound either.
    const buffer = Buffer.alloc(configBytesMax + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
      if (length > configBytesMax) throw new UsageError(tooLarge(path));
    }
    return { text: buffer.toString("utf8", 0, length), mode };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`the config file ${path} cannot be read: ${reason}`);
  }
}

const tooLarge = (path: string): string =>
  `the config file ${path} has more than ${configBytesMax} bytes`;

/** The tree of `text`; undefined if `problems` were told of something. An empty file is an empty map. */
export function parseConfig(text: string, name: string, problems: Problems): GivenMap | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    version: "1.2",
    // Looked at below: here it takes a time that grows with the square of the keys.
    uniqueKeys: false,
    prettyErrors: false,
    // Nothing is printed of what the document tells by itself; silent would take a second document.
    logLevel: "error",
  });
  const whereOf = (offset: number): string => `${name}:${lines.linePos(offset).line}`;
  for (const { pos, message, code } of [...document.errors, ...document.warnings]) {
    const isDeep = code === "RESOURCE_EXHAUSTION";
    problems.add(whereOf(pos[0]), isDeep ? "it is nested too deeply" : message);
  }
  if (document.errors.length + document.warnings.length > 0) return undefined;
  const { contents } = document;
  if (contents === null) return { kind: "map", where: `${name}:1`, entries: new Map() };
  const reader = new Reader(whereOf, problems);
  const tree = reader.read(contents);
  if (tree?.kind === "map") return tree;
  if (tree) problems.add(tree.where, "a config file is a map of settings");
  return undefined;
}

/** Levels of maps and lists. */
const depthMax = 16;

class Reader {
  readonly #whereOf: (offset: number) => string;
  readonly #problems: Problems;

  constructor(whereOf: (offset: number) => string, problems: Problems) {
    this.#whereOf = whereOf;
    this.#problems = problems;
  }

  /** Undefined when `problems` were told. */
  read(node: Node | null, depth = 0, near = 0): Given | undefined {
    const where = this.#whereOf(node?.range?.[0] ?? near);
    if (node === null) return { kind: "scalar", where, value: null };
    if (isAlias(node) || node.anchor !== undefined) {
      return this.#refuse(where, "anchors (&) and aliases (*) are not taken here");
    }
    if (depth > depthMax) return this.#refuse(where, "it is nested too deeply");
    if (isScalar(node)) return this.#scalar(node.value, where);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.read(item as Node, depth + 1));
      const known = items.filter((item) => item !== undefined);
      return known.length === items.length ? { kind: "list", where, items: known } : undefined;
    }
    return isMap(node) ? this.#map(node.items, where, depth) : this.#refuse(where, "no value");
  }

  #scalar(value: unknown, where: string): Given | undefined {
    switch (typeof value) {
      case "string":
      case "number":
      case "boolean":
        return { kind: "scalar", where, value };
      default:
        return value === null
          ? { kind: "scalar", where, value }
          : this.#refuse(where, "it is neither text nor number, true nor false");
    }
  }

  #map(pairs: readonly Pair[], where: string, depth: number): Given | undefined {
    const entries = new Map<string, { where: string; given: Given }>();
    let isWhole = true;
    for (const { key, value } of pairs) {
      const at = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
      const keyWhere = isScalar(key) ? this.#whereOf(at) : where;
      const name = this.#key(key, keyWhere);
      const given = this.read(value as Node | null, depth + 1, at);
      if (name !== undefined && entries.has(name)) {
        this.#refuse(keyWhere, `${JSON.stringify(name)} stands here twice`);
      }
      if (name === undefined || given === undefined) isWhole = false;
      else entries.set(name, { where: keyWhere, given });
    }
    return isWhole ? { kind: "map", where, entries } : undefined;
  }

  #key(key: unknown, where: string): string | undefined {
    if (isScalar(key) && key.anchor === undefined) {
      if (typeof key.value === "string") return key.value;
      // A collection may be called 42 or true.
      if (key.value !== null && key.source !== undefined) return key.source;
    }
    return this.#refuse(where, "a key is text");
  }

  #refuse(where: string, what: string): undefined {
    this.#problems.add(where, what);
    return undefined;
  }
}
