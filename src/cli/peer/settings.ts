/**
 * Every setting of `trellis peer`, once. Flags, variables, the config file, `--help`, `--print-config` and
 * docs/settings.md all follow from this table.
 */
import { certificateSubjectsMax } from "../../access/certificates.ts";
import { clockToleranceMsMax, type JwtAlgorithm, jwtAlgorithms } from "../../access/jwt.ts";
import { staticTokensMax } from "../../access/tokens.ts";
import { allowedOriginsMax, isOrigin } from "../../door/asked.ts";
import type { FsyncPolicy, Schema } from "../../index.ts";
import { collections } from "./collections.ts";
import {
  certificateEntry,
  type CertificateSetting,
  joinEntry,
  type JoinSetting,
  tokenEntry,
  type TokenSetting,
  tokenText,
} from "./entries.ts";
import {
  choice,
  directory,
  file,
  integer,
  list,
  secret,
  text,
  words,
  yesOrNo,
  yesOrNoOr,
} from "./kinds.ts";
import { type HttpSettings, httpSettings } from "./http-settings.ts";
import { dayMs, type Setting } from "./setting.ts";

/** The words of `log.level`. */
export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";

/** What was settled, by path. */
export interface PeerSettings extends HttpSettings {
  readonly name: string;
  readonly "listen.port": number | undefined;
  readonly "listen.host": string;
  readonly "listen.allowUnauthenticated": boolean;
  readonly "listen.connectionsPerAddressMax": number;
  readonly "listen.allowedOrigins": readonly string[];
  readonly "listen.tls.certFile": string | undefined;
  readonly "listen.tls.keyFile": string | undefined;
  readonly "listen.tls.caFile": string | undefined;
  readonly "listen.tls.requireClientCertificate": boolean;
  readonly "listen.tls.reloadMs": number;
  readonly join: readonly JoinSetting[];
  readonly "dial.tls.caFile": string | undefined;
  readonly "dial.tls.certFile": string | undefined;
  readonly "dial.tls.keyFile": string | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly tokens: readonly TokenSetting[];
  readonly certificates: readonly CertificateSetting[];
  readonly "jwt.issuer": string | undefined;
  readonly "jwt.audience": readonly string[] | undefined;
  readonly "jwt.jwksUrl": string | undefined;
  readonly "jwt.publicKeyFile": string | undefined;
  readonly "jwt.secretFile": string | undefined;
  readonly "jwt.algorithms": readonly JwtAlgorithm[] | undefined;
  readonly "jwt.rightsClaim": string;
  readonly "jwt.rightsPrefix": string | undefined;
  readonly "jwt.tenantClaim": string | undefined;
  readonly "jwt.clockToleranceMs": number;
  readonly "storage.directory": string | undefined;
  readonly "storage.fsync": FsyncPolicy;
  readonly "storage.intervalMs": number;
  readonly "storage.exclusive": boolean;
  readonly "retention.logEntriesMax": number;
  readonly "retention.peerSilentMsMax": number;
  readonly clockAheadMsMax: number;
  readonly "locks.host": boolean;
  readonly "locks.url": string | undefined;
  readonly "locks.urlFile": string | undefined;
  readonly collections: Schema;
  readonly "documents.yjs": boolean | string;
  readonly "documents.automerge": boolean | string;
  readonly "metrics.enabled": boolean;
  readonly "log.level": LogLevel;
  readonly drainMs: number;
}

/** Timers of Node end there. */
const timerMsMax = 2 ** 31 - 1;

const url = text("a URL", (value) => URL.canParse(value));
const origin = text("an origin, such as https://app.example.com", isOrigin);
const documents = yesOrNoOr("the name of a collection");
const lockUrl = secret(text("a URL of a lock store", (value) => /^[a-z]+:\/\/./u.test(value)));

