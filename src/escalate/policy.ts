/**
 * Which operations need coordination? Only those whose merge can break a declared invariant: the
 * invariant-confluence test as a table. Adding to what must not fall below a bound is safe, taking from it
 * is not, but the right to take can be handed out ahead; that a name has one owner, or a value one
 * successor, can only be decided in one place.
 *
 * @see Bailis et al. 2015, "Coordination Avoidance in Database Systems", VLDB
 */
import type { BoundedCounterType } from "../crdt/bounded-counter.ts";
import type { DataType } from "../crdt/data-type.ts";
import { isDocumentType } from "../crdt/document.ts";
import { isExpiring } from "../crdt/expiring.ts";

/** What an operation needs before it takes effect: nothing, a right that is held here, or the guard. */
export type Route = "free" | "escrow" | "fenced";

/** One row of `explain()`. */
export interface Explanation {
  readonly collection: string;
  readonly operation: string;
  readonly route: Route;
  readonly why: string;
}

type Row = readonly [operation: string, why: string, route?: Route];

const addRemove = "add wins over what it has not seen; merging two such states breaks no invariant";
const register = "concurrent sets are both kept until one is seen; the later stamp shows";
const oneSuccessor = "the next value is computed from the last one: two such writes do not merge";
const latest = "the latest value is in the guard; get() is the copy that is here";

const expireAt: Row = ["expireAt", "of concurrent deadlines the longest wins, also over an expiry"];

const operations: Readonly<Record<string, readonly Row[]>> = {
  counter: [
    ["increment", "sums merge by adding; no bound is declared"],
    ["decrement", "sums merge by adding; no bound is declared"],
  ],
  "or-set": [
    ["add", addRemove],
    ["remove", addRemove],
    ["clear", addRemove],
  ],
  "lww-register": [
    ["set", register],
    ["delete", "an observed remove: a concurrent set survives"],
  ],
  "mv-register": [
    ["set", "concurrent sets are all kept and all shown"],
    ["delete", "an observed remove: a concurrent set survives"],
  ],
  "lww-map": [
    ["set", register],
    ["delete", "an observed remove: a concurrent set survives"],
  ],
  "or-map": [
    ["entry", "each field merges as its own type does"],
    ["delete", "an observed remove of all under the entry"],
  ],
  document: [
    ["change", "the document's own library merges what was changed concurrently"],
    ["apply", "the document's own library merges what was changed concurrently"],
    ["delete", "an observed remove: a concurrent change survives"],
  ],
  flag: [
    ["enable", addRemove],
    ["disable", addRemove],
  ],
  "rate-window": [
    ["hit", "each replica counts in a slot of its own; sums merge by adding"],
    ["tryHit", "looks at the count that is here: together replicas may pass the limit a little"],
    ["delete", "an observed remove: concurrent hits survive"],
  ],
  "fenced-register": [
    ["update", oneSuccessor, "fenced"],
    ["delete", oneSuccessor, "fenced"],
    ["read", latest, "fenced"],
    ["get", "the copy that is here; it may lag"],
  ],
  "unique-claims": [
    ["claim", "this name for one owner: two claims of it do not merge", "fenced"],
    ["release", "only its owner may, so who that is must be known", "fenced"],
    ["readOwner", "who owns it is in the guard; owner() is the copy that is here", "fenced"],
    ["owner", "the copy that is here; it may lag"],
  ],
};

const isBounded = (type: DataType): type is BoundedCounterType =>
  "kind" in type && type.kind === "bounded-counter";

/** Moving away from a bound is safe; moving towards it spends rights, if the bound is declared. */
function boundedRows({ min, max }: BoundedCounterType): readonly Row[] {
  const spends = `two of them could pass the bound together: each spends rights, taken ahead in chunks`;
  return [
    max === undefined
      ? ["increment", `adding keeps the value above ${min}, whatever others do`]
      : ["increment", `the value stays at most ${max}; ${spends}`, "escrow"],
    ["decrement", `the value stays at least ${min}; ${spends}`, "escrow"],
    ["value", "the sum that is here; it may lag, and is shown within the bounds"],
  ];
}

/** What each operation on a collection of this type needs, and why. */
export function explain(collection: string, type: DataType): Explanation[] {
  return rowsOf(type).map(([operation, why, route = "free"]) => ({
    collection,
    operation,
    route,
    why,
  }));
}

function rowsOf(type: DataType): readonly Row[] {
  if (isBounded(type)) return boundedRows(type);
  if (isDocumentType(type)) return operations[type.kind] ?? [];
  if (isExpiring(type)) return [...rowsOf(type.base), expireAt];
  return operations[type.tag.slice(0, type.tag.indexOf("/"))] ?? [];
}
