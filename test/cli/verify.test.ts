/** Two replicas compared from the command line: directories, and peers over real sockets. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { automergeDoc } from "../../src/bridge/automerge.ts";
import { yDoc } from "../../src/bridge/yjs.ts";
import { counter, lwwRegister, openReplica, orSet, type Replica } from "../../src/index.ts";
import { assertBuilt, run } from "./command.ts";

const schema = { likes: counter(), tags: orSet(), profile: lwwRegister<string>() };
type Shop = Replica<typeof schema>;
let folder = "";

beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-verify-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What `--json` prints, as far as it is looked at here. */
interface Verified {
  readonly verdict: string;
  readonly collections: readonly {
    readonly name: string;
    readonly types: readonly (string | null)[];
    readonly keys: readonly number[];
    readonly differing: {
      readonly listed: readonly { readonly key: string; readonly at: string }[];
      readonly count: number;
      readonly ranges: readonly { readonly after: string | null; readonly to: string | null }[];
    };
  }[];
  readonly lags: readonly { readonly actor: string; readonly batches: readonly number[] }[];
}

const directoryOf = (name: string): string => join(folder, name);
const urlOf = ({ address }: Shop): string => `ws://127.0.0.1:${address?.port ?? 0}`;
const openShop = (name: string, more: Partial<Parameters<typeof openReplica>[0]> = {}) =>
  openReplica({ name, listen: { port: 0 }, ...more, schema });

/** Two directories that hold the same, then whatever each is given alone. */
async function directories(
  both: (shop: Shop) => void,
  more: { readonly one?: (shop: Shop) => void; readonly other?: (shop: Shop) => void } = {},
): Promise<[string, string]> {
  const paths: [string, string] = [directoryOf("one"), directoryOf("other")];
  {
    await using one = await openShop("one", { storage: paths[0] });
    await using other = await openShop("other", { storage: paths[1], peers: [urlOf(one)] });
    both(one);
    await other.waitFor(one.version());
  }
  for (const [i, alone] of [more.one, more.other].entries()) {
    if (!alone) continue;
    await using shop = await openShop("alone", { storage: paths[i] ?? "" });
    alone(shop);
  }
  return paths;
}

const fill = ({ collections: { likes, tags, profile } }: Shop): void => {
  for (let i = 0; i < 500; i++) likes.increment(`post ${i}`);
  for (const key of ["", "__proto__", "é", "\u{1F600}", "\uFF61"]) tags.add(key, "odd");
  profile.set("u:7", "Ada");
};

async function verified(...args: readonly string[]): Promise<[number | string | null, Verified]> {
  const { status, output, errors } = await run("verify", ...args, "--json");
  expect(errors).toBe("");
  return [status, JSON.parse(output) as Verified];
}

describe("trellis verify, of directories", () => {
  test("that hold the same ends with status 0", async () => {
    const [one, other] = await directories(fill);
    const { status, output, errors } = await run("verify", one, other);
    expect(`${status} ${errors}`).toBe("0 ");
    expect(output).toContain("A and B are the same.");
    expect(output).toMatch(/"likes"\s+│ counter\/1\s+│ 500\s+│ 500\s+│ none/u);
    expect(await run("verify", one, one)).toMatchObject({ status: 0 });
  });

  test("that differ in one key says in which, and who lacks what, with status 1", async () => {
    const [one, other] = await directories(fill, {
      other: ({ collections }) => collections.likes.increment("post 42"),
    });
    const { status, output } = await run("verify", one, other);
    expect(status).toBe(1);
    expect(output).toMatch(/"post 42"\s+│ 1\s+│ 1\s+│ differs/u);
    expect(output).toContain("they have not seen the same writes");
    expect(output).toMatch(/\nA lacks 1 batch of [0-9a-f]{32}\n$/u);
    expect((await run("verify", other, one)).output).toContain("B lacks 1 batch of");
  });

  test("of documents names the key whose updates differ, without their library", async () => {
    const documents = { notes: yDoc(), drafts: automergeDoc<{ title: string }>() };
    const paths = [directoryOf("one"), directoryOf("other")] as const;
    const { status, output } = await (async () => {
      await using one = await openReplica({
        ...{ schema: documents, storage: paths[0], listen: { port: 0 } },
      });
      const url = `ws://127.0.0.1:${one.address?.port ?? 0}`;
      await using other = await openReplica({ schema: documents, storage: paths[1], peers: [url] });
      for (const key of ["plan", "list"]) {
        one.collections.notes.change(key, (doc) => doc.getText("t").insert(0, "same"));
        one.collections.drafts.change(key, (draft) => void (draft.title = "same"));
      }
      await other.waitFor(one.version());
      return await run("verify", url, url);
    })();
    expect([status, output]).toEqual([0, expect.stringContaining("A and B are the same.")]);
    {
      await using other = await openReplica({ schema: documents, storage: paths[1] });
      other.collections.notes.change("plan", (doc) => doc.getText("t").insert(0, "!"));
      other.collections.drafts.change("list", (draft) => void (draft.title = "another"));
    }
    const [code, { verdict, collections }] = await verified(...paths);
    expect([code, verdict]).toEqual([1, "behind"]);
    expect(collections.map(({ name, differing }) => [name, differing.listed])).toEqual([
      ["drafts", [{ key: "list", at: "both" }]],
      ["notes", [{ key: "plan", at: "both" }]],
    ]);
  });

  test("tells a collection that one of them lacks", async () => {
    const [one, other] = await directories(
      ({ collections }) => collections.likes.increment("post"),
      { one: ({ collections }) => collections.tags.add("é", "x") },
    );
    const [status, { collections, verdict }] = await verified(one, other);
    expect([status, verdict]).toEqual([1, "behind"]);
    expect(collections).toEqual([
      {
        name: "likes",
        types: ["counter/1", "counter/1"],
        keys: [1, 1],
        differing: { listed: [], count: 0, ranges: [] },
      },
      {
        name: "tags",
        types: ["or-set/1", null],
        keys: [1, 0],
        differing: { listed: [{ key: "é", at: "a" }], count: 1, ranges: [] },
      },
    ]);
  });

  test("with many differences lists some, and where the others are", async () => {
    const many = (shop: Shop, from: number): void => {
      for (let i = 0; i < 5_000; i++) shop.collections.likes.increment(`post ${from + i}`);
    };
    const [one, other] = await directories((shop) => many(shop, 0), {
      other: (shop) => many(shop, 2_500),
    });
    const [status, { collections }] = await verified(one, other, "--limit", "3");
    expect(status).toBe(1);
    const [likes] = collections;
    expect(likes?.keys).toEqual([5_000, 7_500]);
    expect(likes?.differing.listed).toHaveLength(3);
    expect(likes?.differing.count).toBeGreaterThanOrEqual(1_000);
    expect(likes?.differing.ranges.length).toBeGreaterThan(0);
    const { output } = await run("verify", one, other, "--limit", "3");
    expect(output).toMatch(/and 9\d\d more|and 1,0\d\d more/u);
    expect(output).toMatch(/after "post \d+" to (?:"post \d+"|the last)/u);
    const all = await verified(one, other, "--limit", "100000");
    expect(all[1].collections[0]?.differing).toMatchObject({ count: 5_000, ranges: [] });
  });
});

