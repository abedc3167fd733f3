/**
 * Which operations need coordination? Only those whose merge can break a declared invariant: the
 * invariant-confluence test as a table. The types of this version declare none, so all are free.
 *
 * @see Bailis et al. 2015, "Coordination Avoidance in Database Systems", VLDB
 */

/** What an operation needs before it takes effect. */
export type Route = "free" | "escrow" | "fenced";

/** One row of `explain()`. */
export interface Explanation {
  readonly collection: string;
  readonly operation: string;
  readonly route: Route;
  readonly why: string;
}

type Row = readonly [operation: string, why: string];

const addRemove = "add wins over what it has not seen; merging two such states breaks no invariant";
const register = "concurrent sets are both kept until one is seen; the later stamp shows";

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
  flag: [
    ["enable", addRemove],
    ["disable", addRemove],
  ],
};

/** What each operation on a collection of type `tag` needs, and why. */
export const explain = (collection: string, tag: string): Explanation[] =>
  (operations[tag.slice(0, tag.indexOf("/"))] ?? []).map(([operation, why]) => ({
    collection,
    operation,
    route: "free",
    why,
  }));
