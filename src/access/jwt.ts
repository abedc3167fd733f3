/**
 * JSON Web Tokens as bearer tokens, verified by `jose`. Which algorithms count is said by us and never by the
 * token, `none` is not among them, and those of a shared secret only go with a secret: a public key is never
 * taken for one.
 * @see RFC 8725, JSON Web Token Best Current Practices
 */
import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { type JWTPayload, jwtVerify, type JWTVerifyOptions } from "jose";
import { type Grant, grantOf } from "../access.ts";
import type { Authenticate } from "../door.ts";
import { type Environment, systemEnvironment } from "../environment.ts";
import { UsageError } from "../errors.ts";
import { type Logger, silentLogger } from "../telemetry.ts";
import { type KeySetLimits, KeysUnavailableError, RemoteKeys } from "./json-web-keys.ts";

/** How a token may be signed. */
export type JwtAlgorithm =
  | `${"RS" | "PS" | "ES" | "HS"}${256 | 384 | 512}`
  /** Over Ed25519. */
  | "EdDSA";

const symmetric: readonly JwtAlgorithm[] = ["HS256", "HS384", "HS512"];
const asymmetric: readonly JwtAlgorithm[] = [
  ...(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const),
  ...(["ES256", "ES384", "ES512", "EdDSA"] as const),
];

/** All that there are: those of public keys first, then those of a shared secret. */
export const jwtAlgorithms: readonly JwtAlgorithm[] = asymmetric.concat(symmetric);

/** Whose signatures count. */
export type JwtKey =
  /** Where the issuer publishes its public keys: https, or http on loopback. */
  | { readonly jwksUrl: string; readonly jwksLimits?: KeySetLimits }
  /** PEM: a public key or a certificate. */
  | { readonly publicKey: string }
  /** Shared with the issuer: at least 32 bytes. Whoever verifies can forge. */
  | { readonly secret: string };

/** Which tokens are taken, and what they let do. */
export type JwtOptions = JwtKey & {
  /** The claim `iss`, exactly. */
  readonly issuer: string;
  /** One of these stands in the claim `aud`. */
  readonly audience: string | readonly string[];
  /** Default: RS256, ES256 and EdDSA; with a secret HS256. */
  readonly algorithms?: readonly JwtAlgorithm[];
  /** Has the rights, as a list or as one text with spaces. Default `trellis`. */
  readonly rightsClaim?: string;
  /** Only what begins so counts, without it: for a claim that is shared, such as `scope`. Default none. */
  readonly rightsPrefix?: string;
  /** Has the tenant. Default: none is read. */
  readonly tenantClaim?: string;
  /** How far the issuer's clock may be from ours, in ms. Default 30,000. */
  readonly clockToleranceMs?: number;
  /** Hears at `debug` why a token was refused; never the token. */
  readonly logger?: Logger;
  /** The clock, for tests. */
  readonly environment?: Environment;
};

/** Of what is shown, in UTF-16 units: what is longer is refused unread. */
export const jwtLengthMax = 8_192;
/** The most that `clockToleranceMs` may be. */
export const clockToleranceMsMax = 300_000;
const secretBytesMin = 32;
const modulusBitsMin = 2_048;

/**
 * Accepts who shows a token that the issuer signed for us, that is valid now (`exp` is wanted, `nbf` is
 * heeded), that says whose it is (`sub`), and whose rights are rights. A token is judged when a connection or a
 * request begins: a link goes on when its token ends meanwhile.
 *
 * Rejects, which the door answers with 503, while the keys of the issuer cannot be had.
 * @throws UsageError for options that cannot be, such as an algorithm that does not go with the key.
 */
export function jwtTokens(options: JwtOptions): Authenticate {
  const { logger = silentLogger, environment = systemEnvironment } = options;
  const verify = verifierOf(options, environment);
  const checks = checksOf(options);
  return async ({ token }) => {
    if (token === undefined || token.length > jwtLengthMax) return false;
    try {
      const currentDate = new Date(environment.now());
      return grantIn(await verify(token, { ...checks, currentDate }), options);
    } catch (error) {
      if (error instanceof KeysUnavailableError) throw error;
      logger.debug({ err: error }, "a JSON Web Token was refused");
      return false;
    }
  };
}

type Verifier = (token: string, checks: JWTVerifyOptions) => Promise<JWTPayload>;

