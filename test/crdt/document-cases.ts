/** Documents of other libraries in the table of types: what is compared is what stands in them, in any order. */
import * as Y from "yjs";
import type { DocumentCollection } from "../../src/store/collections/documents.ts";
import type { Random } from "../simulation/virtual-environment.ts";
import { byText, type Operation } from "./specifications.ts";

/** Nothing is inserted twice, in whatever run. */
let items = 0;
/** Inserted last, wherever: what an erasure most likely finds. */
const recent = 6;

export const drawDocument = (random: Random): Operation =>
  random.chance(0.7)
    ? { name: "insert", item: `${items++}`, at: random.next() }
    : { name: "erase", item: `${Math.max(0, items - 1 - random.below(recent))}` };

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
let clients = 1;

/** Every third item is a key of a map, the others stand in an array or a text. */
export const yMoves: DocumentMoves<Y.Doc> = {
  insert: (doc, item, at) => {
    if (!numbered.has(doc)) doc.clientID = clients++;
    numbered.add(doc);
    const kind = Number(item) % 3;
    const [array, text] = [doc.getArray("array"), doc.getText("text")];
    if (kind === 0) doc.getMap("map").set(item, true);
    else if (kind === 1) array.insert(Math.floor(at * (array.length + 1)), [item]);
    else {
      const words = text.toJSON().split(" ");
      const before = words.slice(0, Math.floor(at * words.length)).join(" ").length;
      text.insert(before === 0 ? 0 : before + 1, `${item} `);
    }
  },
  erase: (doc, item) => {
    const kind = Number(item) % 3;
    if (kind === 0) return doc.getMap("map").delete(item);
    if (kind === 1) {
      const at = doc.getArray("array").toArray().indexOf(item);
      if (at >= 0) doc.getArray("array").delete(at, 1);
      return;
    }
    const at = ` ${doc.getText("text").toJSON()}`.indexOf(` ${item} `);
    if (at >= 0) doc.getText("text").delete(at, item.length + 1);
  },
};

export const yItems = (doc: Y.Doc): string[] =>
  [
    ...doc.getMap("map").keys(),
    ...doc.getArray("array").toArray().map(String),
    ...doc.getText("text").toJSON().split(" ").filter(Boolean),
  ].toSorted(byText);
