/** What must be found out, or the simulation proves nothing: each breaks one thing that the rights rest on. */
import { Account } from "../../../src/escalate/escrow/account.ts";
import type { Witness } from "../../../src/escalate/witness.ts";
import type { StorageEngine } from "../../../src/store/storage.ts";

export const flaws = [
  "believes every directory",
  "is told by its disk too early",
  "spends a block that the disk does not count",
  "counts a grant again",
] as const;
export type Flaw = (typeof flaws)[number];

/** A witness that agrees with everybody. */
export const withoutDoubt = (witness: Witness): Witness => ({
  recall: async (id) => {
    const testimony = await witness.recall(id);
    return { kind: "left", turn: "turn" in testimony ? testimony.turn : 0, serial: 0 };
  },
  take: async (id, turn, serial) =>
    (await witness.take(id, turn, serial)) ?? { mark: () => undefined, leave: () => undefined },
});

/** A disk that answers before it has written. */
export const tooEarly = (engine: StorageEngine): StorageEngine => ({
  location: engine.location,
  tornBytes: engine.tornBytes,
  batch: () => {
    const batch = engine.batch();
    return {
      put: (key, value) => batch.put(key, value),
      delete: (key) => batch.delete(key),
      discard: () => batch.discard(),
      write: async (options) => {
        batch.write(options).catch(() => undefined);
      },
    };
  },
  read: (from, to) => engine.read(from, to),
  size: () => engine.size(),
  close: () => engine.close(),
});

/** Breaks what stands in a class, for one run. */
export async function flawed<T>(flaw: Flaw | undefined, run: () => Promise<T>): Promise<T> {
  const { prototype } = Account;
  const reserved = Object.getOwnPropertyDescriptor(prototype, "reserved") as PropertyDescriptor;
  const learns = Object.getOwnPropertyDescriptor(prototype, "learnGranted") as PropertyDescriptor;
  const learnGranted = learns.value as Account["learnGranted"];
  try {
    if (flaw === "spends a block that the disk does not count") {
      Object.defineProperty(prototype, "reserved", { ...reserved, get: () => 0 });
    } else if (flaw === "counts a grant again") {
      prototype.learnGranted = function twice(granted) {
        // As a message would: what is said again has its effect again.
        if (granted > 0 && granted === this.granted && granted % 7 === 0) this.gain(1);
        learnGranted.call(this, granted);
      };
    }
    return await run();
  } finally {
    Object.defineProperty(prototype, "reserved", reserved);
    Object.defineProperty(prototype, "learnGranted", learns);
  }
}
