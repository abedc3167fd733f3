import { setImmediate as endOfTurn } from "node:timers/promises";
import { openMesh } from "../mesh.ts";
import type { Strategy } from "../strategy.ts";

/** A counter is a root container, whose name must hold no "/". */
export const strategy: Strategy = {
  name: "loro",
  title: "Loro: a LoroCounter for each key, an entry of a LoroMap, one commit a turn",
  family: "replicated",
  volatile: "nothing at once",
  workloads: ["likes", "register"],
  async open() {
    const { LoroDoc, VersionVector } = await import("loro-crdt");
    const doc = new LoroDoc();
    const profiles = doc.getMap("profiles");
    const mesh = await openMesh({
      greet: () => doc.oplogVersion().encode(),
      answer: (version) => [doc.export({ mode: "update", from: VersionVector.decode(version) })],
      receive: (updates) => void doc.importBatch([...updates]),
    });
    doc.subscribeLocalUpdates(mesh.broadcast);

    let isCommitting = false;
    // Not each operation: updates that arrive before what they follow are kept, at a cost of the square of how many.
    const commit = (): void => {
      if (isCommitting) return;
      isCommitting = true;
      setImmediate(() => {
        isCommitting = false;
        doc.commit();
      });
    };

    return {
      ...mesh,
      add(key, amount) {
        const counter = doc.getCounter(key);
        counter.increment(amount);
        // Left to the collector, handles make every operation two to three times as dear.
        counter.free();
        commit();
      },
      get(key) {
        const value = profiles.get(key);
        return typeof value === "string" ? value : undefined;
      },
      set(key, value) {
        profiles.set(key, value);
        commit();
      },
      count: (keys) =>
        keys.map((key) => {
          const counter = doc.getCounter(key);
          const { value } = counter;
          counter.free();
          return value;
        }),
      async close() {
        await mesh.close();
        await endOfTurn();
        doc.free();
      },
    };
  },
};
