/** Directories from the command line: a peer that is killed, and what is in its directory. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CorruptStorageError, counter, openReplica, orSet } from "../../src/index.ts";
import { assertBuilt, run, Run } from "./command.ts";
import { damage } from "./damage.ts";

const schema = { likes: counter(), tags: orSet() };
let folder = "";

beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-cli-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What `trellis inspect --json` prints, as far as it is looked at here. */
interface Inspected {
  readonly tornBytes: number;
  readonly actors: readonly { readonly actor: string; readonly batches: number }[];
  readonly collections: readonly { readonly name: string; readonly keys: number }[];
}

describe("trellis peer --storage", () => {
  test("what it said was on its disk is there after SIGKILL, and inspect shows it", async () => {
    const directory = join(folder, "peer");
    const peerArguments = ["peer", "--listen", "0", "--storage", directory];
    let version = "";
    {
      await using peer = new Run(peerArguments);
      await using writer = await openReplica({ schema, peers: [await peer.firstLine()] });
      for (let i = 0; i < 100; i++) writer.collections.likes.increment(`post ${i}`, i + 1);
      writer.collections.tags.add("post 1", "crdt");
      version = writer.version();
      await writer.acknowledged(version, { by: 1 });
      const live = await run("inspect", directory);
      expect(live).toMatchObject({ status: 1 });
      expect(live.errors).toContain("is in use");
      peer.signal("SIGKILL");
      await peer.outcome;
    }
    const { status, output } = await run("inspect", directory, "--json");
    expect(status).toBe(0);
    const found = JSON.parse(output) as Inspected;
    expect(found.actors).toHaveLength(1);
    expect(found.collections).toMatchObject([
      { name: "likes", keys: 100 },
      { name: "tags", keys: 1 },
    ]);
    await using again = new Run(peerArguments);
    await using reader = await openReplica({ schema, peers: [await again.firstLine()] });
    await reader.waitFor(version);
    expect(reader.collections.likes.value("post 99")).toBe(100);
    expect(reader.collections.tags.values("post 1")).toEqual(["crdt"]);
  });
});

describe("trellis repair", () => {
  test("rebuilds a damaged directory from a peer, and keeps the damaged one", async () => {
    const directory = join(folder, "replica");
    await using peer = await openReplica({ schema, listen: { port: 0 } });
    const url = `ws://127.0.0.1:${peer.address?.port ?? 0}`;
    {
      await using replica = await openReplica({ schema, storage: directory, peers: [url] });
      for (let i = 0; i < 500; i++) replica.collections.likes.increment(`post ${i}`);
      await peer.waitFor(replica.version());
    }
    const whole = await run("repair", directory, "--join", url);
    expect(whole.errors).toContain("is not damaged");
    await damage(directory);
    await expect(openReplica({ schema, storage: directory })).rejects.toThrow(CorruptStorageError);
    const { status, output, errors } = await run("repair", `${directory}/`, "--join", url);
    expect(`${status} ${errors}`).toBe("0 ");
    expect(output).toContain("is rebuilt: 500 keys");
    expect(await readdir(folder)).toHaveLength(2);
    await using replica = await openReplica({ schema, storage: directory });
    expect(replica.collections.likes.value("post 499")).toBe(1);
  });

  test("puts the damaged directory back when no peer answers", async () => {
    const directory = join(folder, "replica");
    {
      await using replica = await openReplica({ schema, storage: directory });
      replica.collections.likes.increment("post");
    }
    await damage(directory);
    const nobody = ["--join", "ws://127.0.0.1:9", "--timeout", "1"];
    expect(await run("repair", directory, ...nobody)).toMatchObject({ status: 1 });
    expect(await readdir(folder)).toEqual(["replica"]);
    await expect(openReplica({ schema, storage: directory })).rejects.toThrow(CorruptStorageError);
  });
});

describe("trellis inspect", () => {
  test("prints tables", async () => {
    const directory = join(folder, "replica");
    const replica = await openReplica({ schema, storage: directory });
    replica.collections.likes.increment("post", 3);
    await replica.close();
    const { status, output } = await run("inspect", directory);
    expect(status).toBe(0);
    expect(output).toMatch(/likes\s+│ counter\/1\s+│ 1\s/u);
    expect(output).toContain("removals kept for peers: 0");
  });

  test("says so where there is nothing", async () => {
    const { status, errors } = await run("inspect", join(folder, "nothing"));
    expect(status).toBe(1);
    expect(errors).toContain("holds no replica");
  });
});
