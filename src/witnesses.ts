/** Who knows, outside of a replica's storage, how new that is. */
import { noWitness, type Witness } from "./escalate/witness.ts";
import { tmpfsWitness } from "./escalate/witness/tmpfs.ts";
import type { EscrowStorage } from "./escalate/escrow.ts";
import type { ReplicaOptions } from "./replica-options.ts";
import type { Schema } from "./store/schema.ts";
import type { StorageEngine } from "./store/storage.ts";

/** The witness of what a replica keeps; its storage is open. */
export async function witnessOf({
  storage,
  environment,
}: ReplicaOptions<Schema>): Promise<Witness> {
  if (environment?.witness) return environment.witness;
  const isBackend = typeof storage === "object" && "open" in storage;
  if (storage === undefined || isBackend) return noWitness("its storage is no directory");
  const directory = typeof storage === "string" ? storage : storage.directory;
  return tmpfsWitness({ directory });
}

/** Whether somebody answers for it that no copy of the storage runs, and that it is the newest there was. */
export const isExclusive = ({ storage }: ReplicaOptions<Schema>): boolean =>
  typeof storage === "object" && storage.exclusive === true;

/** Where the rights of a durable replica are kept. */
export async function rightsStorageOf(
  options: ReplicaOptions<Schema>,
  engine: StorageEngine,
): Promise<EscrowStorage> {
  return { engine, witness: await witnessOf(options), isExclusive: isExclusive(options) };
}
