/**
 * One process of a round: a server, or a client. What it is to be is its first argument, in JSON; then it answers
 * what it is asked, in turn.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { turn } from "../crdt/measure.mjs";
import { editingTrace } from "./trace.mjs";

/** What may wait in the socket before more edits are made. */
const bufferedBytesMax = 1_048_576;
/** A server rests when it took less than this share of a processor over so long. */
const restShare = 0.1;
const restMs = 250;
const restlessMsMax = 30_000;

/** One clock for all processes. */
const nowMs = () => performance.timeOrigin + performance.now();

/** Of this process so far. */
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

async function server({ kind, ...input }) {
  const { serve } = await import(`./servers/${kind}.mjs`);
  const { url, peerUrl, close } = await serve(input);
  let beforeMs = 0;
  return {
    hello: { url, peerUrl },
    begin: () => {
      beforeMs = cpuMs();
    },
    spent: async () => {
      await rest();
      const { maxRSS } = process.resourceUsage();
      return { cpuMs: cpuMs() - beforeMs, residentBytes: maxRSS * 1_024 };
    },
    close,
  };
}

/** Waits until what was put off is done. */
async function rest() {
  for (let waitedMs = 0; waitedMs < restlessMsMax; waitedMs += restMs) {
    const beforeMs = cpuMs();
    await sleep(restMs);
    if (cpuMs() - beforeMs < restMs * restShare) return;
  }
}

async function client({ kind, edits: count, turnEdits, rate = Infinity, ...input }) {
  const { edits, text } = editingTrace(count);
  const { connect } = await import(`./clients/${kind}.mjs`);
  const { name, edit, holds, whenChanged, bufferedBytes, wire } = await connect(input);
  let beforeMs = 0;
  const complete = new Promise((resolve) => {
    whenChanged(() => {
      if (holds(text)) resolve(nowMs());
    });
  });
  return {
    hello: { name },
    /** Makes all edits, at that rate or as fast as the socket takes them. */
    write: async () => {
      const startMs = nowMs();
      for (let at = 0; at < edits.length; at += turnEdits) {
        for (const each of edits.slice(at, at + turnEdits)) edit(each);
        await turn();
        while (nowMs() < startMs + ((at + turnEdits) * 1_000) / rate) await sleep(1);
        while (bufferedBytes() > bufferedBytesMax) await sleep(1);
      }
      return { startMs, endMs: nowMs() };
    },
    /** When everything was there. */
    complete: async () => ({ atMs: await complete }),
    begin: () => {
      beforeMs = cpuMs();
    },
    spent: () => ({ cpuMs: cpuMs() - beforeMs, ...wire() }),
  };
}

const { role, ...input } = JSON.parse(process.argv[2]);
const { hello, ...calls } = await { server, client }[role](input);
/** Never rejects. */
async function answer({ id, call }) {
  try {
    process.send({ id, answer: (await calls[call]?.()) ?? {} });
  } catch (error) {
    process.send({ id, error: error.message });
  }
}

process.on("message", (message) => void answer(message));
process.once("disconnect", () => process.exit());
process.send({ id: 0, answer: hello });
