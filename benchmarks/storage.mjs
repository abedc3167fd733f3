/**
 * `npm run bench:storage`: what durability costs. The floor is the engine itself, with the same records
 * in the same run; wall time, since a disk is waited for. Directories are in the folder for temporary
 * files, or in the one that TRELLIS_BENCH_DIR names: look at what disk that is.
 *
 *   --quick   a fifth of the work: for a look, not for a verdict
 */
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, turn } from "./crdt/measure.mjs";
import { judge, printTable } from "./report.mjs";
import { built } from "./crdt/trellis-build.mjs";
import { keyNames, randomSequence, turnOperations } from "./crdt/workload.mjs";

const { values: options } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const share = options.quick ? 5 : 1;
const { counter, openReplica } = await built("index.js");
const { levelStorage } = await built("store/storage/level.js");
const image = await built("store/image.js");
const { ByteReader } = await built("store/bytes.js");

const scratch = mkdtempSync(join(process.env.TRELLIS_BENCH_DIR ?? tmpdir(), "trellis-bench-"));
const schema = { likes: counter() };
const rounds = 3;

/** The engine's own cost of a record of ours: the same key, a value as long. */
async function engineWrites(directory, { operations, sequence }) {
  const engine = await levelStorage(directory).open();
  const value = new Uint8Array(24).fill(7);
  const startMs = performance.now();
  for (let at = 0; at < operations; at += turnOperations) {
    const batch = engine.batch();
    for (let i = at; i < at + turnOperations; i++)
      batch.put(image.recordKey("node", sequence[i]), value);
    await batch.write({ sync: false });
  }
  const last = engine.batch();
  last.put(image.recordKey("meta"), value);
  await last.write({ sync: true });
  const tookMs = performance.now() - startMs;
  await engine.close();
  return tookMs;
}

/** Increments in turns of 1,000 until all are on the disk. */
async function replicaWrites(directory, { operations, sequence, keys }) {
  const replica = await openReplica({ schema, storage: directory });
  const { likes } = replica.collections;
  for (const key of keys) likes.increment(key);
  await replica.acknowledged(replica.version(), { by: "durable", timeoutMs: 60_000 });
  const startMs = performance.now();
  for (let at = 0; at < operations; at += turnOperations) {
    for (let i = at; i < at + turnOperations; i++) likes.increment(keys[sequence[i]]);
    await turn();
  }
  await replica.acknowledged(replica.version(), { by: "durable", timeoutMs: 60_000 });
  const tookMs = performance.now() - startMs;
  await replica.close();
  return tookMs;
}

async function measureInterval() {
  const keys = keyNames(100_000);
  const operations = 500_000 / share;
  const work = { operations, keys, sequence: randomSequence(operations, keys.length) };
  const [ours, floor] = [[], []];
  for (let round = 0; round < rounds; round++) {
    floor.push(await engineWrites(join(scratch, `floor-${round}`), work));
    ours.push(await replicaWrites(join(scratch, `ours-${round}`), work));
  }
  const perSecond = (tookMs) => (operations * 1_000) / tookMs;
  const perTurn = (tookMs) => (tookMs * turnOperations) / operations;
  return [
    row({
      id: "interval-rate",
      label: "durable increments over 100,000 keys, fsync interval",
      unit: "/s",
      ours: perSecond(median(ours)),
      floor: perSecond(median(floor)),
      target: { ours: { atLeast: 100_000 } },
    }),
    row({
      id: "interval-batch",
      label: "the same, a turn of 1,000",
      unit: "ms",
      ours: perTurn(median(ours)),
      floor: perTurn(median(floor)),
      target: { ratio: { atMost: 2 } },
    }),
  ];
}

/** One write of 30 kB and its fdatasync, in ms. */
async function fsyncMs() {
  const file = await open(join(scratch, "fsync"), "w");
  const bytes = new Uint8Array(30_000);
  const taken = [];
  for (let i = 0; i < 200 / share; i++) {
    const startMs = performance.now();
    await file.write(bytes);
    await file.datasync();
    taken.push(performance.now() - startMs);
  }
  await file.close();
  return median(taken);
}

/** A thousand callers, each with one increment at a time. */
async function measureAlways() {
  const fsync = await fsyncMs();
  const storage = { directory: join(scratch, "always"), fsync: "always" };
  const replica = await openReplica({ schema, storage });
  const { likes } = replica.collections;
  const keys = keyNames(1_000);
  const waits = [];
  const startMs = performance.now();
  const endMs = startMs + 10_000 / share;
  const call = async (key) => {
    while (performance.now() < endMs) {
      const sinceMs = performance.now();
      likes.increment(key);
      await replica.acknowledged(replica.version(), { by: "durable" });
      waits.push(performance.now() - sinceMs);
    }
  };
  await Promise.all(keys.map(call));
  const tookMs = performance.now() - startMs;
  await replica.close();
  waits.sort((left, right) => left - right);
  return [
    row({
      id: "always-rate",
      label: "acknowledged increments of 1,000 callers, fsync always",
      unit: "/s",
      ours: (waits.length * 1_000) / tookMs,
      floor: null,
      target: { ours: { atLeast: 20_000 } },
    }),
    row({
      id: "always-p99",
      label: "the same, p99 of a call against one fsync",
      unit: "ms",
      ours: waits[Math.floor(waits.length * 0.99)],
      floor: fsync,
      target: { ratio: { atMost: 3 } },
      why: "a thousand callers of one turn are a part of it themselves",
    }),
  ];
}

