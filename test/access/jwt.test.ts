import { createHmac, generateKeyPairSync } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { keySetBytesMax } from "../../src/access/json-web-keys.ts";
import { jwtTokens, type JwtOptions } from "../../src/access/jwt.ts";
import { type Environment, type Grant, systemEnvironment, UsageError } from "../../src/index.ts";
import { type Claims, KeyServer, type Signer, signer, usual } from "./issuer.ts";

const expected = { issuer: "https://issuer.test", audience: "trellis" };
const remoteAddress = "127.0.0.1";
const secret = "0123456789abcdef0123456789abcdef";

let ours: Signer;
let rsa: Signer;
let foreign: Signer;
beforeAll(async () => {
  ours = await signer("ours");
  rsa = await signer("rsa", "RS256");
  foreign = await signer("foreign");
});

const ask = async (options: JwtOptions, token: string | undefined): Promise<boolean | Grant> =>
  await jwtTokens(options)(token === undefined ? { remoteAddress } : { remoteAddress, token });

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");

/** A token that is signed as no library would. */
const forged = (header: Claims, key?: string): string => {
  const body = `${encoded(header)}.${encoded(usual())}`;
  const mark = key === undefined ? "" : createHmac("sha256", key).update(body).digest("base64url");
  return `${body}.${mark}`;
};

const seconds = (fromNow: number): number => Math.floor(Date.now() / 1_000) + fromNow;

