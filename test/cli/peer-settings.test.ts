import { mkdtempSync, writeFileSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { configBytesMax } from "../../src/cli/peer/config-file.ts";
import { peerStatusOf } from "../../src/cli/peer/exit-status.ts";
import { resolve, type Resolved } from "../../src/cli/peer/resolve.ts";
import { settingPaths, settings } from "../../src/cli/peer/settings.ts";
import { printed } from "../../src/cli/peer/show.ts";
import {
  boundedCounter,
  counter,
  orMap,
  orSet,
  lwwRegister,
  rateWindow,
  UsageError,
} from "../../src/index.ts";

const directory = mkdtempSync(join(tmpdir(), "trellis-settings-"));

/** A config file of that text. */
function file(text: string, mode = 0o600): string {
  const path = join(directory, "peer.yaml");
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

interface Said {
  readonly yaml?: string;
  readonly flags?: Readonly<Record<string, readonly string[]>>;
  readonly variables?: Readonly<Record<string, string>>;
}

const settle = async ({ yaml, flags = {}, variables = {} }: Said): Promise<Resolved> =>
  await resolve({
    flags: new Map(Object.entries(flags)),
    variables,
    config: yaml === undefined ? undefined : file(yaml),
  });

/** What is said about wrong settings. */
async function wrong(said: Said): Promise<string> {
  const error: unknown = await settle(said).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UsageError);
  expect(peerStatusOf(error)).toBe(2);
  return error instanceof Error ? error.message : "";
}

describe("where settings come from", () => {
  test("a flag goes before a variable, that before the file, that before the default", async () => {
    const yaml =
      "name: filed\nlisten: { port: 1, host: 127.0.0.2 }\nstorage: { directory: d }\ndrainMs: 5\n";
    const { settings: settled, origins } = await settle({
      yaml,
      variables: { TRELLIS_LISTEN_PORT: "2", TRELLIS_NAME: "said" },
      flags: { "listen.port": ["3"] },
    });
    expect(settled).toMatchObject({
      ...{ name: "said", "listen.port": 3, "listen.host": "127.0.0.2", drainMs: 5 },
      ...{ "storage.directory": "d", "storage.fsync": "interval" },
    });
    expect(origins.get("listen.port")).toBe("--listen");
    expect(origins.get("name")).toBe("TRELLIS_NAME");
    expect(origins.get("listen.host")).toBe("peer.yaml:2");
    expect(origins.get("storage.fsync")).toBe("default");
  });

  test("every setting can be given in the file, and all but lists of records by variable and flag", () => {
    for (const path of settingPaths) {
      const { flag, variable, reason } = settings[path];
      expect(reason).toMatch(/^[a-z].+[^.]$/u);
      expect((flag === false) === (variable === false)).toBe(true);
    }
    const inFile = settingPaths.filter((path) => settings[path].flag === false);
    expect(inFile).toEqual(["tokens", "certificates", "collections"]);
    const flags = settingPaths.map((path) => settings[path].flag).filter((flag) => flag !== false);
    expect(new Set(flags.map((flag) => flag.split(" ")[0])).size).toBe(flags.length);
  });

  test("JSON is read as well, and nothing is an empty file", async () => {
    const yaml = '{ "listen": { "port": 7000 },\n  "join": ["ws://a:1", { "url": "wss://b:2" }] }';
    const { settings: settled } = await settle({ yaml });
    expect(settled.join).toEqual([{ url: "ws://a:1" }, { url: "wss://b:2" }]);
    const empty = await settle({ yaml: "# nothing\n", flags: { "listen.port": ["0"] } });
    expect(empty.settings["listen.port"]).toBe(0);
    const commented = await settle({ yaml: "listen:\n  port: 1\nstorage:\n  # directory: d\n" });
    expect(commented.settings["storage.directory"]).toBeUndefined();
  });

  test("lists in variables are separated by commas, and an empty one is empty", async () => {
    const both = await settle({ variables: { TRELLIS_JOIN: "ws://a:1, ws://b:2" } });
    expect(both.settings.join.map(({ url }) => url)).toEqual(["ws://a:1", "ws://b:2"]);
    const none = await settle({ variables: { TRELLIS_JOIN: "", TRELLIS_LISTEN_PORT: "0" } });
    expect(none.settings.join).toEqual([]);
  });

  test("declares collections of every type", async () => {
    const yaml = `
listen: { port: 0 }
collections:
  likes: counter
  42: { type: or-set }
  __proto__: flag
  stock: { type: bounded-counter, min: -5, max: 10, initial: 0, weakFence: true }
  coupon: { type: fenced-register, idempotencyWindowMs: 60000 }
  names: unique-claims
  cart: { type: or-map, fields: { qty: lww-register, notes: or-set } }
  sessions: { type: lww-register, expireAfterMs: 1800000 }
  drafts: { type: or-map, fields: { text: lww-register }, expireAfterMs: 60000 }
  invites: { type: lww-map, expireAfterMs: never }
  logins: { type: rate-window, windowMs: 60000, buckets: 12 }
`;
    const { collections } = (await settle({ yaml })).settings;
    expect(Object.keys(collections)).toHaveLength(11);
    expect(collections).toMatchObject({
      likes: { tag: counter().tag },
      sessions: { kind: "expiring", expireAfterMs: 1_800_000, base: { kind: "lww-register" } },
      invites: { kind: "expiring", expireAfterMs: Number.POSITIVE_INFINITY },
      drafts: { kind: "expiring", expireAfterMs: 60_000, base: { kind: "or-map" } },
      logins: rateWindow({ windowMs: 60_000, buckets: 12 }),
      42: { tag: orSet().tag },
      stock: { tag: boundedCounter({ min: -5, max: 10, initial: 0 }).tag, weakFence: true },
      coupon: { idempotencyWindowMs: 60_000 },
      cart: { tag: orMap({ qty: lwwRegister(), notes: orSet() }).tag },
    });
    expect(Object.hasOwn(collections, "__proto__")).toBe(true);
  });
});

describe("what is wrong", () => {
  test("is said with its line, and all of it at once", async () => {
    const yaml = `
listen:
  port: 70000
  hots: 127.0.0.1
storage:
  directory: data
  fsync: sometimes
tokens:
  - subject: web
    token: "not a token"
    rights: [replicate, admin]
drainMs: 1.5
`;
    const message = await wrong({
      yaml,
      variables: { TRELLIS_LOG_LEVEL: "loud" },
      flags: { name: [""] },
    });
    expect(message.split("\n  ").slice(1)).toEqual([
      "peer.yaml:3: listen.port is 70000: an integer from 0 to 65535",
      "peer.yaml:4: there is no listen.hots: did you mean listen.host?",
      'peer.yaml:7: storage.fsync is "sometimes": one of always, interval, never',
      "peer.yaml:10: tokens[0].token is not 1 to 1,024 letters, digits and -._~+/",
      expect.stringMatching(/^peer\.yaml:11: tokens\[0\]\.rights\[1\] is "admin": replicate,/u),
      "peer.yaml:12: drainMs is 1.5: an integer from 0 to 2147483647",
      expect.stringMatching(/^TRELLIS_LOG_LEVEL: log\.level is "loud": one of fatal/u),
      '--name: name is "": text that is not empty',
    ]);
  });

  test.each<[string, string | RegExp]>([
    ["fsync: always", "there is no fsync: did you mean storage.fsync?"],
    ["collections: { a: countr }", /peer\.yaml:1: collections\.a is "countr": one of counter/u],
    ["collections: { a: { type: counter, min: 1 } }", /there is no collections\.a\.min/u],
    ["collections: { a: { min: 1 } }", "collections.a has no type"],
    ["collections: { a: { type: bounded-counter } }", "collections.a has no min"],
    [
      "collections: { a: { type: or-set, expireAfterMs: 0 } }",
      /a\.expireAfterMs is 0: an integer from 1 to \d+, or never/u,
    ],
    ["collections: { a: { type: rate-window, windowMs: 5 } }", "10 buckets (default 10)"],
    [
      "collections: { a: { type: counter, expireAfterMs: 5 } }",
      /there is no collections\.a\.expi/u,
    ],
    ["collections: { a: { type: rate-window } }", "collections.a has no windowMs"],
    ["collections: { a: { type: or-map } }", /fields is a map of fields/u],
    ["collections: [likes]", /collections is a map/u],
    ["listen: 7000", "listen is not a map of port, host"],
    ["listen: { port: '7000' }", 'listen.port is "7000": an integer'],
    ["listen: { port: }", "listen.port is empty: an integer"],
    ["join: ws://a:1", /join is "ws:\/\/a:1": a list/u],
    ["join: [http://a]", /join\[0\] is "http:\/\/a"/u],
    ["join: ['ws://user@a:1']", /join\[0\]/u],
    ["join: [{ token: abc }]", "join[0] has no url"],
    ["join: [{ url: 'ws://a:1', tls: { caFiel: x } }]", "did you mean caFile?"],
    ["- a", "a config file is a map"],
    ["just text", "a config file is a map"],
    ["a: [", /peer\.yaml:1: /u],
    ["a: b: c", /peer\.yaml:1: /u],
    ["name: a\nname: b", 'peer.yaml:2: "name" stands here twice'],
    ["name: &x a\nlog: { level: *x }", "anchors (&) and aliases (*) are not taken"],
    ["<<: { name: a }", "there is no <<"],
    ["name: !!binary aGk=", /peer\.yaml:1: /u],
    ["name: !secret x", /peer\.yaml:1: /u],
    ["name: a\n---\nname: b", "multiple documents"],
    ["? [a]\n: 1", "a key is text"],
    ["__proto__: { port: 1 }", "there is no __proto__"],
    ["constructor: 1", "there is no constructor"],
    ["listen: { __proto__: 1 }", "there is no listen.__proto__"],
  ])("%j: %s", async (yaml, said) => {
    const message = await wrong({ yaml, flags: { "listen.port": ["0"] } });
    const isSaid = typeof said === "string" ? message.includes(said) : said.test(message);
    expect({ message, isSaid }).toMatchObject({ isSaid: true });
    expect(Object.hasOwn(Object.prototype, "port")).toBe(false);
  });

  test.each<[string, string]>([
    ["brackets", "[".repeat(100_000)],
    ["maps", "{a: ".repeat(50_000)],
    ["dashes", "- ".repeat(100_000)],
    ["levels", Array.from({ length: 40 }, (_, index) => `${" ".repeat(index)}listen:`).join("\n")],
    [
      "aliases",
      `a: &a [1]\n${Array.from({ length: 30 }, (_, index) => `a${index + 1}: &a${index + 1} [*a${index === 0 ? "" : index}, *a${index === 0 ? "" : index}]`).join("\n")}`,
    ],
    ["keys", Array.from({ length: 50_000 }, (_, index) => `k${index}: 1`).join("\n")],
  ])("a bomb of %s does not go off", async (_what, yaml) => {
    const message = await wrong({ yaml });
    expect(message.length).toBeLessThan(100_000);
  });

  test("a file of more than 1 MiB, or that is none, is not read", async () => {
    expect(await wrong({ yaml: " ".repeat(configBytesMax + 1) })).toContain(
      "more than 1048576 bytes",
    );
    const read = async (config: string): Promise<Resolved> =>
      await resolve({ flags: new Map(), variables: {}, config });
    await expect(read(join(directory, "none.yaml"))).rejects.toThrow(/cannot be read: ENOENT/u);
    await expect(read(directory)).rejects.toThrow(/cannot be read: EISDIR/u);
    await expect(read("/dev/zero")).rejects.toThrow(/more than 1048576 bytes/u);
  });

  test.each<[string, Said, string]>([
    ["nothing to do", {}, "a peer needs a port (listen.port, --listen PORT)"],
    [
      "two tokens",
      { yaml: "token: abc\ntokenFile: f" },
      "tokenFile and token (peer.yaml:1) exclude",
    ],
    ["half a pair", { yaml: "listen: { tls: { certFile: c } }" }, "needs listen.tls.keyFile"],
    [
      "mTLS without a CA",
      { yaml: "listen: { tls: { certFile: c, keyFile: k, requireClientCertificate: true } }" },
      "requireClientCertificate needs listen.tls.caFile",
    ],
    [
      "certificates without TLS",
      { yaml: "certificates: [{ commonName: a, rights: [] }]" },
      "listen.tls.caFile",
    ],
    ["fsync of nothing", { yaml: "storage: { fsync: always }" }, "fsync needs storage.directory"],
    [
      "two places of locks",
      { yaml: "locks: { host: true, url: 'etcd://a:1' }" },
      "exclude each other",
    ],
    [
      "JWT without keys",
      { yaml: "jwt: { issuer: a, audience: [b] }" },
      "jwt.jwksUrl or jwt.publicKeyFile",
    ],
    [
      "JWT for everybody",
      { yaml: "jwt: { issuer: a, secretFile: f }" },
      "jwt.issuer needs jwt.audience",
    ],
    [
      "a token of no kind",
      { yaml: "tokens: [{ subject: a, rights: [] }]" },
      "tokens[0] has exactly one of",
    ],
    ["the world", { yaml: "listen: { port: 0, host: 0.0.0.0 }" }, "beyond loopback"],
  ])("%s is said", async (_what, said, message) => {
    expect(
      await wrong({ flags: _what === "nothing to do" ? {} : { join: ["ws://a:1"] }, ...said }),
    ).toContain(message);
  });
});

describe("secrets", () => {
  const yaml = `
listen: { port: 0 }
token: very-secret-1
join: [{ url: "ws://a:1", token: very-secret-2 }]
locks: { url: "postgres://me:very-secret-3@db/x" }
tokens: [{ subject: web, token: very-secret-4, rights: [observe] }]
`;

  test("are not printed", async () => {
    const text = printed(await settle({ yaml }));
    expect(text).not.toContain("very-secret");
    expect(text).toMatch(/^token +"\*\*\*" {2}# peer\.yaml:3$/mu);
    expect(text).toMatch(/^storage\.fsync +"interval" {2}# default$/mu);
    expect(text).toContain('{"subject":"web","token":"***","rights":["observe"]}');
    expect(text.trim().split("\n")).toHaveLength(settingPaths.length);
  });

  test("are not in what is said about them", async () => {
    const message = await wrong({
      yaml: "token: [very-secret]\nlocks: { url: very-secret }\n",
      variables: { TRELLIS_TOKEN: "very secret" },
      flags: { token: ["very-secret!"], "locks.url": ["very-secret"], "listen.port": ["0"] },
    });
    expect(message).not.toMatch(/very.secret/u);
  });

  test("in a file that everybody may read are warned about", async () => {
    const read = async (text: string, mode: number): Promise<readonly string[]> =>
      (await resolve({ flags: new Map(), variables: {}, config: file(text, mode) })).warnings;
    expect(await read(yaml, 0o644)).toEqual([expect.stringContaining("everybody on this machine")]);
    expect(await read(yaml, 0o640)).toEqual([]);
    expect(await read("listen: { port: 0 }\ntokenFile: f", 0o644)).toEqual([]);
  });

  test("a variable that is empty is no secret", async () => {
    const variables = { TRELLIS_TOKEN: "", TRELLIS_LISTEN_PORT: "0" };
    expect(await wrong({ variables })).toContain("TRELLIS_TOKEN: token is not 1 to 1,024");
  });
});

test("variables that look like ours are warned about, those of Kubernetes are not", async () => {
  const { warnings } = await settle({
    variables: {
      ...{ TRELLIS_LISTEN_PORT: "0", TRELLIS_LISTN_HOST: "x", TRELLIS_SERVICE_HOST: "10.0.0.1" },
      ...{ TRELLIS_PORT: "tcp://10.0.0.1:7000", TRELLIS_PORT_7000_TCP_ADDR: "10.0.0.1" },
    },
  });
  expect(warnings).toEqual([
    "no setting has the variable TRELLIS_LISTN_HOST: is it TRELLIS_LISTEN_HOST?",
  ]);
});
