/**
 * What each type means, as a predicate over the writes that a replica has seen, and which of them had
 * seen which. Nothing here knows cells, vectors or frames.
 */
import { stampsPerMs } from "../../src/crdt/hybrid-logical-clock.ts";
import type { Name } from "../../src/crdt/data-type.ts";
import type { Json } from "../../src/store/values.ts";

/** What was asked of one key. */
export type Operation =
  | { readonly name: "increment" | "hit"; readonly by: number }
  | { readonly name: "add" | "remove"; readonly element: Name }
  | { readonly name: "set"; readonly value: Json }
  | { readonly name: "set-field"; readonly field: string; readonly value: Json }
  | { readonly name: "delete-field"; readonly field: string }
  | { readonly name: "enable" }
  /** Removes all that is seen under the key: clear, disable, delete. */
  | { readonly name: "delete" }
  | {
      readonly name: "in-entry";
      readonly entry: string;
      readonly field: string;
      readonly inner: Operation;
    }
  | { readonly name: "delete-entry"; readonly entry: string }
  /** Puts something into a document once more, or takes it out wherever it is seen. `at`: drawn from 0 to 1. */
  | { readonly name: "insert" | "erase"; readonly item: string; readonly at: number };

/** One write, and what it had seen. */
export interface Write {
  readonly collection: string;
  readonly key: string;
  readonly operation: Operation;
  readonly actor: string;
  readonly sequence: number;
  /** Among the writes of its actor. */
  readonly order: number;
  /** What its replica held: up to which sequence of each actor. */
  readonly held: ReadonlyMap<string, number>;
  /** Infinite while its batch is open. */
  stamp: number;
}

/** Writes to one key that a replica has seen. */
export type History = readonly Write[];

/** Whose clock decides which stamps are held. */
export interface Reader {
  readonly nowMs: number;
  readonly aheadMsMax: number;
}

/** Whether `later` had seen `earlier`. */
export const saw = (later: Write, earlier: Write): boolean =>
  later.actor === earlier.actor
    ? later.order > earlier.order
    : (later.held.get(earlier.actor) ?? 0) >= earlier.sequence;

/** The value is the sum of all that was added and taken away. */
export function counterSpecification(history: History): number {
  let sum = 0n;
  for (const { operation } of history) {
    if (operation.name === "increment") sum += BigInt(operation.by);
  }
  return Number(sum);
}

/** An element is present if and only if some add of it was seen by no other add or removal of it. */
export function setSpecification(history: History): Name[] {
  const survivors = history.filter(
    (add) =>
      add.operation.name === "add" &&
      !history.some((other) => touches(other.operation, add.operation) && saw(other, add)),
  );
  return [...new Set(survivors.map(({ operation }) => elementOf(operation)))].toSorted(byText);
}

/**
 * The sum of all hits that no delete has taken away. A writer's later hits carry its earlier ones with them,
 * so a delete takes a hit that it saw unless its writer hit again, and neither had seen the other.
 */
export function rateSpecification(history: History): number {
  const deletes = history.filter(({ operation }) => operation.name === "delete");
  const hits = history.filter(({ operation }) => operation.name === "hit");
  const isCarriedPast = (hit: Write, remove: Write): boolean =>
    hits.some(
      (later) =>
        later.actor === hit.actor &&
        later.order > hit.order &&
        !saw(remove, later) &&
        !saw(later, remove),
    );
  return hits
    .filter((hit) => !deletes.some((one) => saw(one, hit) && !isCarriedPast(hit, one)))
    .reduce((sum, { operation }) => sum + (operation.name === "hit" ? operation.by : 0), 0);
}

/** The values of all sets that no other set or delete has seen, what wins first. */
export const multiSpecification = (history: History, reader: Reader): Json[] =>
  unseenSets(history)
    .toSorted((left, right) => (beats(left, right, reader) ? -1 : 1))
    .map(({ operation }) => (operation.name === "set" ? operation.value : null));

/** Of these, the one that wins: not held, then the later stamp, then the larger actor. */
export const registerSpecification = (history: History, reader: Reader): Json | undefined =>
  multiSpecification(history, reader)[0];

