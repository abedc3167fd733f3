/** Documents of other libraries in the table of types: what is compared is what stands in them, in any order. */
import * as Y from "yjs";
import type { DocumentCollection } from "../../src/store/collections/documents.ts";
import type { Random } from "../simulation/virtual-environment.ts";
import { byText, type Operation } from "./specifications.ts";

/** Each may stand in a document many times. */
const items = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];

export const drawDocument = (random: Random): Operation =>
  random.chance(0.7)
    ? { name: "insert", item: random.pick(items), at: random.next() }
    : { name: "erase", item: random.pick(items) };

/** How one library inserts, erases and shows; what it draws by itself must not differ from run to run. */
export interface DocumentMoves<C> {
  readonly insert: (content: C, item: string, at: number) => void;
  readonly erase: (content: C, item: string) => void;
}

export function performDocument<D, C>(
  documents: DocumentCollection<D, C>,
  moves: DocumentMoves<C>,
  key: string,
  operation: Operation,
): void {
  if (operation.name !== "insert" && operation.name !== "erase") {
    throw new Error(`assertion: ${operation.name} is not of documents`);
  }
  documents.change(key, (content) => {
    if (operation.name === "insert") moves.insert(content, operation.item, operation.at);
    else moves.erase(content, operation.item);
  });
}

const numbered = new WeakSet<Y.Doc>();

/** A third of the items are keys of a map, which nobody else uses; the others stand in an array or a text. */
export const yMoves: DocumentMoves<Y.Doc> = {
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