/** Reads every record of a directory and parses it. */
async function readAndParse(directory) {
  const startMs = performance.now();
  const engine = await levelStorage(directory).open();
  const from = new ByteReader();
  let cells = 0;
  for await (const page of engine.read(Uint8Array.of(0x4e), Uint8Array.of(0x4f))) {
    for (const { value } of page) {
      from.open(value);
      image.readNode(from);
      for (; from.left > 0; cells++) image.readCell("sum", from);
    }
  }
  const tookMs = performance.now() - startMs;
  await engine.close();
  return { tookMs, cells };
}

async function measureOpening() {
  const directory = join(scratch, "large");
  const count = 1_000_000 / share;
  const replica = await openReplica({ schema, storage: directory });
  const keys = keyNames(count);
  for (let at = 0; at < count; at += turnOperations) {
    for (let i = at; i < at + turnOperations; i++) replica.collections.likes.increment(keys[i]);
    await turn();
  }
  await replica.close();
  const [ours, floor] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const { tookMs, cells } = await readAndParse(directory);
    if (cells !== count) throw new Error(`${cells} cells, not ${count}`);
    floor.push(tookMs);
    const startMs = performance.now();
    const opened = await openReplica({ schema, storage: directory });
    ours.push(performance.now() - startMs);
    if (opened.collections.likes.size() !== count) throw new Error("counters are missing");
    await opened.close();
  }
  return [
    row({
      id: "open",
      label: `opening ${count.toLocaleString("en")} counters`,
      unit: "ms",
      ours: median(ours),
      floor: median(floor),
      target: { ratio: { atMost: 2 } },
    }),
  ];
}

/**
 * Asks for a turn of the event loop in every turn, until stopped: how long was the longest? On Linux no
 * more than this thread itself has used meanwhile: on a busy machine others take turns.
 */
function watchLoop() {
  const path = "/proc/thread-self/schedstat";
  const file = existsSync(path) ? openSync(path) : undefined;
  const text = Buffer.alloc(64);
  const usedMs = () => {
    if (file === undefined) return Number.POSITIVE_INFINITY;
    const length = readSync(file, text, 0, text.length, 0);
    return Number(text.latin1Slice(0, length).split(" ")[0]) / 1e6;
  };
  let isOn = true;
  let longest = 0;
  let [wallMs, cpuMs] = [performance.now(), usedMs()];
  const probe = () => {
    const [wall, cpu] = [performance.now(), usedMs()];
    const used = file === undefined ? wall - wallMs : Math.min(wall - wallMs, cpu - cpuMs);
    longest = Math.max(longest, used);
    [wallMs, cpuMs] = [wall, cpu];
    if (isOn) setImmediate(probe);
    else if (file !== undefined) closeSync(file);
  };
  setImmediate(probe);
  return async () => {
    await turn();
    isOn = false;
    await turn();
    return longest;
  };
}

/** The loop is idle but for the journal, which has all of it to write at once; then but for LevelDB. */
async function measureLoop() {
  const count = 1_000_000 / share;
  const keys = keyNames(count);
  const [writes, merges] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const directory = join(scratch, `loop-${round}`);
    // It writes when it is asked to.
    const storage = { directory, intervalMs: 3_600_000 };
    const replica = await openReplica({ schema, storage });
    const { likes } = replica.collections;
    for (let at = 0; at < count; at++) {
      likes.increment(keys[at]);
      if (at % turnOperations === 0) await turn();
    }
    const written = () =>
      replica.acknowledged(replica.version(), { by: "durable", timeoutMs: 120_000 });
    const watchedWrite = watchLoop();
    await written();
    writes.push(await watchedWrite());
    await replica.close();
    merges.push(await longestTurnOfMerge(directory));
  }
  return [
    row({
      id: "loop-write",
      label: `longest turn while ${count.toLocaleString("en")} dirty counters are written`,
      unit: "ms",
      ours: median(writes),
      floor: null,
      target: { ours: { atMost: 10 } },
      why: "LevelDB's batch is one buffer, which doubles: the last time takes longest",
    }),
    row({
      id: "loop-merge",
      label: "longest turn while LevelDB merges them all",
      unit: "ms",
      ours: median(merges),
      floor: null,
      target: { ours: { atMost: 10 } },
    }),
  ];
}

/** Three of four records go, so that all tables are merged. */
async function longestTurnOfMerge(directory) {
  const engine = await levelStorage(directory).open();
  const batch = engine.batch();
  let count = 0;
  for await (const page of engine.read(Uint8Array.of(0x4e), Uint8Array.of(0x4f))) {
    for (const { key } of page) if (count++ % 4 > 0) batch.delete(key);
  }
  const before = await engine.size();
  await batch.write({ sync: true });
  const watched = watchLoop();
  const endMs = performance.now() + 60_000;
  while ((await engine.size()) > before / 2 && performance.now() < endMs) await turn();
  if ((await engine.size()) > before / 2) throw new Error("nothing was merged");
  const longest = await watched();
  await engine.close();
  return longest;
}

function row({ id, label, unit, ours, floor, target, why }) {
  const ratio = floor === null ? null : ours / floor;
  return {
    id,
    label,
    unit,
    ours,
    floor,
    ratio,
    why,
    rivals: {},
    ...judge(target, { ours, ratio }),
  };
}

console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}`);
console.log(`load average at the start ${loadavg()[0].toFixed(2)}`);
try {
  const rows = [
    ...(await measureInterval()),
    ...(await measureAlways()),
    ...(await measureOpening()),
    ...(await measureLoop()),
  ];
  printTable("Durability, wall time; the floor is LevelDB with the same records", rows);
  const met = rows.filter((result) => result.met).length;
  console.log(`\n${met} of ${rows.length} targets met, ${rows.length - met} short`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
