/** What `trellis peer` ends with: numbers of sysexits.h where there is one, so that a supervisor can tell them apart. */
import { CorruptStorageError, StorageError, UsageError } from "../../errors.ts";

/** The statuses of the command. */
export const peerStatus = {
  ok: 0,
  /** Whatever has no other. */
  failure: 1,
  /** The settings are wrong; starting again does not help. */
  usage: 2,
  /** The port or the directory belongs to somebody else; starting again may help. */
  unavailable: 69,
  /** An error of ours that nobody caught, or no end in time. */
  software: 70,
  /** The disk refuses, or what is on it is damaged. */
  storage: 74,
} as const;

/** What the process ends with after `error` kept it from starting. */
export function peerStatusOf(error: unknown): number {
  if (error instanceof CorruptStorageError) return peerStatus.storage;
  if (error instanceof StorageError) {
    return isInUse(error) ? peerStatus.unavailable : peerStatus.storage;
  }
  if (error instanceof UsageError) {
    return isOfThePort(error.cause) ? peerStatus.unavailable : peerStatus.usage;
  }
  return codeOf(error) === "TRELLIS_INVALID_VALUE" || codeOf(error) === "TRELLIS_SCHEMA_MISMATCH"
    ? peerStatus.usage
    : peerStatus.failure;
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error ? String(error.code) : undefined;

/** Whether the system did not let us listen. */
const isOfThePort = (cause: unknown): boolean =>
  cause instanceof Error && "syscall" in cause && cause.syscall === "listen";

/** Whether another process has the directory: LevelDB says so somewhere below. */
function isInUse(error: unknown): boolean {
  if (codeOf(error) === "LEVEL_LOCKED") return true;
  return error instanceof Error && error.cause !== undefined && isInUse(error.cause);
}
