/**
 * An export: JSON lines, what applications wrote and nothing else. It has no actors, no causality and no
 * rights, so it can be read into any cluster, as new writes; docs/backups.md says what that means.
 *
 *   header    {"trellis":"export","format":1,…}        one
 *   content   {"c":<collection>,"k":<key>,…}           collection by collection, keys in canonical order;
 *                                                      with "expiresAtMs" if the key has a deadline
 *   ending    {"trellis":"end",…,"sha256":…}           one: counts, and a digest of all bytes before it
 *
 * What does not fit into one line goes on in the next ones, with the same collection and key. Pairs stand
 * in arrays, since a field may be called anything. Bytes are in base64.
 */
import type { Name } from "../../crdt/data-type.ts";
import type { Json } from "../../store/values.ts";

/** The format that is written and read. */
export const exportFormat = 1;
/** A line is ended when it is this long, in UTF-16 code units. */
export const lineLengthAim: number = 256 * 1024;
/** The longest line: a value of 1 MiB may take six times as much when it is escaped. */
export const lineBytesMax: number = 16 * 1024 * 1024;

/** Of an update of a document, in bytes: what is longer goes on in the next lines. */
export const updatePartBytes: number = (lineLengthAim / 4) * 3;

/** One collection of an export. */
export interface ExportedCollection {
  readonly name: string;
  /** Name and version of the type, as peers tell it. */
  readonly type: string;
  readonly keys: number;
}

/** The first line. */
export interface ExportHeader {
  readonly trellis: "export";
  readonly format: number;
  /** Of the package that wrote it. */
  readonly version: string;
  /** When, in ISO 8601. */
  readonly time: string;
  /** What the source held, as `waitFor` takes it. */
  readonly at: string;
  readonly collections: readonly ExportedCollection[];
}

/** The last line. */
export interface ExportEnding {
  readonly trellis: "end";
  /** Content lines. */
  readonly lines: number;
  /** Keys. */
  readonly keys: number;
  /** Of every byte before this line, in hexadecimal digits. */
  readonly sha256: string;
}

/** A value and the stamp of its write, `ms * 2048 + n`. */
export type Stamped = readonly [value: Json, stamp: number];
/** The same of a field. */
export type StampedField = readonly [field: string, value: Json, stamp: number];

/** What one field of an entry holds, or a part of that. */
export type FieldContent =
  | { readonly kind: "or-set"; readonly elements: readonly Name[] }
  | { readonly kind: "lww-register"; readonly value: Json; readonly stamp: number }
  | { readonly kind: "mv-register"; readonly values: readonly Stamped[] }
  | { readonly kind: "lww-map"; readonly fields: readonly StampedField[] }
  | { readonly kind: "flag" };

/** Some updates of a document, or a part of one that is too long for a line; its parts follow each other. */
export type DocumentContent =
  | { readonly kind: "document"; readonly updates: readonly Uint8Array[] }
  | {
      readonly kind: "document-part";
      readonly bytes: Uint8Array;
      /** From 0 on. */
      readonly part: number;
      readonly parts: number;
    };

/** What a key holds, or a part of that. */
export type Content =
  | FieldContent
  | DocumentContent
  | { readonly kind: "counter"; readonly total: number }
  | {
      readonly kind: "or-map";
      readonly entries: readonly (readonly [entry: string, field: string, content: FieldContent])[];
    }
  /** The value as it was shown; who holds which rights is not exported. */
  | { readonly kind: "bounded-counter"; readonly value: number }
  /** The copy that the source had of what stands in a guard. */
  | { readonly kind: "fenced-register"; readonly copy: Json; readonly guard: GuardPosition }
  | { readonly kind: "unique-claims"; readonly owner: string; readonly guard: GuardPosition };

/** Which commit a copy is of. */
export interface GuardPosition {
  readonly lineage: number;
  readonly version: number;
}

/** One content line. */
export interface ContentLine {
  readonly collection: string;
  readonly key: string;
  /** When the key expires, in ms since the Unix epoch; absent: never. The same in all lines of a key. */
  readonly expiresAtMs?: number;
  readonly content: Content;
}
