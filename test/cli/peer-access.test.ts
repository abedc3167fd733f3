/** Who is let in by `trellis peer`, over TLS and not, and how that changes without a restart. */
import { readFileSync } from "node:fs";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../src/cli/servers/until.ts";
import { counter, type DialTlsOptions, openReplica, type Replica } from "../../src/index.ts";
import { signer } from "../access/issuer.ts";
import { type Pair, TestAuthority } from "../door/certificates.ts";
import { assertBuilt, Run } from "./command.ts";

const schema = { likes: counter() };
const authority = new TestAuthority();
const server = authority.pair("peer-1");
let folder = "";

beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-access-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Writes a file that nobody else may read. */
async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

/** How a dial ends: linked, or what it was refused for. */
async function dial(
  url: string,
  as: { token?: string; tls?: DialTlsOptions } = {},
): Promise<string> {
  await using replica = await openReplica({ schema, peers: [{ url, ...as }] });
  await until("it is linked or refused", 10_000, () => outcome(replica) !== undefined);
  return outcome(replica) ?? "";
}

function outcome(replica: Replica<typeof schema>): string | undefined {
  const [peer] = replica.status().peers;
  return peer?.state === "streaming" ? "linked" : peer?.refused;
}

const tls = { caFile: authority.caFile };

describe("trellis peer lets in", () => {
  test("over TLS whoever has a token of its kind, and logs none of them", async () => {
    const issuer = await signer("issuer");
    const config = await file(
      "peer.yaml",
      `
listen: { port: 0, tls: { certFile: ${server.certFile}, keyFile: ${server.keyFile} } }
collections: { likes: counter }
tokenFile: ${await file("cluster.token", "cluster-token-0123\n")}
tokens:
  - { subject: reader, token: reader-token-0123, rights: [replicate-read] }
  - { subject: web, token: web-token-01234567, rights: ["read:*", "write:likes"] }
jwt:
  issuer: https://issuer.test
  audience: [trellis]
  publicKeyFile: ${await file("issuer.pem", issuer.pem)}
`,
    );
    await using peer = new Run(["peer", "--config", config, "--log-level", "debug"]);
    const url = await peer.firstLine();
    expect(url).toMatch(/^wss:\/\/127\.0\.0\.1:\d+$/u);
    expect(await dial(url, { tls, token: "cluster-token-0123" })).toBe("linked");
    expect(await dial(url, { tls, token: "reader-token-0123" })).toBe("linked");
    expect(await dial(url, { tls, token: await issuer.token() })).toBe("linked");
    // Its rights are those of a client, and not those of an observer.
    const web = { url, token: "web-token-01234567" };
    expect(await ask({ ...web, path: "/v1/collections/likes/a" })).toBe(200);
    expect(await ask({ ...web, path: "/v1/status" })).toBe(403);
    expect(await ask({ ...web, token: "guess", path: "/v1/status" })).toBe(401);
    expect(await dial(url, { tls, token: "web-token-01234567" })).toContain("403");
    expect(await dial(url, { tls, token: await issuer.token({ exp: 1 }) })).toContain("401");
    expect(await dial(url, { tls, token: "guess" })).toContain("401");
    expect(await dial(url, { tls })).toContain("401");
    expect(await dial(url, { token: "cluster-token-0123" })).toContain("certificate");
    peer.signal("SIGTERM");
    const { errors } = await peer.outcome;
    expect(errors).toContain("a JSON Web Token was refused");
    expect(errors).not.toMatch(/(?:cluster|reader|web)-token|eyJ/u);
  });

  test("by certificate who is named, and dials with its own", async () => {
    const config = await file(
      "peer.yaml",
      `
listen:
  port: 0
  tls: { certFile: ${server.certFile}, keyFile: ${server.keyFile}, caFile: ${authority.caFile}, requireClientCertificate: true }
certificates:
  - { commonName: peer-2, rights: [replicate] }
`,
    );
    await using first = new Run(["peer", "--config", config]);
    const url = await first.firstLine();
    const pair = authority.pair("peer-2");
    const flags = [
      "--dial-ca",
      authority.caFile,
      "--dial-cert",
      pair.certFile,
      "--dial-key",
      pair.keyFile,
    ];
    await using second = new Run(["peer", "--listen", "0", "--join", url, ...flags]);
    await using behind = await openReplica({ schema, peers: [await second.firstLine()] });
    behind.collections.likes.increment("a", 2);
    await using before = await openReplica({ schema, peers: [{ url, tls: { ...tls, ...pair } }] });
    await before.waitFor(behind.version());
    expect(before.collections.likes.value("a")).toBe(2);
    expect(await dial(url, { tls: { ...tls, ...authority.pair("peer-3") } })).toContain("401");
    expect(await shake(url, authority.pair("peer-2"))).toContain(" 200 ");
    expect(await shake(url, authority.pair("peer-2", -1))).toBe("ended");
    expect(await shake(url, new TestAuthority("other").pair("peer-2"))).toBe("ended");
    expect(await shake(url)).toBe("ended");
  });
});

