/**
 * Any removable type whose keys go by themselves. Who decides that a key has expired, when clocks differ?
 *
 * Nobody who reads. Under each key stands, beside the content, one slot of *life*: "until D", which every
 * write sets anew, or "expired up to E", which a replica writes when D has passed on its clock. Both are
 * ordinary cells, so what is shown is a function of what is held: replicas with the same vector show the
 * same, whatever their clocks say.
 *
 * Meaning: a key shows its content if and only if the latest deadline that no later write of it has seen
 * lies after everything that it is expired up to. So of concurrent deadlines the longest wins, also over
 * an expiry. A write to a key that has expired removes what is seen of it, and begins it anew.
 */
import type { DataType, FieldsShape, LeafShape, Shape } from "./data-type.ts";

/** How to declare a collection whose keys expire. */
export interface ExpiryOptions {
  /**
   * How long a key lives after the last write to it, in ms: a positive integer up to ten years, or
   * `Infinity` for keys that live until `expireAt` gives them a deadline.
   */
  readonly expireAfterMs: number;
}

/** A collection of another type, whose keys expire. */
export interface ExpiringType<B extends DataType = DataType> extends DataType {
  readonly kind: "expiring";
  readonly base: B;
  readonly expireAfterMs: number;
}

/** How far ahead a deadline may lie, in ms: ten years. A mistake in units must not keep a key for ever. */
export const expireAheadMsMax: number = 3_653 * 24 * 60 * 60 * 1_000;

/** The deadline of a key that does not expire. */
export const neverMs: number = Number.MAX_SAFE_INTEGER;

/** Where the content of a key stands, and where its life. */
export const contentName = "content";
export const lifeName = "life";

const lifeShape: LeafShape = { kind: "leaf", payload: "stamped", isAside: true };

const envelope = (content: Shape): FieldsShape => ({
  kind: "fields",
  fields: new Map([
    [contentName, content],
    [lifeName, lifeShape],
  ]),
  isEnvelope: true,
});

const tagStart = "expiring/1";

/**
 * The shape of a type that a peer or a store tells of: what stands beside the content is no content on a
 * replica without the schema either, so all count the same keys.
 */
export function toldShape(tag: string, shape: Shape): Shape {
  if (!tag.startsWith(tagStart) || shape.kind !== "fields") return shape;
  const content = shape.fields.get(contentName);
  const life = shape.fields.get(lifeName);
  const isLife = life?.kind === "leaf" && life.payload === "stamped";
  return content !== undefined && isLife && shape.fields.size === 2 ? envelope(content) : shape;
}

/** The same type, with keys that expire. Replicas need not agree about `expireAfterMs`. */
export const expiring = <B extends DataType>(
  base: B,
  { expireAfterMs }: ExpiryOptions,
): ExpiringType<B> => ({
  kind: "expiring",
  tag: `${tagStart}${JSON.stringify([base.tag])}`,
  shape: envelope(base.shape),
  ...{ base, expireAfterMs },
});

/** Whether the keys of a type expire. */
export const isExpiring = (type: DataType): type is ExpiringType =>
  "kind" in type && type.kind === "expiring";

/** What a cell carries for a deadline, a positive safe integer. */
export const writeUntil = (untilMs: number): number => untilMs;

/** What a cell carries for a key that is expired up to a deadline. */
export const writeExpired = (upToMs: number): number => -upToMs;

/** The deadline that a cell carries; 0 if it carries none. */
export const readUntil = (payload: unknown): number =>
  Number.isSafeInteger(payload) && (payload as number) > 0 ? (payload as number) : 0;

/** Up to where a cell says that its key is expired; 0 if it does not. */
export const readExpired = (payload: unknown): number =>
  Number.isSafeInteger(payload) && (payload as number) < 0 ? -(payload as number) : 0;