describe("JSON Web Tokens", () => {
  test("give the rights in their claim to their subject", async () => {
    const options = { ...expected, publicKey: ours.pem };
    expect(await ask(options, await ours.token())).toEqual({
      ...{ subject: "svc-1", replicate: "write", observe: true, read: [], write: [] },
    });
    const claims = { trellis: ["read:likes/eu:"], aud: ["other", "trellis"], org: "acme" };
    const tenant = { ...options, tenantClaim: "org" };
    expect(await ask(tenant, await ours.token(claims))).toMatchObject({
      ...{ tenant: "acme", replicate: "nothing", observe: false },
      read: [{ collection: "likes", prefix: "eu:" }],
    });
  });

  test("may share a claim with others, by a prefix", async () => {
    const options = { ...expected, publicKey: ours.pem, rightsClaim: "scope", rightsPrefix: "t:" };
    const token = await ours.token({ scope: "openid profile t:observe" });
    expect(await ask(options, token)).toMatchObject({ observe: true, replicate: "nothing" });
  });

  test.each<[string, Claims]>([
    ["has ended", { exp: seconds(-60) }],
    ["never ends", { exp: undefined }],
    ["begins later", { nbf: seconds(120) }],
    ["is for somebody else", { aud: "billing" }],
    ["is for nobody", { aud: undefined }],
    ["is of another issuer", { iss: "https://issuer.test/" }],
    ["says not whose it is", { sub: undefined }],
    ["is of an empty subject", { sub: "" }],
    ["has no rights", { trellis: undefined }],
    ["has rights that are none", { trellis: "replicate root" }],
    ["has rights that are no text", { trellis: { replicate: true } }],
    ["has more rights than there may be", { trellis: "observe ".repeat(300) }],
  ])("are refused when one %s", async (_what, claims) => {
    const said: unknown[] = [];
    const log = (fields: object): void => void said.push(fields);
    const logger = { debug: log, info: log, warn: log, error: log };
    const options = { ...expected, publicKey: ours.pem, logger };
    expect(await ask(options, await ours.token(claims))).toBe(false);
    expect(said).toHaveLength(1);
  });

  test("a clock may be a little off, either way", async () => {
    const options = { ...expected, publicKey: ours.pem };
    const token = await ours.token({ exp: seconds(-10), nbf: seconds(10) });
    expect(await ask(options, token)).toMatchObject({ subject: "svc-1" });
    expect(await ask({ ...options, clockToleranceMs: 0 }, token)).toBe(false);
  });

  test("are refused when signed by somebody else, by nobody, or not at all", async () => {
    const options = { ...expected, publicKey: ours.pem };
    expect(await ask(options, await foreign.token())).toBe(false);
    expect(await ask(options, await rsa.token())).toBe(false);
    const token = await ours.token();
    expect(await ask(options, token.slice(0, token.lastIndexOf(".") + 1))).toBe(false);
    for (const alg of ["none", "None", "NONE", "nOnE"]) {
      expect(await ask(options, forged({ alg }))).toBe(false);
    }
  });

  test("a public key is never taken for a shared secret", async () => {
    for (const { pem } of [rsa, ours]) {
      for (const text of [pem, pem.trim(), `${pem.trim()}\n`]) {
        expect(await ask({ ...expected, publicKey: pem }, forged({ alg: "HS256" }, text))).toBe(
          false,
        );
      }
    }
  });

  test("what is not a token, or a huge one, is refused before it is read", async () => {
    const options = { ...expected, publicKey: ours.pem };
    const crit = await ours.token();
    const shapes = [
      "",
      "a",
      "a.b.c",
      "..",
      `${crit}.x`,
      "x".repeat(10_000_000),
      "\u0000",
      undefined,
    ];
    for (const token of shapes) expect(await ask(options, token)).toBe(false);
    const unknown = forged({ alg: "ES256", crit: ["exp"], b64: false }, "x");
    expect(await ask(options, unknown)).toBe(false);
  });

  test("a shared secret verifies what was made with it, and nothing else", async () => {
    const options = { ...expected, secret };
    expect(await ask(options, forged({ alg: "HS256" }, secret))).toMatchObject({
      subject: "svc-1",
    });
    expect(await ask(options, forged({ alg: "HS256" }, `${secret}x`))).toBe(false);
    expect(await ask(options, forged({ alg: "HS512" }, secret))).toBe(false);
    expect(await ask(options, await ours.token())).toBe(false);
  });

  test.each<[string, (pem: string) => object, RegExp]>([
    ["none", (publicKey) => ({ publicKey, algorithms: ["none"] }), /none does not go/u],
    [
      "HMAC over a public key",
      (publicKey) => ({ publicKey, algorithms: ["ES256", "HS256"] }),
      /HS256/u,
    ],
    ["no algorithm", (publicKey) => ({ publicKey, algorithms: [] }), /does not go/u],
    [
      "one of another kind of key",
      (publicKey) => ({ publicKey, algorithms: ["RS256"] }),
      /goes with/u,
    ],
    ["a secret with public keys' algorithms", () => ({ secret, algorithms: ["RS256"] }), /RS256/u],
    ["a short secret", () => ({ secret: "short" }), /32 bytes/u],
    ["no key", () => ({ publicKey: "hello" }), /no public key/u],
    ["a private key", () => ({ publicKey: privatePem() }), /private key/u],
    ["a weak key", () => ({ publicKey: weakPem() }), /2048 bits/u],
    ["keys over plain HTTP", () => ({ jwksUrl: "http://issuer.test/keys" }), /https/u],
    ["a file of keys", () => ({ jwksUrl: "file:///etc/passwd" }), /https/u],
    ["no audience", (publicKey) => ({ publicKey, audience: [] }), /audience/u],
    ["no issuer", (publicKey) => ({ publicKey, issuer: "" }), /issuer/u],
    ["years of tolerance", (publicKey) => ({ publicKey, clockToleranceMs: 1e9 }), /Tolerance/u],
  ])("cannot be had with %s", (_what, options, said) => {
    const made = (): unknown =>
      // Untyped callers say what they like.
      jwtTokens({ ...expected, ...options(ours.pem) } as unknown as JwtOptions);
    expect(made).toThrow(UsageError);
    expect(made).toThrow(said);
  });
});

const privatePem = (): string =>
  generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const weakPem = (): string =>
  generateKeyPairSync("rsa", { modulusLength: 1_024 })
    .publicKey.export({ type: "spki", format: "pem" })
    .toString();

