/**
 * Documents in an export: their updates as they stand under the key, each in base64. The library is not needed, so
 * neither does anybody look what is in them.
 */
import type { DocumentType } from "../../crdt/document.ts";
import { UpdateSlots } from "../../store/documents/update-slots.ts";
import type { Keyspace } from "../../store/keyspace.ts";
import type { Root } from "../../store/nodes.ts";
import { type ContentLine, type DocumentContent, updatePartBytes } from "./format.ts";

/** What the lines of a document hold, behind `open`. Memory: the document. */
export function* documentLines(
  { keyspace, root, type }: DocumentsExported,
  key: string,
): Generator<DocumentContent> {
  let updates: Uint8Array[] = [];
  let bytes = 0;
  for (const update of new UpdateSlots(keyspace, root, key, type.engine).read()) {
    if (update.length > updatePartBytes) {
      yield* partsOf(update);
      continue;
    }
    updates.push(update);
    bytes += update.length;
    if (bytes < updatePartBytes) continue;
    yield { kind: "document", updates };
    [updates, bytes] = [[], 0];
  }
  if (updates.length > 0) yield { kind: "document", updates };
}

/** A collection of them. */
export interface DocumentsExported {
  readonly keyspace: Keyspace;
  readonly root: Root;
  readonly type: DocumentType;
}

function* partsOf(update: Uint8Array): Generator<DocumentContent> {
  const parts = Math.ceil(update.length / updatePartBytes);
  for (let part = 0; part < parts; part++) {
    const from = part * updatePartBytes;
    const bytes = update.subarray(from, from + updatePartBytes);
    yield { kind: "document-part", bytes, part, parts };
  }
}

/** A line of a document. */
export interface DocumentLine extends ContentLine {
  readonly content: DocumentContent;
}

/** Whether it is one. */
export const isDocumentLine = (line: ContentLine): line is DocumentLine =>
  line.content.kind === "document" || line.content.kind === "document-part";

/** All that an export has of a document. */
export interface WholeDocument {
  readonly line: ContentLine;
  readonly updates: readonly Uint8Array[];
}

/** Puts documents together from their lines, which follow each other. Memory: one document. */
export class DocumentLines {
  #line: DocumentLine | undefined;
  #updates: Uint8Array[] = [];
  #parts: Uint8Array[] = [];

  /** Takes in a line; returns the document before it, if this is the first of another one. */
  take(line: DocumentLine): WholeDocument | undefined {
    const isSame = line.key === this.#line?.key && line.collection === this.#line.collection;
    const before = isSame ? undefined : this.end();
    this.#line = line;
    const { content } = line;
    if (content.kind === "document") this.#updates.push(...content.updates);
    else {
      this.#parts.push(content.bytes);
      if (content.part === content.parts - 1) {
        this.#updates.push(Buffer.concat(this.#parts));
        this.#parts = [];
      }
    }
    return before;
  }

  /** No more lines of it follow: returns it, if there is one. */
  end(): WholeDocument | undefined {
    const [line, updates] = [this.#line, this.#updates];
    this.#line = undefined;
    this.#updates = [];
    return line && { line, updates };
  }
}
