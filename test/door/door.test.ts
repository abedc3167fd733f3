/** The port: who is let in, what is refused before anybody looks at it, and that each refusal is counted. */
import { copyFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { grantOf } from "../../src/access.ts";
import type { DialTlsOptions, DoorOptions, HttpHandler } from "../../src/door.ts";
import { counter, openReplica, type Replica, type Telemetry } from "../../src/index.ts";
import { TestAuthority } from "./certificates.ts";

const schema = { likes: counter() };
type Shop = Replica<typeof schema>;

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Counts by name and labels. */
class Counts implements Telemetry {
  readonly #counts = new Map<string, number>();

  count(name: string, value = 1, labels: Readonly<Record<string, string>> = {}): void {
    const key = [name, ...Object.values(labels)].join(" ");
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + value);
  }
  gauge(): void {}
  observe(): void {}
  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
}

async function until(isMet: () => boolean): Promise<void> {
  const endMs = Date.now() + 15_000;
  while (!isMet()) {
    if (Date.now() > endMs) throw new Error("waited 15 s in vain");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface Served {
  readonly shop: Shop;
  readonly counts: Counts;
  readonly port: number;
}

async function served(listen: Omit<DoorOptions, "port">, handler?: HttpHandler): Promise<Served> {
  const counts = new Counts();
  const shop = await openReplica({ schema, listen: { port: 0, ...listen }, telemetry: counts });
  open.push(() => shop.close());
  if (handler) shop.serve(handler);
  return { shop, counts, port: shop.door.address.port };
}

async function dialing(
  url: string,
  more: { readonly token?: string; readonly tls?: DialTlsOptions } = {},
): Promise<Shop> {
  const shop = await openReplica({ schema, peers: [{ url, ...more }] });
  open.push(() => shop.close());
  return shop;
}

const stateOf = (shop: Shop): string | undefined => shop.status().peers[0]?.state;

const admitsAll: HttpHandler = (_, response, admit) => {
  void tellWho(response, admit);
};

async function tellWho(...[response, admit]: TellWho): Promise<void> {
  const admission = await admit();
  if (admission.kind === "admitted") response.end(admission.grant.subject);
  else response.writeHead(admission.status).end();
}

type TellWho = [Parameters<HttpHandler>[1], Parameters<HttpHandler>[2]];

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

function ask(
  port: number,
  { headers = {}, tls }: { headers?: Record<string, string>; tls?: object } = {},
): Promise<Answer> {
  const options = { host: "127.0.0.1", port, headers, agent: false, ...tls };
  return new Promise((resolve, reject) => {
    const request = tls ? httpsRequest(options) : httpRequest(options);
    request.on("error", reject);
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    request.end();
  });
}

describe("tokens", () => {
  const grants = {
    writer: grantOf({ subject: "writer" }, ["replicate"]),
    reader: grantOf({ subject: "reader" }, ["replicate-read"]),
    client: grantOf({ subject: "client" }, ["read:likes"]),
  };
  const authenticate = ({ token = "" }): boolean | (typeof grants)["writer"] =>
    Object.hasOwn(grants, token) ? grants[token as keyof typeof grants] : false;

  test("who has no token, or a wrong one, is refused and counted, and tells why", async () => {
    const { port, counts } = await served({ authenticate }, admitsAll);
    const peer = await dialing(`ws://127.0.0.1:${port}`, { token: "wrong" });
    await until(() => stateOf(peer) === "refused");
    expect(peer.status().peers[0]?.refused).toContain("401");
    expect((await ask(port)).status).toBe(401);
    expect(counts.of("trellis_refused_total unauthenticated")).toBe(2);
  });

  test("who may only use HTTP is no peer", async () => {
    const { port, counts } = await served({ authenticate }, admitsAll);
    const headers = { authorization: "Bearer client" };
    expect(await ask(port, { headers })).toEqual({ status: 200, text: "client" });
    const peer = await dialing(`ws://127.0.0.1:${port}`, { token: "client" });
    await until(() => stateOf(peer) === "refused");
    expect(counts.of("trellis_refused_total forbidden")).toBe(1);
  });

  test("one who may only read is sent everything, and nothing is taken from it", async () => {
    const { shop, port } = await served({ authenticate });
    const url = `ws://127.0.0.1:${port}`;
    const reader = await dialing(url, { token: "reader" });
    const writer = await dialing(url, { token: "writer" });
    await until(() => stateOf(reader) === "streaming" && stateOf(writer) === "streaming");
    reader.collections.likes.increment("post", 100);
    writer.collections.likes.increment("post", 1);
    await until(() => reader.collections.likes.value("post") === 101);
    expect(shop.collections.likes.value("post")).toBe(1);
    expect(writer.collections.likes.value("post")).toBe(1);
    // It was told, so it stays, lags behind nothing, and is a member to nobody.
    expect(reader.status().peers[0]).toMatchObject({ state: "streaming", lagBatches: 0 });
    expect(shop.status().members).toBe(2);
    await reader.close();
    await until(() => shop.status().peers.length === 1);
  });
});

describe("pages of others", () => {
  test("a page of a foreign site speaks for nobody; our own does", async () => {
    const { port, counts } = await served({}, admitsAll);
    const host = `127.0.0.1:${port}`;
    expect((await ask(port, { headers: { origin: "https://evil.example" } })).status).toBe(403);
    expect((await ask(port, { headers: { origin: "null" } })).status).toBe(403);
    expect((await ask(port, { headers: { origin: `http://${host}` } })).status).toBe(200);
    expect(counts.of("trellis_refused_total forbidden")).toBe(2);
  });

  test("a name that was made to point at loopback is not ours", async () => {
    const { port } = await served({}, admitsAll);
    expect((await ask(port, { headers: { host: `evil.example:${port}` } })).status).toBe(403);
    expect((await ask(port, { headers: { host: `localhost:${port}` } })).status).toBe(200);
    expect((await ask(port, { headers: { host: `[::1]:${port}` } })).status).toBe(200);
  });
});

describe("floods", () => {
  const opened = (port: number): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = connectTcp(port, "127.0.0.1", () => resolve(socket));
      socket.on("error", () => undefined);
      open.push(() => socket.destroy());
    });

  test("more connections of one address than may be are ended unread, and counted", async () => {
    const { port, counts, shop } = await served({ connectionsPerAddressMax: 8 }, admitsAll);
    await Promise.all(Array.from({ length: 40 }, () => opened(port)));
    await until(() => counts.of("trellis_refused_total connections") === 32);
    for (const close of open.splice(1)) await close();
    await until(() => shop.door.address.port === port);
    await expect.poll(() => ask(port).then(({ status }) => status, String)).toBe(200);
  });

  test("bytes that are no HTTP are ended, and counted", async () => {
    const { port, counts } = await served({}, admitsAll);
    for (const bytes of ["\0\0\0\0", "GET / HTTP/9.9\r\n\r\n", "x".repeat(100_000)]) {
      (await opened(port)).write(bytes);
    }
    await until(() => counts.of("trellis_refused_total malformed") === 3);
    expect((await ask(port)).status).toBe(200);
  });
});

