/**
 * Static bearer tokens. Only their digests are kept, so neither a dump of the process nor a file of
 * `tokenSha256` gives one away. Who asks is found by the digest of what it shows: guessing a digest bit by
 * bit, by how long that takes, leads to no token.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Grant, grantOf } from "../access.ts";
import type { Authenticate } from "../door.ts";
import { UsageError } from "../errors.ts";

/** One token, or its digest, and what it lets do. */
export type StaticToken = {
  /** Who shows it, for logs. */
  readonly subject: string;
  readonly tenant?: string;
  /** As `grantOf` reads them. */
  readonly rights: readonly string[];
} & (
  | { readonly token: string }
  /** SHA-256 of the token's bytes, 64 hexadecimal digits. */
  | { readonly tokenSha256: string }
);

/** Tokens at most. */
export const staticTokensMax = 10_000;
/** Of what is shown, in UTF-16 units: what is longer is refused unread. */
export const tokenLengthMax = 1_024;

/** Whether `text` can travel as `Authorization: Bearer` and is no longer than we read. */
export const isToken = (text: string): boolean =>
  text.length <= tokenLengthMax && /^[\w.~+/-]+=*$/u.test(text);

/**
 * Accepts who shows one of `tokens`. What a wrong one costs is one SHA-256 of at most 1,024 characters and
 * one look-up, however many tokens there are.
 * @throws UsageError for a token that cannot be, or stands twice; InvalidValueError for a right that is none.
 */
export function staticTokens(tokens: readonly StaticToken[]): Authenticate {
  if (tokens.length > staticTokensMax) {
    throw new UsageError(`there are ${tokens.length} tokens, at most ${staticTokensMax} allowed`);
  }
  const known = new Map<string, { readonly digest: Buffer; readonly grant: Grant }>();
  for (const entry of tokens) {
    const digest = digestIn(entry);
    const twin = known.get(digest.toString("hex"));
    if (twin) {
      throw new UsageError(`${twin.grant.subject} and ${entry.subject} have the same token`);
    }
    known.set(digest.toString("hex"), { digest, grant: grantOf(whoIs(entry), entry.rights) });
  }
  return ({ token }) => {
    if (token === undefined || token.length > tokenLengthMax) return false;
    const shown = digestOf(token);
    const found = known.get(shown.toString("hex"));
    return found !== undefined && timingSafeEqual(found.digest, shown) && found.grant;
  };
}

const whoIs = ({ subject, tenant }: StaticToken): { subject: string; tenant?: string } =>
  tenant === undefined ? { subject } : { subject, tenant };

function digestIn(entry: StaticToken): Buffer {
  if ("token" in entry) {
    // Not repeated in the message: it is a secret.
    if (isToken(entry.token)) return digestOf(entry.token);
    throw new UsageError(
      `the token of ${entry.subject} is empty, longer than ${tokenLengthMax}, or has more than letters, ` +
        "digits and -._~+/",
    );
  }
  if (/^[\da-f]{64}$/iu.test(entry.tokenSha256)) return Buffer.from(entry.tokenSha256, "hex");
  throw new UsageError(`the tokenSha256 of ${entry.subject} is not 64 hexadecimal digits`);
}

const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest();
