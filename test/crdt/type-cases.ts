/** Every built-in type once, and documents: how to draw an operation, do it, read the key, and what it must show. */
import {
  counter,
  flag,
  lwwMap,
  lwwRegister,
  mvRegister,
  orMap,
  orSet,
  rateWindow,
} from "../../src/crdt/index.ts";
import { automergeDoc } from "../../src/bridge/automerge.ts";
import { yDoc } from "../../src/bridge/yjs.ts";
import type { Name } from "../../src/crdt/data-type.ts";
import type { FreeCollections } from "../../src/store/collections/types.ts";
import type { Json } from "../../src/store/values.ts";
import type { Random } from "../simulation/virtual-environment.ts";
import {
  automergeItems,
  drawDocument,
  type Items,
  performAutomerge,
  performYjs,
  yItems,
} from "./document-cases.ts";
import {
  byText,
  counterSpecification,
  documentSpecification,
  entriesSpecification,
  flagSpecification,
  type History,
  mapSpecification,
  multiSpecification,
  type Operation,
  rateSpecification,
  type Reader,
  registerSpecification,
  setSpecification,
} from "./specifications.ts";

const longMs = 31 * 24 * 60 * 60 * 1_000;

/** One collection of each type, and entries of all that may stand in one. */
export const schema = {
  counters: counter(),
  sets: orSet<Name>(),
  registers: lwwRegister<Json>(),
  multis: mvRegister<Json>(),
  maps: lwwMap<Json>(),
  flags: flag(),
  entries: orMap({
    quantity: lwwRegister<Json>(),
    notes: orSet<Name>(),
    options: mvRegister<Json>(),
    extras: lwwMap<Json>(),
    chosen: flag(),
  }),
  /** Nothing expires here, and every hit counts: what time does is tested in `test/expiry`. */
  rates: rateWindow({ windowMs: longMs }),
  sessions: orSet<Name>({ expireAfterMs: longMs }),
  documents: yDoc(),
  drafts: automergeDoc<Items>(),
};

export type TestCollections = FreeCollections<typeof schema>;
export type CollectionName = keyof typeof schema;

/** One type under test. */
export interface TypeCase {
  readonly collection: CollectionName;
  readonly draw: (random: Random) => Operation;
  readonly perform: (collections: TestCollections, key: string, operation: Operation) => void;
  readonly read: (collections: TestCollections, key: string) => unknown;
  readonly specification: (history: History, reader: Reader) => unknown;
  /** How many operations of others take as long as one of these; absent: 1. */
  readonly costs?: number;
}

const elements: readonly Name[] = ["a", "b", "1", 1, -2.5, true, null, "", "__proto__"];
const fields = ["x", "y", "__proto__"];
let values = 0;

const drawValue = (random: Random): Json =>
  random.chance(0.1) ? { nested: [values++, "é", null] } : `v${values++}`;

const drawFrom =
  (...draws: readonly ((random: Random) => Operation)[]) =>
  (random: Random): Operation =>
    random.pick(draws)(random);

const drawSet = drawFrom(
  (random) => ({ name: "add", element: random.pick(elements) }),
  (random) => ({ name: "add", element: random.pick(elements.slice(0, 3)) }),
  (random) => ({ name: "remove", element: random.pick(elements.slice(0, 3)) }),
  (random) =>
    random.chance(0.3) ? { name: "delete" } : { name: "remove", element: random.pick(elements) },
);
const drawRegister = drawFrom(
  (random) => ({ name: "set", value: drawValue(random) }),
  (random) => ({ name: "set", value: drawValue(random) }),
  () => ({ name: "delete" }),
);
const drawMap = drawFrom(
  (random) => ({ name: "set-field", field: random.pick(fields), value: drawValue(random) }),
  (random) => ({ name: "set-field", field: random.pick(fields), value: drawValue(random) }),
  (random) => ({ name: "delete-field", field: random.pick(fields) }),
  (random) =>
    random.chance(0.3)
      ? { name: "delete" }
      : { name: "set-field", field: random.pick(fields), value: drawValue(random) },
);
const drawFlag = drawFrom(
  () => ({ name: "enable" }),
  () => ({ name: "delete" }),
);