describe("keys from a URL", () => {
  /** A clock that is set by hand. */
  function clock(): { environment: Environment; pass: (ms: number) => void } {
    let passedMs = 0;
    const environment: Environment = {
      ...systemEnvironment,
      monotonic: () => passedMs,
      now: () => Date.now(),
    };
    return { environment, pass: (ms) => (passedMs += ms) };
  }

  test("are asked for once, and found by name", async () => {
    await using server = await KeyServer.start(foreign.jwk, ours.jwk, rsa.jwk);
    const authenticate = jwtTokens({ ...expected, jwksUrl: server.url });
    const tokens = await Promise.all([ours.token(), rsa.token(), ours.token()]);
    const grants = await Promise.all(
      tokens.map(async (token) => authenticate({ remoteAddress, token })),
    );
    for (const grant of grants) expect(grant).toMatchObject({ subject: "svc-1" });
    expect(server.requests).toBe(1);
  });

  test("are asked for again when the issuer has a new one, but not for every stranger's token", async () => {
    await using server = await KeyServer.start(ours.jwk);
    const { environment, pass } = clock();
    const authenticate = jwtTokens({ ...expected, jwksUrl: server.url, environment });
    const asked = async (token: string): Promise<unknown> => authenticate({ remoteAddress, token });
    expect(await asked(await ours.token())).toMatchObject({ subject: "svc-1" });
    server.keys = [ours.jwk, rsa.jwk];
    const renewed = await rsa.token();
    expect(await asked(renewed)).toBe(false);
    pass(5_000);
    expect(await asked(renewed)).toMatchObject({ subject: "svc-1" });
    const strange = await ours.token({}, { kid: "nobody's" });
    for (let count = 0; count < 100; count++) expect(await asked(strange)).toBe(false);
    expect(server.requests).toBe(2);
  });

  test("a token does not choose where its key comes from", async () => {
    await using server = await KeyServer.start(ours.jwk);
    await using evil = await KeyServer.start(foreign.jwk);
    const options = { ...expected, jwksUrl: server.url };
    const header = { kid: "ours", jku: evil.url, jwk: foreign.jwk, x5u: evil.url };
    expect(await ask(options, await foreign.token({}, header))).toBe(false);
    expect(evil.requests).toBe(0);
  });

  test("a shared secret among them is not used", async () => {
    const k = Buffer.from(secret).toString("base64url");
    await using server = await KeyServer.start({ kty: "oct", k, kid: "oct", alg: "HS256" });
    const options = { ...expected, jwksUrl: server.url };
    expect(await ask(options, forged({ alg: "HS256", kid: "oct" }, secret))).toBe(false);
  });

  test("the former ones are used for an hour while the issuer is down, then nobody can be judged", async () => {
    await using server = await KeyServer.start(ours.jwk);
    const { environment, pass } = clock();
    const authenticate = jwtTokens({ ...expected, jwksUrl: server.url, environment });
    const token = await ours.token();
    const asked = async (): Promise<unknown> => authenticate({ remoteAddress, token });
    expect(await asked()).toMatchObject({ subject: "svc-1" });
    server.answer = (response) => void response.writeHead(500).end();
    pass(3_600_000);
    expect(await asked()).toMatchObject({ subject: "svc-1" });
    pass(1);
    await expect(asked()).rejects.toThrow(/no keys from/u);
  });

  test.each<[string, KeyServer["answer"]]>([
    ["is down", (response) => response.destroy()],
    ["is slow", () => undefined],
    ["drips", (response) => void response.writeHead(200).write("{")],
    ["sends another page", (response) => void response.end("<html>")],
    ["sends no keys", (response) => void response.end('{"keys":5}')],
    ["sends too much", (response) => void response.end("9".repeat(keySetBytesMax + 1))],
    [
      "sends too many",
      (response) =>
        void response.end(JSON.stringify({ keys: Array.from({ length: 101 }, () => ({})) })),
    ],
    ["points elsewhere", (response) => void response.writeHead(302, { location: "/" }).end()],
  ])(
    "when the issuer %s, who asks is refused for now, and it is not asked each time",
    async (_what, answer) => {
      await using server = await KeyServer.start(ours.jwk);
      server.answer = answer;
      const { environment } = clock();
      const jwksLimits = { timeoutMs: 300 };
      const options = { ...expected, jwksUrl: server.url, jwksLimits, environment };
      const authenticate = jwtTokens(options);
      const token = await ours.token();
      const asked = async (): Promise<unknown> => authenticate({ remoteAddress, token });
      await expect(Promise.all([asked(), asked()])).rejects.toThrow(/no keys from/u);
      await expect(asked()).rejects.toThrow(/no keys from/u);
      expect(server.requests).toBe(1);
    },
  );
});
