/**
 * What a keyspace holds, as the lines of an export. The keyspace must not change meanwhile: so all lines
 * are of one version vector. Memory: the names that are sorted, and one line.
 */
import { type BoundedCounterType, boundedValue } from "../../crdt/bounded-counter.ts";
import { describeShape, type Name } from "../../crdt/data-type.ts";
import { documentShape, type DocumentType } from "../../crdt/document.ts";
import { isExpiring, neverMs } from "../../crdt/expiring.ts";
import type { FieldType, OrMapType } from "../../crdt/or-map.ts";
import { plainOf, type PlainType, typeOf } from "../../crdt/type-of.ts";
import type { RateWindowType } from "../../crdt/rate-window.ts";
import { KeyspaceFigures } from "../../escalate/escrow/figures.ts";
import { Copies } from "../../escalate/fenced/copies.ts";
import { liveCells } from "../../store/collections/registers.ts";
import { storedDocument } from "../../store/documents/stored-document.ts";
import { compareNames } from "../../store/compare/canonical-order.ts";
import { contentOf, hasExpired, keysShown, lifeIn, lifeSlotOf } from "../../store/expiry/life.ts";
import type { Keyspace } from "../../store/keyspace.ts";
import type { Root } from "../../store/nodes.ts";
import { documentLines } from "./documents.ts";
import { type DocumentContent, type ExportedCollection, lineLengthAim } from "./format.ts";

/** What is exported. Hits are not: they are over before anybody could import them. */
type ExportedType = Exclude<PlainType, RateWindowType> | DocumentType;

/** A collection that is exported. */
interface Known {
  readonly root: Root;
  /** Of what its keys hold. */
  readonly type: ExportedType;
  readonly expires: boolean;
}