function verifierOf(options: JwtOptions, environment: Environment): Verifier {
  const algorithms = algorithmsOf(options);
  if ("jwksUrl" in options) {
    const keys = new RemoteKeys(options.jwksUrl, environment, options.jwksLimits);
    return async (token, checks) =>
      (await jwtVerify(token, keys.find, { ...checks, algorithms })).payload;
  }
  const key = "secret" in options ? secretKey(options.secret) : publicKey(options.publicKey);
  const usable = algorithms.filter((algorithm) => goesWith(algorithm, key));
  if (usable.length === 0) {
    throw new UsageError(`jwt: none of ${algorithms.join(", ")} goes with the key that was given`);
  }
  return async (token, checks) =>
    (await jwtVerify(token, key, { ...checks, algorithms: usable })).payload;
}

function algorithmsOf(options: JwtOptions): JwtAlgorithm[] {
  const isShared = "secret" in options;
  const allowed: readonly string[] = isShared ? symmetric : asymmetric;
  const algorithms = options.algorithms ?? (isShared ? ["HS256"] : ["RS256", "ES256", "EdDSA"]);
  const wrong = algorithms.find((algorithm) => !allowed.includes(algorithm));
  if (wrong !== undefined || algorithms.length === 0) {
    const kind = isShared ? "a shared secret" : "public keys";
    throw new UsageError(
      `jwt.algorithms: ${wrong ?? "none"} does not go with ${kind}; these do: ${allowed.join(", ")}`,
    );
  }
  return [...algorithms];
}

function checksOf(options: JwtOptions): JWTVerifyOptions {
  const { issuer, audience, clockToleranceMs = 30_000 } = options;
  const audiences = typeof audience === "string" ? [audience] : [...audience];
  if (issuer === "") throw new UsageError("jwt.issuer is empty");
  if (audiences.length === 0 || audiences.includes(""))
    throw new UsageError("jwt.audience is empty");
  if (!(clockToleranceMs >= 0 && clockToleranceMs <= clockToleranceMsMax)) {
    throw new UsageError(`jwt.clockToleranceMs is not from 0 to ${clockToleranceMsMax}`);
  }
  return {
    issuer,
    audience: audiences,
    clockTolerance: clockToleranceMs / 1_000,
    requiredClaims: ["exp", "sub"],
  };
}

function secretKey(secret: string): KeyObject {
  const bytes = Buffer.from(secret, "utf8");
  if (bytes.length >= secretBytesMin) return createSecretKey(bytes);
  throw new UsageError(`jwt: a shared secret has at least ${secretBytesMin} bytes`);
}

function publicKey(pem: string): KeyObject {
  if (pem.includes("PRIVATE KEY")) {
    throw new UsageError("jwt: that is a private key; a peer only needs the public one");
  }
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw new UsageError("jwt: that is no public key and no certificate in PEM", { cause });
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits === undefined || bits >= modulusBitsMin) return key;
  throw new UsageError(`jwt: an RSA key has at least ${modulusBitsMin} bits, not ${bits}`);
}

const curves: Readonly<Record<string, string>> = {
  ES256: "prime256v1",
  ES384: "secp384r1",
  ES512: "secp521r1",
};

function goesWith(algorithm: JwtAlgorithm, key: KeyObject): boolean {
  if (key.type === "secret") return algorithm.startsWith("HS");
  switch (key.asymmetricKeyType) {
    case "rsa":
      return algorithm.startsWith("RS") || algorithm.startsWith("PS");
    case "rsa-pss":
      return algorithm.startsWith("PS");
    case "ec":
      return curves[algorithm] === key.asymmetricKeyDetails?.namedCurve;
    case "ed25519":
      return algorithm === "EdDSA";
    default:
      return false;
  }
}

/** @throws when the claims give nobody anything */
function grantIn(payload: JWTPayload, options: JwtOptions): Grant {
  const { rightsClaim = "trellis", rightsPrefix = "", tenantClaim } = options;
  const subject = payload.sub ?? "";
  if (subject === "") throw new Error("an empty sub");
  const rights = textsIn(payload, rightsClaim)
    .filter((right) => right.startsWith(rightsPrefix))
    .map((right) => right.slice(rightsPrefix.length));
  const tenant = tenantClaim === undefined ? undefined : own(payload, tenantClaim);
  if (tenant === undefined) return grantOf({ subject }, rights);
  if (typeof tenant !== "string") throw new Error(`the claim ${tenantClaim} is no text`);
  return grantOf({ subject, tenant }, rights);
}

function textsIn(payload: JWTPayload, claim: string): string[] {
  const value = own(payload, claim);
  if (typeof value === "string") return value.split(" ").filter((right) => right !== "");
  const isList = Array.isArray(value) && value.every((item) => typeof item === "string");
  if (!isList) throw new Error(`the claim ${claim} is no list of rights`);
  return value;
}

const own = (payload: JWTPayload, claim: string): unknown =>
  Object.hasOwn(payload, claim) ? payload[claim] : undefined;
