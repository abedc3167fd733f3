/**
 * Names in paths. A segment is a name, percent-encoded. One that begins with a bare `@` is what follows
 * it: so `@` alone is the empty name, and `@.` and `@..` are names that URLs would take for folders. A name
 * that itself begins with an at sign is written `%40…`.
 */
import { Refusal } from "./problem.ts";

/** A name as a path has it. */
export function encodeSegment(name: string): string {
  const encoded = encodeURIComponent(name);
  return name === "" || name === "." || name === ".." ? `@${encoded}` : encoded;
}

/** The name that a segment stands for. @throws Refusal when it stands for none. */
export function decodeSegment(segment: string): string {
  const encoded = segment.startsWith("@") ? segment.slice(1) : segment;
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new Refusal(
      "TRELLIS_MALFORMED_REQUEST",
      "a name in the path is not percent-encoded UTF-8",
    );
  }
}

/** A pattern such as `/v1/collections/{collection}/{key}`, taken apart. */
export interface Pattern {
  readonly text: string;
  readonly segments: readonly Segment[];
}

type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "name"; readonly name: string };

/** Takes a pattern apart. */
export function patternOf(text: string): Pattern {
  const segments = text
    .slice(1)
    .split("/")
    .map((segment): Segment => {
      const name = /^\{(\w+)\}$/u.exec(segment)?.[1];
      return name === undefined ? { kind: "literal", text: segment } : { kind: "name", name };
    });
  return { text, segments };
}

/** The raw segments behind the names of a pattern; undefined if the path is another one. O(segments). */
export function match(
  { segments }: Pattern,
  path: readonly string[],
): Readonly<Record<string, string>> | undefined {
  if (segments.length !== path.length) return undefined;
  const found: Record<string, string> = {};
  for (const [i, segment] of segments.entries()) {
    const given = path[i] ?? "";
    if (segment.kind === "name") {
      if (given === "") return undefined;
      found[segment.name] = given;
    } else if (segment.text !== given) return undefined;
  }
  return found;
}
