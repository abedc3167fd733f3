/**
 * The command `trellis export`: what a replica holds as JSON lines, for backups that keep no actor and no
 * rights. All lines are of one version vector.
 */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { isDocumentTag } from "../crdt/document.ts";
import { plainOf, typeOf } from "../crdt/type-of.ts";
import type { Keyspace } from "../store/keyspace.ts";
import { versionToken } from "../store/version-token.ts";
import { ExportContent } from "./backup/content.ts";
import {
  type ExportedCollection,
  type ExportEnding,
  exportFormat,
  type ExportHeader,
} from "./backup/format.ts";
import { readLiveState } from "./backup/live-state.ts";
import { type DialOptions, dialTarget } from "./dialing.ts";
import { isUrl } from "./flags.ts";
import { packageVersion } from "./package-version.ts";
import { readStoredState } from "./stored-state.ts";
import { quoted, shown, table } from "./table.ts";

/** The options of `trellis export`. */
export interface ExportCommandOptions extends DialOptions {
  /** Omitted: standard output. Compressed if it ends in `.gz`. */
  readonly out?: string;
  /** The longest to wait for a live peer, in seconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

/** What was exported. */
export interface Exported {
  readonly from: string;
  /** Absent: standard output. */
  readonly to?: string;
  /** What the source held, as `waitFor` takes it. */
  readonly at: string;
  readonly collections: readonly ExportedCollection[];
  /** Collections of types that this version does not know: they are not in the export. */
  readonly notExported: readonly ExportedCollection[];
  /** Rate windows: what they hold is of the moment, so it is left out. */
  readonly leftOut: readonly ExportedCollection[];
  readonly keys: number;
  readonly lines: number;
  readonly sha256: string;
}

/**
 * Exports, and says what was exported: on standard output, or on standard error if the lines went there.
 * Returns whether all collections were.
 * @throws as `exportReplica`
 */
export async function exportCommand(
  place: string,
  options: ExportCommandOptions,
): Promise<boolean> {
  const { out, json = false } = options;
  const exported = await exportReplica(place, options);
  const text = json ? JSON.stringify(exported, undefined, 2) : described(exported);
  (out === undefined ? process.stderr : process.stdout).write(`${text}\n`);
  return exported.notExported.length === 0;
}

/**
 * Exports a directory that is not open, or a live peer.
 * @throws UsageError, WaitTimeoutError of a peer; StorageError, CorruptStorageError of a directory.
 */
export async function exportReplica(
  place: string,
  options: ExportCommandOptions,
): Promise<Exported> {
  const { out } = options;
  const keyspace = await stateOf(place, options);
  const content = new ExportContent(keyspace);
  const at = versionToken(keyspace);
  const collections = content.collections();
  const header: ExportHeader = {
    ...{ trellis: "export", format: exportFormat, version: packageVersion() },
    ...{ time: new Date().toISOString(), at, collections },
  };
  const writing = new Writing(header, content);
  if (out === undefined) await pipeline(source(writing), process.stdout, { end: false });
  else await toFile(writing, out);
  return {
    from: place,
    ...(out !== undefined && { to: out }),
    ...{ at, collections, notExported: content.unknown, leftOut: content.passing },
    ...writing.ending,
  };
}

async function stateOf(place: string, options: ExportCommandOptions): Promise<Keyspace> {
  if (!isUrl(place)) return (await readStoredState(place)).keyspace;
  return await readLiveState({
    target: dialTarget(place, options),
    name: "trellis export",
    timeoutMs: options.timeout * 1_000,
  });
}

/** All lines of one export, in the order of the file. */
class Writing {
  readonly #header: ExportHeader;
  readonly #content: ExportContent;
  readonly #hash = createHash("sha256");
  #lines = 0;
  #keys = 0;
  #sha256 = "";

  constructor(header: ExportHeader, content: ExportContent) {
    this.#header = header;
    this.#content = content;
  }

  /** What the last line says; there once all lines were taken. */
  get ending(): Omit<ExportEnding, "trellis"> {
    return { lines: this.#lines, keys: this.#keys, sha256: this.#sha256 };
  }

  *lines(): Generator<string> {
    yield this.#hashed(JSON.stringify(this.#header));
    for (const { line, isFirst } of this.#content.lines()) {
      this.#lines++;
      if (isFirst) this.#keys++;
      yield this.#hashed(line);
    }
    this.#sha256 = this.#hash.digest("hex");
    yield `${JSON.stringify({ trellis: "end", ...this.ending })}\n`;
  }

  #hashed(line: string): string {
    const ended = `${line}\n`;
    this.#hash.update(ended);
    return ended;
  }
}

const source = (writing: Writing): Readable => Readable.from(writing.lines(), { objectMode: true });

/** The file has its name only once it is whole, and on the disk. */
async function toFile(writing: Writing, path: string): Promise<void> {
  const unfinished = `${path}.part`;
  try {
    const target = createWriteStream(unfinished, { flush: true });
    if (path.endsWith(".gz")) await pipeline(source(writing), createGzip(), target);
    else await pipeline(source(writing), target);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

const nameLengthShown = 60;

function described(exported: Exported): string {
  const { from, to = "standard output", collections, notExported, leftOut } = exported;
  const { keys, lines } = exported;
  const rows = collections.map(({ name, type, keys: held }) => [
    ...[quoted(name, nameLengthShown), shortType(type), held],
    noteOf(type),
  ]);
  return [
    `${from} to ${to}: ${shown(keys)} keys in ${shown(lines)} lines, as of one moment`,
    table(["collection", "type", "keys", ""], rows),
    ...leftOut.map(
      ({ name }) => `left out: ${quoted(name, nameLengthShown)}, hits that are over soon`,
    ),
    ...notExported.map(
      ({ name, type }) =>
        `NOT exported: ${quoted(name, nameLengthShown)}, whose type ${type} is not known to this version`,
    ),
  ].join("\n");
}

/** Fields of an entry are too many for a table. */
export function shortType(type: string): string {
  const known = type.startsWith("expiring/") ? typeOf(type) : undefined;
  if (known) return `${shortType(plainOf(known).tag)}, expiring`;
  return type.startsWith("or-map/") ? type.replace(/\[.*/u, "[…]") : type;
}

function noteOf(type: string): string {
  if (type.startsWith("bounded-counter/")) return "values as shown here; no rights";
  if (type.startsWith("fenced-register/")) return "copies, which may lag; no guards";
  if (isDocumentTag(type)) return "documents, as their updates";
  return type.startsWith("unique-claims/") ? "copies, which may lag; no guards" : "";
}
