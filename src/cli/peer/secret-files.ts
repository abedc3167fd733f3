/** Secrets that stand in files, as orchestrators hand them over. */
import { open } from "node:fs/promises";
import { UsageError } from "../../errors.ts";
import { othersRead } from "./resolve.ts";

/** Bytes of a secret in a file. */
const secretBytesMax = 64 * 1024;

/** Reads secrets, and remembers which files everybody may read. */
export class SecretFiles {
  readonly warnings: string[] = [];

  /**
   * The text without white space around it. `setting` is what names the file.
   * @throws UsageError when it cannot be read, is empty or too large
   */
  async read(setting: string, path: string): Promise<string> {
    const bytes = await this.#bytes(setting, path);
    const text = bytes.toString("utf8").trim();
    if (text === "") throw new UsageError(`${setting}: ${path} is empty`);
    return text;
  }

  /** Notices who may read a file that somebody else reads. Says nothing of one that is not there. */
  async look(setting: string, path: string): Promise<void> {
    try {
      await using file = await open(path, "r");
      this.#judge(setting, path, (await file.stat()).mode);
    } catch {
      // Who reads it says so.
    }
  }

  #judge(setting: string, path: string, mode: number): void {
    if ((mode & othersRead) === 0) return;
    this.warnings.push(`${setting}: everybody on this machine may read ${path}`);
  }

  async #bytes(setting: string, path: string): Promise<Buffer> {
    try {
      await using file = await open(path, "r");
      const { mode, size } = await file.stat();
      if (size > secretBytesMax) throw new UsageError(`${setting}: ${path} is too large`);
      this.#judge(setting, path, mode);
      const buffer = Buffer.alloc(secretBytesMax);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError(`${setting}: ${path} cannot be read: ${reason}`);
    }
  }
}
