/** Writes what a line says into a collection whose operations never wait. */
import type { AnyCollection } from "../../any-collection.ts";
import { expireAheadMsMax } from "../../crdt/expiring.ts";
import type { KnownType } from "../../crdt/type-of.ts";
import type { Replica, Schema } from "../../index.ts";
import type { CounterCollection } from "../../store/collections/counters.ts";
import type { FieldHandle } from "../../store/collections/types.ts";
import type { FieldType } from "../../crdt/or-map.ts";
import type { ContentLine, FieldContent, Stamped } from "./format.ts";
import type { RegisterName } from "./value-places.ts";

/** A line to be written. */
export interface Application {
  readonly line: ContentLine;
  /**
   * Takes values that were beside another one, the latest first: who writes all of them overwrites all but
   * the last. Returns what is to be written here, if anything is.
   */
  readonly further: (name: RegisterName, values: readonly Stamped[]) => Stamped | undefined;
}

/** Writes one line. The longest deadline wins: no import shortens the life of what is there. */
export function applyContent(
  replica: Replica<Schema>,
  type: KnownType,
  { line, further }: Application,
): void {
  const opened = replica.collection(line.collection, type);
  const { key, content } = line;
  const longestMs = Math.max(deadlineOf(opened, key), line.expiresAtMs ?? neverMs);
  const isWritten = opened !== undefined && apply(opened, { key, content, further });
  if (!isWritten) {
    throw new Error(`assertion: ${content.kind} in a collection of ${opened?.kind ?? "none"}`);
  }
  if (opened.deadlines && deadlineOf(opened, key) !== longestMs) {
    // Later than a deadline can be is a clock that was wrong: as late as can be is what it meant.
    const latestMs = Date.now() + expireAheadMsMax;
    const atMs = longestMs === neverMs ? neverMs : Math.min(longestMs, latestMs);
    opened.deadlines.expireAt(key, atMs);
  }
}

const neverMs = Number.POSITIVE_INFINITY;

/** As the key has it before a write or after: 0 if it is not there. */
function deadlineOf(opened: AnyCollection | undefined, key: string): number {
  if (opened?.deadlines === undefined || !opened.collection.has(key)) return 0;
  return opened.deadlines.expiresAt(key) ?? neverMs;
}

type Writing = Pick<ContentLine, "key" | "content"> & Pick<Application, "further">;

/** Returns whether the collection is one for such content. */
function apply(opened: AnyCollection, { key, content, further }: Writing): boolean {
  const { kind, collection } = opened;
  if (kind === "counter" && content.kind === kind) count(collection, key, content.total);
  else if (kind === "lww-register" && content.kind === kind) collection.set(key, content.value);
  else if (kind === "mv-register" && content.kind === kind) {
    const own = further({}, content.values);
    if (own) collection.set(key, own[0]);
  } else if (kind === "flag" && content.kind === kind) collection.enable(key);
  else return applyItems(opened, { key, content, further });
  return true;
}

function applyItems(
  { kind, collection }: AnyCollection,
  { key, content, further }: Writing,
): boolean {
  if (kind === "or-set" && content.kind === kind) {
    for (const element of content.elements) collection.add(key, element);
  } else if (kind === "lww-map" && content.kind === kind) {
    for (const [field, value] of content.fields) collection.set(key, field, value);
  } else if (kind === "or-map" && content.kind === kind) {
    for (const [entry, field, held] of content.entries) {
      const handle = collection.entry(key, entry)[field];
      if (handle) fill(handle, held, (values) => further({ entry, field }, values));
    }
  } else return false;
  return true;
}

/** One that was counted and came to 0 is there all the same. */
function count(counters: CounterCollection, key: string, total: number): void {
  if (total >= 0) counters.increment(key, Math.max(1, total));
  if (total <= 0) counters.decrement(key, Math.max(1, -total));
}

function fill(
  handle: FieldHandle<FieldType>,
  content: FieldContent,
  further: (values: readonly Stamped[]) => Stamped | undefined,
): void {
  if (content.kind === "or-set" && "add" in handle) {
    for (const element of content.elements) handle.add(element);
  } else if (content.kind === "flag" && "enable" in handle) {
    handle.enable();
  } else if (content.kind === "lww-map" && "entries" in handle) {
    for (const [field, value] of content.fields) handle.set(field, value);
  } else if ("get" in handle && !("entries" in handle)) {
    if (content.kind === "lww-register") handle.set(content.value);
    else if (content.kind === "mv-register") {
      const own = further(content.values);
      if (own) handle.set(own[0]);
    }
  }
}
