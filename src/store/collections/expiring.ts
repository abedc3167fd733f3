/** What a collection of any type has more when its keys expire. */
import { expireAheadMsMax, type ExpiringType } from "../../crdt/expiring.ts";
import { UsageError } from "../../errors.ts";
import type { ExpiringKeys } from "./expiring-keys.ts";

/** The handle of one key has these, too. */
export interface ExpiringHandle {
  /**
   * Sets the deadline, in ms since the Unix epoch; `Infinity` for none. Also to an earlier time than the
   * one that is seen here: of concurrent deadlines the longest wins. O(1).
   * @returns whether the key is there; else nothing happens.
   * @throws InvalidValueError for what is no time, or more than ten years ahead.
   */
  expireAt(atMs: number): boolean;
  /** The deadline, in ms since the Unix epoch; undefined if there is none, or no such key. O(1). */
  expiresAt(): number | undefined;
}

interface ExpiringMembers<H> {
  /** As `ExpiringHandle.expireAt`, of one key. */
  expireAt(key: string, atMs: number): boolean;
  /** As `ExpiringHandle.expiresAt`, of one key. */
  expiresAt(key: string): number | undefined;
  /** One key. The handle stays valid for ever. */
  at(key: string): H & ExpiringHandle;
}

/** A collection as it is, whose keys expire. */
export type Expiring<C extends { at(key: string): unknown }> = Omit<C, "at"> &
  ExpiringMembers<ReturnType<C["at"]>>;

/** @throws UsageError when it is no time, or too long. */
export function checkExpiry({ tag, expireAfterMs }: ExpiringType): void {
  const isFinite = Number.isSafeInteger(expireAfterMs) && expireAfterMs > 0;
  if (expireAfterMs === Number.POSITIVE_INFINITY) return;
  if (isFinite && expireAfterMs <= expireAheadMsMax) return;
  throw new UsageError(
    `expireAfterMs of ${tag} is an integer from 1 to ${expireAheadMsMax}, or Infinity, not ${expireAfterMs}`,
  );
}

/** Gives a collection over such keys what it has more. */
export function withExpiry<C extends { at(key: string): object }>(
  collection: C,
  keys: ExpiringKeys,
): C & ExpiringMembers<object> {
  const handle = collection.at.bind(collection);
  return Object.assign(collection, {
    expireAt: (key: string, atMs: number) => keys.expireAt(key, atMs),
    expiresAt: (key: string) => keys.expiresAt(key),
    at: (key: string) =>
      Object.assign(handle(key), {
        expireAt: (atMs: number) => keys.expireAt(key, atMs),
        expiresAt: () => keys.expiresAt(key),
      }),
  });
}