const fieldDraws = {
  quantity: drawRegister,
  notes: drawSet,
  options: drawRegister,
  extras: drawMap,
  chosen: drawFlag,
} as const;
type FieldName = keyof typeof fieldDraws;
const fieldNames: readonly FieldName[] = ["quantity", "notes", "options", "extras", "chosen"];

function drawEntries(random: Random): Operation {
  const entry = random.pick(["sku:1", "sku:2", ""]);
  if (random.chance(0.15)) return { name: "delete-entry", entry };
  if (random.chance(0.05)) return { name: "delete" };
  const field = random.pick(fieldNames);
  return { name: "in-entry", entry, field, inner: fieldDraws[field](random) };
}

const wrong = (operation: Operation): never => {
  throw new Error(`assertion: ${operation.name} is not of this type`);
};

interface SetLike {
  add(element: Name): void;
  remove(element: Name): void;
  clear(): void;
}
interface RegisterLike {
  set(value: Json): void;
  delete(): void;
}
interface MapLike {
  set(field: string, value: Json): void;
  delete(field: string): void;
}

function performSet(set: SetLike, operation: Operation): void {
  if (operation.name === "add") set.add(operation.element);
  else if (operation.name === "remove") set.remove(operation.element);
  else if (operation.name === "delete") set.clear();
  else wrong(operation);
}

function performRegister(register: RegisterLike, operation: Operation): void {
  if (operation.name === "set") register.set(operation.value);
  else if (operation.name === "delete") register.delete();
  else wrong(operation);
}

function performMap(map: MapLike, all: () => void, operation: Operation): void {
  if (operation.name === "set-field") map.set(operation.field, operation.value);
  else if (operation.name === "delete-field") map.delete(operation.field);
  else if (operation.name === "delete") all();
  else wrong(operation);
}

function performEntries(collections: TestCollections, key: string, operation: Operation): void {
  if (operation.name === "delete") return collections.entries.delete(key);
  if (operation.name === "delete-entry") return collections.entries.delete(key, operation.entry);
  if (operation.name !== "in-entry") return wrong(operation);
  const { inner } = operation;
  const entry = collections.entries.entry(key, operation.entry);
  switch (operation.field) {
    case "quantity":
      return performRegister(entry.quantity, inner);
    case "options":
      return performRegister(entry.options, inner);
    case "notes":
      return performSet(entry.notes, inner);
    case "chosen":
      return inner.name === "enable" ? entry.chosen.enable() : entry.chosen.disable();
    default:
      return performMap(
        entry.extras,
        () => {
          for (const [field] of entry.extras.entries()) entry.extras.delete(field);
        },
        inner,
      );
  }
}

const sortedFields = (entries: readonly (readonly [string, Json])[]): [string, Json][] =>
  entries
    .map(([field, value]) => [field, value] satisfies [string, Json])
    .toSorted((one, other) => byText(one[0], other[0]));

