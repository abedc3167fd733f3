/** What a replica needs, checked by the command against real peers, disks, certificates and servers. */
import { chmod, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { isSkipped } from "../../src/cli/servers/installed.ts";
import { startRedis } from "../../src/cli/servers/redis.ts";
import { counter, openReplica, type Replica, type Schema } from "../../src/index.ts";
import { TestAuthority } from "../door/certificates.ts";
import { assertBuilt, run } from "./command.ts";

let folder = "";
beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-doctor-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Diagnosis {
  readonly failed: number;
  readonly findings: readonly Finding[];
}

/** The status, and what was found of `about`. */
async function diagnosed(about: string, ...args: readonly string[]): Promise<[unknown, string[]]> {
  const { status, output, errors } = await run("doctor", ...args, "--json");
  expect(errors).toBe("");
  const { findings, failed } = JSON.parse(output) as Diagnosis;
  expect(status).toBe(failed === 0 ? 0 : 1);
  const found = findings.filter(({ check }) => check.startsWith(about));
  // Whatever is not well has a remedy.
  expect(found.filter(({ verdict, remedy }) => verdict !== "ok" && !remedy)).toEqual([]);
  return [status, found.map(({ verdict, says }) => `${verdict}: ${says}`)];
}

const portOf = ({ address }: Replica<Schema>): number => address?.port ?? 0;

describe("trellis doctor", () => {
  test("of a machine alone ends soon, and says what it found", async () => {
    const { status, output } = await run("doctor");
    expect(status).toBe(0);
    expect(output).toMatch(/^ok +node: Node/mu);
    expect(output).toMatch(/\d+ ok, \d+ warnings, 0 failed\n$/u);
  });

  test("tells a peer's name, version, clock and whether the token is accepted", async () => {
    const listen = { port: 0, authenticate: ({ token }: { token?: string }) => token === "secret" };
    await using shop = await openReplica({ schema: {}, name: "shop", listen });
    const url = `ws://127.0.0.1:${portOf(shop)}`;
    const [status, found] = await diagnosed("peer", "--join", url, "--token", "secret");
    expect(status).toBe(0);
    expect(found).toEqual([
      expect.stringMatching(/^ok: "shop" answers within \d+ ms, the token is accepted$/u),
      expect.stringMatching(/^ok: it speaks protocol 1 to 1, frames \d+$/u),
      expect.stringMatching(/^ok: its clock is \d+ ms (?:behind|ahead of) ours/u),
    ]);
    const [refused, why] = await diagnosed("peer", "--join", url, "--token", "wrong");
    expect([refused, why]).toEqual([1, [expect.stringContaining("is refused")]]);
  });

  test("tells a directory that is fine, in use, open to others, or damaged", async () => {
    const storage = join(folder, "data");
    expect((await diagnosed("storage", "--storage", storage))[1][0]).toContain("not there yet");
    {
      await using shop = await openReplica({ schema: { likes: counter() }, storage });
      for (let i = 0; i < 1_000; i++) shop.collections.likes.increment(`post ${i}`);
      await shop.acknowledged(shop.version(), { by: "durable" });
      const [status, found] = await diagnosed("storage", "--storage", storage);
      expect(status).toBe(0);
      expect(found).toContainEqual(expect.stringMatching(/^warning: it was not read/u));
    }
    await chmod(storage, 0o700);
    // Reading takes the lock, so only what it guards is as it was.
    const files = async (): Promise<string[]> =>
      (await readdir(storage, { recursive: true })).filter((name) => !name.startsWith("lock"));
    const before = await files();
    const [fine, whole] = await diagnosed("storage", "--storage", storage);
    expect(fine).toBe(0);
    expect(whole).toContainEqual(expect.stringMatching(/^ok: it is whole: 1,000 names/u));
    expect(whole).toContainEqual(expect.stringMatching(/fsync takes [\d.]+ ms/u));
    expect(await files()).toEqual(before);
    await chmod(storage, 0o755);
    expect((await diagnosed("storage", "--storage", storage))[1]).toContainEqual(
      expect.stringContaining("everybody on this machine may read it"),
    );
    const manifest = before.find((name) => name.includes("MANIFEST")) ?? "";
    await truncate(join(storage, manifest), 10);
    const [status, damaged] = await diagnosed("storage", "--storage", storage);
    expect(status).toBe(1);
    expect(damaged).toContainEqual(expect.stringMatching(/^failed: .*TRELLIS_CORRUPT_STORAGE/u));
  });

  test("reads a config file of a peer, and checks what it names", async () => {
    await using shop = await openReplica({ schema: {}, name: "shop", listen: { port: 0 } });
    const config = join(folder, "peer.yaml");
    const storage = join(folder, "data");
    const url = `ws://127.0.0.1:${portOf(shop)}`;
    await writeFile(config, `join: [${url}]\nstorage: { directory: ${storage} }\n`);
    expect((await diagnosed("config", "--config", config))[1]).toEqual([
      "ok: every setting is understood",
    ]);
    expect((await diagnosed(`peer ${url}`, "--config", config))[1]).toHaveLength(3);
    expect((await diagnosed(`storage ${storage}`, "--config", config))[0]).toBe(0);
    await writeFile(config, "join: [7]\nstorages: here\n");
    const [status, found] = await diagnosed("config", "--config", config);
    expect(status).toBe(1);
    expect(found.join()).toMatch(/peer\.yaml.*storages/su);
  });

  test("tells who is at a port that is taken", async () => {
    await using shop = await openReplica({ schema: {}, name: "shop", listen: { port: 0 } });
    const port = portOf(shop);
    const [status, found] = await diagnosed("port", "--listen", String(port));
    expect(status).toBe(1);
    expect(found).toEqual(['failed: it is taken: the replica "shop" answers there']);
    await shop.close();
    expect((await diagnosed("port", "--listen", String(port)))[1]).toEqual(["ok: it is free"]);
  });

  test("tells a certificate's chain, name and days, of a peer and of one's own", async () => {
    const authority = new TestAuthority();
    const pair = authority.pair("localhost");
    const soon = authority.pair("localhost", 3);
    await using shop = await openReplica({ schema: {}, listen: { port: 0, tls: pair } });
    const url = `wss://localhost:${portOf(shop)}`;
    const trusted = ["--join", url, "--ca", authority.caFile];
    const [status, found] = await diagnosed(
      "certificate",
      ...trusted,
      "--cert",
      pair.certFile,
      "--key",
      pair.keyFile,
    );
    expect([status, found]).toEqual([
      0,
      expect.arrayContaining(["ok: its chain is trusted", "ok: it is for localhost"]),
    ]);
    const [distrusted, why] = await diagnosed("certificate", "--join", url);
    expect([distrusted, why[0]]).toEqual([1, expect.stringContaining("not trusted")]);
    const [, ends] = await diagnosed("certificate", "--cert", soon.certFile, "--key", soon.keyFile);
    expect(ends).toEqual([expect.stringMatching(/^warning: .*good for [23] days more/u)]);
    await writeFile(join(folder, "none.pem"), "nothing");
    const [none] = await diagnosed(
      "certificate",
      "--cert",
      join(folder, "none.pem"),
      "--key",
      pair.keyFile,
    );
    expect(none).toBe(1);
  });

  test("tells a lock store that is not there", async () => {
    const [status, found] = await diagnosed("locks", "--locks", "redis://me:secret@127.0.0.1:9");
    expect(status).toBe(1);
    expect(found.join("\n")).not.toContain("secret");
    expect((await diagnosed("locks", "--locks", "gopher://127.0.0.1"))[0]).toBe(1);
  });

  test.skipIf(isSkipped("redis"))(
    "tells what a lock store promises, and how fast it is",
    async () => {
      await using redis = await startRedis();
      const [status, found] = await diagnosed("locks", "--locks", redis.url);
      expect([status, found]).toEqual([
        0,
        [
          expect.stringMatching(
            /^ok: redis answers in [\d.]+ ms; fencing is durable, it is one node/u,
          ),
        ],
      ]);
      await using weak = await startRedis({ isDurable: false });
      const [refused, why] = await diagnosed("locks", "--locks", weak.url);
      expect([refused, why.join()]).toEqual([1, expect.stringMatching(/appendonly|appendfsync/u)]);
    },
  );
});
