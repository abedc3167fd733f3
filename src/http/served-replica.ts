/** What an HTTP service needs of a replica, and of a collection that it serves. */
import type { AnyCollection, CollectionEntry } from "../any-collection.ts";
import type { DataType } from "../crdt/data-type.ts";
import type { HttpHandler } from "../door.ts";
import type { Activity } from "../insight/activity.ts";
import type { LastStop } from "../last-stop.ts";
import type { ReplicaStatus } from "../replica-status.ts";
import type { WaitOptions } from "../store/waiting.ts";
import type { Watcher, WatchOptions } from "../store/watch.ts";
import type { AcknowledgedOptions } from "../versions.ts";

/** A replica, as far as it is served. See `Replica` for each. */
export interface ServedReplica {
  serve(handler: HttpHandler): void;
  transact<T>(writes: () => T): T;
  version(): string;
  written(): string;
  waitFor(version: string, options?: WaitOptions): Promise<void>;
  acknowledged(version: string, options: AcknowledgedOptions): Promise<void>;
  synced(options?: WaitOptions): Promise<void>;
  watch(collection: string, options?: WatchOptions): Watcher;
  status(): ReplicaStatus;
  readonly activity: Activity;
  collection(name: string, type?: DataType): AnyCollection | undefined;
  inventory(): CollectionEntry[];
  readonly lastStop: LastStop;
}

/** Collections of the service itself: hidden, and refused to clients. */
export const isReserved = (name: string): boolean => name.startsWith("trellis/");
