/**
 * What does a local operation cost, with replication on? Every contestant does the same operations
 * one by one, in turns of 1,000. Ours ends every turn and so pays for its flush; the floor is the
 * bare loop. Rivals do one operation a transaction, and once more with 1,000 in one.
 */
import { adapter, rivalNames } from "./contestants.mjs";
import { collectGarbage, interleave, spend, summarise, verify } from "./measure.mjs";
import { keyNames, randomSequence, turnOperations } from "./workload.mjs";

export const title = "Local operations, CPU time each";

const increments = (keyCount, kind = "increment") => ({ kind, keyCount, operations: 1_000_000 });

/** @type {import("./report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "increment-1",
    label: "increment, 1 key",
    unit: "ns",
    target: { ratio: { atMost: 1.5 } },
    work: increments(1),
  },
  {
    id: "increment-1000",
    label: "increment, 1,000 keys",
    unit: "ns",
    target: { ratio: { atMost: 1.5 } },
    work: increments(1_000),
  },
  {
    id: "increment-100000",
    label: "increment, 100,000 keys",
    unit: "ns",
    target: { ratio: { atMost: 1.5 } },
    work: increments(100_000),
  },
  {
    id: "increment-handle",
    label: "increment by handle, 100,000 keys",
    unit: "ns",
    target: { ratio: { below: 0.5 } },
    work: increments(100_000, "handle"),
    rivals: [],
  },
  {
    id: "register-set",
    label: "register set, 100,000 keys",
    unit: "ns",
    target: { ratio: { atMost: 3 } },
    work: { kind: "register", keyCount: 100_000, operations: 1_000_000 },
  },
  {
    id: "set-one",
    label: "one set, 200,000 added then removed",
    unit: "ns",
    target: { ratio: { atMost: 4 } },
    work: { kind: "set", keyCount: 1, elements: 200_000 },
  },
  {
    id: "set-many",
    label: "10,000 sets, 200,000 added then removed",
    unit: "ns",
    target: { ratio: { atMost: 4 } },
    work: { kind: "set", keyCount: 10_000, elements: 200_000 },
  },
  {
    id: "set-flat",
    label: "one set, 1,000,000 elements against 200,000",
    unit: "x",
    target: { ratio: { atMost: 1.5 } },
    work: { kind: "grown-set", sizes: [200_000, 1_000_000], margin: 20_000 },
    rivals: [],
  },
];

/** Measures one row. */
export const measure = (row, context) =>
  row.work.kind === "grown-set" ? measureGrowth(row, context) : measureOperations(row, context);

async function measureOperations({ work, rivals = rivalNames }, context) {
  const workload = workloadOf(work, context);
  const contestants = [
    { name: "floor", library: "floor", wallMsMax: 10_000 },
    { name: "ours", library: "ours", wallMsMax: 10_000 },
    ...rivals.flatMap((library) => [
      { name: library, library, rounds: 3, wallMsMax: context.quick ? 100 : 400 },
      {
        name: `${library}, 1000 a transaction`,
        library,
        rounds: 3,
        wallMsMax: context.quick ? 100 : 400,
        batched: true,
      },
    ]),
  ];
  return summarise(
    await interleave(
      contestants.map((contestant) => ({
        ...contestant,
        round: (warming) => operate(contestant, workload, warming),
      })),
      context.quick ? 3 : 5,
    ),
  );
}

function workloadOf({ kind, keyCount, operations, elements }, { quick }) {
  const keys = keyNames(keyCount);
  if (kind === "set") {
    const names = keyNames(quick ? elements / 2 : elements, "element-");
    return { kind, keys, elements: names, operations: names.length * 2, left: 0 };
  }
  const count = quick ? operations / 4 : operations;
  const sequence = randomSequence(count, keyCount);
  const left = kind === "register" ? new Set(sequence).size : count;
  return { kind, keys, sequence, values: keyNames(1_000, "value-"), operations: count, left };
}

/** One round on a structure of its own, in ns of CPU time an operation. */
async function operate({ name, library, wallMsMax, batched }, workload, warming) {
  const subject = await (await adapter(library)).openLocal(workload, { batched });
  try {
    const { operations, nsEach } = await spend(async () => {
      const end = performance.now() + (warming ? Math.min(wallMsMax, 300) : wallMsMax);
      let done = 0;
      while (done < workload.operations && performance.now() < end) {
        const next = Math.min(done + turnOperations, workload.operations);
        subject.run(done, next);
        if (subject.turn) await subject.turn();
        done = next;
      }
      return done;
    });
    if (operations === workload.operations) verify(name, subject.check(), workload.left);
    return nsEach;
  } finally {
    await subject.close?.();
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
      const { nsEach } = await spend(() => subject.run());
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
