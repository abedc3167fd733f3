/** Unmodified clients of automerge-repo, at replicas that know each other. */
import * as Automerge from "@automerge/automerge";
import { type DocHandle, isValidAutomergeUrl, Repo } from "@automerge/automerge-repo";
import { afterEach, expect, test, vi } from "vitest";
import { grantOf } from "../../../src/access.ts";
import { memoryStorage } from "../../../src/store/storage/memory.ts";
import { Bare, closeAll, documentsOf, pair, repo, served, until } from "./scene.ts";

vi.setConfig({ testTimeout: 30_000 });
afterEach(closeAll);

interface Note {
  text: string;
  list: number[];
  map: Record<string, string>;
  likes: Automerge.Counter;
}

const note = (): Note => ({ text: "", list: [], map: {}, likes: new Automerge.Counter(0) });

const same = (left: DocHandle<Note>, right: DocHandle<Note>): boolean =>
  String(left.heads()) === String(right.heads());

/** A client that was not connected within a second says that the document is unavailable, and finds it later. */
async function found(client: Repo, of: DocHandle<Note>): Promise<DocHandle<Note>> {
  let handle: DocHandle<Note> | undefined;
  await until(() => {
    void client.find<Note>(of.url).then(
      (ready) => (handle = ready),
      () => undefined,
    );
    return handle !== undefined;
  }, "the document");
  return handle ?? of;
}

test("a document that one creates at a replica is found and edited at another, and is a value of both", async () => {
  const [one, two] = await pair();
  const left = repo(one.url).create<Note>(note());
  expect(isValidAutomergeUrl(left.url)).toBe(true);
  const right = await found(repo(two.url), left);
  left.change((doc) => {
    Automerge.splice(doc, ["text"], 0, 0, "left");
    doc.list.push(1);
    doc.likes.increment(2);
  });
  right.change((doc) => {
    Automerge.splice(doc, ["text"], 0, 0, "right");
    doc.list.push(2);
    doc.map["right"] = "yes";
    doc.likes.increment(3);
  });
  await until(() => same(left, right) && left.doc().likes.value === 5, "both to have the same");
  expect(left.doc()).toEqual(right.doc());
  expect(["leftright", "rightleft"]).toContain(left.doc().text);
  const expected = documentsOf(one).json(left.documentId);
  expect(documentsOf(two).json(left.documentId)).toEqual(expected);
  expect(expected).toMatchObject({ map: { right: "yes" }, likes: 5 });
  // What code of the service changes comes to clients, too.
  documentsOf(two).change(left.documentId, (doc) => Object.assign(doc as object, { served: true }));
  await until(() => "served" in left.doc(), "the change of the service");
});

test("clients converge through two replicas that are cut off, one of which is restarted from its storage", async () => {
  const storage = memoryStorage();
  const one = await served();
  const { port, replica } = await served({ peers: [one.url], storage });
  const left = repo(one.url).create<Note>(note());
  const right = await found(repo(`ws://127.0.0.1:${port}`), left);
  for (let round = 0; round < 3; round++) {
    const restarted = round === 1;
    if (restarted) await replica.close();
    for (let i = 0; i < 20; i++) {
      left.change((doc) => {
        Automerge.splice(doc, ["text"], 0, 0, "l");
        doc.likes.increment(1);
      });
      right.change((doc) => {
        Automerge.splice(doc, ["text"], doc.text.length, 0, "r");
        doc.list.push(i);
        doc.likes.increment(1);
      });
    }
    if (restarted) await served({ peers: [one.url], storage, listen: { port } });
    await until(() => same(left, right), "convergence");
  }
  expect(left.doc()).toEqual(right.doc());
  expect(left.doc().likes.value).toBe(120);
  expect(left.doc().text).toHaveLength(120);
  expect(left.doc().list).toHaveLength(60);
});

