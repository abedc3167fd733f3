/** What went wrong below, as an error of ours. */
import { ClosedError, CorruptStorageError, StorageError, UsageError } from "../../errors.ts";

/** The innermost code: LevelDB's, or the operating system's. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return codeOf(error.cause) ?? code;
}

/** The innermost message. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : messageOf(error.cause);
}

/** An error of Trellis as it is, another one as a StorageError, or a CorruptStorageError, that it caused. */
export function asStorageError(error: unknown, directory: string): Error {
  if (!(error instanceof Error)) return new StorageError(String(error), { path: directory });
  if (error instanceof StorageError || error instanceof CorruptStorageError) return error;
  if (error instanceof ClosedError || error instanceof UsageError) return error;
  const message = messageOf(error);
  if (codeOf(error) === "LEVEL_CORRUPTION") {
    const remedy = `\`trellis repair ${directory}\` rebuilds the replica from its peers`;
    return new CorruptStorageError(
      `${directory} is damaged: ${message}. Nothing was loaded. ${remedy}`,
      { path: directory, cause: error },
    );
  }
  const isFull = /ENOSPC|EDQUOT|No space left|quota exceeded/iu.test(message);
  return new StorageError(
    isFull
      ? `${directory}: the disk is full; what was to be written is not there. Free some space, and later writes succeed`
      : `${directory}: ${message}`,
    { path: directory, cause: error },
  );
}
