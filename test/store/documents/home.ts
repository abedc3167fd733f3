/** A replica with Yjs documents beside counters, under a virtual clock. */
import * as Y from "yjs";
import { yDoc } from "../../../src/bridge/yjs.ts";
import { counter } from "../../../src/crdt/index.ts";
import { openCollections } from "../../../src/store/collections/open.ts";
import type { FreeCollections } from "../../../src/store/collections/types.ts";
import type { ShelfListener } from "../../../src/store/documents/shelf.ts";
import { Exchanges } from "../../../src/store/exchanges.ts";
import { Keyspace } from "../../../src/store/keyspace.ts";
import { World } from "../../simulation/virtual-environment.ts";
import { joinInto } from "./joining.ts";

const schema = { notes: yDoc(), drafts: yDoc(), likes: counter() };

export class Home {
  readonly keyspace: Keyspace;
  readonly exchanges: Exchanges;
  readonly collections: FreeCollections<typeof schema>;
  /** What was told of documents by nobody's call. */
  readonly told: string[] = [];

  constructor(world: World) {
    const environment = world.environment();
    this.keyspace = new Keyspace({ schema, environment });
    this.exchanges = new Exchanges(this.keyspace);
    const documents: ShelfListener = {
      passedOver: (key, updates) => this.told.push(`${key} passes over ${updates}`),
      failed: (what, error) => this.told.push(`${what}: ${String(error)}`),
    };
    this.collections = openCollections(this.keyspace, schema, { documents });
  }

  get notes(): FreeCollections<typeof schema>["notes"] {
    return this.collections.notes;
  }

  doc(key = "n"): Y.Doc {
    return this.notes.get(key);
  }

  /** The text of a document. */
  text(key = "n"): string {
    return this.doc(key).getText("t").toJSON();
  }

  join(from: Home): void {
    joinInto(this, from);
  }

  /** Puts anything into a slot, as a peer might. */
  forge(
    slot: string,
    value: string | number,
    options: { key?: string; writer?: string } = {},
  ): void {
    const { keyspace } = this;
    const root = keyspace.nodes.root("notes");
    if (root === undefined) throw new Error("assertion: no collection");
    const key = keyspace.nodes.container(keyspace.key(root, options.key ?? "n"));
    const writer =
      key && keyspace.nodes.container(keyspace.child(key, options.writer ?? keyspace.actor));
    if (writer) keyspace.assign(keyspace.child(writer, slot), value);
  }
}

export function homes(count: number, seed = 1): { world: World; all: Home[] } {
  const world = new World(seed);
  return { world, all: Array.from({ length: count }, () => new Home(world)) };
}

/** An update that makes one text. */
export function updateOf(text: string, clientID?: number): Uint8Array {
  const doc = new Y.Doc();
  if (clientID !== undefined) doc.clientID = clientID;
  doc.getText("t").insert(0, text);
  return Y.encodeStateAsUpdate(doc);
}
