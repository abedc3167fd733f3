/** Every command that dials takes a peer at wss:// with the same options. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { serveHttp } from "../../src/http.ts";
import { counter, openReplica } from "../../src/index.ts";
import { TestAuthority } from "../door/certificates.ts";
import { assertBuilt, run } from "./command.ts";

beforeAll(assertBuilt);

describe("a peer at wss:// that wants a certificate", () => {
  test("is reached with --ca, --cert and --key, and not without", async () => {
    const authority = new TestAuthority();
    const [ours, theirs] = [authority.pair("operator"), authority.pair("peer")];
    const tls = { ...theirs, caFile: authority.caFile, requireClientCertificate: true };
    const schema = { likes: counter() };
    await using shop = await openReplica({ schema, listen: { port: 0, tls } });
    await using _http = serveHttp(shop);
    shop.collections.likes.increment("post");
    const url = `wss://localhost:${shop.address?.port ?? 0}`;
    const { certFile, keyFile } = ours;
    const dial = ["--ca", authority.caFile, "--cert", certFile, "--key", keyFile];
    const folder = await mkdtemp(join(tmpdir(), "trellis-tls-"));
    const file = join(folder, "export.jsonl");
    for (const command of [
      ["why", url, "likes", "post"],
      ["verify", url, url],
      ["status", url],
      ["top", url, "--count", "1"],
      ["doctor", "--join", url],
      ["export", url, "--out", file],
      ["import", file, "--join", url, "--merge"],
    ]) {
      const reached = await run(...command, ...dial);
      expect([command[0], reached.status, reached.errors]).toEqual([command[0], 0, ""]);
      if (command[0] !== "doctor") continue;
      expect((await run(...command, "--timeout", "5")).status).toBe(1);
    }
    expect(shop.collections.likes.value("post")).toBe(2);
    const refused = await run("export", url, "--ca", authority.caFile, "--timeout", "3");
    expect(refused.status).toBe(1);
    expect((await run("verify", url, url, "--cert", certFile)).status).toBe(2);
    await rm(folder, { recursive: true });
  }, 60_000);
});
