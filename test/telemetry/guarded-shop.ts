/** A schema of what waits for others, over locks in memory, beside one counter that does not. */
import { boundedCounter, counter, fencedRegister, uniqueClaims } from "../../src/index.ts";

export const schema = {
  likes: counter(),
  accounts: fencedRegister<number>({ weakFence: true }),
  username: uniqueClaims({ weakFence: true }),
  stock: boundedCounter({ min: 0, weakFence: true }),
};
