/** Peers that are killed while clients edit: real processes, real disks, unmodified clients. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import * as Automerge from "@automerge/automerge";
import type { AutomergeUrl, DocHandle, Repo } from "@automerge/automerge-repo";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type * as Y from "yjs";
import { automergeDoc } from "../../src/bridge/automerge.ts";
import { yDoc } from "../../src/bridge/yjs.ts";
import { counter, openReplica } from "../../src/index.ts";
import { assertBuilt, Run } from "../cli/command.ts";
import { closeAll, repo, until } from "./automerge/scene.ts";
import { YClient } from "./yjs/y-client.ts";

/** What somebody sees of the document: each edit puts its mark into all of it, in one step. */
interface Seen {
  readonly text: string;
  readonly list: readonly string[];
  /** Of Yjs the keys of a map, of Automerge a counter. */
  readonly count: number;
}

/** A client at one peer, that had nothing when it came. */
interface Editor {
  readonly document: string;
  edit(mark: string): void;
  see(): Seen;
}

interface Library {
  readonly name: "yjs" | "automerge";
  /** Opens a document, or makes one, and has all of it that the peer has. */
  open(url: string, document?: string): Promise<Editor>;
  /** What stands in it at a replica. */
  at(witness: Witness, document: string): Seen;
}

const schema = { yjs: yDoc(), automerge: automergeDoc<Note>(), likes: counter() };
type Witness = Awaited<ReturnType<typeof openReplica<typeof schema>>>;

// A type, not an interface: the library wants it indexed.
type Note = { text: string; list: string[]; likes: Automerge.Counter };

const ofYjs = (doc: Y.Doc): Seen => ({
  text: doc.getText("t").toJSON(),
  list: doc.getArray<string>("l").toArray(),
  count: doc.getMap("m").size,
});

const ofAutomerge = ({ text = "", list = [], likes }: Partial<Note>): Seen => ({
  ...{ text, list, count: likes?.value ?? 0 },
});

let clients: YClient[] = [];

const yjs: Library = {
  name: "yjs",
  async open(url, document = "notes") {
    const client = new YClient(url, document);
    clients.push(client);
    await until(() => client.isSynced, "the document");
    const { doc } = client;
    const edit = (mark: string): void =>
      doc.transact(() => {
        const text = doc.getText("t");
        text.insert(text.length, mark);
        doc.getArray("l").push([mark]);
        doc.getMap("m").set(mark, true);
      });
    return { document, edit, see: () => ofYjs(doc) };
  },
  at: ({ collections }, document) => ofYjs(collections.yjs.get(document)),
};

/** A client that is not connected within a second says that there is no such document, and is asked again. */
async function find(client: Repo, url: AutomergeUrl): Promise<DocHandle<Note>> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    try {
      return await client.find<Note>(url);
    } catch (error) {
      if (performance.now() > endMs) throw error;
    }
  }
}

const automerge: Library = {
  name: "automerge",
  async open(url, document) {
    // It does not come back to a port where nobody is: its own errors then are nobody's.
    const client = repo(url, "", 60_000);
    const found =
      document === undefined
        ? client.create<Note>({ text: "", list: [], likes: new Automerge.Counter(0) })
        : await find(client, `automerge:${document}` as AutomergeUrl);
    const edit = (mark: string): void =>
      found.change((note) => {
        Automerge.splice(note, ["text"], note.text.length, 0, mark);
        note.list.push(mark);
        note.likes.increment(1);
      });
    return { document: found.documentId, edit, see: () => ofAutomerge(found.doc()) };
  },
  at: ({ collections }, document) => ofAutomerge(collections.automerge.get(document)),
};

/** How many edits of each editor are there: those of one are there up to some point, each whole and once. */
function editsIn({ text, list, count }: Seen): ReadonlyMap<string, number> {
  expect(text).toMatch(/^(?:<[ab]\d+>)*$/u);
  const marks = text.match(/<\w+>/gu) ?? [];
  expect(list.toSorted()).toEqual(marks.toSorted());
  expect(count).toBe(marks.length);
  const edits = new Map<string, number>();
  for (const editor of ["a", "b"]) {
    const numbers = marks
      .filter((mark) => mark[1] === editor)
      .map((mark) => Number(mark.slice(2, -1)));
    // An editor writes at the end of what it sees, so its own are in order, too.
    expect(numbers).toEqual(numbers.map((_, at) => at));
    edits.set(editor, numbers.length);
  }
  return edits;
}

/** An editor that goes on where those of its name were. */
class Typist {
  readonly editor: Editor;
  readonly #name: string;
  #next: number;