/** The table, in the order in which it is shown. */
export const settings: { readonly [N in keyof PeerSettings]: Setting<PeerSettings[N]> } = {
  name: {
    ...{ kind: words, default: "peer", flag: "--name <name>", variable: "NAME" },
    reason: "shown in the status and the log of other replicas; it identifies nobody",
  },
  "listen.port": {
    ...{ kind: integer(0, 65_535), default: undefined },
    ...{ flag: "--listen <port>", variable: "LISTEN_PORT" },
    reason: "take links and HTTP on this port; 0 picks a free one; absent: it only dials",
  },
  "listen.host": {
    ...{ kind: words, default: "127.0.0.1", flag: "--host <host>", variable: "LISTEN_HOST" },
    reason: "the address to listen at; beyond loopback somebody has to be authenticated",
  },
  "listen.allowUnauthenticated": {
    ...{ kind: yesOrNo, default: false, flag: "--allow-unauthenticated" },
    variable: "LISTEN_ALLOW_UNAUTHENTICATED",
    reason: "listen beyond loopback to everybody: whoever reaches the port reads and writes all",
  },
  "listen.connectionsPerAddressMax": {
    ...{ kind: integer(1, 65_535), default: 512, unit: "count" },
    ...{ flag: "--connections-per-address-max <count>" },
    variable: "LISTEN_CONNECTIONS_PER_ADDRESS_MAX",
    reason: "one address cannot take all connections; a proxy before the peer is one address",
  },
  "listen.allowedOrigins": {
    ...{ kind: list(origin, allowedOriginsMax), default: [], flag: "--allowed-origins <origins>" },
    variable: "LISTEN_ALLOWED_ORIGINS",
    reason: "pages whose scripts may open connections of clients of documents, besides our own",
  },
  "listen.tls.certFile": {
    ...{ kind: file, default: undefined, flag: "--tls-cert <file>" },
    variable: "LISTEN_TLS_CERT_FILE",
    reason: "the chain of our certificate, PEM; with it the port speaks TLS only",
  },
  "listen.tls.keyFile": {
    ...{ kind: file, default: undefined, flag: "--tls-key <file>" },
    variable: "LISTEN_TLS_KEY_FILE",
    reason: "its private key, PEM",
  },
  "listen.tls.caFile": {
    ...{ kind: file, default: undefined, flag: "--tls-ca <file>", variable: "LISTEN_TLS_CA_FILE" },
    reason: "who may sign the certificates of those who come, PEM",
  },
  "listen.tls.requireClientCertificate": {
    ...{ kind: yesOrNo, default: false, flag: "--tls-require-client-certificate" },
    variable: "LISTEN_TLS_REQUIRE_CLIENT_CERTIFICATE",
    reason: "end every connection without a certificate that the CA signed (mTLS)",
  },
  "listen.tls.reloadMs": {
    ...{ kind: integer(1_000, dayMs), default: 60_000, unit: "ms" },
    ...{ flag: "--tls-reload-ms <ms>", variable: "LISTEN_TLS_RELOAD_MS" },
    reason: "how often the files are looked at, so that a renewed certificate needs no restart",
  },
  join: {
    ...{ kind: list(joinEntry, 256), default: [], flag: "--join <url>", variable: "JOIN" },
    reason: "peers to dial, and again whenever the link breaks; the flag may be repeated",
  },
  "dial.tls.caFile": {
    ...{ kind: file, default: undefined, flag: "--dial-ca <file>", variable: "DIAL_TLS_CA_FILE" },
    reason: "who may sign the certificates of peers that we dial, PEM; absent: what Node trusts",
  },
  "dial.tls.certFile": {
    ...{ kind: file, default: undefined, flag: "--dial-cert <file>" },
    variable: "DIAL_TLS_CERT_FILE",
    reason: "our certificate for peers that want one, PEM",
  },
  "dial.tls.keyFile": {
    ...{ kind: file, default: undefined, flag: "--dial-key <file>", variable: "DIAL_TLS_KEY_FILE" },
    reason: "its private key, PEM",
  },
  token: {
    ...{ kind: tokenText, default: undefined, flag: "--token <token>", variable: "TOKEN" },
    reason:
      "one secret of the cluster: asked of those who come, who may then do all; shown to peers",
  },
  tokenFile: {
    ...{ kind: file, default: undefined, flag: "--token-file <file>", variable: "TOKEN_FILE" },
    reason: "the same in a file, which neither the process list nor the environment shows",
  },
  tokens: {
    kind: list(tokenEntry, staticTokensMax),
    ...{ default: [], flag: false, variable: false },
    reason: "more tokens (token, tokenFile or tokenSha256), each with a subject and rights",
  },
  certificates: {
    kind: list(certificateEntry, certificateSubjectsMax),
    ...{ default: [], flag: false, variable: false },
    reason: "what certificates let do, by commonName (* is all that are trusted) or fingerprint256",
  },
  "jwt.issuer": {
    ...{ kind: words, default: undefined, flag: "--jwt-issuer <text>", variable: "JWT_ISSUER" },
    reason: "take JSON Web Tokens of this issuer (iss), exactly",
  },
  "jwt.audience": {
    ...{ kind: list(words, 16), default: undefined, flag: "--jwt-audience <texts>" },
    variable: "JWT_AUDIENCE",
    reason: "the token has to be for one of these (aud): not for another service",
  },
  "jwt.jwksUrl": {
    ...{ kind: url, default: undefined, flag: "--jwt-jwks-url <url>", variable: "JWT_JWKS_URL" },
    reason: "where the issuer publishes its keys: https, or http on loopback",
  },
  "jwt.publicKeyFile": {
    ...{ kind: file, default: undefined, flag: "--jwt-public-key <file>" },
    variable: "JWT_PUBLIC_KEY_FILE",
    reason: "the issuer's public key or certificate, PEM, instead of the URL",
  },
  "jwt.secretFile": {
    ...{ kind: file, default: undefined, flag: "--jwt-secret <file>", variable: "JWT_SECRET_FILE" },
    reason: "a secret shared with the issuer, at least 32 bytes, instead of the URL",
  },
  "jwt.algorithms": {
    ...{ kind: list(choice(...jwtAlgorithms), 16), default: undefined },
    ...{ flag: "--jwt-algorithms <names>", variable: "JWT_ALGORITHMS" },
    reason: "signatures that count; absent: RS256, ES256 and EdDSA, with a secret HS256",
  },
  "jwt.rightsClaim": {
    ...{ kind: words, default: "trellis", flag: "--jwt-rights-claim <name>" },
    variable: "JWT_RIGHTS_CLAIM",
    reason: "the claim with the rights: a list, or one text with spaces",
  },
  "jwt.rightsPrefix": {
    ...{ kind: words, default: undefined, flag: "--jwt-rights-prefix <text>" },
    variable: "JWT_RIGHTS_PREFIX",
    reason: "only what begins so is a right, without it: for a claim such as scope",
  },
  "jwt.tenantClaim": {
    ...{ kind: words, default: undefined, flag: "--jwt-tenant-claim <name>" },
    variable: "JWT_TENANT_CLAIM",
    reason: "the claim with the tenant, for the log",
  },
  "jwt.clockToleranceMs": {
    ...{ kind: integer(0, clockToleranceMsMax), default: 30_000, unit: "ms" },
    ...{ flag: "--jwt-clock-tolerance-ms <ms>", variable: "JWT_CLOCK_TOLERANCE_MS" },
    reason: "how far the issuer's clock may be from ours",
  },
  "storage.directory": {
    ...{ kind: directory, default: undefined, flag: "--storage <dir>", variable: "STORAGE" },
    reason: "keep everything there, one process at a time; absent: in memory only",
  },
  "storage.fsync": {
    ...{ kind: choice("always", "interval", "never"), default: "interval" },
    ...{ flag: "--fsync <policy>", variable: "STORAGE_FSYNC" },
    reason: "when the disk is waited for: each turn, every intervalMs, or when the system likes",
  },
  "storage.intervalMs": {
    ...{ kind: integer(1, 60_000), default: 50, unit: "ms" },
    ...{ flag: "--fsync-interval-ms <ms>", variable: "STORAGE_INTERVAL_MS" },
    reason: "what a crash may take with it, of what no other replica has",
  },
  "storage.exclusive": {
    ...{ kind: yesOrNo, default: false, flag: "--exclusive", variable: "STORAGE_EXCLUSIVE" },
    reason:
      "no copy of the directory runs anywhere and it was never set back: locks and rights go on",
  },
  "retention.logEntriesMax": {
    ...{ kind: integer(0, 100_000_000), default: 1_000_000, unit: "count" },
    ...{ flag: "--retention-entries-max <count>", variable: "RETENTION_LOG_ENTRIES_MAX" },
    reason: "removals that are kept for peers that are away; beyond it they compare everything",
  },
  "retention.peerSilentMsMax": {
    ...{ kind: integer(0, 366 * dayMs), default: dayMs, unit: "ms" },
    ...{ flag: "--retention-silent-ms-max <ms>", variable: "RETENTION_PEER_SILENT_MS_MAX" },
    reason: "how long they are kept for a peer that is silent",
  },
  clockAheadMsMax: {
    ...{ kind: integer(0, dayMs), default: 60_000, unit: "ms" },
    ...{ flag: "--clock-ahead-ms-max <ms>", variable: "CLOCK_AHEAD_MS_MAX" },
    reason: "a peer whose clock is further from ours is refused: it would win every register",
  },
  "locks.host": {
    ...{ kind: yesOrNo, default: false, flag: "--locks-host", variable: "LOCKS_HOST" },
    reason:
      "be the lock authority of the cluster (embedded locks); there is one, and it wants storage",
  },
  "locks.url": {
    ...{ kind: lockUrl, default: undefined, flag: "--locks <url>", variable: "LOCKS" },
    reason: "a lock store instead: redis, redlock, etcd, zookeeper, postgres or mysql",
  },
  "locks.urlFile": {
    ...{ kind: file, default: undefined, flag: "--locks-file <file>", variable: "LOCKS_FILE" },
    reason: "the same in a file, for a URL with a password",
  },
  collections: {
    ...{ kind: collections, default: {}, flag: false, variable: false },
    reason: "collections that clients may use before anybody has written them, by name",
  },
  "documents.yjs": {
    ...{ kind: documents, default: false, flag: "--yjs [collection]", variable: "DOCUMENTS_YJS" },
    reason: "speak to y-websocket clients at /yjs/DOCUMENT; true: in the collection yjs",
  },
  "documents.automerge": {
    ...{ kind: documents, default: false, flag: "--automerge [collection]" },
    variable: "DOCUMENTS_AUTOMERGE",
    reason: "speak to automerge-repo clients at /automerge; true: in the collection automerge",
  },
  ...httpSettings,
  "metrics.enabled": {
    ...{ kind: yesOrNo, default: true, flag: "--metrics", variable: "METRICS" },
    reason:
      "count what the peer does, and show it to Prometheus at /metrics to whoever may observe",
  },
  "log.level": {
    kind: choice("fatal", "error", "warn", "info", "debug", "trace", "silent"),
    ...{ default: "info", flag: "--log-level <level>", variable: "LOG_LEVEL" },
    reason: "what is logged, as JSON lines on standard error; values of users never are",
  },
  drainMs: {
    ...{ kind: integer(0, timerMsMax), default: 10_000, unit: "ms" },
    ...{ flag: "--drain-ms <ms>", variable: "DRAIN_MS" },
    reason: "how long requests that are under way may take after SIGTERM",
  },
};

/** The paths, in the order of the table. */
export const settingPaths: readonly (keyof PeerSettings)[] = Object.keys(settings).filter(isPath);

/** Whether there is a setting of that path. */
export function isPath(path: string): path is keyof PeerSettings {
  return Object.hasOwn(settings, path);
}
