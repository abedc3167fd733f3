/** A batch: what its operations are, all checked before any is done. */
import type { AnyCollection } from "../any-collection.ts";
import { InvalidValueError } from "../errors.ts";
import { memberSchemas, toldBy } from "./members.ts";
import { freeRun, type Given, type Operation, operations } from "./operations.ts";
import { collectionOf, type Parts } from "./parts.ts";
import { Refusal } from "./problem.ts";
import { assertMay, type Call } from "./route.ts";

/** Operations that a transaction can have, by name. */
const free: ReadonlyMap<string, Operation> = new Map(
  operations
    .filter(({ free: runs, mortal }) => Object.keys(runs).length > 0 || mortal !== undefined)
    .map((operation) => [operation.name, operation]),
);

const places = ["field", "entry", "name"] as const;

/** The body of a batch as JSON Schema has it. */
export function batchSchema(operationsMax: number): object {
  const { waitMs: _waits, owner: _owner, limit: _limit, ...members } = memberSchemas;
  const text = { type: "string", maxLength: 1_024 };
  const names = { collection: text, key: text, field: text, entry: text, name: text };
  const operation = { enum: [...free.keys()], description: "As of the routes." };
  return {
    type: "object",
    additionalProperties: false,
    required: ["operations"],
    properties: {
      operations: {
        type: "array",
        ...{ minItems: 1, maxItems: operationsMax },
        items: {
          type: "object",
          required: ["operation", "collection", "key"],
          properties: { operation, ...names, ...members },
        },
      },
    },
  };
}

/**
 * What each operation does, to be run in one transaction.
 * @throws Refusal for a right or a collection that is missing, InvalidValueError for what is no operation.
 */
export function batchOf(parts: Parts, call: Call, told: unknown): (() => void)[] {
  const { batchMax } = parts.limits;
  if (!Array.isArray(told) || told.length === 0 || told.length > batchMax) {
    throw invalid("operations", `is not a list of 1 to ${batchMax} operations`);
  }
  const items = told.map((item: unknown, i) => itemOf(item, `operations[${i}]`));
  // All rights first: what is said of one operation must not tell of what another may not see.
  for (const { collection, key } of items) assertMay(call, "write", { collection, key });
  return items.map((item) => runOf(item, collectionOf(parts, item.collection)));
}

interface Item {
  readonly path: string;
  readonly operation: Operation;
  readonly collection: string;
  readonly key: string;
  readonly given: Given;
}

function itemOf(item: unknown, path: string): Item {
  if (typeof item !== "object" || item === null || Array.isArray(item)) {
    throw invalid(path, "is no object");
  }
  const { operation: name, collection, key, ...rest } = item as Readonly<Record<string, unknown>>;
  const operation = typeof name === "string" ? free.get(name) : undefined;
  if (!operation) throw invalid(`${path}.operation`, "is no operation that a batch can have");
  if (typeof collection !== "string") throw invalid(`${path}.collection`, "is not a string");
  if (typeof key !== "string") throw invalid(`${path}.key`, "is not a string");
  const named = { field: "", entry: "", name: "" };
  const members: [string, unknown][] = [];
  for (const [member, value] of Object.entries(rest)) {
    const place = places.find((one) => one === member && operation.path.includes(`{${one}}`));
    if (place === undefined) members.push([member, value]);
    else if (typeof value === "string") named[place] = value;
    else throw invalid(`${path}.${member}`, "is not a string");
  }
  const missing = places.find(
    (place) => operation.path.includes(`{${place}}`) && !Object.hasOwn(rest, place),
  );
  if (missing !== undefined) throw invalid(`${path}.${missing}`, "is missing");
  // What became of a hit with a limit could not be told.
  const { limit: _limit, ...known } = operation.members;
  const given = { ...toldBy(Object.fromEntries(members), known), key, ...named };
  return { path, operation, collection, key, given };
}

function runOf({ path, operation, given }: Item, any: AnyCollection): () => void {
  const run = freeRun(operation, any);
  if (run) return () => void run(given);
  const { name } = operation;
  throw new Refusal(
    "TRELLIS_METHOD_NOT_ALLOWED",
    `${path}: a collection of type ${any.kind} has no ${name} that can be part of a batch; nothing was changed`,
    { headers: { allow: "" } },
  );
}

const invalid = (path: string, reason: string): InvalidValueError =>
  new InvalidValueError(`${path} ${reason}; nothing was changed`, { path, reason });
