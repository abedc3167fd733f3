/** What the guards of fenced values are called: one name for each collection and key, and no two alike. */
import { UsageError } from "../../errors.ts";

/** What stands in a guard. */
export type FencedKind = "value" | "claim";

/** Of a collection's name within a resource, in UTF-8 bytes: what is left beside the longest key. */
export const collectionBytesMax = 1_000;

/** The part of a resource's name before the key. @throws UsageError for a name that leaves no room. */
export function resourcePrefix(kind: FencedKind, collection: string): string {
  const escaped = collection.replaceAll("%", "%25").replaceAll("/", "%2F");
  if (Buffer.byteLength(escaped) > collectionBytesMax) {
    throw new UsageError(
      `the name of collection ${JSON.stringify(collection)} is longer than ${collectionBytesMax} ` +
        'bytes ("/" and "%" count three times), so its keys would not fit into a lock backend',
    );
  }
  return `${kind}/${escaped}/`;
}

/** The part of a resource's name before the key, and the key; `undefined` for what is no fenced value. */
export function splitResource(
  resource: string,
): { readonly prefix: string; readonly key: string } | undefined {
  if (!resource.startsWith("value/") && !resource.startsWith("claim/")) return undefined;
  const end = resource.indexOf("/", "value/".length) + 1;
  return end === 0 ? undefined : { prefix: resource.slice(0, end), key: resource.slice(end) };
}
