/** Do the two judges of histories know a bad one? */
import { describe, expect, test } from "vitest";
import { beginningOf, isLinearizable, type Observed, versionFaults } from "./linearizability.ts";

const event = (
  kind: Observed["kind"],
  version: bigint,
  [startedMs, endedMs]: readonly [number, number],
  more: Partial<Observed> = {},
): Observed => ({
  ...{ client: 0, kind, version, startedMs, endedMs, value: version === 0n ? "" : `v${version}` },
  ...more,
});

const written = event("write", 1n, [0, 10], { from: "", expected: 0n });
const second = event("write", 2n, [20, 30], { from: "v1", expected: 1n });

const histories: readonly {
  readonly what: string;
  readonly history: readonly Observed[];
  readonly fine: boolean;
}[] = [
  { what: "one after the other", history: [written, second], fine: true },
  {
    what: "a read during a write, of what was before",
    history: [written, second, event("read", 1n, [25, 28])],
    fine: true,
  },
  {
    what: "a read during a write, of what comes",
    history: [written, second, event("read", 2n, [21, 22])],
    fine: true,
  },
  {
    what: "a read of what was before, after the write",
    history: [written, second, event("read", 1n, [31, 32])],
    fine: false,
  },
  {
    what: "a read of what comes, before the write",
    history: [written, second, event("read", 2n, [11, 12])],
    fine: false,
  },
  {
    what: "two reads during a write, backwards",
    history: [written, second, event("read", 2n, [21, 22]), event("read", 1n, [23, 24])],
    fine: false,
  },
  {
    what: "two writes from one value",
    history: [
      written,
      second,
      event("write", 2n, [20, 30], { from: "v1", expected: 1n, value: "other" }),
    ],
    fine: false,
  },
  {
    what: "a read of a write that nobody was told of",
    history: [
      written,
      event("write", 2n, [20, Infinity], { from: "v1", expected: 1n }),
      event("read", 2n, [90, 91]),
    ],
    fine: true,
  },
];

describe("the judges of histories", () => {
  test.each(histories)("know of $what: fine is $fine", ({ history, fine }) => {
    const version = history.reduce((most, one) => (one.version > most ? one.version : most), 0n);
    const last = event("read", version, [100, 101]);
    expect(isLinearizable([...history, last])).toBe(fine);
    expect(versionFaults(history, last).length === 0).toBe(fine);
  });

  test("are given a beginning in which a write under way explains what was read of it", () => {
    const slow = event("write", 1n, [0, 90], { from: "", expected: 0n });
    const read = event("read", 1n, [10, 20]);
    const history = [read, slow, event("read", 1n, [95, 99])];
    expect(isLinearizable([read])).toBe(false);
    expect(beginningOf(history, 2)).toEqual([slow, read]);
    expect(beginningOf([...history, event("read", 1n, [30, 40])], 2)).toEqual([
      { ...slow, endedMs: Infinity },
      read,
    ]);
    expect(isLinearizable(beginningOf(history, 2))).toBe(true);
  });
});
