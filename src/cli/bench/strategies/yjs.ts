import { openMesh } from "../mesh.ts";
import type { Strategy } from "../strategy.ts";

/** Has no counter: each client has totals of its own, which are summed on reading. */
export const strategy: Strategy = {
  name: "yjs",
  title: "Yjs: an entry of a Y.Map for each key and client, one transaction an operation",
  family: "replicated",
  volatile: "nothing at once",
  workloads: ["likes", "register"],
  async open() {
    const yjs = await import("yjs");
    const doc = new yjs.Doc();
    const likes = doc.getMap<number>("likes");
    const profiles = doc.getMap<string>("profiles");
    const mesh = await openMesh({
      greet: () => yjs.encodeStateVector(doc),
      answer: (stateVector) => [yjs.encodeStateAsUpdate(doc, stateVector)],
      // Updates that arrive before what they follow are kept: of few it keeps few.
      merge: (updates) => yjs.mergeUpdates([...updates]),
      receive(updates) {
        for (const update of updates) yjs.applyUpdate(doc, update, mesh);
      },
    });
    doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin !== mesh) mesh.broadcast(update);
    });

    return {
      ...mesh,
      add(key, amount) {
        const entry = `${key}|${doc.clientID}`;
        likes.set(entry, (likes.get(entry) ?? 0) + amount);
      },
      get: (key) => profiles.get(key),
      set: (key, value) => void profiles.set(key, value),
      count(keys) {
        const sums = new Map<string, number>();
        for (const [entry, total] of likes.entries()) {
          const key = entry.slice(0, entry.lastIndexOf("|"));
          sums.set(key, (sums.get(key) ?? 0) + total);
        }
        return keys.map((key) => sums.get(key) ?? 0);
      },
      async close() {
        await mesh.close();
        doc.destroy();
      },
    };
  },
};
