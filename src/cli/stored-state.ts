/** What a directory holds, in memory: read from a copy of what may change, and nothing is written. */
import { systemEnvironment } from "../environment.ts";
import { Keyspace } from "../store/keyspace.ts";
import type { KnownPeer } from "../store/known-peer.ts";
import { restore } from "../store/restore.ts";
import { levelStorage } from "../store/storage/level.ts";

/** The state in a directory. */
export interface StoredState {
  readonly keyspace: Keyspace;
  /** As far as they were when that was last written. */
  readonly peers: readonly KnownPeer[];
  readonly location: string;
  /** Bytes on the disk. */
  readonly bytes: number;
  /** Bytes of the last write, which a crash tore. */
  readonly tornBytes: number;
}

/** Reads it; a directory that a process has open is refused. @throws StorageError, CorruptStorageError */
export async function readStoredState(directory: string): Promise<StoredState> {
  const environment = systemEnvironment;
  const engine = await levelStorage(directory).open({ readOnly: true });
  try {
    const keyspace = new Keyspace({ schema: {}, environment });
    const { peers } = await restore({ keyspace, engine, environment });
    const { location, tornBytes } = engine;
    return { keyspace, peers, location, tornBytes, bytes: await engine.size() };
  } finally {
    await engine.close();
  }
}
