/** A schema: which collections there are, and what each holds. */
import type { DataType } from "../crdt/data-type.ts";
import { SchemaMismatchError, UsageError } from "../errors.ts";
import { checkKey } from "./values.ts";

/** Collections by name. */
export type Schema = Readonly<Record<string, DataType>>;

/** Collections a replica may have, its own and those that peers told it of. */
export const collectionsMax = 1024;

/**
 * Checks a schema as the user wrote it.
 * @throws UsageError when it is not one, InvalidValueError for a name that cannot be.
 */
export function checkSchema(schema: Schema): void {
  if (typeof schema !== "object" || schema === null) throw new UsageError("a schema is an object");
  const names = Object.keys(schema);
  if (names.length > collectionsMax) {
    throw new UsageError(`a schema has at most ${collectionsMax} collections, not ${names.length}`);
  }
  for (const [name, type] of Object.entries(schema)) {
    checkKey(name, "the name of a collection");
    if (typeof type?.tag !== "string" || type.shape === undefined) {
      throw new UsageError(`collection ${JSON.stringify(name)} is no data type`);
    }
  }
}

/** The error for one name with two types. */
export const mismatch = (collection: string, ours: string, theirs: string): SchemaMismatchError =>
  new SchemaMismatchError(
    `collection ${JSON.stringify(collection)} is ${ours} here and ${theirs} there; ` +
      "nothing was joined: give one of them another name",
    { collection, ours, theirs },
  );
