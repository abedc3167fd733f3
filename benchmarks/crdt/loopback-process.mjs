/**
 * One of the three processes of the loopback rows. The row's own process calls it by message; times
 * are of the monotonic clock, which all processes of a machine share.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { keyNames, randomSequence, turnOperations } from "./workload.mjs";

const systems = { floor: "./loopback-raw.mjs", ours: "./trellis.mjs" };
const nowUs = () => Number(process.hrtime.bigint()) / 1_000;
const cpuUs = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

let link;
let latenciesUs = [];

const calls = {
  async open({ system, role, url }) {
    link = await (await import(systems[system])).openLoopback({ role, url });
    return { url: link.url };
  },

  /** Reader: keeps how long each sample took. */
  listen() {
    link
      .listen((sentUs) => {
        latenciesUs.push(nowUs() - sentUs);
      })
      .catch(fail);
  },
  takeLatencies() {
    const taken = latenciesUs;
    latenciesUs = [];
    return taken;
  },

  /** Writer: one sample after another. */
  async sample({ samples, gapMs }) {
    for (let i = 0; i < samples; i++) {
      link.sample(nowUs());
      await sleep(gapMs);
    }
  },

  /** Writer: increments, so many in a turn. `endUs` is right after the last call. */
  async increment({ operations, keyCount, perTurn = turnOperations, seed }) {
    const keys = keyNames(keyCount);
    const sequence = randomSequence(operations, keyCount, seed);
    const startUs = nowUs();
    const cpuBefore = cpuUs();
    for (let at = 0; at < operations;) {
      for (const end = Math.min(at + perTurn, operations); at < end; at++) {
        link.increment(keys[sequence[at]]);
      }
      if (at < operations) await link.turn();
    }
    const endUs = nowUs();
    const mark = link.mark();
    await link.turn();
    return { startUs, endUs, mark, cpuUs: cpuUs() - cpuBefore };
  },

  /** Writer: increments the first `count` keys once each, in turns. */
  async fill({ count }) {
    const keys = keyNames(count);
    for (let at = 0; at < count;) {
      for (const end = Math.min(at + turnOperations, count); at < end; at++)
        link.increment(keys[at]);
      await link.turn();
    }
    return { mark: link.mark() };
  },

  /** Reader: when it holds all that `mark` names, and what it holds then. */
  async until({ mark, keyCount }) {
    await link.until(mark);
    const reachedUs = nowUs();
    return { reachedUs, total: link.total(keyNames(keyCount)) };
  },

  async cut() {
    await link.cut();
  },
  /** Reader: dials again and waits; how long that took and what came in. */
  async heal({ mark, keyCount }) {
    const startUs = nowUs();
    await link.heal();
    await link.until(mark);
    const reachedUs = nowUs();
    return {
      ms: (reachedUs - startUs) / 1_000,
      bytes: link.bytesIn(),
      total: link.total(keyNames(keyCount)),
    };
  },
  async close() {
    await link?.close();
    link = undefined;
  },
};

function fail(error) {
  console.error(error);
  process.exit(1);
}

process.on("disconnect", () => process.exit(0));
process.on("message", (message) => void perform(message));

async function perform({ id, call, input }) {
  try {
    process.send({ id, result: await calls[call](input ?? {}) });
  } catch (error) {
    process.send({ id, error: { name: error.name, message: error.message, stack: error.stack } });
  }
}