describe("trellis verify, of live peers", () => {
  test("compares them with each other and with a directory, and leaves no trace", async () => {
    const [directory] = await directories(fill);
    await using one = await openShop("one", { storage: directoryOf("one live") });
    fill(one);
    await using other = await openShop("other", { peers: [urlOf(one)] });
    await other.waitFor(one.version());
    const traces = (): unknown =>
      [one, other].map((shop) => {
        const { members, peers } = shop.status();
        return [members, peers.map(({ name, state }) => [name, state])];
      });
    const before = traces();
    expect(await verified(urlOf(one), urlOf(other))).toMatchObject([0, { verdict: "same" }]);
    expect(await verified(urlOf(one), urlOf(one))).toMatchObject([0, { verdict: "same" }]);
    expect(traces()).toEqual(before);
    // Written the same, by another actor.
    const [status, { verdict, collections, lags }] = await verified(
      ...[directory, urlOf(one), "--timeout", "1"],
    );
    expect([status, verdict]).toEqual([1, "behind"]);
    expect(collections.map(({ differing }) => differing.count)).toEqual([500, 1, 5]);
    expect(lags).toHaveLength(2);
    expect(traces()).toEqual(before);
  });

  test("that write all the time are the same as far as they can be", async () => {
    await using one = await openShop("one");
    fill(one);
    await using other = await openShop("other", { peers: [urlOf(one)] });
    await other.waitFor(one.version());
    let written = 0;
    const writing = setInterval(() => {
      one.collections.likes.increment(`post ${written++ % 500}`);
      other.collections.tags.add("é", `tag ${written % 10}`);
    }, 2);
    try {
      const { status, output } = await run("verify", urlOf(one), urlOf(other), "--timeout", "20");
      expect(`${status} ${output}`).toContain("0 A ");
    } finally {
      clearInterval(writing);
    }
    expect(written).toBeGreaterThan(10);
  });

  test("shows the token that is asked for, and is refused without it", async () => {
    await using shop = await openReplica({
      schema,
      listen: { port: 0, authenticate: ({ token }) => token === "open-sesame" },
    });
    const url = urlOf(shop);
    const refused = await run("verify", url, url);
    expect(refused).toMatchObject({ status: 1, output: "" });
    expect(refused.errors).toContain("refused the token");
    expect(await run("verify", url, url, "--token", "open-sesame")).toMatchObject({ status: 0 });
  });

  test("refuses the directory of one that is live, and says when nobody answers", async () => {
    const directory = directoryOf("live");
    await using shop = await openShop("live", { storage: directory });
    const live = await run("verify", directory, urlOf(shop));
    expect(live.status).toBe(1);
    expect(live.errors).toContain("is in use");
    const nobody = await run("verify", urlOf(shop), "ws://127.0.0.1:9");
    expect(nobody.status).toBe(1);
    expect(nobody.errors).toContain("ws://127.0.0.1:9 cannot be asked");
    const nothing = await run("verify", directoryOf("nothing"), urlOf(shop));
    expect(nothing.errors).toContain("holds no replica");
  });

  test.each<[readonly string[], string]>([
    [["verify"], "missing required argument 'a'"],
    [["verify", "one"], "missing required argument 'b'"],
    [["verify", "", "two"], "It is no directory"],
    [["verify", "one", "http://127.0.0.1"], "not a URL such as ws:"],
    [["verify", "one", "two", "--limit", "-1"], "not an integer from 0"],
    [["verify", "one", "two", "--token", "se cret"], "the token"],
  ])("%j ends with status 2 and says %s", async (args, said) => {
    const outcome = await run(...args);
    expect(outcome).toMatchObject({ status: 2, output: "" });
    expect(outcome.errors).toContain(said);
    expect(outcome.errors).not.toContain("se cret");
  });
});
