/** How a schema's types follow through to all collections that a service uses: the free ones and the guarded ones. */
import type { FencedRegisterType } from "./crdt/fenced-register.ts";
import type { UniqueClaimsType } from "./crdt/unique-claims.ts";
import type { FencedRegisterCollection } from "./escalate/collections/fenced-registers.ts";
import type { UniqueClaimsCollection } from "./escalate/collections/unique-claims.ts";
import type { FreeCollectionOf } from "./store/collections/types.ts";
import type { Schema } from "./store/schema.ts";

/** The collection of a data type. */
export type CollectionOf<T> =
  T extends FencedRegisterType<infer V>
    ? FencedRegisterCollection<V>
    : T extends UniqueClaimsType
      ? UniqueClaimsCollection
      : FreeCollectionOf<T>;

/** A replica's collections, by the names in its schema. */
export type Collections<S extends Schema> = { readonly [N in keyof S]: CollectionOf<S[N]> };
