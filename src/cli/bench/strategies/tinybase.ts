import type { MergeableChanges, MergeableContent } from "tinybase";
import { openMesh } from "../mesh.ts";
import type { Strategy } from "../strategy.ts";

/** Has no counter: each node has totals of its own, which are summed on reading. */
export const strategy: Strategy = {
  name: "tinybase",
  title: "TinyBase: a cell for each key and node, one transaction an operation, all after a break",
  family: "replicated",
  volatile: "nothing at once",
  workloads: ["likes", "register"],
  async open({ node }) {
    const { createMergeableStore } = await import("tinybase");
    const store = createMergeableStore();
    let isReceiving = false;
    const mesh = await openMesh({
      answer: () => [Buffer.from(JSON.stringify(store.getMergeableContent()))],
      receive(updates) {
        isReceiving = true;
        for (const update of updates) store.applyMergeableChanges(changesOf(update));
        isReceiving = false;
      },
    });
    store.addDidFinishTransactionListener(() => {
      if (isReceiving) return;
      mesh.broadcast(Buffer.from(JSON.stringify(store.getTransactionMergeableChanges())));
    });

    return {
      ...mesh,
      add(key, amount) {
        store.setCell("likes", key, `${node}`, (total) => Number(total ?? 0) + amount);
      },
      get(key) {
        const text = store.getCell("profiles", key, "text");
        return typeof text === "string" ? text : undefined;
      },
      set: (key, value) => void store.setCell("profiles", key, "text", value),
      count: (keys) =>
        keys.map((key) =>
          Object.values(store.getRow("likes", key)).reduce<number>(
            (sum, total) => sum + Number(total),
            0,
          ),
        ),
      close: mesh.close,
    };
  },
};

function changesOf(update: Uint8Array): MergeableChanges | MergeableContent {
  return JSON.parse(Buffer.from(update).toString()) as MergeableChanges | MergeableContent;
}
