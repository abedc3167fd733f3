/** The way in. */
import { Replica } from "./replica.ts";
import { checkOptions, type ReplicaOptions } from "./replica-options.ts";
import type { Schema } from "./store/schema.ts";

/**
 * Opens a replica. Resolves when its storage is read and its port listens; never waits for a peer.
 * @throws UsageError, InvalidValueError for wrong options; StorageError, CorruptStorageError,
 * SchemaMismatchError for what is stored; the cause when the port cannot be bound.
 */
export async function openReplica<const S extends Schema>(
  options: ReplicaOptions<S>,
): Promise<Replica<S>> {
  checkOptions(options);
  const replica = new Replica(options);
  await replica.start();
  return replica;
}
