import type * as Automerge from "@automerge/automerge";
import { openMesh } from "../mesh.ts";
import type { Strategy } from "../strategy.ts";

interface Shared {
  /** By node, then by key. */
  likes: Record<string, Record<string, Automerge.Counter>>;
  profiles: Record<string, string>;
}

/**
 * Counters that two nodes create at one time do not add up, but one of them wins: so each node has counters of its
 * own. All is in one document, as in its tutorial; a change costs as much as the map that it changes is large.
 */
export const strategy: Strategy = {
  name: "automerge",
  title: "Automerge: one document, a Counter for each key and node, one change an operation",
  family: "replicated",
  volatile: "nothing at once",
  workloads: ["likes", "register"],
  async open({ node, nodes }) {
    const automerge = await import("@automerge/automerge");
    let doc = automerge.clone(baseOf(automerge, nodes));
    const mesh = await openMesh({
      greet: () => Buffer.from(automerge.getHeads(doc).join(" ")),
      // Heads that are not known here are passed over, and more is sent than need be.
      answer: (heads) => automerge.getChangesSince(doc, headsOf(heads)),
      receive(changes) {
        [doc] = automerge.applyChanges(doc, [...changes]);
      },
    });
    const change = (how: (draft: Shared) => void): void => {
      doc = automerge.change(doc, how);
      const last = automerge.getLastLocalChange(doc);
      if (last !== undefined) mesh.broadcast(last);
    };

    return {
      ...mesh,
      add(key, amount) {
        change(({ likes }) => {
          const own = likes[node] ?? {};
          const counter = own[key];
          if (counter === undefined) own[key] = new automerge.Counter(amount);
          else counter.increment(amount);
        });
      },
      get: (key) => doc.profiles[key],
      set: (key, value) =>
        change(({ profiles }) => {
          profiles[key] = value;
        }),
      count: (keys) =>
        keys.map((key) =>
          Object.values(doc.likes).reduce((sum, own) => sum + (own[key]?.value ?? 0), 0),
        ),
      async close() {
        await mesh.close();
        automerge.free(doc);
      },
    };
  },
};

/** The same bytes on every node: maps that each made by itself would exclude each other. */
function baseOf(automerge: typeof Automerge, nodes: number) {
  return automerge.change(automerge.init<Shared>({ actor: "00" }), { time: 0 }, (draft) => {
    draft.likes = {};
    for (let node = 0; node < nodes; node++) draft.likes[node] = {};
    draft.profiles = {};
  });
}

function headsOf(greeting: Uint8Array): string[] {
  return Buffer.from(greeting).toString().split(" ");
}
