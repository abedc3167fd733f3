/** Documents of other libraries in the table of types: what is compared is what stands in them, in any order. */
import * as Automerge from "@automerge/automerge";
import * as Y from "yjs";
import type { DocumentCollection } from "../../src/store/collections/documents.ts";
import type { DocumentFollower } from "../../src/store/documents/held-document.ts";
import type { Random } from "../simulation/virtual-environment.ts";
import { byText, type Operation } from "./specifications.ts";

/** Each may stand in a document many times. */
const items = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];

export const drawDocument = (random: Random): Operation =>
  random.chance(0.7)
    ? { name: "insert", item: random.pick(items), at: random.next() }
    : { name: "erase", item: random.pick(items), at: random.next() };

/** How one library inserts and erases. */
export interface DocumentMoves<C> {
  readonly insert: (content: C, item: string, at: number) => void;
  readonly erase: (content: C, item: string) => void;
}

const wrong = (operation: Operation): never => {
  throw new Error(`assertion: ${operation.name} is not of documents`);
};

function move<C>(moves: DocumentMoves<C>, content: C, operation: Operation): void {
  if (operation.name === "insert") moves.insert(content, operation.item, operation.at);
  else if (operation.name === "erase") moves.erase(content, operation.item);
  else wrong(operation);
}

export const performYjs = (
  documents: DocumentCollection<Y.Doc, Y.Doc>,
  key: string,
  operation: Operation,
): void => documents.change(key, (doc) => move(yMoves, doc, operation));

const numbered = new WeakSet<Y.Doc>();

/** A third of the items are keys of a map, which nobody else uses; the others stand in an array or a text. */
const yMoves: DocumentMoves<Y.Doc> = {
  insert: (doc, item, at) => {
    // Yjs draws it itself, but a seed must give the same bytes.
    if (!numbered.has(doc)) doc.clientID = Math.floor(at * 2 ** 32);
    numbered.add(doc);
    const kind = Number(item) % 3;
    const [array, text] = [doc.getArray("array"), doc.getText("text")];
    if (kind === 0) {
      const clock = Y.getState(doc.store, doc.clientID);
      doc.getMap("map").set(`${item} ${doc.clientID} ${clock}`, true);
    } else if (kind === 1) array.insert(Math.floor(at * (array.length + 1)), [item]);
    else text.insert(Math.floor(at * (text.length + 1)), item);
  },
  erase: (doc, item) => {
    const [map, array, text] = [doc.getMap("map"), doc.getArray("array"), doc.getText("text")];
    for (const key of map.keys()) if (key.startsWith(`${item} `)) map.delete(key);
    for (let at = array.length - 1; at >= 0; at--) if (array.get(at) === item) array.delete(at);
    const letters = text.toJSON();
    for (let at = letters.length - 1; at >= 0; at--) if (letters[at] === item) text.delete(at, 1);
  },
};

export const yItems = (doc: Y.Doc): string[] =>
  [
    ...[...doc.getMap("map").keys()].map((key) => key.slice(0, key.indexOf(" "))),
    ...doc.getArray("array").toArray().map(String),
    ...doc.getText("text").toJSON().split(""),
  ].toSorted(byText);

/** What stands in a document of Automerge. A type, not an interface: the library wants it indexed. */
export type Items = { map: Record<string, boolean>; array: string[]; text: string };

/** Two who make the same object at once make two, of which one is seen: all begin with the same change. */
const beginning = Automerge.save(
  Automerge.change(Automerge.init<Items>({ actor: "00" }), { time: 0 }, (content) => {
    Object.assign(content, { map: {}, array: [], text: "" });
  }),
);

/** As in Yjs, but that a key of the map has the number that was drawn for it. */
const automergeMoves: DocumentMoves<Items> = {
  insert: (content, item, at) => {
    const kind = Number(item) % 3;
    if (kind === 0) content.map[`${item} ${at}`] = true;
    else if (kind === 1) content.array.splice(Math.floor(at * (content.array.length + 1)), 0, item);
    else Automerge.splice(content, ["text"], Math.floor(at * (content.text.length + 1)), 0, item);
  },
  erase: (content, item) => {
    const { map, array, text } = content;
    for (const key of Object.keys(map)) if (key.startsWith(`${item} `)) delete map[key];
    for (let at = array.length - 1; at >= 0; at--) if (array[at] === item) array.splice(at, 1);
    for (let at = text.length - 1; at >= 0; at--)
      if (text[at] === item) Automerge.splice(content, ["text"], at, 1);
  },
};

const drawnActor = "ffff";

/** Automerge draws its actors itself and reads the clock, but a seed must give the same bytes. */
function moved(doc: Automerge.Doc<Items>, operation: Operation): Automerge.Doc<Items> {
  if (operation.name !== "insert" && operation.name !== "erase") return wrong(operation);
  const isBegun = "text" in doc;
  if (!isBegun && operation.name === "erase") return doc;
  const actor = `${drawnActor}${Math.floor(operation.at * 2 ** 48).toString(16)}`;
  const own = Automerge.getActorId(doc).startsWith(drawnActor)
    ? doc
    : Automerge.clone(doc, { actor: actor.padEnd(16, "0") });
  const begun = isBegun ? own : Automerge.loadIncremental(own, beginning);
  return Automerge.change(begun, { time: 0 }, (content) =>
    move(automergeMoves, content, operation),
  );
}

const nobody: DocumentFollower = { changed: () => undefined, replaced: () => undefined };

export function performAutomerge(
  documents: DocumentCollection<Automerge.Doc<Items>, Items>,
  key: string,
  operation: Operation,
): void {
  const following = documents.follow(key, nobody);
  try {
    following.advance((doc) => [moved(doc, operation), undefined], undefined);
  } finally {
    following.stop();
  }
}

export const automergeItems = (doc: Automerge.Doc<Partial<Items>>): string[] => {
  const { map = {}, array = [], text = "" } = doc;
  const keys = Object.keys(map).map((key) => key.slice(0, key.indexOf(" ")));
  return [...keys, ...array, ...text.split("")].toSorted(byText);
};
