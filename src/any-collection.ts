/** Collections by name: those of the schema, and those that peers brought or that are opened later. */
import type { BoundedCounterType } from "./crdt/bounded-counter.ts";
import type { CounterType } from "./crdt/counter.ts";
import { type DataType, describeShape } from "./crdt/data-type.ts";
import { type DocumentType, isDocumentType } from "./crdt/document.ts";
import { isExpiring } from "./crdt/expiring.ts";
import type { FencedRegisterType } from "./crdt/fenced-register.ts";
import type { FlagType } from "./crdt/flag.ts";
import type { LwwMapType } from "./crdt/lww-map.ts";
import type { LwwRegisterType } from "./crdt/lww-register.ts";
import type { MvRegisterType } from "./crdt/mv-register.ts";
import type { FieldTypes, OrMapType } from "./crdt/or-map.ts";
import type { OrSetType } from "./crdt/or-set.ts";
import type { RateWindowType } from "./crdt/rate-window.ts";
import { isKnownType, type KnownType, plainOf, typeOf } from "./crdt/type-of.ts";
import type { UniqueClaimsType } from "./crdt/unique-claims.ts";
import type { Name } from "./crdt/data-type.ts";
import { UsageError } from "./errors.ts";
import type { BoundedCounterCollection } from "./escalate/collections/bounded-counters.ts";
import type { FencedRegisterCollection } from "./escalate/collections/fenced-registers.ts";
import type { UniqueClaimsCollection } from "./escalate/collections/unique-claims.ts";
import type { CounterCollection } from "./store/collections/counters.ts";
import type { DocumentCollection } from "./store/collections/documents.ts";
import type { OrMapCollection } from "./store/collections/entries.ts";
import type { Expiring } from "./store/collections/expiring.ts";
import type { FlagCollection } from "./store/collections/flags.ts";
import type { LwwMapCollection } from "./store/collections/maps.ts";
import type { RateWindowCollection } from "./store/collections/rate-windows.ts";
import type { LwwRegisterCollection, MvRegisterCollection } from "./store/collections/registers.ts";
import type { SetCollection } from "./store/collections/sets.ts";
import { openCollection, openCollections, type OpenOptions } from "./store/collections/open.ts";
import type { Keyspace } from "./store/keyspace.ts";
import type { Root } from "./store/nodes.ts";
import type { Schema } from "./store/schema.ts";
import { checkKey } from "./store/values.ts";

/** Deadlines of the keys of a collection. */
export type Deadlines = Pick<Expiring<{ at(key: string): object }>, "expireAt" | "expiresAt">;

/** A type and a collection of it. */
interface Of<T extends DataType & { readonly kind: string }, C> {
  readonly kind: T["kind"];
  /** Of what a key holds. */
  readonly type: T;
  /** Of the collection: another one than that of `type` if its keys expire. */
  readonly tag: string;
  readonly collection: C;
  /** The same collection, if its keys expire. */
  readonly deadlines: Deadlines | undefined;
}

/** A collection of whatever type, told apart by the `kind` of what its keys hold. */
export type AnyCollection =
  | Of<CounterType, CounterCollection>
  | Of<OrSetType, SetCollection<Name>>
  | Of<LwwRegisterType, LwwRegisterCollection>
  | Of<MvRegisterType, MvRegisterCollection>
  | Of<LwwMapType, LwwMapCollection>
  | Of<FlagType, FlagCollection>
  | Of<OrMapType, OrMapCollection<FieldTypes>>
  | Of<BoundedCounterType, BoundedCounterCollection>
  | Of<FencedRegisterType, FencedRegisterCollection>
  | Of<UniqueClaimsType, UniqueClaimsCollection>
  | Of<RateWindowType, RateWindowCollection>
  | Of<DocumentType, DocumentCollection>;

/** What a replica holds under one name. */
export interface CollectionEntry {
  readonly name: string;
  readonly tag: string;
  /** Live keys. */
  readonly keys: number;
}

/** What opening needs. */
export interface AnyCollectionsOptions {
  readonly keyspace: Keyspace;
  readonly schema: Schema;
  /** What collections are opened with. */
  readonly opening: OpenOptions;
  /** @throws UsageError where the locks promise too little for the type. */
  readonly accept: (name: string, type: DataType) => void;
}

/** The collections of one replica, by name. */
export class AnyCollections {
  /** Those of the schema, by name. */
  readonly ofSchema: object;
  readonly #options: AnyCollectionsOptions;
  readonly #opened = new Map<string, AnyCollection>();
  /** Collections that were looked at by `follow`. */
  #followed = 0;

  constructor(options: AnyCollectionsOptions) {
    this.#options = options;
    this.ofSchema = openCollections(options.keyspace, options.schema, options.opening);
  }

  /**
   * The collection of that name; undefined if there is none, or of a type that is none of ours. With `type`
   * it is made if there is none.
   * @throws SchemaMismatchError it has another type; UsageError the locks promise too little for it.
   */
  open(name: string, type?: DataType): AnyCollection | undefined {
    const known = this.#opened.get(name);
    if (known && (type === undefined || type.tag === known.tag)) return known;
    const { keyspace, schema, opening, accept } = this.#options;
    const isOurs = Object.hasOwn(schema, name);
    const root = this.#root(name, type);
    const given = isOurs ? schema[name] : (type ?? (root && typeOf(root.tag)));
    if (root === undefined || given === undefined || !isUsable(given)) return undefined;
    if (!hasShapeOf(root, given)) return undefined;
    if (!isOurs) accept(name, given);
    const collection = isOurs
      ? (this.ofSchema as Readonly<Record<string, unknown>>)[name]
      : openCollection(keyspace, root, given, opening);
    const held = isDocumentType(given) ? given : plainOf(given);
    const deadlines = isExpiring(given) ? collection : undefined;
    const { tag } = given;
    const opened = { kind: held.kind, type: held, tag, collection, deadlines } as AnyCollection;
    this.#opened.set(name, opened);
    return opened;
  }

  /**
   * Opens what peers or a store brought and time passes for, so that keys expire and hits go also where
   * no schema names them. O(1) if nothing came, else O(what it holds).
   */
  follow(): void {
    const { roots } = this.#options.keyspace.nodes;
    for (; this.#followed < roots.length; this.#followed++) {
      const root = roots[this.#followed];
      const type = root && typeOf(root.tag);
      if (root && type && (isExpiring(type) || type.kind === "rate-window")) this.open(root.name);
    }
  }

  /** All that is held, also of types that are none of ours. */
  list(): CollectionEntry[] {
    const { keyspace, opening } = this.#options;
    const shown = opening.upkeep?.keys() ?? {};
    return keyspace.nodes.roots.map(({ name, tag, live }) => ({
      ...{ name, tag, keys: shown[name] ?? live },
    }));
  }

  #root(name: string, type: DataType | undefined): Root | undefined {
    const { nodes } = this.#options.keyspace;
    if (type === undefined) return nodes.root(name);
    if (!isUsable(type)) throw new UsageError(`no type of ours has the tag ${type.tag}`);
    return nodes.adopt(checkKey(name, "the name of a collection"), type.tag, type.shape);
  }
}

/** A document comes with what makes it one; no tag could tell that. */
const isUsable = (type: DataType): type is KnownType | DocumentType =>
  isKnownType(type) || isDocumentType(type);

/** Peers tell tags and shapes, and may tell a shape that is not that of the tag. */
const hasShapeOf = ({ shape }: Root, type: DataType): boolean =>
  JSON.stringify(describeShape(shape)) === JSON.stringify(describeShape(type.shape));
