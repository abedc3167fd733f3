/**
 * Reads a tab-separated access log: time, visitor, method, path, status, bytes, referrer, under a
 * header line that names them. Plain or gzip is told from the first bytes, not from the name.
 *
 * Nothing is believed: a line that is not as it should be ends the reading with its number, before
 * any replica is started.
 */
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { InvalidValueError } from "../../errors.ts";

/** One request to the site. */
export interface Request {
  /** Seconds since the Unix epoch. */
  readonly time: number;
  readonly visitor: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
  /** Empty when the request named none. */
  readonly referrer: string;
}

/** The columns, in their order. */
export const columns: readonly (keyof Request)[] = [
  "time",
  "visitor",
  "method",
  "path",
  "status",
  "bytes",
  "referrer",
];

/** Requests in one run: they are held in memory, and so is the tally. */
export const requestsMax = 2_000_000;

/** Bytes of one line, so that a file without line ends is refused early. */
export const lineBytesMax = 65_536;

/** UTF-8 bytes of a path or visitor: what a key may have. */
const nameBytesMax = 1_024;

/**
 * Reads the requests of a file. O(size) in time and memory.
 * @throws InvalidValueError naming the line that is wrong; the file system's error when the file
 * cannot be read; `signal`'s reason.
 */
export async function readAccessLog(file: string, signal: AbortSignal): Promise<Request[]> {
  await using handle = await open(file);
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
  const isGzip = bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  const raw = handle.createReadStream({ start: 0, autoClose: false });
  return await parseAccessLog(isGzip ? inflate(raw, file) : raw, signal);
}

/** As `readAccessLog`, from the bytes of a log that is not compressed. */
export async function parseAccessLog(
  source: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<Request[]> {
  const requests: Request[] = [];
  let line = 0;
  for await (const text of lines(source)) {
    signal.throwIfAborted();
    line++;
    if (line === 1) checkHeader(text);
    else if (requests.length === requestsMax) {
      throw wrong(line, `comes after ${requestsMax} requests, which is the most for one run`);
    } else requests.push(parseLine(text, line));
  }
  if (line === 0) throw wrong(1, "is missing: the file is empty");
  return requests;
}

/**
 * Reads one line below the header.
 * @param line its number in the file, from 1.
 * @throws InvalidValueError
 */
export function parseLine(text: string, line: number): Request {
  const fields = text.split("\t");
  if (fields.length !== columns.length) {
    throw wrong(line, `has ${fields.length} columns, not ${columns.length}`);
  }
  const [time = "", visitor = "", method = "", path = "", status = "", bytes = "", referrer = ""] =
    fields;
  return {
    time: readInteger(time, { line, column: "time", max: 253_402_300_799 }),
    visitor: readName(visitor, line, "visitor"),
    method: /^[A-Z]{1,32}$/u.test(method)
      ? method
      : refuse(line, "method", method, "is not an HTTP method"),
    path: readName(path, line, "path"),
    status: readInteger(status, { line, column: "status", min: 100, max: 599 }),
    bytes: readInteger(bytes, { line, column: "bytes", max: Number.MAX_SAFE_INTEGER }),
    referrer,
  };
}

function checkHeader(text: string): void {
  const expected = columns.join("\t");
  if (text === expected) return;
  throw wrong(1, `is not the header ${JSON.stringify(expected)} but ${quote(text)}`);
}

interface IntegerRule {
  readonly line: number;
  readonly column: keyof Request;
  readonly min?: number;
  readonly max: number;
}

function readInteger(text: string, { line, column, min = 0, max }: IntegerRule): number {
  const value = /^\d{1,16}$/u.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  return refuse(line, column, text, `is not an integer from ${min} to ${max}`);
}

function readName(text: string, line: number, column: keyof Request): string {
  if (text === "") return refuse(line, column, text, "is empty");
  // Only a long text can have too many bytes.
  if (text.length * 3 > nameBytesMax && Buffer.byteLength(text) > nameBytesMax) {
    return refuse(line, column, text, `is longer than ${nameBytesMax} bytes`);
  }
  return text;
}

/** Splits bytes into lines; a last line end and a carriage return before one are taken off. */
async function* lines(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  let line = 1;
  for await (const chunk of source) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      yield decode(bytes.subarray(start, end), line++);
      start = end + 1;
    }
    rest = bytes.subarray(start);
    if (rest.length > lineBytesMax) throw wrong(line, `is longer than ${lineBytesMax} bytes`);
  }
  if (rest.length > 0) yield decode(rest, line);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Buffer, line: number): string {
  if (bytes.length > lineBytesMax) throw wrong(line, `is longer than ${lineBytesMax} bytes`);
  const end = bytes.at(-1) === 13 ? bytes.length - 1 : bytes.length;
  try {
    return utf8.decode(bytes.subarray(0, end));
  } catch (cause) {
    throw wrong(line, "is not UTF-8", cause);
  }
}

async function* inflate(raw: Readable, file: string): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  raw.once("error", (error) => gunzip.destroy(error));
  try {
    for await (const chunk of raw.pipe(gunzip)) yield chunk as Buffer;
  } catch (cause) {
    throw new InvalidValueError(
      `${file} starts as gzip and cannot be unpacked: ${cause instanceof Error ? cause.message : String(cause)}`,
      { reason: "is not whole gzip", cause },
    );
  } finally {
    raw.destroy();
  }
}

function refuse(line: number, column: keyof Request, text: string, reason: string): never {
  throw wrong(line, `${column} ${quote(text)} ${reason}`);
}

const quote = (text: string): string =>
  JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

const wrong = (line: number, reason: string, cause?: unknown): InvalidValueError =>
  new InvalidValueError(`line ${line}: ${reason}; nothing was replayed`, {
    path: `line ${line}`,
    reason,
    cause,
  });
