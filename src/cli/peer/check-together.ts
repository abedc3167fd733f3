/** What single settings cannot tell: which of them go together. */
import { isIPv4 } from "node:net";
import type { Problems } from "./problems.ts";
import type { PeerSettings } from "./settings.ts";

type Path = keyof PeerSettings;

/** Tells `problems` of settings that are fine alone and not together. */
export function checkTogether(
  settings: PeerSettings,
  origins: ReadonlyMap<string, string>,
  problems: Problems,
): void {
  const isGiven = (path: Path): boolean =>
    (origins.get(path) ?? "default") !== "default" && settings[path] !== undefined;
  const add = (path: Path, what: string): void =>
    problems.add(origins.get(path) ?? path, `${path} ${what}`);
  /** At most one of them may be there. */
  const oneOf = (...paths: readonly Path[]): void => {
    const [first, second] = paths.filter(isGiven);
    if (first && second) add(second, `and ${first} (${origins.get(first)}) exclude each other`);
  };
  const needs = (path: Path, ...others: readonly Path[]): void => {
    if (isGiven(path) && !others.some(isGiven)) add(path, `needs ${others.join(" or ")}`);
  };

  if (settings["listen.port"] === undefined && settings.join.length === 0) {
    const what =
      "a peer needs a port (listen.port, --listen PORT), somebody to join (join, --join URL)";
    // Where one of them was wrong, that is what is said.
    if (!origins.has("listen.port") || origins.get("listen.port") === "default") {
      problems.add("settings", `${what}, or both`);
    }
  }
  oneOf("token", "tokenFile");
  oneOf("locks.url", "locks.urlFile");
  oneOf("locks.url", "locks.host");
  oneOf("locks.urlFile", "locks.host");
  oneOf("jwt.jwksUrl", "jwt.publicKeyFile", "jwt.secretFile");
  for (const path of ["documents.yjs", "documents.automerge"] as const) {
    if (settings[path] !== false) needs(path, "listen.port");
  }
  needs("listen.tls.certFile", "listen.tls.keyFile");
  needs("listen.tls.keyFile", "listen.tls.certFile");
  needs("listen.tls.caFile", "listen.tls.certFile");
  needs("dial.tls.certFile", "dial.tls.keyFile");
  needs("dial.tls.keyFile", "dial.tls.certFile");
  if (settings["listen.tls.requireClientCertificate"]) {
    needs("listen.tls.requireClientCertificate", "listen.tls.caFile");
  }
  if (settings.certificates.length > 0) needs("certificates", "listen.tls.caFile");
  for (const path of ["storage.fsync", "storage.intervalMs", "storage.exclusive"] as const) {
    needs(path, "storage.directory");
  }
  const jwt = (Object.keys(settings) as Path[]).filter((path) => path.startsWith("jwt."));
  const [mentioned] = jwt.filter(isGiven);
  if (mentioned) {
    needs(mentioned, "jwt.jwksUrl", "jwt.publicKeyFile", "jwt.secretFile");
    for (const path of ["jwt.issuer", "jwt.audience"] as const) {
      if (!isGiven(path)) add(mentioned, `needs ${path}`);
    }
  }
  checkEntries(settings, origins, problems);
  checkListening(settings, origins, problems);
}

function checkEntries(
  { tokens, certificates, join }: PeerSettings,
  origins: ReadonlyMap<string, string>,
  problems: Problems,
): void {
  const exactlyOne = (path: string, given: readonly unknown[], names: string): void => {
    if (given.filter((one) => one !== undefined).length === 1) return;
    const where = origins.get(path.split("[", 1)[0] ?? path) ?? path;
    problems.add(where, `${path} has exactly one of ${names}`);
  };
  for (const [index, { token, tokenFile, tokenSha256 }] of tokens.entries()) {
    const names = "token, tokenFile, tokenSha256";
    exactlyOne(`tokens[${index}]`, [token, tokenFile, tokenSha256], names);
  }
  for (const [index, { commonName, fingerprint256 }] of certificates.entries()) {
    const names = "commonName, fingerprint256";
    exactlyOne(`certificates[${index}]`, [commonName, fingerprint256], names);
  }
  for (const [index, { token, tokenFile }] of join.entries()) {
    if (token !== undefined) exactlyOne(`join[${index}]`, [token, tokenFile], "token, tokenFile");
  }
}

/** Whether anybody is asked who it is. */
export const authenticates = (settings: PeerSettings): boolean =>
  [settings.token, settings.tokenFile, settings["jwt.issuer"]].some((way) => way !== undefined) ||
  settings.tokens.length + settings.certificates.length > 0;

/** Whether only this machine reaches it. */
const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));

function checkListening(
  settings: PeerSettings,
  origins: ReadonlyMap<string, string>,
  problems: Problems,
): void {
  const host = settings["listen.host"];
  if (settings["listen.port"] === undefined || isLoopback(host)) return;
  if (authenticates(settings) || settings["listen.allowUnauthenticated"]) return;
  problems.add(
    origins.get("listen.host") ?? "listen.host",
    `listen.host is ${JSON.stringify(host)}: beyond loopback whoever comes has to be known. Give a token ` +
      "(--token-file FILE or TRELLIS_TOKEN), tokens, certificates or jwt in the config file, or say " +
      "--allow-unauthenticated",
  );
}
