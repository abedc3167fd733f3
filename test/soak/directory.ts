/** What is in a directory. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Bytes of all files below `directory`; those that vanish meanwhile count nothing. */
export async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true });
  const sizes = await Promise.all(
    names.map(async (name) => {
      const entry = await stat(join(directory, name)).catch(() => undefined);
      return entry?.isFile() === true ? entry.size : 0;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
