/** What a bad disk does to a directory of a replica. */
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Changes one byte in the middle of the largest file of records. */
export async function damage(directory: string): Promise<void> {
  const records = join(directory, "records");
  let largest = { path: "", size: 0 };
  for (const name of await readdir(records)) {
    const path = join(records, name);
    const { size } = await stat(path);
    if (/\.(?:log|ldb)$/u.test(name) && size > largest.size) largest = { path, size };
  }
  const bytes = await readFile(largest.path);
  const middle = Math.floor(bytes.length / 3);
  bytes[middle] = (bytes[middle] ?? 0) ^ 0x10;
  await writeFile(largest.path, bytes);
}
