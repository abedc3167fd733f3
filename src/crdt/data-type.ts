/**
 * What is a data type here? A shape: where its cells hang, and what a cell carries.
 *
 * All types share one causality and one join (`delta-interval.ts`). A *slot* holds one cell for each
 * actor whose write still matters there. What differs between types is only
 *   - the shape: one slot for a key (register, flag, counter), a slot for each element or field, or
 *     a record of such under each entry; and
 *   - how the surviving cells are read (the sum, the latest, all of them, whether there is any).
 * Each type's file states its meaning as a predicate over a happens-before history; the tests hold
 * the code to it.
 */

/** What a cell carries: an actor's running total, nothing at all, or a stamp with a value. */
export type Payload = "sum" | "mark" | "stamped";

/** One slot. */
export interface LeafShape {
  readonly kind: "leaf";
  readonly payload: Payload;
  /** It stands beside the content and is none: a key with nothing else is not there. Not told to peers. */
  readonly isAside?: true;
}

/** Any number of like children, named by set elements or by strings. */
export interface ItemsShape {
  readonly kind: "items";
  readonly names: "element" | "string";
  readonly item: Shape;
  /** The names mean nothing to users: whatever changes below, the key has changed. Not told to peers. */
  readonly isOpaque?: true;
}

/** A fixed record of fields. */
export interface FieldsShape {
  readonly kind: "fields";
  readonly fields: ReadonlyMap<string, Shape>;
  /** What is under a key stands here beside what is aside, one level down. Not told to peers. */
  readonly isEnvelope?: true;
}

export type Shape = LeafShape | ItemsShape | FieldsShape;

/** A replicated data type, as the schema names it and as peers tell it to each other. */
export interface DataType {
  /** Name and version of the meaning, `"or-set/1"`; fields of a record are part of it. */
  readonly tag: string;
  readonly shape: Shape;
}

/** A name below a key: a set element, or a field or entry. */
export type Name = string | number | boolean | null;

export const sumShape: LeafShape = { kind: "leaf", payload: "sum" };
export const markShape: LeafShape = { kind: "leaf", payload: "mark" };
export const stampedShape: LeafShape = { kind: "leaf", payload: "stamped" };

/** Levels of `items` and `fields` in a shape that is accepted from a peer. */
const depthMax = 6;

/** The shape as JSON values: what travels, so that a peer can hold types that it does not know. */
export function describeShape(shape: Shape): unknown {
  switch (shape.kind) {
    case "leaf":
      return shape.payload;
    case "items":
      return { [shape.names]: describeShape(shape.item) };
    case "fields":
      return { fields: [...shape.fields].map(([name, field]) => [name, describeShape(field)]) };
  }
}

/** The shape that `describeShape` told, or undefined for anything else. */
export function parseShape(told: unknown, depth = 0): Shape | undefined {
  if (depth > depthMax) return undefined;
  if (told === "sum") return sumShape;
  if (told === "mark") return markShape;
  if (told === "stamped") return stampedShape;
  if (typeof told !== "object" || told === null) return undefined;
  const [entry, more] = Object.entries(told);
  if (entry === undefined || more !== undefined) return undefined;
  const [kind, inner] = entry as [string, unknown];
  if (kind === "element" || kind === "string") {
    const item = parseShape(inner, depth + 1);
    return item && { kind: "items", names: kind, item };
  }
  return kind === "fields" && Array.isArray(inner) ? parseFields(inner, depth + 1) : undefined;
}

function parseFields(told: readonly unknown[], depth: number): Shape | undefined {
  const fields = new Map<string, Shape>();
  for (const pair of told) {
    if (!Array.isArray(pair) || pair.length !== 2) return undefined;
    const [name, inner] = pair as [unknown, unknown];
    const field = parseShape(inner, depth);
    if (typeof name !== "string" || field === undefined || fields.has(name)) return undefined;
    fields.set(name, field);
  }
  return { kind: "fields", fields };
}
