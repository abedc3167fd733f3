import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { certificateSubjects } from "../../src/access/certificates.ts";
import { staticTokens } from "../../src/access/tokens.ts";
import { anyOf, InvalidValueError, UsageError } from "../../src/index.ts";

const remoteAddress = "127.0.0.1";
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const rights = ["read:likes"];

describe("static tokens", () => {
  const authenticate = staticTokens([
    { subject: "web", tenant: "acme", token: "tok-web", rights: ["read:likes", "write:likes/eu:"] },
    { subject: "peer-2", tokenSha256: sha256("tok-peer"), rights: ["replicate"] },
  ]);

  test("give what stands beside them, the token or its digest", () => {
    expect(authenticate({ remoteAddress, token: "tok-web" })).toEqual({
      ...{ subject: "web", tenant: "acme", replicate: "nothing", observe: false },
      read: [{ collection: "likes", prefix: "" }],
      write: [{ collection: "likes", prefix: "eu:" }],
    });
    expect(authenticate({ remoteAddress, token: "tok-peer" })).toMatchObject({
      ...{ subject: "peer-2", replicate: "write" },
    });
  });

  test.each([
    ["none", undefined],
    ["empty", ""],
    ["wrong", "tok-wep"],
    ["the beginning of one", "tok-we"],
    ["a digest", sha256("tok-peer")],
    ["10 MB", "x".repeat(10_000_000)],
    ["a name of objects", "__proto__"],
  ])("refuse a token that is %s", (_what, token) => {
    expect(authenticate(token === undefined ? { remoteAddress } : { remoteAddress, token })).toBe(
      false,
    );
  });

  test.each<[string, Parameters<typeof staticTokens>[0], RegExp]>([
    ["twice the same", [one("a", "tok-1"), one("b", "tok-1")], /a and b have the same token/u],
    ["an empty one", [one("a", "")], /token of a is empty/u],
    ["one that cannot travel", [one("a", "se cret")], /letters, digits/u],
    ["no digest", [{ subject: "a", tokenSha256: "12", rights }], /64 hexadecimal digits/u],
  ])("refuse to be made of %s, and repeat no secret", (_what, tokens, said) => {
    expect(() => staticTokens(tokens)).toThrow(UsageError);
    expect(() => staticTokens(tokens)).toThrow(said);
    expect(() => staticTokens(tokens)).not.toThrow(/tok-1|se cret/u);
  });

  test("refuse a right that is none", () => {
    const tokens = [{ subject: "a", token: "tok", rights: ["admin"] }];
    expect(() => staticTokens(tokens)).toThrow(InvalidValueError);
  });
});

const one = (
  subject: string,
  token: string,
): { subject: string; token: string; rights: string[] } => ({
  ...{ subject, token, rights },
});

describe("certificates", () => {
  const fingerprint = (digit: string): string => Array(32).fill(digit.repeat(2)).join(":");
  const shown = (commonName: string, digit = "A"): Parameters<typeof named>[0] => ({
    remoteAddress,
    certificate: { commonName, fingerprint256: fingerprint(digit) },
  });
  const named = certificateSubjects([
    { commonName: "peer-1", rights: ["replicate"] },
    { fingerprint256: fingerprint("b"), subject: "ops", rights: ["observe"] },
  ]);

  test("are known by common name, or before that by fingerprint", () => {
    expect(named(shown("peer-1"))).toMatchObject({ subject: "peer-1", replicate: "write" });
    expect(named(shown("peer-1", "B"))).toMatchObject({ subject: "ops", replicate: "nothing" });
    expect(named(shown("peer-2"))).toBe(false);
    expect(named({ remoteAddress })).toBe(false);
  });

  test("a common name of * is not every certificate; the entry * is", () => {
    const all = certificateSubjects([
      { commonName: "*", rights: ["replicate-read"] },
      { commonName: "peer-1", rights: ["replicate"] },
    ]);
    expect(all(shown("anybody"))).toMatchObject({ subject: "anybody", replicate: "read" });
    expect(all(shown("peer-1"))).toMatchObject({ replicate: "write" });
    expect(all(shown("*"))).toMatchObject({ replicate: "read" });
    expect(named(shown("*"))).toBe(false);
  });

  test("are refused when they stand twice or name nothing", () => {
    const twice = [
      { commonName: "a", rights },
      { commonName: "a", rights },
    ];
    expect(() => certificateSubjects(twice)).toThrow(/named twice/u);
    expect(() => certificateSubjects([{ commonName: "", rights }])).toThrow(UsageError);
    expect(() => certificateSubjects([{ fingerprint256: "AB", rights }])).toThrow(UsageError);
    expect(() => certificateSubjects([{ commonName: "a", rights: ["x"] }])).toThrow(
      InvalidValueError,
    );
  });
});

describe("several ways", () => {
  const fails = async (): Promise<boolean> => {
    throw new Error("the issuer is down");
  };

  test("the first that accepts decides", async () => {
    const accepts = anyOf(() => false, staticTokens([one("a", "tok")]), fails);
    expect(await accepts({ remoteAddress, token: "tok" })).toMatchObject({ subject: "a" });
  });

  test("what one of them cannot judge is refused for now, unless another accepts", async () => {
    await expect(anyOf(fails, () => false)({ remoteAddress })).rejects.toThrow("is down");
    expect(await anyOf(fails, () => true)({ remoteAddress })).toBe(true);
  });

  test("none accepts nobody", async () => {
    expect(await anyOf()({ remoteAddress })).toBe(false);
  });
});
