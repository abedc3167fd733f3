/**
 * What does a local operation cost, with replication on? Every contestant does the same operations
 * one by one, in turns of 1,000, on one structure that lives as long as the row. Ours ends every turn
 * and so pays for its flush, and waits until what was removed is forgotten; the floor is the bare
 * loop. Rivals do one operation a transaction, and once more with 1,000 in one.
 */
import { adapter, rivalNames } from "./contestants.mjs";
import { collectGarbage, interleave, spend, summarise, verify } from "./measure.mjs";
import { keyNames, randomSequence, turnOperations } from "./workload.mjs";

export const title = "Local operations, CPU time each";

const increments = (keyCount, operations, kind = "increment") => ({ kind, keyCount, operations });

/** @type {import("../report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "increment-1",
    label: "increment, 1 key",
    unit: "ns",
    target: { ratio: { atMost: 1.5 } },
    why: "the flush, and the counter's row beside the map",
    work: increments(1, 4_000_000),
  },
  {
    id: "increment-1000",
    label: "increment, 1,000 keys",
    unit: "ns",
    target: { ratio: { atMost: 1.5 } },
    why: "the flush, and the counter's row beside the map",
    work: increments(1_000, 2_000_000),
  },
  {
    id: "increment-100000",
    label: "increment, 100,000 keys",
    unit: "ns",
    target: { ratio: { atMost: 1.5 } },
    why: "beyond the processor's cache the counter's own row is a fourth miss where the map has three",
    work: increments(100_000, 1_000_000),
  },
  {
    id: "increment-handle",
    label: "increment by handle, 100,000 keys",
    unit: "ns",
    target: { ratio: { below: 0.5 } },
    why: "two misses, the handle and the row, against the map's three: about two thirds",
    work: increments(100_000, 1_000_000, "handle"),
    rivals: [],
  },
  {
    id: "register-set",
    label: "register set, 100,000 keys",
    unit: "ns",
    target: { ratio: { atMost: 3 } },
    why: "row and value stand apart: two more misses than the map has, and a copy is checked",
    work: { kind: "register", keyCount: 100_000, operations: 1_000_000 },
  },
  {
    id: "set-one",
    label: "one set, 200,000 added then removed",
    unit: "ns",
    target: { ratio: { atMost: 4 } },
    why: "an element is a name, a slot and a log entry, and its removal is kept and then forgotten",
    work: { kind: "set", keyCount: 1, elements: 200_000 },
  },
  {
    id: "set-many",
    label: "10,000 sets, 200,000 added then removed",
    unit: "ns",
    target: { ratio: { atMost: 4 } },
    why: "an element is a name, a slot and a log entry, and its removal is kept and then forgotten",
    work: { kind: "set", keyCount: 10_000, elements: 200_000 },
  },
  {
    id: "set-flat",
    label: "one set, 1,000,000 elements against 200,000",
    unit: "x",
    target: { ratio: { atMost: 1.5 } },
    work: { kind: "grown-set", sizes: [200_000, 1_000_000], margin: 50_000 },
    rivals: [],
  },
];

/** Measures one row. */
export const measure = (row, context) =>
  row.work.kind === "grown-set" ? measureGrowth(row, context) : measureOperations(row, context);

async function measureOperations({ work, rivals = rivalNames }, { quick }) {
  const workload = workloadOf(work);
  const rivalMs = quick ? 100 : 300;
  const subjects = [
    new Subject("floor", { library: "floor", wallMsMax: 10_000 }),
    new Subject("ours", { library: "ours", wallMsMax: 10_000 }),
    ...rivals.flatMap((library) => [
      new Subject(library, { library, wallMsMax: rivalMs }),
      new Subject(`${library}, 1000 a transaction`, { library, wallMsMax: rivalMs, batched: true }),
    ]),
  ];
  const contestants = subjects.map((subject) => ({
    name: subject.name,
    rounds: rivals.includes(subject.library) ? (quick ? 1 : 2) : undefined,
    round: () => subject.round(workload),
  }));
  try {
    return summarise(await interleave(contestants, quick ? 3 : 5));
  } finally {
    for (const subject of subjects) await subject.close();
  }
}

function workloadOf({ kind, keyCount, operations, elements }) {
  const keys = keyNames(keyCount);
  if (kind === "set") {
    return { kind, keys, elements: keyNames(elements, "element-"), operations: elements * 2 };
  }
  const sequence = randomSequence(operations, keyCount);
  return { kind, keys, sequence, values: keyNames(1_000, "value-"), operations };
}

/** One contestant's structure, and what it must hold. */
class Subject {
  #options;
  #opened;
  #increments = 0;

  constructor(name, options) {
    this.name = name;
    this.library = options.library;
    this.#options = options;
  }

  /** All operations, or as many as there is time for, in ns of CPU time each. */
  async round(workload) {
    const { library, batched, wallMsMax } = this.#options;
    this.#opened ??= await (await adapter(library)).openLocal(workload, { batched });
    const subject = this.#opened;
    const { operations, nsEach } = await spend(
      async () => {
        const end = performance.now() + wallMsMax;
        let done = 0;
        while (done < workload.operations && performance.now() < end) {
          const next = Math.min(done + turnOperations, workload.operations);
          subject.run(done, next);
          if (subject.turn) await subject.turn();
          done = next;
        }
        if (subject.settle) await subject.settle();
        return done;
      },
      { collect: "young" },
    );
    this.#increments += operations;
    if (operations === workload.operations) this.#verify(workload);
    return nsEach;
  }

  #verify({ kind, sequence }) {
    const left = { register: () => new Set(sequence).size, set: () => 0 }[kind];
    verify(this.name, this.#opened.check(), left ? left() : this.#increments);
  }

  async close() {
    await this.#opened?.close?.();
  }
}

/** How much dearer an operation at the margin of a set is once the set is five times as large. */
async function measureGrowth({ work }, context) {
  const [small, large] = context.quick ? work.sizes.map((size) => size / 4) : work.sizes;
  const margin = keyNames(work.margin, "margin-");
  const elements = keyNames(large, "element-");
  const opened = new Map();
  const open = async (library, size) => {
    const name = `${library} ${size}`;
    if (!opened.has(name)) {
      const workload = { elements: elements.slice(0, size), margin };
      opened.set(name, await (await adapter(library)).openGrownSet(workload));
    }
    return opened.get(name);
  };
  const contestant = (library, size) => ({
    name: `${library} ${size}`,
    async round() {
      const subject = await open(library, size);
      const { nsEach } = await spend(() => subject.run(), { collect: "young" });
      verify(library, subject.check(), size);
      return nsEach;
    },
  });
  const pairs = ["floor", "ours"].flatMap((library) => [
    contestant(library, small),
    contestant(library, large),
  ]);
  const { costs, absent } = await interleave(pairs, 5);
  for (const subject of opened.values()) await subject.close?.();
  await collectGarbage();
  const growth = (library) =>
    costs.get(`${library} ${large}`)?.map((cost, i) => cost / costs.get(`${library} ${small}`)[i]);
  return summarise({
    costs: new Map(
      ["floor", "ours"].filter((name) => growth(name)).map((name) => [name, growth(name)]),
    ),
    absent: new Map([...absent].map(([name, reason]) => [name.split(" ")[0], reason])),
  });
}
