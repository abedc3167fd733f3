/**
 * A file that is to be imported. It is read twice: once to check every line, so that nothing is written of
 * a file that is cut, damaged or wrong, and once to write it.
 */
import { type FileHandle, open } from "node:fs/promises";
import { InvalidValueError } from "../../errors.ts";
import { compareNames } from "../../store/compare/canonical-order.ts";
import { ExportFileError } from "./export-file-error.ts";
import type { Content, ContentLine, ExportEnding } from "./format.ts";
import {
  parseContent,
  type ParsedCollection,
  parseEnding,
  type ParsedHeader,
  parseHeader,
} from "./parse.ts";
import { severalIn, ValuePlaces } from "./value-places.ts";
import { type FileLine, readLines } from "./read-lines.ts";

/** A content line, and which it is. */
export interface NumberedLine extends ContentLine {
  /** From 1 on. */
  readonly number: number;
}

/** What a whole export came to. */
export interface CheckedExport {
  readonly header: ParsedHeader;
  readonly ending: ExportEnding;
  /** Values that the register with most of them holds at once. */
  readonly concurrent: number;
}

/** An export that is open for reading. */
export class ExportFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** @throws ExportFileError */
  static async open(path: string): Promise<ExportFile> {
    const file = await open(path);
    const isFile = (await file.stat()).isFile();
    if (isFile) return new ExportFile(path, file);
    await file.close();
    // A pipe has no second time.
    throw new ExportFileError(`${path} is no file: an export is read twice`);
  }

  /** Reads and checks all of it. @throws ExportFileError naming the line. */
  async check(): Promise<CheckedExport> {
    let header: ParsedHeader | undefined;
    let concurrent = 0;
    const places = new ValuePlaces();
    const reading = this.read((found) => (header = found));
    for (;;) {
      const { done, value } = await reading.next();
      if (done === true) {
        if (header === undefined) throw new Error("assertion: an export without a header was read");
        return { header, ending: value, concurrent };
      }
      places.at(value);
      for (const [name, count] of severalIn(value.content)) {
        concurrent = Math.max(concurrent, places.take(name, count) + count);
      }
    }
  }

  /**
   * The content, line by line, checked as it comes; returns the last line. `onHeader` is called before.
   * @throws ExportFileError naming the line.
   */
  async *read(
    onHeader: (header: ParsedHeader) => void,
  ): AsyncGenerator<NumberedLine, ExportEnding> {
    const reading = new Reading();
    for await (const line of readLines(this.#file)) {
      const found = this.#named(line, () => reading.take(line));
      if (found === undefined) continue;
      if (found.kind === "header") onHeader(found.header);
      else yield found.line;
    }
    if (reading.ending) return reading.ending;
    const what = reading.isBegun ? "it was cut: its last line is missing" : "it is empty";
    throw new ExportFileError(`${this.path} is no whole export: ${what}`);
  }

  #named<T>({ number }: FileLine, take: () => T): T {
    try {
      return take();
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      // What is said of values ends with what became of them.
      const reason = error.message.replace("; nothing was changed", "");
      const message = `${this.path}: line ${number}: ${reason}`;
      throw new ExportFileError(message, { line: number, cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

type Found =
  | { readonly kind: "header"; readonly header: ParsedHeader }
  | { readonly kind: "content"; readonly line: NumberedLine };

/** One time through a file. */
class Reading {
  readonly #collections = new Map<string, ParsedCollection>();
  #isBegun = false;
  #ending: ExportEnding | undefined;
  #lines = 0;
  #keys = 0;
  #last: ContentLine | undefined;

  /** Whether there was a header. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** The last line, once it came. */
  get ending(): ExportEnding | undefined {
    return this.#ending;
  }

  /** @throws InvalidValueError */
  take(line: FileLine): Found | undefined {
    const { text, number } = line;
    if (!this.#isBegun) {
      const header = parseHeader(text);
      this.#isBegun = true;
      for (const collection of header.collections) {
        this.#collections.set(collection.name, collection);
      }
      return { kind: "header", header };
    }
    if (this.#ending) throw refused("comes after the last one");
    const ending = parseEnding(text);
    if (ending) return void (this.#ending = this.#checked(ending, line));
    const content = parseContent(text, this.#collections);
    this.#count(content);
    return { kind: "content", line: { ...content, number } };
  }

  #checked(ending: ExportEnding, { digestBefore }: FileLine): ExportEnding {
    if (isCut(this.#last)) throw refused("comes before the last part of an update");
    if (ending.sha256 !== digestBefore()) throw refused("has the digest of other lines before it");
    if (ending.lines !== this.#lines || ending.keys !== this.#keys) {
      throw refused("has other counts than the lines before it");
    }
    return ending;
  }

  #count(content: ContentLine): void {
    const last = this.#last;
    const order = last
      ? compareNames(content.collection, last.collection) || compareNames(content.key, last.key)
      : 1;
    if (order < 0) throw refused("is out of order");
    if (!isInSequence(content, order === 0 ? last : undefined)) {
      throw refused("is not the part of an update that has to follow");
    }
    if (order !== 0 && isCut(last)) throw refused("comes before the last part of an update");
    if (order === 0 && !mayGoOn(content)) throw refused("has the key of the line before");
    if (order !== 0) this.#keys++;
    this.#lines++;
    this.#last = content;
  }
}

const mayGoOn = ({ content: { kind } }: ContentLine): boolean => goesOn.has(kind);

/** Of which more lines of the same key may follow. */
const goesOn: ReadonlySet<Content["kind"]> = new Set<Content["kind"]>([
  ...(["or-set", "lww-map", "mv-register", "or-map"] as const),
  ...(["document", "document-part"] as const),
]);

/** Whether the parts of an update follow each other; `last` is the line before, if it has the same key. */
function isInSequence({ content }: ContentLine, last: ContentLine | undefined): boolean {
  if (last === undefined || !isCut(last)) {
    return content.kind !== "document-part" || content.part === 0;
  }
  const { content: before } = last;
  if (content.kind !== "document-part" || before.kind !== "document-part") return false;
  return content.part === before.part + 1 && content.parts === before.parts;
}

/** Whether it is a part of an update, of which more parts have to follow. */
const isCut = (line: ContentLine | undefined): boolean =>
  line?.content.kind === "document-part" && line.content.part < line.content.parts - 1;

const refused = (reason: string): InvalidValueError => new InvalidValueError(reason, { reason });
