/** What is done to a replica to see what its figures cost. Loaded once for each contestant. */
import { turn } from "../crdt/measure.mjs";
import { keyNames, randomSequence } from "../crdt/workload.mjs";

const keys = keyNames(1_000);
const elements = keyNames(1_000, "element-");
const sequence = randomSequence(100_000, keys.length);

/** What `work` does to a replica is one piece; it returns how many operations that were. */
export const rows = [
  {
    name: "increment, 1,000 keys, 1,000 a turn",
    pieces: 50,
    prepare: ({ likes }) => {
      let at = 0;
      return async () => {
        for (let i = 0; i < 1_000; i++) likes.increment(keys[sequence[(at + i) % 100_000]]);
        at += 1_000;
        await turn();
        return 1_000;
      };
    },
  },
  {
    name: "increment by handle, 1 key, 1,000 a turn",
    pieces: 300,
    prepare: ({ likes }) => {
      const handle = likes.at(keys[0]);
      return async () => {
        for (let i = 0; i < 1_000; i++) handle.increment();
        await turn();
        return 1_000;
      };
    },
  },
  {
    name: "increment, 1 a turn (each is a batch)",
    pieces: 3_000,
    prepare: ({ likes }) => {
      return async () => {
        likes.increment(keys[0]);
        await turn();
        return 1;
      };
    },
  },
  {
    name: "set add and remove, 1,000 each a turn",
    pieces: 8,
    prepare: ({ tags }) => {
      return async () => {
        for (const element of elements) tags.add("post", element);
        await turn();
        for (const element of elements) tags.remove("post", element);
        await turn();
        return 2_000;
      };
    },
  },
  {
    name: "write, send and join, frames of 1,000 counters",
    pieces: 10,
    isLinked: true,
    prepare: ({ likes }, { version, reader }) => {
      return async () => {
        for (const key of keys) likes.increment(key);
        await reader.waitFor(version());
        return 1_000;
      };
    },
  },
  {
    name: "write, send and join, frames of 1 counter",
    pieces: 100,
    isLinked: true,
    prepare: ({ likes }, { version, reader }) => {
      return async () => {
        likes.increment(keys[0]);
        await reader.waitFor(version());
        return 1;
      };
    },
  },
  {
    name: "fenced update, locks in memory",
    pieces: 150,
    prepare: ({ accounts }) => {
      return async () => {
        await accounts.update("a", (count = 0) => count + 1);
        return 1;
      };
    },
  },
];
