/** Makes the collections of a schema over a keyspace. */
import type { DataType } from "../../crdt/data-type.ts";
import { isDocumentType } from "../../crdt/document.ts";
import { type ExpiringType, isExpiring } from "../../crdt/expiring.ts";
import type { OrMapType } from "../../crdt/or-map.ts";
import type { RateWindowType } from "../../crdt/rate-window.ts";
import { UsageError } from "../../errors.ts";
import type { Lives } from "../expiry/lives.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Root } from "../nodes.ts";
import type { Schema } from "../schema.ts";
import { Upkeep } from "../upkeep.ts";
import { CounterCollection } from "./counters.ts";
import type { ShelfListener } from "../documents/shelf.ts";
import { DocumentCollection } from "./documents.ts";
import { OrMapCollection } from "./entries.ts";
import { checkExpiry, withExpiry } from "./expiring.ts";
import { ExpiringKeys } from "./expiring-keys.ts";
import { FlagCollection } from "./flags.ts";
import { type CollectionKeys, Keys } from "./keys.ts";
import { LwwMapCollection } from "./maps.ts";
import { RateWindowCollection } from "./rate-windows.ts";
import { LwwRegisterCollection, MvRegisterCollection } from "./registers.ts";
import { namedMembers } from "./named-members.ts";
import { SetCollection } from "./sets.ts";
import type { FreeCollections } from "./types.ts";

/** A data type as the constructors in `crdt/` make it. */
type KnownType = DataType & { readonly kind?: unknown };

const isOrMap = (type: KnownType): type is OrMapType => type.kind === "or-map";
const isRateWindow = (type: KnownType): type is RateWindowType => type.kind === "rate-window";

/** Makes the collection of a type that is not known here; `undefined` if it does not know it either. */
export type OpenOther = (root: Root, type: DataType) => unknown;

/** What collections are opened with. */
export interface OpenOptions {
  /** Types of others. */
  readonly other?: OpenOther;
  /** What is due as time passes. Without it, nothing is done about that. */
  readonly upkeep?: Upkeep;
  /** Who is told what is wrong with documents. */
  readonly documents?: ShelfListener;
}

const nobody: ShelfListener = { passedOver: () => undefined, failed: () => undefined };

/** A collection of removable content, over its keys. */
function openRemovable(keys: CollectionKeys, type: KnownType): Removable | undefined {
  if (isOrMap(type)) return new OrMapCollection(keys, type);
  switch (type.kind) {
    case "or-set":
      return new SetCollection(keys);
    case "lww-register":
      return new LwwRegisterCollection(keys);
    case "mv-register":
      return new MvRegisterCollection(keys);
    case "lww-map":
      return new LwwMapCollection(keys);
    case "flag":
      return new FlagCollection(keys);
    default:
      return undefined;
  }
}

type Removable = { at(key: string): object };

function openExpiring(keyspace: Keyspace, root: Root, type: ExpiringType, lives: Lives): unknown {
  checkExpiry(type);
  const keys = new ExpiringKeys({ keyspace, root, type, lives });
  const collection = openRemovable(keys, type.base);
  if (collection !== undefined) return withExpiry(collection, keys);
  const { name } = root;
  throw new UsageError(
    `keys of type ${type.base.tag} cannot expire, as in ${JSON.stringify(name)}`,
  );
}

/** Makes one collection. @throws UsageError for a type that nobody knows. */
export function openCollection(
  keyspace: Keyspace,
  root: Root,
  type: KnownType,
  { other, upkeep = new Upkeep(keyspace), documents = nobody }: OpenOptions,
): unknown {
  if (type.kind === "counter") return new CounterCollection(keyspace, root);
  if (isDocumentType(type)) return new DocumentCollection(keyspace, root, type, documents);
  if (isExpiring(type)) return openExpiring(keyspace, root, type, upkeep.lives);
  if (isRateWindow(type)) return new RateWindowCollection(keyspace, root, type, upkeep.sweep);
  const collection = openRemovable(new Keys(keyspace, root), type) ?? other?.(root, type);
  if (collection !== undefined) return collection;
  throw new UsageError(`collection ${JSON.stringify(root.name)} has unknown type ${type.tag}`);
}

/** The collections of `schema`, which the keyspace was made with. @throws UsageError */
export function openCollections<const S extends Schema>(
  keyspace: Keyspace,
  schema: S,
  given: OpenOptions = {},
): FreeCollections<S> {
  const options: OpenOptions = { upkeep: new Upkeep(keyspace), ...given };
  const collections = Object.entries(schema).map(([name, type]) => {
    const root = keyspace.nodes.root(name);
    if (root === undefined) throw new Error(`assertion: collection ${name} is missing`);
    return [name, openCollection(keyspace, root, type, options)] as const;
  });
  return namedMembers(collections) as FreeCollections<S>;
}
