/** Who is let in, and as whom we come to others: from the settings and the files that they name. */
import { fullGrant } from "../../access.ts";
import { anyOf } from "../../access/any-of.ts";
import { certificateSubjects, type CertificateSubject } from "../../access/certificates.ts";
import { type JwtKey, jwtTokens } from "../../access/jwt.ts";
import { isToken, type StaticToken, staticTokens } from "../../access/tokens.ts";
import type { Authenticate, DialTlsOptions } from "../../door.ts";
import { UsageError } from "../../errors.ts";
import type { PeerOption } from "../../index.ts";
import type { Logger } from "../../telemetry.ts";
import type { CertificateSetting, JoinSetting, TokenSetting } from "./entries.ts";
import { SecretFiles } from "./secret-files.ts";
import type { PeerSettings } from "./settings.ts";

/** A peer to dial, in full. */
export type JoinTarget = Exclude<PeerOption, string>;

/** What secrets and certificates come to. */
export interface Access {
  /** Undefined: everybody is let in. */
  readonly authenticate: Authenticate | undefined;
  readonly joins: readonly JoinTarget[];
  /** What is allowed and not wise. */
  readonly warnings: readonly string[];
}

/** Of a token that can be guessed. */
const shortToken = 16;

/** @throws UsageError for a file that cannot be read, or for what is in it */
export async function openAccess(settings: PeerSettings, logger: Logger): Promise<Access> {
  const files = new SecretFiles();
  const shared = await sharedToken(settings, files);
  const tokens = await Promise.all(
    settings.tokens.map((entry, index) => tokenOf(entry, `tokens[${index}]`, files)),
  );
  const joins = await Promise.all(
    settings.join.map((peer, index) => targetOf(peer, { index, shared, settings, files })),
  );
  for (const path of ["listen.tls.keyFile", "dial.tls.keyFile"] as const) {
    const file = settings[path];
    // One after the other, in the order of the settings.
    if (file !== undefined) await files.look(path, file);
  }
  const ways = [
    ...(shared === undefined ? [] : [sharedWay(shared)]),
    ...(tokens.length === 0 ? [] : [staticTokens(tokens)]),
    ...(settings.certificates.length === 0
      ? []
      : [certificateSubjects(settings.certificates.map(subjectOf))]),
    ...(await jwtWay(settings, { files, logger })),
  ];
  const guessable = [
    shared,
    ...tokens.map((entry) => ("token" in entry ? entry.token : undefined)),
  ];
  const isGuessable = guessable.some((token) => token !== undefined && token.length < shortToken);
  return {
    authenticate: ways.length === 0 ? undefined : anyOf(...ways),
    joins,
    warnings: isGuessable
      ? [...files.warnings, `a token has fewer than ${shortToken} characters and can be guessed`]
      : files.warnings,
  };
}

async function sharedToken(
  settings: PeerSettings,
  files: SecretFiles,
): Promise<string | undefined> {
  const { token, tokenFile } = settings;
  return tokenFile === undefined
    ? token
    : tokenIn(await files.read("tokenFile", tokenFile), "tokenFile");
}

/** Not repeated when it is none: it is a secret. */
function tokenIn(text: string, setting: string): string {
  if (isToken(text)) return text;
  throw new UsageError(`${setting}: what is in the file has more than letters, digits and -._~+/`);
}

/** Whoever has the token of the cluster may do all. */
function sharedWay(token: string): Authenticate {
  const knows = staticTokens([{ subject: "cluster", token, rights: [] }]);
  return (request) => knows(request) !== false && { ...fullGrant, subject: "cluster" };
}

async function tokenOf(
  { subject, tenant, rights, token, tokenFile, tokenSha256 }: TokenSetting,
  setting: string,
  files: SecretFiles,
): Promise<StaticToken> {
  const who = { subject, rights, ...(tenant !== undefined && { tenant }) };
  if (tokenSha256 !== undefined) return { ...who, tokenSha256 };
  if (token !== undefined) return { ...who, token };
  const text = await files.read(`${setting}.tokenFile`, tokenFile ?? "");
  return { ...who, token: tokenIn(text, `${setting}.tokenFile`) };
}

function subjectOf({
  subject,
  tenant,
  rights,
  commonName = "",
  fingerprint256,
}: CertificateSetting): CertificateSubject {
  const who = {
    rights,
    ...(subject !== undefined && { subject }),
    ...(tenant !== undefined && { tenant }),
  };
  return fingerprint256 === undefined ? { ...who, commonName } : { ...who, fingerprint256 };
}

interface Around {
  readonly index: number;
  readonly shared: string | undefined;
  readonly settings: PeerSettings;
  readonly files: SecretFiles;
}

async function targetOf(
  { url, token, tokenFile, tls }: JoinSetting,
  { index, shared, settings, files }: Around,
): Promise<JoinTarget> {
  const setting = `join[${index}].tokenFile`;
  const own =
    tokenFile === undefined ? token : tokenIn(await files.read(setting, tokenFile), setting);
  const shown = own ?? shared;
  const certificates = dialTls(settings, tls);
  return {
    url,
    ...(shown !== undefined && { token: shown }),
    ...(certificates !== undefined && { tls: certificates }),
  };
}

function dialTls(settings: PeerSettings, own: DialTlsOptions = {}): DialTlsOptions | undefined {
  const caFile = own.caFile ?? settings["dial.tls.caFile"];
  const certFile = own.certFile ?? settings["dial.tls.certFile"];
  // A key goes with its own certificate.
  const keyFile = own.certFile === undefined ? settings["dial.tls.keyFile"] : own.keyFile;
  const tls = {
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
    ...(own.serverName !== undefined && { serverName: own.serverName }),
  };
  return Object.keys(tls).length === 0 ? undefined : tls;
}

async function jwtWay(
  settings: PeerSettings,
  { files, logger }: { readonly files: SecretFiles; readonly logger: Logger },
): Promise<Authenticate[]> {
  const issuer = settings["jwt.issuer"];
  const audience = settings["jwt.audience"];
  if (issuer === undefined || audience === undefined) return [];
  const algorithms = settings["jwt.algorithms"];
  const rightsPrefix = settings["jwt.rightsPrefix"];
  const tenantClaim = settings["jwt.tenantClaim"];
  return [
    jwtTokens({
      ...(await keyOf(settings, files)),
      ...{ issuer, audience, logger },
      rightsClaim: settings["jwt.rightsClaim"],
      clockToleranceMs: settings["jwt.clockToleranceMs"],
      ...(algorithms !== undefined && { algorithms }),
      ...(rightsPrefix !== undefined && { rightsPrefix }),
      ...(tenantClaim !== undefined && { tenantClaim }),
    }),
  ];
}

async function keyOf(settings: PeerSettings, files: SecretFiles): Promise<JwtKey> {
  const publicKeyFile = settings["jwt.publicKeyFile"];
  const secretFile = settings["jwt.secretFile"];
  if (secretFile !== undefined) return { secret: await files.read("jwt.secretFile", secretFile) };
  if (publicKeyFile === undefined) return { jwksUrl: settings["jwt.jwksUrl"] ?? "" };
  // It is public: everybody may read it.
  return { publicKey: await new SecretFiles().read("jwt.publicKeyFile", publicKeyFile) };
}
