/** How a schema's types follow through to the collections and handles that a service uses. */
import type { Name } from "../../crdt/data-type.ts";
import type {
  CounterType,
  ExpiringType,
  FieldType,
  FieldTypes,
  FlagType,
  LwwMapType,
  LwwRegisterType,
  MvRegisterType,
  OrMapType,
  OrSetType,
  RateWindowType,
} from "../../crdt/index.ts";
import type { DocumentType } from "../../crdt/document.ts";
import type { Schema } from "../schema.ts";
import type { CounterCollection } from "./counters.ts";
import type { DocumentCollection } from "./documents.ts";
import type { OrMapCollection } from "./entries.ts";
import type { Expiring } from "./expiring.ts";
import type { FlagCollection } from "./flags.ts";
import type { LwwMapCollection } from "./maps.ts";
import type { RateWindowCollection } from "./rate-windows.ts";
import type { LwwRegisterCollection, MvRegisterCollection } from "./registers.ts";
import type { SetCollection } from "./sets.ts";

/** The collection of a data type whose operations never wait. */
export type FreeCollectionOf<T> =
  T extends ExpiringType<infer B>
    ? FreeCollectionOf<B> extends infer C extends { at(key: string): unknown }
      ? Expiring<C>
      : never
    : T extends DocumentType<infer D, infer C>
      ? DocumentCollection<D, C>
      : T extends RateWindowType
        ? RateWindowCollection
        : PlainCollectionOf<T>;

type PlainCollectionOf<T> = T extends CounterType
  ? CounterCollection
  : T extends OrSetType<infer E>
    ? SetCollection<E>
    : T extends LwwRegisterType<infer V>
      ? LwwRegisterCollection<V>
      : T extends MvRegisterType<infer V>
        ? MvRegisterCollection<V>
        : T extends LwwMapType<infer V>
          ? LwwMapCollection<V>
          : T extends OrMapType<infer F>
            ? OrMapCollection<F>
            : T extends FlagType
              ? FlagCollection
              : never;

/** The collections of a schema of such types, by their names. */
export type FreeCollections<S extends Schema> = { readonly [N in keyof S]: FreeCollectionOf<S[N]> };

/** A last-writer-wins register in an entry. */
export interface EntryLwwRegister<V> {
  set(value: V): void;
  get(): V | undefined;
  delete(): void;
  has(): boolean;
}

/** A multi-value register in an entry. */
export interface EntryMvRegister<V> {
  set(value: V): void;
  get(): V[];
  delete(): void;
  has(): boolean;
}

/** A set in an entry. */
export interface EntryOrSet<E extends Name> {
  add(element: E): void;
  remove(element: E): void;
  has(element: E): boolean;
  values(): E[];
  size(): number;
  clear(): void;
}

/** A map in an entry. */
export interface EntryLwwMap<V> {
  set(field: string, value: V): void;
  get(field: string): V | undefined;
  has(field: string): boolean;
  delete(field: string): void;
  entries(): [string, V][];
}

/** A flag in an entry. */
export interface EntryFlagField {
  enable(): void;
  disable(): void;
  isEnabled(): boolean;
}

/** The handle of one field. */
export type FieldHandle<T extends FieldType> =
  T extends OrSetType<infer E>
    ? EntryOrSet<E>
    : T extends LwwRegisterType<infer V>
      ? EntryLwwRegister<V>
      : T extends MvRegisterType<infer V>
        ? EntryMvRegister<V>
        : T extends LwwMapType<infer V>
          ? EntryLwwMap<V>
          : T extends FlagType
            ? EntryFlagField
            : never;

/** The fields of one entry. */
export type EntryHandle<F extends FieldTypes> = { readonly [N in keyof F]: FieldHandle<F[N]> };

/** A plain copy of one field. */
export type FieldSnapshot<T extends FieldType> =
  T extends OrSetType<infer E>
    ? readonly E[]
    : T extends LwwRegisterType<infer V>
      ? V | undefined
      : T extends MvRegisterType<infer V>
        ? readonly V[]
        : T extends LwwMapType<infer V>
          ? readonly [string, V][]
          : T extends FlagType
            ? boolean
            : never;

/** A plain copy of one entry. */
export type EntrySnapshot<F extends FieldTypes> = { readonly [N in keyof F]: FieldSnapshot<F[N]> };
