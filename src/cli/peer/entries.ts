/** Settings that are lists of maps: whom to dial, and who may come in as what. */
import { isToken } from "../../access/tokens.ts";
import { grantOf, rightsMax } from "../../access.ts";
import type { DialTlsOptions } from "../../door.ts";
import { InvalidValueError } from "../../errors.ts";
import { eitherMap, file, type Kind, list, record, secret, text, words } from "./kinds.ts";

/** Whom to dial. */
export interface JoinSetting {
  readonly url: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly tls?: DialTlsOptions;
}

/** What somebody may do. */
interface SubjectSetting {
  readonly tenant?: string;
  readonly rights: readonly string[];
}

/** A static token in a file. */
export interface TokenSetting extends SubjectSetting {
  readonly subject: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly tokenSha256?: string;
}

/** A certificate in a file. */
export interface CertificateSetting extends SubjectSetting {
  readonly subject?: string;
  readonly commonName?: string;
  readonly fingerprint256?: string;
}

const isPeerUrl = (value: string): boolean => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isPlain = url?.username === "" && url.password === "" && url.hash === "";
  return isPlain && (url.protocol === "ws:" || url.protocol === "wss:");
};
const peerUrl = text("a URL such as ws://10.0.0.1:7000 or wss://peer.example:7000", isPeerUrl);
/** A bearer token. */
export const tokenText: Kind<string> = secret(
  text("1 to 1,024 letters, digits and -._~+/", isToken),
);

const isRight = (value: string): boolean => {
  try {
    grantOf({ subject: "" }, [value]);
    return true;
  } catch (error) {
    if (error instanceof InvalidValueError) return false;
    throw error;
  }
};
const rights = list(
  text(
    "replicate, replicate-read, observe, read:<collection>[/<prefix>] or write:<collection>[/<prefix>]",
    isRight,
  ),
  rightsMax,
);

/** Whom to dial: a URL, or a map. */
export const joinEntry: Kind<JoinSetting> = eitherMap<string, JoinSetting>(
  peerUrl,
  record<JoinSetting>(
    {
      ...{ url: peerUrl, token: tokenText, tokenFile: file },
      tls: record<DialTlsOptions>(
        { caFile: file, certFile: file, keyFile: file, serverName: words },
        [],
      ),
    },
    ["url"],
  ),
  (url) => ({ url }),
);

const sha256 = text("64 hexadecimal digits", (value) => /^[\da-f]{64}$/iu.test(value));
const fingerprint = text("64 hexadecimal digits, with or without colons", (value) =>
  /^[\da-f]{64}$/iu.test(value.replaceAll(":", "")),
);

/** One entry of `tokens`. */
export const tokenEntry: Kind<TokenSetting> = record<TokenSetting>(
  { subject: words, tenant: words, token: tokenText, tokenFile: file, tokenSha256: sha256, rights },
  ["subject", "rights"],
);
/** One entry of `certificates`. */
export const certificateEntry: Kind<CertificateSetting> = record<CertificateSetting>(
  { commonName: words, fingerprint256: fingerprint, subject: words, tenant: words, rights },
  ["rights"],
);