test("a document that nobody has is unavailable, and comes to who asked once somebody has it", async () => {
  const [one, two] = await pair();
  const author = new Repo({});
  const lonely = author.create<Note>(note());
  const asker = repo(two.url);
  await expect(asker.find(lonely.url)).rejects.toThrow("unavailable");
  const bare = await new Bare(two.url).joined("watcher");
  const [, request] = Automerge.generateSyncMessage(Automerge.init(), Automerge.initSyncState());
  bare.tell({
    ...{ type: "request", senderId: "watcher", targetId: "x" },
    ...{ documentId: lonely.documentId, data: request ?? new Uint8Array() },
  });
  await until(() => bare.types.includes("doc-unavailable"), "doc-unavailable");
  expect(bare.types).not.toContain("sync");
  documentsOf(one).apply(lonely.documentId, Automerge.save(lonely.doc()));
  await until(() => bare.types.includes("sync"), "the document");
  const again = await found(asker, lonely);
  expect(again.doc()).toEqual(lonely.doc());
});

test("an ephemeral message comes once to each client that has the document, at every replica", async () => {
  const [one, two] = await pair();
  const three = await served({ peers: [one.url, two.url] });
  const clients = [one, one, two, three].map(({ url }) => repo(url));
  const [first, ...others] = clients as [Repo, ...Repo[]];
  const mine = first.create<Note>(note());
  const theirs = await Promise.all(others.map((client) => found(client, mine)));
  const heard = theirs.map((): unknown[] => []);
  for (const [at, handle] of theirs.entries())
    handle.on("ephemeral-message", ({ message }) => heard[at]?.push(message));
  mine.on("ephemeral-message", () => heard.push(["an echo"]));
  for (let i = 0; i < 20; i++) mine.broadcast({ i });
  await until(() => heard.every((messages) => messages.length >= 20), "all to hear");
  mine.broadcast("last");
  await until(() => heard.every((messages) => messages.includes("last")), "all to hear the last");
  const all = [...Array.from({ length: 20 }, (_, i) => ({ i })), "last"];
  expect(heard).toEqual([all, all, all]);
});

test("who may only read gets what others write, and what it writes is not taken", async () => {
  const rights: Record<string, readonly string[]> = {
    writer: ["read:automerge", "write:automerge"],
    reader: ["read:automerge"],
    stranger: ["read:other"],
    other: ["read:automerge/none"],
  };
  const one = await served({
    listen: {
      port: 0,
      authenticate: ({ token }) =>
        token !== undefined && rights[token] !== undefined
          ? grantOf({ subject: token }, rights[token])
          : false,
    },
  });
  const mine = repo(one.url, "?token=writer").create<Note>(note());
  await until(() => documentsOf(one).has(mine.documentId), "the document");
  const theirs = await found(repo(one.url, "?token=reader"), mine);
  theirs.change((doc) => Automerge.splice(doc, ["text"], 0, 0, "no"));
  mine.change((doc) => Automerge.splice(doc, ["text"], 0, 0, "yes"));
  await until(() => theirs.doc().text.includes("yes"), "what the writer wrote");
  mine.change((doc) => void (doc.map["more"] = "yes"));
  await until(() => theirs.doc().map["more"] === "yes", "more of it");
  expect(documentsOf(one).json(mine.documentId)).toMatchObject({ text: "yes" });
  expect(mine.doc().text).toBe("yes");
  const other = repo(one.url, "?token=other");
  await expect(other.find(mine.url)).rejects.toThrow("unavailable");
});

test("a document that was removed comes back with the next edit of a client, whole", async () => {
  const one = await served();
  const mine = repo(one.url).create<Note>(note());
  await until(() => documentsOf(one).has(mine.documentId), "the document");
  documentsOf(one).delete(mine.documentId);
  expect(documentsOf(one).has(mine.documentId)).toBe(false);
  mine.change((doc) => void (doc.map["again"] = "yes"));
  await until(() => documentsOf(one).has(mine.documentId), "the document again");
  await until(() => JSON.stringify(documentsOf(one).json(mine.documentId)).includes("again"));
});