  constructor(name: string, editor: Editor) {
    this.editor = editor;
    this.#name = name;
    this.#next = editsIn(editor.see()).get(name) ?? 0;
  }

  type(): void {
    this.editor.edit(`<${this.#name}${this.#next++}>`);
  }

  get edits(): number {
    return this.#next;
  }
}

/** More than slots for them, before they are merged. */
const editsAtOnce = 80;

let folder = "";
let peers: Run[] = [];

beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-killed-"));
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  clients = [];
  await closeAll();
  for (const peer of peers) await peer[Symbol.asyncDispose]();
  peers = [];
  await rm(folder, { recursive: true, force: true });
});

interface Peer {
  readonly url: string;
  readonly kill: () => void;
  readonly over: Promise<unknown>;
}

/** Runs a peer on a directory, with these settings. */
async function run(
  { name }: Library,
  directory: string,
  settings: Readonly<Record<string, string>>,
): Promise<Peer> {
  const running = new Run([
    ...["peer", "--listen", "0", "--log-level", "silent", `--${name}`],
    ...["--storage", join(folder, directory)],
    ...Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, value]),
  ]);
  peers.push(running);
  return {
    url: await running.firstLine(),
    kill: () => running.signal("SIGKILL"),
    over: running.outcome,
  };
}

/** Until so many edits are on the disk of a peer: a replica that it brought them to asks it. */
async function acknowledged(library: Library, url: string, typist: Typist): Promise<void> {
  await using witness = await openReplica({ schema, peers: [url] });
  const { document } = typist.editor;
  const { length } = typist.editor.see().text;
  await until(() => library.at(witness, document).text.length >= length, "all edits at the peer");
  witness.collections.likes.increment("seen");
  await witness.acknowledged(witness.version(), { by: 1, timeoutMs: 20_000 });
}

test.each([yjs, automerge])(
  "$name: what a killed peer had on its disk, a client finds that comes new",
  async (library) => {
    let document: string | undefined;
    let durable = 0;
    // So that a kill does lose what was not acknowledged.
    const lazy = { "fsync-interval-ms": "500" };
    for (let life = 0; life < 2; life++) {
      const { url, kill, over } = await run(library, "alone", lazy);
      const typist = new Typist("a", await library.open(url, document));
      expect(typist.edits).toBeGreaterThanOrEqual(durable);
      ({ document } = typist.editor);
      for (let i = 0; i < editsAtOnce; i++) typist.type();
      await acknowledged(library, url, typist);
      durable = typist.edits;
      for (let i = 0; i < editsAtOnce; i++) {
        typist.type();
        if (i === editsAtOnce / 2) kill();
        await turn();
      }
      await over;
    }
    const { url } = await run(library, "alone", lazy);
    const { editor, edits } = new Typist("a", await library.open(url, document));
    expect(edits).toBeGreaterThanOrEqual(durable);
    expect(editsIn(editor.see()).get("a")).toBe(edits);
  },
  120_000,
);

/** Each is killed in its turn, and the other goes on. */
interface Side {
  readonly name: "a" | "b";
  readonly peer: Peer;
  readonly typist: Typist;
}

test.each([yjs, automerge])(
  "$name: of two peers one is killed amid edits: what the other shows is there when it is back",
  async (library) => {
    const first = await run(library, "a", {});
    const a = new Typist("a", await library.open(first.url));
    const { document } = a.editor;
    const second = await run(library, "b", { join: first.url });
    const b = new Typist("b", await library.open(second.url, document));
    let victim: Side = { name: "a", peer: first, typist: a };
    let survivor: Side = { name: "b", peer: second, typist: b };
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < editsAtOnce; i++) {
        victim.typist.type();
        survivor.typist.type();
        if (i === editsAtOnce / 2) victim.peer.kill();
        // Some come in one message, some alone.
        if (i % 3 !== 0) await turn();
      }
      await victim.peer.over;
      const { name, typist } = survivor;
      const reader = await library.open(survivor.peer.url, document);
      const edits = (): ReadonlyMap<string, number> => editsIn(reader.see());
      await until(() => edits().get(name) === typist.edits, "what was written at the survivor");
      const shown = edits();
      const back = await run(library, victim.name, { join: survivor.peer.url });
      const editor = await library.open(back.url, document);
      const isSame = (): boolean => isDeepStrictEqual(editor.see(), reader.see());
      await until(() => isSame() && edits().get(name) === typist.edits, "both to show the same");
      for (const [of, count] of shown) {
        expect(editsIn(editor.see()).get(of)).toBeGreaterThanOrEqual(count);
      }
      const returned = new Typist(victim.name, editor);
      [victim, survivor] = [survivor, { name: victim.name, peer: back, typist: returned }];
    }
  },
  120_000,
);