describe("certificates", () => {
  let authority: TestAuthority;
  let other: TestAuthority;
  beforeAll(() => {
    authority = new TestAuthority();
    other = new TestAuthority("somebody else");
  });

  test("links and HTTP are encrypted, and one who trusts another authority stays away", async () => {
    const { port } = await served({ tls: authority.pair("peer") }, admitsAll);
    const { caFile } = authority;
    const peer = await dialing(`wss://127.0.0.1:${port}`, { tls: { caFile } });
    await until(() => stateOf(peer) === "streaming");
    const wary = await dialing(`wss://127.0.0.1:${port}`, { tls: { caFile: other.caFile } });
    await until(() => stateOf(wary) === "refused");
    expect(wary.status().peers[0]?.refused).toMatch(/certificate/u);
    const plain = await dialing(`ws://127.0.0.1:${port}`);
    await until(() => stateOf(plain) === "waiting");
  });

  test("a certificate that is over is refused by who dials, and one that cannot be read is said", async () => {
    const { port } = await served({ tls: authority.pair("peer", -1) });
    const { caFile } = authority;
    const peer = await dialing(`wss://127.0.0.1:${port}`, { tls: { caFile } });
    await until(() => stateOf(peer) === "refused");
    expect(peer.status().peers[0]?.refused).toContain("CERT_HAS_EXPIRED");
    const blind = await dialing(`wss://127.0.0.1:${port}`, { tls: { caFile: "/nowhere.pem" } });
    await until(() => blind.status().peers[0]?.lastEnd?.includes("/nowhere.pem") === true);
    await expect(served({ tls: { certFile: "/nowhere.pem", keyFile: "/no.key" } })).rejects.toThrow(
      "/nowhere.pem",
    );
  });

  test("where a client certificate is wanted, only a good one comes in, and names its holder", async () => {
    const { caFile } = authority;
    const names: (string | undefined)[] = [];
    const { port, counts } = await served({
      tls: { ...authority.pair("peer"), caFile, requireClientCertificate: true },
      authenticate: ({ certificate }) => names.push(certificate?.commonName) > 0,
    });
    const url = `wss://127.0.0.1:${port}`;
    const peer = await dialing(url, { tls: { caFile, ...authority.pair("checkout-1") } });
    await until(() => stateOf(peer) === "streaming");
    expect(names).toEqual(["checkout-1"]);
    for (const pair of [undefined, authority.pair("late", -1), other.pair("checkout-1")]) {
      const refused = await dialing(url, { tls: { caFile, ...pair } });
      await until(() => refused.status().peers[0]?.lastEnd !== undefined);
      expect(stateOf(refused)).not.toBe("streaming");
      await refused.close();
    }
    await until(() => counts.of("trellis_refused_total certificate") >= 3);
    expect(names).toEqual(["checkout-1"]);
  });

  test("certificates are read again when the files change; a broken file changes nothing", async () => {
    const old = authority.pair("old");
    const { shop, port } = await served({ tls: { ...old, reloadMs: 20 } }, admitsAll);
    const shown = (): Promise<string | undefined> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
          const { CN } = socket.getPeerCertificate().subject;
          resolve(String(CN));
          socket.destroy();
        });
        socket.on("error", reject);
      });
    expect(await shown()).toBe("old");
    const peer = await dialing(`wss://127.0.0.1:${port}`, { tls: { caFile: authority.caFile } });
    await until(() => stateOf(peer) === "streaming");
    const fresh = authority.pair("fresh", 20);
    copyFileSync(fresh.keyFile, old.keyFile);
    await expect(shop.door.reloadCertificates()).rejects.toThrow(old.certFile);
    expect(await shown()).toBe("old");
    copyFileSync(fresh.certFile, old.certFile);
    await expect.poll(shown).toBe("fresh");
    expect(shop.door.certificateEndsMs).toBeLessThan(Date.now() + 21 * 86_400_000);
    expect(stateOf(peer)).toBe("streaming");
  });
});
