/** Which locks a shop escalates to, as processes tell each other. */
import { embeddedLocks } from "../../escalate/locks/embedded.ts";
import type { LockBackend } from "../../escalate/locks.ts";
import { locksOfUrl } from "../locks-url.ts";

/** The locks of one replica. */
export type LocksChoice =
  | { readonly kind: "embedded"; readonly isHost: boolean }
  | { readonly kind: "url"; readonly url: string; readonly isWeak: boolean };

/** Whether these may forget, so that a schema has to accept it by name. */
export const isWeak = (choice: LocksChoice): boolean => choice.kind === "url" && choice.isWeak;

/** @throws UsageError */
export const openLocks = async (choice: LocksChoice): Promise<LockBackend> =>
  choice.kind === "url" ? locksOfUrl(choice.url) : embeddedLocks({ host: choice.isHost });