/** Each field is a register of its own; deleting the map deletes every field that is seen. */
export function mapSpecification(history: History, reader: Reader): [string, Json][] {
  const fields = new Set(
    history.flatMap(({ operation }) => (operation.name === "set-field" ? [operation.field] : [])),
  );
  return [...fields].toSorted(byText).flatMap((field) => {
    const value = registerSpecification(
      project(history, (operation) => inField(operation, field)),
      reader,
    );
    return value === undefined ? [] : [[field, value] satisfies [string, Json]];
  });
}

/** On if and only if some enable was seen by no other enable or disable. */
export const flagSpecification = (history: History): boolean =>
  history.some(
    (enable) => enable.operation.name === "enable" && !history.some((other) => saw(other, enable)),
  );

/** What was inserted is there if and only if nobody who saw that erased it; where it stands, the library decides. */
export const documentSpecification = (history: History): string[] =>
  history
    .flatMap((insert) => {
      const { operation } = insert;
      if (operation.name !== "insert") return [];
      const isErased = history.some(
        (erase) =>
          erase.operation.name === "erase" &&
          erase.operation.item === operation.item &&
          saw(erase, insert),
      );
      return isErased ? [] : [operation.item];
    })
    .toSorted(byText);

/** What the fields of an entry mean. */
export type FieldSpecifications = Readonly<
  Record<string, (history: History, reader: Reader) => unknown>
>;

/** Each field means what its type means; deleting an entry deletes all that is seen under it. */
export function entriesSpecification(
  history: History,
  reader: Reader,
  fields: FieldSpecifications,
): [string, Record<string, unknown>][] {
  const entries = new Set(
    history.flatMap(({ operation }) => (operation.name === "in-entry" ? [operation.entry] : [])),
  );
  return [...entries].toSorted(byText).flatMap((entry) => {
    const record: Record<string, unknown> = {};
    for (const [field, specification] of Object.entries(fields)) {
      record[field] = specification(
        project(history, (operation) => inEntry(operation, entry, field)),
        reader,
      );
    }
    return Object.values(record).some(isPresent)
      ? [[entry, record] satisfies [string, Record<string, unknown>]]
      : [];
  });
}

/** By the code units of what they print as; a number before a like string. */
export const byText = (left: Name, right: Name): number => {
  const [one, other] = [JSON.stringify(left), JSON.stringify(right)];
  return one < other ? -1 : one > other ? 1 : 0;
};

const isPresent = (field: unknown): boolean =>
  Array.isArray(field) ? field.length > 0 : field !== undefined && field !== false;

const elementOf = (operation: Operation): Name =>
  operation.name === "add" || operation.name === "remove" ? operation.element : null;

/** Whether `other` replaces or removes what `add` added. */
const touches = (other: Operation, add: Operation): boolean =>
  other.name === "delete" ||
  ((other.name === "add" || other.name === "remove") && other.element === elementOf(add));

const unseenSets = (history: History): Write[] =>
  history.filter(
    (set) => set.operation.name === "set" && !history.some((other) => saw(other, set)),
  );

function beats(left: Write, right: Write, reader: Reader): boolean {
  const horizon = (reader.nowMs + reader.aheadMsMax) * stampsPerMs;
  const [leftHeld, rightHeld] = [left.stamp > horizon, right.stamp > horizon];
  if (leftHeld !== rightHeld) return rightHeld;
  return left.stamp === right.stamp ? left.actor > right.actor : left.stamp > right.stamp;
}

const project = (
  history: History,
  inner: (operation: Operation) => Operation | undefined,
): History =>
  history.flatMap((write) => {
    const operation = inner(write.operation);
    return operation === undefined ? [] : [{ ...write, operation }];
  });

function inField(operation: Operation, field: string): Operation | undefined {
  if (operation.name === "delete") return operation;
  if (operation.name === "set-field" && operation.field === field) {
    return { name: "set", value: operation.value };
  }
  return operation.name === "delete-field" && operation.field === field
    ? { name: "delete" }
    : undefined;
}

function inEntry(operation: Operation, entry: string, field: string): Operation | undefined {
  if (operation.name === "delete") return operation;
  if (operation.name === "delete-entry" && operation.entry === entry) return { name: "delete" };
  return operation.name === "in-entry" && operation.entry === entry && operation.field === field
    ? operation.inner
    : undefined;
}