/** Tells of one keyspace. */
export class ExportContent {
  readonly #keyspace: Keyspace;
  readonly #known: readonly Known[];
  /** Collections of types that this version does not know: they are not exported. */
  readonly unknown: readonly ExportedCollection[];
  /** Rate windows: they are left out. */
  readonly passing: readonly ExportedCollection[];

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
    const roots = keyspace.nodes.roots.toSorted((a, b) => compareNames(a.name, b.name));
    this.#known = roots.flatMap((root) => {
      const type = typeOf(root.tag);
      const held = type ? plainOf(type) : documentsIn(root);
      if (!held || held.kind === "rate-window") return [];
      return [{ root, type: held, expires: type !== undefined && isExpiring(type) }];
    });
    const those = (isOne: (root: Root) => boolean): ExportedCollection[] =>
      roots.filter(isOne).map(({ name, tag, live }) => ({ name, type: tag, keys: live }));
    this.unknown = those((root) => !typeOf(root.tag) && !documentsIn(root));
    this.passing = those(({ tag }) => typeOf(tag)?.kind === "rate-window");
  }

  /** What is exported, by name. O(keys) of collections that are guarded or expire. */
  collections(): ExportedCollection[] {
    return this.#known.map((known) => ({
      ...{ name: known.root.name, type: known.root.tag, keys: this.#countOf(known) },
    }));
  }

  #countOf({ root, type }: Known): number {
    // Of a value that was deleted there is a copy, too.
    const hasCopies = type.kind === "fenced-register" || type.kind === "unique-claims";
    return hasCopies ? new Copies(this.#keyspace, root).size() : keysShown(this.#keyspace, root);
  }

  /** All content lines, without their ends; with each, whether it is the first of its key. */
  *lines(): Generator<{ readonly line: string; readonly isFirst: boolean }> {
    for (const known of this.#known) {
      const { root, expires } = known;
      const spell = this.#spellerOf(known);
      for (const key of this.#keysOf(root, expires)) {
        let isFirst = true;
        const named = `{"c":${JSON.stringify(root.name)},"k":${JSON.stringify(key)},`;
        const open = expires ? named + this.#deadlineOf(nodeOf(root, String(key))) : named;
        for (const line of spell(String(key), open)) {
          yield { line, isFirst };
          isFirst = false;
        }
      }
    }
  }

  /** Keys that show. Those that have expired may be held for a while. */
  #keysOf(root: Root, expires: boolean): Name[] {
    const names = this.#namesOf(root.keys);
    if (!expires) return names;
    return names.filter((key) => !hasExpired(this.#keyspace, nodeOf(root, String(key))));
  }

  #deadlineOf(node: number): string {
    const { untilMs } = lifeIn(this.#keyspace, lifeSlotOf(this.#keyspace, node));
    return untilMs === 0 || untilMs === neverMs ? "" : `"expiresAtMs":${untilMs},`;
  }

  #spellerOf({ root, type, expires }: Known): (key: string, open: string) => Iterable<string> {
    const held = (key: string): number => {
      const node = nodeOf(root, key);
      return expires ? (contentOf(this.#keyspace, node) ?? 0) : node;
    };
    switch (type.kind) {
      case "counter":
        return (key, open) => [`${open}"total":${this.#keyspace.nodes.total(nodeOf(root, key))}}`];
      case "or-map":
        return (key, open) => this.#entries(type, held(key), open);
      case "bounded-counter":
        return this.#bounded(root, type);
      case "fenced-register":
      case "unique-claims":
        return this.#copies(root, type.kind === "unique-claims" ? "owner" : "copy");
      case "document":
        return (key, open) => this.#updates(root, type, key, open);
      default:
        return (key, open) => this.#field(type, held(key), open);
    }
  }

  #bounded(root: Root, type: BoundedCounterType): (key: string, open: string) => string[] {
    const figures = new KeyspaceFigures(this.#keyspace, root);
    return (key, open) => [`${open}"bounded":${boundedValue(type, figures.totals(key))}}`];
  }

  #copies(root: Root, name: "copy" | "owner"): (key: string, open: string) => string[] {
    const copies = new Copies(this.#keyspace, root);
    return (key, open) => {
      const copy = copies.newest(key);
      if (copy?.value === undefined) return [];
      const { value, lineage, version } = copy;
      const text = JSON.stringify(value);
      return [`${open}"${name}":${text},"lineage":${lineage},"version":${version}}`];
    };
  }

  *#updates(root: Root, type: DocumentType, key: string, open: string): Generator<string> {
    for (const content of documentLines({ keyspace: this.#keyspace, root, type }, key)) {
      yield `${open}${spelled(content)}}`;
    }
  }

  /** What may stand under a key as in a field of an entry. */
  *#field(type: FieldType, node: number, open: string): Generator<string> {
    switch (type.kind) {
      case "or-set": {
        const names = this.#namesOf(this.#childrenOf(node));
        yield* linesOf(`${open}"elements":[`, names, (name) => JSON.stringify(name));
        break;
      }
      case "lww-map": {
        const fields = this.#childrenOf(node);
        yield* linesOf(`${open}"fields":[`, this.#namesOf(fields), (name) => {
          const latest = this.#stamped(fields?.get(name) ?? 0)[0];
          return `[${JSON.stringify(name)},${latest?.value},${latest?.stamp}]`;
        });
        break;
      }
      case "lww-register": {
        const [latest] = this.#stamped(node);
        if (latest) yield `${open}"value":${latest.value},"stamp":${latest.stamp}}`;
        break;
      }
      case "mv-register":
        yield* linesOf(
          `${open}"values":[`,
          this.#stamped(node),
          ({ value, stamp }) => `[${value},${stamp}]`,
        );
        break;
      case "flag":
        yield `${open}"on":true}`;
        break;
    }
  }

  *#entries({ fields }: OrMapType, node: number, open: string): Generator<string> {
    const entries = this.#childrenOf(node);
    yield* linesOf(`${open}"entries":[`, this.#partsOf(fields, entries), (part) => part);
  }

  *#partsOf(
    types: OrMapType["fields"],
    entries: ReadonlyMap<Name, number> | undefined,
  ): Generator<string> {
    for (const entry of this.#namesOf(entries)) {
      const fields = this.#childrenOf(entries?.get(entry) ?? 0);
      for (const field of this.#namesOf(fields)) {
        const type = Object.hasOwn(types, String(field)) ? types[String(field)] : undefined;
        if (type === undefined) continue;
        const named = `[${JSON.stringify(entry)},${JSON.stringify(field)},`;
        for (const part of this.#field(type, fields?.get(field) ?? 0, "{"))
          yield `${named}${part}]`;
      }
    }
  }

  /** The live values of a stamped slot as JSON, the one that wins first. */
  #stamped(node: number): { readonly value: string; readonly stamp: number }[] {
    const { cells } = this.#keyspace;
    return liveCells(this.#keyspace, node).map((cell) => ({
      value: JSON.stringify(cells.payload(cell) ?? null),
      stamp: cells.value(cell),
    }));
  }

  #childrenOf(node: number): ReadonlyMap<Name, number> | undefined {
    return this.#keyspace.nodes.container(node)?.children;
  }

  /** Those under which anything is live, in the canonical order. */
  #namesOf(children: ReadonlyMap<Name, number> | undefined): Name[] {
    const names: Name[] = [];
    for (const [name, node] of children ?? []) if (this.#keyspace.isLive(node)) names.push(name);
    return names.sort(compareNames);
  }
}

/** The node of a key that is there. */
const nodeOf = ({ keys }: Root, key: string): number => keys.get(key) ?? 0;

/** The documents in a collection. Peers may tell a tag with any shape. */
const documentsIn = ({ tag, shape }: Root): DocumentType | undefined => {
  const type = storedDocument(tag);
  const isOne =
    JSON.stringify(describeShape(shape)) === JSON.stringify(describeShape(documentShape));
  return isOne ? type : undefined;
};

function spelled(content: DocumentContent): string {
  if (content.kind === "document") {
    return `"updates":${JSON.stringify(content.updates.map(base64))}`;
  }
  const { bytes, part, parts } = content;
  return `"update":"${base64(bytes)}","part":${part},"parts":${parts}`;
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");

/** Items of a list, in as many lines as it takes. */
function* linesOf<T>(
  open: string,
  items: Iterable<T>,
  spell: (item: T) => string,
): Generator<string> {
  let line = open;
  for (const item of items) {
    line += line === open ? spell(item) : `,${spell(item)}`;
    if (line.length < lineLengthAim) continue;
    yield `${line}]}`;
    line = open;
  }
  if (line !== open) yield `${line}]}`;
}
