import { openMesh } from "../mesh.ts";
import type { Strategy } from "../strategy.ts";

const message = 0;
const savedState = 1;

/** What it does in one turn is one message by default. */
export const strategy: Strategy = {
  name: "collabs",
  title: "Collabs: a CCounter for each key, a CValueMap; all state after a break",
  family: "replicated",
  volatile: "nothing at once",
  workloads: ["likes", "register"],
  async open() {
    const { CCounter, CLazyMap, CRuntime, CValueMap } = await import("@collabs/collabs");
    const runtime = new CRuntime({ allowRedundantLoads: true });
    const likes = runtime.registerCollab(
      "likes",
      (init) => new CLazyMap<string, InstanceType<typeof CCounter>>(init, (of) => new CCounter(of)),
    );
    const profiles = runtime.registerCollab(
      "profiles",
      (init) => new CValueMap<string, string>(init),
    );
    const mesh = await openMesh({
      answer: () => [tagged(savedState, runtime.save())],
      receive(updates) {
        runtime.batchRemoteUpdates(() => {
          for (const update of updates) {
            const bytes = update.subarray(1);
            if (update[0] === savedState) runtime.load(bytes);
            else runtime.receive(bytes);
          }
        });
      },
    });
    runtime.on("Send", (sent) => mesh.broadcast(tagged(message, sent.message)));

    return {
      ...mesh,
      add: (key, amount) => likes.get(key).add(amount),
      get: (key) => profiles.get(key),
      set: (key, value) => void profiles.set(key, value),
      count: (keys) => keys.map((key) => likes.get(key).value),
      close: mesh.close,
    };
  },
};

function tagged(tag: number, bytes: Uint8Array): Uint8Array {
  const update = new Uint8Array(bytes.length + 1);
  update[0] = tag;
  update.set(bytes, 1);
  return update;
}
