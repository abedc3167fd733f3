/** Documents whose library is not here: their updates can be moved all the same. */
import {
  type DocumentEngine,
  documentShape,
  type DocumentType,
  isDocumentTag,
} from "../../crdt/document.ts";
import { UsageError } from "../../errors.ts";

/**
 * The type of documents that has this tag; a collection of it can `add` and lists its keys, and opens no document.
 * Undefined if no documents of ours have that tag.
 */
export const storedDocument = (tag: string): DocumentType | undefined =>
  isDocumentTag(tag) ? { kind: "document", tag, shape: documentShape, engine } : undefined;

const engine: DocumentEngine<unknown, unknown> = {
  open: lacking,
  isUpdate: () => false,
  fits: () => true,
  merge: lacking,
  json: lacking,
};

function lacking(): never {
  throw new UsageError("a document can be read only where its library is loaded");
}
