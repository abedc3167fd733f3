/**
 * A store that may be read without a change to the original. LevelDB cannot open one read-only: it
 * moves the logs into tables and deletes files. So it is given a directory of its own, with links to
 * the tables, which it never changes, and copies of the small rest.
 */
import { copyFile, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LiveFiles } from "./level-files.ts";
import type { LogFindings } from "./level-log.ts";

/** Where the copy is. */
export interface StoreCopy {
  readonly directory: string;
  /** Deletes it. The original stays. */
  remove(): Promise<void>;
}

/** Copies a store as far as its logs are good. */
export async function copyStore(
  records: string,
  { manifest, tables, logs }: LiveFiles,
  { keep }: LogFindings,
): Promise<StoreCopy> {
  const directory = await mkdtemp(join(tmpdir(), "trellis-read-"));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    for (const name of ["CURRENT", manifest]) {
      await copyFile(join(records, name), join(directory, name));
    }
    for (const name of tables) {
      const original = join(records, name);
      // Not every system lets everybody make links.
      await symlink(original, join(directory, name)).catch(() =>
        copyFile(original, join(directory, name)),
      );
    }
    for (const [at, { name, bytes }] of logs.entries()) {
      await writeFile(join(directory, name), bytes.subarray(0, keep[at]));
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return { directory, remove };
}
