/** Writing a fenced register by version: what `If-Match` and `If-None-Match` say, and the tags of versions. */
import type { IncomingHttpHeaders } from "node:http";
import type { Expected, FencedVersion } from "../escalate/fenced/operations.ts";
import { Refusal } from "./problem.ts";

/** The tag of a version: `"7"`; with its lineage before it, `"2.7"`, where a store was adopted. */
export const tagOf = ({ lineage, version }: FencedVersion): string =>
  lineage === 1 ? `"${version}"` : `"${lineage}.${version}"`;

/** @throws Refusal for what is no tag of ours. */
function versionOf(tag: string): FencedVersion {
  const [, lineage = "1", version] = /^"(?:(\d{1,15})\.)?(\d{1,15})"$/u.exec(tag.trim()) ?? [];
  if (version !== undefined) return { lineage: Number(lineage), version: Number(version) };
  throw new Refusal(
    "TRELLIS_MALFORMED_REQUEST",
    "If-Match takes one version as an ETag has it, or *; If-None-Match takes *",
  );
}

/** What has to be there for the write. @throws Refusal when nothing is said about it. */
export function expectedBy(headers: IncomingHttpHeaders): Expected {
  const ifMatch = headers["if-match"];
  const ifNoneMatch = headers["if-none-match"];
  if (ifMatch !== undefined && ifNoneMatch === undefined) {
    return ifMatch.trim() === "*" ? "present" : versionOf(ifMatch);
  }
  if (ifNoneMatch?.trim() === "*" && ifMatch === undefined) return "absent";
  if (ifMatch !== undefined || ifNoneMatch !== undefined) return versionOf("");
  throw new Refusal(
    "TRELLIS_PRECONDITION_REQUIRED",
    "a fenced value is written by version: send its ETag as If-Match, or If-None-Match: * where there " +
      "is none; nothing was changed",
  );
}
