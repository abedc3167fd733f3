/** Makes the collections of a schema over a keyspace. */
import type { DataType } from "../../crdt/data-type.ts";
import type { OrMapType } from "../../crdt/or-map.ts";
import { UsageError } from "../../errors.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Root } from "../nodes.ts";
import type { Schema } from "../schema.ts";
import { CounterCollection } from "./counters.ts";
import { OrMapCollection } from "./entries.ts";
import { FlagCollection } from "./flags.ts";
import { LwwMapCollection } from "./maps.ts";
import { LwwRegisterCollection, MvRegisterCollection } from "./registers.ts";
import { namedMembers } from "./named-members.ts";
import { SetCollection } from "./sets.ts";
import type { FreeCollections } from "./types.ts";

/** A data type as the constructors in `crdt/` make it. */
type KnownType = DataType & { readonly kind?: unknown };

const isOrMap = (type: KnownType): type is OrMapType => type.kind === "or-map";

/** Makes the collection of a type that is not known here; `undefined` if it does not know it either. */
export type OpenOther = (root: Root, type: DataType) => unknown;

/** Makes one collection. @throws UsageError for a type that nobody knows. */
export function openCollection(
  keyspace: Keyspace,
  root: Root,
  type: KnownType,
  other: OpenOther,
): unknown {
  if (isOrMap(type)) return new OrMapCollection(keyspace, root, type);
  switch (type.kind) {
    case "counter":
      return new CounterCollection(keyspace, root);
    case "or-set":
      return new SetCollection(keyspace, root);
    case "lww-register":
      return new LwwRegisterCollection(keyspace, root);
    case "mv-register":
      return new MvRegisterCollection(keyspace, root);
    case "lww-map":
      return new LwwMapCollection(keyspace, root);
    case "flag":
      return new FlagCollection(keyspace, root);
  }
  const collection = other(root, type);
  if (collection !== undefined) return collection;
  throw new UsageError(`collection ${JSON.stringify(root.name)} has unknown type ${type.tag}`);
}

/** The collections of `schema`, which the keyspace was made with; types of others are opened by `other`. */
export function openCollections<const S extends Schema>(
  keyspace: Keyspace,
  schema: S,
  other: OpenOther = () => undefined,
): FreeCollections<S> {
  const collections = Object.entries(schema).map(([name, type]) => {
    const root = keyspace.nodes.root(name);
    if (root === undefined) throw new Error(`assertion: collection ${name} is missing`);
    return [name, openCollection(keyspace, root, type, other)] as const;
  });
  return namedMembers(collections) as FreeCollections<S>;
}
