/**
 * A peer as it would stand in production, and whoever should not come in: each is refused, and its metrics
 * say how many there were and why.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect as connectTcp, type Socket } from "node:net";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { until } from "../../src/cli/servers/until.ts";
import { counter, type DialTlsOptions, openReplica } from "../../src/index.ts";
import { MessageWriter } from "../../src/sync/protocol.ts";
import { TestAuthority } from "../door/certificates.ts";
import { HttpClient } from "../soak/peers/http-client.ts";
import { hello } from "../sync/stranger.ts";
import { assertBuilt, Run } from "./command.ts";

const schema = { likes: counter() };
const authority = new TestAuthority();
const peerToken = "token-of-peers-0123456789";
const operatorToken = "token-of-operators-0123456789";

let folder: string;
let peer: Run;
let port: number;
let operator: HttpClient;

beforeAll(async () => {
  assertBuilt();
  folder = await mkdtemp(join(tmpdir(), "trellis-refusals-"));
  const { certFile, keyFile } = authority.pair("peer-1");
  const config = join(folder, "peer.yaml");
  const yaml = `
listen:
  port: 0
  connectionsPerAddressMax: 64
  tls: { certFile: ${certFile}, keyFile: ${keyFile}, caFile: ${authority.caFile}, requireClientCertificate: true }
collections: { likes: counter }
tokens:
  - { subject: peers, token: ${peerToken}, rights: [replicate] }
  - { subject: operators, token: ${operatorToken}, rights: [observe] }
`;
  await writeFile(config, yaml, { mode: 0o600 });
  peer = new Run(["peer", "--config", config]);
  port = Number(new URL(await peer.firstLine()).port);
  operator = new HttpClient({
    ...{ port, ca: readFileSync(authority.caFile, "utf8"), token: operatorToken },
    ...{ timeoutMs: 10_000, connectionsMax: 1, pair: authority.pair("operator") },
  });
});

afterAll(async () => {
  operator.close();
  await peer[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** What the metrics say now. */
async function counted(series: string): Promise<number> {
  const { status, text } = await operator.ask("/metrics");
  expect(status).toBe(200);
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

const refused = (reason: string): string => `trellis_refused_total{reason="${reason}"}`;

/** Why a dial was refused, or that it was linked. */
async function dial(tls: DialTlsOptions, token?: string): Promise<string> {
  const url = `wss://127.0.0.1:${port}`;
  const target = { url, tls: { caFile: authority.caFile, ...tls }, ...(token && { token }) };
  await using replica = await openReplica({ schema, peers: [target] });
  const outcome = (): string | undefined => {
    const [view] = replica.status().peers;
    return view?.state === "streaming" ? "linked" : (view?.refused ?? view?.lastEnd);
  };
  await until("it is linked, or not", 10_000, () => outcome() !== undefined);
  return outcome() ?? "";
}

test("a peer with a good certificate and the token is linked", async () => {
  expect(await dial(authority.pair("peer-2"), peerToken)).toBe("linked");
});

test("a peer without the token, or with a wrong one, is refused and counted", async () => {
  const before = await counted(refused("unauthenticated"));
  expect(await dial(authority.pair("peer-2"))).toContain("401");
  expect(await dial(authority.pair("peer-2"), "guessed-token-0123456")).toContain("401");
  expect(await counted(refused("unauthenticated"))).toBe(before + 2);
});

test("a certificate that is over, or of somebody else's, is refused and counted", async () => {
  const before = await counted(refused("certificate"));
  const stranger = new TestAuthority("somebody else");
  for (const pair of [authority.pair("peer-2", -1), stranger.pair("peer-2")]) {
    expect(await dial(pair, peerToken)).not.toBe("linked");
  }
  expect(await counted(refused("certificate"))).toBeGreaterThanOrEqual(before + 2);
});

test("a forged frame ends its link, changes nothing and is counted", async () => {
  const malformed = 'trellis_links_ended_total{code="malformed"}';
  const before = await counted(malformed);
  const { certFile, keyFile } = authority.pair("forger");
  const socket = new WebSocket(`wss://127.0.0.1:${port}`, {
    ...{ ca: readFileSync(authority.caFile), cert: readFileSync(certFile) },
    ...{ key: readFileSync(keyFile), headers: { authorization: `Bearer ${peerToken}` } },
  });
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  const writer = new MessageWriter();
  // Neither holds anything, so there is nothing to compare.
  const bytes = [
    hello({ wallMs: Date.now() }),
    { kind: "frame", bytes: Uint8Array.from({ length: 64 }, (_, at) => (at * 37) % 256) } as const,
  ].map((message, at) => writer.write(at + 1, message).slice());
  const closed = new Promise((resolve) => socket.on("close", resolve));
  for (const each of bytes) socket.send(each);
  await closed;
  expect(await counted(malformed)).toBe(before + 1);
  expect(await counted('trellis_keys{collection="likes"}')).toBe(0);
});

test("a flood of connections is refused and counted, and whoever was in goes on", async () => {
  const before = await counted(refused("connections"));
  const sockets: Socket[] = [];
  for (let at = 0; at < 300; at++) {
    sockets.push(connectTcp(port, "127.0.0.1").on("error", () => undefined));
  }
  await until("the flood is refused", 10_000, async () => {
    return (await counted(refused("connections"))) >= before + 200;
  });
  for (const socket of sockets) socket.destroy();
  const dialed = (): Promise<string> => dial(authority.pair("peer-3"), peerToken);
  await expect.poll(dialed, { timeout: 10_000 }).toBe("linked");
});