describe("SIGHUP", () => {
  test("takes new tokens, certificates and peers; links that stand stay", async () => {
    const [certFile, keyFile] = [join(folder, "peer.pem"), join(folder, "peer.key")];
    await copyFile(server.certFile, certFile);
    await copyFile(server.keyFile, keyFile);
    await using other = new Run(["peer", "--listen", "0"]);
    const token = await file("token", "first-token-012345");
    const settings = (join_: string): string =>
      `listen: { port: 0, tls: { certFile: ${certFile}, keyFile: ${keyFile} } }
join: [${join_}]
tokens: [{ subject: a, tokenFile: ${token}, rights: [replicate] }]
`;
    const config = await file("peer.yaml", settings(""));
    await using peer = new Run(["peer", "--config", config]);
    const url = await peer.firstLine();
    await using linked = await openReplica({
      schema,
      peers: [{ url, tls, token: "first-token-012345" }],
    });
    await linked.synced();
    const before = await serial(url);

    const renewed = authority.pair("peer-1");
    await copyFile(renewed.certFile, certFile);
    await copyFile(renewed.keyFile, keyFile);
    await writeFile(token, "second-token-01234");
    await writeFile(config, `${settings(await other.firstLine())}drainMs: 5\n`);
    peer.signal("SIGHUP");
    await peer.logged("the settings were read again");
    expect(await peer.logged("these settings changed")).toMatchObject({ settings: ["drainMs"] });
    expect(await serial(url)).not.toBe(before);
    expect(await dial(url, { tls, token: "first-token-012345" })).toContain("401");
    expect(await dial(url, { tls, token: "second-token-01234" })).toBe("linked");
    // Its token is none any more, but its link was made with it.
    linked.collections.likes.increment("a", 3);
    await using far = await openReplica({ schema, peers: [await other.firstLine()] });
    await far.waitFor(linked.version());
    expect(far.collections.likes.value("a")).toBe(3);
  });

  test.each<[string, string, string]>([
    ["a wrong setting", "drainMs: soon", "drainMs is"],
    [
      "a file that is gone",
      "listen: { port: 0 }\ntokens: [{ subject: a, tokenFile: /nowhere, rights: [] }]",
      "/nowhere",
    ],
    ["nobody who is asked", "listen: { port: 0 }", "whether anybody is authenticated"],
  ])("with %s changes nothing", async (_what, text, said) => {
    const config = await file("peer.yaml", "listen: { port: 0 }\ntoken: first-token-012345\n");
    await using peer = new Run(["peer", "--config", config]);
    const url = await peer.firstLine();
    await writeFile(config, text);
    peer.signal("SIGHUP");
    expect(JSON.stringify(await peer.logged("the old ones stay"))).toContain(said);
    expect(await dial(url, { token: "first-token-012345" })).toBe("linked");
    expect(await dial(url)).toContain("401");
  });
});

/** The serial number of the certificate that is shown. */
const serial = async (url: string): Promise<string> =>
  await new Promise((told, failed) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
    socket.on("secureConnect", () => {
      told(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on("error", failed);
  });

/** The status of the answer over HTTP. */
const ask = async (asked: { url: string; token: string; path: string }): Promise<number> =>
  await new Promise((told, failed) => {
    const { hostname, port } = new URL(asked.url);
    const headers = { authorization: `Bearer ${asked.token}` };
    const ca = readFileSync(authority.caFile);
    const asking = get({ hostname, port, path: asked.path, headers, ca }, (response) => {
      response.resume();
      told(response.statusCode ?? 0);
    });
    asking.on("error", failed);
  });

/** The first line that is answered to who shows that certificate. */
const shake = async (url: string, pair?: Pair): Promise<string> =>
  await new Promise((told) => {
    const { hostname, port } = new URL(url);
    const own = pair && { cert: readFileSync(pair.certFile), key: readFileSync(pair.keyFile) };
    const socket = connect({
      host: hostname,
      port: Number(port),
      rejectUnauthorized: false,
      ...own,
    });
    socket.on("secureConnect", () =>
      socket.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
    );
    socket.on("data", (bytes: Buffer) => told(bytes.toString().split("\r\n", 1)[0] ?? ""));
    socket.on("error", () => told("ended"));
    socket.on("close", () => told("ended"));
  });