/** The table. A type that is not in it has no test: `types.test.ts` looks. */
export const typeCases: readonly TypeCase[] = [
  {
    collection: "counters",
    draw: (random) => {
      const most = random.pick([4, 40, 5_000, 2 ** 40]);
      return { name: "increment", by: random.below(2 * most) - most || 1 };
    },
    perform: ({ counters }, key, operation) => {
      if (operation.name !== "increment") wrong(operation);
      else if (operation.by > 0) counters.increment(key, operation.by);
      else counters.decrement(key, -operation.by);
    },
    read: ({ counters }, key) => counters.value(key),
    specification: counterSpecification,
  },
  {
    collection: "sets",
    draw: drawSet,
    perform: ({ sets }, key, operation) => performSet(sets.at(key), operation),
    read: ({ sets }, key) => sets.values(key).toSorted(byText),
    specification: setSpecification,
  },
  {
    collection: "registers",
    draw: drawRegister,
    perform: ({ registers }, key, operation) => performRegister(registers.at(key), operation),
    read: ({ registers }, key) => registers.get(key),
    specification: registerSpecification,
  },
  {
    collection: "multis",
    draw: drawRegister,
    perform: ({ multis }, key, operation) => performRegister(multis.at(key), operation),
    read: ({ multis }, key) => multis.get(key),
    specification: multiSpecification,
  },
  {
    collection: "maps",
    draw: drawMap,
    perform: ({ maps }, key, operation) =>
      performMap(maps.at(key), () => maps.delete(key), operation),
    read: ({ maps }, key) => sortedFields(maps.entries(key)),
    specification: mapSpecification,
  },
  {
    collection: "flags",
    draw: drawFlag,
    perform: ({ flags }, key, operation) =>
      operation.name === "enable" ? flags.enable(key) : flags.disable(key),
    read: ({ flags }, key) => flags.isEnabled(key),
    specification: flagSpecification,
  },
  {
    collection: "entries",
    draw: drawEntries,
    perform: performEntries,
    read: ({ entries }, key) =>
      entries
        .entries(key)
        .map(
          ([entry, { notes, extras, ...others }]) =>
            [
              entry,
              { ...others, notes: notes.toSorted(byText), extras: sortedFields(extras) },
            ] as const,
        )
        .toSorted((one, other) => byText(one[0], other[0])),
    specification: (history, reader) =>
      entriesSpecification(history, reader, {
        quantity: registerSpecification,
        notes: setSpecification,
        options: multiSpecification,
        extras: mapSpecification,
        chosen: flagSpecification,
      }),
  },
  {
    collection: "rates",
    draw: (random) =>
      random.chance(0.1) ? { name: "delete" } : { name: "hit", by: 1 + random.below(50) },
    perform: ({ rates }, key, operation) => {
      if (operation.name === "hit") rates.hit(key, operation.by);
      else if (operation.name === "delete") rates.delete(key);
      else wrong(operation);
    },
    read: ({ rates }, key) => rates.value(key),
    specification: rateSpecification,
  },
  {
    collection: "sessions",
    draw: drawSet,
    perform: ({ sessions }, key, operation) => performSet(sessions.at(key), operation),
    read: ({ sessions }, key) => sessions.values(key).toSorted(byText),
    specification: setSpecification,
  },
  {
    collection: "documents",
    draw: drawDocument,
    perform: ({ documents }, key, operation) => performYjs(documents, key, operation),
    read: ({ documents }, key) => yItems(documents.get(key)),
    specification: documentSpecification,
    costs: 5,
  },
  {
    collection: "drafts",
    draw: drawDocument,
    perform: ({ drafts }, key, operation) => performAutomerge(drafts, key, operation),
    read: ({ drafts }, key) => automergeItems(drafts.get(key)),
    specification: documentSpecification,
    costs: 15,
  },
];

/** What is written among others. Of documents only those that are the cheapest: to a store all are alike. */
export const mixedCases: readonly TypeCase[] = typeCases.filter(
  ({ collection }) => collection !== "drafts",
);

/** Whether a type gets its turn among others: seldom if it is costly, for it has tests of its own. */
export const hasTurn = ({ costs }: TypeCase, random: Random): boolean =>
  costs === undefined || random.chance(0.2 / costs);

/** One of these. */
export function drawCase(random: Random, cases: readonly TypeCase[] = mixedCases): TypeCase {
  const drawn = random.pick(cases);
  if (hasTurn(drawn, random)) return drawn;
  return cases.every(({ costs }) => costs !== undefined) ? drawn : drawCase(random, cases);
}

/** How many runs a type gets where most get so many. */
export const runsOf = ({ costs = 1 }: TypeCase, runs: number): number => Math.ceil(runs / costs);
