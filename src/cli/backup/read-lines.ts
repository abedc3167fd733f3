/** The lines of an export file, plain or gzip, one at a time, with a digest of all bytes before each. */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { ExportFileError } from "./export-file-error.ts";
import { lineBytesMax } from "./format.ts";

const newline = 0x0a;
const gzipMagic = Buffer.from([0x1f, 0x8b]);

/** One line. */
export interface FileLine {
  /** From 1 on. */
  readonly number: number;
  readonly text: string;
  /** SHA-256 of all bytes before it, in hexadecimal digits; to be asked before the next line is. */
  readonly digestBefore: () => string;
}

/**
 * Reads an open file from its beginning; the file stays open. Memory: one line.
 * @throws ExportFileError for a line that is too long or no UTF-8, and for broken gzip.
 */
export async function* readLines(file: FileHandle): AsyncGenerator<FileLine> {
  const hash = createHash("sha256");
  let number = 0;
  for await (const bytes of splitLines(await contentOf(file))) {
    number++;
    yield { number, text: decoded(bytes, number), digestBefore: () => hash.copy().digest("hex") };
    hash.update(bytes);
  }
}

async function contentOf(file: FileHandle): Promise<AsyncIterable<Buffer>> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
  const source = file.createReadStream({ start: 0, autoClose: false });
  if (bytesRead < 2 || !buffer.equals(gzipMagic)) return source;
  const unzipped = createGunzip();
  source.on("error", (error) => unzipped.destroy(error));
  source.pipe(unzipped);
  return broken(unzipped);
}

async function* broken(unzipped: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* unzipped;
  } catch (cause) {
    if (cause instanceof ExportFileError || !(cause instanceof Error)) throw cause;
    throw new ExportFileError(`the file is cut or damaged: gzip says ${cause.message}`, { cause });
  }
}

/** Lines with their ends; the last one may lack it. */
async function* splitLines(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  let number = 1;
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      parts.push(chunk.subarray(from, end + 1));
      checkLength(length + end + 1 - from, number++);
      yield Buffer.concat(parts);
      [parts, length, from] = [[], 0, end + 1];
    }
    if (from === chunk.length) continue;
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    checkLength(length, number);
  }
  if (length > 0) yield Buffer.concat(parts);
}

function checkLength(bytes: number, line: number): void {
  if (bytes <= lineBytesMax) return;
  throw new ExportFileError(`line ${line} is longer than ${lineBytesMax} bytes`, { line });
}

function decoded(bytes: Buffer, line: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new ExportFileError(`line ${line} is no UTF-8`, { line, cause });
  }
}
