/**
 * A store in virtual time, some way off, that serves one request after the other. What is measured there is the
 * strategy alone: the same to the last digit on every machine, however busy.
 */
import { built } from "../locks/build.mjs";

/** Each way, and up to so much more. */
const eachWayMs = 1.3;
const jitterMs = 0.4;
/** What the store takes for one request. */
const serviceMs = 0.05;
const turnsMax = 100_000_000;
const finishSteps = 1_000;

/** Numbers from 0 to 1, the same for the same seed. */
export function fraction(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A world with a store: clients of it, its clock, and a way to let time pass. */
export async function virtualStore(seed) {
  const { World } = await built("test/simulation/virtual-environment");
  const { GuardTable } = await built("src/escalate/fence/guard-table");
  const { memoryLocks } = await built("src/escalate/locks/memory");
  const world = new World(seed);
  const environment = world.environment();
  const table = new GuardTable(environment);
  const later = (ms) => new Promise((resolve) => environment.schedule(ms, resolve));
  const way = () => later(eachWayMs + jitterMs * world.random.next());
  let freeMs = 0;
  const ask = (name) => async (request) => {
    await way();
    freeMs = Math.max(world.nowMs, freeMs) + serviceMs;
    await later(freeMs - world.nowMs);
    const answer = await table[name](request);
    await way();
    return answer;
  };
  const asked = ["birth", "open", "turn", "cancel", "renew", "read", "commit", "compareAndSet"];
  const authority = Object.fromEntries(asked.map((name) => [name, ask(name)]));
  return {
    client() {
      const own = world.environment();
      return {
        environment: own,
        locks: memoryLocks({ store: { authority }, environment: own, answerMs: 60_000 }),
      };
    },
    nowMs: () => world.nowMs,
    pass: (ms) => world.settle({ forMs: ms, turnsMax }),
    /** Lets time pass until this is over. */
    async finish(work) {
      const state = { isOver: false };
      const over = () => (state.isOver = true);
      work.then(over, over);
      for (let steps = 0; !state.isOver; steps++) {
        if (steps === finishSteps) throw new Error("something in virtual time does not end");
        await world.settle({ forMs: 100, until: () => state.isOver, turnsMax });
      }
      return work;
    },
  };
}
